//! RFC 8785, the JSON Canonicalization Scheme: one byte string for one JSON value.
//!
//! Only identities are made this way (action hash, policy hash, argument commitment). What is signed is signed
//! as the bytes it is, so that no two verifiers need to agree about JSON.
//!
//! RFC 8785 builds on I-JSON (RFC 7493), and what I-JSON forbids is an error here: duplicate names, lone
//! surrogates, NaN and infinities, and integers that a double cannot hold.

use std::fmt;
use std::io::Write;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// Largest integer that is one double and no other: 2^53 - 1 (RFC 7493 §2.2).
pub const MAX_INTEGER: i64 = (1 << 53) - 1;

/// A JSON value whose objects keep no name twice.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number written without fraction or exponent.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// A text.
    Str(String),
    /// An array.
    List(Vec<Value>),
    /// An object, its members in any order.
    Object(Vec<(String, Value)>),
}

/// Why a value has no canonical bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JcsError {
    /// The text is no JSON, or JSON that I-JSON forbids. The place, never the text.
    #[error("no I-JSON at line {line}, column {column}: {what}")]
    Syntax {
        /// Line, from 1.
        line: usize,
        /// Column in bytes, from 1.
        column: usize,
        /// What is wrong there.
        what: &'static str,
    },
    /// NaN, an infinity, or an integer beyond 2^53 - 1.
    #[error("a number that a double does not hold: write integers beyond 2^53 - 1 as text")]
    Number,
    /// A name occurs twice in an object.
    #[error("an object has a name twice: names must be unique")]
    Duplicate,
    /// Lists and objects inside one another, more than 128 deep.
    #[error("nested more than 128 deep: flatten the value")]
    Depth,
}

/// How deep a value may be nested, as in serde_json.
const MAX_DEPTH: usize = 128;

impl Value {
    /// Reads JSON text as I-JSON.
    ///
    /// # Errors
    /// [`JcsError::Syntax`] for anything else, with the place.
    pub fn parse(text: &[u8]) -> Result<Value, JcsError> {
        serde_json::from_slice(text).map_err(|error| JcsError::Syntax {
            line: error.line(),
            column: error.column(),
            what: match error.classify() {
                serde_json::error::Category::Eof => "the text ends early",
                serde_json::error::Category::Data => "a duplicate name or a number out of range",
                _ => "a syntax error",
            },
        })
    }

    /// The member of an object, if this is one and has it.
    pub fn get(&self, name: &str) -> Option<&Value> {
        match self {
            Value::Object(members) => {
                members.iter().find(|(key, _)| key == name).map(|(_, value)| value)
            }
            _ => None,
        }
    }

