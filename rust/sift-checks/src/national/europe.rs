//! Spain, Italy, Poland, Finland, Sweden, Turkey, France, the Netherlands, Belgium.

use crate::checksum::{
    characters, digit_sum, digits, fair, hint, is_date, is_short_date, luhn, number, pair, shape,
    strong, strong_number, weak, weighted,
};
use crate::Outcome;

/// The letters that stand for the remainder by 23.
const NIF_LETTERS: &[u8; 23] = b"TRWAGMYFPDXBNJZSQVHLCKE";

/// Spanish NIF: up to eight digits and the letter of their remainder by 23. Who has no identity card has K, L or
/// M, which does not count, and seven digits (Real Decreto 1065/2007, articles 19 and 20).
pub(crate) fn es_nif(value: &[u8]) -> Outcome {
    let (value, _) = without_country(value, b"ES");
    let Some((letter, body)) = value.split_last() else { return Outcome::Drop("shape") };
    let body = match body.split_first() {
        Some((b'K' | b'L' | b'M' | b'k' | b'l' | b'm', rest)) => match digits::<7>(rest) {
            Some(_) => rest,
            None => return Outcome::Drop("shape"),
        },
        _ => body,
    };
    let body: [u8; 8] = match (digits::<8>(body), digits::<7>(body)) {
        (Some(digits), _) => digits,
        (_, Some([a, b, c, d, e, f, g])) => [0, a, b, c, d, e, f, g],
        _ => return Outcome::Drop("shape"),
    };
    strong_number(nif_letter(number(&body)) == Some(letter.to_ascii_uppercase()), value)
}

/// Spanish NIE: X, Y or Z count as 0, 1, 2 before seven digits.
pub(crate) fn es_nie(value: &[u8]) -> Outcome {
    let (value, _) = without_country(value, b"ES");
    let (Some((first, rest)), Some(letter)) = (value.split_first(), value.last()) else {
        return Outcome::Drop("shape");
    };
    let lead = match first.to_ascii_uppercase() {
        b'X' => 0,
        b'Y' => 1,
        b'Z' => 2,
        _ => return Outcome::Drop("shape"),
    };
    let body = rest.split_last().and_then(|(_, body)| digits::<7>(body));
    let letter = letter.to_ascii_uppercase();
    strong_number(
        body.and_then(|body| nif_letter(lead * 10_000_000 + number(&body))) == Some(letter),
        value,
    )
}

/// A number without the letters of its country, which VAT numbers have abroad (Directive 2006/112/EC, article 215), and
/// whether it had them.
fn without_country<'a>(value: &'a [u8], country: &[u8; 2]) -> (&'a [u8], bool) {
    match value.split_at_checked(2) {
        Some((head, rest)) if head == country => {
            (rest.strip_prefix(b" ").or_else(|| rest.strip_prefix(b"-")).unwrap_or(rest), true)
        }
        _ => (value, false),
    }
}

fn nif_letter(number: u64) -> Option<u8> {
    NIF_LETTERS.get((number % 23) as usize).copied()
}

/// Spanish tax number of an organisation, once CIF: its form, seven digits, and a check that is a digit or a
/// letter by the form (Orden EHA/451/2008).
pub(crate) fn es_cif(value: &[u8]) -> Outcome {
    let (value, abroad) = without_country(value, b"ES");
    let Some(text) = characters::<9>(value) else { return Outcome::Drop("shape") };
    let Some(body) = digits::<7>(&text[1..8]) else { return Outcome::Drop("shape") };
    // The digits at odd places count twice.
    let sum: u32 = body
        .iter()
        .zip([2, 1].iter().cycle())
        .map(|(&digit, weight)| digit_sum(u32::from(digit) * weight))
        .sum();
    let check = (10 - sum % 10) % 10;
    let digit = u32::from(text[8].wrapping_sub(b'0')) == check;
    let letter = b"JABCDEFGHI".get(check as usize) == Some(&text[8]);
    let valid = match text[0] {
        b'A' | b'B' | b'E' | b'H' => digit,
        b'N' | b'P' | b'Q' | b'R' | b'S' | b'W' => letter,
        b'C' | b'D' | b'F' | b'G' | b'J' | b'U' | b'V' => digit || letter,
        _ => false,
    };
    if abroad {
        return fair(valid);
    }
    weak(valid, value)
}

