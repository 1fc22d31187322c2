//! Runs of words of a system prompt in an answer, whole or in pieces: n-gram overlap with the real prompt.
//!
//! Words are what stands between white space and ASCII marks, without their case: a prompt that is quoted with other
//! marks, or on other lines, is the same prompt. Each word has a fingerprint under a key of the process, and a run of
//! them the hash that rolls over it (Karp, Rabin, *Efficient randomized pattern-matching algorithms*, 1987): one
//! multiplication and one look into a bitmap for each word of an answer. A collision, one in 2^64 for each run, would
//! stop an answer that holds no run; it never hides one.

use super::text::{fill, fold_case, kinds, Open, BLOCK};
use super::Key;

/// The shortest and the longest run of words that can be looked for.
pub const LEAST_WORDS: usize = 2;
/// As [`LEAST_WORDS`].
pub const MOST_WORDS: usize = 64;

/// Bits of the bitmap for each run: of the words of an ordinary answer one in so many is searched for in vain.
const BITS_A_RUN: usize = 64;

/// The runs of words of one prompt, as it is and backwards, by words or by letters: the oldest ways to have it said.
///
/// ```
/// let runs = sift_taint::PromptRuns::new("Never say what the pump costs, or who sold it.", 5);
/// assert!(runs.within("He told me: NEVER say -- what the\npump is."));
/// assert!(!runs.within("Never say what it costs."));
/// ```
#[derive(Debug)]
pub struct PromptRuns {
    key: Key,
    size: usize,
    /// What a hash is multiplied by for each word, and that to the power of `size` and of one less.
    base: u64,
    leaves_run: u64,
    leaves_head: u64,
    /// Bytes of the longest word: longer ones are in no run.
    longest: usize,
    runs: Hashes,
    /// All but the last word of each run: what may become one.
    heads: Hashes,
}

impl PromptRuns {
    /// Of a prompt.
    ///
    /// Args: `size`, words of a run; one that is out of bounds is the nearest that is not.
    #[must_use]
    pub fn new(prompt: &str, size: usize) -> Self {
        let size = size.clamp(LEAST_WORDS, MOST_WORDS);
        let key = Key::random();
        // Odd, as both halves of a key are.
        let base = Key::random().0;
        let mut out = Self {
            key,
            size,
            base,
            leaves_run: power(base, size),
            leaves_head: power(base, size - 1),
            longest: 0,
            runs: Hashes::default(),
            heads: Hashes::default(),
        };
        let mut words = Vec::new();
        let mut longest = 0;
        out.words(prompt, |word, bytes| {
            words.push(word);
            longest = longest.max(bytes);
        });
        let mut backwards = Vec::new();
        let letters: String = prompt.chars().rev().collect();
        out.words(&letters, |word, bytes| {
            backwards.push(word);
            longest = longest.max(bytes);
        });
        out.longest = longest;
        let mirrored: Vec<u64> = words.iter().rev().copied().collect();
        let (mut runs, mut heads) = (Vec::new(), Vec::new());
        for text in [&words, &mirrored, &backwards] {
            for run in text.windows(size) {
                runs.push(out.hash(run));
                heads.push(out.hash(&run[..size - 1]));
            }
        }
        out.runs = Hashes::new(runs);
        out.heads = Hashes::new(heads);
        out
    }

    /// Different runs.
    #[must_use]
    pub fn len(&self) -> usize {
        self.runs.sorted.len()
    }

    /// Whether the prompt is shorter than a run.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a run of the prompt is in a text.
    #[must_use]
    pub fn within(&self, text: &str) -> bool {
        let mut rolling = Rolling::default();
        let mut found = false;
        self.words(text, |word, _| found |= rolling.take(self, word));
        found
    }

    fn words(&self, text: &str, mut take: impl FnMut(u64, usize)) {
        let mut folded = String::with_capacity(text.len() + 2 * BLOCK);
        fold_case(text, &mut folded);
        each_word(folded, |bytes, begin, end| take(self.key.word(bytes, begin, end), end - begin));
    }

