//! Decoders of texts in which few units stand for something else: where windows begin and end.

use super::gate::Gate;
use super::{Encoding, Open, Piece, Reading, Window, REACH, STRIDE, WINDOW};

/// What the units of a sparse decoder are.
///
/// Whatever is asked about a place depends on at most [`BEHIND`] bytes before it and on a bounded number
/// behind it.
pub(super) trait Grammar {
    /// Whether quiet units that stand directly in front of a loud one are decoded with it: letters of one
    /// alphabet. Otherwise a window is literal up to the loud one.
    const JOINS: bool;

    /// What a [`Gate`] marks blocks with that may have a loud unit.
    const MARK: u8;

    /// Whether a unit that matters may reach from this byte into what follows it: any other byte stands between
    /// units, or in a quiet one of which the rest is none.
    fn goes_on(byte: u8) -> bool;

    /// The next place at or behind `from` where a unit could begin, or the end.
    fn skip(text: &[u8], from: usize) -> usize;

    /// What begins at `at`, where [`skip`](Self::skip) stopped.
    fn parse(text: &[u8], at: usize, finished: bool) -> Parsed;
}

/// Bytes of quiet units in front of a loud one that are decoded with it.
const MOST_QUIET: usize = 64;

/// Bytes in front of a place that a grammar may look at.
pub(super) const BEHIND: usize = 64;

/// What begins at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parsed {
    Unit(Unit),
    /// Bytes up to here that stand for themselves.
    Literal(usize),
    /// What follows has to be seen first.
    Unknown,
}

/// An encoding unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unit {
    pub(super) end: usize,
    pub(super) bytes: [u8; 4],
    pub(super) length: u8,
    pub(super) encoding: Encoding,
    /// Whether it opens a window.
    pub(super) loud: bool,
}

impl Unit {
    /// A unit that stands for nothing.
    pub(super) fn empty(end: usize, encoding: Encoding, loud: bool) -> Self {
        Self { end, bytes: [0; 4], length: 0, encoding, loud }
    }

    /// A unit that stands for one byte.
    pub(super) fn byte(end: usize, byte: u8, encoding: Encoding, loud: bool) -> Self {
        Self { end, bytes: [byte, 0, 0, 0], length: 1, encoding, loud }
    }

    /// A unit that stands for a character.
    pub(super) fn character(end: usize, it: char, encoding: Encoding, loud: bool) -> Self {
        let mut bytes = [0; 4];
        let length = it.encode_utf8(&mut bytes).len() as u8;
        Self { end, bytes, length, encoding, loud }
    }
}

/// Longest word behind the last loud unit that is decoded with it, in bytes beyond [`REACH`].
const TAIL: usize = STRIDE;

/// Whether a token goes on with this byte.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'+' | b'/' | b'=' | b'~')
}

/// Finds the windows around loud units.
#[derive(Clone, Debug)]
pub(super) struct Sparse<G> {
    reading: Reading,
    /// Read up to here, a place between units.
    at: usize,
    /// Where quiet units begin that end at `at`.
    quiet: Option<usize>,
    /// Units that end here or before are taken for what they are written with.
    literal: usize,
    region: Option<Region>,
    grammar: std::marker::PhantomData<G>,
}

/// Loud units near one another.
#[derive(Clone, Copy, Debug)]
struct Region {
    /// Where the window begins that will be told next.
    start: usize,
    /// Where the one after it will begin.
    next: Option<usize>,
    /// First loud unit.
    first: usize,
    /// End of the last loud unit.
    last: usize,
    /// The region does not end before.
    end: usize,
    /// End of the last window told.
    told: usize,
}

impl<G: Grammar> Sparse<G> {
    pub(super) fn new(reading: Reading, literal: usize) -> Self {
        Self {
            reading,
            at: 0,
            quiet: None,
            literal,
            region: None,
            grammar: std::marker::PhantomData,
        }
    }

    pub(super) fn advance(&mut self, text: &[u8], finished: bool, found: &mut Vec<Window>) {
        self.advance_by(text, finished, None, found);
    }