/// Italian tax code: a day that exists, check letter (decree of 23 December 1976). The pattern of the rule holds
/// the month.
///
/// A wrong letter keeps the rule's score: codes are often written down by hand.
pub(crate) fn it_fiscal_code(value: &[u8]) -> Outcome {
    // What a character at an odd place counts, digits like the letters A to J.
    const ODD: [u32; 26] = [
        1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24,
        23,
    ];
    let Some(text) = characters::<16>(value) else { return Outcome::Drop("shape") };
    // Codes of people who share one have letters in the place of digits.
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'L'..=b'N' => Some(byte - b'L'),
        b'P'..=b'V' => Some(byte - b'P' + 3),
        _ => None,
    };
    let day = digit(text[9]).zip(digit(text[10])).map(|(tens, ones)| tens * 10 + ones);
    let dated = day.is_some_and(|day| matches!(day, 1..=31 | 41..=71));
    let ordinal = |byte: u8| {
        usize::from(if byte.is_ascii_digit() { byte - b'0' } else { byte.wrapping_sub(b'A') })
    };
    let sum: u32 = text[..15]
        .iter()
        .enumerate()
        .map(|(place, &byte)| match place % 2 {
            0 => ODD.get(ordinal(byte)).copied().unwrap_or(0),
            _ => ordinal(byte) as u32,
        })
        .sum();
    hint(dated, u32::from(text[15].wrapping_sub(b'A')) == sum % 26)
}

/// Italian VAT number: Luhn over eleven digits.
pub(crate) fn it_vat(value: &[u8]) -> Outcome {
    let (value, _) = without_country(value, b"IT");
    let Some(digits) = digits::<11>(value) else { return Outcome::Drop("shape") };
    // Digits 8 to 10 name the office: provinces 001 to 100, 120, 121, 888, 999.
    let office = matches!(number(&digits[7..10]), 1..=100 | 120 | 121 | 888 | 999);
    match (office, luhn(&digits)) {
        _ if digits.iter().all(|digit| *digit == 0) => Outcome::Drop("checksum"),
        (true, true) => Outcome::Set(0.6),
        (false, true) => weak(true, value),
        _ => Outcome::Drop("checksum"),
    }
}

/// Polish PESEL: birthday with the century in the month, weights 1, 3, 7, 9. Never written with separators.
pub(crate) fn pl_pesel(value: &[u8]) -> Outcome {
    let (true, Some(digits)) = (value.iter().all(u8::is_ascii_digit), digits::<11>(value)) else {
        return Outcome::Drop("shape");
    };
    let (year, month, day) = (pair(&digits, 0), pair(&digits, 2), pair(&digits, 4));
    let century = match month / 20 {
        0 => 1900,
        1 => 2000,
        2 => 2100,
        3 => 2200,
        _ => 1800,
    };
    let sum = weighted(&digits[..10], &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3]);
    let check = (10 - sum % 10) % 10 == u32::from(digits[10]);
    fair(is_date(century + year, month % 20, day) && check)
}

/// Polish taxpayer number (NIP): weights 6, 5, 7, 2 to 7, modulo 11; a check of 10 is never given out.
pub(crate) fn pl_nip(value: &[u8]) -> Outcome {
    let (value, abroad) = without_country(value, b"PL");
    let Some(digits) = digits::<10>(value) else { return Outcome::Drop("shape") };
    let sum = weighted(&digits[..9], &[6, 5, 7, 2, 3, 4, 5, 6, 7]);
    let valid = sum > 0 && sum % 11 == u32::from(digits[9]);
    if abroad {
        return fair(valid);
    }
    weak(valid, value)
}

