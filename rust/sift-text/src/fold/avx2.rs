//! 32 bytes at a time with AVX2.
//!
//! Case and white space are comparisons of 32 bytes at once. A byte is dropped when it and its left
//! neighbour are white space, which is one shift and one `and` of bit masks; where nothing is dropped the
//! 32 bytes are stored as they are, else each 8 of them are moved together by a shuffle whose control is
//! looked up by the mask (`pext` would do without the table, and is microcode on older AMD processors).
//! Bytes above ASCII pass through unless they begin a character that folding may change. Of those the
//! commonest scripts are folded here as well (`fold_common`); the rest is left to the scalar unit, one at
//! a time.

use std::arch::x86_64::{
    __m256i, _mm256_add_epi8, _mm256_alignr_epi8, _mm256_and_si256, _mm256_andnot_si256,
    _mm256_blendv_epi8, _mm256_castsi256_si128, _mm256_cmpeq_epi8, _mm256_cmpgt_epi8,
    _mm256_extracti128_si256, _mm256_loadu_si256, _mm256_movemask_epi8, _mm256_or_si256,
    _mm256_permute2x128_si256, _mm256_set1_epi16, _mm256_set1_epi8, _mm256_set_epi64x,
    _mm256_setr_epi8, _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_srli_epi16,
    _mm256_storeu_si256, _mm_cvtsi128_si64, _mm_extract_epi64,
};

use super::scalar::push;
use crate::unit::{is_active, unit};

const WIDTH: usize = 32;

/// For each mask of 8 bytes: the numbers of the kept ones, in order, one per byte of the word.
static KEPT: [u64; 256] = {
    let mut table = [0; 256];
    let mut mask = 0;
    while mask < 256 {
        let (mut bit, mut place) = (0, 0);
        while bit < 8 {
            if mask >> bit & 1 == 1 {
                table[mask] |= bit << (8 * place);
                place += 1;
            }
            bit += 1;
        }
        mask += 1;
    }
    table
};

/// Appends the folded `text` to `out`.
#[target_feature(enable = "avx2,bmi1,popcnt")]
pub(super) fn fold(text: &[u8], out: &mut Vec<u8>) {
    let (mut at, mut white) = (0, false);
    while at < text.len() {
        at = fold_plain(text, at, text.len(), &mut white, out);
        at = fold_units(text, at, &mut white, out);
    }
}

/// Folds the character at `at`, and those that follow as long as they may need the slow way as well: where
/// one does the next one often does, beyond a space or so.
pub(super) fn fold_units(text: &[u8], at: usize, white: &mut bool, out: &mut Vec<u8>) -> usize {
    let mut rest = text.get(at..).unwrap_or_default();
    while let Some(next) = unit(rest) {
        rest = push(rest, next, white, out);
        if rest.get(..2).is_none_or(<[u8]>::is_ascii) {
            break;
        }
    }
    text.len() - rest.len()
}

