//! Tests of what a pattern found: checksums, entropy, stand-ins, code, shapes.
//!
//! Rules name checks in their documents; the engine runs them in that order on each candidate. All
//! are pure functions of the value and a few bytes before it, allocate nothing, take time linear in
//! the length, and accept any bytes. This crate knows nothing of rules or engines; to decide what a
//! rule's score becomes, see `sift-scan`.
//!
//! ```
//! use sift_checks::{Check, Outcome, Subject};
//!
//! let check = Check::from_name("placeholder").unwrap();
//! let subject = Subject { value: b"your-api-key-here", before: b"token = " };
//! assert_eq!(check.run(&subject), Outcome::Drop("placeholder"));
//! ```

#![forbid(unsafe_code)]

mod code;
mod crc;
mod encoded;
mod entropy;
mod name;
mod placeholder;
mod shape;
#[cfg(test)]
mod testing;
mod words;

pub use crc::{base62_decode, base62_encode, crc32};
pub use entropy::entropy;

/// What a check looks at.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// The capture group of the rule.
    pub value: &'a [u8],
    /// At most 64 bytes of text that end where the value begins.
    pub before: &'a [u8],
}

/// What a check says about a candidate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outcome {
    /// Nothing against it, nothing new.
    Keep,
    /// The candidate's score is this from here on.
    Set(f32),
    /// A checksum says that the value is what its form claims: score 1.
    Proven,
    /// No finding, for this reason, a stable code.
    Drop(&'static str),
}

macro_rules! checks {
    ($($variant:ident = $name:literal: $describe:literal,)+) => {
        /// The checks a rule can name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Check {
            $(#[doc = concat!("`", $name, "`: ", $describe, ".")] $variant,)+
        }

        impl Check {
            /// The check that rule documents call `name`.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant),)+
                    _ => None,
                }
            }

            /// Its name in rule documents.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// Every check, in the order of the documentation.
            #[must_use]
            pub fn all() -> &'static [Self] {
                &[$(Self::$variant,)+]
            }

            /// What it does, for people: lower case, no final period.
            #[must_use]
            pub fn describe(self) -> &'static str {
                match self {
                    $(Self::$variant => $describe,)+
                }
            }
        }
    };
}

checks! {
    GithubCrc32 = "github_crc32":
        "proves a GitHub token by its CRC-32, scores one with a wrong checksum 0.6",
    Placeholder = "placeholder":
        "drops stand-ins: example words, masks, counting, repetition, fewer than 4 distinct bytes",
    Unfilled = "unfilled":
        "drops what was never filled in: masks, template expressions, your-key-here; milder than placeholder",
    UrlPassword = "url_password":
        "drops what was never filled in, and on the web (http, ws, git) also words, names and stand-ins",
    NotVariable = "not_variable":
        "drops names of variables, template expressions, look-ups in an environment, `null` and kin",
    NotPath = "not_path":
        "drops paths and file names",
    NotUrl = "not_url":
        "drops URLs, also those with a password, and host names with a port or a known ending",
    NotIdentifier = "not_identifier":
        "drops names in snake, camel, kebab or dotted case with few digits, and calls",
    NotUuid = "not_uuid":
        "drops UUIDs",
    NotHash = "not_hash":
        "drops hexadecimal of a digest's length and digests that name their algorithm",
    HasDigit = "has_digit":
        "drops values without a digit",
    Mixed = "mixed":
        "drops values that do not have both letters and digits",
    KeyWord = "key_word":
        "drops values without key, token, secret, passw, credential or auth in the 40 bytes before",
    SecretName = "secret_name":
        "drops values of fields whose name says otherwise: secret_name, tokenUrl, publicKey, csrf_token",
    NotWord = "not_word":
        "drops single words, numbers, dates and versions",
    JwtHeader = "jwt_header":
        "scores 0.95 if the first part is a JSON web token's header, drops what does not begin as one",
    EncodesText = "encodes_text":
        "drops what is not base64 of printable text",
    Base64Text = "base64_text":
        "drops base64 of readable text",
    Luhn = "luhn":
        "drops digits that fail the Luhn test",
}

