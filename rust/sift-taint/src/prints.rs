//! Fingerprints without a memory: for those who keep them themselves, such as the action kernel.
//!
//! Values are those of the crate. Instead of runs of words there are *passages*: any [`PASSAGE`] letters and digits in
//! a row, whatever stands between them and in either case. By winnowing (Schleimer, Wilkerson, Aiken, *Winnowing:
//! local algorithms for document fingerprinting*, 2003) of rolling hashes (Karp, Rabin, 1987) over [`GRAM`] of them, of
//! which each window keeps one, so that no passage of that length is missed and few hashes are kept.

use super::text::BLOCK;
#[cfg(target_arch = "x86_64")]
use super::wide;
use super::{base64_runs, eight, fold, lower, percent, walk, Key, Take};

/// Letters and digits that one hash is over.
const GRAM: usize = 12;

/// Hashes of which one is kept.
pub(crate) const WINDOW: usize = 9;

/// 1 for an ASCII letter or digit.
const LETTER: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0_u8;
    while byte < 0x80 {
        table[byte as usize] = byte.is_ascii_alphanumeric() as u8;
        byte += 1;
    }
    table
};

/// Grams that are hashed at a time: they stay in the first cache.
const GRAMS: usize = 256;

/// The shortest passage that is always found.
pub const PASSAGE: usize = GRAM + WINDOW - 1;

/// Makes fingerprints under a key of its own, so that nobody outside can choose texts that collide. A collision would
/// name a source that is not one; it never hides one.
///
/// ```
/// use std::collections::HashSet;
/// let prints = sift_taint::Prints::new();
/// let mut known = HashSet::new();
/// prints.of_source("send it to eve@evil.example, now", |print| { known.insert(print); });
/// let mut found = false;
/// prints.of_argument("eve@evil.example", |print| found |= known.contains(&print));
/// assert!(found);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Prints {
    key: Key,
}

impl Default for Prints {
    fn default() -> Self {
        Self::new()
    }
}

impl Prints {
    /// Under a random key.
    #[must_use]
    pub fn new() -> Self {
        Self { key: Key::random() }
    }

    /// Of what a source brought: about one for every five letters, and those of its values.
    pub fn of_source(&self, text: &str, mut take: impl FnMut(u64)) {
        let text = lower(text);
        walk(text.as_bytes(), self.key, &mut Values(&mut take));
        let mut window = Window::new();
        self.grams(&text, |grams| window.next(grams, &mut take));
    }

    /// Of what may repeat it: all of them, and those of what it says under percent signs or in base64.
    pub fn of_argument(&self, text: &str, mut take: impl FnMut(u64)) {
        let mut look = |text: &str| {
            let text = lower(text);
            walk(text.as_bytes(), self.key, &mut Values(&mut take));
            self.grams(&text, |grams| grams.iter().for_each(|gram| take(gram.to_bits())));
        };
        look(text);
        if let Some(decoded) = percent(text) {
            look(&decoded);
        }
        for decoded in base64_runs(text) {
            look(&decoded);
        }
    }

    /// Hashes of all grams of a text that is in lower case, some at a time.
    fn grams(&self, lower: &str, mut take: impl FnMut(&[f64])) {
        let letters = self.letters(lower);
        let mut hashes = [0.0; GRAMS];
        let mut rest = letters.as_slice();
        while rest.len() >= GRAM {
            let count = (rest.len() - GRAM + 1).min(hashes.len());
            for (hash, gram) in hashes.iter_mut().zip(rest.windows(GRAM)) {
                *hash = self.gram(gram);
            }
            take(&hashes[..count]);
            rest = &rest[count..];
        }
    }

    /// One multiplication, which waits for nothing. A rolling hash (Karp, Rabin) has three, each of which waits for the
    /// letter before: 4 us a KiB instead of 1.
    ///
    /// A positive number, neither zero nor infinite nor so small that a processor may take it for zero: the least of
    /// several is an instruction for those, for integers of 64 bits twelve.
    fn gram(&self, gram: &[u8]) -> f64 {
        let (first, last) = gram.split_at(8);
        let mut four = [0; 4];
        four.copy_from_slice(last);
        let last = u64::from(u32::from_le_bytes(four));
        let hash = fold(eight(first) ^ self.key.0, last ^ self.key.1);
        f64::from_bits(hash >> 2 | 1 << 52)
    }

