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
    /// Whether the next byte of UTF-16 is the zero one.
    zero_next: bool,
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
        // Most units are in words and numbers, where nothing is alive and nothing begins.
        let plain = unit.bytes.iter().all(|&byte| is_plain(byte));
        if !plain || self.utf16.alive || self.state != Utf8::Start {
            self.slow(unit, reading, found);
        } else {
            let edge = self.before.unwrap_or(unit.start);
            self.text.good(unit, edge, reading(Form::Text), found);
        }
        let text = unit.bytes.last().is_some_and(|&byte| is_plain(byte) || byte >= 0x80);
        self.before = text.then_some(unit.start);
    }

    fn slow(&mut self, unit: Dense<'_>, reading: fn(Form) -> Reading, found: &mut Vec<Window>) {
        let mut good = true;
        for &byte in unit.bytes {
            self.state = self.state.step(byte).unwrap_or_else(|| {
                good = false;
                Utf8::Start.step(byte).unwrap_or_default()
            });
        }
        if good {
            let edge = self.before.unwrap_or(unit.start);
            self.text.good(unit, edge, reading(Form::Text), found);
        } else {
            self.text.end(unit.end, MIN_TEXT, unit.mixed, reading(Form::Text), found);
        }
        // UTF-16 of ASCII: every second byte is zero.
        if self.utf16.alive && !self.alternates(unit.bytes, self.zero_next) {
            self.utf16.end(unit.end, 2 * MIN_TEXT, true, reading(Form::Utf16), found);
        }
        if self.utf16.alive || self.alternates(unit.bytes, unit.bytes.first() == Some(&0)) {
            let edge = self.before.unwrap_or(unit.start);
            self.utf16.good(unit, edge, reading(Form::Utf16), found);
        }
    }

    /// Whether every second byte is zero and the others are text; `zero`: whether the first one is.
    fn alternates(&mut self, bytes: &[u8], mut zero: bool) -> bool {
        let fits = bytes.iter().all(|&byte| {
            let fits = if zero { byte == 0 } else { is_plain(byte) };
            zero = !zero;
            fits
        });
        if fits {
            self.zero_next = zero;
        }
        fits
    }

    /// The run ended at `end`.
    pub(super) fn end(
        &mut self,
        end: usize,
        mixed: bool,
        reading: fn(Form) -> Reading,
        found: &mut Vec<Window>,
    ) {
        self.text.end(end, MIN_TEXT, mixed, reading(Form::Text), found);
        self.utf16.end(end, 2 * MIN_TEXT, true, reading(Form::Utf16), found);
        *self = Self::default();
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

impl Stretch {
    fn good(&mut self, unit: Dense<'_>, edge: usize, reading: Reading, found: &mut Vec<Window>) {
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
                found.push(Window { start: self.start, end: unit.end, reading, open: true });
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
        reading: Reading,
        found: &mut Vec<Window>,
    ) {
        let told = end <= self.told || !self.ascii && !mixed;
        if self.alive && self.length >= least && !told {
            found.push(Window { start: self.start, end, reading, open: false });
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

/// How much of a character of UTF-8 was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Utf8 {
    #[default]
    Start,
    /// So many bytes in 0x80..=0xbf follow.
    Tail(u8),
    /// The second byte is at least or at most so much, and so many follow it.
    Second(u8, u8, u8),
}

impl Utf8 {
    /// `None`: the byte is no text here.
    fn step(self, byte: u8) -> Option<Self> {
        let tail = |count: u8| if count == 0 { Self::Start } else { Self::Tail(count) };
        match self {
            Self::Start => match byte {
                _ if is_plain(byte) => Some(Self::Start),
                0xc2..=0xdf => Some(Self::Tail(1)),
                0xe0 => Some(Self::Second(0xa0, 0xbf, 1)),
                0xed => Some(Self::Second(0x80, 0x9f, 1)),
                0xe1..=0xef => Some(Self::Tail(2)),
                0xf0 => Some(Self::Second(0x90, 0xbf, 2)),
                0xf1..=0xf3 => Some(Self::Tail(3)),
                0xf4 => Some(Self::Second(0x80, 0x8f, 2)),
                _ => None,
            },
            Self::Tail(count) => matches!(byte, 0x80..=0xbf).then(|| tail(count - 1)),
            Self::Second(low, high, count) => (low <= byte && byte <= high).then(|| tail(count)),
        }
    }
}
