//! The United States, Canada.

use crate::checksum::{digits, luhn, number, pair, shape, strong_number, weak, weighted};
use crate::Outcome;

/// Social security number: area, group and serial that the Social Security Administration assigns, none of
/// the numbers it has declared void.
pub(crate) fn us_ssn(value: &[u8]) -> Outcome {
    let Some(digits) = digits::<9>(value) else { return Outcome::Drop("shape") };
    let mut marks = value.iter().filter(|byte| !byte.is_ascii_digit());
    let first = marks.next();
    if marks.any(|mark| Some(mark) != first) {
        return Outcome::Drop("mixed_separators");
    }
    let (area, group, serial) = (number(&digits[..3]), number(&digits[3..5]), number(&digits[5..]));
    // 078-05-1120 and 219-09-9999 were printed in advertisements; 987-65-432x are for them.
    let void = matches!(number(&digits), 78_051_120 | 219_099_999 | 123_456_789)
        || number(&digits) / 10 == 98_765_432;
    let same = digits.iter().all(|digit| *digit == digits[0]);
    let assigned = !matches!(area, 0 | 666 | 900..) && group != 0 && serial != 0;
    match (assigned && !void && !same, first) {
        (false, _) => Outcome::Drop("shape"),
        // Columns of numbers have blanks and points; hyphens are how the card is printed.
        (true, Some(b' ' | b'.')) => Outcome::Set(0.3),
        (true, _) => Outcome::Keep,
    }
}

/// Individual taxpayer identification number: 9xx and the groups the IRS assigns.
pub(crate) fn us_itin(value: &[u8]) -> Outcome {
    let Some(digits) = digits::<9>(value) else { return Outcome::Drop("shape") };
    let group = number(&digits[3..5]);
    shape(digits[0] == 9 && matches!(group, 50..=65 | 70..=88 | 90..=92 | 94..=99))
}

