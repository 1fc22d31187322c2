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

mod key;
mod restore;
mod url;
mod vault;

use zeroize::Zeroizing;

pub use key::{Key, KEY_BYTES};
pub use restore::{decrypt, Escape, Permission, Restorer};
pub use vault::{Capacity, Register, Vault, VaultError, MAX_ENTITY};

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
    /// `<ENTITY_TYPE:h:KEY:...>`: a keyed hash.
    Hash(Key),
    /// `<ENTITY_TYPE:e:KEY:...>`: the value itself, readable with the key.
    Encrypt(Key),
    /// `<ENTITY_TYPE_1>`: the number of the value. Leaves a hole that the caller fills.
    Pseudonym,
    /// Nothing is edited; a [`Plan`] says so to whoever looks for findings.
    Keep,
    /// What the caller's function with this number says. Leaves a hole.
    Call(usize),
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
        !matches!(self, Self::Replace { .. } | Self::Remove | Self::Keep)
    }

    /// The word used in the API.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Replace { .. } => "replace",
            Self::Remove => "remove",
            Self::Mask(_) => "mask",
            Self::Hash(_) => "hash",
            Self::Encrypt(_) => "encrypt",
            Self::Pseudonym => "pseudonym",
            Self::Keep => "keep",
            Self::Call(_) => "callable",
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
    /// Whether any operator can be undone.
    reversible: bool,
    least: Option<f32>,
}

impl Plan {
    /// `placeholders` and `operators` by rule number; what is missing is replaced by `<REDACTED>`.
    pub fn new(placeholders: Vec<String>, operators: Vec<Operator>) -> Self {
        let undone = |o: &Operator| matches!(o, Operator::Pseudonym | Operator::Encrypt(_));
        let reversible = operators.iter().any(undone);
        Self { placeholders, operators, reversible, least: None }
    }

    /// The same plan for findings of this score and more.
    #[must_use]
    pub fn from_score(self, least: f32) -> Self {
        Self { least: Some(least), ..self }
    }

    /// The least score of what is edited, if it is not the usual one.
    pub fn least(&self) -> Option<f32> {
        self.least
    }

    /// Whether the rule's operator has to see the value.
    pub fn needs_value(&self, rule: u32) -> bool {
        self.operator(rule).is_some_and(Operator::needs_value)
    }

    /// Whether the rule's findings are left as they are.
    pub fn keeps(&self, rule: u32) -> bool {
        matches!(self.operator(rule), Some(Operator::Keep))
    }

    /// The rule's operator, if it was given one.
    pub fn operator(&self, rule: u32) -> Option<&Operator> {
        self.operators.get(rule as usize)
    }

    fn placeholder(&self, rule: u32) -> &str {
        self.placeholders.get(rule as usize).map_or("<REDACTED>", String::as_str)
    }

    /// The rule's entity type: its placeholder without brackets.
    pub fn entity(&self, rule: u32) -> &str {
        self.placeholder(rule).trim_start_matches('<').trim_end_matches('>')
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

/// The place of a value in the output that is not filled yet.
#[derive(Clone, Copy, Debug)]
struct Hole {
    item: usize,
    /// Where the value stands among the values.
    start: usize,
    end: usize,
}

/// What fills a hole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fill {
    /// The number of a pseudonym.
    Number(usize),
    /// A text.
    Text(Vec<u8>),
}

/// Builds the output.
#[derive(Debug, Default)]
pub struct Writer {
    output: Vec<u8>,
    items: Vec<Item>,
    holes: Vec<Hole>,
    /// The values of the holes; overwritten when it is dropped.
    values: Zeroizing<Vec<u8>>,
    /// The rule of the last edit, if it can be undone.
    undone: Option<u32>,
    /// What lies beyond that edit and is to become one of its own.
    rest: Zeroizing<Vec<u8>>,
    /// Where that begins in the text.
    rest_start: usize,
    /// Where what is covered begins, edits inside it left out, and how far it is known to reach.
    covered: Option<(usize, usize)>,
    /// Whether some of what an edit that can be undone covers was not kept.
    cut: bool,
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
        self.end_rest(plan);
        let start = self.taken + self.output.len();
        let operator = self.apply(plan, rule, value).unwrap_or_else(|| {
            self.output.extend_from_slice(plan.placeholder(rule).as_bytes());
            "replace"
        });
        let undone = matches!(operator, "pseudonym" | "encrypt");
        self.undone = undone.then_some(rule);
        self.items.push(Item { rule, start, end: self.taken + self.output.len(), operator });
    }

