//! A text as it is read: in lower case, and 64 bytes at a time.

/// Bytes that are classified at once. A text is filled up to a multiple with NUL, of which none is left out: no word
/// or value goes on to the end of what is read, and sixteen bytes can be read from any place of the text itself.
pub(crate) const BLOCK: usize = 64;

pub(crate) const WORD: u8 = 1;
/// Joins words into a value.
pub(crate) const JOIN: u8 = 2;
/// Makes a value of what it stands in.
pub(crate) const MARK: u8 = 4;

pub(crate) const CLASS: [u8; 256] = {
    let mut class = [0_u8; 256];
    let mut byte = 0;
    while byte < 256 {
        #[allow(clippy::cast_possible_truncation, reason = "below 256")]
        let b = byte as u8;
        class[byte] = match b {
            b'0'..=b'9' | b'_' => WORD | JOIN | MARK,
            b'a'..=b'z' | b'A'..=b'Z' | 0x80..=0xff => WORD | JOIN,
            b'@' | b'/' | b':' | b'.' | b'\\' => JOIN | MARK,
            b'%' | b'+' | b'~' | b'#' | b'&' | b'=' | b'?' | b'-' => JOIN,
            _ => 0,
        };
        byte += 1;
    }
    class
};

/// Where the word begins that is open at the end of a block.
#[derive(Debug, Default)]
pub(crate) struct Open {
    begin: usize,
    /// 1 within a word.
    within: u64,
}

impl Open {
    /// Calls back with begin and end of each word that ends in a block.
    ///
    /// Args: `words`, the bytes of the block that are in words; `from`, where the block begins.
    #[inline]
    pub(crate) fn take(&mut self, words: u64, from: usize, mut word: impl FnMut(usize, usize)) {
        // Where a word begins, and one past where it ends.
        let mut edges = words ^ (words << 1 | self.within);
        while edges != 0 {
            let at = from + edges.trailing_zeros() as usize;
            edges &= edges - 1;
            if self.within == 0 {
                self.begin = at;
            } else {
                word(self.begin, at);
            }
            self.within ^= 1;
        }
    }
}

/// Which bytes of a block are what, the first in the lowest bit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kinds {
    pub(crate) words: u64,
    pub(crate) marks: u64,
    pub(crate) digits: u64,
}

/// Classifies a block that is in lower case.
pub(crate) fn kinds(block: &[u8; BLOCK]) -> Kinds {
    #[cfg(target_arch = "x86_64")]
    if let Some(found) = crate::wide::kinds(block) {
        return found;
    }
    plain_kinds(block)
}

fn plain_kinds(block: &[u8; BLOCK]) -> Kinds {
    // Comparisons alone, so that the compiler makes vectors of them; a table took three times as long.
    let mut found = Kinds::default();
    let mut flags = [[0_u8; BLOCK]; 3];
    for (place, &byte) in block.iter().enumerate() {
        let digit = byte.wrapping_sub(b'0') < 10;
        let score = byte == b'_';
        let letter = byte.wrapping_sub(b'a') < 26;
        // From the full stop to the colon: the slash and the digits between them.
        let mark = byte.wrapping_sub(b'.') < 13;
        flags[0][place] = u8::from(letter | digit | score | (byte >= 0x80));
        flags[1][place] = u8::from(mark | score | (byte == b'@') | (byte == b'\\'));
        flags[2][place] = u8::from(digit);
    }
    for (flags, bits) in flags.iter().zip([&mut found.words, &mut found.marks, &mut found.digits]) {
        for (place, eight) in flags.chunks_exact(8).enumerate() {
            let mut word = [0; 8];
            word.copy_from_slice(eight);
            // Eight flags into one byte: each is multiplied to the place that it has in the highest one.
            let byte = u64::from_le_bytes(word).wrapping_mul(0x0102_0408_1020_4080) >> 56;
            *bits |= byte << (place * 8);
        }
    }
    found
}

