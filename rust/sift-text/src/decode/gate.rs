//! One look at a whole text before five decoders read it: which of its blocks hold anything for which of them.
//!
//! What it says is necessary and never sufficient: a decoder that waits for something to begin may go to the next
//! block that is marked for it, and finds there what it would have found on its way.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;

use super::characters::may_begin_group;
use super::escapes::Escapes;
use super::sparse::{Grammar, Parsed};

/// Bytes of a block.
pub(super) const BLOCK: usize = 64;

/// Runs of base64 or hexadecimal digits, of [`RUN`] bytes or more.
pub(super) const BASE64: u8 = 1;
pub(super) const HEX: u8 = 2;
/// Runs of pairs of digits and separators, of [`PAIRS_RUN`] bytes or more.
pub(super) const PAIRS: u8 = 4;
/// The beginning of an escape that may be loud.
pub(super) const ESCAPES: u8 = 8;
/// Characters that may be invisible or look like others.
pub(super) const CHARACTERS: u8 = 16;

/// A digit or sign beside a letter, as in `1gnore`.
pub(super) const LEET: u8 = 32;
/// Three single letters with one or two bytes between them.
pub(super) const SPACED: u8 = 64;

/// Shortest runs that decoders wait for.
pub(super) const RUN: usize = 16;
pub(super) const PAIRS_RUN: usize = 35;

/// The marks of a text; none where there are no vector instructions. Keep one for many texts: it is a buffer.
#[derive(Clone, Debug, Default)]
pub struct Gate {
    marks: Vec<u8>,
    /// All marks together.
    any: u8,
}

impl Gate {
    /// Looks at `text`; with `veils` for words with digits and single letters as well.
    pub(super) fn look(&mut self, text: &[u8], veils: bool) {
        #[cfg(target_arch = "x86_64")]
        if has_avx512() {
            return self.look_by(text, veils, Path::Avx512);
        } else if std::arch::is_x86_feature_detected!("avx2") {
            return self.look_by(text, veils, Path::Avx2);
        }
        self.look_by(text, veils, Path::None);
    }

    /// The processor must have what `path` needs.
    fn look_by(&mut self, text: &[u8], veils: bool, path: Path) {
        self.marks.clear();
        self.any = match path {
            Path::None => u8::MAX,
            #[cfg(target_arch = "x86_64")]
            Path::Avx2 => {
                // SAFETY: the processor has AVX2, says the caller.
                let all = unsafe { avx2::look(text, &mut self.marks) };
                self.marks.iter_mut().for_each(|marks| *marks |= LEET | SPACED);
                all | LEET | SPACED
            }
            #[cfg(target_arch = "x86_64")]
            Path::Avx512 => {
                self.marks.resize(text.len().div_ceil(BLOCK), 0);
                // SAFETY: the processor has what [`has_avx512`] asks for, says the caller.
                unsafe { avx512::look(text, veils, &mut self.marks) }
            }
        };
    }

    /// Whether the text has a block with a mark.
    pub(super) fn has(&self, mark: u8) -> bool {
        self.any & mark != 0
    }

    /// Where the first block with the mark begins that does not end before `at`; at least `at`.
    pub(super) fn next(&self, mark: u8, at: usize) -> usize {
        let Some(rest) = self.marks.get(at / BLOCK..) else { return at };
        match rest.iter().position(|marks| marks & mark != 0) {
            Some(blocks) => at.max((at / BLOCK + blocks) * BLOCK),
            None => at.max(self.marks.len() * BLOCK),
        }
    }
}

