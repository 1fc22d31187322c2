//! What a report says of a finding in a file: where it is, whether its line asks to pass over it, what
//! of it may be shown, and the fingerprint it is known by. No byte of a value leaves this file but the
//! fixed prefix of its format.

use std::ops::Range;

use hmac::{Hmac, Mac};
use memchr::{memchr, memchr_iter, memmem, memrchr};
use sha2::Sha256;
use sift_text::count_chars;

/// A place as people and editors count, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) line: usize,
    /// In characters.
    pub(crate) column: usize,
    /// In UTF-16 code units.
    pub(crate) utf16_column: usize,
}

/// Places of ascending offsets, in one pass over the text however long its lines are.
pub(crate) struct Places<'t> {
    text: &'t [u8],
    at: usize,
    place: Place,
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

impl<'t> Places<'t> {
    pub(crate) fn new(text: &'t [u8]) -> Self {
        // Editors show no column for a byte order mark.
        let at = if text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
        Self { text, at, place: Place { line: 1, column: 1, utf16_column: 1 } }
    }

    /// The place of byte `at`, which must not lie left of the last one asked for.
    pub(crate) fn of(&mut self, at: usize) -> Place {
        let passed = self.text.get(self.at..at).unwrap_or_default();
        let feeds = memchr_iter(b'\n', passed).count();
        let mut rest = passed;
        if feeds > 0 {
            self.place = Place { line: self.place.line + feeds, column: 1, utf16_column: 1 };
            rest = memrchr(b'\n', passed).map_or(passed, |last| &passed[last + 1..]);
        }
        let characters = count_chars(rest);
        // A character of four bytes is two code units.
        let wide = rest.iter().filter(|byte| (0xf0..=0xf4).contains(*byte)).count();
        self.place.column += characters;
        self.place.utf16_column += characters + wide;
        self.at = self.at.max(at);
        self.place
    }
}

/// What a line says about being passed over.
#[derive(Default)]
struct Marks {
    all: bool,
    rules: Vec<Vec<u8>>,
}

const MARK: &[u8] = b"sift:ignore";

impl Marks {
    /// Reads the marks of one line. What is not exactly a mark is none: a slip must not hide a finding.
    fn read(line: &[u8]) -> Self {
        let mut marks = Self::default();
        for at in memmem::find_iter(line, MARK) {
            if at > 0 && is_word(line[at - 1]) {
                continue;
            }
            let rest = &line[at + MARK.len()..];
            match rest.first() {
                Some(b'[') => {
                    let Some(end) = memchr(b']', rest) else { continue };
                    let ids = rest[1..end].split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
                    marks.rules.extend(ids.filter(|id| !id.is_empty()).map(<[u8]>::to_vec));
                }
                Some(&byte) if is_word(byte) => {}
                _ => marks.all = true,
            }
        }
        marks
    }

    fn holds(&self, ids: &[&str]) -> bool {
        self.all
            || self.rules.iter().any(|rule| ids.iter().any(|id| id.as_bytes() == rule.as_slice()))
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

/// Answers, finding by finding in text order, whether a mark covers it. Each line is read once, so many
/// findings in one long line cost no more than the line.
pub(crate) struct Ignored<'t> {
    text: &'t [u8],
    /// The line of the last finding, its marks, and those of the line before if they count.
    line: Option<(Range<usize>, Marks, Marks)>,
    /// The last line that findings before the current line reach into.
    taken: usize,
    /// The same with those of the current line.
    reach: usize,
}

impl<'t> Ignored<'t> {
    pub(crate) fn new(text: &'t [u8]) -> Self {
        Self { text, line: None, taken: 0, reach: 0 }
    }