    fn hash(&self, words: &[u64]) -> u64 {
        words.iter().fold(0, |hash, &word| next(hash, self.base, word))
    }
}

/// What a stream of text has come to.
///
/// A word is complete when something follows it, so the last one is kept until then, with one byte more than the
/// longest word of the prompt has at most.
#[derive(Debug, Default)]
pub struct PromptStream {
    rolling: Rolling,
    /// The last word as far as it has come, folded; how many characters of the text that is.
    open: String,
    characters: usize,
}

impl PromptStream {
    /// Takes the next piece.
    ///
    /// Args: `last`, whether nothing follows.
    ///
    /// Returns: whether a word of this piece completed a run, and how many characters at the end of the text must not
    /// be given out yet, because the word that they begin may complete one.
    pub fn feed(&mut self, runs: &PromptRuns, piece: &str, last: bool) -> (bool, usize) {
        let open = piece.chars().rev().take_while(|&letter| is_of_word(letter)).count();
        let goes_on = piece.chars().take(open + 1).count() == open;
        self.characters = if goes_on { self.characters + open } else { open };
        let mut folded = std::mem::take(&mut self.open);
        folded.reserve(piece.len() + 2 * BLOCK);
        fold_case(piece, &mut folded);
        let size = folded.len();
        let (mut found, rolling, kept) = (false, &mut self.rolling, &mut self.open);
        each_word(folded, |bytes, begin, end| {
            if end < size || last {
                found |= rolling.take(runs, runs.key.word(bytes, begin, end));
            } else {
                let most = runs.longest + 1;
                // A byte of a letter that is cut is U+FFFD, and the word too long either way.
                kept.push_str(&String::from_utf8_lossy(&bytes[begin..end.min(begin + most)]));
            }
        });
        if self.open.is_empty() {
            self.characters = 0;
        }
        let waits = self.open.len() <= runs.longest && self.rolling.is_head(runs);
        (found, if waits { self.characters } else { 0 })
    }
}

fn is_of_word(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || !(letter.is_ascii() || letter.is_whitespace())
}

/// Calls back with begin and end of each word of a text that is folded, and with the bytes that they are places in.
fn each_word(mut folded: String, mut take: impl FnMut(&[u8], usize, usize)) {
    fill(&mut folded);
    let mut bytes = folded.into_bytes();
    // Where words are cut for provenance it is a letter; here it is a mark like any other.
    for byte in &mut bytes {
        *byte = if *byte == b'_' { b' ' } else { *byte };
    }
    let mut open = Open::default();
    for (place, block) in bytes.as_chunks::<BLOCK>().0.iter().enumerate() {
        open.take(kinds(block).words, place * BLOCK, |begin, end| take(&bytes, begin, end));
    }
}

/// The hash of the last words, as they come.
#[derive(Debug)]
struct Rolling {
    /// The last words of a run in a ring, and where the next goes: that of the oldest.
    words: [u64; MOST_WORDS],
    place: usize,
    /// Words so far, up to those of a run.
    count: usize,
    hash: u64,
}

impl Default for Rolling {
    fn default() -> Self {
        Self { words: [0; MOST_WORDS], place: 0, count: 0, hash: 0 }
    }
}

impl Rolling {
    /// Takes a word; whether a run ends with it.
    fn take(&mut self, runs: &PromptRuns, word: u64) -> bool {
        // Before there are as many words as a run has, those that leave are 0, as a hash of nothing is.
        let leaves = std::mem::replace(&mut self.words[self.place], word);
        self.hash =
            next(self.hash, runs.base, word).wrapping_sub(leaves.wrapping_mul(runs.leaves_run));
        // No remainder: to divide took a third of the time.
        self.place = if self.place + 1 == runs.size { 0 } else { self.place + 1 };
        self.count = runs.size.min(self.count + 1);
        self.count == runs.size && runs.runs.holds(self.hash)
    }

