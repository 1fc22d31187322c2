//! The same by AVX-512: what is done for every byte, 64 bytes at a time.

#![allow(
    unsafe_code,
    reason = "loads, stores and the look at the processor; each function equals the plain one in tests"
)]

use std::arch::x86_64::{
    __m512i, _mm512_cmpeq_epi8_mask, _mm512_cmplt_epu8_mask, _mm512_loadu_si512,
    _mm512_maskz_compress_epi8, _mm512_movepi8_mask, _mm512_set1_epi8, _mm512_storeu_si512,
    _mm512_sub_epi8,
};
use std::sync::LazyLock;

use crate::text::{Kinds, BLOCK};

static AVAILABLE: LazyLock<bool> = LazyLock::new(|| {
    std::arch::is_x86_feature_detected!("avx512f")
        && std::arch::is_x86_feature_detected!("avx512bw")
        && std::arch::is_x86_feature_detected!("avx512vbmi2")
});

/// Whether the processor can.
pub(crate) fn is_available() -> bool {
    *AVAILABLE
}

/// As [`crate::text::kinds`], where [`is_available`].
pub(crate) fn kinds(block: &[u8; BLOCK]) -> Option<Kinds> {
    // SAFETY: the processor has what the function is compiled for.
    is_available().then(|| unsafe { kinds_wide(block) })
}

#[target_feature(enable = "avx512f,avx512bw")]
fn kinds_wide(block: &[u8; BLOCK]) -> Kinds {
    let bytes = load(block);
    let digits = within(bytes, b'0', 10);
    let score = is(bytes, b'_');
    Kinds {
        words: within(bytes, b'a', 26) | digits | score | _mm512_movepi8_mask(bytes),
        marks: within(bytes, b'.', 13) | score | is(bytes, b'@') | is(bytes, b'\\'),
        digits,
    }
}

/// Copies letters and digits of ASCII text in lower case, in whole blocks, up to the first that is not ASCII. Adds to
/// `lines` how many letters stand before the end of each line, `before` and those that are copied.
///
/// Returns how many bytes were read and written; None where not [`is_available`]. `out` is as long as `bytes`.
pub(crate) fn letters(
    bytes: &[u8],
    out: &mut [u8],
    before: usize,
    lines: &mut Vec<usize>,
) -> Option<(usize, usize)> {
    // SAFETY: the processor has what the function is compiled for.
    is_available().then(|| unsafe { letters_wide(bytes, out, before, lines) })
}

#[target_feature(enable = "avx512f,avx512bw,avx512vbmi2")]
fn letters_wide(
    bytes: &[u8],
    out: &mut [u8],
    before: usize,
    lines: &mut Vec<usize>,
) -> (usize, usize) {
    let (mut read, mut written) = (0, 0);
    for block in bytes.as_chunks::<BLOCK>().0 {
        let bytes = load(block);
        if _mm512_movepi8_mask(bytes) != 0 {
            break;
        }
        let Some(free) = out.get_mut(written..).and_then(<[u8]>::first_chunk_mut::<BLOCK>) else {
            break;
        };
        let mask = within(bytes, b'a', 26) | within(bytes, b'0', 10);
        // In a register first: to memory, the instruction takes a hundred times as long on some processors.
        let packed = _mm512_maskz_compress_epi8(mask, bytes);
        // SAFETY: 64 bytes are written into 64.
        unsafe { _mm512_storeu_si512(free.as_mut_ptr().cast(), packed) };
        let mut ends = is(bytes, b'\n');
        while ends != 0 {
            let left = ends ^ (ends - 1);
            lines.push(before + written + (mask & left).count_ones() as usize);
            ends &= ends - 1;
        }
        written += mask.count_ones() as usize;
        read += BLOCK;
    }
    (read, written)
}

#[target_feature(enable = "avx512f,avx512bw")]
fn load(block: &[u8; BLOCK]) -> __m512i {
    // SAFETY: 64 bytes are read of 64.
    unsafe { _mm512_loadu_si512(block.as_ptr().cast()) }
}

#[target_feature(enable = "avx512f,avx512bw")]
fn is(bytes: __m512i, byte: u8) -> u64 {
    _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8(byte.cast_signed()))
}

/// Which bytes are among so many from one on.
#[target_feature(enable = "avx512f,avx512bw")]
fn within(bytes: __m512i, first: u8, count: u8) -> u64 {
    let from = _mm512_sub_epi8(bytes, _mm512_set1_epi8(first.cast_signed()));
    _mm512_cmplt_epu8_mask(from, _mm512_set1_epi8(count.cast_signed()))
}
