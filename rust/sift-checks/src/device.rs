//! Vehicles, telephones, banks, identifiers of records: numbers of things that lead to a person.

use crate::checksum::{characters, digits, fair, luhn, weak};
use crate::network::{begins_escape, is_escaped};
use crate::{Outcome, Subject};

/// Vehicle identification number: 17 characters without I, O and Q. The check digit of 49 CFR 565.15 proves
/// one of North America; elsewhere the place holds anything.
pub(crate) fn vin(value: &[u8]) -> Outcome {
    const WEIGHTS: [u32; 17] = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2];
    let Some(text) = characters::<17>(value) else { return Outcome::Drop("shape") };
    let mut sum = 0;
    for (byte, weight) in text.iter().zip(WEIGHTS) {
        let value = match byte {
            b'0'..=b'9' => byte - b'0',
            b'A'..=b'H' => byte - b'A' + 1,
            b'J'..=b'N' => byte - b'J' + 1,
            b'P' => 7,
            b'R' => 9,
            b'S'..=b'Z' => byte - b'S' + 2,
            _ => return Outcome::Drop("alphabet"),
        };
        sum += u32::from(value) * weight;
    }
    // The last four are the serial number of the maker.
    if !text[13..].iter().all(u8::is_ascii_digit) || !text[..13].iter().any(u8::is_ascii_alphabetic)
    {
        return Outcome::Drop("shape");
    }
    let check = b"0123456789X".get((sum % 11) as usize);
    match (check == Some(&text[8]), matches!(text[0], b'1'..=b'5' | b'7')) {
        (true, true) => Outcome::Set(0.7),
        (false, true) => Outcome::Drop("checksum"),
        _ => Outcome::Keep,
    }
}

/// Equipment identity of a mobile telephone: Luhn over fifteen digits.
pub(crate) fn imei(value: &[u8]) -> Outcome {
    let Some(digits) = digits::<15>(value) else { return Outcome::Drop("shape") };
    // Reporting bodies 01, 35, 86, 99 and a few others; 00 is for tests.
    let body = matches!(
        (digits[0], digits[1]),
        (0, 1) | (3, 5) | (4, 4 | 5 | 9) | (5, 0..=4) | (8, 6) | (9, 8 | 9)
    );
    match body {
        true => fair(luhn(&digits)),
        false => weak(luhn(&digits), value),
    }
}

/// Business identifier code (ISO 9362): the fifth and sixth letter are a country.
pub(crate) fn bic(value: &[u8]) -> Outcome {
    #[rustfmt::skip]
    const COUNTRIES: &[u8] = b"ADAEAFAGAIALAMAOARASATAUAWAXAZBABBBDBEBFBGBHBIBJBLBMBNBOBQBRBSBTBWBYBZCACDCFCGCHCI\
CKCLCMCNCOCRCUCVCWCYCZDEDJDKDMDODZECEEEGEREESFETFIFJFKFMFOFRGAGBGDGEGFGGGHGIGLGMGNGPGQGRGTGUGWGYHKHNHRHTHUIDIEILIMINIQIR\
ISITJEJMJOJPKEKGKHKIKMKNKPKRKWKYKZLALBLCLILKLRLSLTLULVLYMAMCMDMEMFMGMHMKMLMMMNMOMPMQMRMSMTMUMVMWMXMYMZNANCNENFNGNINLNONP\
NRNUNZOMPAPEPFPGPHPKPLPMPRPSPTPWPYQARERORSRURWSASBSCSDSESGSHSISKSLSMSNSOSRSSSTSVSXSYSZTCTDTGTHTJTKTLTMTNTOTRTTTVTWTZUAUG\
USUYUZVAVCVEVGVIVNVUWFWSXKYEYTZAZMZW";
    /// By the first letter, one bit for each second one: every word of eight capitals is asked about.
    const KNOWN: [u32; 26] = {
        let mut known = [0; 26];
        let mut at = 0;
        while at < COUNTRIES.len() {
            known[(COUNTRIES[at] - b'A') as usize] |= 1 << (COUNTRIES[at + 1] - b'A');
            at += 2;
        }
        known
    };
    let letter = |at: usize| {
        let letter = value.get(at).filter(|byte| byte.is_ascii_alphabetic())?;
        Some(letter.to_ascii_uppercase() - b'A')
    };
    let seconds = letter(4).and_then(|first| KNOWN.get(usize::from(first)));
    match (seconds, letter(5)) {
        (Some(seconds), Some(second)) if seconds >> second & 1 == 1 => Outcome::Keep,
        _ => Outcome::Drop("country"),
    }
}