/// Folds from `at` to `end` or a little beyond, or to the first byte that may begin a character that changes.
#[target_feature(enable = "avx2,bmi1,popcnt")]
pub(super) fn fold_plain(
    text: &[u8],
    mut at: usize,
    end: usize,
    white: &mut bool,
    out: &mut Vec<u8>,
) -> usize {
    // INVARIANT: at least `text.len() - at + WIDTH` bytes are reserved behind `length`. Each step writes
    // at most WIDTH bytes and moves `length` by no more than it moves `at`.
    out.reserve(text.len() - at + WIDTH);
    let mut length = out.len();
    let target = out.as_mut_ptr();
    let mut carry = u32::from(*white);
    let mut active = 0;
    while active == 0 && at < end {
        let left = text.len() - at;
        let (bytes, skip) = if left >= WIDTH {
            // SAFETY: `at + WIDTH <= text.len()`.
            (unsafe { _mm256_loadu_si256(text.as_ptr().add(at).cast()) }, 0)
        } else if text.len() >= WIDTH {
            // The last 32 bytes, those before `at` for the second time: they are masked away.
            // SAFETY: `text.len() - WIDTH` does not wrap, and 32 bytes lie behind it.
            let bytes = unsafe { _mm256_loadu_si256(text.as_ptr().add(text.len() - WIDTH).cast()) };
            (bytes, WIDTH - left)
        } else {
            let mut padded = [0_u8; WIDTH];
            padded[WIDTH - text.len()..].copy_from_slice(text);
            // SAFETY: the array is 32 bytes.
            (unsafe { _mm256_loadu_si256(padded.as_ptr().cast()) }, WIDTH - left)
        };
        let mut bytes = bytes;
        let mut valid = u32::MAX << skip;
        if _mm256_movemask_epi8(bytes) != 0 {
            // The neighbours of the 32 bytes decide too. Zero where the text ends is right: what lacks its
            // last bytes is no character, and changes no more than one that needs nothing done.
            let byte = |at: usize| text.get(at).copied().unwrap_or(0);
            let before = if skip == 0 { at.checked_sub(1).map_or(0, byte) } else { 0 };
            active = active_mask(bytes);
            if active != 0 || is_active(before) {
                let after = match skip {
                    0 => [byte(at + WIDTH), byte(at + WIDTH + 1)],
                    _ => [0, 0],
                };
                (bytes, active) = fold_common(bytes, before, after, active);
                active &= valid;
            }
            if active != 0 {
                valid &= (active & active.wrapping_neg()) - 1;
            }
        }
        let (folded, blank) = fold_bytes(bytes);
        let blank = blank & valid;
        let kept = valid & !(blank & (blank << 1 | carry << skip));
        if kept == u32::MAX {
            // SAFETY: WIDTH bytes are reserved behind `length` (INVARIANT above).
            unsafe { _mm256_storeu_si256(target.add(length).cast(), folded) };
            length += WIDTH;
        } else {
            // SAFETY: as above; `store_kept` writes at most WIDTH bytes.
            length += unsafe { store_kept(target.add(length), folded, kept) };
        }
        if valid != 0 {
            carry = u32::from(blank >> (31 - valid.leading_zeros()) & 1 == 1);
        }
        at += valid.count_ones() as usize;
    }
    *white = carry == 1;
    // SAFETY: everything before `length` has been written, and it is within what was reserved.
    unsafe { out.set_len(length) };
    at
}

/// The bytes from `first` to `last`. The range holds less than 128.
#[inline]
#[target_feature(enable = "avx2,bmi1,popcnt")]
fn in_range(bytes: __m256i, first: u8, last: u8) -> __m256i {
    // Comparisons are signed: the range is moved down to where the signed numbers begin.
    let moved = _mm256_add_epi8(bytes, _mm256_set1_epi8(0x80_u8.wrapping_sub(first) as i8));
    _mm256_cmpgt_epi8(_mm256_set1_epi8((0x81 + (last - first)) as i8), moved)
}

/// Lower case and white space of 32 bytes: the bytes with each white one a space, and the mask of those.
#[inline]
#[target_feature(enable = "avx2,bmi1,popcnt")]
fn fold_bytes(bytes: __m256i) -> (__m256i, u32) {
    let space = _mm256_set1_epi8(b' ' as i8);
    let blank = _mm256_or_si256(in_range(bytes, b'\t', b'\r'), _mm256_cmpeq_epi8(bytes, space));
    // The bit that tells the cases of a letter apart is the space itself, 0x20.
    let lower = _mm256_or_si256(bytes, _mm256_and_si256(in_range(bytes, b'A', b'Z'), space));
    (_mm256_blendv_epi8(lower, space, blank), _mm256_movemask_epi8(blank) as u32)
}

