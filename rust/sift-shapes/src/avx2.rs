//! Runs by AVX2: one bit a byte, and a run of 32 or more shows in the low ones of a block and the high
//! ones of the blocks before it.

use std::arch::x86_64::{
    __m256i, _mm256_add_epi8, _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_min_epu8,
    _mm256_movemask_epi8, _mm256_or_si256, _mm256_set1_epi8,
};

const BLOCK: usize = 32;

/// One bit for each byte that is an ASCII letter or digit.
#[target_feature(enable = "avx2")]
fn alnum_bits(block: __m256i) -> u32 {
    // Unsigned `x - low <= width`, as `min(x - low, width) == x - low`.
    let lower = _mm256_or_si256(block, _mm256_set1_epi8(0x20));
    let letter = _mm256_add_epi8(lower, _mm256_set1_epi8(-(b'a' as i8)));
    let is_letter = _mm256_cmpeq_epi8(_mm256_min_epu8(letter, _mm256_set1_epi8(25)), letter);
    let digit = _mm256_add_epi8(block, _mm256_set1_epi8(-(b'0' as i8)));
    let is_digit = _mm256_cmpeq_epi8(_mm256_min_epu8(digit, _mm256_set1_epi8(9)), digit);
    _mm256_movemask_epi8(_mm256_or_si256(is_letter, is_digit)) as u32
}

/// # Safety
///
/// The processor must have AVX2.
#[target_feature(enable = "avx2")]
pub(crate) unsafe fn alnum_runs(
    text: &[u8],
    min: usize,
    on_run: &mut dyn FnMut(usize, usize) -> bool,
) {
    // Bytes of the run that reaches the end of the block before.
    let mut carry = 0;
    let blocks = text.chunks_exact(BLOCK);
    let rest = blocks.remainder();
    let mut at = 0;
    for block in blocks {
        // SAFETY: a block has 32 bytes, and the load needs no alignment.
        let bits = alnum_bits(unsafe { _mm256_loadu_si256(block.as_ptr().cast()) });
        if bits == u32::MAX {
            carry += BLOCK;
        } else {
            let run = carry + bits.trailing_ones() as usize;
            let end = at + bits.trailing_ones() as usize;
            if run >= min && !on_run(end - run, end) {
                return;
            }
            carry = bits.leading_ones() as usize;
        }
        at += BLOCK;
    }
    let tail = rest.iter().take_while(|b| b.is_ascii_alphanumeric()).count();
    if carry + tail >= min {
        on_run(at - carry, at + tail);
    }
}