/// UUID of RFC 9562: versions 1 to 8, the standard's variant, not all zero.
pub(crate) fn uuid(value: &[u8]) -> Outcome {
    let version = value.get(14).is_some_and(|byte| (b'1'..=b'8').contains(byte));
    let variant = value.get(19).is_some_and(|byte| b"89abAB".contains(byte));
    match version && variant {
        true => Outcome::Keep,
        false => Outcome::Drop("version"),
    }
}

/// Whether a value is a part of something longer: what [`is_part`] says of its left, [`is_step`] of a path and
/// [`glued`] of what touches it.
pub(crate) fn part(subject: &Subject<'_>) -> Outcome {
    let Subject { value, before, .. } = *subject;
    match (is_part(value, before), is_step(value, before)) {
        (true, _) => Outcome::Drop("part"),
        (_, true) => Outcome::Unless("part"),
        _ => glued(subject),
    }
}

/// Whether a value touches what a name is made of: `_` on a side, `~` or `^` before it, a letter behind the point or
/// the hyphen that follows it. The same signs set a value off (`_value_` of Markdown), end its sentence or begin what
/// was typed without a blank: so a value that its groups tell, or its length, is one all the same, and of the others
/// the label says it. Numbers that `+` joins are a sum, unless their label says that a form wrote `+` for a blank; before
/// the last four digits Sweden and Finland write it for who is a hundred.
pub(crate) fn glued(subject: &Subject<'_>) -> Outcome {
    let Subject { value, before, after } = *subject;
    let left = before.last().is_some_and(|byte| b"_~^".contains(byte));
    let right = match after {
        [b'_', ..] => true,
        [b'.' | b'-', next, ..] => next.is_ascii_alphabetic(),
        _ => false,
    };
    let last = value.len().saturating_sub(5);
    let sum = value.iter().enumerate().skip(1).any(|(at, byte)| *byte == b'+' && at != last);
    match sum || (left || right) && !tells_itself(value) {
        true => Outcome::Unless("part"),
        false => Outcome::Keep,
    }
}

/// Whether the form of a value tells what it is: signs between its groups, or the digits of a card.
fn tells_itself(value: &[u8]) -> bool {
    let grouped = value.iter().any(|byte| !byte.is_ascii_alphanumeric() && *byte != b'/');
    grouped || value.len() >= 15 && value.iter().all(u8::is_ascii_digit)
}

/// Whether a value without groups is a step of a path, or stands behind the slash of another number that is not
/// of its kind, see [`is_beside`].
fn is_step(value: &[u8], before: &[u8]) -> bool {
    let Some(rest) = before.strip_suffix(b"/") else { return false };
    let words = rest.iter().rev().take_while(|byte| byte.is_ascii_alphanumeric()).count();
    let (head, word) = rest.split_at(rest.len() - words);
    let grouped = value.iter().any(|byte| b" -".contains(byte));
    !grouped
        && match word.iter().any(u8::is_ascii_digit) {
            true => !is_beside(value, rest),
            false => words > 0 && head.last().is_some_and(|byte| b"/.:".contains(byte)),
        }
}

/// Whether a number goes on to its left: the tail of a decimal, of a UUID, of an amount.
///
/// A word before the mark is a label (`TIN-123`, `No.123`). A comma stands between two numbers of a row or a list as
/// often as inside one, see [`is_fraction`]; so does a hyphen behind a number like this one, see [`is_beside`].
fn is_part(value: &[u8], before: &[u8]) -> bool {
    let Some((mark, rest)) = before.split_last() else { return false };
    let words = rest.iter().rev().take_while(|byte| byte.is_ascii_alphanumeric()).count();
    let (_, word) = rest.split_at(rest.len() - words);
    let number = word.iter().any(u8::is_ascii_digit);
    let short = |most: usize| value.len() < most && value.iter().all(u8::is_ascii_digit);
    match mark {
        b',' => is_fraction(value, rest),
        b'.' | b'+' => number,
        // Thousands are written so, and no number of ten digits behind them.
        b'\'' => number && short(10),
        b'-' => number && !is_beside(value, rest),
        b'$' => short(12),
        b' ' => is_row(value, word),
        // The value begins with the letter of an escape: `\n1234`.
        b'\\' => is_escaped(before) && begins_escape(value),
        _ => false,
    }
}

/// Whether a value of blank-separated groups goes on to its left with a group of the same length: an amount, a column, a
/// number of a card, of which more than 12 digits are one.
fn is_row(value: &[u8], word: &[u8]) -> bool {
    let groups = || value.split(|byte| *byte == b' ');
    word.iter().all(u8::is_ascii_digit)
        && (8..=14).contains(&value.len())
        && groups().count() > 2
        && groups().all(|group| group.len() == word.len() && group.iter().all(u8::is_ascii_digit))
}

