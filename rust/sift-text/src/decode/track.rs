//! Which stretches of decoded bytes read as text: the filter of dense decoders, and the cut into windows.
//!
//! Fed unit by unit, so it works the same on a whole run and on one that comes in pieces.

use super::{Form, Reading, Window, MIN_TEXT, STRIDE, WINDOW};

/// The stretches of one phase.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Phase {
    text: Stretch,
    utf16: Stretch,
    /// Where in a character of UTF-8 the last byte was.
    state: Utf8,
    /// Whether the next byte of UTF-16 is the second of its character, and what the first one was.
    second: bool,
    first: u8,
    /// Whether the high byte of a character comes first.
    big: bool,
    /// Where the last unit began, if its last byte is text: a stretch may begin there.
    before: Option<usize>,
}

/// A unit of a dense decoder.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dense<'a> {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) bytes: &'a [u8],
    /// Whether the run so far may hold text that is not ASCII.
    pub(super) mixed: bool,
}

/// A stretch that is being read.
#[derive(Clone, Copy, Debug, Default)]
struct Stretch {
    alive: bool,
    /// Where the window begins that will be told next.
    start: usize,
    /// Where the one after it will begin.
    next: Option<usize>,
    /// Bytes of text so far.
    length: usize,
    /// End of the last window told.
    told: usize,
    /// Whether all bytes are ASCII.
    ascii: bool,
}

impl Phase {
    /// Reads a unit. `reading` makes the reading of a window.
    #[inline]
    pub(super) fn unit(
        &mut self,
        unit: Dense<'_>,
        reading: fn(Form) -> Reading,
        found: &mut Vec<Window>,
    ) {
        let mut good = true;
        for &byte in unit.bytes {
            self.state = match self.state.step(byte) {
                Utf8::BROKEN => {
                    good = false;
                    Utf8::default().again(byte)
                }
                state => state,
            };
        }
        // Of noise most units end here: nothing is alive and nothing begins.
        if good || self.text.alive || self.utf16.alive || unit.bytes.iter().any(|&it| is_high(it)) {
            self.heard(unit, good, reading, found);
        }
        let text = unit.bytes.last().is_some_and(|&byte| is_plain(byte) || byte >= 0x80);
        self.before = text.then_some(unit.start);
    }

    /// A unit that goes on, ends or begins a stretch; `good`: whether all of it reads as UTF-8.
    fn heard(
        &mut self,
        unit: Dense<'_>,
        good: bool,
        reading: fn(Form) -> Reading,
        found: &mut Vec<Window>,
    ) {
        if good {
            let edge = self.before.unwrap_or(unit.start);
            self.text.good(unit, edge, Form::Text, reading, found);
        } else {
            self.text.end(unit.end, MIN_TEXT, unit.mixed, Form::Text, reading, found);
        }
        // UTF-16 of letters: every second byte is one of a few.
        if self.utf16.alive && !self.alternates(unit.bytes) {
            self.utf16.end(unit.end, 2 * MIN_TEXT, true, Form::Utf16, reading, found);
        }
        if self.utf16.alive || self.begins(unit.bytes) {
            let edge = self.before.unwrap_or(unit.start);
            self.utf16.good(unit, edge, Form::Utf16, reading, found);
        }
    }

    /// Whether UTF-16 may begin with these bytes.
    fn begins(&mut self, bytes: &[u8]) -> bool {
        let is_high = |at: usize| bytes.get(at).is_some_and(|&byte| is_high(byte));
        // Two of three bytes may be the high ones, so which is tried first is no matter but for one.
        let orders = match bytes.len() {
            0 => return false,
            // Which of two single bytes is the high one is only sure of zeros.
            1 => [(true, bytes == [0]), (false, false)],
            _ => [(false, is_high(1)), (true, is_high(0))],
        };
        orders.into_iter().filter(|(_, high)| *high).any(|(big, _)| {
            (self.second, self.big) = (false, big);
            self.alternates(bytes)
        })
    }

    /// Whether the bytes go on as characters of UTF-16 that are letters.
    fn alternates(&mut self, bytes: &[u8]) -> bool {
        bytes.iter().all(|&byte| {
            let first = std::mem::replace(&mut self.first, byte);
            self.second = !self.second;
            if self.second {
                // The high byte decides alone, but for that of Latin letters.
                return !self.big || is_high(byte);
            }
            let (high, low) = if self.big { (first, byte) } else { (byte, first) };
            is_high(high) && (high != 0 || is_plain(low) || low >= 0xa0)
        })
    }

