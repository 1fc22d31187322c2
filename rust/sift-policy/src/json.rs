//! Strict parser of untrusted request JSON, and the value every check of an action reads.
//!
//! RFC 8259 with what it leaves open closed: a document that two parsers could read differently is refused. Refused
//! are duplicate keys, `NaN` and infinities, numbers beyond a double, integers beyond 64 bits with sign, lone
//! surrogates, invalid UTF-8, a byte order mark, and anything over [`JsonLimits`].

use std::fmt;

/// What a document may cost. Every limit is inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JsonLimits {
    /// Bytes of the document.
    pub bytes: usize,
    /// Levels of arrays and objects.
    pub depth: usize,
    /// Values in all: each scalar, array and object counts one.
    pub values: usize,
}

impl Default for JsonLimits {
    fn default() -> Self {
        Self { bytes: 256 * 1024, depth: 32, values: 16 * 1024 }
    }
}

/// A JSON value whose integers and floats are told apart.
///
/// `Debug` shows the shape and never a key or a value: arguments of an action may hold secrets.
#[derive(Clone, PartialEq)]
pub enum Value {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number written without fraction and exponent.
    Int(i64),
    /// Any other number; finite.
    Float(f64),
    /// A string.
    Str(Box<str>),
    /// An array.
    List(Vec<Value>),
    /// An object.
    Object(Object),
}

/// Members of an object in the order of their keys' bytes, each key once.
#[derive(Clone, PartialEq, Default)]
pub struct Object(Vec<(Box<str>, Value)>);

impl Object {
    /// An object of these members in any order.
    ///
    /// # Errors
    /// A key that appears twice.
    pub fn from_members(mut members: Vec<(Box<str>, Value)>) -> Result<Self, JsonError> {
        members.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        if members.windows(2).any(|pair| matches!(pair, [a, b] if a.0 == b.0)) {
            return Err(JsonError { kind: JsonErrorKind::DuplicateKey, offset: 0 });
        }
        Ok(Self(members))
    }

    /// The value of a member.
    #[inline]
    pub fn get(&self, key: &str) -> Option<&Value> {
        // Arguments have a handful of members, where a walk beats halving.
        if self.0.len() <= 8 {
            return self.0.iter().find(|member| &*member.0 == key).map(|member| &member.1);
        }
        let found = self.0.binary_search_by(|member| (*member.0).cmp(key)).ok()?;
        self.0.get(found).map(|member| &member.1)
    }

    /// Members in the order of their keys.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> + '_ {
        self.0.iter().map(|(key, value)| (&**key, value))
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no member.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn members(&self) -> std::slice::Iter<'_, (Box<str>, Value)> {
        self.0.iter()
    }
}

impl Value {
    /// The value a JSON pointer (RFC 6901) names, such as `/order/amount`; `""` is the whole document.
    pub fn pointer(&self, pointer: &str) -> Option<&Value> {
        let mut value = self;
        if pointer.is_empty() {
            return Some(value);
        }
        for step in pointer.strip_prefix('/')?.split('/') {
            let unescaped;
            let key = if step.contains('~') {
                unescaped = step.replace("~1", "/").replace("~0", "~");
                &unescaped
            } else {
                step
            };
            value = match value {
                Value::Object(object) => object.get(key)?,
                Value::List(list) if key == "0" || !key.starts_with('0') => {
                    list.get(key.parse::<usize>().ok()?)?
                }
                _ => return None,
            };
        }
        Some(value)
    }

    /// The string, if this is one.
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

    /// The object, if this is one.
    pub fn as_object(&self) -> Option<&Object> {
        match self {
            Value::Object(object) => Some(object),
            _ => None,
        }
    }

