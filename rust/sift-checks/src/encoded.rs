//! Values that are base64 of something readable: the header of a JSON web token, text.

use crate::words::Letters;
use crate::Outcome;

/// Hands the bytes that `text` encodes to `each` until it returns false. Both alphabets are read;
/// padding may be missing.
///
/// Returns false if `text` is not base64 or `each` stopped.
fn decode(text: &[u8], mut each: impl FnMut(u8) -> bool) -> bool {
    let text = match text {
        [text @ .., b'=', b'='] | [text @ .., b'='] => text,
        _ => text,
    };
    if text.len() % 4 == 1 {
        return false;
    }
    let (mut bits, mut pending) = (0u32, 0u32);
    for &byte in text {
        let sextet = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return false,
        };
        pending = pending << 6 | u32::from(sextet);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            if !each((pending >> bits) as u8) {
                return false;
            }
            pending &= (1 << bits) - 1;
        }
    }
    true
}

/// Whether the first dot-separated part of `value` is base64url of a JSON object with a string
/// member `alg`, as RFC 7515 asks of the protected header. One that only begins so, as in tokens made
/// up for an example, keeps the score of its rule.
pub(crate) fn jwt_header(value: &[u8]) -> Outcome {
    let header = value.split(|&byte| byte == b'.').next().unwrap_or_default();
    let mut object = JsonObject::default();
    let url_safe = !header.iter().any(|byte| b"+/=".contains(byte));
    if url_safe && decode(header, |byte| object.push(byte)) && object.is_complete() && object.alg {
        return Outcome::Set(0.95);
    }
    // 20 characters, 15 bytes: the first member and the beginning of its value.
    let mut start = [0; 15];
    let mut filled = start.iter_mut();
    let begins = header.get(..20).is_some_and(|head| {
        decode(head, |byte| {
            filled.next().map(|slot| *slot = byte);
            true
        })
    });
    let members: [&[u8]; 4] = [b"{\"alg\":", b"{\"typ\":", b"{\"kid\":", b"{\"enc\":"];
    if url_safe && begins && members.iter().any(|member| start.starts_with(member)) {
        Outcome::Keep
    } else {
        Outcome::Drop("jwt_header")
    }
}

/// Whether `value` is base64 of at least six bytes, all of them printable ASCII or line ends.
pub(crate) fn encodes_text(value: &[u8]) -> bool {
    let mut bytes = 0usize;
    decode(value, |byte| {
        bytes += 1;
        matches!(byte, b' '..=b'~' | b'\n' | b'\r' | b'\t')
    }) && bytes >= 6
}

/// What may come next inside a JSON text.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Expect {
    /// The `{` of the whole.
    #[default]
    Start,
    /// A value; `]` too if an array has just begun.
    Value {
        or_end: bool,
    },
    /// A key; `}` too if the object has just begun.
    Key {
        or_end: bool,
    },
    Colon,
    /// `,` or a closing bracket.
    Next,
    String {
        key: bool,
    },
    Escape {
        key: bool,
    },
    /// Hexadecimal digits of `\u`.
    Unicode {
        key: bool,
        left: u8,
    },
    /// A number or a word. They end where a separator stands; their spelling does not matter here.
    Scalar,
    /// Only white space.
    End,
}

/// A recogniser of one JSON object, fed a byte at a time, that remembers whether a string member
/// `alg` stood on its top level. Numbers are not checked beyond their bytes.
#[derive(Default)]
struct JsonObject {
    expect: Expect,
    depth: u32,
    /// Bit `depth - 1`: that level is an object.
    objects: u32,
    /// How much of `alg` the current key has matched; 4 and more: another key.
    matched: usize,
    alg: bool,
}

impl JsonObject {
    fn is_complete(&self) -> bool {
        self.expect == Expect::End
    }

    fn open(&mut self, object: bool) -> bool {
        // A header is flat but for keys and certificates: deeper is no header.
        if self.depth >= 32 {
            return false;
        }
        self.objects = self.objects & !(1 << self.depth) | u32::from(object) << self.depth;
        self.depth += 1;
        self.expect =
            if object { Expect::Key { or_end: true } } else { Expect::Value { or_end: true } };
        true
    }

    fn in_object(&self) -> bool {
        self.depth > 0 && self.objects >> (self.depth - 1) & 1 == 1
    }

    fn close(&mut self, object: bool) -> bool {
        if self.depth == 0 || self.in_object() != object {
            return false;
        }
        self.depth -= 1;
        self.expect = if self.depth == 0 { Expect::End } else { Expect::Next };
        true
    }