/// National provider identifier: Luhn over the number behind the issuer's prefix 80840 (45 CFR 162.406).
pub(crate) fn us_npi(value: &[u8]) -> Outcome {
    let Some(digits) = digits::<10>(value) else { return Outcome::Drop("shape") };
    let mut whole = [8, 0, 8, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    whole[5..].copy_from_slice(&digits);
    let same = digits[..9].iter().all(|digit| *digit == digits[0]);
    weak(matches!(digits[0], 1 | 2) && !same && luhn(&whole), value)
}

/// Routing transit number of the American Bankers Association: prefix and weights 3, 7, 1.
pub(crate) fn aba_routing(value: &[u8]) -> Outcome {
    let Some(digits) = digits::<9>(value) else { return Outcome::Drop("shape") };
    let prefix = matches!(pair(&digits, 0), 0..=12 | 21..=32 | 61..=72 | 80);
    let sum = weighted(&digits, &[3, 7, 1, 3, 7, 1, 3, 7, 1]);
    let valid = sum > 0 && sum.is_multiple_of(10);
    match (valid, prefix) {
        // A prefix that no bank has is a number of something else, or of a test.
        (true, false) => Outcome::Set(0.05),
        _ => weak(valid, value),
    }
}

/// Registration number of the Drug Enforcement Administration: registrant type, letter, check digit.
pub(crate) fn dea(value: &[u8]) -> Outcome {
    let [kind, second, rest @ ..] = value else { return Outcome::Drop("shape") };
    let Some(digits) = digits::<7>(rest) else { return Outcome::Drop("shape") };
    let typed = b"ABCDEFGHJKLMPRSTUX".contains(&kind.to_ascii_uppercase())
        && (second.is_ascii_alphabetic() || *second == b'9');
    let sum = weighted(&digits[..6], &[1, 2, 1, 2, 1, 2]);
    if typed && sum % 10 == u32::from(digits[6]) {
        // Two letters, seven digits and the check: one in some hundred words of that shape.
        Outcome::Set(0.7)
    } else {
        Outcome::Drop("checksum")
    }
}

/// Social insurance number of Canada: Luhn; no number begins with 0 or 8.
pub(crate) fn ca_sin(value: &[u8]) -> Outcome {
    let Some(digits) = digits::<9>(value) else { return Outcome::Drop("shape") };
    let mut marks = value.iter().filter(|byte| !byte.is_ascii_digit());
    let first = marks.next();
    if marks.any(|mark| Some(mark) != first) {
        return Outcome::Drop("mixed_separators");
    }
    weak(!matches!(digits[0], 0 | 8) && luhn(&digits), value)
}

/// Ontario health number: ten digits under Luhn; the others of Canada have no published check.
pub(crate) fn ca_health_ontario(value: &[u8]) -> Outcome {
    let number = value.get(..value.len().min(12)).unwrap_or_default();
    let Some(digits) = digits::<10>(number.trim_ascii_end()) else {
        return Outcome::Drop("shape");
    };
    weak(digits[0] != 0 && luhn(&digits), value)
}

/// Employer identification number: prefixes that the IRS assigns to its campuses.
pub(crate) fn us_ein(value: &[u8]) -> Outcome {
    let Some(digits) = digits::<9>(value) else { return Outcome::Drop("shape") };
    shape(matches!(
        pair(&digits, 0),
        1..=6 | 10..=16 | 20..=27 | 30..=48 | 50..=68 | 71..=77 | 80..=88 | 90..=95 | 98 | 99
    ))
}

/// Brazilian CPF: two check digits, modulo 11.
pub(crate) fn br_cpf(value: &[u8]) -> Outcome {
    let Some(digits) = digits::<11>(value) else { return Outcome::Drop("shape") };
    let check = |digits: &[u8], first: u32| -> u32 {
        let sum: u32 = digits.iter().zip((2..=first).rev()).map(|(&d, w)| u32::from(d) * w).sum();
        match sum % 11 {
            0 | 1 => 0,
            rest => 11 - rest,
        }
    };
    let same = digits.iter().all(|digit| *digit == digits[0]);
    let valid = check(&digits[..9], 10) == u32::from(digits[9])
        && check(&digits[..10], 11) == u32::from(digits[10]);
    strong_number(valid && !same, value)
}

#[cfg(test)]
mod tests {
    use crate::national::testing::holds;
    use crate::Check::{AbaRouting, BrCpf, CaSin, Dea, UsEin, UsItin, UsNpi, UsSsn};
    use crate::{Outcome, Subject};

    #[test]
    fn a_routing_number_of_no_bank_scores_little() {
        let run = |value: &[u8]| AbaRouting.run(&Subject { value, before: b"" });
        assert_eq!(run(b"511000010"), Outcome::Set(0.05));
        assert_eq!(run(b"511000011"), Outcome::Drop("checksum"));
    }

    #[test]
    fn numbers_of_the_americas() {
        holds(&[
            // Ranges of the Social Security Administration; the advertisement's number is void.
            (UsSsn, "219-09-9998", true),
            (UsSsn, "219-09-9999", false),
            (UsSsn, "078-05-1120", false),
            (UsSsn, "666-12-3456", false),
            (UsSsn, "900-12-3456", false),
            (UsSsn, "212-00-3456", false),
            (UsSsn, "212-12-0000", false),
            (UsSsn, "212-12.3456", false),
            (UsItin, "912-70-1234", true),
            (UsItin, "912-89-1234", false),
            (UsItin, "812-70-1234", false),
            // The example of the check digit specification of CMS.
            (UsNpi, "1234567893", true),
            (UsNpi, "1234567890", false),
            (UsNpi, "3234567893", false),
            // Federal Reserve Banks of Boston and San Francisco.
            (AbaRouting, "011000015", true),
            (AbaRouting, "121000374", true),
            (AbaRouting, "121000375", false),
            (AbaRouting, "000000000", false),
            (Dea, "AB1234563", true),
            (Dea, "A91234563", true),
            (Dea, "AB1234564", false),
            (Dea, "NB1234563", false),
            // No number begins with 0.
            (CaSin, "046 454 286", false),
            (CaSin, "130 692 544", true),
            (CaSin, "130 692 545", false),
            (CaSin, "130 692-544", false),
            (UsEin, "12-3456789", true),
            (UsEin, "07-3456789", false),
            (BrCpf, "111.444.777-35", true),
            (BrCpf, "111.444.777-36", false),
            (BrCpf, "111.111.111-11", false),
        ]);
    }
}
