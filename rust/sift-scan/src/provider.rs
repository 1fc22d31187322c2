//! Which provider of a family a candidate belongs to.

use sift_rules::Provider;

/// The rule of the provider whose word ends last in `before`, the longer word where two end together,
/// of those that give out such values; `false` beside it if none of the providers named there does.
pub(crate) fn provider(
    providers: &[Provider],
    before: &[u8],
    value: &[u8],
) -> Option<(usize, bool)> {
    let letters = Letters::of(before);
    let mut best = None;
    for provider in providers {
        let words = provider.words.iter().map(String::as_bytes);
        let last = words.filter_map(|word| letters.last(before, word)).max();
        if let Some((end, length)) = last {
            let rank = |admitted| Some((admitted, end, length, provider.rule));
            // Most rows lose by their place, so few formats are asked.
            if best < rank(true) {
                best = best.max(rank(provider.admits(value)));
            }
        }
    }
    best.map(|(admitted, _, _, rule)| (rule, admitted))
}

/// Where each letter and digit stands in a text of at most 128 bytes, one bit a place.
///
/// A family has hundreds of words and a text of 60 bytes begins hardly one of them: two look-ups say
/// so for a word, where comparing it with each place took 25 us for 800 words.
struct Letters([u128; 36]);

impl Letters {
    fn of(text: &[u8]) -> Self {
        let mut places = [0; 36];
        // Bits beyond the last place are lost: `last` does not ask for longer texts.
        for (at, &byte) in text.iter().take(128).enumerate() {
            if let Some(class) = Self::class(byte) {
                places[class] |= 1 << at;
            }
        }
        Self(places)
    }

    fn class(byte: u8) -> Option<usize> {
        match byte {
            b'a'..=b'z' => Some(usize::from(byte - b'a')),
            b'A'..=b'Z' => Some(usize::from(byte - b'A')),
            b'0'..=b'9' => Some(usize::from(byte - b'0') + 26),
            _ => None,
        }
    }

    /// Where the last occurrence of `word` in `text` ends, and its length there.
    fn last(&self, text: &[u8], word: &[u8]) -> Option<(usize, usize)> {
        let place = |at: usize| word.get(at).and_then(|&b| Self::class(b));
        if text.len() > 128 {
            return (0..text.len()).rev().find_map(|start| Self::here(text, start, word));
        }
        // In the place of a separator, which is optional, anything may stand.
        let mut places = place(0).map_or(u128::MAX, |class| self.0[class])
            & place(1).map_or(u128::MAX, |class| self.0[class] >> 1);
        while places != 0 {
            let start = 127 - places.leading_zeros() as usize;
            if let Some(found) = Self::here(text, start, word) {
                return Some(found);
            }
            places &= !(1 << start);
        }
        None
    }

    fn here(text: &[u8], start: usize, word: &[u8]) -> Option<(usize, usize)> {
        let length = word_end(text.get(start..)?, word)?;
        Some((start + length, length))
    }
}

/// Length of `word` at the beginning of `text`; a separator in the word stands for one optional one.
fn word_end(text: &[u8], word: &[u8]) -> Option<usize> {
    let separator = |b: u8| matches!(b, b'_' | b'-' | b'.' | b' ');
    let mut at = 0;
    for &letter in word {
        match text.get(at) {
            None if separator(letter) => {}
            Some(&byte) if separator(letter) => at += usize::from(separator(byte)),
            Some(byte) if byte.eq_ignore_ascii_case(&letter) => at += 1,
            _ => return None,
        }
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::{word_end, Letters};

    #[test]
    fn the_last_occurrence_whatever_the_place() {
        let words = ["ab", "a", "a b", "a_b-c", "b1", "zz", "a_"];
        let mut seed = 7u64;
        let mut next = |limit: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) as usize % limit
        };
        for _ in 0..20_000 {
            let length = next(150);
            let text: Vec<u8> = (0..length).map(|_| b"aAbB1_- zc"[next(10)]).collect();
            for word in words {
                let plain = (0..text.len())
                    .rev()
                    .find_map(|at| word_end(&text[at..], word.as_bytes()).map(|n| (at + n, n)));
                assert_eq!(Letters::of(&text).last(&text, word.as_bytes()), plain, "{word}");
            }
        }
    }
}
