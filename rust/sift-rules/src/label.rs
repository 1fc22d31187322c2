//! Labels behind a value: `219-09-9998 (SSN)`, `4155550132 is my phone`.
//!
//! A context word counts behind a value only as its label: in brackets, or as what the value is said to be. A word
//! that merely follows is as often the label of the next value (`id=4155550132 phone=...`). The language is bounded,
//! so that a stream knows how long to wait: [`expression`] is what the hold automaton follows, [`is_labelled`] what a
//! check of the text asks.

use std::fmt::Write as _;

/// Longest word that counts behind a value, in bytes: with the longest lead and a border it has
/// [`MAX_AFTER`](crate::MAX_AFTER).
pub const MAX_LABEL: usize = 15;

/// What opens a label in brackets. One that a bracket or a comma does not close is the label of what follows
/// (`4155550132 (SSN: ...)`).
const BRACKETS: [&str; 5] = [" (", "(", " [", "[", "（"];
const CLOSING: [u8; 6] = [b')', b']', b',', b';', b'/', 0xef];

/// What says of a value what it is.
const VERBS: [&str; 7] =
    [" is my ", " is our ", " is the ", " is her ", " is his ", " as my ", " as the "];

/// The words of a rule that count behind its values, of those that count before them.
pub(crate) fn labels(words: &[String]) -> Vec<String> {
    words.iter().filter(|word| word.len() <= MAX_LABEL).cloned().collect()
}

/// A regular expression of all that [`is_labelled`] takes, up to the byte behind it.
pub(crate) fn expression(labels: &[String]) -> String {
    let mut all = String::from("(?i:");
    for (place, (leads, border)) in
        [(&BRACKETS[..], bracketed as fn(u8) -> bool), (&VERBS[..], ends_word)].iter().enumerate()
    {
        if place > 0 {
            all.push('|');
        }
        all.push_str("(?:");
        alternatives(&mut all, leads.iter().copied());
        all.push_str(")(?:");
        alternatives(&mut all, labels.iter().map(String::as_str));
        all.push_str(")(?:[");
        (0..=255).filter(|byte| border(*byte)).for_each(|byte| write_byte(&mut all, byte));
        all.push_str(if border(b' ') { r"]|\z)" } else { "])" });
    }
    all.push(')');
    all
}

fn bracketed(byte: u8) -> bool {
    CLOSING.contains(&byte)
}

fn ends_word(byte: u8) -> bool {
    !byte.is_ascii_alphanumeric() && !matches!(byte, b':' | b'=')
}

fn alternatives<'a>(all: &mut String, words: impl Iterator<Item = &'a str>) {
    for (place, word) in words.enumerate() {
        if place > 0 {
            all.push('|');
        }
        word.bytes().for_each(|byte| write_byte(all, byte));
    }
}

fn write_byte(all: &mut String, byte: u8) {
    // Writing to a string does not fail.
    let _ = write!(all, r"\x{byte:02x}");
}

/// Whether the text behind a value begins with one of its labels; ASCII case ignored.
///
/// ```
/// use sift_rules::is_labelled;
///
/// let labels = ["phone".to_owned()];
/// assert!(is_labelled(b" is my phone.", &labels) && is_labelled(b" (phone)", &labels));
/// assert!(!is_labelled(b" phone=2", &labels) && !is_labelled(b" (phones)", &labels));
/// ```
#[must_use]
pub fn is_labelled(after: &[u8], labels: &[String]) -> bool {
    let begins = |text: &[u8], word: &[u8]| {
        text.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word))
    };
    // The end of the text ends a word, and closes no bracket.
    let labelled = |leads: &[&str], border: fn(u8) -> bool| {
        let ends = |next: Option<&u8>| next.map_or(border(b' '), |byte| border(*byte));
        leads.iter().any(|lead| {
            begins(after, lead.as_bytes())
                && after.get(lead.len()..).is_some_and(|rest| {
                    labels
                        .iter()
                        .any(|word| begins(rest, word.as_bytes()) && ends(rest.get(word.len())))
                })
        })
    };
    match after.first() {
        Some(b' ' | b'(' | b'[' | 0xef) => {
            labelled(&BRACKETS, bracketed) || labelled(&VERBS, ends_word)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{expression, is_labelled, BRACKETS, MAX_LABEL, VERBS};
    use crate::pattern::{Parts, MAX_AFTER};

    #[test]
    fn the_longest_label_fits() {
        let longest = BRACKETS.iter().chain(&VERBS).map(|lead| lead.len()).max();
        assert_eq!(longest.map(|lead| lead + MAX_LABEL + 1), Some(MAX_AFTER));
    }

    /// The expression and the look at the text take the same.
    #[test]
    fn both_say_the_same() {
        let labels = ["phone".to_owned(), "社会".to_owned(), "c.f.".to_owned()];
        let parts = Parts::parse(r"\b(\d{4})", None, None, None).unwrap();
        let parts = parts.followed_by(&expression(&labels)).unwrap();
        let machine = regex_automata::meta::Regex::builder()
            .configure(regex_automata::meta::Regex::config().utf8_empty(false))
            .build_from_hir(&parts.watched())
            .unwrap();
        for (after, labelled) in [
            (" (phone)", true),
            ("(PHONE)", true),
            ("（社会）", true),
            (" (phone, work)", true),
            (" is my phone", true),
            (" (phone", false),
            (" (phone: 5", false),
            (" is my phone: 5", false),
            (" [phone]", true),
            (" is my phone.", true),
            (", my phone", false),
            (" (社会)", true),
            (" (C.F.)", true),
            (" phone", false),
            (" (phones)", false),
            (" is phone", false),
            (")phone", false),
            ("", false),
        ] {
            assert_eq!(is_labelled(after.as_bytes(), &labels), labelled, "{after}");
            let text = format!("1234{after}");
            let longest = machine.find(&text).map_or(0, |found| found.end());
            assert_eq!(longest > 4, labelled, "{after}");
        }
    }
}
