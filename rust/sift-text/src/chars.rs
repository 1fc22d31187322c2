//! Characters: where they begin, and how many stand before an offset.
//!
//! The core counts bytes of UTF-8, Python and people count code points. A code point is counted by its
//! one byte that is no continuation byte (`80..BF`), so counting is a sum over bytes, and does not care
//! whether the text is valid.

/// The nearest offset at or before `at` that is not inside a character.
///
/// Inside means: behind a lead byte that announces more bytes than stand between it and `at`, with
/// nothing but continuation bytes between. Any text will do; in valid UTF-8 the answer is a character
/// boundary. Offsets behind the end mean the end.
///
/// ```
/// let text = "a\u{20ac}b".as_bytes(); // the euro sign is three bytes, 1..4
/// assert_eq!(sift_text::floor_char(text, 3), 1);
/// assert_eq!(sift_text::ceil_char(text, 3), 4);
/// assert_eq!(sift_text::floor_char(b"\x80\x80", 1), 1); // stray bytes belong to nobody
/// ```
#[inline]
pub fn floor_char(text: &[u8], at: usize) -> usize {
    match text.get(at) {
        None => text.len(),
        Some(byte) if !is_continuation(*byte) => at,
        Some(_) => around(text, at).0,
    }
}

/// The nearest offset at or after `at` that is not inside a character. See [`floor_char`].
#[inline]
pub fn ceil_char(text: &[u8], at: usize) -> usize {
    match text.get(at) {
        None => text.len(),
        Some(byte) if !is_continuation(*byte) => at,
        Some(_) => around(text, at).1,
    }
}

/// Start and end of the character that the continuation byte at `at` is in; `(at, at)` for a stray one.
#[cold]
fn around(text: &[u8], at: usize) -> (usize, usize) {
    for back in 1..=3.min(at) {
        let start = at - back;
        let Some(&byte) = text.get(start) else { break };
        if is_continuation(byte) {
            continue;
        }
        let width = match byte {
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            _ => 1,
        };
        if width <= back {
            break;
        }
        let most = (start + width).min(text.len());
        let tail = text.get(at..most).unwrap_or_default();
        return (start, at + tail.iter().take_while(|&&byte| is_continuation(byte)).count());
    }
    (at, at)
}

#[inline]
fn is_continuation(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}

/// Number of code points in `text`: of bytes that are no continuation bytes.
///
/// ```
/// assert_eq!(sift_text::count_chars("naïve".as_bytes()), 5);
/// ```
#[inline]
pub fn count_chars(text: &[u8]) -> usize {
    // The count of a block fits a byte: the loop adds vectors of bytes. Wrapping, because a check for
    // overflow would keep it from that.
    const BLOCK: usize = 192;
    let counted = |block: &[u8]| {
        let inside =
            block.iter().fold(0_u8, |n, &byte| n.wrapping_add(u8::from(is_continuation(byte))));
        block.len() - usize::from(inside)
    };
    text.chunks(BLOCK).map(counted).sum()
}

/// Converts byte offsets of one text into code points.
///
/// In an ASCII text, which is found out once, the two are the same. Otherwise each question counts from
/// the last one, forwards or backwards, or from the beginning if that is nearer.
///
/// ```
/// let mut chars = sift_text::CharIndex::new("§ 12 – x".as_bytes());
/// assert!(!chars.is_ascii());
/// assert_eq!(chars.offset(0), 0);
/// assert_eq!(chars.offset(3), 2);
/// assert_eq!(chars.span(6, 8), (5, 6)); // from inside the dash to inside it: the whole dash
/// ```
#[derive(Clone, Debug)]
pub struct CharIndex<'t> {
    text: &'t [u8],
    ascii: bool,
    byte: usize,
    point: usize,
}

impl<'t> CharIndex<'t> {
    /// An index of `text`. Looks through it once, up to the first byte above ASCII.
    pub fn new(text: &'t [u8]) -> Self {
        Self { text, ascii: text.is_ascii(), byte: 0, point: 0 }
    }

    /// An index of a text of which the caller knows whether it is all ASCII, as Python does of its
    /// strings. A wrong `true` gives wrong numbers, nothing worse.
    pub fn with_ascii(text: &'t [u8], ascii: bool) -> Self {
        Self { text, ascii, byte: 0, point: 0 }
    }

    /// Whether offsets in bytes and in code points are the same.
    pub fn is_ascii(&self) -> bool {
        self.ascii
    }

