//! Hexadecimal digits: in one run, or in pairs with something between them.

use super::gate::{self, Gate};
use super::runs::{class, line_break, next_run, seek_run, Break, Class, LINE};
use super::track::{is_high, Cut, Dense, Glance, Phase};
use super::{hex_value, inflate, Encoding, Piece, Reading, Window, MIN_TEXT};

/// Shortest run that can be a line of one that holds [`MIN_TEXT`] bytes.
const LEAST: usize = LINE;
const _: () = assert!(LEAST <= 2 * MIN_TEXT && LEAST == gate::RUN);

/// Digits and what a bare line break is made of.
const CLASS: Class = class(b"0123456789abcdefABCDEF\r\n");

fn is_digit(byte: u8) -> bool {
    hex_value(byte).is_some()
}

/// Whether no window can be in the bytes of `CLASS` from `start` on, and up to where that was looked at: hashes and numbers.
fn barren(text: &[u8], start: usize, finished: bool) -> (bool, usize) {
    let rest = text.get(start..).unwrap_or_default();
    let (mut phases, mut digits, mut high) = ([Glance::default(); 2], 0, 0);
    let (mut last, mut before, mut line) = (0, b'\n', 0);
    for (at, &byte) in rest.iter().enumerate() {
        if matches!(byte, b'\r' | b'\n') {
            (before, line) = (byte, 0);
            continue;
        }
        let Some(digit) = hex_value(byte) else {
            // A break may lead on to another line.
            let leads_on = byte == b'\\' || before == b'\n' && matches!(byte, b' ' | b'\t');
            return (!leads_on, start + at);
        };
        last = last << 4 | digit;
        line += 1;
        digits += 1;
        let phase = &mut phases[digits % 2];
        phase.byte(last);
        high += usize::from(is_high(last));
        let packed = line == 2 && matches!(last, 0x1f | 0x78);
        if phase.length >= MIN_TEXT || high >= MIN_TEXT / 2 || packed {
            return (false, start + at);
        }
        before = byte;
    }
    (finished, text.len())
}

/// Reads runs of digits; each digit ends a pair in one of the two phases.
#[derive(Clone, Debug)]
pub(super) struct Hex {
    at: usize,
    /// Up to here [`barren`] looked.
    looked: usize,
    /// Digits of the run so far, 0 outside of runs.
    length: usize,
    /// Digits since the last line break.
    line: usize,
    /// The last digit, and where it stood.
    last: u8,
    place: usize,
    /// The first pairs of the run: they tell compressed data.
    head: [u8; 3],
    start: usize,
    phases: [Phase; 2],
    cut: Cut,
    packed: inflate::Run,
}

impl Hex {
    pub(super) fn new(packed_bytes: usize) -> Self {
        Self {
            at: 0,
            looked: 0,
            length: 0,
            line: 0,
            last: 0,
            place: 0,
            head: [0; 3],
            start: 0,
            phases: [Phase::default(); 2],
            cut: Cut::default(),
            packed: inflate::Run::new(packed_bytes),
        }
    }

    pub(super) fn advance(&mut self, text: &[u8], finished: bool, found: &mut Vec<Window>) {
        self.advance_by(text, finished, None, found);
    }

    /// As [`advance`](Self::advance); `gate` says of a whole text where runs are.
    pub(super) fn advance_by(
        &mut self,
        text: &[u8],
        finished: bool,
        gate: Option<&Gate>,
        found: &mut Vec<Window>,
    ) {
        loop {
            if self.length == 0 {
                self.at = match gate {
                    Some(gate) => seek_run(text, self.at, &CLASS, LEAST, gate, gate::HEX),
                    None => next_run(text, self.at, &CLASS, LEAST),
                };
                // Short lines are runs of their own: bytes that were looked at once are not again.
                if self.at >= self.looked {
                    let (barren, end) = barren(text, self.at, finished);
                    self.looked = end;
                    if barren && end > self.at {
                        self.at = end;
                        continue;
                    }
                }
            }
            while let Some(digit) = text.get(self.at).copied().and_then(hex_value) {
                self.digit(digit, found);
            }
            match line_break(text, self.at, self.line, finished, is_digit) {
                Break::Joins(width) => {
                    let (mut phases, at) = (self.phases, self.at);
                    self.cut.at_break(self.line, found, |found| {
                        for phase in phases.iter_mut().filter(|phase| phase.may_end()) {
                            phase.end(at, true, Reading::Hex, found);
                        }
                    });
                    self.at += width;
                    self.line = 0;
                    continue;
                }
                Break::Unknown if self.length > 0 => return,
                Break::Unknown | Break::Ends => {}
            }
            let more = self.at < text.len();
            if self.length > 0 && (more || finished) {
                self.cut.at_line(self.line, found);
                for phase in &mut self.phases {
                    phase.end(self.at, true, Reading::Hex, found);
                }
                self.packed.end(self.at, Reading::Hex, found);
                self.length = 0;
                self.line = 0;
            }
            if !more {
                return;
            }
            self.at += 1;
        }
    }