/// The ways to look.
#[derive(Clone, Copy, Debug)]
enum Path {
    /// No look: all blocks may hold anything.
    None,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

#[cfg(target_arch = "x86_64")]
fn has_avx512() -> bool {
    std::arch::is_x86_feature_detected!("avx512f")
        && std::arch::is_x86_feature_detected!("avx512bw")
        && std::arch::is_x86_feature_detected!("avx512vbmi")
        && std::arch::is_x86_feature_detected!("avx512vbmi2")
        && std::arch::is_x86_feature_detected!("gfni")
        && std::arch::is_x86_feature_detected!("bmi2")
}

/// Most backslashes in front of one that escape it.
const MOST_BACKSLASHES: usize = 8;

/// Whether a loud escape begins at `at`, or at a backslash that stands directly before.
fn is_loud(text: &[u8], at: usize) -> bool {
    let loud = |at| matches!(Escapes::parse(text, at, true), Parsed::Unit(unit) if unit.loud);
    let before = text.get(at.saturating_sub(MOST_BACKSLASHES)..at).unwrap_or_default();
    let slashes = if text.get(at) == Some(&b'\\') {
        before.iter().rev().take_while(|&&byte| byte == b'\\').count()
    } else {
        0
    };
    (0..=slashes).any(|back| loud(at - back))
}

/// Whether a byte of the block at `start` begins a character that [`super::characters`] may know.
fn characters(text: &[u8], start: usize) -> bool {
    let block = text.get(start..text.len().min(start + BLOCK)).unwrap_or_default();
    // Bytes inside a character say nothing, and those of a broken one are looked at one by one.
    let suspicious = |(at, &byte): (usize, &u8)| {
        byte >= 0xc0 && !is_harmless(text.get(start + at..).unwrap_or_default())
    };
    block.iter().enumerate().any(suspicious)
}

/// Whether what begins with a percent sign, an ampersand or a backslash may be loud, by the byte behind it.
fn may_be_loud(first: u8, next: Option<u8>) -> bool {
    let Some(next) = next else { return false };
    match first {
        b'%' => next.is_ascii_hexdigit() || next == b'u',
        b'&' => next.is_ascii_alphabetic() || next == b'#',
        _ => matches!(next, b'u' | b'U' | b'x' | b'/' | b'0'..=b'3' | b'n' | b'r' | b't'),
    }
}

/// Whether a character that begins with these bytes is none that [`super::characters`] knows.
fn is_harmless(bytes: &[u8]) -> bool {
    match *bytes {
        // Latin letters with accents; Chinese, Japanese and Korean; dashes and quotation marks; emoji.
        [0xc3, ..] | [0xe4..=0xe9, ..] | [0xeb | 0xec, ..] => true,
        // A dash is one of a number only where a group follows.
        [0xe2, 0x80, 0x90..=0x95, next, ..] => !may_begin_group(next),
        [0xe2, 0x80, 0x90..=0x9f | 0xa6 | 0xa7, ..] => true,
        [0xf0, 0x9f, 0x8c..=0xaa, ..] => true,
        _ => false,
    }
}

/// The marks of places in a block, of which `triggers` and `high` have a bit for each percent sign, ampersand and
/// backslash, and for each byte above ASCII.
fn places(text: &[u8], start: usize, mut triggers: u64, mut high: u64) -> u8 {
    let mut marks = 0;
    while triggers != 0 {
        let at = start + triggers.trailing_zeros() as usize;
        let next = text.get(at + 1).copied();
        // Of escaped line feeds code is full, and almost none stands before a number.
        let line = matches!(next, Some(b'n' | b'r' | b't'));
        if text.get(at).is_some_and(|&first| may_be_loud(first, next))
            && (!line || is_loud(text, at))
        {
            marks |= ESCAPES;
            break;
        }
        triggers &= triggers - 1;
    }
    while high != 0 {
        let place = high.trailing_zeros() as usize;
        let rest = text.get(start + place..).unwrap_or_default();
        // Bytes inside a character were looked at with it, but for those of one that began in the block before.
        let inside = matches!(rest, [0x80..=0xbf, ..]);
        if !inside && !is_harmless(rest) {
            marks |= CHARACTERS;
            break;
        }
        high &= high - 1;
    }
    marks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::{Encodings, Finder, Limits, Window};
    use crate::testing::{text, Random};

    /// Whoever skips by the gate finds what the same decoder finds without.
    #[test]
    fn the_gate_hides_nothing() {
        let mut random = Random::new(21);
        let limits = Limits::default();
        const PIECES: [&str; 54] = [
            "1gn0re",
            "7h3 ",
            "y0u!",
            "i g n o r e ",
            "a.b.c.d.e.f",
            "x1",
            "pr0mp7",
            "IQQ7BD4EMgQ+BCAAOAQgADQENQQ7BD4EIAA3BDQENQRBBEwE",
            "AGQA6QBqAOAAIADpAHQA6QAgAGwA4AAtAGIAYQBzACAAbwD5",
            "0421043b043e0432043e00200438002004340435043b043e",
            "0K3RgtC+INGB0LvQvtCy0L4g0Lgg0LXRidGRINC+0LTQvdC+",
            "d0add182d0be20d181d0bbd0bed0b2d0be20d0b820d0b5d189d19120d0bed0b4d0bdd0be",
            "cwBlAGMAcgBlAHQAIAB3AG8AcgBkAHMA",
            "730065006300720065007400200077006f00720064007300",
            "H4sIAAAAAAACAytOTS5KLVEozy9KKVbIzFPISC1KBQC+DTQrFAAAAA==",
            "789c2b4e4d2e4a2d5128cf2f4a2956c8cc53c8482d4a5528060b02008fd80a37",
            "5Lit5paH5a2X5q+N5ZKM5paH5a2X",
            "ab3f",
            "Xy9",
            "deadbeefcafe0123",
            "word ",
            "c2VjcmV0LXdvcmRzLWluLWhlcmU=",
            "YWJjZGVmZ2hpamts",
            "\n",
            "6162636465666768696a6b6c",
            "41 42 ",
            "0x41, ",
            "%41",
            "\\u0041",
            "\\\\",
            "\\n",
            "&lt;",
            "&#65;",
            "&amp;#65;",
            "é",
            "“",
            "中文",
            "\u{200b}",
            "\u{ff21}",
            "\u{430}",
            "a",
            "/",
            "\u{1f600}",
            "\u{fe0f}",
            "4111\u{a0}1111",
            "\u{2013}1",
            "219\u{2011}",
            "–",
            "12",
            "(4)",
            "1&nbsp;2",
            "9\\u20111",
            "\\nDE89 ",
            "%0A+1",
        ];
        for round in 0..12_000 {
            let mut input = match round % 3 {
                0 => text(&mut random, round, 400),
                _ => Vec::new(),
            };
            for _ in 0..random.below(60) {
                let piece = PIECES[random.below(PIECES.len())];
                (0..1 + random.below(4)).for_each(|_| input.extend_from_slice(piece.as_bytes()));
                if random.below(4) == 0 {
                    let plain = b"the quick brown fox jumps over it ".iter().cycle();
                    input.extend(plain.take(random.below(150)));
                }
            }
            let mut plain = Vec::new();
            Finder::new(&limits).advance(&input, true, &mut plain);
            plain.sort();
            let mut veils = Vec::new();
            for path in paths() {
                let (mut gate, mut gated) = (Gate::default(), Vec::new());
                gate.look_by(&input, true, path);
                crate::decode::windows_in(&input, &limits, &gate, &mut gated);
                gated.sort();
                check(round, path, &input, &plain, &gated);
                gated.clear();
                crate::decode::veiled(&input, Encodings::ALL, &gate, &mut gated);
                gated.dedup();
                veils.push(gated);
            }
            let alike = veils.windows(2).all(|pair| pair[0] == pair[1]);
            assert!(alike, "round {round}: {veils:?} in {:?}", String::from_utf8_lossy(&input));
        }
    }

    fn paths() -> Vec<Path> {
        let mut paths = vec![Path::None];
        #[cfg(target_arch = "x86_64")]
        {
            if std::arch::is_x86_feature_detected!("avx2") {
                paths.push(Path::Avx2);
            }
            if has_avx512() {
                paths.push(Path::Avx512);
            }
        }
        paths
    }

    fn check(round: usize, path: Path, input: &[u8], plain: &[Window], gated: &[Window]) {
        let differs = |one: &[Window], other: &[Window]| {
            one.iter().find(|window| !other.contains(window)).copied()
        };
        let odd = differs(plain, gated).or(differs(gated, plain));
        let shown = odd.map(|window| String::from_utf8_lossy(&input[window.start..window.end]));
        assert!(plain == gated, "round {round}, {path:?}: {odd:?} {shown:?}");
    }
}
