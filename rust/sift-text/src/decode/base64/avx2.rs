//! [`super::barren`] for a run of less than 64 bytes, all of it at once.

use std::arch::x86_64::{
    __m256i, _mm256_and_si256, _mm256_broadcastsi128_si256, _mm256_cmpeq_epi8, _mm256_loadu_si256,
    _mm256_movemask_epi8, _mm256_or_si256, _mm256_set1_epi8, _mm256_setzero_si256,
    _mm256_shuffle_epi8, _mm256_slli_epi16, _mm256_srli_epi16, _mm_loadu_si128, _pext_u64,
};

use super::{LINE, PLACES, VALUES};

const BLOCK: usize = 64;

/// For each low half of a byte a bit for each high half from 2 to 7: the alphabet, and what of it may stand at
/// the first three places of a group.
const LOW: [[u8; 16]; 4] = {
    let mut tables = [[0; 16]; 4];
    let mut byte = 0x20;
    while byte < 0x80 {
        let bit = 1 << (byte / 16 - 2);
        if VALUES[byte] < 64 {
            tables[0][byte % 16] |= bit;
            let mut place = 0;
            while place < 3 {
                if PLACES[byte] >> (8 * place) & 1 == 1 {
                    tables[place + 1][byte % 16] |= bit;
                }
                place += 1;
            }
        }
        byte += 1;
    }
    tables
};

const HIGH: [u8; 16] = [0, 0, 1, 2, 4, 8, 16, 32, 0, 0, 0, 0, 0, 0, 0, 0];

/// Every fourth bit.
const FOURTH: u64 = 0x1111_1111_1111_1111;

/// As [`super::barren`], where the run at `start` ends within a block; none where that has to look closer.
///
/// # Safety
///
/// The processor has AVX2 and BMI2.
#[target_feature(enable = "avx2,bmi2")]
pub(super) unsafe fn barren(text: &[u8], start: usize) -> Option<(bool, usize)> {
    let block = text.get(start..start + BLOCK)?;
    // SAFETY: a block has 64 bytes.
    let halves = unsafe {
        let place = block.as_ptr().cast::<__m256i>();
        [_mm256_loadu_si256(place), _mm256_loadu_si256(place.add(1))]
    };
    let [alphabet, first, second, third, breaks, upper, lower] = masks(halves);
    let length = (alphabet | breaks).trailing_ones() as usize;
    let last = *block.get(length)?;
    let run = (1 << length) - 1;
    let (breaks, letters) = (breaks & run, alphabet & run);
    // Text of other scripts has capitals, small letters and digits.
    let digits = letters & !upper & !lower;
    if letters & upper != 0 && letters & lower != 0 && digits != 0 {
        return None;
    }
    // A line that is long enough may go on behind an escaped or indented break.
    let behind = 63 - (breaks.leading_zeros() as usize).min(63);
    let line = if breaks == 0 { length } else { length - behind - 1 };
    let indented = line == 0 && breaks != 0 && matches!(last, b' ' | b'\t');
    if last == b'\\' && line >= LINE || indented && length > LINE {
        return None;
    }
    // Compressed data begins a line.
    let mut heads = (1 | breaks << 1) & letters;
    while heads != 0 {
        let at = heads.trailing_zeros() as usize;
        let next = block.get(at + 1).copied().unwrap_or_default();
        let is_head = match block.get(at) {
            Some(b'H') => matches!(next, b'4' | b'\r' | b'\n'),
            Some(b'e') => matches!(next, b'A' | b'F' | b'J' | b'N' | b'\r' | b'\n'),
            _ => false,
        };
        if is_head {
            return None;
        }
        heads &= heads - 1;
    }
    let pack = |mask: u64| _pext_u64(mask, letters);
    let [first, second, third] = if breaks == 0 {
        [first & run, second & run, third & run]
    } else {
        [pack(first), pack(second), pack(third)]
    };
    let inside = if breaks == 0 { run } else { pack(letters) };
    for phase in 0..4 {
        let place = FOURTH.rotate_left(phase);
        let mut fits = first & place
            | second & place.rotate_left(1)
            | third & place.rotate_left(2)
            | inside & place.rotate_left(3);
        for width in [1, 2, 4, 8] {
            fits &= fits >> width;
        }
        if fits != 0 {
            return Some((false, start + length));
        }
    }
    Some((true, start + length))
}

/// A bit for each byte: of the alphabet, at the first three places, a line break, a capital, a small letter.
#[target_feature(enable = "avx2")]
#[inline]
fn masks(halves: [__m256i; 2]) -> [u64; 7] {
    let [one, two] = halves.map(|bytes| half(bytes));
    let mut all = [0; 7];
    for (mask, (one, two)) in all.iter_mut().zip(one.into_iter().zip(two)) {
        *mask = u64::from(one) | u64::from(two) << 32;
    }
    all
}

#[target_feature(enable = "avx2")]
#[inline]
fn half(bytes: __m256i) -> [u32; 7] {
    let nibbles = _mm256_set1_epi8(0xf);
    let columns = _mm256_and_si256(bytes, nibbles);
    let high = table(&HIGH);
    let rows = _mm256_shuffle_epi8(high, _mm256_and_si256(_mm256_srli_epi16(bytes, 4), nibbles));
    let is = |low: &[u8; 16]| {
        let both = _mm256_and_si256(_mm256_shuffle_epi8(table(low), columns), rows);
        !_mm256_movemask_epi8(_mm256_cmpeq_epi8(both, _mm256_setzero_si256())) as u32
    };
    let equal = |byte: u8| _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(byte as i8));
    let breaks = _mm256_movemask_epi8(_mm256_or_si256(equal(b'\r'), equal(b'\n'))) as u32;
    // 0x40 and 0x20 of each byte.
    let letter = _mm256_movemask_epi8(_mm256_slli_epi16(bytes, 1)) as u32;
    let small = _mm256_movemask_epi8(_mm256_slli_epi16(bytes, 2)) as u32;
    [is(&LOW[0]), is(&LOW[1]), is(&LOW[2]), is(&LOW[3]), breaks, letter & !small, letter & small]
}

#[target_feature(enable = "avx2")]
#[inline]
fn table(table: &[u8; 16]) -> __m256i {
    // SAFETY: a table has 16 bytes.
    unsafe { _mm256_broadcastsi128_si256(_mm_loadu_si128(table.as_ptr().cast())) }
}