/// Polish business register number (REGON): nine digits, and five more for a local unit, which have a check of
/// their own; modulo 11, where 10 is written 0.
pub(crate) fn pl_regon(value: &[u8]) -> Outcome {
    let nine = |digits: &[u8]| {
        let sum = weighted(&digits[..8], &[8, 9, 2, 3, 4, 5, 6, 7]);
        sum > 0 && sum % 11 % 10 == u32::from(digits[8])
    };
    if let Some(digits) = digits::<14>(value) {
        let sum = weighted(&digits[..13], &[2, 4, 8, 5, 0, 9, 7, 3, 6, 1, 2, 4, 8]);
        return fair(nine(&digits) && sum % 11 % 10 == u32::from(digits[13]));
    }
    let Some(digits) = digits::<9>(value) else { return Outcome::Drop("shape") };
    weak(nine(&digits), value)
}

/// Finnish personal identity code: birthday, century sign, number, remainder by 31.
pub(crate) fn fi_identity_code(value: &[u8]) -> Outcome {
    const CHECK: &[u8; 31] = b"0123456789ABCDEFHJKLMNPRSTUVWXY";
    let (Some(sign), Some(check), 11) = (value.get(6), value.get(10), value.len()) else {
        return Outcome::Drop("shape");
    };
    let century = match sign.to_ascii_uppercase() {
        b'+' => 1800,
        b'-' | b'U'..=b'Y' => 1900,
        b'A'..=b'F' => 2000,
        _ => return Outcome::Drop("shape"),
    };
    let (date, serial) = (value.get(..6), value.get(7..10));
    let (Some(date), Some(serial)) = (date.and_then(digits::<6>), serial.and_then(digits::<3>))
    else {
        return Outcome::Drop("shape");
    };
    let dated = is_date(century + pair(&date, 4), pair(&date, 2), pair(&date, 0));
    let rest = (number(&date) * 1000 + number(&serial)) % 31;
    let letter = CHECK.get(rest as usize).copied();
    let valid = dated && number(&serial) >= 2 && letter == Some(check.to_ascii_uppercase());
    // With a hyphen and a digit at its end it looks like a day and a number of anything, one of 31 of which passes.
    match valid && *sign == b'-' && check.is_ascii_digit() {
        true => Outcome::Keep,
        false => strong(valid),
    }
}

/// Swedish personal or coordination number: birthday (day + 60), Luhn over the last ten digits.
pub(crate) fn se_personnummer(value: &[u8]) -> Outcome {
    // Who is a hundred or more has a `+` in the place of the hyphen.
    let mut plain = [b'-'; 13];
    let Some(plain) = plain.get_mut(..value.len()) else { return Outcome::Drop("shape") };
    plain
        .iter_mut()
        .zip(value)
        .for_each(|(slot, byte)| *slot = if *byte == b'+' { b'-' } else { *byte });
    let ten = match (digits::<12>(plain), digits::<10>(plain)) {
        (Some(long), _) if !matches!(pair(&long, 0), 18..=20) => return Outcome::Drop("century"),
        (Some(long), _) => {
            let mut ten = [0; 10];
            ten.copy_from_slice(&long[2..]);
            ten
        }
        (_, Some(ten)) => ten,
        _ => return Outcome::Drop("shape"),
    };
    let (year, month, day) = (pair(&ten, 0), pair(&ten, 2), pair(&ten, 4));
    let dated = is_short_date(year, month, if day > 60 { day - 60 } else { day });
    // Batches and backups are named by a day and a number as well, and the days are of these years.
    let recent = !value.contains(&b'+') && (10..40).contains(&year);
    match dated && luhn(&ten) {
        false => Outcome::Drop("checksum"),
        true if value.iter().all(u8::is_ascii_digit) || recent => Outcome::Keep,
        true => Outcome::Set(0.6),
    }
}

/// Swedish organisation number: the third digit is 2 or more, Luhn.
pub(crate) fn se_organisation(value: &[u8]) -> Outcome {
    let Some(digits) = digits::<10>(value) else { return Outcome::Drop("shape") };
    weak(digits[2] >= 2 && luhn(&digits), value)
}

/// Turkish identity number: two check digits.
pub(crate) fn tr_national_id(value: &[u8]) -> Outcome {
    let Some(digits) = digits::<11>(value) else { return Outcome::Drop("shape") };
    let at = |place: usize| i32::from(digits[place]);
    let odd = at(0) + at(2) + at(4) + at(6) + at(8);
    let even = at(1) + at(3) + at(5) + at(7);
    let sum: i32 = digits[..10].iter().map(|&digit| i32::from(digit)).sum();
    let valid = at(0) != 0 && (7 * odd - even).rem_euclid(10) == at(9) && sum % 10 == at(10);
    strong_number(valid, value)
}

