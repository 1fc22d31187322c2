//! Operators and the writer that applies them. This crate never scans: it is told what to keep and what
//! to edit, from left to right, and builds the output.
//!
//! ```
//! use sift_redact::{Operator, Plan, Writer};
//!
//! let mask = Operator::mask('*', 0, 4).map_err(|e| e.to_string())?;
//! let plan = Plan::new(vec!["<CARD>".into()], vec![mask]);
//! let mut writer = Writer::default();
//! writer.text(b"card ");
//! writer.edit(&plan, 0, Some(b"4111111111111111"));
//! assert_eq!(writer.output(), b"card ************1111");
//! # Ok::<(), String>(())
//! ```

#![forbid(unsafe_code)]

/// What is put in the place of a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operator {
    /// A fixed text, or the entity type in angle brackets.
    Replace {
        /// The text; none for `<ENTITY_TYPE>`.
        with: Option<String>,
    },
    /// Nothing.
    Remove,
    /// The same number of characters, all but some at the ends masked. Made by [`Operator::mask`].
    Mask(Mask),
}

/// Arguments of a mask, known to be usable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask {
    with: char,
    keep_first: usize,
    keep_last: usize,
}

/// A mask may show at most this many characters of a value, and never more than a third of it: a mask
/// that shows a short secret is no mask.
pub const MAX_KEPT: usize = 8;

impl Operator {
    /// A mask that shows `keep_first` and `keep_last` characters, at most [`MAX_KEPT`] together. Values
    /// of which that would show more than a third are masked whole.
    pub fn mask(with: char, keep_first: usize, keep_last: usize) -> Result<Self, OperatorError> {
        if keep_first.saturating_add(keep_last) > MAX_KEPT {
            return Err(OperatorError);
        }
        Ok(Self::Mask(Mask { with, keep_first, keep_last }))
    }

    /// Whether it has to see the value.
    pub fn needs_value(&self) -> bool {
        matches!(self, Self::Mask(_))
    }

    /// The word used in the API.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Replace { .. } => "replace",
            Self::Remove => "remove",
            Self::Mask(_) => "mask",
        }
    }
}

/// A mask that would show too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OperatorError;

impl std::fmt::Display for OperatorError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a mask may keep at most {MAX_KEPT} characters in all")
    }
}

impl std::error::Error for OperatorError {}

/// For each rule: its placeholder and its operator.
#[derive(Clone, Debug)]
pub struct Plan {
    placeholders: Vec<String>,
    operators: Vec<Operator>,
}

impl Plan {
    /// `placeholders` and `operators` by rule number; what is missing is replaced by `<REDACTED>`.
    pub fn new(placeholders: Vec<String>, operators: Vec<Operator>) -> Self {
        Self { placeholders, operators }
    }

    /// Whether the rule's operator has to see the value.
    pub fn needs_value(&self, rule: u32) -> bool {
        self.operators.get(rule as usize).is_some_and(Operator::needs_value)
    }
}

/// One edit, in the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    /// The rule.
    pub rule: u32,
    /// First byte of the replacement in the output.
    pub start: usize,
    /// One past its last byte.
    pub end: usize,
    /// Name of the operator that was applied.
    pub operator: &'static str,
}

/// Builds the output.
#[derive(Clone, Debug, Default)]
pub struct Writer {
    output: Vec<u8>,
    items: Vec<Item>,
    /// Bytes already taken by the caller of [`Writer::take`].
    taken: usize,
}

impl Writer {
    /// Text that stays.
    pub fn text(&mut self, bytes: &[u8]) {
        self.output.extend_from_slice(bytes);
    }

    /// The place of a finding. Without the value an operator that needs it falls back to the placeholder.
    pub fn edit(&mut self, plan: &Plan, rule: u32, value: Option<&[u8]>) {
        let start = self.taken + self.output.len();
        let placeholder = plan.placeholders.get(rule as usize).map_or("<REDACTED>", String::as_str);
        let operator = match (plan.operators.get(rule as usize), value) {
            (Some(operator @ Operator::Mask(mask)), Some(value)) => {
                mask.apply(value, &mut self.output);
                operator.name()
            }
            (Some(Operator::Remove), _) => Operator::Remove.name(),
            (Some(Operator::Replace { with: Some(text) }), _) => {
                self.output.extend_from_slice(text.as_bytes());
                "replace"
            }
            _ => {
                self.output.extend_from_slice(placeholder.as_bytes());
                "replace"
            }
        };
        self.items.push(Item { rule, start, end: self.taken + self.output.len(), operator });
    }

    /// The output not yet taken.
    pub fn output(&self) -> &[u8] {
        &self.output
    }

    /// Takes the output so far; the offsets of items go on counting.
    pub fn take(&mut self) -> Vec<u8> {
        self.taken += self.output.len();
        std::mem::take(&mut self.output)
    }

    /// The edits, in order.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// Output and edits.
    pub fn into_parts(self) -> (Vec<u8>, Vec<Item>) {
        (self.output, self.items)
    }
}

impl Mask {
    fn apply(&self, value: &[u8], out: &mut Vec<u8>) {
        // Invalid UTF-8 has no characters to keep: each of its bytes is one masked place.
        let characters: Vec<&[u8]> = match std::str::from_utf8(value) {
            Ok(text) => text
                .char_indices()
                .map(|(at, c)| value.get(at..at + c.len_utf8()).unwrap_or_default())
                .collect(),
            Err(_) => vec![b""; value.len()],
        };
        let count = characters.len();
        let shows =
            (self.keep_first + self.keep_last) * 3 <= count && !characters.contains(&&b""[..]);
        let mut buffer = [0; 4];
        let with = self.with.encode_utf8(&mut buffer).as_bytes();
        for (i, character) in characters.into_iter().enumerate() {
            let kept = shows && (i < self.keep_first || i >= count - self.keep_last);
            out.extend_from_slice(if kept { character } else { with });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edited(operator: Operator, value: Option<&[u8]>) -> String {
        let plan = Plan::new(vec!["<X>".to_owned()], vec![operator]);
        let mut writer = Writer::default();
        writer.text("é ".as_bytes());
        writer.edit(&plan, 0, value);
        writer.text(b".");
        let item = writer.items()[0];
        let (output, _) = writer.into_parts();
        assert_eq!(item.start, 3);
        assert_eq!(item.end, output.len() - 1);
        String::from_utf8(output).unwrap()
    }

    #[test]
    fn operators() {
        let mask = |first, last| Operator::mask('*', first, last).unwrap();
        assert_eq!(edited(Operator::Replace { with: None }, None), "é <X>.");
        assert_eq!(edited(Operator::Replace { with: Some("-".into()) }, None), "é -.");
        assert_eq!(edited(Operator::Remove, None), "é .");
        assert_eq!(edited(mask(1, 2), Some("aébcdefgh".as_bytes())), "é a******gh.");
        assert_eq!(edited(mask(0, 4), Some(b"short")), "é *****.");
        assert_eq!(edited(mask(0, 1), Some(&[0xff, b'a', b'b', b'c'])), "é ****.");
        assert_eq!(edited(mask(0, 4), None), "é <X>.");
        assert!(Operator::mask('*', 5, 4).is_err());
    }
}
