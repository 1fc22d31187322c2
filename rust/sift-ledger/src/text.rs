//! Small readers of text that others wrote: base64 and hexadecimal in one spelling only, and times.

use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use base64::Engine;

/// Standard base64 with padding.
pub(crate) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Adds standard base64 with padding to a text.
pub(crate) fn push_base64(bytes: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    let length = bytes.len().div_ceil(3) * 4;
    out.resize(start + length, 0);
    // There is room for all of it, the only thing that could be wrong.
    let _ = STANDARD.encode_slice(bytes, out.get_mut(start..).unwrap_or_default());
}

/// Reads standard base64 with padding; other spellings of the same bytes are refused.
pub(crate) fn from_base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// As [`from_base64`], or in the alphabet for URLs: DSSE lets a signer choose.
pub(crate) fn from_any_base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text)).ok()
}

/// Reads exactly 32 bytes of standard base64.
pub(crate) fn from_base64_32(text: &str) -> Option<[u8; 32]> {
    // 44 characters: nothing longer is worth decoding.
    if text.len() != 44 {
        return None;
    }
    from_base64(text)?.try_into().ok()
}

/// Lower-case hexadecimal.
///
/// ```
/// assert_eq!(sift_ledger::hex(&[0, 0x1f, 0xff]), "001fff");
/// ```
pub fn hex(bytes: &[u8]) -> String {
    let mut text = Vec::with_capacity(bytes.len() * 2);
    push_hex(bytes, &mut text);
    // Digits are text.
    String::from_utf8(text).unwrap_or_default()
}

/// Adds lower-case hexadecimal to a text.
pub(crate) fn push_hex(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let start = out.len();
    // Room for all first: each digit by itself would ask for it again.
    out.resize(start + bytes.len() * 2, 0);
    let (pairs, _) = out.get_mut(start..).unwrap_or_default().as_chunks_mut::<2>();
    for (pair, byte) in pairs.iter_mut().zip(bytes) {
        *pair = [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]];
    }
}

/// Reads 32 bytes of lower-case hexadecimal.
pub fn from_hex_32(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = value(pair[0])? << 4 | value(pair[1])?;
    }
    Some(bytes)
}

/// Reads a decimal number written in one way only: no sign, no leading zero.
pub(crate) fn from_decimal(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty();
    if !plain || (text.len() > 1 && text.starts_with('0')) {
        return None;
    }
    text.parse().ok()
}

/// Milliseconds since 1970 of a TOML date with time and offset; `None` without an offset.
pub(crate) fn milliseconds(when: &toml::value::Datetime) -> Option<i64> {
    let (date, time, offset) = (when.date?, when.time?, when.offset?);
    // Days from the civil calendar, by counting years from March (Howard Hinnant, "chrono-compatible low-level
    // date algorithms").
    let (year, month) = (i64::from(date.year), i64::from(date.month));
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let of_era = shifted - era * 400;
    let of_year =
        (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + i64::from(date.day) - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    let seconds = i64::from(time.hour) * 3600
        + i64::from(time.minute) * 60
        + time.second.map_or(0, i64::from);
    let ahead = match offset {
        toml::value::Offset::Z => 0,
        toml::value::Offset::Custom { minutes } => i64::from(minutes) * 60,
    };
    let nanoseconds = time.nanosecond.map_or(0, i64::from);
    Some((days * 86_400 + seconds - ahead) * 1000 + nanoseconds / 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling_of_base64() {
        assert_eq!(from_base64("AA=="), Some(vec![0]));
        for other in ["AA", "AB==", "AA==\n", " AA==", "_-8="] {
            assert_eq!(from_base64(other), None, "{other:?}");
        }
        assert_eq!(from_any_base64("_-8="), Some(vec![0xff, 0xef]));
    }

    #[test]
    fn one_spelling_of_numbers() {
        assert_eq!(from_decimal("0"), Some(0));
        assert_eq!(from_decimal("18446744073709551615"), Some(u64::MAX));
        for other in ["", "00", "01", "+1", "-1", "1 ", "18446744073709551616", "١"] {
            assert_eq!(from_decimal(other), None, "{other:?}");
        }
    }

    #[test]
    fn hexadecimal_is_lower_case() {
        let bytes: [u8; 32] = std::array::from_fn(|place| place as u8 * 7);
        assert_eq!(from_hex_32(&hex(&bytes)), Some(bytes));
        assert_eq!(from_hex_32(&hex(&bytes).to_uppercase()), None);
    }

    #[test]
    fn times_are_milliseconds_since_1970() {
        for (text, wanted) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2000-02-29T12:00:00.5Z", Some(951_825_600_500)),
            ("2026-03-01T00:30:00+01:00", Some(1_772_321_400_000)),
            ("1969-12-31T23:59:59Z", Some(-1000)),
            ("2026-03-01T00:30:00", None),
            ("2026-03-01", None),
        ] {
            assert_eq!(milliseconds(&text.parse().unwrap()), wanted, "{text}");
        }
    }
}
