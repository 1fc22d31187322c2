//! Base64: standard and URL-safe alphabet, padded or not, wrapped or not, in every phase.

#[cfg(target_arch = "x86_64")]
mod avx2;

use super::gate::{self, Gate};
use super::runs::{class, line_break, next_run, seek_run, Break, Class, LINE};
use super::track::{Cut, Dense, Phase};
use super::{inflate, Encoding, Piece, Reading, Window};

/// Shortest run that can hold [`super::MIN_TEXT`] bytes, and no longer than a line that can go on.
const LEAST: usize = 16;
const _: () = assert!(LEAST <= LINE && LEAST * 3 / 4 <= super::MIN_TEXT && LEAST == gate::RUN);

/// The alphabet and what a bare line break is made of: a run that can hold a window has `LEAST` of them.
const CLASS: Class =
    class(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_\r\n");

/// Six bits for each character of both alphabets, 64 for all others.
pub(super) const VALUES: [u8; 256] = {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut table = [64; 256];
    let mut at = 0;
    while at < alphabet.len() {
        table[alphabet[at] as usize] = at as u8;
        at += 1;
    }
    table[b'+' as usize] = 62;
    table[b'-' as usize] = 62;
    table[b'/' as usize] = 63;
    table[b'_' as usize] = 63;
    table
};

fn value(byte: u8) -> Option<u8> {
    Some(VALUES[usize::from(byte)]).filter(|&value| value < 64)
}

/// For each character where in a group of four it can stand if the group is ASCII text, or UTF-16 of that:
/// a byte with all bits set for each of the four places, the first place lowest.
pub(super) const PLACES: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let value = VALUES[byte];
        if value < 64 {
            let first = matches!(value, 0 | 2 | 3 | 8..=31);
            let second = matches!(value & 15, 0 | 2..=7);
            let third = matches!(value & 3, 0 | 1);
            table[byte] = 0xff00_0000
                | if first { 0xff } else { 0 }
                | if second { 0xff00 } else { 0 }
                | if third { 0xff_0000 } else { 0 };
        }
        byte += 1;
    }
    table
};

/// Whether a character is upper case, lower case or none of them, as bits.
pub(super) const KINDS: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = match byte as u8 {
            b'A'..=b'Z' => 1,
            b'a'..=b'z' => 2,
            b'0'..=b'9' | b'+' => 4,
            _ => 0,
        };
        byte += 1;
    }
    table
};

const ALL_KINDS: u8 = 7;

/// Whether no window can be in the bytes of `CLASS` from `start` on, and up to where that was looked at.
///
/// Words, paths and numbers go this way: one look-up a character for all four phases. ASCII text in base64
/// has 16 characters in a row that may stand where they do; text of other scripts has capitals, small
/// letters and digits ([`Phase`] asks for them); compressed data begins as it does.
pub(super) fn barren(text: &[u8], start: usize, finished: bool) -> (bool, usize) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("bmi2") {
        // SAFETY: the processor has AVX2 and BMI2.
        if let Some(known) = unsafe { avx2::barren(text, start) } {
            return known;
        }
    }
    scalar(text, start, finished)
}

fn scalar(text: &[u8], start: usize, finished: bool) -> (bool, usize) {
    let rest = text.get(start..).unwrap_or_default();
    // A byte of `rows` counts the characters that fit one after the other in one phase; turning the bytes
    // keeps the phase that stands at the first place in the lowest one.
    let (mut rows, mut kinds, mut before) = (0_u32, 0, b'\n');
    let mut end = text.len();
    for (at, &byte) in rest.iter().enumerate() {
        if matches!(byte, b'\r' | b'\n') {
            before = byte;
            continue;
        }
        let places = PLACES[usize::from(byte)];
        if places == 0 {
            // A break may lead on to another line.
            if byte == b'\\' || before == b'\n' && matches!(byte, b' ' | b'\t') {
                return (false, start + at);
            }
            end = start + at;
            break;
        }
        rows = (rows.rotate_left(8) + 0x0101_0101) & places;
        kinds |= KINDS[usize::from(byte)];
        let packed = matches!(before, b'\r' | b'\n') && matches!(byte, b'H' | b'e');
        if rows & 0xf0f0_f0f0 != 0 || packed {
            return (false, start + at);
        }
        before = byte;
    }
    let known = finished || end < text.len();
    (known && kinds != ALL_KINDS, end)
}