impl Check {
    /// Looks at `subject`.
    ///
    /// ```
    /// use sift_checks::{Check, Outcome, Subject};
    ///
    /// let subject = Subject { value: b"79927398713", before: b"" };
    /// assert_eq!(Check::Luhn.run(&subject), Outcome::Keep);
    /// ```
    #[must_use]
    pub fn run(self, subject: &Subject<'_>) -> Outcome {
        let value = subject.value;
        let (drop, reason) = match self {
            Self::GithubCrc32 => return crc::github(value),
            Self::JwtHeader => return encoded::jwt_header(value),
            Self::Placeholder => (placeholder::is_placeholder(value), "placeholder"),
            Self::Unfilled => (placeholder::is_unfilled(value), "unfilled"),
            Self::UrlPassword => (is_shown_in_url(value, subject.before), "url_password"),
            Self::NotVariable => (code::is_variable(value, subject.before), "variable"),
            Self::NotPath => (code::is_path(value), "path"),
            Self::NotUrl => (code::is_url(value), "url"),
            Self::NotIdentifier => (code::is_identifier(value), "identifier"),
            Self::NotUuid => (shape::is_uuid(value), "uuid"),
            Self::NotHash => (shape::is_hash(value), "hash"),
            Self::HasDigit => (!value.iter().any(u8::is_ascii_digit), "no_digit"),
            Self::Mixed => (
                !value.iter().any(u8::is_ascii_digit) || !value.iter().any(u8::is_ascii_alphabetic),
                "not_mixed",
            ),
            Self::KeyWord => (!has_key_word(subject.before), "no_key_word"),
            Self::SecretName => (name::is_other_field(subject.before), "name"),
            Self::NotWord => (words::single_word(value) || shape::is_number(value), "word"),
            Self::EncodesText => (!encoded::encodes_text(value), "no_text"),
            Self::Base64Text => (encoded::is_base64_text(value), "base64_text"),
            Self::Luhn => (!shape::luhn(value), "luhn"),
        };
        if drop {
            Outcome::Drop(reason)
        } else {
            Outcome::Keep
        }
    }
}

/// Whether a word that names a secret stands shortly before the value, alone or inside a longer name.
fn has_key_word(before: &[u8]) -> bool {
    const WORDS: [&[u8]; 6] = [b"key", b"token", b"secret", b"passw", b"credential", b"auth"];
    let near = &before[before.len().saturating_sub(40)..];
    WORDS.iter().any(|word| near.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word)))
}