    #[inline]
    fn digit(&mut self, digit: u8, found: &mut Vec<Window>) {
        let byte = self.last << 4 | digit;
        let start = std::mem::replace(&mut self.place, self.at);
        self.last = digit;
        self.at += 1;
        self.length += 1;
        self.line += 1;
        match self.length {
            1 => {
                self.start = self.place;
                return;
            }
            2 | 4 | 6 => {
                self.head[self.length / 2 - 1] = byte;
                if self.length == 6 {
                    self.packed.begin(self.start, &self.head);
                }
            }
            _ => {}
        }
        let unit = Dense { start, end: self.at, bytes: &[byte], mixed: true };
        self.phases[self.length % 2].unit(unit, Reading::Hex, found);
        self.packed.grows(self.at, Reading::Hex, found);
    }

    pub(super) fn held(&self) -> usize {
        if self.length == 0 {
            return self.at;
        }
        let phases = self.phases.iter().filter_map(Phase::held).chain(self.cut.held());
        // Until six digits were read, all of them may begin compressed data.
        let open = if self.length < 6 { self.start } else { self.place };
        phases.chain([open]).chain(self.packed.held()).min().unwrap_or(self.at)
    }

    pub(super) fn dropped(&mut self, count: usize) {
        self.at = self.at.saturating_sub(count);
        self.looked = self.looked.saturating_sub(count);
        self.place = self.place.saturating_sub(count);
        self.start = self.start.saturating_sub(count);
        self.phases.iter_mut().for_each(|phase| phase.dropped(count));
        self.cut.dropped(count);
        self.packed.dropped(count);
    }
}

