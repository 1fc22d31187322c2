//! Which n-grams a folded text has: bit for bit what `models/injection-ngram/features.py` says.
//!
//! Runs of five bytes, words, pairs of words, pairs with one word in between, runs of three words; digits count
//! as `0`. `data/vectors.jsonl` holds both sides to the same answers.

/// Bytes of a gram.
pub(crate) const GRAM: usize = 5;

/// Indices are below `1 << BITS`.
pub(crate) const BITS: u32 = 19;

const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
const GRAM_KEY: u64 = 0xd6e8_feb8_6659_fd93;
const PAIR_KEY: u64 = 0xa076_1d64_78bd_642f;
const SKIP_KEY: u64 = 0xe703_7ed1_a0b4_28db;
const TRIPLE_KEY: u64 = 0x8ebc_6af0_9c88_c6e3;

/// What a byte is to words.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Between,
    Inside,
    /// First byte of a character that is a word by itself: Chinese, Japanese, Korean.
    Alone,
}

const KINDS: [Kind; 256] = {
    let mut kinds = [Kind::Between; 256];
    let mut byte = 0;
    while byte < 256 {
        if (byte as u8).is_ascii_alphanumeric() || byte >= 0x80 {
            kinds[byte] = Kind::Inside;
        }
        if byte >= 0xe3 && byte <= 0xed {
            kinds[byte] = Kind::Alone;
        }
        byte += 1;
    }
    kinds
};

/// The byte that counts: `0` for every digit.
const fn plain(byte: u8) -> u8 {
    if byte.is_ascii_digit() {
        b'0'
    } else {
        byte
    }
}

/// Copies `folded` with its digits levelled, and eight bytes behind it, so that grams are read as one number.
pub(crate) fn prepare(folded: &[u8], out: &mut Vec<u8>) {
    out.clear();
    out.extend(folded.iter().map(|&byte| plain(byte)));
    out.extend_from_slice(&[0; 8]);
}

#[inline]
fn index(hash: u64) -> usize {
    (hash.wrapping_mul(GOLDEN) >> (64 - BITS)) as usize
}

/// The gram that ends at `last`, of prepared bytes.
#[inline]
fn gram(prepared: &[u8], last: usize) -> usize {
    let first = last + 1 - GRAM;
    let bytes = prepared.get(first..first + 8).and_then(|bytes| bytes.try_into().ok());
    let value = u64::from_le_bytes(bytes.unwrap_or_default()) & ((1 << (8 * GRAM)) - 1);
    (value.wrapping_mul(GRAM_KEY) >> (64 - BITS)) as usize
}

/// Tells the index of each gram that ends in `begin..end`; `prepared` is longer by 8 than the text.
#[inline]
pub(crate) fn grams(prepared: &[u8], begin: usize, end: usize, tell: &mut impl FnMut(usize)) {
    for last in begin.max(GRAM - 1)..end {
        tell(gram(prepared, last));
    }
}

/// A word: where it is, and its hash.
#[derive(Clone, Copy)]
pub(crate) struct Word {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) hash: u64,
}

/// Tells the words of prepared bytes, of which `length` are text.
#[inline]
pub(crate) fn words(prepared: &[u8], length: usize, tell: &mut impl FnMut(Word)) {
    let text = prepared.get(..length).unwrap_or(prepared);
    let kind = |at: usize| text.get(at).map_or(Kind::Between, |&byte| KINDS[usize::from(byte)]);
    let mut at = 0;
    while at < text.len() {
        let start = at;
        let mut hash = FNV_START;
        match kind(at) {
            Kind::Between => {
                at += 1;
                continue;
            }
            Kind::Alone => {
                at = text.len().min(at + 3);
                for &byte in &text[start..at] {
                    hash = (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME);
                }
            }
            Kind::Inside => {
                for &byte in &text[start..] {
                    if KINDS[usize::from(byte)] != Kind::Inside {
                        break;
                    }
                    hash = (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME);
                    at += 1;
                }
            }
        }
        tell(Word { start, end: at, hash });
    }
}

/// The hash of a word that is not in a text.
pub(crate) const fn word_hash(word: &[u8]) -> u64 {
    let (mut hash, mut at) = (FNV_START, 0);
    while at < word.len() {
        hash = (hash ^ word[at] as u64).wrapping_mul(FNV_PRIME);
        at += 1;
    }
    hash
}

/// The words seen last, and the features that the next one ends.
#[derive(Default)]
pub(crate) struct Chain {
    last: Option<u64>,
    before: Option<u64>,
}

impl Chain {
    /// Tells the indices of all features of words that end with this one.
    #[inline]
    pub(crate) fn push(&mut self, hash: u64, tell: &mut impl FnMut(usize)) {
        tell(index(hash));
        if let Some(last) = self.last {
            tell(index(last.wrapping_mul(PAIR_KEY) ^ hash));
            if let Some(before) = self.before {
                tell(index(before.wrapping_mul(SKIP_KEY) ^ hash));
                let first = before.wrapping_mul(TRIPLE_KEY) ^ last;
                tell(index(first.wrapping_mul(TRIPLE_KEY) ^ hash));
            }
        }
        self.before = self.last;
        self.last = Some(hash);
    }
}

/// Tells `(last byte, index)` of every feature of a folded text: for tests, which compare with the trainer.
#[doc(hidden)]
pub fn visit(folded: &[u8], tell: &mut dyn FnMut(usize, usize)) {
    let mut prepared = Vec::new();
    prepare(folded, &mut prepared);
    for last in 0..folded.len() {
        grams(&prepared, last, last + 1, &mut |index| tell(last, index));
    }
    let mut chain = Chain::default();
    words(&prepared, folded.len(), &mut |word| {
        chain.push(word.hash, &mut |index| tell(word.end - 1, index));
    });
}
