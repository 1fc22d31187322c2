//! The folded view: lower case, white space collapsed.
//!
//! Four ways to the same bytes. `scalar` is the definition, one unit after the other; `portable` does
//! 64 bytes at a time in a form compilers turn into vector code; `avx2` does 32 bytes at a time by hand,
//! and `avx512` 64.
//! Tests hold them equal on hostile bytes.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;
mod scalar;

/// Folds `text` into `out`, which is cleared first and keeps its capacity between calls.
///
/// - a letter with a *simple* lower case (Unicode, one character to one character) becomes it;
/// - each run of white space (Unicode `White_Space`) becomes one ASCII space;
/// - everything else, bytes that are no UTF-8 among it, stays as it is.
///
/// Folding is local: what a unit becomes depends on it alone, and on whether white space stands before
/// it. So a text cut where a unit begins that is not inside a run of white space folds to the same bytes.
/// The folded text is at most half as long again as `text` (Ⱥ, two bytes, becomes ⱥ, three).
///
/// ```
/// let mut folded = Vec::new();
/// sift_text::fold("Ünder\u{a0}\n\t Construction ".as_bytes(), &mut folded);
/// assert_eq!(folded, "ünder construction ".as_bytes());
/// ```
pub fn fold(text: &[u8], out: &mut Vec<u8>) {
    Path::best().fold(text, out);
}

/// One of the ways to fold. For tests and measurements; [`fold`] takes the best there is.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    Scalar,
    Portable,
    Avx2,
    Avx512,
}

impl Path {
    pub const ALL: [Self; 4] = [Self::Scalar, Self::Portable, Self::Avx2, Self::Avx512];

    /// The quickest way on this processor. The standard library asks the processor once.
    #[inline]
    pub fn best() -> Self {
        if Self::Avx512.is_available() {
            Self::Avx512
        } else if Self::Avx2.is_available() {
            Self::Avx2
        } else {
            Self::Portable
        }
    }

