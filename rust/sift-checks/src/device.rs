//! Vehicles, telephones, banks, identifiers of records: numbers of things that lead to a person.

use crate::checksum::{characters, digits, fair, luhn, weak};
use crate::Outcome;

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

/// Whether a number goes on to its left: the tail of a decimal, of a UUID, of a path.
///
/// A word before the mark is a label (`TIN-123`, `No.123`), unless it is a step of a path.
pub(crate) fn is_part(before: &[u8]) -> bool {
    let Some((mark, rest)) = before.split_last() else { return false };
    let words = rest.iter().rev().take_while(|byte| byte.is_ascii_alphanumeric()).count();
    let (head, word) = rest.split_at(rest.len() - words);
    let number = word.iter().any(u8::is_ascii_digit);
    match mark {
        b'.' | b'-' | b',' | b'\'' | b'+' => number,
        b'/' => number || (words > 0 && head.last().is_some_and(|byte| b"/.:".contains(byte))),
        b'$' | b'~' | b'^' => true,
        _ => false,
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
    use super::{is_counted, is_part};
    use crate::Check::{Bic, Imei, Uuid, Vin};
    use crate::{Check, Outcome, Subject};

    fn run(check: Check, value: &str) -> Outcome {
        check.run(&Subject { value: value.as_bytes(), before: b"" })
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
            assert_eq!(is_part(before.as_bytes()), part, "{before}");
        }
    }
}