    /// Checks the limits of [`parse`] on a value that was built and not parsed.
    ///
    /// # Errors
    /// The limit that is exceeded, or a float that is not finite. `bytes` counts keys and strings only.
    pub fn check_limits(&self, limits: &JsonLimits) -> Result<(), JsonError> {
        fn walk(
            value: &Value,
            depth: usize,
            bytes: &mut usize,
            values: &mut usize,
        ) -> Result<(), JsonErrorKind> {
            *values = values.checked_sub(1).ok_or(JsonErrorKind::TooManyValues)?;
            let mut spend = |text: &str| {
                *bytes = bytes.checked_sub(text.len()).ok_or(JsonErrorKind::TooLong)?;
                Ok(())
            };
            match value {
                Value::Float(number) if !number.is_finite() => Err(JsonErrorKind::NumberTooLarge),
                Value::Str(text) => spend(text),
                Value::List(list) => {
                    let depth = depth.checked_sub(1).ok_or(JsonErrorKind::TooDeep)?;
                    list.iter().try_for_each(|item| walk(item, depth, bytes, values))
                }
                Value::Object(object) => {
                    let depth = depth.checked_sub(1).ok_or(JsonErrorKind::TooDeep)?;
                    for (key, item) in object.iter() {
                        *bytes = bytes.checked_sub(key.len()).ok_or(JsonErrorKind::TooLong)?;
                        walk(item, depth, bytes, values)?;
                    }
                    Ok(())
                }
                _ => Ok(()),
            }
        }
        let (mut bytes, mut values) = (limits.bytes, limits.values);
        walk(self, limits.depth, &mut bytes, &mut values)
            .map_err(|kind| JsonError { kind, offset: 0 })
    }

    /// From the `serde_json` form.
    ///
    /// # Errors
    /// An integer beyond 64 bits with sign.
    pub fn from_serde(value: &serde_json::Value) -> Result<Self, JsonError> {
        Ok(match value {
            serde_json::Value::Null => Value::Null,
            serde_json::Value::Bool(value) => Value::Bool(*value),
            serde_json::Value::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(integer), _) => Value::Int(integer),
                (None, Some(float)) if number.is_f64() && float.is_finite() => Value::Float(float),
                _ => return Err(JsonError { kind: JsonErrorKind::IntegerTooLarge, offset: 0 }),
            },
            serde_json::Value::String(text) => Value::Str(text.as_str().into()),
            serde_json::Value::Array(items) => {
                Value::List(items.iter().map(Value::from_serde).collect::<Result<_, _>>()?)
            }
            serde_json::Value::Object(members) => {
                let members = members
                    .iter()
                    .map(|(key, value)| Ok((key.as_str().into(), Value::from_serde(value)?)))
                    .collect::<Result<_, JsonError>>()?;
                Value::Object(Object::from_members(members)?)
            }
        })
    }

    /// The `serde_json` form.
    pub fn to_serde(&self) -> serde_json::Value {
        match self {
            Value::Null => serde_json::Value::Null,
            Value::Bool(value) => (*value).into(),
            Value::Int(value) => (*value).into(),
            Value::Float(value) => (*value).into(),
            Value::Str(value) => (**value).into(),
            Value::List(list) => list.iter().map(Value::to_serde).collect(),
            Value::Object(object) => {
                object
                    .iter()
                    .map(|(key, value)| (key.to_owned(), value.to_serde()))
                    .collect::<serde_json::Map<_, _>>()
            }
            .into(),
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("null"),
            Value::Bool(_) => f.write_str("bool"),
            Value::Int(_) => f.write_str("int"),
            Value::Float(_) => f.write_str("float"),
            Value::Str(text) => write!(f, "str({} bytes)", text.len()),
            Value::List(list) => write!(f, "list({} items)", list.len()),
            Value::Object(object) => object.fmt(f),
        }
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "object({} members)", self.0.len())
    }
}

/// Why a document was refused, and at which byte. Holds no content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("request JSON is refused at byte {offset}: {kind}")]
pub struct JsonError {
    /// What is wrong.
    pub kind: JsonErrorKind,
    /// Bytes from the start; 0 when the value was built and not parsed.
    pub offset: usize,
}

/// Reasons to refuse a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JsonErrorKind {
    /// Over `JsonLimits::bytes`.
    #[error("the document is longer than the limit")]
    TooLong,
    /// Over `JsonLimits::depth`.
    #[error("arrays and objects are nested deeper than the limit")]
    TooDeep,
    /// Over `JsonLimits::values`.
    #[error("there are more values than the limit")]
    TooManyValues,
    /// Not RFC 8259.
    #[error("it is not JSON")]
    Syntax,
    /// The text ends within a value.
    #[error("it ends within a value")]
    Truncated,
    /// Something follows the value.
    #[error("something follows the value")]
    Trailing,
    /// An object names a key twice.
    #[error("an object names the same key twice")]
    DuplicateKey,
    /// An integer that 64 bits with sign do not hold.
    #[error("an integer is outside the range of 64 bits with sign; send it as a string")]
    IntegerTooLarge,
    /// A number that a double does not hold.
    #[error("a number is too large for a double")]
    NumberTooLarge,
    /// `\ud800` without its partner.
    #[error("a string has a surrogate without its partner")]
    LoneSurrogate,
    /// Not UTF-8.
    #[error("a string is not UTF-8")]
    InvalidUtf8,
}