    /// Whether the last words are a run but for its last.
    fn is_head(&self, runs: &PromptRuns) -> bool {
        let leaves = self.words[self.place];
        let hash = self.hash.wrapping_sub(leaves.wrapping_mul(runs.leaves_head));
        self.count + 1 >= runs.size && runs.heads.holds(hash)
    }
}

fn next(hash: u64, base: u64, word: u64) -> u64 {
    hash.wrapping_mul(base).wrapping_add(word)
}

fn power(base: u64, size: usize) -> u64 {
    (0..size).fold(1, |product, _| base.wrapping_mul(product))
}

/// A set of hashes, none of which is in it most of the time.
#[derive(Debug, Default)]
struct Hashes {
    /// One bit, chosen by the highest of a hash, for all that may be in it.
    bits: Vec<u64>,
    shift: u32,
    sorted: Vec<u64>,
}

impl Hashes {
    fn new(mut hashes: Vec<u64>) -> Self {
        hashes.sort_unstable();
        hashes.dedup();
        let bits = (hashes.len() * BITS_A_RUN).next_power_of_two().max(64);
        let mut out = Self { bits: vec![0; bits / 64], shift: 64 - bits.ilog2(), sorted: hashes };
        for &hash in &out.sorted {
            let place = hash >> out.shift;
            out.bits[(place / 64) as usize] |= 1 << (place % 64);
        }
        out
    }

    fn holds(&self, hash: u64) -> bool {
        let place = hash >> self.shift;
        let word = self.bits.get((place / 64) as usize).copied().unwrap_or(0);
        word >> (place % 64) & 1 == 1 && self.sorted.binary_search(&hash).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const PROMPT: &str =
        "Du bist der Helfer von Acme & Söhne. Never say what the PUMP costs: it is 4417,50 \
                          Euro_or more, und wer fragt, wird weitergeleitet an Bea Müller.";

    /// The same without hashes.
    fn words(text: &str) -> Vec<String> {
        let fold = |word: &str| -> String {
            let mut out = String::new();
            fold_case(word, &mut out);
            out
        };
        let parts = text.split(|letter: char| !is_of_word(letter));
        parts.filter(|word| !word.is_empty()).map(fold).collect()
    }

    fn naive(prompt: &str, size: usize, text: &str) -> bool {
        let forwards = words(prompt);
        let mirrored = forwards.iter().rev().cloned().collect();
        let backwards = words(&prompt.chars().rev().collect::<String>());
        let texts: [Vec<String>; 3] = [forwards, mirrored, backwards];
        let runs: HashSet<&[String]> = texts.iter().flat_map(|text| text.windows(size)).collect();
        words(text).windows(size).any(|run| runs.contains(run))
    }

    struct Random(u64);

    impl Random {
        fn below(&mut self, most: usize) -> usize {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) as usize % most
        }
    }

    /// Parts of the prompt, and other things, behind one another.
    fn answer(random: &mut Random, prompt: &str) -> String {
        let letters: Vec<char> = prompt.chars().collect();
        let mut out = String::new();
        for _ in 0..1 + random.below(6) {
            let begin = random.below(letters.len());
            let end = (begin + random.below(90)).min(letters.len());
            let part = letters[begin..end].iter();
            match random.below(6) {
                0 => out.extend(part.rev()),
                1 => out.extend(part.flat_map(|letter| letter.to_uppercase())),
                2 => {
                    out.extend(part.map(|&letter| if letter == ' ' { '\u{2003}' } else { letter }))
                }
                3 => out.extend(part.map(|&letter| if letter == ' ' { '_' } else { letter })),
                4 => out += ["x", " ", "\u{131}\u{130}", "\u{fffd}", "e\u{301}"][random.below(5)],
                _ => out.extend(part),
            }
        }
        out
    }

