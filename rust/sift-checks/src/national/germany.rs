//! Germany.

use crate::checksum::{
    characters, digit_sum, digits, fair, hint, icao, mod11_10, number, pair, shape, strong, weak,
};
use crate::Outcome;

/// Tax identification number (§ 139b AO): MOD 11,10. Of the first ten digits one stands there two or three
/// times, the others once, and never three times in a row; numbers made up as examples do not keep to the
/// first, and are not worth an edit bare.
pub(crate) fn de_tax_id(value: &[u8]) -> Outcome {
    let Some(digits) = digits::<11>(value) else { return Outcome::Drop("shape") };
    let mut counts = [0; 10];
    digits[..10].iter().for_each(|&digit| counts[usize::from(digit)] += 1);
    let row = digits[..10].windows(3).any(|three| three[0] == three[1] && three[1] == three[2]);
    let often = row || counts.iter().any(|count| *count > 3);
    let valid = digits[0] != 0 && !often && mod11_10(&digits);
    match counts.iter().filter(|count| **count > 1).count() {
        1 => fair(valid),
        _ => weak(valid, value),
    }
}

/// Serial number of a passport or identity card with its check digit: ICAO 9303.
///
/// The alphabet of the Bundesdruckerei has no vowels and no letter that looks like a digit.
pub(crate) fn de_document(value: &[u8]) -> Outcome {
    let Some(text) = characters::<9>(value) else { return Outcome::Drop("shape") };
    let alphabet = |byte: &u8| byte.is_ascii_digit() || b"CFGHJKLMNPRTVWXYZ".contains(byte);
    let check = icao(&text[..8]);
    let valid = text[0].is_ascii_alphabetic()
        && text.iter().all(alphabet)
        && text[8].is_ascii_digit()
        && check == Some(u32::from(text[8] - b'0'));
    match valid {
        // A letter or more among digits, and the check: half the way to a proof.
        true => {
            Outcome::Set(if text[1..8].iter().any(u8::is_ascii_alphabetic) { 0.7 } else { 0.5 })
        }
        false => Outcome::Drop("checksum"),
    }
}

/// Identity card, the old ones with `T` and eight digits included, which carry no check of their own.
pub(crate) fn de_id_card(value: &[u8]) -> Outcome {
    match characters::<9>(value) {
        Some(text) if text[0] == b'T' && text[1..].iter().all(u8::is_ascii_digit) => Outcome::Keep,
        _ => de_document(value),
    }
}

/// Serial number of a passport or identity card as it is printed, which has nine characters and no check digit; a
/// tenth is that of the machine readable zone (ICAO 9303).
pub(crate) fn de_serial(value: &[u8]) -> Outcome {
    let alphabet = |byte: &u8| byte.is_ascii_digit() || b"CFGHJKLMNPRTVWXYZ".contains(byte);
    let fits = |text: &[u8]| {
        text.first().is_some_and(u8::is_ascii_alphabetic)
            && text.iter().all(alphabet)
            && text.iter().any(u8::is_ascii_digit)
    };
    if let Some(serial) = characters::<9>(value) {
        return shape(fits(&serial));
    }
    let Some(text) = characters::<10>(value) else { return Outcome::Drop("shape") };
    if !fits(&text[..9]) || !text[9].is_ascii_digit() {
        return Outcome::Drop("shape");
    }
    match icao(&text[..9]) == Some(u32::from(text[9] - b'0')) {
        true => Outcome::Set(0.7),
        false => Outcome::Drop("checksum"),
    }
}

/// Number of the pension insurance (VSNR): area, birthday, initial, serial, check digit.
pub(crate) fn de_social_security(value: &[u8]) -> Outcome {
    let Some(text) = characters::<12>(value) else { return Outcome::Drop("shape") };
    let letter = text[8];
    let mut expanded = [0; 13];
    let rest = text[..8].iter().chain(&text[9..]);
    if !letter.is_ascii_alphabetic() || !rest.clone().all(u8::is_ascii_digit) {
        return Outcome::Drop("shape");
    }
    let ordinal = letter - b'A' + 1;
    let parts = text[..8].iter().map(|digit| digit - b'0').chain([ordinal / 10, ordinal % 10]);
    let tail = text[9..].iter().map(|digit| digit - b'0');
    expanded.iter_mut().zip(parts.chain(tail)).for_each(|(slot, digit)| *slot = digit);
    // The day is raised by 50 where the number had to be issued again.
    let (day, month) = (pair(&expanded, 2), pair(&expanded, 4));
    let dated = matches!(day, 1..=31 | 51..=81) && (1..=12).contains(&month);
    let weights = [2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1];
    let sum: u32 =
        expanded.iter().zip(weights).map(|(&digit, w)| digit_sum(u32::from(digit) * w)).sum();
    strong(dated && sum % 10 == u32::from(expanded[12]))
}

