//! Payment cards: networks by issuer identification number (ISO/IEC 7812), Luhn, the groups on the plastic.

use crate::checksum::{luhn, SEPARATORS};
use crate::device::is_counted;
use crate::Outcome;

/// First and last issuer prefix of a range, its shortest and longest number.
type Range = (u32, u32, usize, usize);

/// Ranges of six digits, by what the networks publish. Numbers a merchant sees every day.
const COMMON: &[Range] = &[
    (400_000, 499_999, 16, 16), // Visa
    (510_000, 559_999, 16, 16), // Mastercard
    (222_100, 272_099, 16, 16), // Mastercard, the 2-series
    (340_000, 349_999, 15, 15), // American Express
    (370_000, 379_999, 15, 15),
    (601_100, 601_199, 16, 16), // Discover
    (644_000, 659_999, 16, 16),
    (352_800, 358_999, 16, 16), // JCB
    (620_000, 629_999, 16, 16), // UnionPay
    (220_000, 220_499, 16, 16), // Mir
];

/// The rest: other lengths of the above, and networks of one region.
const OTHER: &[Range] = &[
    (400_000, 499_999, 13, 13), // Visa of before 1990, and its longer numbers
    (400_000, 499_999, 18, 19),
    (300_000, 305_999, 14, 19), // Diners Club
    (309_500, 309_599, 14, 19),
    (360_000, 369_999, 14, 19),
    (380_000, 399_999, 14, 19),
    (601_100, 601_199, 17, 19), // Discover
    (644_000, 659_999, 17, 19),
    (352_800, 358_999, 17, 19), // JCB
    (180_000, 180_099, 15, 15),
    (213_100, 213_199, 15, 15),
    (620_000, 629_999, 17, 19), // UnionPay
    (810_000, 819_999, 16, 19),
    (220_000, 220_499, 17, 19), // Mir
    (220_500, 220_599, 16, 16), // BORICA
    (500_000, 509_999, 12, 19), // Maestro, Dankort, Elo, Verve, RuPay
    (560_000, 589_999, 12, 19), // Maestro, Uzcard
    (600_000, 600_999, 16, 19), // RuPay, UkrCard
    (604_000, 609_999, 16, 19), // RuPay, Hipercard
    (630_000, 639_999, 12, 19), // Maestro, InstaPayment, Elo
    (670_000, 679_999, 12, 19),
    (860_000, 860_099, 16, 16), // Uzcard
    (986_000, 986_099, 16, 16), // Humo
    (979_200, 979_299, 16, 16), // Troy
    (100_000, 199_999, 15, 15), // Universal Air Travel Plan
];

fn within(table: &[Range], prefix: u32, length: usize) -> bool {
    table.iter().any(|&(first, last, min, max)| {
        (first..=last).contains(&prefix) && (min..=max).contains(&length)
    })
}

/// A card number: 12 to 19 digits of a network that passes Luhn.
///
/// One number in ten passes Luhn, and the networks own a third of all numbers, so bare digits are worth an
/// edit only for the lengths of daily use, and not behind a key that counts things; a proof takes the groups
/// of the plastic.
pub(crate) fn card(value: &[u8], before: &[u8]) -> Outcome {
    let mut digits = [0; 19];
    let mut length = 0;
    let mut groups = [0_usize; 6];
    let mut group = 0;
    let mut mark = None;
    for &byte in value {
        if byte.is_ascii_digit() {
            let (Some(slot), Some(count)) = (digits.get_mut(length), groups.get_mut(group)) else {
                return Outcome::Drop("length");
            };
            *slot = byte - b'0';
            *count += 1;
            length += 1;
        } else if SEPARATORS.contains(&byte) && mark.is_none_or(|mark| mark == byte) {
            mark = Some(byte);
            group += 1;
        } else {
            return Outcome::Drop("mixed_separators");
        }
    }
    let digits = &digits[..length];
    let prefix = digits.iter().take(6).fold(0, |prefix, &digit| prefix * 10 + u32::from(digit));
    let common = within(COMMON, prefix, length);
    if length < 12 || !(common || within(OTHER, prefix, length)) {
        return Outcome::Drop("network");
    }
    if !luhn(digits) {
        return Outcome::Drop("checksum");
    }
    let printed = matches!(
        groups[..=group.min(5)],
        [4, 4, 4, 4] | [4, 6, 5] | [4, 6, 4] | [4, 4, 4, 4, 1..=3] | [6, 13] | [4, 4, 5]
    );
    match (mark, printed, common) {
        (Some(_), true, _) => Outcome::Proven,
        (Some(_), false, _) => Outcome::Set(0.5),
        (None, _, true) if !is_counted(before) => Outcome::Set(0.6),
        (None, _, _) => Outcome::Keep,
    }
}

#[cfg(test)]
mod tests {
    use crate::Check::Card;
    use crate::{Outcome, Subject};

    fn run(value: &str) -> Outcome {
        Card.run(&Subject { value: value.as_bytes(), before: b"", after: b"" })
    }

    /// The numbers that payment processors publish for tests.
    #[test]
    fn test_numbers_of_the_networks() {
        for value in [
            "4242424242424242",
            "4000056655665556",
            "5555555555554444",
            "2223003122003222",
            "378282246310005",
            "371449635398431",
            "6011111111111117",
            "3566002020360505",
            "6200000000000005",
            "2200000000000004",
        ] {
            assert_eq!(run(value), Outcome::Set(0.6), "{value}");
        }
        for value in ["4222222222222", "30569309025904", "6304000000000000", "6759649826438453"] {
            assert_eq!(run(value), Outcome::Keep, "{value}");
        }
        for value in ["4242 4242 4242 4242", "3782-822463-10005", "3056 930902 5904"] {
            assert_eq!(run(value), Outcome::Proven, "{value}");
        }
    }

    #[test]
    fn what_is_no_card() {
        for (value, reason) in [
            ("4242424242424241", "checksum"),
            ("4242 4242-4242 4242", "mixed_separators"),
            ("9242424242424242", "network"),
            ("42424242422", "network"),
            ("42424242424242424242", "length"),
        ] {
            assert_eq!(run(value), Outcome::Drop(reason), "{value}");
        }
        let counted = Subject { value: b"4242424242424242", before: b"\"id\": ", after: b"" };
        assert_eq!(Card.run(&counted), Outcome::Keep);
    }
}
