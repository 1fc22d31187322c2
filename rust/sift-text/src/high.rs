//! Sets of bytes above ASCII, and whether a text has one: what tells in a few dozen nanoseconds that a text
//! needs no look at the words of other scripts.

/// A set of bytes in `80..=FF`.
///
/// ```
/// use sift_text::HighBytes;
///
/// let cyrillic = HighBytes::new([0xd0, 0xd1]);
/// assert!(cyrillic.any_in("слово".as_bytes()));
/// assert!(!cyrillic.any_in("naïve – “quoted”".as_bytes()));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HighBytes {
    /// For each low nibble, one bit for each of the high nibbles 8 to F.
    rows: [u8; 16],
}

impl HighBytes {
    /// The set of these bytes; those of ASCII are left out.
    pub fn new(bytes: impl IntoIterator<Item = u8>) -> Self {
        let mut rows = [0; 16];
        for byte in bytes.into_iter().filter(|byte| !byte.is_ascii()) {
            rows[usize::from(byte & 0xf)] |= 1 << (byte >> 4 & 7);
        }
        Self { rows }
    }

    /// Whether `byte` is in the set.
    #[inline]
    pub fn contains(&self, byte: u8) -> bool {
        !byte.is_ascii() && self.rows[usize::from(byte & 0xf)] >> (byte >> 4 & 7) & 1 == 1
    }

    /// Whether a byte of the text is in the set.
    #[inline]
    pub fn any_in(&self, text: &[u8]) -> bool {
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has the feature that the function is compiled for.
            return unsafe { self.any_in_avx2(text) };
        }
        self.any_in_portable(text)
    }

    fn any_in_portable(&self, text: &[u8]) -> bool {
        text.chunks(256).any(|part| !part.is_ascii() && part.iter().any(|&b| self.contains(b)))
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn any_in_avx2(&self, text: &[u8]) -> bool {
        use std::arch::x86_64::{
            __m256i, _mm256_and_si256, _mm256_broadcastsi128_si256, _mm256_loadu_si256,
            _mm256_movemask_epi8, _mm256_or_si256, _mm256_set1_epi8, _mm256_setr_epi8,
            _mm256_shuffle_epi8, _mm256_srli_epi16, _mm256_testz_si256, _mm_loadu_si128,
        };

        // SAFETY: 16 bytes are read from an array of 16.
        let rows = unsafe { _mm_loadu_si128(self.rows.as_ptr().cast()) };
        let rows = _mm256_broadcastsi128_si256(rows);
        let columns = _mm256_setr_epi8(
            0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, -128, //
            0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, -128,
        );
        let nibble = _mm256_set1_epi8(0x0f);
        let in_set = |bytes: __m256i| {
            // A shuffle gives zero for a byte above ASCII, so the high bit has to go first.
            let by_low = _mm256_shuffle_epi8(rows, _mm256_and_si256(bytes, nibble));
            let high = _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), nibble);
            _mm256_testz_si256(by_low, _mm256_shuffle_epi8(columns, high)) == 0
        };
        let mut blocks = text.chunks_exact(128);
        for block in &mut blocks {
            let load = |at: usize| {
                // SAFETY: `at` is at most 96, and 32 bytes lie behind it in a block of 128.
                unsafe { _mm256_loadu_si256(block.as_ptr().add(at).cast()) }
            };
            let (a, b, c, d) = (load(0), load(32), load(64), load(96));
            let all = _mm256_or_si256(_mm256_or_si256(a, b), _mm256_or_si256(c, d));
            if _mm256_movemask_epi8(all) != 0 && [a, b, c, d].into_iter().any(in_set) {
                return true;
            }
        }
        self.any_in_portable(blocks.remainder())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

    #[test]
    fn every_byte_alone_at_every_place() {
        let mut random = Random::new(11);
        for round in 0..40 {
            let members: Vec<u8> = (0..=255).filter(|_| random.below(40) < round).collect();
            let set = HighBytes::new(members.iter().copied());
            for byte in 0..=255_u8 {
                let expected = byte >= 0x80 && members.contains(&byte);
                assert_eq!(set.contains(byte), expected, "{byte:#x}");
                for length in [1, 31, 128, 131, 300] {
                    let mut text = vec![b'~'; length];
                    text[random.below(length)] = byte;
                    assert_eq!(set.any_in(&text), expected, "{byte:#x} in {length}");
                    assert_eq!(set.any_in_portable(&text), expected, "{byte:#x} in {length}");
                }
            }
        }
    }

    #[test]
    fn both_ways_agree_on_any_bytes() {
        let mut random = Random::new(12);
        for round in 0..2000 {
            let set = HighBytes::new((0..random.below(3)).map(|_| random.below(256) as u8));
            let text: Vec<u8> =
                (0..random.below(400)).map(|_| random.below(128 + round % 129) as u8).collect();
            let expected = text.iter().any(|&byte| set.contains(byte));
            assert_eq!(set.any_in(&text), expected);
            assert_eq!(set.any_in_portable(&text), expected);
        }
    }
}