/// Health insurance number (KVNR): the letter counts as two digits, then Luhn from the left.
pub(crate) fn de_health_insurance(value: &[u8]) -> Outcome {
    let Some((letter, rest)) = value.split_first() else { return Outcome::Drop("shape") };
    let (true, Some(digits)) = (letter.is_ascii_alphabetic(), digits::<9>(rest)) else {
        return Outcome::Drop("shape");
    };
    let ordinal = letter.to_ascii_uppercase() - b'A' + 1;
    let all = [ordinal / 10, ordinal % 10].into_iter().chain(digits[..8].iter().copied());
    let sum: u32 = all.zip([1, 2].iter().cycle()).map(|(d, w)| digit_sum(u32::from(d) * w)).sum();
    weak(sum % 10 == u32::from(digits[8]), value)
}

/// Physician number (LANR): weights 4 and 9 over six digits.
pub(crate) fn de_lanr(value: &[u8]) -> Outcome {
    let Some(digits) = digits::<9>(value) else { return Outcome::Drop("shape") };
    let sum: u32 =
        digits[..6].iter().zip([4, 9].iter().cycle()).map(|(&d, w)| u32::from(d) * w).sum();
    weak((10 - sum % 10) % 10 == u32::from(digits[6]), value)
}

/// Practice number (BSNR): nine digits without a check.
pub(crate) fn de_bsnr(value: &[u8]) -> Outcome {
    shape(digits::<9>(value).is_some_and(|digits| number(&digits) != 0))
}

/// VAT number: MOD 11,10. The authority confirms numbers online and publishes no checksum, so a wrong one
/// says nothing.
pub(crate) fn de_vat(value: &[u8]) -> Outcome {
    let (Some(country), Some(rest)) = (value.get(..2), value.get(2..)) else {
        return Outcome::Drop("shape");
    };
    let digits = digits::<9>(rest);
    let shaped = country.eq_ignore_ascii_case(b"DE") && digits.is_some();
    hint(shaped, digits.is_some_and(|digits| digits[0] != 0 && mod11_10(&digits)))
}

/// Post code: the first two digits name a region, of which 00, 05, 43 and 62 were never given out.
pub(crate) fn de_plz(value: &[u8]) -> Outcome {
    shape(digits::<5>(value).is_some_and(|digits| {
        !matches!(pair(&digits, 0), 0 | 5 | 43 | 62) && (1001..=99_998).contains(&number(&digits))
    }))
}

#[cfg(test)]
pub(super) mod cases {
    use crate::national::testing::{scored, Case, KEPT, MISFIT, PROVEN, WRONG};
    use crate::Check::{
        DeBsnr, DeDocument, DeHealthInsurance, DeIdCard, DeLanr, DePlz, DeSerial, DeSocialSecurity,
        DeTaxId, DeVat,
    };

    pub(crate) const CASES: &[Case] = &[
        (DeTaxId, "86095742719", scored(0.6)),
        (DeTaxId, "86095742718", WRONG),
        // Four times, three times in a row, three times.
        (DeTaxId, "11112345678", WRONG),
        (DeTaxId, "11123456786", WRONG),
        (DeTaxId, "11213456783", scored(0.6)),
        // No digit comes again: a number made up.
        (DeTaxId, "12345678903", KEPT),
        (DeDocument, "L01X00T44", scored(0.7)),
        (DeDocument, "L01X00T47", WRONG),
        (DeDocument, "A01X00T44", WRONG),
        (DeDocument, "901X00T44", WRONG),
        (DeIdCard, "T22000129", KEPT),
        (DeIdCard, "L01X00T44", scored(0.7)),
        (DeIdCard, "L01X00T47", WRONG),
        // Specimens of the Bundesdruckerei, with the check digits of their machine readable zones.
        (DeSerial, "L01X00T47", KEPT),
        (DeSerial, "L01X00T471", scored(0.7)),
        (DeSerial, "C01X0006H1", scored(0.7)),
        (DeSerial, "T220001293", scored(0.7)),
        (DeSerial, "L01X00T472", WRONG),
        (DeSerial, "A01X00T47", MISFIT),
        (DeSerial, "CFGHJKLMN", MISFIT),
        // The example of § 2 VKVV.
        (DeSocialSecurity, "15070649C103", PROVEN),
        (DeSocialSecurity, "15070649C104", WRONG),
        (DeSocialSecurity, "15320649C103", WRONG),
        (DeHealthInsurance, "A123456780", KEPT),
        (DeHealthInsurance, "A123456781", WRONG),
        (DeLanr, "123456601", KEPT),
        (DeLanr, "123456701", WRONG),
        (DeBsnr, "021234568", KEPT),
        (DeBsnr, "000000000", MISFIT),
        (DeVat, "DE136695976", PROVEN),
        (DeVat, "DE 136 695 977", KEPT),
        (DeVat, "FR136695976", MISFIT),
        (DePlz, "01067", KEPT),
        (DePlz, "00999", MISFIT),
        (DePlz, "43123", MISFIT),
    ];
}
