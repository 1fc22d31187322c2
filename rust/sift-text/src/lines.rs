//! Lines and columns, as people and editors count them.

use std::ops::Range;

use crate::{ceil_char, count_chars};

/// A place in a text, both numbers counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Number of line feeds before the place, plus one.
    pub line: usize,
    /// Number of code points before the place in its line, plus one.
    pub column: usize,
}

/// Converts byte offsets of one text into lines and columns.
///
/// Nothing is read until asked, and then only as far as the question. Questions in ascending order cost
/// one pass over the text together, however long its lines are; a step back begins again. A line ends
/// with a line feed, which belongs to it; a carriage return is a character like others.
///
/// ```
/// use sift_text::{LineIndex, Position};
///
/// let mut lines = LineIndex::new("one\n– two\n".as_bytes());
/// assert_eq!(lines.position(0), Position { line: 1, column: 1 });
/// assert_eq!(lines.position(8), Position { line: 2, column: 3 });
/// assert_eq!(lines.line_of(8), 4..11);
/// ```
#[derive(Clone, Debug)]
pub struct LineIndex<'t> {
    text: &'t [u8],
    /// The last place asked for, in bytes and as it was answered.
    byte: usize,
    position: Position,
}

const BEGIN: Position = Position { line: 1, column: 1 };

impl<'t> LineIndex<'t> {
    /// An index of `text`.
    pub fn new(text: &'t [u8]) -> Self {
        Self { text, byte: 0, position: BEGIN }
    }

    /// Line and column of byte `at`. Offsets behind the end mean the end; an offset inside a character
    /// has the column of the next one.
    pub fn position(&mut self, at: usize) -> Position {
        let at = at.min(self.text.len());
        if at < self.byte {
            (self.byte, self.position) = (0, BEGIN);
        }
        let passed = self.text.get(self.byte..at).unwrap_or_default();
        let feeds = memchr::memchr_iter(b'\n', passed).count();
        let mut rest = passed;
        if feeds > 0 {
            self.position.line += feeds;
            self.position.column = 1;
            let last = memchr::memrchr(b'\n', passed).map_or(0, |feed| feed + 1);
            rest = passed.get(last..).unwrap_or_default();
        }
        self.position.column += count_chars(rest);
        self.byte = at;
        self.position
    }

    /// The bytes of the line that `at` is in, without its line feed.
    pub fn line_of(&self, at: usize) -> Range<usize> {
        let (left, right) = self.text.split_at(at.min(self.text.len()));
        let start = memchr::memrchr(b'\n', left).map_or(0, |feed| feed + 1);
        let end = left.len() + memchr::memchr(b'\n', right).unwrap_or(right.len());
        start..end
    }

    /// At most `most` bytes of the line around `at`, whole characters: what a report may look at without
    /// reading a line of megabytes.
    pub fn near(&self, at: usize, most: usize) -> Range<usize> {
        let at = at.min(self.text.len());
        let left = at.saturating_sub(most / 2);
        let right = left.saturating_add(most).min(self.text.len());
        let window = self.text.get(left..right).unwrap_or_default();
        let (before, after) = window.split_at((at - left).min(window.len()));
        let start = match memchr::memrchr(b'\n', before) {
            Some(feed) => left + feed + 1,
            None => ceil_char(self.text, left).min(at),
        };
        let end = match memchr::memchr(b'\n', after) {
            Some(feed) => at + feed,
            None => crate::floor_char(self.text, right).max(at),
        };
        start..end
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{text, Random};

    fn naive(text: &[u8], at: usize) -> Position {
        let before = &text[..at.min(text.len())];
        let start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |feed| feed + 1);
        Position {
            line: 1 + before.iter().filter(|&&byte| byte == b'\n').count(),
            column: 1 + before[start..].iter().filter(|&&byte| byte & 0xc0 != 0x80).count(),
        }
    }

    #[test]
    fn positions_in_any_order() {
        let mut random = Random::new(11);
        for round in 0..400 {
            let text = text(&mut random, round, 500);
            let mut lines = LineIndex::new(&text);
            let mut asked: Vec<usize> = (0..20).map(|_| random.below(text.len() + 3)).collect();
            if round % 3 > 0 {
                asked.sort_unstable();
            }
            for at in asked {
                assert_eq!(lines.position(at), naive(&text, at));
                let line = lines.line_of(at);
                assert!(line.start <= at.min(text.len()) && line.end >= at.min(text.len()));
                assert!(!text[line.clone()].contains(&b'\n'));
                assert!(line.start == 0 || text[line.start - 1] == b'\n');
                assert!(line.end == text.len() || text[line.end] == b'\n');
            }
        }
    }

    #[test]
    fn near_is_a_part_of_the_line_in_whole_characters() {
        let mut random = Random::new(12);
        for round in 0..400 {
            let text = text(&mut random, round, 200);
            let text = String::from_utf8_lossy(&text).into_owned();
            let lines = LineIndex::new(text.as_bytes());
            for most in [0, 1, 2, 10, 64, 1000, usize::MAX] {
                let at = random.below(text.len() + 2);
                let (part, line) = (lines.near(at, most), lines.line_of(at));
                assert!(part.len() <= most && part.start >= line.start && part.end <= line.end);
                if text.is_char_boundary(at) {
                    assert!(text.get(part.clone()).is_some(), "{part:?} of {at}, {most}");
                }
                if most >= 1000 {
                    assert_eq!(part, line);
                }
            }
        }
    }
}
