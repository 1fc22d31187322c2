//! Shannon entropy of a value's bytes.

/// Binary digits behind the point of the numbers below.
const FRACTION: u32 = 24;

/// `GAIN[c]`: by how much `c log2 c` grows when a count goes from `c` to `c + 1`.
///
/// Whole numbers add up to the same sum in any order, so the entropy of a value depends on its
/// counts alone, to the last bit; and a table needs no logarithm while the bytes go by.
const GAIN: [u32; 255] = {
    let mut gain = [0; 255];
    let mut count = 1;
    while count < 255 {
        let (now, next) = (count as u64, count as u64 + 1);
        gain[count] = (next * log2(next) - now * log2(now)) as u32;
        count += 1;
    }
    gain
};

/// `log2(number)` with `FRACTION` binary digits, rounded down. `number` is from 1 to 255.
const fn log2(number: u64) -> u64 {
    let whole = number.ilog2();
    let mut result = whole as u64;
    // Squaring doubles the logarithm: each overflow beyond 2 is its next binary digit.
    let mut mantissa = (number << 32) >> whole;
    let mut digit = 0;
    while digit < FRACTION {
        mantissa = ((mantissa as u128 * mantissa as u128) >> 32) as u64;
        let carry = mantissa >> 33;
        mantissa >>= carry;
        result = result << 1 | carry;
        digit += 1;
    }
    result
}

/// Shannon entropy of `value`, in bits per byte: 0 for one repeated byte and for no bytes, at most 8.
///
/// Short values cannot reach the entropy of their alphabet: 20 random base62 bytes have about 4.1
/// bits per byte, not 5.95. Choose thresholds for the length they are used on.
///
/// ```
/// assert_eq!(sift_checks::entropy(b"abab"), 1.0);
/// ```
#[must_use]
pub fn entropy(value: &[u8]) -> f32 {
    if value.len() > 255 {
        return entropy_of_long(value);
    }
    // H = log2(n) - (sum of c log2 c) / n.
    let mut counts = [0u8; 256];
    let mut sum = 0u64;
    for &byte in value {
        let count = &mut counts[usize::from(byte)];
        sum += u64::from(GAIN.get(usize::from(*count)).copied().unwrap_or(0));
        // At most 255 bytes: this cannot wrap.
        *count = count.wrapping_add(1);
    }
    let length = value.len().max(1) as f32;
    let sum = sum as f32 / (1u32 << FRACTION) as f32;
    (length.log2() - sum / length).max(0.0)
}

#[cold]
fn entropy_of_long(value: &[u8]) -> f32 {
    let mut counts = [0usize; 256];
    for &byte in value {
        counts[usize::from(byte)] += 1;
    }
    let length = value.len() as f64;
    let sum: f64 = counts
        .iter()
        .filter(|&&count| count > 1)
        .map(|&count| count as f64 * (count as f64).log2())
        .sum();
    (length.log2() - sum / length).max(0.0) as f32
}

#[cfg(test)]
mod tests {
    use super::{entropy, entropy_of_long};
    use crate::testing::{Random, BASE62, HEX};

    #[test]
    fn known_values() {
        let all: Vec<u8> = (0..=255).collect();
        for (value, bits) in [
            (&b""[..], 0.0),
            (b"a", 0.0),
            (b"aaaaaaaaaa", 0.0),
            (b"ab", 1.0),
            (b"abcd", 2.0),
            (b"aabbbbbbcc", 1.370_950_6),
            (b"0123456789abcdef", 4.0),
            (&all[..128], 7.0),
            (&all, 8.0),
            (&[7; 255], 0.0),
            (&[7; 256], 0.0),
            (&[7; 4096], 0.0),
        ] {
            let found = entropy(value);
            assert!((found - bits).abs() < 1e-4, "{found} instead of {bits}");
        }
    }

    #[test]
    fn short_and_long_agree_whatever_the_order() {
        let mut random = Random::new(3);
        for length in 1..=600 {
            for alphabet in [BASE62, HEX, b"ab"] {
                let mut value = random.bytes(alphabet, length);
                let before = entropy(&value);
                assert!((before - entropy_of_long(&value)).abs() < 1e-5, "{length} bytes");
                value.sort_unstable();
                assert_eq!(before.to_bits(), entropy(&value).to_bits());
                assert!((0.0..=8.0).contains(&before));
            }
        }
    }
}