/// Parses one document.
///
/// # Errors
/// The first reason to refuse it and its place in bytes.
///
/// # Examples
/// ```
/// use sift_policy::json::{parse, JsonErrorKind, JsonLimits, Value};
/// let value = parse(br#"{"amount": 500}"#, &JsonLimits::default())?;
/// assert_eq!(value.pointer("/amount"), Some(&Value::Int(500)));
/// let twice = parse(br#"{"amount": 1, "amount": 500}"#, &JsonLimits::default());
/// assert_eq!(twice.map_err(|error| error.kind), Err(JsonErrorKind::DuplicateKey));
/// # Ok::<(), sift_policy::json::JsonError>(())
/// ```
pub fn parse(text: &[u8], limits: &JsonLimits) -> Result<Value, JsonError> {
    let mut parser = Parser { text, at: 0, values: limits.values };
    let parsed = if text.len() > limits.bytes {
        Err(JsonErrorKind::TooLong)
    } else {
        parser.document(limits.depth)
    };
    parsed.map_err(|kind| JsonError { kind, offset: parser.at })
}

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
    values: usize,
}

type Parsed<T> = Result<T, JsonErrorKind>;

impl<'a> Parser<'a> {
    fn document(&mut self, depth: usize) -> Parsed<Value> {
        let value = self.value(depth)?;
        self.space();
        if self.at == self.text.len() {
            Ok(value)
        } else {
            Err(JsonErrorKind::Trailing)
        }
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    #[inline]
    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Parsed<()> {
        match self.peek() {
            Some(found) if found == byte => {
                self.at += 1;
                Ok(())
            }
            Some(_) => Err(JsonErrorKind::Syntax),
            None => Err(JsonErrorKind::Truncated),
        }
    }

    fn word(&mut self, word: &[u8], value: Value) -> Parsed<Value> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        if rest.starts_with(word) {
            self.at += word.len();
            Ok(value)
        } else if word.starts_with(rest) {
            Err(JsonErrorKind::Truncated)
        } else {
            Err(JsonErrorKind::Syntax)
        }
    }

    // Recursion is bounded by `depth`, which the caller limits.
    fn value(&mut self, depth: usize) -> Parsed<Value> {
        self.space();
        self.values = self.values.checked_sub(1).ok_or(JsonErrorKind::TooManyValues)?;
        match self.peek().ok_or(JsonErrorKind::Truncated)? {
            b'{' => self.object(depth.checked_sub(1).ok_or(JsonErrorKind::TooDeep)?),
            b'[' => self.list(depth.checked_sub(1).ok_or(JsonErrorKind::TooDeep)?),
            b'"' => Ok(Value::Str(self.string()?)),
            b't' => self.word(b"true", Value::Bool(true)),
            b'f' => self.word(b"false", Value::Bool(false)),
            b'n' => self.word(b"null", Value::Null),
            b'-' | b'0'..=b'9' => self.number(),
            _ => Err(JsonErrorKind::Syntax),
        }
    }