    /// Applies the rule's operator and tells its name; none where the placeholder has to do.
    fn apply(&mut self, plan: &Plan, rule: u32, value: Option<&[u8]>) -> Option<&'static str> {
        let operator = plan.operator(rule)?;
        let out = &mut self.output;
        match operator {
            Operator::Replace { with } => out.extend_from_slice(with.as_ref()?.as_bytes()),
            Operator::Remove => {}
            Operator::Mask(mask) => mask.apply(value?, out),
            Operator::Hash(key) => {
                let entity = plan.entity(rule);
                let hash = key.hash(entity, value?);
                out.extend_from_slice(format!("<{entity}:h:{}:{hash}>", key.id()).as_bytes());
            }
            Operator::Encrypt(key) => {
                let entity = plan.entity(rule);
                let sealed = key.encrypt(entity, value?)?;
                out.extend_from_slice(format!("<{entity}:e:{}:", key.id()).as_bytes());
                key::to_base64url(&sealed, out);
                out.push(b'>');
            }
            Operator::Pseudonym | Operator::Call(_) => {
                let start = self.values.len();
                self.values.extend_from_slice(value?);
                self.holes.push(Hole { item: self.items.len(), start, end: self.values.len() });
            }
            // Whoever asks the plan has no such finding.
            Operator::Keep => return None,
        }
        Some(operator.name())
    }

    /// As [`Writer::edit`], with the offset of the finding in the text: it may begin in what is covered.
    ///
    /// A stream hears of what a loser covers bit by bit, and of findings inside that in between; a whole text
    /// hears of all of it first. Both keep what lies beyond the finding for after its edit.
    pub fn edit_at(&mut self, plan: &Plan, at: usize, rule: u32, value: Option<&[u8]>) {
        let Some(covered) = self.covered.filter(|(_, end)| at < *end) else {
            return self.edit(plan, rule, value);
        };
        let from = at.saturating_sub(self.rest_start).min(self.rest.len());
        // Where a value is not known, what follows it is not given out under its name either.
        let to = at + value.map_or(0, <[u8]>::len);
        let beyond = self.rest.get(to.saturating_sub(self.rest_start)..).unwrap_or_default();
        let beyond = Zeroizing::new(beyond.to_vec());
        self.rest.truncate(from);
        self.edit(plan, rule, value);
        (self.rest_start, self.rest, self.covered) = (to, beyond, Some(covered));
    }

    /// Text that goes although no finding holds it, beginning at `at`: the end of one that began inside the last
    /// edit. If that edit can be undone, it becomes one of its kind; of what is covered in one go, the first
    /// `most` bytes, and [`Writer::cut`] tells where that is not all.
    pub fn cover(&mut self, plan: &Plan, at: usize, bytes: &[u8], most: usize) {
        if !plan.reversible {
            return;
        }
        let (start, _) = *self.covered.get_or_insert((at, at));
        self.covered = Some((start, at + bytes.len()));
        let room = (start + most).saturating_sub(at).min(bytes.len());
        self.cut |= room < bytes.len() && self.undone.is_some();
        if room == 0 {
            return;
        }
        // Between the two lies the end of a finding.
        if self.rest_start + self.rest.len() != at {
            self.rest.clear();
            self.rest_start = at;
        }
        self.rest.extend_from_slice(bytes.get(..room).unwrap_or_default());
    }

    /// Ends what was covered. To be called before text that follows it, and at the end.
    pub fn end_rest(&mut self, plan: &Plan) {
        self.covered = None;
        if self.rest.is_empty() {
            return;
        }
        let rest = std::mem::take(&mut self.rest);
        if let Some(rule) = self.undone {
            self.edit(plan, rule, Some(&rest));
        }
    }

    /// The rules and values of the holes, in text order.
    pub fn holes(&self) -> impl Iterator<Item = (u32, &[u8])> {
        self.holes.iter().filter_map(|hole| {
            let rule = self.items.get(hole.item)?.rule;
            Some((rule, self.values.get(hole.start..hole.end)?))
        })
    }

    /// Fills the holes, in their order, and escapes everything but pseudonyms for a vault.
    pub fn fill(&mut self, plan: &Plan, fills: &[Fill], mut escape: Option<&mut Escape>) {
        if self.holes.is_empty() && escape.is_none() {
            return;
        }
        let raw = std::mem::take(&mut self.output);
        let base = self.taken;
        let mut out = Vec::with_capacity(raw.len() + 32 * self.holes.len());
        let mut from = 0;
        let mut holes = self.holes.iter().zip(fills).peekable();
        for (number, item) in self.items.iter_mut().enumerate() {
            let (start, end) = (item.start - base, item.end - base);
            plain(raw.get(from..start), &mut escape, &mut out);
            item.start = base + out.len();
            match holes.next_if(|(hole, _)| hole.item == number) {
                None => plain(raw.get(start..end), &mut escape, &mut out),
                Some((_, Fill::Text(text))) => plain(Some(text), &mut escape, &mut out),
                Some((_, Fill::Number(value))) => {
                    let entity = plan.entity(item.rule);
                    match escape.as_deref_mut() {
                        Some(escape) => escape.placeholder(entity, *value, &mut out),
                        None => out.extend_from_slice(format!("<{entity}_{value}>").as_bytes()),
                    }
                }
            }
            item.end = base + out.len();
            from = end;
        }
        plain(raw.get(from..), &mut escape, &mut out);
        self.output = out;
        self.holes.clear();
        self.values = Zeroizing::default();
    }

    /// The output not yet taken.
    pub fn output(&self) -> &[u8] {
        &self.output
    }

    /// Takes the output so far and forgets its edits; offsets go on counting.
    pub fn take(&mut self) -> Vec<u8> {
        self.taken += self.output.len();
        self.items.clear();
        std::mem::take(&mut self.output)
    }

    /// Whether a value that was to be given back was cut: what lay beyond an edit was longer than allowed.
    pub fn cut(&self) -> bool {
        self.cut
    }

    /// The edits of the output not yet taken, in order.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// Output and edits.
    pub fn into_parts(self) -> (Vec<u8>, Vec<Item>) {
        (self.output, self.items)
    }
}

