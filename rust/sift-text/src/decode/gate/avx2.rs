//! The look with 64 bytes at a time.

use std::arch::x86_64::{
    __m256i, _mm256_and_si256, _mm256_broadcastsi128_si256, _mm256_cmpeq_epi8, _mm256_loadu_si256,
    _mm256_movemask_epi8, _mm256_set1_epi8, _mm256_setzero_si256, _mm256_shuffle_epi8,
    _mm256_srli_epi16, _mm_loadu_si128,
};

use super::{places, BASE64, BLOCK, HEX, PAIRS, PAIRS_RUN, RUN};

/// A byte is in a row of the table if its low and its high half have the bit of the row in common.
struct Table {
    low: [u8; 16],
    high: [u8; 16],
}

/// Bytes of the alphabets, and of `%` and `&` in the highest bit.
const RUNS: Table = table(&[
    (1, b"+-/"),
    (2, b"0123456789"),
    (4, b"GHIJKLMNOghijklmno"),
    (8, b"PQRSTUVWXYZpqrstuvwxyz"),
    (16, b"_"),
    (HEX_LETTERS, b"ABCDEFabcdef"),
    (LINES, b"\r\n"),
    (128, b"%&"),
]);
const HEX_LETTERS: u8 = 32;
const LINES: u8 = 64;
/// What a run of base64 is made of, and one of hexadecimal digits.
const ALPHABET: u8 = 127;
const DIGITS: u8 = 2 | HEX_LETTERS | LINES;

/// What pairs of digits are made of.
const LISTS: Table =
    table(&[(1, b" ,-"), (2, b"0123456789:;"), (4, b"ABCDEFabcdef"), (8, b"xX"), (16, b"\t\r\n")]);

const fn table(rows: &[(u8, &[u8])]) -> Table {
    let mut table = Table { low: [0; 16], high: [0; 16] };
    let mut row = 0;
    while row < rows.len() {
        let (bit, bytes) = rows[row];
        let mut at = 0;
        while at < bytes.len() {
            table.low[(bytes[at] & 15) as usize] |= bit;
            table.high[(bytes[at] >> 4) as usize] |= bit;
            at += 1;
        }
        row += 1;
    }
    // Halves of two bytes of a row must not make a third.
    let mut byte = 0;
    while byte < 256 {
        let both = table.low[byte & 15] & table.high[byte >> 4];
        let mut wanted = 0;
        let mut row = 0;
        while row < rows.len() {
            let mut at = 0;
            while at < rows[row].1.len() {
                if rows[row].1[at] as usize == byte {
                    wanted |= rows[row].0;
                }
                at += 1;
            }
            row += 1;
        }
        assert!(both == wanted);
        byte += 1;
    }
    table
}

/// Fills `marks` with those of each block of `text`. Returns all of them together.
///
/// # Safety
///
/// The processor has AVX2.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn look(text: &[u8], marks: &mut Vec<u8>) -> u8 {
    let tables = [half(&RUNS.low), half(&RUNS.high), half(&LISTS.low), half(&LISTS.high)];
    let mut runs = [0; 3];
    let mut all = 0;
    marks.reserve(text.len() / BLOCK + 1);
    let mut start = 0;
    while start < text.len() {
        let mut last = [b'.'; BLOCK];
        let block = match text.get(start..start + BLOCK) {
            Some(block) => block,
            None => {
                let rest = text.get(start..).unwrap_or_default();
                last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
                &last
            }
        };
        // SAFETY: a block has 64 bytes.
        let (first, second) = unsafe {
            let place = block.as_ptr().cast::<__m256i>();
            (_mm256_loadu_si256(place), _mm256_loadu_si256(place.add(1)))
        };
        let (low, high) = (classes(first, &tables), classes(second, &tables));
        let join = |at: usize| u64::from(low[at]) | u64::from(high[at]) << 32;
        let mut mark = 0;
        if grows(&mut runs[0], !join(0), RUN) {
            mark |= BASE64;
        }
        // Every run of digits is one of base64 as well.
        let digits = !join(1);
        if mark != 0 || runs[0] > 0 {
            if grows(&mut runs[1], digits, RUN) {
                mark |= HEX;
            }
        } else {
            runs[1] = 0;
        }
        if grows(&mut runs[2], !join(2), PAIRS_RUN) {
            mark |= PAIRS;
        }
        let (triggers, above) = (join(3), join(4));
        if triggers | above != 0 {
            mark |= places(text, start, triggers, above);
        }
        marks.push(mark);
        all |= mark;
        start += BLOCK;
    }
    all
}

#[target_feature(enable = "avx2")]
#[inline]
fn half(table: &[u8; 16]) -> __m256i {
    // SAFETY: a table has 16 bytes.
    unsafe { _mm256_broadcastsi128_si256(_mm_loadu_si128(table.as_ptr().cast())) }
}

/// A bit for each byte: outside the alphabet, outside the digits, outside lists, a trigger, above ASCII.
#[target_feature(enable = "avx2")]
#[inline]
fn classes(bytes: __m256i, tables: &[__m256i; 4]) -> [u32; 5] {
    let nibbles = _mm256_set1_epi8(0xf);
    let columns = _mm256_and_si256(bytes, nibbles);
    let rows = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), nibbles);
    let both = |low: __m256i, high: __m256i| {
        _mm256_and_si256(_mm256_shuffle_epi8(low, columns), _mm256_shuffle_epi8(high, rows))
    };
    let none = |bits: __m256i| {
        _mm256_movemask_epi8(_mm256_cmpeq_epi8(bits, _mm256_setzero_si256())) as u32
    };
    let mask = |bits: u8| _mm256_set1_epi8(bits as i8);
    let run = both(tables[0], tables[1]);
    let slashes = _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(b'\\' as i8));
    [
        none(_mm256_and_si256(run, mask(ALPHABET))),
        none(_mm256_and_si256(run, mask(DIGITS))),
        none(both(tables[2], tables[3])),
        (_mm256_movemask_epi8(run) | _mm256_movemask_epi8(slashes)) as u32,
        _mm256_movemask_epi8(bytes) as u32,
    ]
}

/// Whether a run has `least` bytes in this block, or with those that it had before; `run` becomes what it has at
/// the end of the block.
#[inline]
fn grows(run: &mut usize, inside: u64, least: usize) -> bool {
    let head = inside.trailing_ones() as usize;
    let long = *run + head >= least || {
        let (mut starts, mut width) = (inside, 1);
        while 2 * width <= least {
            starts &= starts >> width;
            width *= 2;
        }
        starts & starts >> (least - width) != 0
    };
    *run = if head == BLOCK { *run + BLOCK } else { inside.leading_ones() as usize };
    long
}