/// Turkish plate: one of 81 provinces.
pub(crate) fn tr_plate(value: &[u8]) -> Outcome {
    let province = value.get(..2).and_then(digits::<2>).map(|digits| number(&digits));
    shape(province.is_some_and(|province| (1..=81).contains(&province)))
}

/// French social security number (NIR): sex, month, department, key modulo 97.
pub(crate) fn fr_nir(value: &[u8]) -> Outcome {
    let Some(text) = characters::<15>(value) else { return Outcome::Drop("shape") };
    // Corsica is written 2A and 2B and counted as 19 and 18.
    let mut plain = text;
    match (text[5], text[6]) {
        (b'2', b'A') => plain[5..7].copy_from_slice(b"19"),
        (b'2', b'B') => plain[5..7].copy_from_slice(b"18"),
        _ => {}
    }
    let Some(digits) = digits::<15>(&plain) else { return Outcome::Drop("shape") };
    let month = matches!(pair(&digits, 3), 1..=12 | 20..=42 | 50..=99);
    let key = 97 - number(&digits[..13]) % 97;
    strong(matches!(digits[0], 1..=4 | 7 | 8) && month && key == number(&digits[13..]))
}

/// Dutch citizen service number (BSN): the eleven test with a last weight of -1.
pub(crate) fn nl_bsn(value: &[u8]) -> Outcome {
    let Some(digits) = digits::<9>(value) else { return Outcome::Drop("shape") };
    let sum = weighted(&digits[..8], &[9, 8, 7, 6, 5, 4, 3, 2]);
    weak(sum > 0 && sum % 11 == u32::from(digits[8]), value)
}

/// Belgian national register number: birthday, counter, key modulo 97, with a 2 before it since 2000. Who is not
/// in the register has a BIS number, whose month is raised by 20 or 40.
pub(crate) fn be_national(value: &[u8]) -> Outcome {
    let Some(digits) = digits::<11>(value) else { return Outcome::Drop("shape") };
    let (body, key) = (number(&digits[..9]), number(&digits[9..]));
    let valid = 97 - body % 97 == key || 97 - (2_000_000_000 + body) % 97 == key;
    // Where the birthday is not known, month and day are 00.
    let (month, day) = (pair(&digits, 2), pair(&digits, 4));
    strong_number(valid && month < 60 && month % 20 <= 12 && day <= 31, value)
}

#[cfg(test)]
pub(super) mod cases {
    use crate::national::testing::{dropped, scored, Case, EDITED, KEPT, MISFIT, PROVEN, WRONG};
    use crate::Check::{
        BeNational, EsCif, EsNie, EsNif, FiIdentityCode, FrNir, ItFiscalCode, ItVat, NlBsn, PlNip,
        PlPesel, PlRegon, SeOrganisation, SePersonnummer, TrNationalId, TrPlate,
    };