    #[inline]
    pub fn is_available(self) -> bool {
        match self {
            Self::Scalar | Self::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => {
                std::arch::is_x86_feature_detected!("avx2")
                    && std::arch::is_x86_feature_detected!("bmi1")
                    && std::arch::is_x86_feature_detected!("popcnt")
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => {
                Self::Avx2.is_available()
                    && std::arch::is_x86_feature_detected!("avx512f")
                    && std::arch::is_x86_feature_detected!("avx512bw")
                    && std::arch::is_x86_feature_detected!("avx512vbmi2")
            }
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx2 | Self::Avx512 => false,
        }
    }

    /// As [`fold`]; a way that is not available is replaced by one that is.
    #[inline]
    pub fn fold(self, text: &[u8], out: &mut Vec<u8>) {
        out.clear();
        match self {
            Self::Scalar => scalar::fold(text, out),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 if self.is_available() => {
                // SAFETY: the processor has the features that the function is compiled for.
                unsafe { avx2::fold(text, out) }
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 if self.is_available() => {
                // SAFETY: as above.
                unsafe { avx512::fold(text, out) }
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => Self::Avx2.fold(text, out),
            _ => portable::fold(text, out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{text, Random};

    /// Folding by the standard library's own idea of text, sharing no line with the crate.
    fn reference(text: &[u8]) -> Vec<u8> {
        let mut out: Vec<u8> = Vec::new();
        let mut white = false;
        for chunk in text.utf8_chunks() {
            for letter in chunk.valid().chars() {
                if letter.is_whitespace() {
                    if !white {
                        out.push(b' ');
                    }
                    white = true;
                    continue;
                }
                white = false;
                let lower: Vec<char> = letter.to_lowercase().collect();
                let letter = if lower.len() == 1 { lower[0] } else { letter };
                out.extend_from_slice(letter.to_string().as_bytes());
            }
            white &= chunk.invalid().is_empty();
            out.extend_from_slice(chunk.invalid());
        }
        out
    }

    fn check(text: &[u8]) {
        let expected = reference(text);
        assert!(expected.len() <= text.len() + text.len() / 2);
        for path in Path::ALL.into_iter().filter(|path| path.is_available()) {
            let mut out = vec![b'x'; 3];
            path.fold(text, &mut out);
            assert_eq!(out, expected, "{path:?} on {text:x?}");
            // A buffer of exactly the length: nothing may be written beyond what is reserved.
            let mut exact = Vec::with_capacity(text.len());
            path.fold(text, &mut exact);
            assert_eq!(exact, expected, "{path:?} on {text:x?}");
        }
    }

    #[test]
    fn this_machine_tests_the_vector_path() {
        if cfg!(target_arch = "x86_64") && !Path::Avx2.is_available() {
            eprintln_skip("the processor has no AVX2: the vector path is not tested here");
        }
        check(b"");
    }

    #[allow(clippy::print_stderr, reason = "a skipped test says so")]
    fn eprintln_skip(why: &str) {
        eprintln!("skipped: {why}");
    }

    #[test]
    fn all_paths_agree_at_every_length_and_alignment() {
        let mut random = Random::new(1);
        for length in 0..=200 {
            for flavour in 0..6 {
                let text = text(&mut random, flavour, length + 64);
                let shift = random.below(64);
                check(&text[shift..shift + length]);
            }
        }
        // Every alignment of the source, at lengths around the widths of the kernels.
        for shift in 0..64 {
            for length in [1, 7, 8, 9, 31, 32, 33, 63, 64, 65, 96, 127, 129] {
                for flavour in 0..6 {
                    let text = text(&mut random, flavour, shift + length);
                    check(&text[shift..]);
                }
            }
        }
    }

    #[test]
    fn all_paths_agree_on_long_hostile_texts() {
        let mut random = Random::new(2);
        for round in 0..600 {
            let length = random.below(3000);
            check(&text(&mut random, round, length));
        }
    }

    #[test]
    fn runs_of_white_space_across_chunk_edges() {
        for white in [" ", "\n", "\t ", "\u{a0}", "\u{3000}", " \u{2003}", "\u{85}\r\n"] {
            for at in 0..70 {
                for count in 1..70 {
                    let mut text = "Q".repeat(at);
                    (0..count).for_each(|_| text.push_str(white));
                    check(text.as_bytes());
                    text.push_str("Ende");
                    check(text.as_bytes());
                }
            }
        }
    }

    #[test]
    fn every_byte_at_every_place_of_a_chunk() {
        for byte in 0..=255_u8 {
            for at in 0..66 {
                let mut text = [b'K'; 70];
                text[at] = byte;
                check(&text);
                text[at + 1] = byte;
                check(&text);
                text[at + 1..at + 4].copy_from_slice(b"\x80\x80 ");
                check(&text);
            }
        }
    }

    /// The shortcuts of the kernels for common scripts, for every character there is: alone among letters,
    /// at every place of a chunk for those that have shortcuts, and with its bytes cut short.
    #[test]
    fn every_character_at_the_places_that_matter() {
        let paths = || Path::ALL.into_iter().filter(|path| path.is_available());
        let (mut expected, mut out) = (Vec::new(), Vec::new());
        for letter in '\u{80}'..=char::MAX {
            let point = u32::from(letter);
            if (0x2_0000..0x10_0000).contains(&point) && point % 97 > 0 {
                continue;
            }
            let places = if point < 0x800 { 0..40 } else { 28..34 };
            for at in places {
                let mut text = [b'X'; 48];
                letter.encode_utf8(&mut text[at..]);
                for text in [&text[..], &text[..at + 1], &text[..at + 2]] {
                    Path::Scalar.fold(text, &mut expected);
                    for path in paths() {
                        path.fold(text, &mut out);
                        assert_eq!(out, expected, "{path:?}, U+{point:04X} at {at}");
                    }
                }
            }
        }
        assert_eq!(reference("ЀЯΩÉ–　".as_bytes()), "ѐяωé– ".as_bytes());
    }

    /// Every pair of bytes above ASCII and what follows, valid or not.
    #[test]
    fn every_pair_of_bytes_above_ascii() {
        for lead in 0xc0..=0xff_u8 {
            for second in 0x80..=0xff_u8 {
                for third in
                    [b'A', b' ', 0x80, 0x8a, 0x9f, 0xa0, 0xa8, 0xaf, 0xbf, 0xc3, 0xd0, 0xe2]
                {
                    let mut text = [b'R'; 40];
                    text[29..32].copy_from_slice(&[lead, second, third]);
                    check(&text);
                    text[32..35].copy_from_slice(&[lead, second, third]);
                    check(&text[1..35]);
                }
            }
        }
    }

    #[test]
    fn growth_is_reserved() {
        for length in 0..200 {
            check("Ⱥ".repeat(length).as_bytes());
            check(("x".repeat(length) + &"Ⱥ".repeat(length) + &"y".repeat(length)).as_bytes());
        }
    }

    #[test]
    fn folding_twice_changes_nothing() {
        let mut random = Random::new(3);
        for round in 0..300 {
            let (mut once, mut twice) = (Vec::new(), Vec::new());
            fold(&text(&mut random, round, 300), &mut once);
            fold(&once, &mut twice);
            assert_eq!(once, twice);
        }
    }
}