/// Reads runs character by character; each one ends a group of four in one of the four phases.
#[derive(Clone, Debug)]
pub(super) struct Base64 {
    /// Read up to here.
    at: usize,
    /// Up to here [`barren`] looked.
    looked: usize,
    /// Characters of the run so far, 0 outside of runs.
    length: usize,
    /// Characters since the last line break.
    line: usize,
    /// Kinds of characters in the run so far.
    kinds: u8,
    /// The last four characters: values, and where they stood.
    last: u32,
    places: [usize; 4],
    phases: [Phase; 4],
    cut: Cut,
    packed: inflate::Run,
}

impl Base64 {
    pub(super) fn new(packed_bytes: usize) -> Self {
        Self {
            at: 0,
            looked: 0,
            length: 0,
            line: 0,
            kinds: 0,
            last: 0,
            places: [0; 4],
            phases: [Phase::default(); 4],
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
                    Some(gate) => seek_run(text, self.at, &CLASS, LEAST, gate, gate::BASE64),
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
            while let Some((value, byte)) = text.get(self.at).and_then(|&it| Some((value(it)?, it)))
            {
                self.kinds |= KINDS[usize::from(byte)];
                self.character(value, found);
            }
            match line_break(text, self.at, self.line, finished, |byte| value(byte).is_some()) {
                Break::Joins(width) => {
                    self.breaks(found);
                    self.at += width;
                    self.line = 0;
                    continue;
                }
                Break::Unknown if self.length > 0 => return,
                Break::Unknown | Break::Ends => {}
            }
            let Some(&byte) = text.get(self.at) else {
                if finished && self.length > 0 {
                    self.end(self.at, found);
                }
                return;
            };
            if self.length == 0 {
                self.at += 1;
                continue;
            }
            // Padding belongs to the last group.
            let mut end = self.at;
            if byte == b'=' {
                end += 1;
                match text.get(end) {
                    None if !finished => return,
                    Some(b'=') => end += 1,
                    _ => {}
                }
            }
            self.end(end, found);
            self.at = end;
        }
    }

    #[inline]
    fn character(&mut self, value: u8, found: &mut Vec<Window>) {
        let [_, second, third, fourth] = self.places;
        self.places = [second, third, fourth, self.at];
        self.last = (self.last << 6 | u32::from(value)) & 0xff_ffff;
        self.at += 1;
        self.length += 1;
        self.line += 1;
        if self.length >= 4 {
            let [_, bytes @ ..] = self.last.to_be_bytes();
            let unit = Dense {
                start: self.places[0],
                end: self.at,
                bytes: &bytes,
                mixed: self.kinds == ALL_KINDS,
            };
            self.phases[self.length % 4].unit(unit, Reading::Base64, found);
            if self.length == 4 {
                self.packed.begin(self.places[0], &bytes);
            }
        }
        self.packed.grows(self.at, Reading::Base64, found);
    }

    /// A line ended at `at`, and perhaps the run with it.
    fn breaks(&mut self, found: &mut Vec<Window>) {
        let Self { at, length, last, places, .. } = *self;
        let (mut phases, mixed) = (self.phases, self.kinds == ALL_KINDS);
        self.cut.at_break(self.line, found, |found| {
            if phases.iter().any(Phase::may_end) {
                end_phases(&mut phases, length, last, places, at, mixed, found);
            }
        });
    }

    fn end(&mut self, end: usize, found: &mut Vec<Window>) {
        let Self { length, last, places, .. } = *self;
        let mixed = self.kinds == ALL_KINDS;
        self.cut.at_line(self.line, found);
        end_phases(&mut self.phases, length, last, places, end, mixed, found);
        self.packed.end(end, Reading::Base64, found);
        self.length = 0;
        self.line = 0;
        self.kinds = 0;
    }

    pub(super) fn held(&self) -> usize {
        if self.length == 0 {
            return self.at;
        }
        let phases = self.phases.iter().filter_map(Phase::held).chain(self.cut.held());
        let open = self.places[4 - self.length.min(3)];
        phases.chain([open, self.at]).chain(self.packed.held()).min().unwrap_or(self.at)
    }

    pub(super) fn dropped(&mut self, count: usize) {
        self.at = self.at.saturating_sub(count);
        self.looked = self.looked.saturating_sub(count);
        self.places = self.places.map(|at| at.saturating_sub(count));
        self.phases.iter_mut().for_each(|phase| phase.dropped(count));
        self.cut.dropped(count);
        self.packed.dropped(count);
    }
}