fn plain(bytes: Option<&[u8]>, escape: &mut Option<&mut Escape>, out: &mut Vec<u8>) {
    let bytes = bytes.unwrap_or_default();
    match escape {
        Some(escape) => escape.write(bytes, out),
        None => out.extend_from_slice(bytes),
    }
}

impl Mask {
    fn apply(&self, value: &[u8], out: &mut Vec<u8>) {
        let mut buffer = [0; 4];
        let with = self.with.encode_utf8(&mut buffer).as_bytes();
        let repeat = |count: usize, out: &mut Vec<u8>| match with {
            &[byte] => out.resize(out.len() + count, byte),
            _ => (0..count).for_each(|_| out.extend_from_slice(with)),
        };
        // Invalid UTF-8 has no characters to keep: each of its bytes is one masked place.
        let Ok(text) = std::str::from_utf8(value) else { return repeat(value.len(), out) };
        let count = if text.is_ascii() { text.len() } else { text.chars().count() };
        let kept = self.keep_first + self.keep_last;
        if kept == 0 || kept * 3 > count {
            return repeat(count, out);
        }
        let place =
            |number: usize| text.char_indices().nth(number).map_or(text.len(), |(at, _)| at);
        let (first, last) = (place(self.keep_first), place(count - self.keep_last));
        out.extend_from_slice(value.get(..first).unwrap_or_default());
        repeat(count - kept, out);
        out.extend_from_slice(value.get(last..).unwrap_or_default());
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

    #[test]
    fn keyed_operators() {
        let key = Key::new(&[9; 32]);
        let hash = edited(Operator::Hash(key.clone()), Some(b"value"));
        assert_eq!(hash, format!("é <X:h:{}:{}>.", key.id(), key.hash("X", b"value")));
        let sealed = edited(Operator::Encrypt(key.clone()), Some(b"value"));
        let all = Permission::default();
        assert_eq!(decrypt(&key, sealed.as_bytes(), &all, true), "é value.".as_bytes());
        let other = Key::new(&[8; 32]);
        assert_eq!(decrypt(&other, sealed.as_bytes(), &all, true), sealed.as_bytes());
        let moved = sealed.replace("<X:", "<Y:");
        assert_eq!(decrypt(&key, moved.as_bytes(), &all, true), moved.as_bytes());
        let linked = sealed.replace("é ", "https://e.example/");
        assert_eq!(decrypt(&key, linked.as_bytes(), &all, true), linked.as_bytes());
        for operator in [Operator::Hash(key.clone()), Operator::Encrypt(key), Operator::Pseudonym] {
            assert_eq!(edited(operator, None), "é <X>.");
        }
    }

    #[test]
    fn holes() {
        let plan = Plan::new(
            vec!["<X>".into(), "<Y>".into(), "<Z>".into()],
            vec![Operator::Pseudonym, Operator::Call(0), Operator::Remove],
        );
        let mut writer = Writer::default();
        let mut whole = Vec::new();
        for round in 0..2 {
            writer.text(b"a ");
            writer.edit(&plan, 0, Some(b"one"));
            writer.cover(&plan, 5, b"two", 4);
            assert_eq!(writer.cut(), round > 0);
            writer.cover(&plan, 8, b"three", 4);
            assert!(writer.cut());
            writer.cover(&plan, 13, b"x", 4);
            writer.edit(&plan, 1, Some(b"four"));
            writer.cover(&plan, 20, b"five", 4);
            writer.edit(&plan, 2, None);
            writer.text(b" b");
            let holes: Vec<_> = writer.holes().collect();
            assert_eq!(holes, [(0, &b"one"[..]), (0, b"twot"), (1, b"four")]);
            let fills = [Fill::Number(1), Fill::Number(2), Fill::Text(b"(4)".to_vec())];
            writer.fill(&plan, &fills, None);
            let items: Vec<_> =
                writer.items().iter().map(|i| (i.start - round * 17, i.end - round * 17)).collect();
            assert_eq!(items, [(2, 7), (7, 12), (12, 15), (15, 15)]);
            whole.extend(writer.take());
        }
        assert_eq!(whole, b"a <X_1><X_2>(4) ba <X_1><X_2>(4) b");
    }

    /// A finding may begin in what a loser covers, and end in it.
    #[test]
    fn edits_split_what_is_covered() {
        let plan = Plan::new(vec!["<X>".into()], vec![Operator::Pseudonym]);
        let values = |pieces: &[usize]| {
            let text = b"0123456789";
            let mut writer = Writer::default();
            writer.edit_at(&plan, 0, 0, Some(&text[..2]));
            let mut at = 2;
            for &end in pieces {
                writer.cover(&plan, at, &text[at..end], 99);
                at = end;
            }
            writer.edit_at(&plan, 4, 0, Some(&text[4..6]));
            at = at.max(6);
            writer.cover(&plan, at, &text[at..9], 99);
            writer.end_rest(&plan);
            writer.holes().map(|(_, value)| value.to_vec()).collect::<Vec<_>>()
        };
        let wanted: [&[u8]; 4] = [b"01", b"23", b"45", b"678"];
        for pieces in [&[9][..], &[3, 9], &[4], &[5], &[6], &[7], &[3, 8]] {
            let pieces = values(pieces);
            assert_eq!(pieces, wanted.map(<[u8]>::to_vec));
        }
    }

    #[test]
    fn escapes_go_on_over_pieces() {
        let vault = Vault::new(Key::new(&[1; 32]), Capacity { entries: 9, bytes: 99 }).unwrap();
        let plan = Plan::new(vec!["<X>".into()], vec![Operator::Remove]);
        let mut escape = Escape::new(&vault);
        let mut writer = Writer::default();
        let mut whole = Vec::new();
        // What is removed must not make a placeholder of what stands around it.
        writer.text(format!("<X_1:{}", &vault.tag()[..4]).as_bytes());
        writer.edit(&plan, 0, None);
        writer.fill(&plan, &[], Some(&mut escape));
        whole.extend(writer.take());
        writer.text(format!("{}>", &vault.tag()[4..]).as_bytes());
        writer.fill(&plan, &[], Some(&mut escape));
        whole.extend(writer.take());
        assert_eq!(whole, format!("<X_1:{}~>", vault.tag()).as_bytes());
    }
}