    /// The run ended at `end`.
    pub(super) fn end(
        &mut self,
        end: usize,
        mixed: bool,
        reading: fn(Form) -> Reading,
        found: &mut Vec<Window>,
    ) {
        self.text.end(end, MIN_TEXT, mixed, Form::Text, reading, found);
        self.utf16.end(end, 2 * MIN_TEXT, true, Form::Utf16, reading, found);
        *self = Self::default();
    }

    /// Whether a window would be told if the run ended now.
    pub(super) fn may_end(&self) -> bool {
        let long = |stretch: &Stretch, least| stretch.alive && stretch.length >= least;
        long(&self.text, MIN_TEXT) || long(&self.utf16, 2 * MIN_TEXT)
    }

    /// Where the first window begins that may yet be told, if one may.
    pub(super) fn held(&self) -> Option<usize> {
        let utf16 = self.utf16.alive.then_some(self.utf16.start);
        let text = self.text.alive.then_some(self.text.start);
        // A stretch that begins with the next unit takes this one along.
        [utf16, text, self.before].into_iter().flatten().min()
    }

    pub(super) fn dropped(&mut self, count: usize) {
        self.text.dropped(count);
        self.utf16.dropped(count);
        self.before = self.before.map(|at| at.saturating_sub(count));
    }
}

/// The windows of a run that ends at its last line break, should what follows be no line of it.
///
/// A value at the end of a line and a word at the beginning of the next one look like a wrapped run. The lines of
/// one have the same length, but for the last: where the next line has not, both readings are told.
#[derive(Clone, Debug, Default)]
pub(super) struct Cut {
    windows: Vec<Window>,
    /// Characters of the line before the break.
    line: usize,
}

impl Cut {
    /// A line of `line` characters ended; `windows` adds those of a run that ends there.
    pub(super) fn at_break(
        &mut self,
        line: usize,
        found: &mut Vec<Window>,
        windows: impl FnOnce(&mut Vec<Window>),
    ) {
        self.at_line(line, found);
        windows(&mut self.windows);
        self.line = line;
    }

    /// The line behind the break has `line` characters, or the run has ended with it.
    pub(super) fn at_line(&mut self, line: usize, found: &mut Vec<Window>) {
        if line != self.line {
            found.append(&mut self.windows);
        }
        self.windows.clear();
    }

    pub(super) fn held(&self) -> Option<usize> {
        self.windows.iter().map(|window| window.start).min()
    }

    pub(super) fn dropped(&mut self, count: usize) {
        for window in &mut self.windows {
            window.start = window.start.saturating_sub(count);
            window.literal = window.literal.saturating_sub(count);
            window.end = window.end.saturating_sub(count);
        }
    }
}

impl Stretch {
    fn good(
        &mut self,
        unit: Dense<'_>,
        edge: usize,
        form: Form,
        reading: fn(Form) -> Reading,
        found: &mut Vec<Window>,
    ) {
        if !self.alive {
            *self = Self { alive: true, ascii: true, start: edge, ..Self::default() };
        }
        self.length = self.length.saturating_add(unit.bytes.len());
        self.ascii &= unit.bytes.is_ascii();
        if self.next.is_none() && unit.start >= self.start + STRIDE {
            self.next = Some(unit.start);
        }
        if unit.end >= self.start + WINDOW {
            if self.ascii || unit.mixed {
                found.push(Window {
                    start: self.start,
                    literal: self.start,
                    end: unit.end,
                    reading: reading(form),
                    open: true,
                });
            }
            self.told = unit.end;
            self.start = self.next.take().unwrap_or(unit.start);
        }
    }

    fn end(
        &mut self,
        end: usize,
        least: usize,
        mixed: bool,
        form: Form,
        reading: fn(Form) -> Reading,
        found: &mut Vec<Window>,
    ) {
        let told = end <= self.told || !self.ascii && !mixed;
        if self.alive && self.length >= least && !told {
            let start = self.start;
            found.push(Window { start, literal: start, end, reading: reading(form), open: false });
        }
        self.alive = false;
    }

