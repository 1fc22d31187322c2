//! The views a rule can run on.

use crate::{fold, map_spans};

/// What a rule's pattern is matched against: the text itself or something derived from it.
///
/// What [`decode`](crate::decode) gives is no view of the whole text: a text has many, each a window somewhere
/// in it, nested to a bounded depth. They share this type's contract: bytes out, and exact spans back.
///
/// ```
/// use sift_text::View;
///
/// let text = b"IGNORE  all";
/// let mut buffer = Vec::new();
/// assert_eq!(View::Identity.apply(text, &mut buffer), text);
/// assert_eq!(View::Folded.apply(text, &mut buffer), b"ignore all");
/// assert_eq!(View::Folded.as_str(), "folded");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum View {
    /// The text as it is.
    Identity,
    /// Lower case, each run of white space one space: see [`fold`].
    Folded,
}

impl View {
    /// All views, in order.
    pub const ALL: [Self; 2] = [Self::Identity, Self::Folded];

    /// The name of the view in rule documents, reports and measurements.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Folded => "folded",
        }
    }

    /// The view of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|view| view.as_str() == name)
    }

    /// This view of `text`: `text` itself, or what it becomes, kept in `buffer`.
    pub fn apply<'t>(self, text: &'t [u8], buffer: &'t mut Vec<u8>) -> &'t [u8] {
        match self {
            Self::Identity => text,
            Self::Folded => {
                fold(text, buffer);
                buffer
            }
        }
    }

    /// Maps spans of the view back to spans of `text`, in place. See [`map_spans`].
    pub fn map_spans(self, text: &[u8], spans: &mut [(usize, usize)]) {
        match self {
            Self::Identity => {}
            Self::Folded => map_spans(text, spans),
        }
    }
}

impl std::fmt::Display for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_their_views() {
        for view in View::ALL {
            assert_eq!(View::from_name(view.as_str()), Some(view));
            assert_eq!(view.to_string(), view.as_str());
        }
        assert_eq!(View::from_name("Folded"), None);
    }

    #[test]
    fn spans_of_the_identity_stay() {
        let mut spans = [(0, 2), (1, 9)];
        View::Identity.map_spans(b"  x", &mut spans);
        assert_eq!(spans, [(0, 2), (1, 9)]);
        View::Folded.map_spans(b"  x", &mut spans);
        assert_eq!(spans, [(0, 3), (2, 3)]);
    }
}
