//! Telephone numbers: which digits are a number that a region assigns.
//!
//! The rules are those of Google's libphonenumber (release 9.0.43), turned by `scripts/phone_table.py` into
//! one automaton over digits for all regions, 69 KB, so that a look-up costs a few loads a digit, nothing is
//! compiled when a process starts, and no dependency is needed.

use std::sync::LazyLock;

use crate::checksum::is_grouped;
use crate::device::{is_counted, is_part};
use crate::{Outcome, Region};

static TABLE: &[u8] = include_bytes!("phone.bin");

/// Answers of a state.
const VALID: u16 = 1;
/// The number is dialled with the national prefix, and written with it.
const PREFIXED: u16 = 2;

fn word(at: usize) -> u16 {
    match TABLE.get(2 * at..2 * at + 2) {
        Some(&[low, high]) => u16::from_le_bytes([low, high]),
        _ => 0,
    }
}

/// Where the states begin, and the state behind a `+`.
fn states() -> (usize, usize) {
    let first = 1 + 2 * usize::from(word(0));
    (first, first + 1)
}

/// Where a region's numbers begin.
fn region(name: [u8; 2]) -> Option<usize> {
    /// By the two letters of a name; 0 where there is none.
    static REGIONS: LazyLock<Box<[u16; 26 * 26]>> = LazyLock::new(|| {
        let mut regions = Box::new([0; 26 * 26]);
        for at in (0..usize::from(word(0))).map(|index| 1 + 2 * index) {
            let slot = index(word(at).to_le_bytes()).and_then(|index| regions.get_mut(index));
            slot.into_iter().for_each(|slot| *slot = word(at + 1));
        }
        regions
    });
    let state = *REGIONS.get(index(name)?)?;
    (state != 0).then_some(usize::from(state))
}

/// Where a name of two capitals stands among all.
fn index(name: [u8; 2]) -> Option<usize> {
    let [first, second] = name.map(|letter| letter.checked_sub(b'A').filter(|at| *at < 26));
    Some(26 * usize::from(first?) + usize::from(second?))
}

/// What the automaton says of all the digits.
fn answer(mut state: usize, digits: &[u8]) -> u16 {
    let (dead, _) = states();
    for &digit in digits {
        let edges = word(state);
        if edges >> digit & 1 == 0 {
            return 0;
        }
        let before = (edges & ((1 << digit) - 1)).count_ones() as usize;
        state = usize::from(word(state + 1 + before));
        if state == dead {
            return 0;
        }
    }
    word(state) >> 10
}

/// The digits of a value up to its extension; none if there are more than 17.
fn digits(value: &[u8]) -> Option<([u8; 17], usize)> {
    let (mut digits, mut length) = ([0; 17], 0);
    for byte in value.iter().take_while(|byte| !byte.is_ascii_alphabetic()) {
        if byte.is_ascii_digit() {
            *digits.get_mut(length)? = byte - b'0';
            length += 1;
        }
    }
    Some((digits, length))
}

/// A number with its country code behind a `+`.
pub(crate) fn international(value: &[u8], before: &[u8]) -> Outcome {
    if before.last().is_some_and(|byte| byte.is_ascii_alphanumeric() || b"_+)]".contains(byte)) {
        return Outcome::Drop("part");
    }
    // `+12345.67` is an amount.
    let mut marks = value.iter().skip(1).filter(|byte| !byte.is_ascii_digit());
    if marks.next() == Some(&b'.') && marks.next().is_none() {
        return Outcome::Drop("decimal");
    }
    let valid = |value: &[u8]| {
        digits(value).is_some_and(|(digits, length)| is_international(&digits[..length]))
    };
    match valid(value) || without_extension(value).is_some_and(valid) {
        true => Outcome::Keep,
        false => Outcome::Drop("no_number"),
    }
}

/// A number without what other extensions of the same line are written as: `/0133`, `-2`.
fn without_extension(value: &[u8]) -> Option<&[u8]> {
    let digits = value.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let (mark, head) = value.get(..value.len() - digits)?.split_last()?;
    ((1..=4).contains(&digits) && matches!(mark, b'/' | b'-')).then_some(head)
}

fn is_international(digits: &[u8]) -> bool {
    let (_, plus) = states();
    // `+44 (0)20` has the prefix that is dialled at home.
    let without = |at: usize| -> bool {
        let mut rest = [0; 17];
        let kept =
            digits.iter().enumerate().filter(|(place, _)| *place != at).map(|(_, digit)| *digit);
        rest.iter_mut().zip(kept).for_each(|(slot, digit)| *slot = digit);
        answer(plus, &rest[..digits.len() - 1]) & VALID != 0
    };
    answer(plus, digits) & VALID != 0 || (1..=3).any(|at| digits.get(at) == Some(&0) && without(at))
}