/// A text in lower case, filled up with NUL.
///
/// `str::to_lowercase` is ten times as slow from the first letter beyond ASCII on.
pub(crate) fn lower(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2 * BLOCK);
    spell(text, &mut out, |letter, out| {
        if has_no_case(letter) {
            out.push(letter);
        } else {
            out.extend(letter.to_lowercase());
        }
    });
    fill(&mut out);
    out
}

/// Appends a text without its case to one that is not filled up, and what separates words beyond ASCII as a blank.
///
/// Letters are folded as Unicode's full case folding does (`CaseFolding.txt`): to lower, upper and lower case again
/// makes the same letters alike, but for the Turkish `\u{131}`, which has an upper case of its own and none to come
/// back from.
pub(crate) fn fold_case(text: &str, out: &mut String) {
    spell(text, out, |letter, out| {
        if letter.is_whitespace() {
            out.push(' ');
        } else if has_no_case(letter) || letter == '\u{131}' {
            out.push(letter);
        } else {
            let upper = letter.to_lowercase().flat_map(char::to_uppercase);
            out.extend(upper.flat_map(char::to_lowercase));
        }
    });
}

/// Fills a text up with NUL, at least a block of them.
pub(crate) fn fill(out: &mut String) {
    let full = (out.len() / BLOCK + 2) * BLOCK;
    out.extend(std::iter::repeat_n('\0', full - out.len()));
}

/// Appends a text with ASCII in lower case and every other letter as it is told.
fn spell(text: &str, out: &mut String, mut other_letter: impl FnMut(char, &mut String)) {
    let mut rest = text;
    while !rest.is_empty() {
        let plain: usize =
            rest.as_bytes().chunks(32).take_while(|part| part.is_ascii()).map(<[u8]>::len).sum();
        let (plain, after) = rest.split_at(plain);
        let from = out.len();
        out.push_str(plain);
        out[from..].make_ascii_lowercase();
        let end = (32.min(after.len())..=after.len()).find(|&end| after.is_char_boundary(end));
        let (other, after) = after.split_at(end.unwrap_or(after.len()));
        for letter in other.chars() {
            if letter.is_ascii() {
                out.push(letter.to_ascii_lowercase());
            } else {
                other_letter(letter, out);
            }
        }
        rest = after;
    }
}

/// General punctuation, Chinese and Japanese, Korean: looking each up in the table of cases took most of their time.
fn has_no_case(letter: char) -> bool {
    matches!(letter, '\u{2000}'..='\u{20ff}' | '\u{2e80}'..='\u{a63f}' | '\u{ac00}'..='\u{d7a3}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_classified_as_the_table_says() {
        for from in 0..=255_u8 {
            let mut block = [0_u8; BLOCK];
            for (place, byte) in block.iter_mut().enumerate() {
                *byte = from.wrapping_add((place * 7) as u8).to_ascii_lowercase();
            }
            let found = kinds(&block);
            assert_eq!(found, plain_kinds(&block));
            for (place, &byte) in block.iter().enumerate() {
                let class = CLASS[usize::from(byte)];
                let bit = |bits: u64| bits >> place & 1 == 1;
                assert_eq!(bit(found.words), class & WORD != 0, "{byte}");
                assert_eq!(bit(found.marks), class & MARK != 0, "{byte}");
                assert_eq!(bit(found.digits), byte.is_ascii_digit(), "{byte}");
            }
        }
    }

    #[test]
    fn lower_case_is_that_of_unicode() {
        let every: String = ('\0'..=char::MAX).collect();
        let wanted: String = every.chars().flat_map(char::to_lowercase).collect();
        let found = lower(&every);
        assert!(found.len().is_multiple_of(BLOCK) && found.len() >= wanted.len() + BLOCK);
        assert!(found.trim_end_matches('\0') == wanted, "the first that differs is not shown");
        for text in ["", "A", "Ab\u{c4}", &"xY".repeat(40), &format!("{}\u{c4}B", "Z".repeat(31))] {
            let wanted: String = text.chars().flat_map(char::to_lowercase).collect();
            assert_eq!(lower(text).trim_end_matches('\0'), wanted);
        }
    }
}