/// Digits and the points between them at the end of a text, and what is before them.
fn last_number(text: &[u8]) -> (&[u8], &[u8]) {
    let digits =
        text.iter().rev().take_while(|byte| byte.is_ascii_digit() || **byte == b'.').count();
    text.split_at(text.len() - digits)
}

/// Whether a value behind a comma is what a decimal or a thousands comma leaves of a number.
///
/// That is digits alone, and fewer than ten: no one writes more behind a decimal comma, while a cell of a row
/// and an element of a list often have no blank before them. In a row or a list (a line, a bracket or a comma is
/// before the number on the left) only three digits can be thousands.
fn is_fraction(value: &[u8], before: &[u8]) -> bool {
    let (head, number) = last_number(before);
    // What ends in digits may be a word, a day or an hour.
    let whole = !number.is_empty()
        && match head {
            [.., digit, b'-' | b':' | b'/'] => !digit.is_ascii_digit(),
            [.., last] => !last.is_ascii_alphanumeric(),
            [] => true,
        };
    let in_row = head.last().is_none_or(|byte| b",;|[{(\n\r\t\"'".contains(byte));
    whole
        && value.len() < 10
        && value.iter().all(u8::is_ascii_digit)
        && (value.len() == 3 || !in_row)
}

/// Whether a number behind a slash or a hyphen stands beside a number of its own kind: two cards, a range of
/// addresses, what counts it (`1/4111...`).
fn is_beside(value: &[u8], before: &[u8]) -> bool {
    let (head, number) = last_number(before);
    let alone =
        head.last().is_none_or(|byte| byte.is_ascii_whitespace() || b",;|[({\"'".contains(byte));
    let points = |text: &[u8]| text.iter().filter(|byte| **byte == b'.').count();
    let bare = value.iter().all(u8::is_ascii_digit);
    let long = value.iter().filter(|byte| byte.is_ascii_digit()).count() >= 12;
    alone
        && !number.is_empty()
        && match bare {
            true => long && number.len() == value.len(),
            false => points(value) == 3 && points(number) == 3 || long && value.contains(&b' '),
        }
}

