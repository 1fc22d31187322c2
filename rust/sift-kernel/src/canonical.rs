//! RFC 8785 bytes of a request's arguments, written in one pass.
//!
//! The general writer is `sift_ledger::jcs`; this one saves the copy into that crate's values, and the tests
//! hold the two together. A request is canonicalised at every authorization, so the copy would be felt.

use sift_ledger::jcs::{self, write_text};
use sift_policy::json::Value;

use crate::error::{KernelError, Result};

/// Appends the canonical bytes of a value.
///
/// Errors: an integer beyond 2^53 - 1, which other readers of JSON would round; a float that is not finite.
pub(crate) fn write(value: &Value, out: &mut Vec<u8>) -> Result<()> {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Int(number) => integer(*number, out)?,
        Value::Float(number) => {
            let bytes = jcs::to_vec(&jcs::Value::Float(*number)).map_err(refused)?;
            out.extend_from_slice(&bytes);
        }
        Value::Str(text) => write_text(text, out),
        Value::List(items) => {
            out.push(b'[');
            for (place, item) in items.iter().enumerate() {
                if place > 0 {
                    out.push(b',');
                }
                write(item, out)?;
            }
            out.push(b']');
        }
        Value::Object(members) => {
            out.push(b'{');
            // Members come in the order of their bytes, which is that of their UTF-16 units unless one of the
            // two kinds of characters that change places is there: U+E000 to U+FFFF, and those beyond.
            if members.iter().any(|(name, _)| name.bytes().any(|byte| byte >= 0xee)) {
                let mut sorted: Vec<_> = members.iter().collect();
                sorted.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
                object(sorted.into_iter(), out)?;
            } else {
                object(members.iter(), out)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

fn object<'a>(
    members: impl Iterator<Item = (&'a str, &'a Value)>,
    out: &mut Vec<u8>,
) -> Result<()> {
    for (place, (name, value)) in members.enumerate() {
        if place > 0 {
            out.push(b',');
        }
        write_text(name, out);
        out.push(b':');
        write(value, out)?;
    }
    Ok(())
}

/// Appends an integer.
pub(crate) fn integer(number: i64, out: &mut Vec<u8>) -> Result<()> {
    jcs::write_integer(number, out).map_err(refused)
}

fn refused(error: jcs::JcsError) -> KernelError {
    KernelError::Invalid(format!("the arguments hold {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sift_policy::json::{parse, JsonLimits};

    fn same(text: &str) {
        let ours = parse(text.as_bytes(), &JsonLimits::default()).unwrap();
        let mut out = Vec::new();
        write(&ours, &mut out).unwrap();
        let theirs = jcs::to_vec(&jcs::Value::parse(text.as_bytes()).unwrap()).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), String::from_utf8(theirs).unwrap(), "{text}");
    }

    #[test]
    fn as_the_general_writer() {
        for text in [
            "null",
            "[true,false,0,-1,9007199254740991,1.5,1e21,1e-7,-0.0,0.1]",
            r#"{"b":1,"a":{"z":[],"":{}}}"#,
            r#"{"\ud83d\ude00":1,"\ufb33":2,"a":3,"\ue000":4,"é":5}"#,
            r#""\u0000\u0001\b\t\n\u000b\f\r\u001f \"\\/\u007f\u2028é\ud83d\ude00""#,
        ] {
            same(text);
        }
    }

    #[test]
    fn what_others_would_round_is_refused() {
        for text in ["9007199254740992", "[-9007199254740992]", r#"{"a":9223372036854775807}"#] {
            let value = parse(text.as_bytes(), &JsonLimits::default()).unwrap();
            assert!(write(&value, &mut Vec::new()).is_err(), "{text}");
        }
    }
}
