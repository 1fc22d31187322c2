//! China, Japan, Israel, India, Singapore, Korea, Thailand, the Philippines.

use crate::checksum::{
    base36, characters, digits, fair, hint, is_date, is_grouped, luhn, number, pair, shape, strong,
    strong_number, verhoeff, weak, weighted,
};
use crate::Outcome;

/// Identity number of China (GB 11643): division, birthday, serial, check character by ISO 7064 MOD 11-2. That of
/// a foreigner with a permanent residence begins with 9 (National Immigration Administration, 2023).
pub(crate) fn cn_identity_card(value: &[u8]) -> Outcome {
    let Some(text) = characters::<18>(value) else { return Outcome::Drop("shape") };
    let Some(body) = digits::<17>(&text[..17]) else { return Outcome::Drop("shape") };
    let division = matches!(
        pair(&body, 0),
        11..=15 | 21..=23 | 31..=37 | 41..=46 | 50..=54 | 61..=65 | 71 | 81..=83 | 90..=99
    );
    let year = pair(&body, 6) * 100 + pair(&body, 8);
    let dated = (1800..2100).contains(&year) && is_date(year, pair(&body, 10), pair(&body, 12));
    let sum = body.iter().fold(0, |sum, &digit| (sum + u32::from(digit)) * 2 % 11);
    let check = b"10X98765432".get((sum % 11) as usize);
    strong(division && dated && check == Some(&text[17]))
}

