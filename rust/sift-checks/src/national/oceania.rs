//! Australia, New Zealand.

use crate::checksum::{digits, number, pair, strong_number, weak, weighted};
use crate::Outcome;

/// Australian business number: the first digit less one, weights 10, 1, 3 to 19, modulo 89.
pub(crate) fn au_abn(value: &[u8]) -> Outcome {
    let Some(mut digits) = digits::<11>(value) else { return Outcome::Drop("shape") };
    // The two check digits are 11 to 99.
    if pair(&digits, 0) < 11 {
        return Outcome::Drop("checksum");
    }
    digits[0] -= 1;
    let sum = weighted(&digits, &[10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19]);
    strong_number(sum.is_multiple_of(89), value)
}

/// Australian company number: weights 8 to 1, modulo 10.
pub(crate) fn au_acn(value: &[u8]) -> Outcome {
    let Some(digits) = digits::<9>(value) else { return Outcome::Drop("shape") };
    let sum = weighted(&digits[..8], &[8, 7, 6, 5, 4, 3, 2, 1]);
    weak((10 - sum % 10) % 10 == u32::from(digits[8]), value)
}

/// Australian tax file number: modulo 11. The oldest ones have eight digits and weights of their own.
pub(crate) fn au_tfn(value: &[u8]) -> Outcome {
    let sum = match (digits::<9>(value), digits::<8>(value)) {
        (Some(nine), _) => weighted(&nine, &[1, 4, 3, 7, 5, 8, 6, 9, 10]),
        (_, Some(eight)) => weighted(&eight, &[10, 7, 8, 4, 6, 3, 5, 1]),
        _ => return Outcome::Drop("shape"),
    };
    weak(sum > 0 && sum.is_multiple_of(11), value)
}

/// Australian Medicare card: begins with 2 to 6, the ninth digit checks eight, the tenth counts issues, and an
/// eleventh says which person on the card.
pub(crate) fn au_medicare(value: &[u8]) -> Outcome {
    let digits = match (digits::<10>(value), digits::<11>(value)) {
        (Some(digits), _) => digits,
        (_, Some([digits @ .., 1..=9])) => digits,
        _ => return Outcome::Drop("shape"),
    };
    let sum = weighted(&digits[..8], &[1, 3, 7, 9, 1, 3, 7, 9]);
    weak((2..=6).contains(&digits[0]) && sum % 10 == u32::from(digits[8]), value)
}

/// Tax number of New Zealand (IRD), 10-000-000 to 150-000-000: two rounds of weights, modulo 11.
pub(crate) fn nz_ird(value: &[u8]) -> Outcome {
    let nine = match (digits::<9>(value), digits::<8>(value)) {
        (Some(nine), _) => nine,
        (_, Some([a, b, c, d, e, f, g, h])) => [0, a, b, c, d, e, f, g, h],
        _ => return Outcome::Drop("shape"),
    };
    let check = |weights: &[u32]| (11 - weighted(&nine[..8], weights) % 11) % 11;
    let check = match check(&[3, 2, 7, 6, 5, 4, 3, 2]) {
        10 => check(&[7, 4, 3, 2, 5, 2, 7, 6]),
        check => check,
    };
    let issued = (10_000_000..=150_000_000).contains(&number(&nine));
    weak(issued && check == u32::from(nine[8]), value)
}

#[cfg(test)]
pub(super) mod cases {
    use crate::national::testing::{scored, Case, EDITED, KEPT, MISFIT, PROVEN, WRONG};
    use crate::Check::{AuAbn, AuAcn, AuMedicare, AuTfn, NzIrd};

    pub(crate) const CASES: &[Case] = &[
        (AuAbn, "51 824 753 556", PROVEN),
        (AuAbn, "51824753556", scored(0.6)),
        (AuAbn, "52 824 753 556", WRONG),
        (AuAbn, "01 824 753 556", WRONG),
        (AuAbn, "10 924 013 861", WRONG),
        (AuAcn, "000 000 019", EDITED),
        (AuAcn, "004 085 616", EDITED),
        (AuAcn, "004085616", KEPT),
        (AuAcn, "004 085 617", WRONG),
        (AuTfn, "123 456 782", EDITED),
        (AuTfn, "123456782", KEPT),
        (AuTfn, "123 456 783", WRONG),
        (AuTfn, "000 000 000", WRONG),
        // Of eight digits.
        (AuTfn, "12 345 677", EDITED),
        (AuTfn, "12345677", KEPT),
        (AuTfn, "12 345 678", WRONG),
        (AuMedicare, "2123 45670 1", EDITED),
        (AuMedicare, "2123456701", KEPT),
        (AuMedicare, "2123 45671 1", WRONG),
        (AuMedicare, "7123 45670 1", WRONG),
        // With the reference of a person on the card, of which there are nine.
        (AuMedicare, "2123 45670 1/1", EDITED),
        (AuMedicare, "21234567012", KEPT),
        (AuMedicare, "2123 45670 1/0", MISFIT),
        // The examples of Inland Revenue.
        (NzIrd, "49-091-850", EDITED),
        (NzIrd, "49091850", KEPT),
        (NzIrd, "136-410-132", EDITED),
        (NzIrd, "136-410-133", WRONG),
    ];
}
