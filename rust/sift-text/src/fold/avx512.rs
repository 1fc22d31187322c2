//! 64 bytes at a time with AVX-512, which moves the kept bytes together in one instruction.
//!
//! So there is no branch for blocks in which white space repeats, and one path for the end of a text.
//! Blocks with a byte that may begin a character that changes are left to AVX2.

use std::arch::x86_64::{
    _mm512_castsi512_si256, _mm512_cmpeq_epi8_mask, _mm512_cmplt_epu8_mask,
    _mm512_extracti64x4_epi64, _mm512_mask_add_epi8, _mm512_mask_mov_epi8,
    _mm512_maskz_compress_epi8, _mm512_maskz_loadu_epi8, _mm512_movepi8_mask, _mm512_set1_epi8,
    _mm512_storeu_si512, _mm512_sub_epi8,
};

use super::avx2::{active_mask, fold_plain, fold_units};
use crate::unit::is_active;

const WIDTH: usize = 64;
/// Bytes for AVX2 where a block is not for here. Texts in other scripts would be handed over at each block,
/// which made them a fifth slower.
const OTHER: usize = 4 * WIDTH;

/// Appends the folded `text` to `out`.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,avx2,bmi1,popcnt")]
pub(super) fn fold(text: &[u8], out: &mut Vec<u8>) {
    let (mut at, mut white) = (0, false);
    while at < text.len() {
        at = fold_blocks(text, at, &mut white, out);
        let end = text.len().min(at + OTHER);
        at = fold_plain(text, at, end, &mut white, out);
        if at < end {
            at = fold_units(text, at, &mut white, out);
        }
    }
}

/// Folds from `at` to the end, or to the first block with a byte that may begin a character that changes.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,avx2,bmi1,popcnt")]
fn fold_blocks(text: &[u8], mut at: usize, white: &mut bool, out: &mut Vec<u8>) -> usize {
    // INVARIANT: at least `text.len() - at + WIDTH` bytes are reserved behind `length`. Each step writes
    // WIDTH bytes and moves `length` by no more than it moves `at`.
    out.reserve(text.len() - at + WIDTH);
    let mut length = out.len();
    let target = out.as_mut_ptr();
    let splat = |byte: u8| _mm512_set1_epi8(byte as i8);
    let mut carry = u64::from(*white);
    while at < text.len() {
        let left = text.len() - at;
        let count = left.min(WIDTH);
        let valid = u64::MAX >> (WIDTH - count);
        // SAFETY: only the `count` bytes that are left are read.
        let bytes = unsafe { _mm512_maskz_loadu_epi8(valid, text.as_ptr().add(at).cast()) };
        if _mm512_movepi8_mask(bytes) != 0 {
            // A character that began before the block ends in it.
            let before = at.checked_sub(1).and_then(|left| text.get(left));
            let halves = [_mm512_castsi512_si256(bytes), _mm512_extracti64x4_epi64::<1>(bytes)];
            if before.is_some_and(|&byte| is_active(byte))
                || halves.into_iter().any(|half| active_mask(half) != 0)
            {
                break;
            }
        }
        let is_space = _mm512_cmpeq_epi8_mask(bytes, splat(b' '));
        let below = |first: u8, count: u8| {
            _mm512_cmplt_epu8_mask(_mm512_sub_epi8(bytes, splat(first)), splat(count))
        };
        let blank = (is_space | below(b'\t', 5)) & valid;
        let lower = _mm512_mask_add_epi8(bytes, below(b'A', 26), bytes, splat(0x20));
        let folded = _mm512_mask_mov_epi8(lower, blank, splat(b' '));
        let kept = valid & !(blank & (blank << 1 | carry));
        // SAFETY: WIDTH bytes are reserved behind `length` (INVARIANT above).
        unsafe {
            let together = _mm512_maskz_compress_epi8(kept, folded);
            _mm512_storeu_si512(target.add(length).cast(), together);
        }
        length += kept.count_ones() as usize;
        carry = blank >> (count - 1) & 1;
        at += count;
    }
    *white = carry == 1;
    // SAFETY: everything before `length` has been written, and it is within what was reserved.
    unsafe { out.set_len(length) };
    at
}
