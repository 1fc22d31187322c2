//! One look at a whole text before five decoders read it: which of its blocks hold anything for which of them.
//!
//! What it says is necessary and never sufficient: a decoder that waits for something to begin may go to the next
//! block that is marked for it, and finds there what it would have found on its way.

#[cfg(target_arch = "x86_64")]
mod avx2;

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
    /// Looks at `text`.
    pub(super) fn look(&mut self, text: &[u8]) {
        self.marks.clear();
        self.any = u8::MAX;
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has AVX2.
            self.any = unsafe { avx2::look(text, &mut self.marks) };
        }
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

/// Whether what begins with a percent sign, an ampersand or a backslash may be loud, by the byte behind it.
fn may_be_loud(first: u8, next: Option<u8>) -> bool {
    let Some(next) = next else { return false };
    match first {
        b'%' => next.is_ascii_hexdigit() || next == b'u',
        b'&' => next.is_ascii_alphabetic() || next == b'#',
        _ => matches!(next, b'u' | b'U' | b'x' | b'/' | b'0'..=b'3'),
    }
}

/// Whether a character that begins with these bytes is none that [`super::characters`] knows.
fn is_harmless(bytes: &[u8]) -> bool {
    match *bytes {
        // Latin letters with accents; Chinese, Japanese and Korean; dashes and quotation marks; emoji.
        [0xc3, ..] | [0xe4..=0xe9, ..] | [0xeb | 0xec, ..] => true,
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
        if text.get(at).is_some_and(|&first| may_be_loud(first, text.get(at + 1).copied())) {
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
    use crate::decode::{Finder, Limits};
    use crate::testing::{text, Random};

    /// Whoever skips by the gate finds what the same decoder finds without.
    #[test]
    fn the_gate_hides_nothing() {
        let mut random = Random::new(21);
        let limits = Limits::default();
        const PIECES: [&str; 24] = [
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
        ];
        for round in 0..6000 {
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
            let (mut plain, mut gated) = (Vec::new(), Vec::new());
            Finder::new(&limits).advance(&input, true, &mut plain);
            crate::decode::windows(&input, &limits, &mut gated);
            plain.sort();
            gated.sort();
            assert_eq!(plain, gated, "round {round}");
        }
    }
}