/// The pairs of a window: `text` ends where it ends.
pub(super) fn pieces(text: &[u8], start: usize, tell: &mut dyn FnMut(Piece<'_>)) {
    let (mut at, mut line) = (start, usize::MAX);
    let mut half: Option<(usize, u8)> = None;
    while let Some(&byte) = text.get(at) {
        let Some(digit) = hex_value(byte) else {
            match line_break(text, at, line, true, is_digit) {
                Break::Joins(width) => at += width,
                Break::Ends | Break::Unknown => return,
            }
            line = 0;
            continue;
        };
        at += 1;
        line = line.saturating_add(1);
        half = match half {
            None => Some((at - 1, digit)),
            Some((start, high)) => {
                let bytes = &[high << 4 | digit];
                tell(Piece::Unit { start, end: at, bytes, encoding: Encoding::Hex });
                None
            }
        };
    }
}

/// Pairs of digits, separators and prefixes. `[` and `{` end a list, so they are not among them.
const PAIR_CLASS: Class = class(b"0123456789abcdefABCDEFxX ,:;-\t\r\n");

/// Shortest text with `MIN_TEXT` pairs.
const PAIRS_LEAST: usize = 3 * MIN_TEXT - 1;
const _: () = assert!(PAIRS_LEAST == gate::PAIRS_RUN);

/// Most separators between two pairs: a comma, a line break and an indentation.
const SEPARATORS: usize = 24;

/// Reads pairs one by one: `0x41, 0x42`, `41 42`, `41:42`, `41-42`.
#[derive(Clone, Debug, Default)]
pub(super) struct Pairs {
    at: usize,
    /// Whether the byte before `at` is in a word that is no pair.
    in_word: bool,
    /// End of the last pair of the run.
    run: Option<usize>,
    phase: Phase,
}

/// What stands at a place between words.
enum Word {
    /// A pair of digits that ends here.
    Pair(u8, usize),
    /// Something else.
    Other,
    /// What follows has to be seen first.
    Unknown,
}

impl Pairs {
    pub(super) fn advance(&mut self, text: &[u8], finished: bool, found: &mut Vec<Window>) {
        self.advance_by(text, finished, None, found);
    }

    /// As [`advance`](Self::advance); `gate` says of a whole text where runs are.
    pub(super) fn advance_by(
        &mut self,
        text: &[u8],
        finished: bool,
        gate: Option<&Gate>,
        found: &mut Vec<Window>,
    ) {
        loop {
            if self.run.is_none() {
                let from = match gate {
                    Some(gate) => {
                        seek_run(text, self.at, &PAIR_CLASS, PAIRS_LEAST, gate, gate::PAIRS)
                    }
                    None => next_run(text, self.at, &PAIR_CLASS, PAIRS_LEAST),
                };
                if from > self.at {
                    self.in_word = text.get(from - 1).is_some_and(u8::is_ascii_alphanumeric);
                }
                self.at = from;
            }
            if self.in_word {
                self.at = word_end(text, self.at);
                self.in_word = self.at == text.len();
                if !self.in_word {
                    continue;
                }
            }
            let Some(&byte) = text.get(self.at) else { break };
            if !byte.is_ascii_alphanumeric() {
                let far = self.run.is_some_and(|end| self.at - end >= SEPARATORS);
                if far || !is_separator(byte) {
                    self.end(found);
                }
                self.at += 1;
                while self.run.is_none()
                    && text.get(self.at).is_some_and(|byte| !byte.is_ascii_alphanumeric())
                {
                    self.at += 1;
                }
                continue;
            }
            match word(text, self.at, finished) {
                Word::Pair(byte, end) => {
                    let unit = Dense { start: self.at, end, bytes: &[byte], mixed: true };
                    self.phase.unit(unit, Reading::Pairs, found);
                    self.run = Some(end);
                    self.at = end;
                }
                Word::Other => {
                    self.end(found);
                    self.in_word = true;
                }
                Word::Unknown => return,
            }
        }
        if finished {
            self.end(found);
        }
    }

    fn end(&mut self, found: &mut Vec<Window>) {
        if let Some(end) = self.run.take() {
            self.phase.end(end, true, Reading::Pairs, found);
        }
    }

    pub(super) fn held(&self) -> usize {
        self.phase.held().map_or(self.at, |held| held.min(self.at))
    }

    pub(super) fn dropped(&mut self, count: usize) {
        self.at = self.at.saturating_sub(count);
        self.run = self.run.map(|end| end.saturating_sub(count));
        self.phase.dropped(count);
    }
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, b' ' | b',' | b':' | b';' | b'-' | b'\t' | b'\r' | b'\n')
}

/// The word that begins at `at`.
fn word(text: &[u8], at: usize, finished: bool) -> Word {
    let rest = text.get(at..).unwrap_or_default();
    let skip = if matches!(rest, [b'0', b'x' | b'X', ..]) { 2 } else { 0 };
    match *rest.get(skip..).unwrap_or_default() {
        [] | [_] if !finished => return Word::Unknown,
        [_, _] if !finished => return Word::Unknown,
        [high, low, ref next @ ..] => {
            if let (Some(high), Some(low)) = (hex_value(high), hex_value(low)) {
                if !next.first().is_some_and(u8::is_ascii_alphanumeric) {
                    return Word::Pair(high << 4 | low, at + skip + 2);
                }
            }
        }
        _ => {}
    }
    Word::Other
}

fn word_end(text: &[u8], at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    at + rest.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count()
}

/// The pairs of a window: `text` ends where it ends.
pub(super) fn pair_pieces(text: &[u8], start: usize, tell: &mut dyn FnMut(Piece<'_>)) {
    let mut at = start;
    while let Some(&byte) = text.get(at) {
        if !byte.is_ascii_alphanumeric() {
            at += 1;
            continue;
        }
        let Word::Pair(byte, end) = word(text, at, true) else { return };
        tell(Piece::Unit { start: at, end, bytes: &[byte], encoding: Encoding::Hex });
        at = end;
    }
}
