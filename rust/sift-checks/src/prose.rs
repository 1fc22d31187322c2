//! Quoted values that no password is: sentences and labels, code between two strings, regular expressions.

use crate::words::{identifier, single_word};

/// Whether a quoted value is text or code rather than a password.
///
/// A password may hold any character. One with white space in it is told from a sentence by its words: at
/// least half of them mix letters with digits or marks, as no sentence does.
pub(crate) fn is_prose(value: &[u8]) -> bool {
    between_strings(value) || is_regex(value) || is_sentence(value)
}

/// What stands between two strings in code: `" + name + "`, `'.$name.'`, `\", "user\": \"`.
fn between_strings(value: &[u8]) -> bool {
    let closes = |byte: u8| b"\"'`".contains(&byte);
    let begin = value.strip_prefix(b"\\").unwrap_or(value);
    let Some((&first, rest)) = begin.split_first() else { return false };
    let last = value.last().copied().unwrap_or_default();
    if !closes(first) || last != first {
        return false;
    }
    let joins = |byte: &u8| byte.is_ascii_whitespace() || b"+.,&|;:)]}=".contains(byte);
    rest.first().is_some_and(joins)
}

/// What the rules for a password are written in: classes, look-ahead, repetition.
fn is_regex(value: &[u8]) -> bool {
    const SIGNS: [&[u8]; 10] =
        [b"(?", b"[a-z", b"[A-Z", b"[0-9", b"[^", b"\\d", b"\\w", b"\\s", b"\\S", b"^["];
    let quantified = |at: usize| {
        let rest = value.get(at + 1..).unwrap_or_default();
        let end = rest.iter().position(|byte| !byte.is_ascii_digit() && *byte != b',');
        end.is_some_and(|end| (1..=7).contains(&end) && rest.get(end) == Some(&b'}'))
    };
    let signs = SIGNS.iter().filter(|sign| contains(value, sign)).count();
    let counts = value.iter().enumerate().any(|(at, byte)| *byte == b'{' && quantified(at));
    signs >= 2 || signs == 1 && (counts || value.starts_with(b"^") || value.ends_with(b"$"))
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

fn is_sentence(value: &[u8]) -> bool {
    let (mut words, mut mixed) = (0usize, 0usize);
    for word in value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()) {
        words += 1;
        mixed += usize::from(is_mixed(word));
    }
    words > 1 && (mixed == 0 || mixed * 2 < words)
}

/// Whether a word is none: letters and digits, or letters around a mark that no sentence has there.
fn is_mixed(word: &[u8]) -> bool {
    let mark = |byte: &u8| byte.is_ascii_punctuation();
    let trimmed = |byte: &u8| b".,;:!?()[]{}<>\"'`*".contains(byte);
    let from = word.iter().position(|byte| !trimmed(byte)).unwrap_or(word.len());
    let to = word.iter().rposition(|byte| !trimmed(byte)).map_or(from, |last| last + 1);
    let word = word.get(from..to).unwrap_or_default();
    let letters = word.iter().filter(|byte| byte.is_ascii_alphabetic() || !byte.is_ascii()).count();
    let digits = word.iter().filter(|byte| byte.is_ascii_digit()).count();
    let marks = word.iter().filter(|byte| mark(byte) && !b"-_/.:'&\\".contains(byte)).count();
    // `8-character`, `utf8`, `sha256` and `step1` are words of documents.
    let plain = identifier(word) || single_word(word) || ordinal(word);
    !plain && letters > 0 && (digits > 0 || marks > 0)
}

/// A number with letters on one side only: `8-character`, `15min`, `v2`, `SHA256`.
fn ordinal(word: &[u8]) -> bool {
    let mut sides = word.chunk_by(|a, b| a.is_ascii_digit() == b.is_ascii_digit());
    let count = sides.by_ref().take(3).count();
    let marked = word.iter().any(|byte| byte.is_ascii_punctuation() && !b"-.:".contains(byte));
    let cased = word.iter().any(u8::is_ascii_lowercase) && word.iter().any(u8::is_ascii_uppercase);
    count <= 2 && !marked && !cased && word.len() <= 16
}

#[cfg(test)]
mod tests {
    use super::is_prose;
    use crate::testing::{Random, BASE62};

    #[test]
    fn text_and_code() {
        for value in [
            "Enter your password",
            "must have 8 characters",
            "at least 8-16 chars, one digit (0-9)!",
            "Wrong user name or password: try again",
            "\" + password + \"",
            "'.$password.'",
            "\\\", \\\"user\\\": \\\"",
            "' || new_password || '",
            "\", username=\"",
            "^(?=.*[a-z])(?=.*\\d).{8,64}$",
            "[a-zA-Z0-9]{8,}",
            "^\\w+$",
            "SHA256 of the key",
        ] {
            assert!(is_prose(value.as_bytes()), "{value}");
        }
    }

    #[test]
    fn passwords() {
        for value in [
            "",
            "x",
            "Tr0ub4d'r&3",
            "my p4ss w0rd!",
            "a\"b'c9",
            "c:\\x9K",
            "<q7Zp>k",
            "k9\tQ7z",
            "'q7Zp8'",
            "a[9]b{2}",
        ] {
            assert!(!is_prose(value.as_bytes()), "{value}");
        }
        let mut random = Random::new(3);
        let mut lost = 0;
        for _ in 0..1000 {
            let mut value = random.bytes(BASE62, 14);
            value[6] = b' ';
            lost += usize::from(is_prose(&value));
        }
        // Ten digits in sixty-two: some pieces of six and seven have none.
        assert!(lost < 200, "{lost} of 1,000");
    }
}
