//! The arithmetic of check digits, and the digits of a value whatever stands between them.
//!
//! The rule of one number of one authority is in `national`, `card`, `iban`, `finance` or `network`; here
//! is what several of them share.

use crate::Outcome;

/// Bytes that people put between the groups of a number.
pub(crate) const SEPARATORS: &[u8] = b" -./:_+";

/// The `N` digits of `value`, separators left out; none if there are more or fewer or something else.
pub(crate) fn digits<const N: usize>(value: &[u8]) -> Option<[u8; N]> {
    let mut out = [0; N];
    let mut length = 0;
    for &byte in value {
        if byte.is_ascii_digit() {
            *out.get_mut(length)? = byte - b'0';
            length += 1;
        } else if !SEPARATORS.contains(&byte) {
            return None;
        }
    }
    (length == N).then_some(out)
}

/// The `N` letters and digits of `value` in upper case, separators left out.
pub(crate) fn characters<const N: usize>(value: &[u8]) -> Option<[u8; N]> {
    let mut out = [0; N];
    let mut length = 0;
    for &byte in value {
        if byte.is_ascii_alphanumeric() {
            *out.get_mut(length)? = byte.to_ascii_uppercase();
            length += 1;
        } else if !SEPARATORS.contains(&byte) {
            return None;
        }
    }
    (length == N).then_some(out)
}

/// The value of a character of a document: digits are themselves, `A` is 10. None for other bytes.
pub(crate) fn base36(byte: u8) -> Option<u32> {
    char::from(byte).to_digit(36)
}

/// The sum of products; the shorter list decides how many.
pub(crate) fn weighted(digits: &[u8], weights: &[u32]) -> u32 {
    digits.iter().zip(weights).map(|(&digit, &weight)| u32::from(digit) * weight).sum()
}

/// The number that digits in base 10 write.
pub(crate) fn number(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |number, &digit| (number * 10).wrapping_add(u64::from(digit)))
}

/// The Luhn test (ISO/IEC 7812-1, annex B) of digits 0 to 9.
pub(crate) fn luhn(digits: &[u8]) -> bool {
    luhn_sum(digits.iter().rev().copied()).is_multiple_of(10)
}

/// The sum of the Luhn test, of digits 0 to 9 from the last to the first.
pub(crate) fn luhn_sum(reversed: impl Iterator<Item = u8>) -> u32 {
    reversed
        .enumerate()
        .map(|(place, digit)| match (place % 2, u32::from(digit)) {
            (1, digit) if digit > 4 => 2 * digit - 9,
            (1, digit) => 2 * digit,
            (_, digit) => digit,
        })
        .sum()
}

/// ISO 7064, MOD 97-10, of letters and digits; the check digits are part of them.
///
/// The remainder of a valid number is 1.
pub(crate) fn mod97(characters: impl Iterator<Item = u8>) -> Option<u32> {
    let mut rest = 0;
    for character in characters {
        let value = base36(character)?;
        rest = (if value > 9 { rest * 100 } else { rest * 10 } + value) % 97;
    }
    Some(rest)
}

/// ISO 7064, MOD 11,10, of digits with the check digit last.
pub(crate) fn mod11_10(digits: &[u8]) -> bool {
    let Some((&check, body)) = digits.split_last() else { return false };
    let product = body.iter().fold(10, |product, &digit| {
        let sum = (product + u32::from(digit)) % 10;
        (if sum == 0 { 10 } else { sum } * 2) % 11
    });
    (11 - product) % 10 == u32::from(check)
}

/// Verhoeff's code over the dihedral group of order 10, check digit last.
pub(crate) fn verhoeff(digits: &[u8]) -> bool {
    const PERMUTATION: [u8; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    // Multiplication of D5: rotations 0 to 4, reflections 5 to 9.
    let multiply = |a: u8, b: u8| match (a < 5, b < 5) {
        (true, true) => (a + b) % 5,
        (true, false) => 5 + (a + b - 5) % 5,
        (false, true) => 5 + (a + 5 - b) % 5,
        (false, false) => (a + 5 - b) % 5,
    };
    digits.iter().rev().enumerate().fold(0, |sum, (place, &digit)| {
        let permuted = (0..place % 8)
            .fold(digit, |digit, _| PERMUTATION.get(usize::from(digit)).copied().unwrap_or(0));
        multiply(sum, permuted)
    }) == 0
}

/// The check digit of machine readable documents (ICAO 9303-3, 4.9): weights 7, 3, 1.
pub(crate) fn icao(characters: &[u8]) -> Option<u32> {
    let mut sum = 0;
    for (place, &character) in characters.iter().enumerate() {
        sum += base36(character)? * [7, 3, 1][place % 3];
    }
    Some(sum % 10)
}

/// The sum of the decimal digits of a number below 100.
pub(crate) fn digit_sum(number: u32) -> u32 {
    number / 10 + number % 10
}

/// Whether a day of the Gregorian calendar exists.
///
/// ```
/// assert!(sift_checks::is_date(2024, 2, 29) && !sift_checks::is_date(1900, 2, 29));
/// ```
#[must_use]
pub fn is_date(year: u32, month: u32, day: u32) -> bool {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return false,
    };
    (1..=days).contains(&day)
}