    pub(crate) const CASES: &[Case] = &[
        (EsNif, "12345678Z", scored(0.6)),
        (EsNif, "12345678-z", PROVEN),
        (EsNif, "12.345.678-Z", PROVEN),
        (EsNif, "1111111G", scored(0.6)),
        (EsNif, "12345678A", WRONG),
        // The letter in front does not count, but digits have to follow it.
        (EsNif, "K1234567L", scored(0.6)),
        (EsNif, "M-1234567-L", PROVEN),
        (EsNif, "L1234567M", WRONG),
        (EsNif, "K12345678Z", MISFIT),
        (EsNie, "X1234567L", scored(0.6)),
        (EsNie, "Y1234567X", scored(0.6)),
        (EsNie, "Z1234567R", scored(0.6)),
        (EsNie, "X1234567M", WRONG),
        (EsNie, "W1234567L", MISFIT),
        // Two companies, a town, a university.
        (EsCif, "A28015865", KEPT),
        (EsCif, "A-78374725", EDITED),
        (EsCif, "P2807900B", KEPT),
        (EsCif, "Q2818002D", KEPT),
        (EsCif, "A28015866", WRONG),
        (EsCif, "P28079002", WRONG),
        (EsCif, "A2801586E", WRONG),
        (EsCif, "G28015865", KEPT),
        (EsCif, "G2801586E", KEPT),
        (EsCif, "I28015865", WRONG),
        // A wrong letter is kept, a day that does not exist is not.
        (ItFiscalCode, "RSSMRA85T10A562S", PROVEN),
        (ItFiscalCode, "MRTMTT25D09F205Z", PROVEN),
        (ItFiscalCode, "RSSMRA85T10A56NH", PROVEN),
        (ItFiscalCode, "RSSMRA85T10A562T", KEPT),
        (ItFiscalCode, "RSSMRA85T32A562S", MISFIT),
        (ItVat, "00743110157", scored(0.6)),
        (ItVat, "IT00743110157", scored(0.6)),
        (ItVat, "IT 00743110158", WRONG),
        (EsCif, "ESA28015865", scored(0.6)),
        (EsCif, "ESA28015866", WRONG),
        (PlNip, "PL5260250274", scored(0.6)),
        (PlNip, "PL5260250275", WRONG),
        (ItVat, "00743110158", WRONG),
        (ItVat, "00000000000", WRONG),
        (PlPesel, "44051401458", scored(0.6)),
        (PlPesel, "44051401459", WRONG),
        (PlPesel, "44-051401458", MISFIT),
        (PlPesel, "44133101458", WRONG),
        // The Ministry of Finance.
        (PlNip, "526-025-02-74", EDITED),
        (PlNip, "5260250274", KEPT),
        (PlNip, "526-025-02-75", WRONG),
        (PlNip, "0000000000", WRONG),
        (PlRegon, "123456785", KEPT),
        (PlRegon, "12345678512347", scored(0.6)),
        (PlRegon, "123456786", WRONG),
        (PlRegon, "12345678512348", WRONG),
        (PlRegon, "12345678612347", WRONG),
        (PlRegon, "000000000", WRONG),
        // The example of the Digital and Population Data Services Agency.
        (FiIdentityCode, "131052-308T", PROVEN),
        (FiIdentityCode, "131052-308U", WRONG),
        // A lot and a birthday with a number that passes.
        (FiIdentityCode, "010110-0023", KEPT),
        (FiIdentityCode, "010110A0023", PROVEN),
        (FiIdentityCode, "311152-308T", WRONG),
        // The examples of the Swedish Tax Agency.
        (SePersonnummer, "811218-9876", scored(0.6)),
        (SePersonnummer, "19811218-9876", scored(0.6)),
        (SePersonnummer, "8112189876", KEPT),
        (SePersonnummer, "20240714-0009", KEPT),
        (SePersonnummer, "811218-9875", WRONG),
        (SePersonnummer, "811318-9876", WRONG),
        (SePersonnummer, "701063-2391", scored(0.6)),
        (SePersonnummer, "811218+9876", scored(0.6)),
        (SePersonnummer, "21811218-9876", dropped("century")),
        (SeOrganisation, "556036-0793", EDITED),
        (SeOrganisation, "551036-0793", WRONG),
        (TrNationalId, "10000000146", scored(0.6)),
        (TrNationalId, "10000000147", WRONG),
        (TrNationalId, "00000000146", WRONG),
        (TrPlate, "81 AB 123", KEPT),
        (TrPlate, "82 AB 123", MISFIT),
        (FrNir, "2 69 05 49 588 157 80", PROVEN),
        (FrNir, "2 69 05 49 588 157 81", WRONG),
        (NlBsn, "111222333", KEPT),
        (NlBsn, "111222334", WRONG),
        (BeNational, "85.07.30-033 28", PROVEN),
        (BeNational, "85073003328", scored(0.6)),
        (BeNational, "85.07.30-033 29", WRONG),
        // Born in 2000, and two people who are not in the register.
        (BeNational, "00.01.25-567.77", PROVEN),
        (BeNational, "85.27.30-033.71", PROVEN),
        (BeNational, "00.41.25-567.66", PROVEN),
        (BeNational, "85.13.30-033.10", WRONG),
    ];
}