/// The bytes that may begin a character that folding changes: `unit::is_active`, by nibbles.
#[inline]
#[target_feature(enable = "avx2,bmi1,popcnt")]
pub(super) fn active_mask(bytes: __m256i) -> u32 {
    // One bit for each of the high nibbles c, d, e, f. The set of low nibbles of each:
    // c: 2-9 d f, d: 0-5, e: 1 2 3 a f, f: 0.
    const C: i8 = 1;
    const D: i8 = 2;
    const E: i8 = 4;
    const F: i8 = 8;
    const CD: i8 = C | D;
    const CDE: i8 = C | D | E;
    const CE: i8 = C | E;
    const DE: i8 = D | E;
    let low = _mm256_setr_epi8(
        D | F,
        DE,
        CDE,
        CDE,
        CD,
        CD,
        C,
        C,
        C,
        C,
        E,
        0,
        0,
        C,
        C,
        CE, //
        D | F,
        DE,
        CDE,
        CDE,
        CD,
        CD,
        C,
        C,
        C,
        C,
        E,
        0,
        0,
        C,
        C,
        CE,
    );
    let high = _mm256_setr_epi8(
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, C, D, E, F, //
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, C, D, E, F,
    );
    let nibble = _mm256_set1_epi8(0x0f);
    let by_low = _mm256_shuffle_epi8(low, _mm256_and_si256(bytes, nibble));
    let by_high =
        _mm256_shuffle_epi8(high, _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), nibble));
    let none = _mm256_cmpeq_epi8(_mm256_and_si256(by_low, by_high), _mm256_setzero_si256());
    !(_mm256_movemask_epi8(none) as u32)
}

/// Folds the letters of two bytes of the commonest scripts, and takes from `active` what needs no more.
///
/// Latin-1, Greek and Russian lower case is a sum: on the last byte, and where the sum would leave the
/// block of 64, on the lead byte too. Dashes, quotes, signs, emoji and most of CJK begin like characters
/// that change and do not; their next bytes tell. `before` and `after` are the neighbours of the 32 bytes.
///
/// A lead byte is never inside a character, so a pair of bytes met here is a character or invalid in
/// every reading of the text. A byte that is no continuation byte meets none of the conditions.
#[inline]
#[target_feature(enable = "avx2,bmi1,popcnt")]
fn fold_common(bytes: __m256i, before: u8, after: [u8; 2], active: u32) -> (__m256i, u32) {
    let is = |of: __m256i, byte: u8| _mm256_cmpeq_epi8(of, _mm256_set1_epi8(byte as i8));
    let range = |of: __m256i, first: u8, last: u8| in_range(of, first, last);
    let high = |of: __m256i, nibble: u8| {
        is(_mm256_and_si256(of, _mm256_set1_epi8(0xf0_u8 as i8)), nibble << 4)
    };
    let either = |a: __m256i, b: __m256i| _mm256_or_si256(a, b);
    let both = |a: __m256i, b: __m256i| _mm256_and_si256(a, b);
    let except = |a: __m256i, b: __m256i| _mm256_andnot_si256(b, a);

    let neighbour = _mm256_set1_epi8(before as i8);
    let left = _mm256_permute2x128_si256::<0x20>(neighbour, bytes);
    let previous = _mm256_alignr_epi8::<15>(bytes, left);
    let right = _mm256_set1_epi16(i16::from_le_bytes(after));
    let right = _mm256_permute2x128_si256::<0x21>(bytes, right);
    let second = _mm256_alignr_epi8::<1>(right, bytes);
    let third = _mm256_alignr_epi8::<2>(right, bytes);

    // U+C0..DE but not the multiplication sign.
    let latin = both(is(previous, 0xc3), except(range(bytes, 0x80, 0x9e), is(bytes, 0x97)));
    // U+391..39F and U+3A0..3AB but not the unassigned U+3A2.
    let greek = |of| except(high(of, 0x9), is(of, 0x90));
    let greek_far = |of| except(range(of, 0xa0, 0xab), is(of, 0xa2));
    // U+410..41F, U+420..42F; U+400..40F go to U+450..45F, which is D1 90..9F.
    let after_greek = is(previous, 0xce);
    let after_russian = is(previous, 0xd0);
    let up = either(
        latin,
        either(both(after_greek, greek(bytes)), both(after_russian, high(bytes, 0x9))),
    );
    let down = either(both(after_greek, greek_far(bytes)), both(after_russian, high(bytes, 0xa)));
    let half = both(after_russian, high(bytes, 0x8));
    let far = either(
        both(is(bytes, 0xce), greek_far(second)),
        both(is(bytes, 0xd0), either(high(second, 0x8), high(second, 0xa))),
    );
    let sum = either(
        either(both(up, _mm256_set1_epi8(0x20)), both(down, _mm256_set1_epi8(-0x20))),
        either(both(half, _mm256_set1_epi8(0x10)), both(far, _mm256_set1_epi8(1))),
    );

    // Of the lead bytes known here, those that begin a character that is not known after all.
    let spaces = either(
        range(third, 0x80, 0x8a),
        either(is(third, 0x9f), either(range(third, 0xa8, 0xa9), is(third, 0xaf))),
    );
    let general = both(either(range(second, 0x80, 0x81), is(second, 0x86)), spaces);
    let symbols = either(range(second, 0x84, 0x85), range(second, 0x92, 0x93));
    let unknown = [
        (0xc2, either(is(second, 0x85), is(second, 0xa0))),
        (0xce, high(second, 0x8)),
        (0xcf, range(second, 0x8f, 0xbf)),
        (0xd1, range(second, 0xa0, 0xbf)),
        (0xe2, either(general, either(symbols, high(second, 0xb)))),
        (0xe3, both(is(second, 0x80), is(third, 0x80))),
        (0xea, high(second, 0x9)),
        (0xef, is(second, 0xbc)),
        (0xf0, range(second, 0x90, 0x9e)),
    ];
    let mut left_over = _mm256_setzero_si256();
    for (lead, condition) in unknown {
        left_over = either(left_over, both(is(bytes, lead), condition));
    }
    let known = either(
        either(range(bytes, 0xc2, 0xc3), range(bytes, 0xce, 0xd1)),
        either(either(range(bytes, 0xe2, 0xe3), is(bytes, 0xea)), range(bytes, 0xef, 0xf0)),
    );
    let known = _mm256_movemask_epi8(known) as u32;
    let left_over = _mm256_movemask_epi8(left_over) as u32;
    (_mm256_add_epi8(bytes, sum), active & (!known | left_over))
}

