//! CRC-32 and base62 as token formats use them, and the checks built on the two.

use crate::Outcome;

/// Digits first, then upper case, then lower case: the order GitHub's tokens use.
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

const CRC_TABLE: [u32; 256] = {
    let mut table = [0u32; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

/// The CRC-32 of IEEE 802.3 (zlib, PNG) of `bytes`.
///
/// ```
/// assert_eq!(sift_checks::crc32(b"123456789"), 0xcbf4_3926);
/// ```
#[must_use]
pub fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, &byte| CRC_TABLE[usize::from(crc as u8 ^ byte)] ^ (crc >> 8))
}

/// Reads `digits` as a base62 number, most significant digit first, in the alphabet `0-9A-Za-z`.
///
/// Returns `None` if there is no digit, a byte is not one, or the number does not fit. Compare a
/// checksum by decoding what the token says: encoding the checksum instead loses leading zeros.
///
/// ```
/// assert_eq!(sift_checks::base62_decode(b"0010"), Some(62));
/// ```
#[must_use]
pub fn base62_decode(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |number, &byte| {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'A'..=b'Z' => byte - b'A' + 10,
            b'a'..=b'z' => byte - b'a' + 36,
            _ => return None,
        };
        number.checked_mul(62)?.checked_add(u64::from(digit))
    })
}

/// Writes `number` in base62 into all of `out`, padded on the left with `0`.
///
/// Returns false, with `out` holding only the low digits, if the number needs more room.
///
/// ```
/// let mut digits = [0; 6];
/// assert!(sift_checks::base62_encode(62, &mut digits));
/// assert_eq!(&digits, b"000010");
/// ```
#[must_use]
pub fn base62_encode(mut number: u64, out: &mut [u8]) -> bool {
    for slot in out.iter_mut().rev() {
        *slot = BASE62[(number % 62) as usize];
        number /= 62;
    }
    number == 0
}

/// `gh[pousr]_`, 30 random base62 digits, the CRC-32 of those 30 in 6 more.
///
/// A wrong checksum lowers the score and does not drop: documents and test suites are full of
/// tokens of the right shape whose tail was made up, and users want to see those too. A value of
/// another shape is none of this check's business.
pub(crate) fn github(value: &[u8]) -> Outcome {
    let [b'g', b'h', b'p' | b'o' | b'u' | b's' | b'r', b'_', rest @ ..] = value else {
        return Outcome::Keep;
    };
    if rest.len() != 36 || !rest.iter().all(u8::is_ascii_alphanumeric) {
        return Outcome::Keep;
    }
    let (random, tail) = rest.split_at(30);
    if base62_decode(tail) == Some(u64::from(crc32(random))) {
        Outcome::Proven
    } else {
        Outcome::Set(0.6)
    }
}

#[cfg(test)]
mod tests {
    use super::{base62_decode, base62_encode, crc32, github};
    use crate::testing::{Random, BASE62};
    use crate::Outcome;

    #[test]
    fn crc32_standard_vectors() {
        for (text, crc) in [
            (&b""[..], 0),
            (b"a", 0xe8b7_be43),
            (b"abc", 0x3524_41c2),
            (b"123456789", 0xcbf4_3926),
            (b"The quick brown fox jumps over the lazy dog", 0x414f_a339),
            (&[0; 32], 0x190a_55ad),
            (&[0xff; 32], 0xff6c_ab0b),
        ] {
            assert_eq!(crc32(text), crc, "crc of {} bytes", text.len());
        }
    }

    #[test]
    fn base62_both_ways() {
        let mut random = Random::new(62);
        for _ in 0..10_000 {
            let number = random.next() >> (random.next() % 32 + 6);
            let mut digits = [0; 10];
            assert!(base62_encode(number, &mut digits));
            assert_eq!(base62_decode(&digits), Some(number));
        }
        let mut digits = [0; 6];
        assert!(base62_encode(u64::from(u32::MAX), &mut digits));
        assert_eq!(&digits, b"4gfFC3");
        assert!(!base62_encode(62u64.pow(6), &mut digits));
        assert_eq!(base62_decode(b""), None);
        assert_eq!(base62_decode(b"0-1"), None);
        assert_eq!(base62_decode(&[b'z'; 11]), None);
        assert_eq!(base62_decode(&[b'0'; 40]), Some(0));
    }

    #[test]
    fn github_tokens_with_right_wrong_and_zero_padded_tails() {
        let mut random = Random::new(7);
        let mut padded = 0;
        for _ in 0..2_000 {
            let mut token = b"ghp_".to_vec();
            token[2] = b"pousr"[(random.next() % 5) as usize];
            token.extend(random.bytes(BASE62, 30));
            let mut tail = [0; 6];
            assert!(base62_encode(u64::from(crc32(&token[4..])), &mut tail));
            padded += usize::from(tail.starts_with(b"00"));
            token.extend(tail);
            assert_eq!(github(&token), Outcome::Proven);

            let at = 4 + (random.next() % 36) as usize;
            token[at] = if token[at] == b'a' { b'b' } else { b'a' };
            assert_eq!(github(&token), Outcome::Set(0.6));
            token.push(b'a');
            assert_eq!(github(&token), Outcome::Keep);
        }
        // 62^4 / 2^32 of all checksums: without them the test would not see lost zeros.
        assert!(padded > 0, "no zero-padded tail among the samples");
        assert_eq!(github(b"github_pat_"), Outcome::Keep);
        assert_eq!(github(b""), Outcome::Keep);
    }
}