/// A number as it is written in its own region: with or without the prefix for home, by custom.
///
/// In groups or brackets the rule's score stands, bare digits score 0.2: every second number of the right
/// length is assigned somewhere.
pub(crate) fn national(value: &[u8], before: &[u8], name: Region) -> Outcome {
    if before.last().is_some_and(|byte| byte.is_ascii_alphanumeric() || b"_+".contains(byte))
        || is_part(value, before)
    {
        return Outcome::Drop("part");
    }
    if is_date(value) {
        return Outcome::Drop("date");
    }
    let grouped = is_grouped(value) || value.first() == Some(&b'(');
    if !grouped && is_counted(before) {
        return Outcome::Drop("counted");
    }
    let (letters, prefix, code) = name.dialling();
    let (Some(root), Some((digits, length))) = (region(letters), digits(value)) else {
        return Outcome::Drop("no_number");
    };
    let digits = &digits[..length];
    let valid = |digits: &[u8]| answer(root, digits) & VALID != 0;
    // `lead` is written in ASCII.
    let begins = |lead: &[u8]| {
        lead.iter().map(|digit| digit - b'0').eq(digits.iter().copied().take(lead.len()))
    };
    let behind = |lead: &[u8]| {
        !lead.is_empty() && begins(lead) && digits.get(lead.len()..).is_some_and(valid)
    };
    let plus = value.first() == Some(&b'+') && is_international(digits);
    let abroad = digits
        .strip_prefix(&[0, 0][..])
        .or_else(|| digits.strip_prefix(&[0, 1, 1][..]))
        .is_some_and(|rest| length > 10 && is_international(rest));
    let at_home = answer(root, digits);
    let found =
        at_home & (VALID | PREFIXED) == VALID || behind(prefix) || behind(code) || abroad || plus;
    match (found && length > 7, grouped) {
        (false, _) => Outcome::Drop("no_number"),
        (true, true) => Outcome::Keep,
        (true, false) => Outcome::Set(0.2),
    }
}

/// Days with or without the hour, and addresses of the internet, in digits and separators.
fn is_date(value: &[u8]) -> bool {
    let mut groups = [0_usize; 8];
    let mut count = 0;
    let mut marks = [b' '; 8];
    for &byte in value {
        if byte.is_ascii_digit() {
            if let Some(group) = groups.get_mut(count) {
                *group += 1;
            }
        } else if count + 1 < groups.len() {
            if let Some(mark) = marks.get_mut(count) {
                *mark = byte;
            }
            count += 1;
        }
    }
    let same = marks[0] == marks[1] && b"-/.".contains(&marks[0]);
    let dotted =
        marks[..3] == *b"..." && count == 3 && groups[..4].iter().all(|digits| *digits <= 3);
    let day = matches!(groups[..3], [4, 1 | 2, 1 | 2] | [1 | 2, 1 | 2, 4] | [1 | 2, 1 | 2, 2]);
    // Behind a day stands an hour, not more of the same: `06.12.34.56.78` is how France writes a number.
    dotted || (same && day && (count == 2 || (count > 2 && marks[2] != marks[0])))
}

#[cfg(test)]
mod tests {
    use crate::Check::Phone;
    use crate::Region::{Br, Cn, De, Fr, Gb, Il, In, Jp, Tr, Us};
    use crate::{Check, Outcome, Subject};

    fn run(check: Check, before: &str, value: &str) -> Outcome {
        check.run(&Subject { value: value.as_bytes(), before: before.as_bytes() })
    }

    /// Numbers that regulators set aside for drama, and examples of libphonenumber.
    #[test]
    fn numbers_behind_a_plus() {
        for value in [
            "+1 415 555 0132",
            "+44 20 7946 0958",
            "+44 (0)20 7946 0958",
            "+33 1 99 00 12 34",
            "+39 06 69812345",
            "+49 171 / 1234567",
            "+1 415 555 0132/0133",
            "+1 415 555 0132-2",
        ] {
            assert_eq!(run(Phone, "call ", value), Outcome::Keep, "{value}");
        }
        for (before, value) in [
            ("", "+1 115 555 0132"),
            ("", "+44 20 7946 09581"),
            ("", "+999 123 456 789"),
            ("x", "+14155550132"),
            ("", "+141555501.32"),
            ("", "+1 415 555 0132 0132 01320132"),
        ] {
            assert!(matches!(run(Phone, before, value), Outcome::Drop(_)), "{before}{value}");
        }
    }

    #[test]
    fn numbers_of_a_region() {
        let (grouped, bare) = (Outcome::Keep, Outcome::Set(0.2));
        for (region, value, expected) in [
            (Us, "(415) 555-0132", grouped),
            (Us, "415.555.0132", grouped),
            (Us, "1-415-555-0132", grouped),
            (Us, "4155550132", bare),
            (Us, "011 44 20 7946 0958", grouped),
            (Gb, "020 7946 0958", grouped),
            (De, "030 23125 000", grouped),
            (Fr, "01 99 00 12 34", grouped),
            (Fr, "06.12.34.16.62", grouped),
            (Fr, "01-23-45-26-81", grouped),
            (Us, "0049 15123457827", grouped),
            (Il, "09-7625400", grouped),
            (In, "91-415-555-0132", grouped),
            (Br, "11 98456 5666", grouped),
            (Jp, "090-1234-5678", grouped),
            (Cn, "13812345678", bare),
            (Tr, "5321234567", bare),
            (Tr, "+90 532 123 45 67", grouped),
        ] {
            assert_eq!(run(Check::PhoneOf(region), "", value), expected, "{value}");
        }
        for (region, before, value) in [
            (Us, "", "115-555-0132"),
            (Us, "", "555-0132"),
            (Us, "a", "415-555-0132"),
            (Us, "8400-", "415-555-0132"),
            // At home nobody writes a British number without its 0.
            (Gb, "", "20 7946 0958"),
            (Tr, "", "532123456"),
            (Jp, "", "2021-05-20"),
            (Fr, "", "10.20.30.40"),
            (Fr, "", "01.02.2003 04.05"),
            (Us, "call id ", "4155550132"),
            (Jp, "", "2021-05-20 10.30"),
        ] {
            assert!(
                matches!(run(Check::PhoneOf(region), before, value), Outcome::Drop(_)),
                "{before}{value}"
            );
        }
    }
}
