//! South Africa, Nigeria.

use crate::checksum::{digits, is_short_date, luhn, number, pair, shape, strong, verhoeff, weak};
use crate::Outcome;

/// South African identity number: birthday, citizenship, the digit 8 or 9 that once was race, Luhn.
///
/// Birthdays of both centuries are taken, so nothing depends on today's date.
pub(crate) fn za_id(value: &[u8]) -> Outcome {
    let Some(digits) = digits::<13>(value) else { return Outcome::Drop("shape") };
    let dated = is_short_date(pair(&digits, 0), pair(&digits, 2), pair(&digits, 4));
    strong(dated && digits[10] <= 2 && matches!(digits[11], 8 | 9) && luhn(&digits))
}

/// Registration number of a South African company: year, six digits, form; or letters, year and six digits.
pub(crate) fn za_company(value: &[u8]) -> Outcome {
    let numbers = value.iter().skip_while(|byte| byte.is_ascii_alphabetic());
    let mut year = [0; 4];
    for (slot, byte) in year.iter_mut().zip(numbers) {
        let Some(digit) = byte.checked_sub(b'0').filter(|digit| *digit < 10) else {
            return Outcome::Drop("shape");
        };
        *slot = digit;
    }
    shape(matches!(number(&year), 1800..=2099))
}

/// Nigerian identity number: Verhoeff.
pub(crate) fn ng_nin(value: &[u8]) -> Outcome {
    let Some(digits) = digits::<11>(value) else { return Outcome::Drop("shape") };
    weak(verhoeff(&digits), value)
}

#[cfg(test)]
pub(super) mod cases {
    use crate::national::testing::{Case, KEPT, MISFIT, PROVEN, WRONG};
    use crate::Check::{NgNin, ZaCompany, ZaId};

    pub(crate) const CASES: &[Case] = &[
        (ZaId, "8001015009087", PROVEN),
        (ZaId, "8001015009086", WRONG),
        (ZaId, "8013015009087", WRONG),
        (ZaId, "8001015009187", WRONG),
        (ZaCompany, "2008/123456/07", KEPT),
        (ZaCompany, "1700/123456/07", MISFIT),
        (ZaCompany, "2008/123456/99", KEPT),
        (ZaCompany, "CK1998/123456", KEPT),
        (ZaCompany, "CK98/123456", MISFIT),
        (NgNin, "12345678902", KEPT),
        (NgNin, "12345678903", WRONG),
    ];
}