    /// Whether the finding that starts at byte `start`, in `line` to `end_line`, is passed over.
    pub(crate) fn covers(
        &mut self,
        start: usize,
        line: usize,
        end_line: usize,
        ids: &[&str],
    ) -> bool {
        let same = self.line.as_ref().is_some_and(|(range, ..)| range.contains(&start));
        if !same {
            self.taken = self.reach;
            let range = line_around(self.text, start);
            let own = Marks::read(&self.text[range.clone()]);
            // A mark beside another finding speaks of that one.
            let before = match range.start.checked_sub(1) {
                Some(feed) if self.taken + 1 < line => {
                    Marks::read(&self.text[line_around(self.text, feed)])
                }
                _ => Marks::default(),
            };
            self.line = Some((range, own, before));
        }
        self.reach = self.reach.max(end_line);
        self.line.as_ref().is_some_and(|(_, own, before)| own.holds(ids) || before.holds(ids))
    }
}

/// The line that byte `at` is in, its line feed included.
fn line_around(text: &[u8], at: usize) -> Range<usize> {
    let (left, right) = text.split_at(at.min(text.len()));
    let start = memrchr(b'\n', left).map_or(0, |feed| feed + 1);
    let end = memchr(b'\n', right).map_or(text.len(), |feed| left.len() + feed + 1);
    start..end
}

/// The fixed beginnings of a rule's values, from its `format`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Prefixes(Vec<Vec<Piece>>);

#[derive(Clone, Debug)]
enum Piece {
    Literal(String),
    /// One byte that says the kind, between two literals: the `p` of `ghp_`.
    Kind(String),
}

/// Most characters of a prefix that are shown, and fewest of a value that are not.
const MOST_SHOWN: usize = 32;
const FEWEST_HIDDEN: usize = 8;

impl Prefixes {
    /// Reads them out of a format; none where it begins with anything but a literal.
    pub(crate) fn of(format: &str) -> Self {
        Self(
            alternatives(format)
                .into_iter()
                .map(|terms| pieces(&terms))
                .filter(|p| !p.is_empty())
                .collect(),
        )
    }

    /// The longest prefix that a value has, in bytes.
    fn shown(&self, value: &[u8]) -> usize {
        self.0.iter().filter_map(|pieces| matched(pieces, value)).max().unwrap_or(0)
    }

    /// The masked form of a value: the prefix of its format and its length, nothing of what is secret.
    pub(crate) fn preview(&self, value: &[u8]) -> String {
        let length = count_chars(value);
        let mut shown = self.shown(value);
        if value.len() < shown + FEWEST_HIDDEN {
            shown = 0;
        }
        let prefix =
            value.get(..shown).and_then(|prefix| std::str::from_utf8(prefix).ok()).unwrap_or("");
        // The first line of a key block's head is enough.
        let prefix: String = prefix
            .chars()
            .take_while(|c| c.is_ascii_graphic() || *c == ' ')
            .take(MOST_SHOWN)
            .collect();
        format!("{prefix}**** ({length} chars)")
    }
}

fn matched(pieces: &[Piece], value: &[u8]) -> Option<usize> {
    let mut at = 0;
    for piece in pieces {
        match piece {
            Piece::Literal(literal) if value[at..].starts_with(literal.as_bytes()) => {
                at += literal.len()
            }
            Piece::Kind(class) if class.as_bytes().contains(value.get(at)?) => at += 1,
            _ => return None,
        }
    }
    Some(at)
}

/// The leading literals of one alternative, with single kind bytes between them.
fn pieces(terms: &[&str]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut terms = terms.iter().peekable();
    while let Some(term) = terms.next() {
        if let Some(text) = literal(term) {
            pieces.push(Piece::Literal(text));
            continue;
        }
        let class = term.strip_prefix('[').and_then(|class| class.strip_suffix(']'));
        let between =
            !pieces.is_empty() && terms.peek().is_some_and(|next| literal(next).is_some());
        match class {
            // Letters one by one, no ranges: such a class names kinds.
            Some(class) if between && class.bytes().all(|b| b.is_ascii_alphanumeric()) => {
                pieces.push(Piece::Kind(class.to_owned()));
            }
            _ => break,
        }
    }
    pieces
}

fn literal(term: &str) -> Option<String> {
    let inner = term.strip_prefix('"')?.strip_suffix('"')?;
    let mut text = String::new();
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        text.push(if character == '\\' { characters.next()? } else { character });
    }
    Some(text)
}

/// Terms of each alternative of a format: split at `|` and `+` outside of quotes and brackets.
fn alternatives(format: &str) -> Vec<Vec<&str>> {
    let (mut all, mut terms, mut start) = (Vec::new(), Vec::new(), 0);
    let (mut quoted, mut class, mut escaped) = (false, false, false);
    for (at, character) in format.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted || class => escaped = true,
            '"' if !class => quoted = !quoted,
            '[' if !quoted => class = true,
            ']' if !quoted => class = false,
            '+' | '|' if !quoted && !class => {
                terms.push(format[start..at].trim());
                start = at + 1;
                if character == '|' {
                    all.push(std::mem::take(&mut terms));
                }
            }
            _ => {}
        }
    }
    terms.push(format[start..].trim());
    all.push(terms);
    all
}

/// HMAC-SHA256 over rule id, a zero byte and the value.
pub(crate) fn fingerprint(salt: &[u8], rule_id: &str, value: &[u8]) -> [u8; 32] {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(salt) else { return [0; 32] };
    mac.update(rule_id.as_bytes());
    mac.update(&[0]);
    mac.update(value);
    mac.finalize().into_bytes().into()
}
