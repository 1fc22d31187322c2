//! Masks by AVX2: a byte's class is looked up by its two halves.

use std::arch::x86_64::{
    __m256i, _mm256_add_epi8, _mm256_and_si256, _mm256_broadcastsi128_si256, _mm256_cmpeq_epi8,
    _mm256_loadu_si256, _mm256_min_epu8, _mm256_movemask_epi8, _mm256_set1_epi8,
    _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_srli_epi16, _mm_loadu_si128,
};

use crate::walk::Walk;
use crate::{is_value_byte, Run};

/// By the low half of a byte: one bit for each high half with which it is a value byte.
static LOW: [u8; 16] = {
    let mut low = [0; 16];
    let mut byte = 0_u8;
    while byte < 128 {
        if is_value_byte(byte) {
            low[(byte & 15) as usize] |= 1 << (byte >> 4);
        }
        byte += 1;
    }
    low
};

/// By the high half of a byte: its bit. None beyond ASCII.
static HIGH: [u8; 16] = [1, 2, 4, 8, 16, 32, 64, 128, 0, 0, 0, 0, 0, 0, 0, 0];

/// The value bytes and the digits among 32 bytes.
#[inline]
#[target_feature(enable = "avx2")]
fn masks(block: __m256i, low: __m256i, high: __m256i) -> (u32, u32) {
    // A byte beyond ASCII looks up 0: its top bit says so.
    let by_low = _mm256_shuffle_epi8(low, block);
    let halves = _mm256_and_si256(_mm256_srli_epi16(block, 4), _mm256_set1_epi8(15));
    let common = _mm256_and_si256(by_low, _mm256_shuffle_epi8(high, halves));
    let none = _mm256_cmpeq_epi8(common, _mm256_setzero_si256());
    // Unsigned `x - low <= width`, as `min(x - low, width) == x - low`.
    let digit = _mm256_add_epi8(block, _mm256_set1_epi8(-(b'0' as i8)));
    let is_digit = _mm256_cmpeq_epi8(_mm256_min_epu8(digit, _mm256_set1_epi8(9)), digit);
    (!(_mm256_movemask_epi8(none) as u32), _mm256_movemask_epi8(is_digit) as u32)
}

/// # Safety
///
/// The processor must have AVX2, BMI1, BMI2 and LZCNT.
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt")]
pub(crate) unsafe fn value_runs(text: &[u8], on_run: &mut dyn FnMut(Run) -> bool) {
    // SAFETY: the tables have 16 bytes, and the load needs no alignment.
    let table = |table: &[u8; 16]| unsafe {
        _mm256_broadcastsi128_si256(_mm_loadu_si128(table.as_ptr().cast()))
    };
    let (low, high) = (table(&LOW), table(&HIGH));
    let both = |block: &[u8; 64]| {
        // SAFETY: the block has twice 32 bytes, and the loads need no alignment.
        let (left, right) = unsafe {
            let at = block.as_ptr().cast::<__m256i>();
            (_mm256_loadu_si256(at), _mm256_loadu_si256(at.add(1)))
        };
        let ((v, d), (w, e)) = (masks(left, low, high), masks(right, low, high));
        (u64::from(v) | u64::from(w) << 32, u64::from(d) | u64::from(e) << 32)
    };
    let mut walk = Walk::default();
    let (blocks, rest) = text.as_chunks::<64>();
    for block in blocks {
        let (value, digit) = both(block);
        if !walk.block(value, digit, on_run) {
            return;
        }
    }
    // Zeros are no value bytes: a run that reaches the end of the text ends in this block.
    let mut last = [0; 64];
    last[..rest.len()].copy_from_slice(rest);
    let (value, digit) = both(&last);
    walk.block(value, digit, on_run);
}
