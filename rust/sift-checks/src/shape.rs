//! Values that their outer form gives away: identifiers of machines, digests, numbers, dates.

use crate::checksum::luhn_sum;

/// `8-4-4-4-12` hexadecimal digits, bare, in braces, or behind `urn:uuid:`.
pub(crate) fn is_uuid(value: &[u8]) -> bool {
    let value = match value {
        [b'{', inner @ .., b'}'] => inner,
        _ => value.strip_prefix(b"urn:uuid:").unwrap_or(value),
    };
    value.len() == 36
        && value.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// Hexadecimal of a digest's length, or a digest that says its algorithm, as in lock files.
pub(crate) fn is_hash(value: &[u8]) -> bool {
    let digest_length = matches!(value.len(), 32 | 40 | 56 | 64 | 96 | 128);
    // A fold without branches: digits and letters alternate at random.
    let all_hex = |value: &[u8]| {
        value.iter().fold(true, |all, byte| {
            all & ((byte.wrapping_sub(b'0') < 10) | ((byte | 0x20).wrapping_sub(b'a') < 6))
        })
    };
    if digest_length && all_hex(value) {
        return true;
    }
    let algorithms = [&b"md5"[..], b"sha1", b"sha224", b"sha256", b"sha384", b"sha512", b"h1"];
    algorithms.iter().any(|algorithm| match value.strip_prefix(*algorithm) {
        Some([b'-' | b':' | b'=', digest @ ..]) => {
            digest.len() >= 22
                && digest.iter().all(|b| b.is_ascii_alphanumeric() || b"+/=-_".contains(b))
        }
        _ => false,
    })
}

/// A number with or without unit, a date, a time, a version, an address of the internet protocol.
pub(crate) fn is_number(value: &[u8]) -> bool {
    plain_number(value) || date(value) || version(value)
}

fn plain_number(value: &[u8]) -> bool {
    let value = match value {
        [b'+' | b'-', rest @ ..] => rest,
        _ => value,
    };
    if let [b'0', b'x' | b'X', digits @ ..] = value {
        return (1..=16).contains(&digits.len()) && digits.iter().all(u8::is_ascii_hexdigit);
    }
    let number = value
        .iter()
        .position(|b| !b.is_ascii_digit() && !b"._,".contains(b))
        .unwrap_or(value.len());
    let (digits, unit) = value.split_at(number);
    digits.first().is_some_and(u8::is_ascii_digit)
        && unit.len() <= 3
        && unit.iter().all(|byte| byte.is_ascii_alphabetic() || *byte == b'%')
}

/// Digits in groups, as dates, times, telephone numbers and ranges have them.
fn date(value: &[u8]) -> bool {
    let (mut digits, mut marks) = (0usize, 0usize);
    for byte in value {
        match byte {
            b'0'..=b'9' => digits += 1,
            b'-' | b'/' | b':' | b'.' | b',' | b' ' | b'+' => {}
            b'T' | b'Z' => marks += 1,
            _ => return false,
        }
    }
    value.first().is_some_and(u8::is_ascii_digit) && marks <= 2 && digits * 2 >= value.len()
}

fn version(value: &[u8]) -> bool {
    let start = value.iter().position(|byte| !b"v^~=<>! ".contains(byte)).unwrap_or(value.len());
    let value = &value[start..];
    let core = value.iter().position(|b| !b.is_ascii_digit() && *b != b'.').unwrap_or(value.len());
    let (core, suffix) = value.split_at(core);
    let dotted = core.first().is_some_and(u8::is_ascii_digit)
        && core.contains(&b'.')
        && !core.windows(2).any(|pair| pair == b"..");
    // `-rc.1`, `b2`, `+build.5`, `.post1`: short lower- or upper-case words and numbers.
    dotted
        && suffix.len() <= 24
        && suffix.split(|byte| b".-+".contains(byte)).all(|part| {
            let letters = part.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
            let (word, number) = part.split_at(letters);
            word.len() <= 10
                && number.iter().all(|byte| *byte == b'x' || byte.is_ascii_digit())
                && (word.iter().all(u8::is_ascii_lowercase)
                    || word.iter().all(u8::is_ascii_uppercase))
        })
}

/// Whether the digits of `value` pass the Luhn test. Blanks and hyphens between them are skipped;
/// anything else, or fewer than two digits, fails.
pub(crate) fn luhn(value: &[u8]) -> bool {
    let kept = || value.iter().rev().filter(|byte| !matches!(**byte, b' ' | b'-'));
    kept().count() >= 2
        && kept().all(u8::is_ascii_digit)
        && luhn_sum(kept().map(|byte| byte - b'0')).is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::{is_hash, is_number, is_uuid, luhn};
    use crate::testing::{Random, HEX};

    #[test]
    fn uuids() {
        let mut random = Random::new(36);
        for _ in 0..100 {
            let groups = [8, 4, 4, 4, 12].map(|length| random.bytes(HEX, length));
            let uuid = groups.join(&b'-');
            assert!(is_uuid(&uuid) && is_uuid(&uuid.to_ascii_uppercase()));
            assert!(is_uuid(&[&b"{"[..], &uuid, b"}"].concat()));
            assert!(is_uuid(&[&b"urn:uuid:"[..], &uuid].concat()));
            assert!(!is_uuid(&uuid[1..]) && !is_uuid(&groups.concat()));
        }
    }

    #[test]
    fn digests() {
        let mut random = Random::new(64);
        for length in 0..140 {
            let digest = random.bytes(HEX, length);
            let expected = [32, 40, 56, 64, 96, 128].contains(&length);
            assert_eq!(is_hash(&digest), expected, "{length} digits");
            let mut other = digest.clone();
            if let Some(byte) = other.last_mut() {
                *byte = b'g';
            }
            assert!(!is_hash(&other));
            assert_eq!(is_hash(&[&b"sha256:"[..], &digest].concat()), length >= 22);
        }
    }

    #[test]
    fn numbers_dates_and_versions() {
        for value in [
            "0",
            "-1.5",
            "1_000_000",
            "1,000",
            "50%",
            "30s",
            "10px",
            "0xff",
            "2024-01-31",
            "12:30",
            "2024-01-31T12:30:00Z",
            "31.12.2024",
            "1.2.3",
            "v1.2",
            "^1.2.3",
            ">=2.0",
            "1.0.0-rc.1",
            "2.0.0-SNAPSHOT",
            "1.0b2",
            "1.2.3+build.5",
            "10.0.0.1",
            "555-0100",
            "1.x",
        ] {
            assert!(is_number(value.as_bytes()), "`{value}` is a number");
        }
        for value in ["", "-", "v", "abc", "1a2b3c4d5e", "0xzz", "T", "..", "1..2-x9y", "0x"] {
            assert!(!is_number(value.as_bytes()), "`{value}` is no number");
        }
    }

    #[test]
    fn luhn_vectors() {
        // ISO/IEC 7812-1's own example, test numbers of card networks in groups, an IMEI shape.
        for number in ["79927398713", "4111 1111 1111 1111", "5500-0000-0000-0004", "00", "18"] {
            assert!(luhn(number.as_bytes()), "{number}");
        }
        for number in ["", "0", "79927398710", "4111 1111 1111 1112", "4111.1111", "a18"] {
            assert!(!luhn(number.as_bytes()), "{number}");
        }
    }

    #[test]
    fn luhn_sees_every_changed_digit() {
        let mut random = Random::new(10);
        for _ in 0..200 {
            let mut number = random.bytes(b"0123456789", 15);
            number.push(b'0');
            while !luhn(&number) {
                number[15] += 1;
            }
            for at in 0..16 {
                let mut wrong = number.clone();
                wrong[at] = b'0' + (wrong[at] - b'0' + 1 + (random.next() % 9) as u8) % 10;
                assert!(!luhn(&wrong));
            }
        }
    }
}