/// Stores the bytes of `kept` side by side and returns how many they are.
///
/// # Safety
///
/// 32 bytes at `target` may be written.
#[inline]
#[target_feature(enable = "avx2,bmi1,popcnt")]
unsafe fn store_kept(target: *mut u8, bytes: __m256i, kept: u32) -> usize {
    let order = |group: u32| KEPT[(kept >> (8 * group) & 0xff) as usize];
    let count = |group: u32| (kept >> (8 * group) & 0xff).count_ones() as usize;
    // A shuffle stays within its 16 bytes, so the second group of each counts from 8.
    const EIGHT: u64 = 0x0808_0808_0808_0808;
    let control = _mm256_set_epi64x(
        (order(3) | EIGHT) as i64,
        order(2) as i64,
        (order(1) | EIGHT) as i64,
        order(0) as i64,
    );
    let moved = _mm256_shuffle_epi8(bytes, control);
    let (lower, upper) = (_mm256_castsi256_si128(moved), _mm256_extracti128_si256::<1>(moved));
    let second = count(0);
    let third = second + count(1);
    let fourth = third + count(2);
    // SAFETY: group `i` is stored at most `8 * i` bytes behind `target`: all within 32 bytes.
    unsafe {
        target.cast::<i64>().write_unaligned(_mm_cvtsi128_si64(lower));
        target.add(second).cast::<i64>().write_unaligned(_mm_extract_epi64::<1>(lower));
        target.add(third).cast::<i64>().write_unaligned(_mm_cvtsi128_si64(upper));
        target.add(fourth).cast::<i64>().write_unaligned(_mm_extract_epi64::<1>(upper));
    }
    fourth + count(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nibble_tables_say_what_is_active_says() {
        if !super::super::Path::Avx2.is_available() {
            return;
        }
        for byte in 0..=255_u8 {
            let expected = if is_active(byte) { u32::MAX } else { 0 };
            // SAFETY: the processor has the features.
            let mask = unsafe { active_mask(_mm256_set1_epi8(byte as i8)) };
            assert_eq!(mask, expected, "{byte:#x}");
        }
    }
}
