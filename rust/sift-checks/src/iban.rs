//! International bank account numbers: ISO 13616 with the structures of the registry of SWIFT.

use crate::checksum::{characters, mod97};
use crate::Outcome;

/// Country and account structure: so many digits (`n`), capital letters (`a`) or either (`c`). The
/// registry's release 101, and the countries that use the form without an entry.
#[rustfmt::skip]
const STRUCTURES: &[(&str, &str)] = &[
    ("AD", "8n12c"), ("AE", "19n"), ("AL", "8n16c"), ("AO", "21n"), ("AT", "16n"),
    ("AZ", "4a20c"), ("BA", "16n"), ("BE", "12n"), ("BF", "2c22n"), ("BG", "4a6n8c"),
    ("BH", "4a14c"), ("BI", "23n"), ("BJ", "2c22n"), ("BR", "23n1a1c"), ("BY", "4c4n16c"),
    ("CF", "23n"), ("CG", "23n"), ("CH", "5n12c"), ("CI", "2c22n"), ("CM", "23n"),
    ("CR", "18n"), ("CV", "21n"), ("CY", "8n16c"), ("CZ", "20n"), ("DE", "18n"), ("DJ", "23n"),
    ("DK", "14n"), ("DO", "4c20n"), ("DZ", "22n"), ("EE", "16n"), ("EG", "25n"), ("ES", "20n"),
    ("FI", "14n"), ("FK", "2a12n"), ("FO", "14n"), ("FR", "10n11c2n"), ("GA", "23n"),
    ("GB", "4a14n"), ("GE", "2a16n"), ("GI", "4a15c"), ("GL", "14n"), ("GQ", "23n"),
    ("GR", "7n16c"), ("GT", "24c"), ("GW", "2c19n"), ("HN", "4a20n"), ("HR", "17n"),
    ("HU", "24n"), ("IE", "4a14n"), ("IL", "19n"), ("IQ", "4a15n"), ("IR", "22n"),
    ("IS", "22n"), ("IT", "1a10n12c"), ("JO", "4a4n18c"), ("KM", "23n"), ("KW", "4a22c"),
    ("KZ", "3n13c"), ("LB", "4n20c"), ("LC", "4a24c"), ("LI", "5n12c"), ("LT", "16n"),
    ("LU", "3n13c"), ("LV", "4a13c"), ("LY", "21n"), ("MA", "24n"), ("MC", "10n11c2n"),
    ("MD", "20c"), ("ME", "18n"), ("MG", "23n"), ("MK", "3n10c2n"), ("ML", "2c22n"),
    ("MN", "16n"), ("MR", "23n"), ("MT", "4a5n18c"), ("MU", "4a19n3a"), ("MZ", "21n"),
    ("NE", "2c22n"), ("NI", "4a20n"), ("NL", "4a10n"), ("NO", "11n"), ("OM", "3n16c"),
    ("PK", "4a16c"), ("PL", "24n"), ("PS", "4a21c"), ("PT", "21n"), ("QA", "4a21c"),
    ("RO", "4a16c"), ("RS", "18n"), ("RU", "14n15c"), ("SA", "2n18c"), ("SC", "4a20n3a"),
    ("SD", "14n"), ("SE", "20n"), ("SI", "15n"), ("SK", "20n"), ("SM", "1a10n12c"),
    ("SN", "2c22n"), ("SO", "19n"), ("ST", "21n"), ("SV", "4a20n"), ("TD", "23n"),
    ("TG", "2c22n"), ("TL", "19n"), ("TN", "20n"), ("TR", "6n16c"), ("UA", "6n19c"),
    ("VA", "18n"), ("VG", "4a16n"), ("XK", "16n"), ("YE", "4a4n18c"),
];

/// Country, structure and check digits. Separators may stand anywhere, and small letters are read as capitals.
pub(crate) fn iban(value: &[u8]) -> Outcome {
    let mut text = [0; 34];
    let mut length = 0;
    for &byte in value.iter().filter(|byte| byte.is_ascii_alphanumeric()) {
        let Some(slot) = text.get_mut(length) else { return Outcome::Drop("length") };
        *slot = byte.to_ascii_uppercase();
        length += 1;
    }
    let (Some(head), Some(account)) = (text.get(..4), text.get(4..length)) else {
        return Outcome::Drop("length");
    };
    let structure = STRUCTURES
        .binary_search_by(|(country, _)| country.as_bytes().cmp(&head[..2]))
        .ok()
        .and_then(|at| STRUCTURES.get(at))
        .map(|(_, structure)| *structure);
    if !structure.is_some_and(|structure| fits(account, structure)) {
        return Outcome::Drop("structure");
    }
    match mod97(account.iter().chain(head).copied()) {
        Some(1) => Outcome::Proven,
        _ => Outcome::Drop("checksum"),
    }
}

fn fits(account: &[u8], structure: &str) -> bool {
    let (mut at, mut count) = (0, 0);
    for letter in structure.bytes() {
        let test: fn(&u8) -> bool = match letter {
            b'0'..=b'9' => {
                count = count * 10 + usize::from(letter - b'0');
                continue;
            }
            b'n' => u8::is_ascii_digit,
            b'a' => u8::is_ascii_uppercase,
            _ => u8::is_ascii_alphanumeric,
        };
        if !account.get(at..at + count).is_some_and(|part| part.iter().all(test)) {
            return false;
        }
        (at, count) = (at + count, 0);
    }
    at == account.len()
}

/// Legal entity identifier (ISO 17442): 18 letters and digits and two check digits, MOD 97-10.
pub(crate) fn lei(value: &[u8]) -> Outcome {
    let Some(text) = characters::<20>(value) else { return Outcome::Drop("shape") };
    let digits = text[18..].iter().all(u8::is_ascii_digit);
    match digits && mod97(text.iter().copied()) == Some(1) {
        true => Outcome::Proven,
        false => Outcome::Drop("checksum"),
    }
}

#[cfg(test)]
mod tests {
    use super::STRUCTURES;
    use crate::Check::{Iban, Lei};
    use crate::{Outcome, Subject};

    #[test]
    fn the_table_is_sorted() {
        assert!(STRUCTURES.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn examples_of_the_registry() {
        let run =
            |value: &str| Iban.run(&Subject { value: value.as_bytes(), before: b"", after: b"" });
        for value in [
            "GB82 WEST 1234 5698 7654 32",
            "GB82WEST12345698765432",
            "DE89370400440532013000",
            "FR14 2004 1010 0505 0001 3M02 606",
            "NO93 8601 1117 947",
            "gb82 west 1234 5698 7654 32",
            "MT84MALT011000012345MTLCAST001S",
        ] {
            assert_eq!(run(value), Outcome::Proven, "{value}");
        }
        for (value, reason) in [
            ("GB82 WEST 1234 5698 7654 33", "checksum"),
            ("GB82 1234 1234 5698 7654 32", "structure"),
            ("GB82 WEST 1234 5698 7654 3", "structure"),
            ("ZZ82 WEST 1234 5698 7654 32", "structure"),
            ("GB8", "length"),
        ] {
            assert_eq!(run(value), Outcome::Drop(reason), "{value}");
        }
    }

    #[test]
    fn legal_entities() {
        let run =
            |value: &str| Lei.run(&Subject { value: value.as_bytes(), before: b"", after: b"" });
        // The Global Legal Entity Identifier Foundation itself.
        assert_eq!(run("506700GE1G29325QX363"), Outcome::Proven);
        assert_eq!(run("506700GE1G29325QX364"), Outcome::Drop("checksum"));
    }
}
