//! Masks of places by AVX2: a byte's class is looked up by its two halves.

use std::arch::x86_64::{
    __m256i, _mm256_and_si256, _mm256_broadcastsi128_si256, _mm256_loadu_si256,
    _mm256_movemask_epi8, _mm256_or_si256, _mm256_set1_epi8, _mm256_shuffle_epi8,
    _mm256_slli_epi16, _mm256_srli_epi16, _mm_loadu_si128,
};

use crate::places::{Masks, Walk, Wanted};

// Bits of a class: digits; letters whose low half is 1 to 15, and 0 to 10; the signs of numbers; the colon;
// point and hyphen; what opens a number; the at sign. Each is the bytes of some high and some low halves.
static LOW: [u8; 16] = {
    let mut low = [0_u8; 16];
    let mut half = 0;
    while half < 16 {
        let mut bits = 0;
        if half <= 9 {
            bits |= 1;
        }
        if half >= 1 {
            bits |= 2;
        }
        if half <= 10 {
            bits |= 4;
        }
        if matches!(half, 0 | 8 | 9 | 0xb | 0xd | 0xe | 0xf) {
            bits |= 8;
        }
        if half == 0xa {
            bits |= 16;
        }
        if matches!(half, 0xd | 0xe) {
            bits |= 32;
        }
        if matches!(half, 8 | 0xb) {
            bits |= 64;
        }
        if half == 0 {
            bits |= 128;
        }
        low[half] = bits;
        half += 1;
    }
    low
};
static HIGH: [u8; 16] = [0, 0, 8 | 32 | 64, 1 | 16, 2 | 128, 4, 2, 4, 0, 0, 0, 0, 0, 0, 0, 0];

#[inline]
#[target_feature(enable = "avx2")]
fn masks(block: __m256i, low: __m256i, high: __m256i) -> [u32; 8] {
    // A byte beyond ASCII looks up 0: its top bit says so.
    let by_low = _mm256_shuffle_epi8(low, block);
    let halves = _mm256_and_si256(_mm256_srli_epi16(block, 4), _mm256_set1_epi8(15));
    let class = _mm256_and_si256(by_low, _mm256_shuffle_epi8(high, halves));
    // A shift by less than 8 carries nothing from a lower byte into the top bit of the one above.
    let digit = _mm256_movemask_epi8(_mm256_slli_epi16::<7>(class)) as u32;
    let letters = _mm256_or_si256(_mm256_slli_epi16::<6>(class), _mm256_slli_epi16::<5>(class));
    let letter = _mm256_movemask_epi8(letters) as u32;
    let lower = _mm256_movemask_epi8(_mm256_slli_epi16::<2>(block)) as u32;
    let sign = _mm256_movemask_epi8(_mm256_slli_epi16::<4>(class)) as u32;
    let colon = _mm256_movemask_epi8(_mm256_slli_epi16::<3>(class)) as u32;
    let link = _mm256_movemask_epi8(_mm256_slli_epi16::<2>(class)) as u32;
    let open = _mm256_movemask_epi8(_mm256_slli_epi16::<1>(class)) as u32;
    let at = _mm256_movemask_epi8(class) as u32;
    [digit, letter | digit, letter & !lower, digit | sign, link | colon, colon, open, at]
}

/// # Safety
///
/// The processor must have AVX2, BMI1, BMI2 and LZCNT.
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt")]
pub(crate) unsafe fn places(
    text: &[u8],
    wanted: &Wanted,
    on_place: &mut dyn FnMut(u8, usize) -> bool,
) {
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
        let (left, right) = (masks(left, low, high), masks(right, low, high));
        let join = |i: usize| u64::from(left[i]) | u64::from(right[i]) << 32;
        Masks {
            digit: join(0),
            alnum: join(1),
            upper: join(2),
            numeric: join(3),
            link: join(4),
            colon: join(5),
            open: join(6),
            at: join(7),
        }
    };
    let mut walk = Walk::new(wanted);
    let (blocks, rest) = text.as_chunks::<64>();
    for block in blocks {
        if !walk.block(both(block), on_place) {
            return;
        }
    }
    // Zeros are of no class.
    let mut last = [0; 64];
    last[..rest.len()].copy_from_slice(rest);
    if walk.block(both(&last), on_place) {
        walk.end(on_place);
    }
}