/// Two digits as a number.
pub(crate) fn pair(digits: &[u8], at: usize) -> u32 {
    match digits.get(at..at + 2) {
        Some(&[tens, ones]) => u32::from(tens) * 10 + u32::from(ones),
        _ => 0,
    }
}

/// Whether `yymmdd` is a day of some century.
pub(crate) fn is_short_date(year: u32, month: u32, day: u32) -> bool {
    // 2000 was a leap year, so a day that exists in any century exists in it.
    is_date(2000 + year, month, day)
}

/// A number is grouped: someone put separators into it, so it is not a count or a key of a table.
pub(crate) fn is_grouped(value: &[u8]) -> bool {
    value.iter().any(|byte| SEPARATORS.contains(byte))
}

/// The answer for a checksum that a wrong number passes less than once in 90 times.
pub(crate) fn strong(valid: bool) -> Outcome {
    if valid {
        Outcome::Proven
    } else {
        Outcome::Drop("checksum")
    }
}

/// The answer for two check digits on a number of digits alone: a proof in groups, worth an edit without.
pub(crate) fn strong_number(valid: bool, value: &[u8]) -> Outcome {
    match (valid, is_grouped(value)) {
        (false, _) => Outcome::Drop("checksum"),
        (true, true) => Outcome::Proven,
        (true, false) => Outcome::Set(0.6),
    }
}

/// The answer for a checksum with a date or a prefix beside it, which a wrong number passes once in 30 to
/// 90 times: worth an edit, no proof.
pub(crate) fn fair(valid: bool) -> Outcome {
    if valid {
        Outcome::Set(0.6)
    } else {
        Outcome::Drop("checksum")
    }
}

/// The answer for a checksum that one wrong number in ten or eleven passes: no more than the rule's own
/// score without separators, a finding worth an edit with them.
pub(crate) fn weak(valid: bool, value: &[u8]) -> Outcome {
    match (valid, is_grouped(value)) {
        (false, _) => Outcome::Drop("checksum"),
        (true, true) => Outcome::Set(0.5),
        (true, false) => Outcome::Keep,
    }
}

/// The answer for a shape that must hold.
pub(crate) fn shape(valid: bool) -> Outcome {
    if valid {
        Outcome::Keep
    } else {
        Outcome::Drop("shape")
    }
}

/// The answer where a right checksum proves and a wrong one says nothing.
pub(crate) fn hint(shaped: bool, valid: bool) -> Outcome {
    match (shaped, valid) {
        (false, _) => Outcome::Drop("shape"),
        (true, true) => Outcome::Proven,
        (true, false) => Outcome::Keep,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_found_between_separators() {
        assert_eq!(digits::<4>(b"1 2-3.4"), Some([1, 2, 3, 4]));
        assert_eq!(digits::<4>(b"12345"), None);
        assert_eq!(digits::<4>(b"123"), None);
        assert_eq!(digits::<4>(b"12a34"), None);
        assert_eq!(characters::<4>(b"a1-b2"), Some(*b"A1B2"));
    }

    /// The worked examples of the standards.
    #[test]
    fn examples_of_the_standards() {
        // ISO/IEC 7812-1.
        assert!(
            luhn(&[7, 9, 9, 2, 7, 3, 9, 8, 7, 1, 3]) && !luhn(&[7, 9, 9, 2, 7, 3, 9, 8, 7, 1, 0])
        );
        // ISO 7064, MOD 11,10: 0794 has check digit 5.
        assert!(mod11_10(&[0, 7, 9, 4, 5]) && !mod11_10(&[0, 7, 9, 4, 4]));
        // Verhoeff, 1969: 236 has check digit 3.
        assert!(verhoeff(&[2, 3, 6, 3]) && !verhoeff(&[2, 3, 6, 4]));
        // ICAO 9303-3, appendix A: 520727 has 3, AB2134 has 5.
        assert_eq!(icao(b"520727"), Some(3));
        assert_eq!(icao(b"AB2134"), Some(5));
        // ISO 13616: the number of the standard's annex.
        assert_eq!(mod97(b"WEST12345698765432GB82".iter().copied()), Some(1));
    }

    #[test]
    fn days_that_exist() {
        assert!(is_date(2000, 2, 29) && !is_date(2100, 2, 29) && !is_date(2023, 4, 31));
        assert!(!is_date(2023, 13, 1) && !is_date(2023, 0, 1) && !is_date(2023, 1, 0));
    }
}
