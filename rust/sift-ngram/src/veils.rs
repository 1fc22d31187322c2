//! Where words may be hidden: single letters in a row, digits among letters, stems backwards or turned by 13.
//!
//! [`sift_text::decode`] reads such windows but leaves finding them to whoever looks at the words anyway.

use sift_text::decode::{Reading, Window};

use crate::features::{word_hash, Word};

/// Single letters in a row that make a word worth joining: fewer are initials and lists.
const LETTERS: usize = 6;

/// Of this many words in a row ...
const RECENT: u32 = 8;
/// ... so many have digits or signs among their letters where a text is worth reading that way.
const MIXED: u32 = 3;

/// Words of attacks, written backwards and turned by 13, as the scorer reads them: in lower case.
const STEMS: [(&[u8], Reading); 12] = [
    (b"snoitcurtsni", Reading::Reversed),
    (b"erongi", Reading::Reversed),
    (b"suoiverp", Reading::Reversed),
    (b"tpmorp", Reading::Reversed),
    (b"drowssap", Reading::Reversed),
    (b"metsys", Reading::Reversed),
    (b"vafgehpgvbaf", Reading::Rot13),
    (b"vtaber", Reading::Rot13),
    (b"cerivbhf", Reading::Rot13),
    (b"cebzcg", Reading::Rot13),
    (b"cnffjbeq", Reading::Rot13),
    (b"flfgrz", Reading::Rot13),
];

const HASHES: [(u64, Reading); STEMS.len()] = {
    let mut hashes = [(0, Reading::Rot13); STEMS.len()];
    let mut at = 0;
    while at < STEMS.len() {
        hashes[at] = (word_hash(STEMS[at].0), STEMS[at].1);
        at += 1;
    }
    hashes
};

/// One bit for each hash of a stem: most words are told from all of them by one look.
const SIEVE: [u64; 16] = {
    let mut sieve = [0; 16];
    let mut at = 0;
    while at < HASHES.len() {
        let bit = HASHES[at].0 % 1024;
        sieve[(bit / 64) as usize] |= 1 << (bit % 64);
        at += 1;
    }
    sieve
};

/// Looks at the words of a folded text one by one and collects windows that are worth reading otherwise.
#[derive(Default)]
pub(crate) struct Veils {
    /// Single letters in a row, and where the last one ended.
    letters: usize,
    letters_end: usize,
    /// One bit for each of the last words: whether it is mixed.
    mixed: u32,
}

impl Veils {
    /// The next word of `folded`, which is not levelled: digits are what they are.
    #[inline]
    pub(crate) fn see(&mut self, folded: &[u8], word: Word, found: &mut Vec<Window>) {
        let bit = word.hash % 1024;
        if SIEVE[(bit / 64) as usize] >> (bit % 64) & 1 == 1 {
            if let Some(&(_, reading)) = HASHES.iter().find(|(hash, _)| *hash == word.hash) {
                add(Window::around(word.start, folded.len(), reading), found);
            }
        }
        let text = folded.get(word.start..word.end).unwrap_or_default();
        if let [letter] = text {
            if letter.is_ascii_alphabetic() {
                let follows = self.letters > 0 && word.start - self.letters_end <= 2;
                self.letters = if follows { self.letters + 1 } else { 1 };
                self.letters_end = word.end;
                if self.letters >= LETTERS {
                    add(Window::around(word.start, folded.len(), Reading::Spaced), found);
                }
            }
        } else {
            self.letters = 0;
        }
        self.mixed = self.mixed << 1 | u32::from(is_mixed(folded, word));
        if self.mixed & 1 == 1 && (self.mixed & ((1 << RECENT) - 1)).count_ones() >= MIXED {
            add(Window::around(word.start, folded.len(), Reading::Leet), found);
        }
    }
}

/// Whether a word has digits among letters, or a sign that stands for a letter within it.
fn is_mixed(folded: &[u8], word: Word) -> bool {
    let text = folded.get(word.start..word.end).unwrap_or_default();
    let digits = text.iter().filter(|byte| byte.is_ascii_digit()).count();
    if digits > 0 {
        return digits < text.len() && digits <= 4 && text.iter().any(u8::is_ascii_alphabetic);
    }
    let sign = |at: Option<usize>| {
        at.and_then(|at| folded.get(at))
            .is_some_and(|byte| matches!(byte, b'@' | b'$' | b'!' | b'|'))
    };
    let letter =
        |at: Option<usize>| at.and_then(|at| folded.get(at)).is_some_and(u8::is_ascii_alphanumeric);
    sign(Some(word.end)) && letter(word.end.checked_add(1))
        || sign(word.start.checked_sub(1)) && letter(word.start.checked_sub(2))
}

/// Windows lie on a grid, so one that comes again is the last one or one of the last few.
fn add(window: Window, found: &mut Vec<Window>) {
    if !found.iter().rev().take(4).any(|other| *other == window) {
        found.push(window);
    }
}
