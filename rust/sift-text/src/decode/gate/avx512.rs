//! The look with 512 bytes at a time: eight blocks, a mask of 64 bytes in each lane.
//!
//! Of the classes of eight bytes one instruction makes eight bytes with a bit of each, and a shift of eight masks
//! is one instruction, so a byte costs a third of an instruction. A run that reaches its length is judged on the
//! spot ([`judge`]): of the words, paths and identifiers that look like base64 almost none reads as text.

use std::arch::x86_64::{
    __m512i, _mm512_add_epi64, _mm512_add_epi8, _mm512_alignr_epi64, _mm512_and_si512,
    _mm512_andnot_si512, _mm512_cmpeq_epi16_mask, _mm512_cmpeq_epi8_mask, _mm512_cmple_epu8_mask,
    _mm512_gf2p8affine_epi64_epi8, _mm512_loadu_si512, _mm512_maskz_compress_epi8,
    _mm512_maskz_loadu_epi8, _mm512_maskz_permutex2var_epi8, _mm512_movepi8_mask, _mm512_or_si512,
    _mm512_permutex2var_epi64, _mm512_permutexvar_epi8, _mm512_set1_epi32, _mm512_set1_epi64,
    _mm512_set1_epi8, _mm512_setr_epi64, _mm512_setzero_si512, _mm512_shldi_epi64,
    _mm512_shrdi_epi64, _mm512_shuffle_epi8, _mm512_slli_epi16, _mm512_slli_epi64,
    _mm512_srli_epi16, _mm512_srli_epi64, _mm512_storeu_si512, _mm512_sub_epi8,
    _mm512_test_epi64_mask, _mm512_test_epi8_mask, _pext_u64,
};

use super::{
    characters, is_loud, BASE64, BLOCK, CHARACTERS, ESCAPES, HEX, LEET, PAIRS, PAIRS_RUN, RUN,
    SPACED,
};
use crate::decode::base64::{self, KINDS, PLACES, VALUES};
use crate::decode::runs::{line_break, Break, LINE};
use crate::decode::veiled::{begins, is_leet, word};
use crate::decode::{hex_value, MIN_TEXT};

/// Bytes that are looked at together.
const PART: usize = 8 * BLOCK;

/// What a run of base64 is made of, line breaks among it; a hexadecimal digit; what lists of pairs are made of;
/// what escapes begin with, ampersands apart; and what the byte behind is in one.
const ALPHABET: u8 = 1;
const DIGIT: u8 = 2;
const LIST: u8 = 4;
const SIGN: u8 = 8;
const AMPERSAND: u8 = 16;
const SECOND: u8 = 32;
const LETTER: u8 = 64;
const LEET_SIGN: u8 = 128;

static CLASSES: [u8; 128] = {
    let mut classes = [0; 128];
    let mut at = 0;
    while at < 128 {
        let byte = at as u8;
        let line = matches!(byte, b'\r' | b'\n');
        let digit = hex_value(byte).is_some();
        classes[at] = if VALUES[at] < 64 || line { ALPHABET } else { 0 }
            | if digit { DIGIT } else { 0 }
            | if digit
                || line
                || matches!(byte, b' ' | b',' | b':' | b';' | b'-' | b'x' | b'X' | b'\t')
            {
                LIST
            } else {
                0
            }
            | if matches!(byte, b'%' | b'\\') { SIGN } else { 0 }
            | if byte == b'&' { AMPERSAND } else { 0 }
            | if matches!(byte, b'u' | b'U' | b'x' | b'/' | b'0'..=b'3' | b'#' | b'n' | b'r' | b't')
            {
                SECOND
            } else {
                0
            }
            | if byte.is_ascii_alphabetic() { LETTER } else { 0 }
            | if is_leet(byte) { LEET_SIGN } else { 0 };
        at += 1;
    }
    classes
};