    fn object(&mut self, depth: usize) -> Parsed<Value> {
        self.at += 1;
        let mut members: Vec<(Box<str>, Value)> = Vec::new();
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Value::Object(Object(members)));
        }
        loop {
            self.space();
            if self.peek().is_some_and(|byte| byte != b'"') {
                return Err(JsonErrorKind::Syntax);
            }
            let key = self.string()?;
            self.space();
            self.expect(b':')?;
            let value = self.value(depth)?;
            members.push((key, value));
            self.space();
            match self.peek().ok_or(JsonErrorKind::Truncated)? {
                b',' => self.at += 1,
                b'}' => break,
                _ => return Err(JsonErrorKind::Syntax),
            }
        }
        self.at += 1;
        Object::from_members(members).map(Value::Object).map_err(|error| error.kind)
    }

    fn list(&mut self, depth: usize) -> Parsed<Value> {
        self.at += 1;
        let mut items = Vec::new();
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Value::List(items));
        }
        loop {
            items.push(self.value(depth)?);
            self.space();
            match self.peek().ok_or(JsonErrorKind::Truncated)? {
                b',' => self.at += 1,
                b']' => break,
                _ => return Err(JsonErrorKind::Syntax),
            }
        }
        self.at += 1;
        Ok(Value::List(items))
    }

    fn number(&mut self) -> Parsed<Value> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits()?,
            Some(_) => return Err(JsonErrorKind::Syntax),
            None => return Err(JsonErrorKind::Truncated),
        }
        if self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            return Err(JsonErrorKind::Syntax);
        }
        let mut integer = true;
        if self.peek() == Some(b'.') {
            integer = false;
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            integer = false;
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        let written =
            self.text.get(start..self.at).and_then(|bytes| std::str::from_utf8(bytes).ok());
        let written = written.ok_or(JsonErrorKind::Syntax)?;
        if integer {
            written.parse().map(Value::Int).map_err(|_| JsonErrorKind::IntegerTooLarge)
        } else {
            match written.parse::<f64>() {
                Ok(number) if number.is_finite() => Ok(Value::Float(number)),
                _ => Err(JsonErrorKind::NumberTooLarge),
            }
        }
    }

    fn digits(&mut self) -> Parsed<()> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        match (self.at > start, self.peek()) {
            (true, _) => Ok(()),
            (false, Some(_)) => Err(JsonErrorKind::Syntax),
            (false, None) => Err(JsonErrorKind::Truncated),
        }
    }

    fn string(&mut self) -> Parsed<Box<str>> {
        self.expect(b'"')?;
        let start = self.at;
        loop {
            match self.peek().ok_or(JsonErrorKind::Truncated)? {
                b'"' => {
                    let text = self.utf8(start)?;
                    self.at += 1;
                    return Ok(text.into());
                }
                b'\\' => break,
                0..=0x1f => return Err(JsonErrorKind::Syntax),
                _ => self.at += 1,
            }
        }
        let mut text = String::from(self.utf8(start)?);
        let mut plain = self.at;
        loop {
            match self.peek().ok_or(JsonErrorKind::Truncated)? {
                b'"' => {
                    text.push_str(self.utf8(plain)?);
                    self.at += 1;
                    return Ok(text.into());
                }
                b'\\' => {
                    text.push_str(self.utf8(plain)?);
                    self.at += 1;
                    text.push(self.escape()?);
                    plain = self.at;
                }
                0..=0x1f => return Err(JsonErrorKind::Syntax),
                _ => self.at += 1,
            }
        }
    }

    fn utf8(&self, start: usize) -> Parsed<&'a str> {
        let bytes = self.text.get(start..self.at).unwrap_or_default();
        std::str::from_utf8(bytes).map_err(|_| JsonErrorKind::InvalidUtf8)
    }

    fn escape(&mut self) -> Parsed<char> {
        let byte = self.peek().ok_or(JsonErrorKind::Truncated)?;
        self.at += 1;
        Ok(match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let unit = self.unit()?;
                let code = match unit {
                    0xd800..=0xdbff => {
                        if self.text.get(self.at..).is_none_or(|rest| !rest.starts_with(b"\\u")) {
                            return Err(JsonErrorKind::LoneSurrogate);
                        }
                        self.at += 2;
                        match self.unit()? {
                            low @ 0xdc00..=0xdfff => {
                                0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00)
                            }
                            _ => return Err(JsonErrorKind::LoneSurrogate),
                        }
                    }
                    _ => unit,
                };
                char::from_u32(code).ok_or(JsonErrorKind::LoneSurrogate)?
            }
            _ => return Err(JsonErrorKind::Syntax),
        })
    }

    fn unit(&mut self) -> Parsed<u32> {
        let mut unit = 0;
        for _ in 0..4 {
            let byte = self.peek().ok_or(JsonErrorKind::Truncated)?;
            unit = unit * 16 + char::from(byte).to_digit(16).ok_or(JsonErrorKind::Syntax)?;
            self.at += 1;
        }
        Ok(unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &[u8]) -> JsonErrorKind {
        parse(text, &JsonLimits::default()).unwrap_err().kind
    }

    #[test]
    fn what_two_parsers_could_read_differently_is_refused() {
        use JsonErrorKind::*;
        for (text, expected) in [
            (&br#"{"a":1,"a":1}"#[..], DuplicateKey),
            (br#"{"a":1,"\u0061":2}"#, DuplicateKey),
            (br#"[{"b":{"x":1,"y":2,"x":3}}]"#, DuplicateKey),
            (b"9223372036854775808", IntegerTooLarge),
            (b"-9223372036854775809", IntegerTooLarge),
            (b"1e999", NumberTooLarge),
            (b"NaN", Syntax),
            (b"Infinity", Syntax),
            (b"-Infinity", Syntax),
            (br#""\ud800""#, LoneSurrogate),
            (br#""\ud800x""#, LoneSurrogate),
            (br#""\ud800\u0041""#, LoneSurrogate),
            (br#""\udc00\ud800""#, LoneSurrogate),
            (b"\"\xff\"", InvalidUtf8),
            (b"\"\xed\xa0\x80\"", InvalidUtf8),
            (b"\xef\xbb\xbf1", Syntax),
            (b"01", Syntax),
            (b"+1", Syntax),
            (b".5", Syntax),
            (b"1.", Truncated),
            (b"1.e3", Syntax),
            (b"[1,]", Syntax),
            (b"{,}", Syntax),
            (b"{\"a\":1,}", Syntax),
            (b"[1] 2", Trailing),
            (b"1//", Trailing),
            (b"\"\n\"", Syntax),
            (br#""\x41""#, Syntax),
            (b"", Truncated),
            (b"tru", Truncated),
            (b"{\"a\"", Truncated),
            (b"'a'", Syntax),
        ] {
            assert_eq!(kind(text), expected, "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn every_prefix_of_a_document_is_truncated() {
        let text = br#"{"a": [true, null, "\u00e9\n"], "b": {"c": -1.5e3}}"#;
        assert!(parse(text, &JsonLimits::default()).is_ok());
        for end in 0..text.len() {
            let expected = if text[..end].ends_with(b"\\") {
                JsonErrorKind::Truncated
            } else {
                kind(&text[..end])
            };
            assert_eq!(expected, JsonErrorKind::Truncated, "{end}");
        }
    }

    #[test]
    fn values_are_read_exactly() {
        let text =
            r#" {"i":-9223372036854775808,"f":1.0,"z":-0,"s":"\ud83d\ude00\u0000/","l":[[],{}]} "#;
        let value = parse(text.as_bytes(), &JsonLimits::default()).unwrap();
        assert_eq!(value.pointer("/i"), Some(&Value::Int(i64::MIN)));
        assert_eq!(value.pointer("/f"), Some(&Value::Float(1.0)));
        assert_eq!(value.pointer("/z"), Some(&Value::Int(0)));
        assert_eq!(value.pointer("/s").and_then(Value::as_str), Some("\u{1f600}\0/"));
        assert_eq!(value.pointer("/l/1"), Some(&Value::Object(Object::default())));
        assert_eq!(value.pointer("/l/01"), None);
        assert_eq!(value.pointer("l"), None);
    }

    #[test]
    fn limits_hold_for_parsed_and_for_built_values() {
        let limits = JsonLimits { bytes: 40, depth: 3, values: 6 };
        assert!(parse(b"[[[1]]]", &limits).is_ok());
        let deep = parse(b"[[[[]]]]", &JsonLimits::default()).unwrap();
        assert_eq!(parse(b"[[[[]]]]", &limits).unwrap_err().kind, JsonErrorKind::TooDeep);
        assert_eq!(deep.check_limits(&limits).unwrap_err().kind, JsonErrorKind::TooDeep);
        let many = parse(b"[1,2,3,4,5,6]", &JsonLimits::default()).unwrap();
        assert_eq!(
            parse(b"[1,2,3,4,5,6]", &limits).unwrap_err().kind,
            JsonErrorKind::TooManyValues
        );
        assert_eq!(many.check_limits(&limits).unwrap_err().kind, JsonErrorKind::TooManyValues);
        let long = Value::Str("x".repeat(41).into());
        assert_eq!(long.check_limits(&limits).unwrap_err().kind, JsonErrorKind::TooLong);
        assert_eq!(parse(&[b' '; 41], &limits).unwrap_err().kind, JsonErrorKind::TooLong);
        assert_eq!(
            Value::Float(f64::NAN).check_limits(&limits).unwrap_err().kind,
            JsonErrorKind::NumberTooLarge
        );
    }

    #[test]
    fn debug_shows_no_content() {
        let value = parse(br#"{"hidden":["private"]}"#, &JsonLimits::default()).unwrap();
        let shown = format!("{value:?} {:?}", value.pointer("/hidden/0"));
        assert!(!shown.contains("hidden") && !shown.contains("private"), "{shown}");
    }
}