    /// The text, if this is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The integer, if this is one.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Value::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// The items, if this is a list.
    pub fn as_list(&self) -> Option<&[Value]> {
        match self {
            Value::List(items) => Some(items),
            _ => None,
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Str(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Str(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Value {
        Value::Int(number)
    }
}

/// The canonical bytes of a value.
///
/// ```
/// use sift_ledger::jcs::{to_vec, Value};
/// let value = Value::parse(br#"{"b": 1e3, "a": "\u20ac"}"#)?;
/// assert_eq!(to_vec(&value)?, "{\"a\":\"\u{20ac}\",\"b\":1000}".as_bytes());
/// # Ok::<(), sift_ledger::jcs::JcsError>(())
/// ```
///
/// # Errors
/// [`JcsError::Number`], [`JcsError::Duplicate`] or [`JcsError::Depth`]: such a value has none.
pub fn to_vec(value: &Value) -> Result<Vec<u8>, JcsError> {
    let mut out = Vec::with_capacity(256);
    write(value, &mut out, 0)?;
    Ok(out)
}

fn write(value: &Value, out: &mut Vec<u8>, depth: usize) -> Result<(), JcsError> {
    if depth > MAX_DEPTH {
        return Err(JcsError::Depth);
    }
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Int(number) => write_integer(*number, out)?,
        Value::Float(number) => write_float(*number, out)?,
        Value::Str(text) => write_text(text, out),
        Value::List(items) => {
            out.push(b'[');
            for (place, item) in items.iter().enumerate() {
                if place > 0 {
                    out.push(b',');
                }
                write(item, out, depth + 1)?;
            }
            out.push(b']');
        }
        Value::Object(members) => {
            let mut order: Vec<&(String, Value)> = members.iter().collect();
            // By UTF-16 code units (RFC 8785 §3.2.3): not the order of UTF-8 for characters beyond U+FFFF.
            order.sort_by(|(one, _), (other, _)| one.encode_utf16().cmp(other.encode_utf16()));
            if order.windows(2).any(|pair| pair[0].0 == pair[1].0) {
                return Err(JcsError::Duplicate);
            }
            out.push(b'{');
            for (place, (name, value)) in order.into_iter().enumerate() {
                if place > 0 {
                    out.push(b',');
                }
                write_text(name, out);
                out.push(b':');
                write(value, out, depth + 1)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

/// Adds an integer.
///
/// # Errors
/// [`JcsError::Number`] beyond 2^53 - 1.
pub fn write_integer(number: i64, out: &mut Vec<u8>) -> Result<(), JcsError> {
    if number.unsigned_abs() > MAX_INTEGER.unsigned_abs() {
        return Err(JcsError::Number);
    }
    // Into memory, which takes everything.
    let _ = write!(out, "{number}");
    Ok(())
}

/// Adds a JSON string with the least escaping (RFC 8785 §3.2.2.2).
pub fn write_text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let bytes = text.as_bytes();
    // Nearly every text: looked through without a branch for each byte, many at once.
    let escaped = |byte: &u8| (*byte < 0x20) | (*byte == b'"') | (*byte == b'\\');
    if !bytes.iter().fold(false, |any, byte| any | escaped(byte)) {
        out.extend_from_slice(bytes);
        out.push(b'"');
        return;
    }
    let mut done = 0;
    for (place, byte) in bytes.iter().enumerate() {
        let short = match byte {
            b'"' => b'"',
            b'\\' => b'\\',
            0x08 => b'b',
            0x09 => b't',
            0x0a => b'n',
            0x0c => b'f',
            0x0d => b'r',
            0..=0x1f => 0,
            _ => continue,
        };
        out.extend_from_slice(&bytes[done..place]);
        done = place + 1;
        if short == 0 {
            out.extend_from_slice(format!("\\u{byte:04x}").as_bytes());
        } else {
            out.extend_from_slice(&[b'\\', short]);
        }
    }
    out.extend_from_slice(&bytes[done..]);
    out.push(b'"');
}

/// A double as ECMAScript writes it (ECMA-262, Number::toString with radix 10).
fn write_float(number: f64, out: &mut Vec<u8>) -> Result<(), JcsError> {
    if !number.is_finite() {
        return Err(JcsError::Number);
    }
    // Not the standard library: of two shortest texts that are equally near it takes the upper one, ECMAScript
    // the even one (1424953923781206.25 is one of the vectors).
    out.extend_from_slice(ryu_js::Buffer::new().format_finite(number).as_bytes());
    Ok(())
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Value, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON value")
            }

            fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
                Ok(Value::Null)
            }

            fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
                Ok(Value::Bool(value))
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
                Ok(Value::Int(value))
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
                i64::try_from(value).map(Value::Int).map_err(|_| E::custom("integer out of range"))
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
                // serde_json turns integers beyond 64 bits into doubles; as canonical bytes they would not be
                // the number that was written.
                if value.fract() == 0.0 && value.abs() > MAX_INTEGER as f64 && value.abs() < 1e21 {
                    return Err(E::custom("integer out of range"));
                }
                Ok(Value::Float(value))
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
                Ok(Value::Str(value.to_owned()))
            }

            fn visit_string<E: de::Error>(self, value: String) -> Result<Value, E> {
                Ok(Value::Str(value))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut source: A) -> Result<Value, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = source.next_element()? {
                    items.push(item);
                }
                Ok(Value::List(items))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut source: A) -> Result<Value, A::Error> {
                let mut members: Vec<(String, Value)> = Vec::new();
                while let Some(member) = source.next_entry()? {
                    members.push(member);
                }
                if has_duplicate(&members) {
                    return Err(de::Error::custom("duplicate name"));
                }
                Ok(Value::Object(members))
            }
        }

        source.deserialize_any(Reader)
    }
}

