//! Fields as bytes: numbers little-endian, everything of open length behind its length. Read strictly, so that
//! one message has one form and nothing a peer says makes more memory than it sends.

use sift_policy::json::{JsonLimits, Object, Value};

/// How deep values are nested at most: reading them is recursive, and no kernel's `request.max_depth` is more.
const DEPTH: usize = 128;

/// A message that is none. What is in it is not said: it may hold anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

pub(super) type Read<T> = std::result::Result<T, Malformed>;

/// Most values of a message: what a kernel with the default limits takes.
fn most_values() -> usize {
    JsonLimits::default().values
}

/// Whether a value can be sent.
pub(super) fn fits(value: &Value) -> bool {
    let limits = JsonLimits { bytes: usize::MAX, depth: DEPTH, values: most_values() };
    value.check_limits(&limits).is_ok()
}

/// Writes fields behind each other.
pub(super) struct Writer<'a>(pub(super) &'a mut Vec<u8>);

impl Writer<'_> {
    pub(super) fn byte(&mut self, byte: u8) -> &mut Self {
        self.0.push(byte);
        self
    }

    /// As bytes of their own: a length that does not fit makes the frame too long, which is checked.
    fn length(&mut self, length: usize) -> &mut Self {
        self.0.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
        self
    }

    pub(super) fn unsigned(&mut self, number: u64) -> &mut Self {
        self.0.extend_from_slice(&number.to_le_bytes());
        self
    }

    pub(super) fn number(&mut self, number: i64) -> &mut Self {
        self.0.extend_from_slice(&number.to_le_bytes());
        self
    }

    pub(super) fn flag(&mut self, flag: bool) -> &mut Self {
        self.byte(u8::from(flag))
    }

    pub(super) fn array(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.length(bytes.len()).array(bytes)
    }

    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes())
    }

    pub(super) fn maybe(&mut self, text: Option<&str>) -> &mut Self {
        self.option(text, |writer, text| {
            writer.text(text);
        })
    }

    pub(super) fn option<T>(
        &mut self,
        value: Option<T>,
        write: impl FnOnce(&mut Self, T),
    ) -> &mut Self {
        self.flag(value.is_some());
        if let Some(value) = value {
            write(self, value);
        }
        self
    }

    pub(super) fn list<T>(
        &mut self,
        items: impl ExactSizeIterator<Item = T>,
        mut write: impl FnMut(&mut Self, T),
    ) -> &mut Self {
        self.length(items.len());
        for item in items {
            write(self, item);
        }
        self
    }

    pub(super) fn texts(&mut self, texts: &[String]) -> &mut Self {
        self.list(texts.iter(), |writer, text| {
            writer.text(text);
        })
    }

    /// Not as JSON text, in which `1` and `1.0` of the canonical form are the same.
    pub(super) fn value(&mut self, value: &Value) -> &mut Self {
        match value {
            Value::Null => self.byte(0),
            Value::Bool(value) => self.byte(1 + u8::from(*value)),
            Value::Int(number) => self.byte(3).number(*number),
            Value::Float(number) => self.byte(4).unsigned(number.to_bits()),
            Value::Str(text) => self.byte(5).text(text),
            Value::List(items) => self.byte(6).list(items.iter(), |writer, item| {
                writer.value(item);
            }),
            Value::Object(members) => self.byte(7).list(members.iter(), |writer, (name, item)| {
                writer.text(name).value(item);
            }),
        }
    }
}

/// Reads fields one after the other.
pub(super) struct Reader<'a> {
    left: &'a [u8],
    values: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { left: bytes, values: most_values() }
    }

    fn take(&mut self, length: usize) -> Read<&'a [u8]> {
        let (taken, left) = self.left.split_at_checked(length).ok_or(Malformed)?;
        self.left = left;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        self.take(N)?.try_into().map_err(|_| Malformed)
    }

    pub(super) fn byte(&mut self) -> Read<u8> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    fn length(&mut self) -> Read<usize> {
        usize::try_from(u32::from_le_bytes(self.array()?)).map_err(|_| Malformed)
    }

    pub(super) fn unsigned(&mut self) -> Read<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(super) fn number(&mut self) -> Read<i64> {
        Ok(i64::from_le_bytes(self.array()?))
    }

    pub(super) fn flag(&mut self) -> Read<bool> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed),
        }
    }

    pub(super) fn bytes(&mut self) -> Read<&'a [u8]> {
        let length = self.length()?;
        self.take(length)
    }

    pub(super) fn str(&mut self) -> Read<&'a str> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Malformed)
    }

    pub(super) fn text(&mut self) -> Read<String> {
        self.str().map(str::to_owned)
    }

    pub(super) fn maybe(&mut self) -> Read<Option<String>> {
        self.option(Self::text)
    }

    pub(super) fn option<T>(&mut self, read: impl FnOnce(&mut Self) -> Read<T>) -> Read<Option<T>> {
        if self.flag()? {
            read(self).map(Some)
        } else {
            Ok(None)
        }
    }

    pub(super) fn list<T>(&mut self, mut read: impl FnMut(&mut Self) -> Read<T>) -> Read<Vec<T>> {
        let length = self.length()?;
        // An item takes a byte at least; room is made as items come, and not for what is announced.
        if length > self.left.len() {
            return Err(Malformed);
        }
        let mut items = Vec::with_capacity(length.min(64));
        for _ in 0..length {
            items.push(read(self)?);
        }
        Ok(items)
    }

    pub(super) fn texts(&mut self) -> Read<Vec<String>> {
        self.list(Self::text)
    }

    pub(super) fn value(&mut self) -> Read<Value> {
        self.nested(DEPTH)
    }

    /// Recursion is bounded by `depth`.
    fn nested(&mut self, depth: usize) -> Read<Value> {
        self.values = self.values.checked_sub(1).ok_or(Malformed)?;
        Ok(match self.byte()? {
            0 => Value::Null,
            1 => Value::Bool(false),
            2 => Value::Bool(true),
            3 => Value::Int(self.number()?),
            4 => Value::Float(
                Some(f64::from_bits(self.unsigned()?))
                    .filter(|number| number.is_finite())
                    .ok_or(Malformed)?,
            ),
            5 => Value::Str(self.str()?.into()),
            6 => {
                let depth = depth.checked_sub(1).ok_or(Malformed)?;
                Value::List(self.list(|reader| reader.nested(depth))?)
            }
            7 => {
                let depth = depth.checked_sub(1).ok_or(Malformed)?;
                let members: Vec<(Box<str>, Value)> =
                    self.list(|reader| Ok((reader.str()?.into(), reader.nested(depth)?)))?;
                // One order of members, and none twice: one value has one form.
                if members.windows(2).any(|pair| matches!(pair, [a, b] if a.0 >= b.0)) {
                    return Err(Malformed);
                }
                Value::Object(Object::from_members(members).map_err(|_| Malformed)?)
            }
            _ => return Err(Malformed),
        })
    }

    /// Errors: something is left.
    pub(super) fn end(self) -> Read<()> {
        if self.left.is_empty() {
            Ok(())
        } else {
            Err(Malformed)
        }
    }
}
