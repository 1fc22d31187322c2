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
    let (prefix, suffix) = match (characters::<9>(value), characters::<8>(value)) {
        (Some([first, second, .., suffix]), _) => ([first, second], Some(suffix)),
        // Forms leave the suffix out.
        (_, Some([first, second, ..])) => ([first, second], None),
        _ => return Outcome::Drop("shape"),
    };
    let first = !b"DFIQUV".contains(&prefix[0]);
    let second = !b"DFIOQUV".contains(&prefix[1]);
    let banned = [b"BG", b"GB", b"KN", b"NK", b"NT", b"TN", b"ZZ"].contains(&&prefix);
    let lettered = suffix.is_none_or(|suffix| (b'A'..=b'D').contains(&suffix));
    shape(first && second && !banned && lettered)
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
pub(super) mod cases {
    use crate::national::testing::{dropped, scored, Case, EDITED, KEPT, MISFIT, WRONG};
    use crate::Check::{UkDrivingLicence, UkNhs, UkNino, UkPlate, UkUtr};

    pub(crate) const CASES: &[Case] = &[
        // The example of the NHS Data Dictionary.
        (UkNhs, "943 476 5919", EDITED),
        (UkNhs, "9434765919", KEPT),
        (UkNhs, "943 476 5918", WRONG),
        (UkNhs, "0000000000", WRONG),
        (UkUtr, "1955839661", KEPT),
        (UkUtr, "2955839661", WRONG),
        // HMRC prints QQ123456C because QQ is never issued.
        (UkNino, "QQ 12 34 56 C", MISFIT),
        (UkNino, "AB 12 34 56", KEPT),
        (UkNino, "GB123456", MISFIT),
        (UkNino, "AB 12 34 56 C", KEPT),
        (UkNino, "GB123456C", MISFIT),
        (UkNino, "AO123456C", MISFIT),
        (UkPlate, "AB51 ABC", scored(0.5)),
        (UkPlate, "AB02ABC", scored(0.5)),
        (UkPlate, "ab02abc", KEPT),
        (UkPlate, "AB01ABC", dropped("age_identifier")),
        (UkPlate, "AB30ABC", dropped("age_identifier")),
        (UkPlate, "AB80ABC", dropped("age_identifier")),
        (UkDrivingLicence, "MORGA657054SM9IJ", KEPT),
        (UkDrivingLicence, "FOX99657054SM9IJ", KEPT),
        (UkDrivingLicence, "99999657054SM9IJ", MISFIT),
        (UkDrivingLicence, "MO9GA657054SM9IJ", MISFIT),
    ];
}