/// Whether the key right before a value says that it numbers or measures things: `"order_id": `, `ts=`.
pub(crate) fn is_counted(before: &[u8]) -> bool {
    const KEYS: [&[u8]; 34] = [
        b"id",
        b"ids",
        b"uid",
        b"gid",
        b"pid",
        b"tid",
        b"uuid",
        b"guid",
        b"order",
        b"ts",
        b"time",
        b"timestamp",
        b"epoch",
        b"date",
        b"hash",
        b"sha",
        b"crc",
        b"checksum",
        b"commit",
        b"build",
        b"rev",
        b"version",
        b"seq",
        b"offset",
        b"size",
        b"count",
        b"len",
        b"length",
        b"bytes",
        b"index",
        b"seed",
        b"nonce",
        b"snowflake",
        b"tracking",
    ];
    // Between key and value: quotes, a colon or an equals sign, spaces, an opening bracket or a sharp.
    let mut key = before;
    while let [rest @ .., b'"' | b'\'' | b':' | b'=' | b' ' | b'[' | b'(' | b'#'] = key {
        key = rest;
    }
    let word = key.iter().rev().take_while(|byte| byte.is_ascii_alphabetic()).count();
    let word = &key[key.len() - word..];
    // `orderId` ends in a word of its own, `paid` does not.
    let camel = word
        .iter()
        .rposition(u8::is_ascii_uppercase)
        .filter(|at| word[at + 1..].iter().any(u8::is_ascii_lowercase));
    let last = camel.map_or(word, |at| &word[at..]);
    KEYS.iter().any(|known| last.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::is_counted;
    use crate::Check::{Bic, Imei, Uuid, Vin};
    use crate::Check::{NotGlued, NotPart};
    use crate::{Check, Outcome, Subject};

    fn run(check: Check, value: &str) -> Outcome {
        check.run(&Subject { value: value.as_bytes(), before: b"", after: b"" })
    }

    #[test]
    fn numbers_of_things() {
        for (check, value, expected) in [
            // All ones pass the check, and are no vehicle.
            (Vin, "11111111111111111", Outcome::Drop("shape")),
            (Vin, "1M8GDM9AXKP042788", Outcome::Set(0.7)),
            (Vin, "1M8GDM9A1KP042788", Outcome::Drop("checksum")),
            (Vin, "WDBGA51E4TA328716", Outcome::Keep),
            (Vin, "1M8GDM9AOKP042788", Outcome::Drop("alphabet")),
            (Imei, "490154203237518", Outcome::Set(0.6)),
            (Imei, "490154203237519", Outcome::Drop("checksum")),
            (Bic, "DEUTDEFF", Outcome::Keep),
            (Bic, "PASSWORD", Outcome::Drop("country")),
            (Uuid, "f81d4fae-7dec-11d0-a765-00a0c91e6bf6", Outcome::Keep),
            (Uuid, "00000000-0000-0000-0000-000000000000", Outcome::Drop("version")),
        ] {
            assert_eq!(run(check, value), expected, "{value}");
        }
    }

    #[test]
    fn keys_that_count() {
        for (before, counted) in [
            ("\"order_id\": ", true),
            ("\"orderId\": \"", true),
            ("ts=", true),
            ("ids = [", true),
            ("TIMESTAMP: ", true),
            ("paid: ", false),
            ("card: ", false),
            ("", false),
            ("id of the card: ", false),
        ] {
            assert_eq!(is_counted(before.as_bytes()), counted, "{before}");
        }
    }

    #[test]
    fn tails_of_longer_things() {
        for (before, part) in [
            ("0.", true),
            ("latitude 48,", true),
            ("1,234,", false),
            ("[17,", false),
            ("12,50,", false),
            ("2026-11-22,", false),
            ("on 12:00,", false),
            ("lat:48,", true),
            ("446655440000-", true),
            ("/orders/a/", true),
            ("order #", false),
            ("TIN-", false),
            ("No.", false),
            ("card: ", false),
            ("card - ", false),
            ("", false),
            ("-", false),
            ("\"", false),
        ] {
            assert_eq!(beside(before, "536904399", "") != Outcome::Keep, part, "{before}");
        }
    }

    #[test]
    fn rows_lists_and_pairs_of_numbers() {
        for (before, value, part) in [
            ("17,", "4111111111111111", false),
            ("at 0,", "4111111111111111", false),
            ("at 17,", "536-90-4399", false),
            ("at 17,", "(415) 555-2671", false),
            ("at 17,", "12345678Z", false),
            ("at 1,", "234", true),
            ("1,", "234", true),
            ("4111111111111111/", "5555555555554444", false),
            ("a/4111111111111111/", "5555555555554444", true),
            ("4111 1111 1111 1111/", "5555 5555 5555 4444", false),
            ("198.41.0.4-", "198.41.0.9", false),
            ("v1-", "198.41.0.9", true),
            ("8400-", "415-555-0132", true),
            ("a716-", "446655440000", true),
            ("41d4-8716-", "446655440000", true),
            ("revenue 120 ", "751 113 473", true),
            ("room 12 ", "751 113 473", false),
            ("2131 ", "2850 4959 6204", true),
            ("4111 1111 1111 1111 ", "5555 5555 5555 4444", false),
            ("078051121/", "4155550132", true),
        ] {
            assert_eq!(beside(before, value, "") != Outcome::Keep, part, "{before}{value}");
        }
    }

    fn beside(before: &str, value: &str, after: &str) -> Outcome {
        let (value, before, after) = (value.as_bytes(), before.as_bytes(), after.as_bytes());
        NotPart.run(&Subject { value, before, after })
    }

    /// What the form of a value tells is no step of a path and no part of a name; of the rest a label says it.
    #[test]
    fn paths_and_signs_hide_what_has_no_form() {
        const KEEP: Outcome = Outcome::Keep;
        const UNLESS: Outcome = Outcome::Unless("part");
        const PART: Outcome = Outcome::Drop("part");
        for (before, after, bare, grouped, long) in [
            ("/users/", "", UNLESS, KEEP, UNLESS),
            ("2021-05-20/", "", UNLESS, KEEP, UNLESS),
            ("12/", "/n", UNLESS, KEEP, UNLESS),
            ("", ".P", UNLESS, KEEP, KEEP),
            ("", "-o", UNLESS, KEEP, KEEP),
            ("", ".\n", KEEP, KEEP, KEEP),
            ("", "-", KEEP, KEEP, KEEP),
            ("_", "_", UNLESS, KEEP, KEEP),
            ("", "_", UNLESS, KEEP, KEEP),
            ("~", "~", UNLESS, KEEP, KEEP),
            ("^", "^", UNLESS, KEEP, KEEP),
            ("$", "", PART, KEEP, KEEP),
            ("17'", "", PART, KEEP, KEEP),
            ("0.", "", PART, PART, PART),
        ] {
            for (value, expected) in
                [("536904399", bare), ("536-90-4399", grouped), ("4111111111111111", long)]
            {
                assert_eq!(beside(before, value, after), expected, "{before}{value}{after}");
            }
        }
        assert_eq!(beside("", "536+90+4399", ""), UNLESS);
        assert_eq!(beside("", "121212+1212", ""), KEEP);
        let letters = Subject { value: b"C01X00T47", before: b"", after: b"-a" };
        assert_eq!(NotGlued.run(&letters), UNLESS);
    }
}