/// Individual number of Japan ("My Number"): twelve digits, the last by the Ordinance of the Ministry of Internal
/// Affairs and Communications No. 85 of 2014, article 5.
pub(crate) fn jp_my_number(value: &[u8]) -> Outcome {
    let Some(digits) = digits::<12>(value) else { return Outcome::Drop("shape") };
    let rest = weighted(&digits[..11], &[6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11;
    let check = if rest < 2 { 0 } else { 11 - rest };
    let same = digits.iter().all(|digit| *digit == digits[0]);
    weak(!same && check == u32::from(digits[11]), value)
}

/// Corporate number of Japan: the first of thirteen digits checks the others (Ordinance of the Ministry of Finance
/// No. 70 of 2014, article 2). Issuers of invoices, persons among them, have one behind a `T`.
pub(crate) fn jp_corporate_number(value: &[u8]) -> Outcome {
    let number = value.strip_prefix(b"T").unwrap_or(value);
    let Some(digits) = digits::<13>(number) else { return Outcome::Drop("shape") };
    let sum = weighted(&digits[1..], &[2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1]);
    weak(9 - sum % 9 == u32::from(digits[0]), value)
}

/// Identity number of Israel (Teudat Zehut): nine digits under Luhn.
pub(crate) fn il_national_id(value: &[u8]) -> Outcome {
    let Some(digits) = digits::<9>(value) else { return Outcome::Drop("shape") };
    let same = digits.iter().all(|digit| *digit == digits[0]);
    weak(!same && luhn(&digits), value)
}

/// Aadhaar: Verhoeff; begins with 2 or more and is no palindrome (UIDAI).
pub(crate) fn in_aadhaar(value: &[u8]) -> Outcome {
    let Some(digits) = digits::<12>(value) else { return Outcome::Drop("shape") };
    let mirrored = digits.iter().eq(digits.iter().rev());
    weak(digits[0] >= 2 && !mirrored && verhoeff(&digits), value)
}

/// Goods and services tax number: state, permanent account number, entity, `Z`, check character.
///
/// A wrong check character keeps the rule's score, as made-up examples have one.
pub(crate) fn in_gstin(value: &[u8]) -> Outcome {
    let Some(text) = characters::<15>(value) else { return Outcome::Drop("shape") };
    let state = digits::<2>(&text[..2]).map(|digits| number(&digits));
    let of = |range: std::ops::Range<usize>, test: fn(&u8) -> bool| text[range].iter().all(test);
    let shaped = state.is_some_and(|state| matches!(state, 1..=38 | 97 | 99))
        && of(2..7, u8::is_ascii_alphabetic)
        && of(7..11, u8::is_ascii_digit)
        && text[11].is_ascii_alphabetic()
        && text[12] != b'0';
    let sum: u32 = text[..14]
        .iter()
        .enumerate()
        .map(|(place, &byte)| {
            let product = base36(byte).unwrap_or(0) * (1 + place as u32 % 2);
            product / 36 + product % 36
        })
        .sum();
    let valid = base36(text[14]) == Some((36 - sum % 36) % 36);
    // Ladakh, other territory and the centre came late: examples made up have other states.
    let late = state.is_some_and(|state| state > 37);
    hint(shaped && (valid || !late), valid)
}

/// Permanent account number: the fourth letter says what kind of person holds it.
pub(crate) fn in_pan(value: &[u8]) -> Outcome {
    match value.get(3).map(u8::to_ascii_uppercase) {
        Some(b'A' | b'B' | b'C' | b'E' | b'F' | b'G' | b'H' | b'J' | b'L' | b'P' | b'T') => {
            Outcome::Set(0.5)
        }
        Some(_) => Outcome::Keep,
        None => Outcome::Drop("shape"),
    }
}

/// Indian plate: the first two letters are a state or union territory that registers vehicles.
pub(crate) fn in_plate(value: &[u8]) -> Outcome {
    const STATES: [&[u8; 2]; 40] = [
        b"AN", b"AP", b"AR", b"AS", b"BR", b"CG", b"CH", b"DD", b"DL", b"DN", b"GA", b"GJ", b"HP",
        b"HR", b"JH", b"JK", b"KA", b"KL", b"LA", b"LD", b"MH", b"ML", b"MN", b"MP", b"MZ", b"NL",
        b"OD", b"OR", b"PB", b"PY", b"RJ", b"SK", b"TG", b"TN", b"TR", b"TS", b"UA", b"UK", b"UP",
        b"WB",
    ];
    let known = |state: &[u8]| STATES.iter().any(|known| known[..].eq_ignore_ascii_case(state));
    match value.get(..2).is_some_and(known) {
        true => Outcome::Set(0.5),
        false => Outcome::Keep,
    }
}

/// Singapore NRIC and FIN: weights 2, 7, 6, 5, 4, 3, 2 and the letters of the series.
///
/// The agency does not publish the rule; a wrong letter keeps the rule's score.
pub(crate) fn sg_fin(value: &[u8]) -> Outcome {
    let Some(text) = characters::<9>(value) else { return Outcome::Drop("shape") };
    let Some(digits) = digits::<7>(&text[1..8]) else { return Outcome::Drop("shape") };
    let sum = weighted(&digits, &[2, 7, 6, 5, 4, 3, 2]);
    let (offset, letters): (u32, &[u8; 11]) = match text[0] {
        b'S' => (0, b"JZIHGFEDCBA"),
        b'T' => (4, b"JZIHGFEDCBA"),
        b'F' => (0, b"XWUTRQPNMLK"),
        b'G' => (4, b"XWUTRQPNMLK"),
        b'M' => (3, b"XWUTRQPNJLK"),
        _ => return Outcome::Drop("shape"),
    };
    hint(true, letters.get(((sum + offset) % 11) as usize) == Some(&text[8]))
}

/// Singapore entity number: businesses, local companies, and the entities of `TyyPQnnnnX` (ACRA).
pub(crate) fn sg_uen(value: &[u8]) -> Outcome {
    let check = |body: &[u8], weights: &[u32], letters: &[u8; 11]| -> Option<u8> {
        letters.get((weighted(body, weights) % 11) as usize).copied()
    };
    if let Some(text) = characters::<9>(value) {
        let Some(body) = digits::<8>(&text[..8]) else { return Outcome::Drop("shape") };
        let letter = check(&body, &[10, 4, 9, 3, 8, 2, 7, 1], b"XMKECAWLJDB");
        return fair(letter == Some(text[8]));
    }
    let Some(text) = characters::<10>(value) else { return Outcome::Drop("shape") };
    if let Some(body) = digits::<9>(&text[..9]) {
        // The year of registration: no company of the future is one of a clock's concern.
        let year = matches!(number(&body[..4]), 1900..=2099);
        let letter = check(&body, &[10, 8, 6, 4, 9, 7, 5, 3, 1], b"ZKCMDNERGWH");
        return fair(year && letter == Some(text[9]));
    }
    sg_uen_other(&text)
}

/// `R`, `S` or `T`, year, two letters of the entity type, four digits, check letter.
fn sg_uen_other(text: &[u8; 10]) -> Outcome {
    const ALPHABET: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWX0123456789";
    const TYPES: [&[u8; 2]; 42] = [
        b"LP", b"LL", b"FC", b"PF", b"RF", b"MQ", b"MM", b"NB", b"CC", b"CS", b"MB", b"FM", b"GS",
        b"DP", b"CP", b"NR", b"CM", b"CD", b"MD", b"HS", b"VH", b"CH", b"MH", b"CL", b"XL", b"CX",
        b"HC", b"RP", b"TU", b"TC", b"FB", b"FN", b"PA", b"PB", b"SS", b"MC", b"SM", b"GA", b"GB",
        b"AC", b"FP", b"VC",
    ];
    let shaped = matches!(text[0], b'R' | b'S' | b'T')
        && digits::<2>(&text[1..3]).is_some()
        && TYPES.iter().any(|known| known[..] == text[3..5])
        && digits::<4>(&text[5..9]).is_some();
    let place = |byte: &u8| ALPHABET.iter().position(|known| known == byte);
    let sum: Option<usize> = text[..9]
        .iter()
        .zip([4, 3, 5, 3, 10, 2, 2, 5, 7])
        .map(|(byte, weight)| place(byte).map(|value| value * weight))
        .sum();
    let letter = sum.and_then(|sum| ALPHABET.get((sum + 11 - 5) % 11));
    strong(shaped && letter == Some(&text[9]))
}

/// Korean resident or foreigner registration number. Numbers issued since October 2020 end in a random
/// digit, so a wrong check keeps the rule's score.
fn kr_registration(value: &[u8], offset: u32) -> Outcome {
    let Some(digits) = digits::<13>(value) else { return Outcome::Drop("shape") };
    let dated = (1..=12).contains(&pair(&digits, 2)) && (1..=31).contains(&pair(&digits, 4));
    let sum = weighted(&digits[..12], &[2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5]);
    let check = (offset - sum % 11) % 10 == u32::from(digits[12]);
    match (dated, check && pair(&digits, 7) <= 95) {
        (false, _) => Outcome::Drop("shape"),
        (true, true) => strong_number(true, value),
        (true, false) => Outcome::Keep,
    }
}

/// Resident registration number.
pub(crate) fn kr_rrn(value: &[u8]) -> Outcome {
    kr_registration(value, 11)
}

/// Foreigner registration number.
pub(crate) fn kr_frn(value: &[u8]) -> Outcome {
    kr_registration(value, 13)
}

/// Korean business registration number: weights 1, 3, 7, the last product carried.
pub(crate) fn kr_brn(value: &[u8]) -> Outcome {
    let Some(digits) = digits::<10>(value) else { return Outcome::Drop("shape") };
    let sum = weighted(&digits[..9], &[1, 3, 7, 1, 3, 7, 1, 3, 5]) + u32::from(digits[8]) * 5 / 10;
    weak((10 - sum % 10) % 10 == u32::from(digits[9]), value)
}

/// Korean driver licence: the region of issue.
pub(crate) fn kr_driver_license(value: &[u8]) -> Outcome {
    let region = digits::<12>(value).map(|digits| pair(&digits, 0));
    shape(region.is_some_and(|region| matches!(region, 11..=26 | 28)))
}

/// Thai identity number: kind of person, province, check digit.
pub(crate) fn th_tnin(value: &[u8]) -> Outcome {
    let Some(digits) = digits::<13>(value) else { return Outcome::Drop("shape") };
    let province = matches!(
        pair(&digits, 1),
        10..=27 | 30..=49 | 50..=58 | 60..=67 | 70..=77 | 80..=86 | 90..=96
    );
    let sum = weighted(&digits[..12], &[13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2]);
    let valid =
        (1..=8).contains(&digits[0]) && province && (11 - sum % 11) % 10 == u32::from(digits[12]);
    match valid && is_grouped(value) {
        true => Outcome::Set(0.6),
        false => shape(valid),
    }
}

/// Philippine taxpayer number: weights 9 to 2, modulo 11; a branch code may follow.
pub(crate) fn ph_tin(value: &[u8]) -> Outcome {
    let body = match (digits::<12>(value), digits::<14>(value)) {
        (Some(digits), _) => digits[..9].try_into().ok(),
        (_, Some(digits)) => digits[..9].try_into().ok(),
        _ => digits::<9>(value),
    };
    let Some(body): Option<[u8; 9]> = body else { return Outcome::Drop("shape") };
    let sum = weighted(&body[..8], &[9, 8, 7, 6, 5, 4, 3, 2]);
    shape(sum % 11 == u32::from(body[8]))
}

#[cfg(test)]
pub(super) mod cases {
    use crate::national::testing::{scored, Case, EDITED, KEPT, MISFIT, PROVEN, WRONG};
    use crate::Check::{
        CnIdentityCard, IlNationalId, InAadhaar, InGstin, InPan, InPlate, JpCorporateNumber,
        JpMyNumber, KrBrn, KrDriverLicense, KrFrn, KrRrn, PhTin, SgFin, SgUen, ThTnin,
    };

    pub(crate) const CASES: &[Case] = &[
        // The examples of the standard.
        (CnIdentityCard, "11010519491231002X", PROVEN),
        (CnIdentityCard, "440524188001010014", PROVEN),
        (CnIdentityCard, "11010519491231002x", PROVEN),
        (CnIdentityCard, "110105194912310021", WRONG),
        (CnIdentityCard, "440524188001010015", WRONG),
        // A division that there is not, a day that there is not.
        (CnIdentityCard, "990524188001010016", WRONG),
        (CnIdentityCard, "160105194912310027", WRONG),
        (CnIdentityCard, "440524188002300016", WRONG),
        // Of a foreigner.
        (CnIdentityCard, "901155199001010012", PROVEN),
        (JpMyNumber, "123456789018", KEPT),
        (JpMyNumber, "1234 5678 9018", EDITED),
        (JpMyNumber, "1234 5678 9019", WRONG),
        (JpMyNumber, "000000000000", WRONG),
        // The example of the National Tax Agency, and the agency.
        (JpCorporateNumber, "8700110005901", KEPT),
        (JpCorporateNumber, "7000012050002", KEPT),
        (JpCorporateNumber, "T7000012050002", KEPT),
        (JpCorporateNumber, "8700110005902", WRONG),
        (IlNationalId, "123456782", KEPT),
        (IlNationalId, "12345678-2", EDITED),
        (IlNationalId, "123456783", WRONG),
        (IlNationalId, "000000000", WRONG),
        (InAadhaar, "2341 2341 2346", EDITED),
        (InAadhaar, "234123412346", KEPT),
        (InAadhaar, "2341 2341 2347", WRONG),
        (InAadhaar, "1341 2341 2346", WRONG),
        (InGstin, "27AAPFU0939F1ZV", PROVEN),
        (InGstin, "27AAPFU0939F1ZX", KEPT),
        (InGstin, "39AAPFU0939F1ZV", MISFIT),
        (InGstin, "27AAPFU0939F1Z", MISFIT),
        (InPan, "ABCPE1234F", scored(0.5)),
        (InPan, "ABCDE1234F", KEPT),
        (InPan, "ABC", MISFIT),
        (InPlate, "KA01AB1234", scored(0.5)),
        (InPlate, "XX01AB1234", KEPT),
        (SgFin, "S1234567D", PROVEN),
        (SgFin, "T1234567J", PROVEN),
        (SgFin, "F1234567N", PROVEN),
        (SgFin, "G1234567X", PROVEN),
        (SgFin, "M1234567K", PROVEN),
        (SgFin, "S1234567E", KEPT),
        (SgFin, "T1234567D", KEPT),
        (SgFin, "F1234567X", KEPT),
        (SgFin, "G1234567N", KEPT),
        (SgFin, "M1234567X", KEPT),
        (SgFin, "A1234567D", MISFIT),
        // A business, a bank, a foreign company.
        (SgUen, "00192200M", scored(0.6)),
        (SgUen, "00192200X", WRONG),
        (SgUen, "196800306E", scored(0.6)),
        (SgUen, "196800306F", WRONG),
        (SgUen, "189900306E", WRONG),
        (SgUen, "T08FC0001C", PROVEN),
        (SgUen, "R07LP0001E", PROVEN),
        (SgUen, "T08FC0001A", WRONG),
        (SgUen, "T08ZZ0001C", WRONG),
        (KrRrn, "971013-1901901", PROVEN),
        (KrRrn, "9710131901901", scored(0.6)),
        (KrRrn, "971013-1901902", KEPT),
        (KrRrn, "971313-1901901", MISFIT),
        (KrFrn, "900101-5123452", PROVEN),
        (KrFrn, "900101-5123450", KEPT),
        (KrFrn, "901301-5123452", MISFIT),
        // The check of the one is not the check of the other, and no office has a number above 95.
        (KrFrn, "971013-1901901", KEPT),
        (KrFrn, "950101-5990123", KEPT),
        (KrBrn, "116-82-00276", EDITED),
        (KrBrn, "1168200276", KEPT),
        (KrBrn, "116-82-00277", WRONG),
        (KrDriverLicense, "11-22-123456-12", KEPT),
        (KrDriverLicense, "27-22-123456-12", MISFIT),
        (ThTnin, "1101700230708", KEPT),
        (ThTnin, "1-1017-00230-70-8", scored(0.6)),
        (ThTnin, "1101700230709", MISFIT),
        (ThTnin, "1871700230708", MISFIT),
        (PhTin, "000-123-456-000", KEPT),
        (PhTin, "000-123-457-000", MISFIT),
    ];
}