fn has_duplicate(members: &[(String, Value)]) -> bool {
    if members.len() <= 8 {
        return members
            .iter()
            .enumerate()
            .any(|(place, (name, _))| members[..place].iter().any(|(before, _)| before == name));
    }
    let mut names: Vec<&str> = members.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    names.windows(2).any(|pair| pair[0] == pair[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(text: &str) -> Result<String, JcsError> {
        Ok(String::from_utf8(to_vec(&Value::parse(text.as_bytes())?)?).unwrap())
    }

    /// RFC 8785 Appendix B: IEEE 754 bits and their ECMAScript text.
    #[test]
    fn numbers_of_rfc_8785() {
        for (bits, text) in [
            (0x0000_0000_0000_0000, "0"),
            (0x8000_0000_0000_0000, "0"),
            (0x0000_0000_0000_0001, "5e-324"),
            (0x8000_0000_0000_0001, "-5e-324"),
            (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
            (0xffef_ffff_ffff_ffff, "-1.7976931348623157e+308"),
            (0x4340_0000_0000_0000, "9007199254740992"),
            (0xc340_0000_0000_0000, "-9007199254740992"),
            (0x4430_0000_0000_0000, "295147905179352830000"),
            (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"),
            (0x44b5_2d02_c7e1_4af6, "1e+23"),
            (0x44b5_2d02_c7e1_4af7, "1.0000000000000001e+23"),
            (0x444b_1ae4_d6e2_ef4e, "999999999999999700000"),
            (0x444b_1ae4_d6e2_ef4f, "999999999999999900000"),
            (0x444b_1ae4_d6e2_ef50, "1e+21"),
            (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"),
            (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
            (0x41b3_de43_5555_5553, "333333333.3333332"),
            (0x41b3_de43_5555_5554, "333333333.33333325"),
            (0x41b3_de43_5555_5555, "333333333.3333333"),
            (0x41b3_de43_5555_5556, "333333333.3333334"),
            (0x41b3_de43_5555_5557, "333333333.33333343"),
            (0xbecb_f647_612f_3696, "-0.0000033333333333333333"),
            (0x4314_3ff3_c1cb_0959, "1424953923781206.2"),
        ] {
            let value = Value::Float(f64::from_bits(bits));
            assert_eq!(to_vec(&value), Ok(text.as_bytes().to_vec()), "{bits:016x}");
        }
        for bits in [0x7fff_ffff_ffff_ffff, 0x7ff0_0000_0000_0000, 0xfff0_0000_0000_0000] {
            assert_eq!(to_vec(&Value::Float(f64::from_bits(bits))), Err(JcsError::Number));
        }
    }

    #[test]
    fn a_double_reads_back_as_itself() {
        // A generator with fixed seed (xorshift64*) over all bit patterns.
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..200_000 {
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            let number = f64::from_bits(state.wrapping_mul(0x2545_f491_4f6c_dd1d));
            if number.is_finite() {
                let text = String::from_utf8(to_vec(&Value::Float(number)).unwrap()).unwrap();
                assert_eq!(text.parse::<f64>().unwrap(), number, "{text}");
            }
        }
    }

    #[test]
    fn integers_beyond_a_double_are_refused() {
        assert_eq!(canonical("9007199254740991").unwrap(), "9007199254740991");
        assert_eq!(canonical("-9007199254740991").unwrap(), "-9007199254740991");
        assert_eq!(canonical("9007199254740992"), Err(JcsError::Number));
        for text in ["18446744073709551616", "9223372036854775808", "1e400", "-1e400"] {
            assert!(canonical(text).is_err(), "{text}");
        }
    }

    #[test]
    fn names_are_ordered_by_utf_16() {
        // U+FB33 is after U+1F600 in UTF-16 (D83D DE00), and before it in UTF-8.
        let text = "{\"\u{fb33}\":1,\"\u{1f600}\":2,\"\u{20ac}\":3,\"\\r\":4,\"1\":5,\"\u{80}\":6}";
        let wanted =
            "{\"\\r\":4,\"1\":5,\"\u{80}\":6,\"\u{20ac}\":3,\"\u{1f600}\":2,\"\u{fb33}\":1}";
        assert_eq!(canonical(text).unwrap(), wanted);
    }

    #[test]
    fn strings_are_escaped_no_more_than_needed() {
        let text =
            r#""\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/\u007f\u0008\u000c\u0009\u000d""#;
        let wanted = "\"\u{20ac}$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\u{7f}\\b\\f\\t\\r\"";
        assert_eq!(canonical(text).unwrap(), wanted);
    }

    #[test]
    fn surrogates_come_in_pairs() {
        assert_eq!(canonical(r#""\ud83d\ude00""#).unwrap(), "\"\u{1f600}\"");
        for text in [
            r#""\ud83d""#,
            r#""\ude00""#,
            r#""\ude00\ud83d""#,
            r#""\ud83dx""#,
            r#""\ud83d\n""#,
            r#"{"\ud83d":1}"#,
        ] {
            assert!(canonical(text).is_err(), "{text}");
        }
        assert!(Value::parse(b"\"\xed\xa0\xbd\"").is_err(), "a surrogate in UTF-8");
        assert!(Value::parse(b"\"\xff\"").is_err());
    }

    #[test]
    fn what_i_json_forbids_is_refused() {
        for text in [
            "",
            " ",
            "{",
            "[1,]",
            "{\"a\":1,}",
            "NaN",
            "Infinity",
            "-",
            "01",
            "1.",
            ".5",
            "+1",
            "\"\n\"",
            "{\"a\":1,\"a\":1}",
            "{\"a\":1,\"\\u0061\":2}",
            "1 2",
            "\u{feff}1",
            "'a'",
            "{a:1}",
            "nul",
            "[{\"b\":{\"x\":1,\"x\":1}}]",
        ] {
            assert!(Value::parse(text.as_bytes()).is_err(), "{text:?}");
        }
        let many: Vec<String> = (0..20).map(|n| format!("\"k{n}\":0")).collect();
        assert!(canonical(&format!("{{{}}}", many.join(","))).is_ok());
        assert!(canonical(&format!("{{{},\"k7\":0}}", many.join(","))).is_err());
    }

    #[test]
    fn depth_is_bounded() {
        let deep = |count: usize| format!("{}{}", "[".repeat(count), "]".repeat(count));
        assert!(canonical(&deep(100)).is_ok());
        assert!(canonical(&deep(100_000)).is_err());
        let mut value = Value::Null;
        for _ in 0..200 {
            value = Value::List(vec![value]);
        }
        assert_eq!(to_vec(&value), Err(JcsError::Depth));
    }

    #[test]
    fn no_message_quotes_the_text() {
        for text in
            ["{\"card\":4111111111111111,\"card\":1}", "{\"card\":411111111111111x}", "[\"4111"]
        {
            let message = Value::parse(text.as_bytes()).unwrap_err().to_string();
            assert!(!message.contains("411") && !message.contains("card"), "{message}");
        }
    }
}