    #[test]
    fn the_same_runs_are_found_as_without_hashes() {
        let mut random = Random(3);
        let mut found = 0;
        for round in 0..3_000 {
            let size = [2, 4, 7, 12, 64][round % 5];
            let text = answer(&mut random, PROMPT);
            let wanted = naive(PROMPT, size, &text);
            assert_eq!(PromptRuns::new(PROMPT, size).within(&text), wanted, "round {round}");
            found += usize::from(wanted);
        }
        assert!((500..2_500).contains(&found), "{found}");
    }

    /// What was given out of a stream never holds a run, and what is stopped does.
    #[test]
    fn a_stream_is_stopped_where_the_whole_would_be_and_before_the_last_word() {
        let mut random = Random(4);
        let runs = PromptRuns::new(PROMPT, 4);
        for round in 0..2_000 {
            let text: Vec<char> = answer(&mut random, PROMPT).chars().collect();
            let whole: String = text.iter().collect();
            let (mut stream, mut waiting, mut out) =
                (PromptStream::default(), Vec::<char>::new(), String::new());
            let (mut at, mut stopped) = (0, false);
            let widest = 1 + random.below(20);
            loop {
                let end = (at + 1 + random.below(widest)).min(text.len());
                let piece: String = text[at..end].iter().collect();
                waiting.extend(&text[at..end]);
                let (found, hold) = stream.feed(&runs, &piece, end == text.len());
                stopped |= found;
                if stopped {
                    break;
                }
                out.extend(waiting.drain(..waiting.len() - hold));
                at = end;
                if at == text.len() {
                    break;
                }
            }
            assert_eq!(stopped, runs.within(&whole), "round {round}");
            assert!(!runs.within(&out), "round {round}");
            assert!(stopped || out == whole, "round {round}");
        }
    }

    #[test]
    fn a_word_without_end_is_neither_kept_nor_held() {
        let runs = PromptRuns::new("alpha beta gamma delta", 4);
        let mut stream = PromptStream::default();
        assert_eq!(stream.feed(&runs, "alpha beta gamma d", false), (false, 1));
        assert_eq!(stream.feed(&runs, "elta", false), (false, 5));
        for _ in 0..1_000 {
            assert_eq!(stream.feed(&runs, "\u{e9}\u{e9}\u{e9}", false), (false, 0));
            assert!(stream.open.len() <= 3 * (runs.longest + 1));
        }
        assert_eq!(stream.feed(&runs, " alpha beta gamma delta", true), (true, 0));
    }

    #[test]
    fn odd_prompts_and_texts_are_read_without_a_panic() {
        for prompt in ["", " ", "a", "a b", "\u{0}\u{0} _", &"ab ".repeat(5_000)] {
            for size in [0, 2, 1_000] {
                let runs = PromptRuns::new(prompt, size);
                assert!(runs.len() <= 3 * prompt.len());
                for text in ["", "\u{0}", "a b a b", &"\u{1f600}".repeat(99), &"b a ".repeat(999)] {
                    let mut stream = PromptStream::default();
                    let (found, _) = stream.feed(&runs, text, true);
                    assert_eq!(found, runs.within(text));
                }
            }
        }
    }

    #[test]
    fn letters_are_folded_as_unicode_says() {
        let folded = |text: &str| {
            let mut out = String::new();
            fold_case(text, &mut out);
            out
        };
        for (one, other) in [
            ("STRASSE", "Stra\u{df}e"),
            ("\u{1e9e}", "ss"),
            ("\u{3a3}\u{3c2}", "\u{3c3}\u{3c3}"),
            ("\u{fb01}", "FI"),
            ("\u{212a}", "k"),
            ("\u{17f}", "S"),
            ("\u{13a0}", "\u{ab70}"),
            ("\u{130}", "i\u{307}"),
            ("\u{b5}", "\u{3bc}"),
        ] {
            assert_eq!(folded(one), folded(other));
        }
        assert_ne!(folded("\u{131}"), folded("i"));
        let every: String =
            ('\u{80}'..=char::MAX).filter(|letter| !letter.is_whitespace()).collect();
        assert_eq!(words(&every).len(), 1, "a letter must not become what separates words");
    }
}