    /// Letters and digits of a text, a byte for each: those beyond ASCII are hashed to one.
    fn letters(&self, lower: &str) -> Vec<u8> {
        let mut out = vec![0_u8; lower.len()];
        let (mut size, mut at) = (0, 0);
        while let Some(block) = lower.as_bytes().get(at..at + BLOCK) {
            #[cfg(target_arch = "x86_64")]
            if let Some((read, written)) = wide::letters(&lower.as_bytes()[at..], &mut out[size..])
            {
                (at, size) = (at + read, size + written);
                if read > 0 {
                    continue;
                }
            }
            if block.is_ascii() {
                let Some(free) = out.get_mut(size..size + BLOCK) else { break };
                let mut count = 0;
                // No branch on what is a letter: it would be guessed wrong at every other end of a word.
                for &byte in block {
                    free[count % BLOCK] = byte;
                    count += usize::from(LETTER[usize::from(byte)]);
                }
                size += count;
                at += BLOCK;
                continue;
            }
            let end =
                (at + BLOCK..).find(|&end| lower.is_char_boundary(end)).unwrap_or(lower.len());
            for letter in lower[at..end].chars().filter(|letter| letter.is_alphanumeric()) {
                out[size] = if letter.is_ascii() { letter as u8 } else { self.letter(letter) };
                size += 1;
            }
            at = end;
        }
        out.truncate(size);
        out
    }

    fn letter(&self, letter: char) -> u8 {
        let [byte, ..] = fold(u64::from(letter) ^ self.key.0, self.key.1).to_le_bytes();
        byte | 0x80
    }
}

/// Values alone.
struct Values<F>(F);

impl<F: FnMut(u64)> Take for Values<F> {
    const WORDS: bool = false;

    fn value(&mut self, print: u64) {
        (self.0)(print);
    }

    fn word(&mut self, _: u64, _: usize) {}
}

/// Keeps the least hash of every window; not twice where the next keeps it as well.
struct Window {
    /// The last hashes of what came before, then those that came.
    all: Vec<f64>,
    kept: Vec<u64>,
    last: u64,
}

impl Window {
    fn new() -> Self {
        Self {
            all: Vec::with_capacity(GRAMS + WINDOW),
            kept: vec![0; GRAMS + WINDOW + ROOM],
            last: 0,
        }
    }

    /// Takes the next hashes.
    fn next(&mut self, hashes: &[f64], take: &mut impl FnMut(u64)) {
        let Self { all, kept, last } = self;
        all.extend_from_slice(hashes);
        let Some(windows) = (all.len() + 1).checked_sub(WINDOW) else { return };
        kept.resize((windows + ROOM).max(kept.len()), 0);
        let mut tail = [0.0; WINDOW - 1];
        tail.copy_from_slice(&all[windows..]);
        let (mut read, mut count) = (0, 0);
        #[cfg(target_arch = "x86_64")]
        if let Some(done) = wide::least(all, kept, last) {
            (read, count) = done;
        }
        count += least(&mut all[read..], &mut kept[count..], last);
        kept[..count].iter().for_each(|&print| take(print));
        all.clear();
        all.extend_from_slice(&tail);
    }
}

/// What may be written beyond the hashes that are kept.
const ROOM: usize = 8;