    fn dropped(&mut self, count: usize) {
        self.start = self.start.saturating_sub(count);
        self.told = self.told.saturating_sub(count);
        self.next = self.next.map(|at| at.saturating_sub(count));
    }
}

/// A character of text that is one byte: printable ASCII, tabulator, line ends.
#[inline]
pub(super) const fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~' | b'\t' | b'\n' | b'\r')
}

/// The high bytes of alphabets in UTF-16: Latin, Greek, Cyrillic, Hebrew, Arabic, those of India, Thai, Lao,
/// Tibetan, Burmese; punctuation, and the signs of China and Japan. Han and Hangul have too many to be told by.
#[inline]
pub(super) const fn is_high(byte: u8) -> bool {
    matches!(byte, 0..=6 | 9..=14 | 0x20 | 0x30)
}

/// Counts how many bytes in a row are text, and nothing more: a quick look before a [`Phase`] reads them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Glance {
    state: Utf8,
    pub(super) length: usize,
}

impl Glance {
    #[inline]
    pub(super) fn byte(&mut self, byte: u8) {
        match self.state.step(byte) {
            Utf8::BROKEN => *self = Self { state: Utf8::default().again(byte), length: 0 },
            state => *self = Self { state, length: self.length + 1 },
        }
    }
}

/// How much of a character of UTF-8 was read: what may follow.
///
/// 0: a character begins; 1 to 3: so many bytes from 0x80 to 0xbf follow; the others: the second byte of a
/// character of which too much would be overlong, a surrogate, or beyond Unicode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Utf8(u8);

/// The states after [`Utf8`]'s 0 to 3: lowest and highest second byte, and the state behind it.
const SECOND: [(u8, u8, u8); 4] =
    [(0xa0, 0xbf, 1), (0x80, 0x9f, 1), (0x90, 0xbf, 2), (0x80, 0x8f, 2)];

/// What each state becomes with each byte.
static STEPS: [[u8; 256]; 8] = {
    let mut table = [[Utf8::BROKEN.0; 256]; 8];
    let mut state = 0;
    while state < 8 {
        let mut byte = 0;
        while byte < 256 {
            let tail = byte & 0xc0 == 0x80;
            table[state][byte] = match (state, byte as u8) {
                (0, 0xc2..=0xdf) => 1,
                (0, 0xe0) => 4,
                (0, 0xed) => 5,
                (0, 0xe1..=0xef) => 2,
                (0, 0xf0) => 6,
                (0, 0xf1..=0xf3) => 3,
                (0, 0xf4) => 7,
                (0, it) if is_plain(it) => 0,
                (1..=3, _) if tail => state as u8 - 1,
                (4..=7, it) if SECOND[state - 4].0 <= it && it <= SECOND[state - 4].1 => {
                    SECOND[state - 4].2
                }
                _ => Utf8::BROKEN.0,
            };
            byte += 1;
        }
        state += 1;
    }
    table
};

impl Utf8 {
    /// The byte is no text here.
    const BROKEN: Self = Self(0xff);

    #[inline]
    fn step(self, byte: u8) -> Self {
        Self(STEPS[usize::from(self.0 & 7)][usize::from(byte)])
    }

    /// The state behind `byte` when what stood before it was broken.
    fn again(self, byte: u8) -> Self {
        match self.step(byte) {
            Self::BROKEN => Self::default(),
            state => state,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text in the sense of the filter is what the standard library takes for UTF-8, without controls.
    #[test]
    fn text_is_utf8_without_control_characters() {
        let check = |bytes: &[u8]| {
            let mut state = Utf8::default();
            let whole = bytes.iter().all(|&byte| {
                state = state.step(byte);
                state != Utf8::BROKEN
            });
            let expected = std::str::from_utf8(bytes).is_ok_and(|text| {
                let plain = |it: char| !it.is_ascii_control() || matches!(it, '\t' | '\n' | '\r');
                text.chars().all(plain)
            });
            assert_eq!(whole && state == Utf8::default(), expected, "{bytes:x?}");
        };
        for first in 0..=0xff {
            check(&[first]);
            for second in 0..=0xff {
                check(&[first, second]);
                for third in [0, b'a', 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff] {
                    check(&[first, second, third]);
                    check(&[first, second, third, 0x80]);
                    check(&[b'a', first, second, third, 0xbf]);
                }
            }
        }
    }
}
