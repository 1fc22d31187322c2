//! The United States, Canada.

use crate::checksum::{
    characters, digits, is_grouped, luhn, number, pair, shape, strong_number, weak, weighted,
};
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
    // 078-05-1120 and 219-09-9999 were printed in advertisements; 123-45-6789 is what everybody types who needs
    // one, and the administration never said whether it assigned it. 987-65-432x, for advertisements, are not.
    let void = matches!(number(&digits), 78_051_120 | 219_099_999 | 123_456_789);
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
    // Of words of that shape one in fourteen passes: 18 of 26 letters, any second one, one digit in ten.
    weak(typed && sum % 10 == u32::from(digits[6]), value)
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

/// Ontario health number: ten digits under Luhn.
pub(crate) fn ca_health_ontario(value: &[u8]) -> Outcome {
    let number = value.get(..value.len().min(12)).unwrap_or_default();
    let Some(digits) = digits::<10>(number.trim_ascii_end()) else {
        return Outcome::Drop("shape");
    };
    weak(digits[0] != 0 && luhn(&digits), value)
}

/// Personal health number of British Columbia: begins with 9, the last digit checks the eight between by
/// modulus 11 (Professional and Software Compliance Standards of the Ministry of Health, appendix D). A check of 11
/// is taken for 0: whether such numbers are given out is not said.
pub(crate) fn ca_health_bc(value: &[u8]) -> Outcome {
    let Some(digits) = digits::<10>(value) else { return Outcome::Drop("shape") };
    let check = 11 - weighted(&digits[1..9], &[2, 4, 8, 5, 10, 9, 7, 3]) % 11;
    weak(digits[0] == 9 && check % 11 == u32::from(digits[9]), value)
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

/// Brazilian CNPJ: twelve digits or, since July 2026, capitals and digits, and two check digits modulo 11. A
/// character counts its ASCII code less 48 (Nota Técnica 49/2024 of the Receita Federal), so digits count as ever.
pub(crate) fn br_cnpj(value: &[u8]) -> Outcome {
    let Some(text) = characters::<14>(value) else { return Outcome::Drop("shape") };
    let count = |byte: &u8| u32::from(byte - b'0');
    let check = |body: &[u8]| -> u32 {
        let weights = [2, 3, 4, 5, 6, 7, 8, 9].iter().cycle();
        let sum: u32 = body.iter().rev().zip(weights).map(|(byte, w)| count(byte) * w).sum();
        match sum % 11 {
            0 | 1 => 0,
            rest => 11 - rest,
        }
    };
    let same = text[..12].iter().all(|byte| *byte == text[0]);
    let valid = check(&text[..12]) == count(&text[12]) && check(&text[..13]) == count(&text[13]);
    match (valid && !same && !value.iter().any(u8::is_ascii_lowercase), is_grouped(value)) {
        (true, true) => Outcome::Proven,
        // Bare, most numbers of fourteen digits are times: those of companies have a branch below one hundred.
        (true, false) if text[8..10] == *b"00" => Outcome::Set(0.6),
        (true, false) => Outcome::Keep,
        (false, _) => Outcome::Drop("checksum"),
    }
}

#[cfg(test)]
pub(super) mod cases {
    use crate::national::testing::{dropped, scored, Case, EDITED, KEPT, MISFIT, PROVEN, WRONG};
    use crate::Check::{
        AbaRouting, BrCnpj, BrCpf, CaHealthBc, CaHealthOntario, CaSin, Dea, UsEin, UsItin, UsNpi,
        UsSsn,
    };

    pub(crate) const CASES: &[Case] = &[
        // Ranges of the Social Security Administration; the advertisement's number is void.
        (UsSsn, "219-09-9998", KEPT),
        (UsSsn, "219099998", KEPT),
        (UsSsn, "219 09 9998", scored(0.3)),
        (UsSsn, "219-09-9999", MISFIT),
        (UsSsn, "078-05-1120", MISFIT),
        (UsSsn, "123-45-6789", MISFIT),
        (UsSsn, "666-12-3456", MISFIT),
        (UsSsn, "900-12-3456", MISFIT),
        (UsSsn, "987-65-4321", MISFIT),
        (UsSsn, "212-00-3456", MISFIT),
        (UsSsn, "212-12-0000", MISFIT),
        (UsSsn, "111-11-1111", MISFIT),
        (UsSsn, "212-12.3456", dropped("mixed_separators")),
        (UsItin, "912-70-1234", KEPT),
        (UsItin, "912-89-1234", MISFIT),
        (UsItin, "812-70-1234", MISFIT),
        // The example of the check digit specification of CMS.
        (UsNpi, "1234567893", KEPT),
        (UsNpi, "1234-567-893", EDITED),
        (UsNpi, "1234567890", WRONG),
        (UsNpi, "3234567893", WRONG),
        // Federal Reserve Banks of Boston and San Francisco; a prefix that no bank has.
        (AbaRouting, "011000015", KEPT),
        (AbaRouting, "1210-0037-4", EDITED),
        (AbaRouting, "121000375", WRONG),
        (AbaRouting, "000000000", WRONG),
        (AbaRouting, "511000010", scored(0.05)),
        (AbaRouting, "511000011", WRONG),
        (Dea, "AB1234563", KEPT),
        (Dea, "A91234563", KEPT),
        (Dea, "AB1234564", WRONG),
        (Dea, "NB1234563", WRONG),
        // No number begins with 0.
        (CaSin, "046 454 286", WRONG),
        (CaSin, "130 692 544", EDITED),
        (CaSin, "130692544", KEPT),
        (CaSin, "130 692 545", WRONG),
        (CaSin, "130 692-544", dropped("mixed_separators")),
        (CaHealthOntario, "9876543217", KEPT),
        (CaHealthOntario, "9876-543-217 AB", EDITED),
        (CaHealthOntario, "9876-543-218", WRONG),
        // Of the eight digits between, 6 weighs 2 and 1 weighs 3.
        (CaHealthBc, "9698658215", KEPT),
        (CaHealthBc, "9698 658 215", EDITED),
        (CaHealthBc, "9123456780", KEPT),
        (CaHealthBc, "9698 648 215", WRONG),
        (CaHealthBc, "8698 658 215", WRONG),
        (UsEin, "12-3456789", KEPT),
        (UsEin, "07-3456789", MISFIT),
        (BrCpf, "111.444.777-35", PROVEN),
        (BrCpf, "11144477735", scored(0.6)),
        (BrCpf, "111.444.777-36", WRONG),
        (BrCpf, "111.111.111-11", WRONG),
        (BrCnpj, "11.222.333/0001-81", PROVEN),
        (BrCnpj, "11222333000181", scored(0.6)),
        (BrCnpj, "11.222.333/0001-82", WRONG),
        (BrCnpj, "00.000.000/0000-00", WRONG),
        // The example of the authority for numbers with letters; its branch is none of the first hundred.
        (BrCnpj, "12.ABC.345/01DE-35", PROVEN),
        (BrCnpj, "12ABC34501DE35", KEPT),
        (BrCnpj, "12.ABC.345/01DE-36", WRONG),
        (BrCnpj, "12.abc.345/01de-35", WRONG),
    ];
}