    /// As [`advance`](Self::advance); `gate` says of a whole text where a loud unit may begin.
    pub(super) fn advance_by(
        &mut self,
        text: &[u8],
        finished: bool,
        gate: Option<&Gate>,
        found: &mut Vec<Window>,
    ) {
        loop {
            if let (Some(gate), None) = (gate, &self.region) {
                let mut from = gate.next(G::MARK, self.at).min(text.len());
                // Back to a place between units.
                let before = |at: usize| text.get(at - 1).copied().is_some_and(G::goes_on);
                while from > self.at && before(from) {
                    from -= 1;
                }
                if from > self.at {
                    (self.at, self.quiet) = (from, None);
                }
            }
            let next = G::skip(text, self.at);
            if let Some(region) = &mut self.region {
                let close = region.ends(text, finished);
                region.passes(self.at, next.min(close), self.reading, found);
                if next >= close {
                    region.close(close, self.reading, found);
                    self.region = None;
                }
            }
            if next > self.at {
                self.quiet = None;
            }
            self.at = next;
            if next >= text.len() {
                if let Some(region) = self.region.take_if(|_| finished) {
                    region.close(next, self.reading, found);
                }
                return;
            }
            let (end, unit, loud) = match G::parse(text, next, finished) {
                Parsed::Unit(unit) if unit.end <= self.literal => (unit.end, false, false),
                Parsed::Unit(unit) => (unit.end, true, unit.loud),
                Parsed::Literal(end) => (end, false, false),
                Parsed::Unknown => return,
            };
            // Far back they are let go: a stream would hold them for ever.
            let quiet = self.quiet.filter(|&from| unit && next - from < MOST_QUIET);
            self.quiet = (G::JOINS && unit && !loud).then(|| quiet.unwrap_or(next));
            if loud {
                let first = quiet.unwrap_or(next);
                let region = self.region.get_or_insert(Region {
                    start: first.saturating_sub(REACH),
                    next: None,
                    first,
                    last: end,
                    end: 0,
                    told: 0,
                });
                (region.last, region.end) = (end, end + REACH);
            }
            if let Some(region) = &mut self.region {
                region.passes(end, end, self.reading, found);
                if end >= region.ends(text, finished) {
                    region.close(end, self.reading, found);
                    self.region = None;
                }
            }
            self.at = end;
        }
    }

    pub(super) fn held(&self) -> usize {
        let open = self.unit();
        self.region.map_or(open, |region| region.first.max(region.start).min(open))
    }

    /// A unit that is not whole, or that a loud one may join, begins here or later.
    pub(super) fn unit(&self) -> usize {
        self.quiet.unwrap_or(self.at)
    }

    /// The region of which windows are still to be told.
    pub(super) fn open(&self) -> Option<Open> {
        let Region { start, next, first, .. } = self.region?;
        Some(Open { reading: self.reading, start, next, first, read: self.at })
    }

    pub(super) fn buffer(&self) -> usize {
        let reach = self.unit().saturating_sub(REACH);
        let start = self.region.map_or(reach, |region| region.start.min(reach));
        start.saturating_sub(BEHIND)
    }

    pub(super) fn dropped(&mut self, count: usize) {
        self.at = self.at.saturating_sub(count);
        self.quiet = self.quiet.map(|at| at.saturating_sub(count));
        if let Some(region) = &mut self.region {
            region.start = region.start.saturating_sub(count);
            region.next = region.next.map(|at| at.saturating_sub(count));
            region.first = region.first.saturating_sub(count);
            region.last = region.last.saturating_sub(count);
            region.end = region.end.saturating_sub(count);
            region.told = region.told.saturating_sub(count);
        }
    }
}

impl Region {
    /// Where the region ends if no loud unit follows: behind the word in which [`REACH`] bytes behind the last one
    /// are, for of a token often only the beginning holds a unit. A place beyond the text if that is not known yet.
    fn ends(&mut self, text: &[u8], finished: bool) -> usize {
        let most = self.last + REACH + TAIL;
        let rest = text.get(self.end..text.len().min(most)).unwrap_or_default();
        self.end += rest.iter().take_while(|&&byte| is_word(byte)).count();
        if self.end < text.len() || self.end >= most || finished {
            self.end
        } else {
            usize::MAX
        }
    }

    /// All places from `from` to `to` are between units.
    fn passes(&mut self, from: usize, to: usize, reading: Reading, found: &mut Vec<Window>) {
        loop {
            if self.next.is_none() && self.start + STRIDE <= to {
                self.next = Some(from.max(self.start + STRIDE));
            }
            if self.start + WINDOW > to {
                return;
            }
            let end = from.max(self.start + WINDOW);
            found.push(self.window(end, reading, true));
            self.told = end;
            self.start = self.next.take().unwrap_or(end);
        }
    }

    fn window(&self, end: usize, reading: Reading, open: bool) -> Window {
        Window { start: self.start, literal: self.start.max(self.first), end, reading, open }
    }

    fn close(self, end: usize, reading: Reading, found: &mut Vec<Window>) {
        if end > self.told {
            found.push(self.window(end, reading, false));
        }
    }
}

/// The pieces of a window.
pub(super) fn pieces<G: Grammar>(text: &[u8], window: Window, tell: &mut dyn FnMut(Piece<'_>)) {
    let Window { start, literal: mut at, end, .. } = window;
    let literal = |from: usize, to: usize, tell: &mut dyn FnMut(Piece<'_>)| {
        if let Some(bytes) = text.get(from..to).filter(|bytes| !bytes.is_empty()) {
            tell(Piece::Literal { start: from, bytes });
        }
    };
    let mut from = start;
    while at < end {
        at = G::skip(text.get(..end).unwrap_or(text), at);
        if at >= end {
            break;
        }
        match G::parse(text, at, true) {
            Parsed::Unit(unit) if unit.end <= end => {
                literal(from, at, tell);
                let bytes = unit.bytes.get(..usize::from(unit.length)).unwrap_or_default();
                tell(Piece::Unit { start: at, end: unit.end, bytes, encoding: unit.encoding });
                at = unit.end;
                from = at;
            }
            Parsed::Literal(next) => at = next,
            Parsed::Unit(_) | Parsed::Unknown => break,
        }
    }
    literal(from, end, tell);
}