    /// Number of code points that begin before byte `at`. Offsets behind the end mean the end.
    pub fn offset(&mut self, at: usize) -> usize {
        let at = at.min(self.text.len());
        if self.ascii {
            return at;
        }
        if at < self.byte / 2 {
            (self.byte, self.point) = (0, 0);
        }
        let between =
            |from: usize, to: usize| count_chars(self.text.get(from..to).unwrap_or_default());
        if at >= self.byte {
            self.point += between(self.byte, at);
        } else {
            self.point -= between(at, self.byte);
        }
        self.byte = at;
        self.point
    }

    /// The span of bytes `start..end`, widened to whole characters, in code points.
    pub fn span(&mut self, start: usize, end: usize) -> (usize, usize) {
        if self.ascii {
            return (start.min(self.text.len()), end.min(self.text.len()));
        }
        let first = self.offset(floor_char(self.text, start));
        (first, self.offset(ceil_char(self.text, end)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{text, Random};

    fn valid(random: &mut Random, flavour: usize, length: usize) -> String {
        String::from_utf8_lossy(&text(random, flavour, length)).into_owned()
    }

    #[test]
    fn boundaries_of_valid_text_are_those_of_str() {
        let mut random = Random::new(8);
        for round in 0..600 {
            let text = valid(&mut random, round, 60);
            for at in 0..=text.len() + 3 {
                let inside = at.min(text.len());
                let floor = (0..=inside).rev().find(|&i| text.is_char_boundary(i)).unwrap();
                let ceil = (inside..=text.len()).find(|&i| text.is_char_boundary(i)).unwrap();
                assert_eq!(floor_char(text.as_bytes(), at), floor);
                assert_eq!(ceil_char(text.as_bytes(), at), ceil);
            }
        }
    }

    #[test]
    fn boundaries_of_any_bytes_are_near_and_stable() {
        let mut random = Random::new(9);
        for round in 0..2000 {
            let text = text(&mut random, round, 40);
            for at in 0..=text.len() {
                let (floor, ceil) = (floor_char(&text, at), ceil_char(&text, at));
                assert!(floor <= at && at <= ceil && at - floor <= 3 && ceil - at <= 3);
                assert_eq!(floor == at, ceil == at, "inside for both or for neither");
                assert_eq!(floor_char(&text, floor), floor);
                assert_eq!(ceil_char(&text, ceil), ceil);
                assert_eq!(floor_char(&text, ceil), ceil, "{text:x?} {at}");
            }
        }
    }

    #[test]
    fn a_character_cut_short_is_one_all_the_same() {
        assert_eq!((floor_char(b"\xe2\x82", 1), ceil_char(b"\xe2\x82", 1)), (0, 2));
        assert_eq!((floor_char(b"\xe2\x82A", 1), ceil_char(b"\xe2\x82A", 1)), (0, 2));
        assert_eq!((floor_char(b"A\x82", 1), ceil_char(b"A\x82", 1)), (1, 1));
        assert_eq!((floor_char(b"\xc3\x82\x82", 2), ceil_char(b"\xc3\x82\x82", 2)), (2, 2));
        assert_eq!((floor_char(b"", 5), ceil_char(b"", 5)), (0, 0));
    }

    #[test]
    fn code_points_are_those_of_str_in_any_order() {
        let mut random = Random::new(10);
        for round in 0..300 {
            let text = valid(&mut random, round, 1000);
            assert_eq!(count_chars(text.as_bytes()), text.chars().count());
            let mut chars = CharIndex::new(text.as_bytes());
            assert_eq!(chars.is_ascii(), text.is_ascii());
            for _ in 0..20 {
                let at = random.below(text.len() + 3);
                let begun = text.char_indices().filter(|&(i, _)| i < at).count();
                assert_eq!(chars.offset(at), begun);
                let end = at + random.below(20);
                let (floor, ceil) =
                    (floor_char(text.as_bytes(), at), ceil_char(text.as_bytes(), end));
                let want = (text[..floor].chars().count(), text[..ceil].chars().count());
                assert_eq!(chars.span(at, end), want);
            }
        }
    }

    #[test]
    fn ascii_is_the_same_number() {
        let text = "plain text, nothing else".repeat(20);
        let mut known = CharIndex::with_ascii(text.as_bytes(), true);
        let mut found = CharIndex::new(text.as_bytes());
        for at in [0, 7, text.len(), 3, text.len() + 9] {
            assert_eq!(known.offset(at), at.min(text.len()));
            assert_eq!(found.offset(at), at.min(text.len()));
        }
        assert_eq!(known.span(3, 9), (3, 9));
    }
}
