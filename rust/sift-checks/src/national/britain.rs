//! The United Kingdom.

use crate::checksum::{characters, digits, number, shape, weak, weighted};
use crate::Outcome;

/// National Health Service number: weights 10 to 2, modulo 11; a check of 10 is never issued.
pub(crate) fn uk_nhs(value: &[u8]) -> Outcome {
    let Some(digits) = digits::<10>(value) else { return Outcome::Drop("shape") };
    let check = 11 - weighted(&digits[..9], &[10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11;
    let same = digits.iter().all(|digit| *digit == digits[0]);
    weak(check != 10 && check % 11 == u32::from(digits[9]) && !same, value)
}

/// Unique taxpayer reference: the first digit checks the other nine.
pub(crate) fn uk_utr(value: &[u8]) -> Outcome {
    let Some(digits) = digits::<10>(value) else { return Outcome::Drop("shape") };
    let rest = weighted(&digits[1..], &[6, 7, 8, 9, 10, 5, 4, 3, 2]) % 11;
    let check = b"21987654321".get(rest as usize).map(|digit| digit - b'0');
    weak(check == Some(digits[0]), value)
}

/// National insurance number: prefixes that HMRC allocates (manual NIM39110).
pub(crate) fn uk_nino(value: &[u8]) -> Outcome {
    let Some(text) = characters::<9>(value) else { return Outcome::Drop("shape") };
    let first = !b"DFIQUV".contains(&text[0]);
    let second = !b"DFIOQUV".contains(&text[1]);
    let banned = [b"BG", b"GB", b"KN", b"NK", b"NT", b"TN", b"ZZ"].contains(&&[text[0], text[1]]);
    shape(first && second && !banned && (b'A'..=b'D').contains(&text[8]))
}

/// Current plates: the age identifier counts half-years from September 2001. In lower case it is more often
/// the name of a file (`ch21-web`).
pub(crate) fn uk_plate(value: &[u8]) -> Outcome {
    let Some(text) = characters::<7>(value) else { return Outcome::Drop("shape") };
    let age = number(&[text[2].wrapping_sub(b'0'), text[3].wrapping_sub(b'0')]);
    match age {
        2..=29 | 51..=79 if value.iter().any(u8::is_ascii_lowercase) => Outcome::Keep,
        2..=29 | 51..=79 => Outcome::Set(0.5),
        _ => Outcome::Drop("age_identifier"),
    }
}

/// Driving licence: five characters of the surname, padded with 9, then date and initials, which the
/// pattern of the rule holds.
pub(crate) fn uk_driving_licence(value: &[u8]) -> Outcome {
    let Some(text) = characters::<16>(value) else { return Outcome::Drop("shape") };
    let letters = text[..5].iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    shape(letters > 0 && text[letters..5].iter().all(|byte| *byte == b'9'))
}

#[cfg(test)]
mod tests {
    use crate::national::testing::holds;
    use crate::Check::{UkDrivingLicence, UkNhs, UkNino, UkPlate, UkUtr};

    #[test]
    fn numbers_of_britain() {
        holds(&[
            // The example of the NHS Data Dictionary.
            (UkNhs, "943 476 5919", true),
            (UkNhs, "943 476 5918", false),
            (UkNhs, "0000000000", false),
            (UkUtr, "1955839661", true),
            (UkUtr, "2955839661", false),
            // HMRC prints QQ123456C because QQ is never issued.
            (UkNino, "QQ 12 34 56 C", false),
            (UkNino, "AB 12 34 56 C", true),
            (UkNino, "GB123456C", false),
            (UkNino, "AO123456C", false),
            (UkPlate, "AB51 ABC", true),
            (UkPlate, "AB02ABC", true),
            (UkPlate, "AB01ABC", false),
            (UkPlate, "AB30ABC", false),
            (UkPlate, "AB80ABC", false),
            (UkDrivingLicence, "MORGA657054SM9IJ", true),
            (UkDrivingLicence, "FOX99657054SM9IJ", true),
            (UkDrivingLicence, "99999657054SM9IJ", false),
            (UkDrivingLicence, "MO9GA657054SM9IJ", false),
        ]);
    }
}