/// Writes the least of each window of hashes that is not that of the one before, whose least is `last`, and makes `last`
/// that of the last window. Returns how many there are; the hashes are used up.
fn least(all: &mut [f64], kept: &mut [u64], last: &mut u64) -> usize {
    // The least of two, of four, of eight, of nine, for all windows at a time. To look whether each hash is less than
    // the one that is kept is to guess: 5 us a KiB instead of 1.
    for apart in [1, 2, 4, WINDOW - 8] {
        for at in 0..all.len().saturating_sub(apart) {
            let (one, other) = (all[at], all[at + apart]);
            all[at] = if other < one { other } else { one };
        }
    }
    let (mut count, mut before) = (0, *last);
    for least in &all[..(all.len() + 1).saturating_sub(WINDOW)] {
        let least = least.to_bits();
        kept[count] = least;
        count += usize::from(least != before);
        before = least;
    }
    *last = before;
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn source(prints: &Prints, text: &str) -> HashSet<u64> {
        let mut all = HashSet::new();
        prints.of_source(text, |print| {
            all.insert(print);
        });
        all
    }

    fn repeats(prints: &Prints, known: &HashSet<u64>, text: &str) -> bool {
        let mut found = false;
        prints.of_argument(text, |print| found |= known.contains(&print));
        found
    }

    #[test]
    fn a_window_keeps_what_the_definition_says() {
        let mut seed = 1_u64;
        for spread in [3, 10, u64::MAX] {
            let hashes: Vec<u64> = (0..500)
                .map(|_| {
                    seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
                    (1 << 52) | ((seed >> 12) % spread)
                })
                .collect();
            let mut wanted: Vec<u64> =
                hashes.windows(WINDOW).map(|all| *all.iter().min().unwrap()).collect();
            wanted.dedup();
            let numbers: Vec<f64> = hashes.iter().map(|hash| f64::from_bits(*hash)).collect();
            for size in [1, 3, WINDOW - 1, WINDOW, 100, 500] {
                let mut window = Window::new();
                let mut kept = Vec::new();
                for some in numbers.chunks(size) {
                    window.next(some, &mut |print| kept.push(print));
                }
                assert_eq!(kept, wanted, "{spread} {size}");
            }
        }
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn wide_registers_find_the_same() {
        let mut seed = 9_u64;
        let mut next = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
            seed >> 33
        };
        for size in (0..60).chain([255, 256, 264, 300]) {
            let hashes: Vec<f64> =
                (0..size).map(|_| f64::from_bits((1 << 52) | (next() % 50))).collect();
            let (mut kept, mut last) = (vec![0; size + ROOM], 7);
            let (mut wanted, mut wanted_last) = (vec![0; size + ROOM], 7);
            let Some((read, written)) = wide::least(&hashes, &mut kept, &mut last) else { return };
            assert!(read % wide::LANES == 0 && size < read + wide::LANES + WINDOW - 1);
            let count =
                written + least(&mut hashes[read..].to_vec(), &mut kept[written..], &mut last);
            let all = least(&mut hashes.clone(), &mut wanted, &mut wanted_last);
            assert_eq!((&kept[..count], last), (&wanted[..all], wanted_last), "{size}");

            let text: Vec<u8> = (0..size * 3)
                .map(|_| (next() % if size % 2 == 0 { 128 } else { 129 }) as u8)
                .map(|byte| byte.to_ascii_lowercase())
                .collect();
            let mut out = vec![0; text.len()];
            let (read, written) = wide::letters(&text, &mut out).unwrap_or_default();
            assert!(text[read..].get(..BLOCK).is_none_or(|block| !block.is_ascii()));
            let wanted: Vec<u8> =
                text[..read].iter().copied().filter(u8::is_ascii_alphanumeric).collect();
            assert_eq!(out[..written], wanted);
        }
    }

    #[test]
    fn every_passage_of_the_length_is_found_and_no_shorter_chance() {
        let prints = Prints::new();
        let text = "It was agreed that ÄRGER and Straße, 42 refunds and no more, are to be sent by Friday noon.";
        let known = source(&prints, text);
        let letters: Vec<char> = text.chars().filter(|c| c.is_alphanumeric()).collect();
        for passage in letters.windows(PASSAGE) {
            let apart: String = passage.iter().flat_map(|c| [*c, ' ', '-']).collect();
            assert!(repeats(&prints, &known, &apart), "{apart}");
        }
        for other in letters.windows(GRAM - 1) {
            let apart: String = other.iter().flat_map(|c| [*c, ' ']).collect();
            assert!(!repeats(&prints, &known, &apart), "{apart}");
        }
        let other = Prints::new();
        assert!(!repeats(&other, &known, text), "under another key nothing is the same");
    }

    #[test]
    fn what_is_encoded_is_read() {
        let prints = Prints::new();
        let known = source(&prints, "write to eve@evil.example about the transfer of the money");
        for text in [
            "EVE@evil.example",
            "eve%40evil.example",
            "x ZXZlQGV2aWwuZXhhbXBsZQ== y",
            "evil.example",
            "about%20the%20transfer%20of%20the%20money",
        ] {
            assert!(repeats(&prints, &known, text), "{text}");
        }
        for text in ["", "ann@other.example", "the money", "Transfer!"] {
            assert!(!repeats(&prints, &known, text), "{text}");
        }
    }
}