    fn separator(&mut self, byte: u8) -> bool {
        match byte {
            b',' if self.in_object() => self.expect = Expect::Key { or_end: false },
            b',' => self.expect = Expect::Value { or_end: false },
            b'}' => return self.close(true),
            b']' => return self.close(false),
            b' ' | b'\t' | b'\r' | b'\n' => self.expect = Expect::Next,
            _ => return false,
        }
        true
    }

    /// Takes the next byte; false if the text cannot be a JSON object any more.
    fn push(&mut self, byte: u8) -> bool {
        let blank = matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
        match self.expect {
            Expect::Start
            | Expect::Value { .. }
            | Expect::Key { .. }
            | Expect::Colon
            | Expect::End
                if blank => {}
            Expect::Start => return byte == b'{' && self.open(true),
            Expect::Value { or_end } => match byte {
                b'{' => return self.open(true),
                b'[' => return self.open(false),
                b'"' => {
                    self.alg |= self.depth == 1 && self.in_object() && self.matched == 3;
                    self.expect = Expect::String { key: false };
                }
                b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => self.expect = Expect::Scalar,
                b']' if or_end => return self.close(false),
                _ => return false,
            },
            Expect::Key { or_end } => match byte {
                b'"' => {
                    self.matched = 0;
                    self.expect = Expect::String { key: true };
                }
                b'}' if or_end => return self.close(true),
                _ => return false,
            },
            Expect::Colon if byte == b':' => self.expect = Expect::Value { or_end: false },
            Expect::Next => return self.separator(byte),
            Expect::String { key } => match byte {
                b'"' => self.expect = if key { Expect::Colon } else { Expect::Next },
                b'\\' => self.expect = Expect::Escape { key },
                0..=0x1f => return false,
                _ if key => self.match_key(byte),
                _ => {}
            },
            Expect::Escape { key } => {
                if key {
                    self.match_key(b'\\');
                }
                self.expect = match byte {
                    b'u' => Expect::Unicode { key, left: 4 },
                    b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {
                        Expect::String { key }
                    }
                    _ => return false,
                };
            }
            Expect::Unicode { key, left } if byte.is_ascii_hexdigit() => {
                self.expect = match left {
                    0 | 1 => Expect::String { key },
                    _ => Expect::Unicode { key, left: left - 1 },
                };
            }
            Expect::Scalar => match byte {
                b'0'..=b'9' | b'a'..=b'z' | b'E' | b'+' | b'-' | b'.' => {}
                _ => return self.separator(byte),
            },
            Expect::Colon | Expect::Unicode { .. } | Expect::End => return false,
        }
        true
    }

    fn match_key(&mut self, byte: u8) {
        let same = b"alg".get(self.matched) == Some(&byte);
        self.matched = if same { self.matched + 1 } else { 4 };
    }
}

/// Whether `value` is base64 of text: 12 bytes or more, nine in ten printable ASCII, mostly letters
/// that read as words.
pub(crate) fn is_base64_text(value: &[u8]) -> bool {
    let (mut bytes, mut printable, mut blanks) = (0usize, 0usize, 0usize);
    let mut letters = Letters::default();
    let valid = decode(value, |byte| {
        bytes += 1;
        printable += usize::from(matches!(byte, b' '..=b'~' | b'\n' | b'\r' | b'\t'));
        blanks += usize::from(byte == b' ');
        letters.push(byte);
        // A tenth of all bytes may be unprintable. Of random bytes five in eight are, so that most
        // values end here after a few.
        (bytes - printable) * 40 <= value.len() * 3
    });
    valid
        && bytes >= 12
        && printable * 10 >= bytes * 9
        && (letters.letters + blanks) * 10 >= bytes * 6
        && letters.read_as_words()
        && letters.letters >= 2 * letters.words
}

#[cfg(test)]
mod tests {
    use super::{decode, encodes_text, is_base64_text, jwt_header};
    use crate::testing::{Random, BASE64};
    use crate::Outcome;

    /// Written apart from `decode`, so that the two check each other.
    fn encode(bytes: &[u8], url: bool) -> Vec<u8> {
        let mut alphabet = BASE64.to_vec();
        if url {
            alphabet[62..].copy_from_slice(b"-_");
        }
        let mut out = Vec::new();
        for chunk in bytes.chunks(3) {
            let number = (0..3).fold(0, |n, i| n << 8 | u32::from(*chunk.get(i).unwrap_or(&0)));
            for digit in 0..=chunk.len() {
                out.push(alphabet[(number >> (18 - 6 * digit) & 63) as usize]);
            }
        }
        if !url {
            out.resize(out.len().next_multiple_of(4), b'=');
        }
        out
    }

