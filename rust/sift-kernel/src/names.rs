//! Several short texts in one piece of memory: what is kept of each action is made and dropped thousands of times a
//! second, by other threads at times, and its allocations would cost more than everything else that is done with it.

/// So many texts, each of which may be missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Names<const N: usize> {
    text: Box<str>,
    /// Where each is, for those that are there.
    places: [Option<(usize, usize)>; N],
}

impl<const N: usize> Names<N> {
    pub(crate) fn new(names: [Option<&str>; N]) -> Self {
        let mut text = String::with_capacity(names.iter().flatten().map(|name| name.len()).sum());
        let places = names.map(|name| {
            let start = text.len();
            text.push_str(name?);
            Some((start, text.len()))
        });
        Self { text: text.into_boxed_str(), places }
    }

    /// The text at a place, if it is there.
    pub(crate) fn get(&self, place: usize) -> Option<&str> {
        let (start, end) = (*self.places.get(place)?)?;
        self.text.get(start..end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_where_it_was_put() {
        let given = [None, Some("ab"), Some(""), None, Some("\u{20ac}"), None];
        let names = Names::new(given);
        for (place, name) in given.into_iter().enumerate() {
            assert_eq!(names.get(place), name, "{place}");
        }
        assert_eq!(names.get(6), None);
        assert_ne!(names, Names::new([None, Some("a"), Some("b"), None, Some("\u{20ac}"), None]));
    }
}
