//! [`Joints`] and [`Bytes`] by AVX2.

use std::arch::x86_64::{
    __m256i, _mm256_add_epi8, _mm256_and_si256, _mm256_broadcastsi128_si256, _mm256_cmpeq_epi8,
    _mm256_loadu_si256, _mm256_min_epu8, _mm256_movemask_epi8, _mm256_or_si256, _mm256_set1_epi8,
    _mm256_setr_epi8, _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_srli_epi16,
    _mm256_xor_si256, _mm_loadu_si128,
};

use crate::joints::{Bytes, Joints};

#[inline]
#[target_feature(enable = "avx2")]
fn load(block: &[u8; 64]) -> [__m256i; 2] {
    // SAFETY: the block has twice 32 bytes, and the loads need no alignment.
    unsafe {
        let at = block.as_ptr().cast::<__m256i>();
        [_mm256_loadu_si256(at), _mm256_loadu_si256(at.add(1))]
    }
}

#[inline]
fn join([low, high]: [i32; 2]) -> u64 {
    u64::from(low as u32) | u64::from(high as u32) << 32
}

/// # Safety
///
/// The processor must have AVX2.
#[target_feature(enable = "avx2")]
pub(crate) unsafe fn joints(block: &[u8; 64]) -> Joints {
    let masks = load(block).map(|bytes| {
        let is = |byte: u8| _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(byte as i8));
        let (percent, equals, hyphen) = (is(b'%'), is(b'='), is(b'-'));
        let or = |a, b| _mm256_or_si256(a, b);
        let signs = or(or(or(is(b'+'), is(b'/')), or(is(b'~'), equals)), percent);
        // Unsigned `x - low <= width`, as `min(x - low, width) == x - low`.
        let digit = _mm256_add_epi8(bytes, _mm256_set1_epi8(-(b'0' as i8)));
        let is_digit = _mm256_cmpeq_epi8(_mm256_min_epu8(digit, _mm256_set1_epi8(9)), digit);
        [or(signs, or(hyphen, is(b'_'))), signs, percent, or(equals, hyphen), is_digit]
            .map(|mask| _mm256_movemask_epi8(mask))
    });
    let mask = |i: usize| join([masks[0][i], masks[1][i]]);
    Joints { ends: [mask(0), mask(1), mask(2)], begins: mask(3), digits: mask(4) }
}

impl Bytes {
    /// Those of 64 bytes that are in the set.
    ///
    /// # Safety
    ///
    /// The processor must have AVX2.
    #[target_feature(enable = "avx2")]
    pub(crate) unsafe fn mask(&self, block: &[u8; 64]) -> u64 {
        // SAFETY: 16 bytes are read from an array of 16.
        let rows = |i: usize| unsafe {
            _mm256_broadcastsi128_si256(_mm_loadu_si128(self.rows[i].as_ptr().cast()))
        };
        let (low, high) = (rows(0), rows(1));
        let bits = _mm256_setr_epi8(
            1, 2, 4, 8, 16, 32, 64, -128, 1, 2, 4, 8, 16, 32, 64, -128, //
            1, 2, 4, 8, 16, 32, 64, -128, 1, 2, 4, 8, 16, 32, 64, -128,
        );
        join(load(block).map(|bytes| {
            // A shuffle gives zero where the top bit of the index is set: one of the two rows.
            let top = _mm256_xor_si256(bytes, _mm256_set1_epi8(-128));
            let row =
                _mm256_or_si256(_mm256_shuffle_epi8(low, bytes), _mm256_shuffle_epi8(high, top));
            let halves = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), _mm256_set1_epi8(15));
            let common = _mm256_and_si256(row, _mm256_shuffle_epi8(bits, halves));
            !_mm256_movemask_epi8(_mm256_cmpeq_epi8(common, _mm256_setzero_si256()))
        }))
    }
}
