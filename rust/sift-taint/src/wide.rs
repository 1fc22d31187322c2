//! The same by AVX-512: what is done for every byte or every gram, 64 bytes or eight grams at a time.
//!
//! Half of what the fingerprints of a KiB take without (`taint_speed`); of what is left most is multiplication.

#![allow(
    unsafe_code,
    reason = "loads, stores and the look at the processor; each function equals the plain one in tests"
)]

use std::arch::x86_64::{
    __m512i, _mm512_alignr_epi64, _mm512_castpd_si512, _mm512_cmpeq_epi8_mask,
    _mm512_cmplt_epu8_mask, _mm512_cmpneq_epi64_mask, _mm512_loadu_pd, _mm512_loadu_si512,
    _mm512_maskz_compress_epi64, _mm512_maskz_compress_epi8, _mm512_min_pd, _mm512_movepi8_mask,
    _mm512_set1_epi64, _mm512_set1_epi8, _mm512_storeu_si512, _mm512_sub_epi8,
};
use std::sync::LazyLock;

use crate::prints::WINDOW;
use crate::text::{Kinds, BLOCK};

/// Grams of which one instruction finds the least.
pub(crate) const LANES: usize = 8;

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

/// Copies letters and digits of ASCII text in lower case, in whole blocks, up to the first that is not ASCII.
///
/// Returns how many bytes were read and written; None where not [`is_available`]. `out` is as long as `bytes`.
pub(crate) fn letters(bytes: &[u8], out: &mut [u8]) -> Option<(usize, usize)> {
    // SAFETY: the processor has what the function is compiled for.
    is_available().then(|| unsafe { letters_wide(bytes, out) })
}

#[target_feature(enable = "avx512f,avx512bw,avx512vbmi2")]
fn letters_wide(bytes: &[u8], out: &mut [u8]) -> (usize, usize) {
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
        written += mask.count_ones() as usize;
        read += BLOCK;
    }
    (read, written)
}

/// Writes the least of each window of [`WINDOW`] hashes that is not that of the window before, whose least is `last`,
/// and makes `last` the least of the last window. Only windows that begin at places below a multiple of [`LANES`].
///
/// Returns how many windows were read and how many hashes written; None where not [`is_available`].
pub(crate) fn least(hashes: &[f64], kept: &mut [u64], last: &mut u64) -> Option<(usize, usize)> {
    // SAFETY: the processor has what the function is compiled for.
    is_available().then(|| unsafe { least_wide(hashes, kept, last) })
}

#[target_feature(enable = "avx512f,avx512bw")]
fn least_wide(hashes: &[f64], kept: &mut [u64], last: &mut u64) -> (usize, usize) {
    let (mut read, mut written) = (0, 0);
    let mut before = _mm512_set1_epi64(last.cast_signed());
    for windows in hashes.windows(LANES + WINDOW - 1).step_by(LANES) {
        let Some(free) = kept.get_mut(written..).and_then(<[u64]>::first_chunk_mut::<LANES>) else {
            break;
        };
        let hash = windows.as_ptr();
        // SAFETY: of 16 numbers, eight each from the first nine places.
        let least = unsafe {
            let mut least = _mm512_loadu_pd(hash);
            for place in 1..WINDOW {
                least = _mm512_min_pd(least, _mm512_loadu_pd(hash.add(place)));
            }
            _mm512_castpd_si512(least)
        };
        // Each beside the one before it: the last of the eight before, and the first seven of these.
        let fresh = _mm512_cmpneq_epi64_mask(least, _mm512_alignr_epi64::<7>(least, before));
        before = least;
        // SAFETY: eight numbers are written into eight.
        unsafe {
            _mm512_storeu_si512(
                free.as_mut_ptr().cast(),
                _mm512_maskz_compress_epi64(fresh, least),
            );
        }
        written += fresh.count_ones() as usize;
        read += LANES;
    }
    let mut all = [0; LANES];
    // SAFETY: eight numbers are written into eight.
    unsafe { _mm512_storeu_si512(all.as_mut_ptr().cast(), before) };
    *last = all[LANES - 1];
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