/// Turns the bytes of each eight around: the first bit of a product is of the last byte.
static REVERSED: [u8; 64] = {
    let mut order = [0; 64];
    let mut at = 0;
    while at < 64 {
        order[at] = (at as u8 & 8) | (7 - (at as u8 & 7));
        at += 1;
    }
    order
};

/// From eight masks of 8 bytes each to eight masks of 64 bytes.
static GATHERED: [u8; 64] = {
    let mut order = [0; 64];
    let mut at = 0;
    while at < 64 {
        order[at] = (at as u8 & 7) << 3 | at as u8 >> 3;
        at += 1;
    }
    order
};

/// The masks of eight blocks.
#[derive(Clone, Copy)]
struct Masks {
    alphabet: __m512i,
    digit: __m512i,
    list: __m512i,
    sign: __m512i,
    ampersand: __m512i,
    second: __m512i,
    letter: __m512i,
    leet: __m512i,
    /// Blocks with a byte above ASCII.
    high: u8,
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,gfni")]
fn table(table: &[u8; 64]) -> __m512i {
    // SAFETY: the table has 64 bytes, and the load needs no alignment.
    unsafe { _mm512_loadu_si512(table.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,gfni")]
fn halves(table_of: &[u8; 128]) -> [__m512i; 2] {
    let (low, high) = table_of.split_at(64);
    [low, high].map(|half| match half.first_chunk() {
        Some(half) => table(half),
        None => _mm512_setzero_si512(),
    })
}

/// The masks of a part, which at the end of a text is shorter.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,gfni")]
fn masks(part: &[u8]) -> Masks {
    let [low, high] = halves(&CLASSES);
    let (reversed, gathered) = (table(&REVERSED), table(&GATHERED));
    let unit = _mm512_set1_epi64(i64::from_le_bytes([1, 2, 4, 8, 16, 32, 64, -128_i8 as u8]));
    let row = |bytes: __m512i| {
        let bytes = _mm512_shuffle_epi8(bytes, reversed);
        let ascii = !_mm512_movepi8_mask(bytes);
        let classes = _mm512_maskz_permutex2var_epi8(ascii, low, bytes, high);
        let bits = _mm512_gf2p8affine_epi64_epi8::<0>(unit, classes);
        (_mm512_permutexvar_epi8(gathered, bits), u8::from(ascii != u64::MAX))
    };
    let mut rows = [_mm512_setzero_si512(); 8];
    let mut above = 0;
    if let Some(part) = part.first_chunk::<PART>() {
        for (number, row_of) in rows.iter_mut().enumerate() {
            // SAFETY: eight blocks are a part.
            let bytes = unsafe { _mm512_loadu_si512(part.as_ptr().add(BLOCK * number).cast()) };
            let (masks, high) = row(bytes);
            *row_of = masks;
            above |= high << number;
        }
    } else {
        for (number, (row_of, block)) in rows.iter_mut().zip(part.chunks(BLOCK)).enumerate() {
            // SAFETY: only as many bytes are read as the block has.
            let bytes = unsafe {
                _mm512_maskz_loadu_epi8(u64::MAX >> (BLOCK - block.len()), block.as_ptr().cast())
            };
            let (masks, high) = row(bytes);
            *row_of = masks;
            above |= high << number;
        }
    }
    let [alphabet, digit, list, sign, ampersand, second, letter, leet] = columns(rows);
    Masks { alphabet, digit, list, sign, ampersand, second, letter, leet, high: above }
}

/// Eight rows of eight masks, as eight columns.
#[inline]
#[target_feature(enable = "avx512f")]
fn columns(rows: [__m512i; 8]) -> [__m512i; 8] {
    let pick = |a: __m512i, b: __m512i, order: [i64; 8]| {
        let [q, r, s, t, u, v, w, x] = order;
        _mm512_permutex2var_epi64(a, _mm512_setr_epi64(q, r, s, t, u, v, w, x), b)
    };
    // Blocks of one, two and four masks change places.
    let step = |rows: [__m512i; 8], apart: usize, even: [i64; 8], odd: [i64; 8]| {
        let mut next = rows;
        for i in (0..8).filter(|i| i & apart == 0) {
            next[i] = pick(rows[i], rows[i + apart], even);
            next[i + apart] = pick(rows[i], rows[i + apart], odd);
        }
        next
    };
    let rows = step(rows, 1, [0, 8, 2, 10, 4, 12, 6, 14], [1, 9, 3, 11, 5, 13, 7, 15]);
    let rows = step(rows, 2, [0, 1, 8, 9, 4, 5, 12, 13], [2, 3, 10, 11, 6, 7, 14, 15]);
    step(rows, 4, [0, 1, 2, 3, 8, 9, 10, 11], [4, 5, 6, 7, 12, 13, 14, 15])
}

/// What the part before leaves to the next one.
struct Left {
    /// Runs of one, two, four and eight bytes of the alphabet that end at a place.
    ends: [__m512i; 4],
    /// Of the last block: whether it may hold part of a list, and whether two pairs of digits.
    list: u8,
    pairs: u8,
    /// Up to here runs were judged.
    judged: usize,
}

/// Fills `marks`, which has a byte for each block of `text`. Returns all of them together.
///
/// # Safety
///
/// The processor has AVX-512 F, BW, VBMI and VBMI2, GFNI and BMI2.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,gfni,bmi2")]
pub(super) unsafe fn look(text: &[u8], veils: bool, marks: &mut [u8]) -> u8 {
    let mut parts = text.chunks(PART);
    let Some(mut part) = parts.next().map(|part| masks(part)) else { return 0 };
    let mut left = Left { ends: [_mm512_setzero_si512(); 4], list: 0, pairs: 0, judged: 0 };
    let mut begun = 0;
    let mut all = 0;
    loop {
        let behind = parts.next().map(|part| masks(part));
        let ends = reached(&part, &mut left);
        let mut mark = |block: usize, mark: u8| {
            all |= mark;
            if let Some(marks) = marks.get_mut(block) {
                *marks |= mark;
            }
        };
        let first = begun / BLOCK;
        if blocks(ends) != 0 {
            for (number, ends) in lanes(ends).into_iter().enumerate() {
                ended(text, begun + BLOCK * number, ends, &mut left.judged, &mut mark);
            }
        }
        each(pairs(&part, &mut left), |number| mark(first + number, PAIRS));
        if veils {
            let (signs, parts, single) = veiled(&part);
            if blocks(signs) != 0 {
                let both = lanes(signs).into_iter().zip(lanes(parts));
                for (number, (signs, parts)) in both.enumerate() {
                    if words(text, begun + BLOCK * number, signs, parts) {
                        mark(first + number, LEET);
                    }
                }
            }
            each(single, |number| mark(first + number, SPACED));
        }
        let signs = escapes(&part, behind.as_ref());
        if blocks(signs) != 0 {
            for (number, mut signs) in lanes(signs).into_iter().enumerate() {
                while signs != 0 {
                    if is_loud(text, begun + BLOCK * number + signs.trailing_zeros() as usize) {
                        mark(first + number, ESCAPES);
                        break;
                    }
                    signs &= signs - 1;
                }
            }
        }
        each(part.high, |number| {
            if characters(text, begun + BLOCK * number) {
                mark(first + number, CHARACTERS);
            }
        });
        begun += PART;
        match behind {
            Some(behind) => part = behind,
            None => return all,
        }
    }
}

/// The numbers of the bits of `set`.
#[inline]
fn each(mut set: u8, mut tell: impl FnMut(usize)) {
    while set != 0 {
        tell(set.trailing_zeros() as usize);
        set &= set - 1;
    }
}

/// Blocks in which a mask has a bit.
#[inline]
#[target_feature(enable = "avx512f")]
fn blocks(mask: __m512i) -> u8 {
    _mm512_test_epi64_mask(mask, mask)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn lanes(mask: __m512i) -> [u64; 8] {
    let mut lanes = [0_u64; 8];
    // SAFETY: 64 bytes are written to an array of 64, and the store needs no alignment.
    unsafe { _mm512_storeu_si512(lanes.as_mut_ptr().cast(), mask) };
    lanes
}

/// A bit for each byte at which a run of the alphabet has [`RUN`] bytes or more.
#[inline]
#[target_feature(enable = "avx512f,avx512vbmi2")]
fn reached(part: &Masks, left: &mut Left) -> __m512i {
    const { assert!(RUN == 16) };
    let [a, b, c, d] = left.ends;
    // The lanes of the blocks before.
    let before = |lanes: __m512i, joined: __m512i| _mm512_alignr_epi64::<7>(lanes, joined);
    let one = part.alphabet;
    let two = _mm512_and_si512(one, _mm512_shldi_epi64::<1>(one, before(one, a)));
    let four = _mm512_and_si512(two, _mm512_shldi_epi64::<2>(two, before(two, b)));
    let eight = _mm512_and_si512(four, _mm512_shldi_epi64::<4>(four, before(four, c)));
    left.ends = [one, two, four, eight];
    _mm512_and_si512(eight, _mm512_shldi_epi64::<8>(eight, before(eight, d)))
}

/// Blocks in which a list of pairs may end.
///
/// A list is longer than 31 bytes, so 16 of it stand from a multiple of 16 on. Two pairs are at most 28 bytes apart,
/// so a block inside has two, and of a list in two blocks one has: that in which it ends, or the one before.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn pairs(part: &Masks, left: &mut Left) -> u8 {
    const { assert!(PAIRS_RUN >= 31) };
    let mut whole = _mm512_cmpeq_epi16_mask(part.list, _mm512_set1_epi8(-1));
    if whole == 0 && left.list == 0 {
        left.pairs = 1;
        return 0;
    }
    // A bit for each block instead of each 16 bytes.
    whole |= whole >> 1;
    whole = (whole | whole >> 2) & 0x1111_1111;
    whole = (whole | whole >> 3) & 0x0303_0303;
    whole = (whole | whole >> 6) & 0x000f_000f;
    let whole = (whole | whole >> 12) as u8;
    let digit = part.digit;
    let next = _mm512_srli_epi64::<1>(digit);
    let alone = _mm512_andnot_si512(_mm512_slli_epi64::<1>(digit), _mm512_and_si512(digit, next));
    let pairs = _mm512_andnot_si512(_mm512_srli_epi64::<2>(digit), alone);
    let many = _mm512_and_si512(pairs, _mm512_add_epi64(pairs, _mm512_set1_epi64(-1)));
    let many = blocks(many);
    let near = (whole | whole << 1 | left.list) & (many | many << 1 | left.pairs);
    (left.list, left.pairs) = (whole >> 7, many >> 7);
    near & blocks(part.list)
}

/// A bit for each byte that may begin a loud escape.
#[inline]
#[target_feature(enable = "avx512f,avx512vbmi2")]
fn escapes(part: &Masks, behind: Option<&Masks>) -> __m512i {
    let any = _mm512_or_si512(part.sign, part.ampersand);
    if blocks(any) == 0 {
        return any;
    }
    let none = _mm512_setzero_si512();
    let (digit, second, letter) =
        behind.map_or((none, none, none), |it| (it.digit, it.second, it.letter));
    let digits = _mm512_alignr_epi64::<1>(digit, part.digit);
    let seconds = _mm512_alignr_epi64::<1>(second, part.second);
    let letters = _mm512_alignr_epi64::<1>(letter, part.letter);
    let second = _mm512_shrdi_epi64::<1>(part.second, seconds);
    let digits = _mm512_and_si512(
        _mm512_shrdi_epi64::<1>(part.digit, digits),
        _mm512_shrdi_epi64::<2>(part.digit, digits),
    );
    let letter = _mm512_shrdi_epi64::<1>(part.letter, letters);
    _mm512_or_si512(
        _mm512_and_si512(part.sign, _mm512_or_si512(second, digits)),
        _mm512_and_si512(part.ampersand, _mm512_or_si512(second, letter)),
    )
}

/// A bit for each digit or sign with a letter behind it among three letters and signs, one for each of those, and the
/// blocks with three single
/// letters near one another.
#[inline]
#[target_feature(enable = "avx512f")]
fn veiled(part: &Masks) -> (__m512i, __m512i, u8) {
    let letter = part.letter;
    let (left, right) = (_mm512_slli_epi64::<1>(letter), _mm512_srli_epi64::<1>(letter));
    let single = _mm512_andnot_si512(_mm512_or_si512(left, right), letter);
    let near = |lanes: __m512i| {
        let two = _mm512_or_si512(_mm512_srli_epi64::<2>(lanes), _mm512_srli_epi64::<3>(lanes));
        _mm512_and_si512(lanes, two)
    };
    // What stands in another block may be a letter, or none.
    let behind = _mm512_or_si512(right, _mm512_set1_epi64(i64::MIN));
    let signs = _mm512_and_si512(part.leet, behind);
    // Of a word of three; at the edges of a block it may be one.
    let part_of = _mm512_or_si512(letter, part.leet);
    let two = _mm512_and_si512(part_of, _mm512_srli_epi64::<1>(part_of));
    let three = _mm512_and_si512(two, _mm512_srli_epi64::<2>(part_of));
    let around = _mm512_or_si512(
        _mm512_or_si512(three, _mm512_slli_epi64::<1>(three)),
        _mm512_or_si512(_mm512_slli_epi64::<2>(three), _mm512_set1_epi64((i64::MIN >> 1) | 3)),
    );
    (_mm512_and_si512(signs, around), part_of, blocks(near(near(single))))
}

/// Whether one of the `signs` of the block at `start` is in a word that is looked up; `parts`: letters and signs.
fn words(text: &[u8], start: usize, mut signs: u64, parts: u64) -> bool {
    while signs != 0 {
        let bit = signs.trailing_zeros();
        let before = (parts << (63 - bit)).leading_ones();
        let behind = (parts >> bit).trailing_ones();
        // Of a word that is all in the block the first three letters mostly say enough.
        let whole = before <= bit && bit + behind < 64;
        let at = start + bit as usize;
        let end = if whole && !begins(text, at + 1 - before as usize) {
            at + behind as usize
        } else {
            let (is_veiled, end) = word(text, at);
            if is_veiled {
                return true;
            }
            end
        };
        signs &= u64::MAX.checked_shl((end - start) as u32).unwrap_or(0);
    }
    false
}

/// Judges the runs that reach their length where `ends` has a bit, in the block at `start`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,gfni,bmi2")]
fn ended(
    text: &[u8],
    start: usize,
    mut ends: u64,
    judged: &mut usize,
    mark: &mut impl FnMut(usize, u8),
) {
    while ends != 0 {
        let first = start + ends.trailing_zeros() as usize + 1 - RUN;
        // The bits of one run stand together.
        ends &= ends.wrapping_add(ends & ends.wrapping_neg());
        if first >= *judged {
            let it = judge(text, first);
            *judged = it.end;
            // All of it: a decoder may leave line breaks at its beginning and seek again.
            let all = if it.base64 { BASE64 } else { 0 } | if it.hex { HEX } else { 0 };
            if all != 0 {
                (first / BLOCK..=it.end / BLOCK).for_each(|block| mark(block, all));
            }
        }
    }
}

/// What may be read in a run.
struct Judged {
    base64: bool,
    hex: bool,
    end: usize,
}

/// The places of [`PLACES`] at which a character may stand, that it is one, its kind, and whether it is a digit.
const INSIDE: u8 = 8;
const UPPER: u8 = 16;
const LOWER: u8 = 32;
const NUMBER: u8 = 64;
const ALL_KINDS: u8 = UPPER | LOWER | NUMBER;
const HEXADECIMAL: u8 = 128;

static CHARACTER: [u8; 128] = {
    let mut classes = [0; 128];
    let mut at = 0;
    while at < 128 {
        if VALUES[at] < 64 {
            let places = PLACES[at];
            let place = (places & 1) as u8
                | ((places >> 8 & 1) as u8) << 1
                | ((places >> 16 & 1) as u8) << 2;
            let digit = if hex_value(at as u8).is_some() { HEXADECIMAL } else { 0 };
            classes[at] = INSIDE | place | (KINDS[at] << 4) | digit;
        }
        at += 1;
    }
    classes
};

/// What each of four characters must be in a phase.
const PHASES: [u32; 4] = [0x0804_0201, 0x0108_0402, 0x0201_0804, 0x0402_0108];

/// Judges the run of the alphabet, line breaks among it, that begins at `first`.
///
/// ASCII text, and UTF-16 of it, has sixteen characters in a row that may stand where they do; text of other
/// scripts has capitals, small letters and digits; compressed data begins as it does; and what goes on behind an
/// escaped or indented break is left to the decoder.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,gfni,bmi2")]
fn judge(text: &[u8], first: usize) -> Judged {
    let (mut at, mut all) = (first, Judged { base64: false, hex: false, end: first + 1 });
    let (mut kinds, mut text_of_others) = (0, false);
    loop {
        let block = text.get(at..text.len().min(at + BLOCK)).unwrap_or_default();
        if block.is_empty() {
            return all;
        }
        // SAFETY: only as many bytes are read as the block has.
        let bytes = unsafe {
            _mm512_maskz_loadu_epi8(u64::MAX >> (BLOCK - block.len()), block.as_ptr().cast())
        };
        let [low, high] = halves(&CHARACTER);
        let ascii = !_mm512_movepi8_mask(bytes);
        let classes = _mm512_maskz_permutex2var_epi8(ascii, low, bytes, high);
        let has = |bits: u8| _mm512_test_epi8_mask(classes, _mm512_set1_epi8(bits as i8));
        let is = |byte: u8| _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8(byte as i8));
        let (inside, breaks) = (has(INSIDE), is(b'\r') | is(b'\n'));
        let length = (inside | breaks).trailing_ones() as usize;
        all.end = at + length;
        let run = if length == BLOCK { u64::MAX } else { (1 << length) - 1 };
        let (letters, breaks) = (inside & run, breaks & run);
        let ends = length < BLOCK;
        if breaks != 0 && (!ends || at > first) {
            return lines(text, first);
        }
        let goes_on = ends && goes_on(text, all.end, breaks, length);
        for kind in [UPPER, LOWER, NUMBER] {
            kinds |= if has(kind) & run != 0 { kind } else { 0 };
        }
        all.base64 |= goes_on || at == first && is_packed(block, letters, breaks);
        let characters = _mm512_maskz_compress_epi8(letters, classes);
        for phase in PHASES {
            let mut fits = _mm512_test_epi8_mask(characters, _mm512_set1_epi32(phase as i32));
            for width in [1, 2, 4, 8] {
                fits &= fits >> width;
            }
            all.base64 |= fits != 0;
        }
        if kinds == ALL_KINDS || !ends {
            let [low, high] = halves(&SIX);
            let values = _mm512_maskz_permutex2var_epi8(ascii, low, bytes, high);
            let values = _mm512_maskz_compress_epi8(letters, values);
            text_of_others |= may_be_of_others(values, letters.count_ones());
        }
        let digits = has(HEXADECIMAL) & run;
        all.hex |= if goes_on || breaks != 0 {
            // A line of a run that goes on may be short.
            longest(digits | breaks, RUN)
        } else {
            longest(digits, 2 * MIN_TEXT) && may_be_text(bytes, digits)
        };
        if ends {
            all.base64 |= kinds == ALL_KINDS && text_of_others;
            return all;
        }
        at += STEP;
    }
}

/// From one look at a long run to the next: what is looked for is not longer than the rest of a block.
const STEP: usize = BLOCK / 2;
const _: () = assert!(BLOCK - STEP > 2 * MIN_TEXT && BLOCK - STEP >= RUN);

/// Whether there are `count` bits in a row, 16 to 31.
#[inline]
fn longest(mut bits: u64, count: usize) -> bool {
    for width in [1, 2, 4, 8] {
        bits &= bits >> width;
    }
    bits & bits >> (count - 16) != 0
}

/// Whether among the hexadecimal `digits` of 64 bytes there may be text, in UTF-8 or UTF-16, or compressed data.
///
/// It asks whether what begins a character of more than one byte is followed by another byte of one, and whether
/// such a byte stands behind one of its kind: no text is broken by that.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,gfni")]
fn may_be_text(bytes: __m512i, digits: u64) -> bool {
    let splat = |byte: u8| _mm512_set1_epi8(byte as i8);
    // The low half of a letter is one to six, so with nine it is the digit.
    let letter = _mm512_and_si512(_mm512_srli_epi16::<6>(bytes), splat(1));
    let nine = _mm512_or_si512(letter, _mm512_slli_epi16::<3>(letter));
    let value = _mm512_add_epi8(_mm512_and_si512(bytes, splat(15)), nine);
    // Of other letters it would reach into the next byte.
    let value = _mm512_and_si512(value, splat(15));
    // Each digit with the one behind it, whichever of the two phases is the right one.
    let next = _mm512_permutexvar_epi8(table(&BEHIND), value);
    let byte = _mm512_or_si512(_mm512_slli_epi16::<4>(value), next);
    let pairs = digits & digits >> 1;
    let within = |first: u8, last: u8| {
        pairs & _mm512_cmple_epu8_mask(_mm512_sub_epi8(byte, splat(first)), splat(last - first))
    };
    let plain = within(b' ', b'~') | within(b'\t', b'\n') | within(b'\r', b'\r');
    let (lead, tail) = (within(0xc2, 0xf4), within(0x80, 0xbf));
    let fits = (plain | lead) & !(lead << 2) | tail & (lead | tail) << 2;
    let four = fits & fits >> 2 & (fits & fits >> 2) >> 4;
    let text = four & four >> 8 & four >> 16;
    const { assert!(MIN_TEXT == 12) };
    // High bytes of UTF-16. Of twelve characters seven at least are among the digits of one look.
    let high = within(0, 6) | within(9, 14) | within(0x20, 0x20) | within(0x30, 0x30);
    let high = high & high >> 4 & (high & high >> 4) >> 8;
    let utf16 = high & high >> 12;
    let packed = (within(0x1f, 0x1f) | within(0x78, 0x78)) & !(digits << 1);
    text != 0 || utf16 != 0 || packed != 0
}

/// Six bits for each character.
static SIX: [u8; 128] = {
    let mut values = [0; 128];
    let mut at = 0;
    while at < 128 {
        values[at] = VALUES[at];
        at += 1;
    }
    values
};

/// Every fourth bit.
const FOURTH: u64 = 0x1111_1111_1111_1111;

/// Whether the first `count` of 64 characters of base64 may hold text of any script in UTF-8 or UTF-16, in any phase.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,gfni,bmi2")]
fn may_be_of_others(values: __m512i, count: u32) -> bool {
    let splat = |byte: u8| _mm512_set1_epi8(byte as i8);
    let next = _mm512_permutexvar_epi8(table(&BEHIND), values);
    // The three bytes that a character and the one behind it are part of, if it is the first of a group, the second
    // or the third.
    let low = |bits: __m512i, most: u8| _mm512_and_si512(bits, splat(most));
    let bytes = [
        _mm512_or_si512(
            low(_mm512_slli_epi16::<2>(values), 0xfc),
            low(_mm512_srli_epi16::<4>(next), 3),
        ),
        _mm512_or_si512(
            low(_mm512_slli_epi16::<4>(values), 0xf0),
            low(_mm512_srli_epi16::<2>(next), 15),
        ),
        _mm512_or_si512(low(_mm512_slli_epi16::<6>(values), 0xc0), next),
    ];
    let pairs = (u64::MAX >> (64 - count.clamp(1, 64))) >> 1;
    let kinds = bytes.map(|byte| {
        let within = |first: u8, last: u8| {
            pairs & _mm512_cmple_epu8_mask(_mm512_sub_epi8(byte, splat(first)), splat(last - first))
        };
        let plain = within(b' ', b'~') | within(b'\t', b'\n') | within(b'\r', b'\r');
        let high = within(0, 6) | within(9, 14) | within(0x20, 0x20) | within(0x30, 0x30);
        [plain, within(0xc2, 0xf4), within(0x80, 0xbf), high]
    });
    (0..4).any(|phase| {
        let first = FOURTH << phase;
        let [plain, lead, tail, high] = [0, 1, 2, 3].map(|kind| {
            let [one, two, three] = kinds.map(|kinds: [u64; 4]| kinds[kind]);
            let all = one & first | two & first.rotate_left(1) | three & first.rotate_left(2);
            // Nothing begins at the fourth.
            _pext_u64(all, !first.rotate_left(3))
        });
        let fits = (plain | lead) & !(lead << 1) | tail & (lead | tail) << 1;
        let four = fits & fits >> 1 & (fits & fits >> 1) >> 2;
        const { assert!(MIN_TEXT == 12) };
        // Of UTF-16 every second byte is a high one. Of twelve six at least are among the bytes of one look.
        let pairs = high & high >> 2;
        four & four >> 4 & four >> 8 != 0 || pairs & pairs >> 4 & pairs >> 8 != 0
    })
}

/// For each byte the number of the next one.
static BEHIND: [u8; 64] = {
    let mut order = [0; 64];
    let mut at = 0;
    while at < 64 {
        order[at] = (at as u8 + 1) & 63;
        at += 1;
    }
    order
};

/// Whether a run that ends at `end` goes on behind an escaped or indented line break.
#[inline]
fn goes_on(text: &[u8], end: usize, breaks: u64, length: usize) -> bool {
    // Characters of its last line, and where its break begins.
    let last = 64 - breaks.leading_zeros() as usize;
    let follows = |byte| VALUES[usize::from(byte)] < 64;
    let joins = |at, line| matches!(line_break(text, at, line, true, follows), Break::Joins(_));
    match text.get(end) {
        Some(b'\\') => joins(end, length - last),
        Some(b' ' | b'\t') if last == length && breaks != 0 => {
            // The break is the last byte, or the last two.
            let first =
                if breaks >> (length - 1) & 1 == 1 && length > 1 && breaks >> (length - 2) & 1 == 1
                {
                    2
                } else {
                    1
                };
            joins(end - first, LINE)
        }
        _ => false,
    }
}

/// Whether a line begins as compressed data does.
#[inline]
fn is_packed(block: &[u8], letters: u64, breaks: u64) -> bool {
    let mut heads = (1 | breaks << 1) & letters;
    while heads != 0 {
        let at = heads.trailing_zeros() as usize;
        match block.get(at..at + 2) {
            Some([b'H', b'4'] | [b'e', b'A' | b'F' | b'J' | b'N']) => return true,
            _ => heads &= heads - 1,
        }
    }
    false
}

/// Judges a run of a block or more with line breaks.
#[cold]
fn lines(text: &[u8], first: usize) -> Judged {
    let (barren, end) = base64::barren(text, first, true);
    // It may have been looked at to where it was known not to be barren.
    let rest = text.get(end..).unwrap_or_default();
    let is_break = |byte: u8| matches!(byte, b'\r' | b'\n');
    let is_inside = |byte: &&u8| VALUES[usize::from(**byte)] < 64 || is_break(**byte);
    let end = end + rest.iter().take_while(is_inside).count();
    let run = text.get(first..end).unwrap_or_default();
    let is_digit = |byte: &u8| hex_value(*byte).is_some() || is_break(*byte);
    let hex = run.split(|byte| !is_digit(byte)).any(|digits| digits.len() >= RUN);
    Judged { base64: !barren, hex, end }
}