/// Whether the password of a URL is one for show. Words are passwords of databases and brokers, as in
/// the settings of a test server; in a web address they stand in a document.
fn is_shown_in_url(value: &[u8], before: &[u8]) -> bool {
    const SERVICES: [&[u8]; 27] = [
        b"postgres",
        b"postgresql",
        b"cockroachdb",
        b"redshift",
        b"mysql",
        b"mariadb",
        b"mongodb",
        b"redis",
        b"rediss",
        b"amqp",
        b"amqps",
        b"mssql",
        b"sqlserver",
        b"oracle",
        b"ftp",
        b"ftps",
        b"sftp",
        b"smb",
        b"ldap",
        b"ldaps",
        b"smtp",
        b"smtps",
        b"imaps",
        b"mqtt",
        b"mqtts",
        b"nats",
        b"clickhouse",
    ];
    if placeholder::is_unfilled(value) {
        return true;
    }
    let scheme = before.windows(3).rposition(|three| three == b"://").map_or(&b""[..], |at| {
        let start = before[..at]
            .iter()
            .rposition(|&byte| !(byte.is_ascii_alphanumeric() || byte == b'+'))
            .map_or(0, |other| other + 1);
        &before[start..at]
    });
    // `mysql+pymysql` names the driver too.
    let service = scheme.split(|&byte| byte == b'+').next().unwrap_or_default();
    let is_service = SERVICES.iter().any(|name| service.eq_ignore_ascii_case(name));
    !is_service
        && (placeholder::is_placeholder(value)
            || words::single_word(value)
            || code::is_identifier(value))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{Check, Outcome, Subject};
    use crate::testing::{Random, BASE62, BASE64, BASE64URL, HEX};

    #[test]
    fn a_key_word_stands_near() {
        let far = format!("key {}", " ".repeat(40));
        for (before, keeps) in
            [("acme_api_KEY = ", true), ("acmeToken: '", true), ("acme = ", false), (&far, false)]
        {
            let outcome = Check::KeyWord.run(&Subject { value: b"x", before: before.as_bytes() });
            assert_eq!(outcome == Outcome::Keep, keeps, "{before}");
        }
    }

    #[test]
    fn words_are_passwords_of_services_and_not_of_the_web() {
        for (before, value, keeps) in [
            ("postgres://app:", "opensesame", true),
            ("url = 'mysql+pymysql://root:", "secret", true),
            ("mongodb+srv://root:", "hunter", true),
            ("ftp://u:", "password", false),
            ("https://user:", "opensesame", false),
            ("https://user:", "k3v9Zq1x", true),
            ("://user:", "secret", false),
            ("user:", "secret", false),
        ] {
            let subject = Subject { value: value.as_bytes(), before: before.as_bytes() };
            assert_eq!(Check::UrlPassword.run(&subject) == Outcome::Keep, keeps, "{before}");
        }
    }

    #[test]
    fn names_are_unique_and_lead_back() {
        let mut names = HashSet::new();
        for &check in Check::all() {
            assert!(names.insert(check.name()));
            assert_eq!(Check::from_name(check.name()), Some(check));
            assert!(!check.describe().is_empty() && !check.describe().ends_with('.'));
        }
        assert_eq!(Check::from_name("Placeholder"), None);
    }

    #[test]
    fn digits_and_letters() {
        for (check, value, drop) in [
            (Check::HasDigit, "abc", true),
            (Check::HasDigit, "", true),
            (Check::HasDigit, "abc1", false),
            (Check::Mixed, "abc", true),
            (Check::Mixed, "123", true),
            (Check::Mixed, "-a1-", false),
        ] {
            let outcome = check.run(&Subject { value: value.as_bytes(), before: b"" });
            assert_eq!(matches!(outcome, Outcome::Drop(_)), drop, "{check:?} of `{value}`");
        }
    }

    /// The checks that judge by likeness must not eat random tokens.
    #[test]
    fn random_tokens_are_kept() {
        let checks = [
            Check::Placeholder,
            Check::Unfilled,
            Check::NotVariable,
            Check::NotIdentifier,
            Check::NotPath,
            Check::NotUrl,
            Check::NotWord,
            Check::Base64Text,
        ];
        let upper_hex = b"0123456789ABCDEF";
        let base32 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
        let lower_base36 = b"0123456789abcdefghijklmnopqrstuvwxyz";
        let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let alphabets: [(&str, &[u8], &[usize]); 8] = [
            ("base62", BASE62, &[20, 24, 32, 40, 48, 64]),
            ("hex", HEX, &[32, 40, 64]),
            ("HEX", upper_hex, &[32, 40, 64]),
            ("base64", BASE64, &[20, 22, 24, 28, 32, 40, 44, 64, 86, 88]),
            ("base64url", BASE64URL, &[20, 22, 32, 43, 64]),
            ("base32", base32, &[16, 20, 26, 32, 52]),
            ("base36", lower_base36, &[16, 20, 25, 32, 50]),
            ("letters", letters, &[20, 24, 32]),
        ];
        let mut random = Random::new(20_241_121);
        for (name, alphabet, lengths) in alphabets {
            for &length in lengths {
                let mut dropped = [0usize; 8];
                for _ in 0..10_000 {
                    let value = random.bytes(alphabet, length);
                    for (check, dropped) in checks.iter().zip(&mut dropped) {
                        let outcome = check.run(&Subject { value: &value, before: b"key = " });
                        *dropped += usize::from(outcome != Outcome::Keep);
                    }
                }
                for (check, dropped) in checks.iter().zip(dropped) {
                    assert!(dropped <= 10, "{check:?} drops {dropped} of 10,000 {name} {length}");
                }
            }
        }
    }

    /// Any bytes, and bytes near what the checks look for, give an answer and no panic.
    #[test]
    fn hostile_bytes() {
        let mut random = Random::new(0xbad);
        let pieces: &[&[u8]] = &[
            b"${",
            b"}",
            b"$",
            b"{{",
            b"<",
            b">",
            b"(",
            b")",
            b"[",
            b"]",
            b"%",
            b"__",
            b"://",
            b"//",
            b":",
            b".",
            b"...",
            b"**",
            b"eyJ",
            b"=",
            b"==",
            b"ghp_",
            b"test",
            b"your_",
            b"x",
            b"0x",
            b"-",
            b"_",
            b"/",
            b"\\",
            b"\xe2\x80",
            b"\xff",
            b"\x00",
            b"null",
            b"abc",
            b"process.env",
            b"self.",
            b"1.2",
            b"{\"alg\":\"",
            b"sha256:",
            b"urn:uuid:",
            b"www.",
        ];
        for round in 0..60_000 {
            let count = (random.next() % 12) as usize;
            let mut value = Vec::new();
            for _ in 0..count {
                match random.next() % 3 {
                    0 => value.extend(random.any(3)),
                    1 => value.extend(random.bytes(BASE62, 4)),
                    _ => value.extend(pieces[(random.next() % pieces.len() as u64) as usize]),
                }
            }
            let cut = (random.next() % (value.len() as u64 + 1)) as usize;
            let (before, after) = value.split_at(cut);
            let value = if round % 2 == 0 { after } else { &value };
            let subject = Subject { value, before };
            for check in Check::all() {
                if let Outcome::Set(score) = check.run(&subject) {
                    assert!(score > 0.0 && score < 1.0);
                }
            }
            assert!((0.0..=8.0).contains(&super::entropy(value)));
        }
    }
}