/// Ends the four phases of a run of `length` characters at `end`.
fn end_phases(
    phases: &mut [Phase; 4],
    length: usize,
    last: u32,
    places: [usize; 4],
    end: usize,
    mixed: bool,
    found: &mut Vec<Window>,
) {
    for (number, phase) in phases.iter_mut().enumerate() {
        // Two characters behind the last whole group of a phase are one byte, three are two.
        let over = (length + 4 - number) % 4;
        let bytes = match over {
            2 => (last >> 4).to_be_bytes(),
            _ => (last >> 2).to_be_bytes(),
        };
        if let (2 | 3, [.., first, second]) = (over, bytes) {
            let bytes = if over == 2 { &[second][..] } else { &[first, second] };
            let unit = Dense { start: places[4 - over], end, bytes, mixed };
            if length >= over {
                phase.unit(unit, Reading::Base64, found);
            }
        }
        phase.end(end, mixed, Reading::Base64, found);
    }
}

/// The groups of a window: `text` ends where it ends.
pub(super) fn pieces(text: &[u8], start: usize, tell: &mut dyn FnMut(Piece<'_>)) {
    let (mut at, mut line) = (start, usize::MAX);
    let (mut group, mut count, mut first) = (0_u32, 0, start);
    while let Some(&byte) = text.get(at) {
        let Some(value) = value(byte) else {
            // What was joined when the window was found, or else the padding at its end. A line that began
            // before the window counts as long.
            match line_break(text, at, line, true, |byte| value(byte).is_some()) {
                Break::Joins(width) => at += width,
                Break::Ends | Break::Unknown => break,
            }
            line = 0;
            continue;
        };
        if count == 0 {
            first = at;
        }
        group = group << 6 | u32::from(value);
        count += 1;
        at += 1;
        line = line.saturating_add(1);
        if count == 4 {
            let [_, bytes @ ..] = group.to_be_bytes();
            tell(Piece::Unit { start: first, end: at, bytes: &bytes, encoding: Encoding::Base64 });
            (group, count) = (0, 0);
        }
    }
    let unit = |bytes: &[u8], tell: &mut dyn FnMut(Piece<'_>)| {
        tell(Piece::Unit { start: first, end: text.len(), bytes, encoding: Encoding::Base64 });
    };
    match count {
        2 => unit(&[(group >> 4) as u8], tell),
        3 => unit(&[(group >> 10) as u8, (group >> 2) as u8], tell),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

    /// A run without a head of compressed data that is told to be barren at once is so when it is read byte by byte, unless it was looked at more
    /// closely: where it ends, and whether a break leads on.
    #[cfg(target_arch = "x86_64")]
    #[test]
    fn vectors_tell_what_bytes_tell() {
        if !std::arch::is_x86_feature_detected!("avx2")
            || !std::arch::is_x86_feature_detected!("bmi2")
        {
            return;
        }
        let mut random = Random::new(31);
        let mut known = 0;
        for _ in 0..200_000 {
            let letters: &[u8] =
                [b"abcdfgi".as_slice(), b"AIQYcgkosw048ABC", b"c2VjcmV0", b"0123456789abcdf"]
                    [random.below(4)];
            let mut text: Vec<u8> = (0..random.below(70))
                .map(|_| match random.below(30) {
                    0 => b"\r\n\n+/-_h"[random.below(8)],
                    _ => letters[random.below(letters.len())],
                })
                .collect();
            text.push(b" \\.\t\"="[random.below(6)]);
            text.resize(text.len().max(64), b'.');
            // SAFETY: the processor has both.
            let Some((barren, end)) = (unsafe { avx2::barren(&text, 0) }) else { continue };
            known += 1;
            let (exactly, at) = scalar(&text, 0, true);
            assert!(
                !barren || exactly || at == end && is_short(&text[..end], text[end]),
                "{text:?}"
            );
            assert!(barren || !exactly, "{text:?}");
        }
        assert!(known > 50_000);
    }

    /// Whether the last line is too short to go on behind what follows, or that is a backslash behind a break.
    fn is_short(run: &[u8], next: u8) -> bool {
        if next == b'\\' && run.last().is_some_and(|byte| matches!(byte, b'\r' | b'\n')) {
            return true;
        }
        let mut lines =
            run.split(|byte| matches!(byte, b'\r' | b'\n')).rev().filter(|line| !line.is_empty());
        matches!(next, b' ' | b'\t' | b'\\') && lines.next().is_none_or(|line| line.len() < LINE)
    }
}