    #[test]
    fn base64_round_trips_and_rfc_vectors() {
        // RFC 4648, section 10.
        assert_eq!(encode(b"fooba", false), b"Zm9vYmE=");
        assert_eq!(encode(b"foob", false), b"Zm9vYg==");
        let mut random = Random::new(4648);
        for length in 0..200 {
            let bytes = random.any(length);
            for url in [false, true] {
                let mut decoded = Vec::new();
                assert!(decode(&encode(&bytes, url), |byte| {
                    decoded.push(byte);
                    true
                }));
                assert_eq!(decoded, bytes);
            }
        }
        for broken in [&b"A"[..], b"AAAAA", b"AA A", b"===", b"A=AA"] {
            assert!(!decode(broken, |_| true));
        }
    }

    fn token(header: &str) -> Vec<u8> {
        [encode(header.as_bytes(), true), b"e30".to_vec(), b"c2ln".to_vec()].join(&b'.')
    }

    #[test]
    fn jwt_headers() {
        for header in [
            r#"{"alg":"HS256","typ":"JWT"}"#,
            r#"{"typ":"JWT","alg":"RS256","kid":"a\"b\u00e9"}"#,
            " {\n \"jwk\" : { \"alg\": 1, \"x\": [1, -2.5e3, true, [], {}] } , \"alg\" : \"ES256\" }\n",
            r#"{"alg":"none"}"#,
            r#"{"n":null,"alg":"dir","crit":["exp"]}"#,
        ] {
            assert_eq!(jwt_header(&token(header)), Outcome::Set(0.95), "{header}");
        }
        for header in [
            "",
            "{}",
            "[]",
            r#""alg""#,
            r#"{"alg":1}"#,
            r#"{"alg":"#,
            r#"{"typ":"JWT"}"#,
            r#"{"x":{"alg":"HS256"}}"#,
            r#"{"alg":"HS256"}x"#,
            r#"{"alg" "HS256"}"#,
            r#"{"alg":"HS256",}"#,
            r#"{"alg":"HS256"]"#,
            r#"{"algo":"HS256"}"#,
            r#"{"al":"g"}"#,
            r#"["alg","HS256"]"#,
            r#"{"x":"alg"}"#,
            r#"{"\alg":"x"}"#,
            r#"{"\nalg":"x"}"#,
            "{\"alg\":\"a\nb\"}",
            r#"{"alg":"\u00g0"}"#,
            r#"{"alg":"x"}{"#,
            r#"{"x":[1,]}"#,
            r#"{,"alg":"x"}"#,
            r#"{"x":[{"a":1}],"b":}"#,
        ] {
            let found = jwt_header(&token(header));
            let begins = header.len() >= 15 && header.starts_with("{\"alg\":");
            let expected = if begins { Outcome::Keep } else { Outcome::Drop("jwt_header") };
            assert_eq!(found, expected, "{header}");
        }
        for header in ["{\"alg\":\"HS256\",\x12typ\":\"JWT\"}", "{\"typ\":\"JWT\" \"alg\"}"] {
            assert_eq!(jwt_header(&token(header)), Outcome::Keep, "{header}");
        }
        let deep = format!("{{\"alg\":\"x\",\"y\":{}{}}}", "[".repeat(40), "]".repeat(40));
        assert_eq!(jwt_header(&token(&deep)), Outcome::Keep);
        assert_eq!(jwt_header(b""), Outcome::Drop("jwt_header"));
        assert_eq!(jwt_header(b"...."), Outcome::Drop("jwt_header"));
    }

    #[test]
    fn text_is_told_from_bytes() {
        for text in ["admin:password", "hunter2", "123456", "line one\nline two\n"] {
            assert!(encodes_text(&encode(text.as_bytes(), false)), "{text}");
        }
        for other in
            [&b""[..], b"YWI=", b"YWJjZA==", b"password", b"enabled", b"not base64!", b"AAAAAAAA"]
        {
            assert!(!encodes_text(other), "{}", String::from_utf8_lossy(other));
        }
    }

    #[test]
    fn text_and_random_bytes_in_base64() {
        for text in [
            "this is a plain sentence",
            "Hello world, how are you?",
            "user:password example",
            "configuration value",
            "line one\nline two\n",
        ] {
            assert!(is_base64_text(&encode(text.as_bytes(), false)), "{text}");
            assert!(is_base64_text(&encode(text.as_bytes(), true)), "{text}");
        }
        let mut random = Random::new(90);
        let mut dropped = 0;
        for length in 9..64 {
            for _ in 0..200 {
                dropped += usize::from(is_base64_text(&encode(&random.any(length), false)));
            }
        }
        assert_eq!(dropped, 0);
        for other in [&b""[..], b"aGVsbG8=", b"not base64!", b"AAAA"] {
            assert!(!is_base64_text(other));
        }
    }
}
