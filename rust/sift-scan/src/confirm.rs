//! From "pattern p ends about here" to candidates `(g, e)`: three small automata per pattern.
//!
//! `before` runs backwards from `g` and only has to say yes; `group` runs forwards from `g` and gives
//! every end; `after` runs forwards from an end and only has to say yes. They are built at a pattern's
//! first hit: most patterns of a set never have one in the life of a process.

use regex_syntax::hir::{Class, Hir, HirKind, Look};
use sift_rules::Parts;

use crate::machine::{Direction, Machine};

/// The automata of one pattern.
#[derive(Debug)]
pub(crate) struct Automata {
    before: Before,
    group: Machine,
    after: Option<Machine>,
    body: Option<(Machine, usize)>,
    end: Option<(Machine, usize)>,
    /// Bytes behind a group that its right context reads at most.
    after_width: usize,
    /// Bytes a group can begin with: rejects most positions for the price of one load.
    first: Box<[bool; 256]>,
    /// Bytes `before` can end with; all true when it may be empty.
    last: Box<[bool; 256]>,
}

/// What must stand left of a group. Most rules say so by one byte or a border, and starting an automaton for that
/// took as long as reading ten bytes with it.
#[derive(Debug)]
enum Before {
    Nothing,
    /// `\b`.
    Border,
    /// `\b`, or one of these bytes.
    BorderOr(Box<[bool; 256]>),
    /// One of these bytes, or the beginning of the text if the flag is set.
    Byte(Box<[bool; 256]>, bool),
    Machine(Box<Machine>),
}

impl Before {
    fn build(hir: &Hir) -> Result<Self, String> {
        if let Some((bytes, beginning)) = one_byte(hir) {
            return Ok(Self::Byte(bytes, beginning));
        }
        match hir.kind() {
            HirKind::Empty => Ok(Self::Nothing),
            HirKind::Look(Look::WordAscii) => Ok(Self::Border),
            HirKind::Alternation(arms) => match arms.as_slice() {
                [border, other] if matches!(border.kind(), HirKind::Look(Look::WordAscii)) => {
                    if let Some((bytes, false)) = one_byte(other) {
                        return Ok(Self::BorderOr(bytes));
                    }
                    Ok(Self::Machine(Box::new(Machine::build(hir, Direction::Backward)?)))
                }
                _ => Ok(Self::Machine(Box::new(Machine::build(hir, Direction::Backward)?))),
            },
            _ => Ok(Self::Machine(Box::new(Machine::build(hir, Direction::Backward)?))),
        }
    }

    #[inline]
    fn ends_at(&self, text: &[u8], at: usize, steps: &mut u64) -> bool {
        let left = || at.checked_sub(1).and_then(|left| text.get(left));
        let word =
            |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
        match self {
            Self::Nothing => true,
            Self::Border => word(left()) != word(text.get(at)),
            Self::BorderOr(bytes) => {
                word(left()) != word(text.get(at)) || left().is_some_and(|b| bytes[usize::from(*b)])
            }
            Self::Byte(bytes, beginning) => left().map_or(*beginning, |b| bytes[usize::from(*b)]),
            Self::Machine(machine) => machine.ends_at(text, at, steps),
        }
    }
}

/// If a language is one byte of some, or the beginning of a line: the bytes, and whether it may be that of the text.
fn one_byte(hir: &Hir) -> Option<(Box<[bool; 256]>, bool)> {
    let mut all = Box::new([false; 256]);
    let mut beginning = false;
    let arms = match hir.kind() {
        HirKind::Alternation(arms) => arms.as_slice(),
        _ => std::slice::from_ref(hir),
    };
    for arm in arms {
        match arm.kind() {
            HirKind::Class(Class::Bytes(class)) => {
                for range in class.ranges() {
                    all[usize::from(range.start())..=usize::from(range.end())].fill(true);
                }
            }
            HirKind::Literal(literal) => match literal.0.as_ref() {
                [byte] => all[usize::from(*byte)] = true,
                _ => return None,
            },
            HirKind::Look(Look::StartLF) => {
                beginning = true;
                all[usize::from(b'\n')] = true;
            }
            _ => return None,
        }
    }
    Some((all, beginning))
}

/// How far one step of a body got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The longest match ends here.
    To(usize),
    /// No match begins here.
    No,
    /// The text ended before it could be decided.
    Open,
}

impl Automata {
    pub(crate) fn build(parts: &Parts) -> Result<Self, String> {
        let part = |hir: &Hir, direction| match hir.kind() {
            HirKind::Empty => Ok(None),
            _ => Machine::build(hir, direction).map(Some),
        };
        let group = Machine::build(&parts.group, Direction::Forward)?;
        let before = Before::build(&parts.before)?;
        let after = part(&parts.after, Direction::Forward)?;
        let first = group.first_bytes();
        let last = match &before {
            Before::Machine(machine) if parts.before.properties().minimum_len() > Some(0) => {
                machine.first_bytes()
            }
            Before::Byte(bytes, _) => bytes.clone(),
            _ => Box::new([true; 256]),
        };
        let sized = |hir: &Hir| {
            let machine = Machine::build(hir, Direction::Forward)?;
            Ok::<_, String>((machine, hir.properties().maximum_len().unwrap_or(usize::MAX)))
        };
        let body = parts.body.as_ref().map(sized).transpose()?;
        let end = parts.end.as_ref().map(sized).transpose()?;
        let after_width = parts.after_width;
        Ok(Self { before, group, after, body, end, after_width, first, last })
    }

    /// What checks may see behind a group that ends at `end`: what its right context has looked at, two bytes at
    /// most, and behind a point or a hyphen alone the second.
    pub(crate) fn seen<'t>(&self, text: &'t [u8], end: usize) -> &'t [u8] {
        let after = text.get(end..).unwrap_or_default();
        let two = matches!(after, [b'.' | b'-', ..]);
        &after[..after.len().min(self.after_width).min(1 + usize::from(two))]
    }

    /// Whether a group may begin at `at`, by its neighbours alone.
    #[inline]
    pub(crate) fn may_begin(&self, text: &[u8], at: usize) -> bool {
        let first = text.get(at).is_some_and(|&b| self.first[b as usize]);
        first && (at == 0 || self.last[text[at - 1] as usize])
    }

    /// The largest `e` such that `(at, e)` is a candidate. `ends` is scratch, `steps` counts the bytes
    /// read.
    pub(crate) fn candidate(
        &self,
        text: &[u8],
        at: usize,
        ends: &mut Vec<usize>,
        steps: &mut u64,
    ) -> Option<usize> {
        if !self.before.ends_at(text, at, steps) {
            return None;
        }
        match &self.after {
            None => longest(&self.group, text, at, steps).0,
            Some(after) => {
                ends.clear();
                self.group.run(text, at, steps, &mut |end| {
                    ends.push(end);
                    true
                });
                ends.iter().rev().copied().find(|&end| {
                    let mut found = false;
                    after.run(text, end, steps, &mut |_| {
                        found = true;
                        false
                    });
                    found
                })
            }
        }
    }

    pub(crate) fn has_body(&self) -> bool {
        self.body.is_some()
    }

    /// One step of the body at `at`; `complete` says that the text ends where `text` ends.
    pub(crate) fn body_step(
        &self,
        text: &[u8],
        at: usize,
        complete: bool,
        steps: &mut u64,
    ) -> Step {
        step(self.body.as_ref(), text, at, complete, steps)
    }

    /// The closing pattern at `at`.
    pub(crate) fn end_step(&self, text: &[u8], at: usize, complete: bool, steps: &mut u64) -> Step {
        step(self.end.as_ref(), text, at, complete, steps)
    }
}

fn step(
    sized: Option<&(Machine, usize)>,
    text: &[u8],
    at: usize,
    complete: bool,
    steps: &mut u64,
) -> Step {
    let Some((machine, width)) = sized else { return Step::No };
    match longest(machine, text, at, steps) {
        // One byte more than the width settles a look-ahead at the end as well.
        (_, false) if !complete && text.len() - at <= *width => Step::Open,
        (Some(end), _) if end > at => Step::To(end),
        _ => Step::No,
    }
}

/// The longest match that begins at `at`, and whether it was decided within the text.
fn longest(machine: &Machine, text: &[u8], at: usize, steps: &mut u64) -> (Option<usize>, bool) {
    let mut last = None;
    let decided = machine.run(text, at, steps, &mut |end| {
        last = Some(end);
        true
    });
    (last, decided)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn automata(pattern: &str) -> Automata {
        Automata::build(&Parts::parse(pattern, Some(1), None, None).unwrap()).unwrap()
    }

    fn all(pattern: &str, text: &str) -> Vec<(usize, usize)> {
        let automata = automata(pattern);
        let (mut ends, mut steps) = (Vec::new(), 0);
        (0..text.len())
            .filter(|&g| automata.may_begin(text.as_bytes(), g))
            .filter_map(|g| {
                Some((g, automata.candidate(text.as_bytes(), g, &mut ends, &mut steps)?))
            })
            .collect()
    }

    #[test]
    fn a_candidate_is_the_longest_end_that_its_right_context_allows() {
        assert_eq!(all(r#"key=([a-z"]{2,9})["]"#, r#"key=ab"c"d"#), [(4, 8)]);
        assert_eq!(all(r"\b([0-9]{2,3})\b", "12 345 6789 10"), [(0, 2), (3, 6), (12, 14)]);
        assert_eq!(all(r"key[a-z =]{0,9}=([a-z]{3})", "key=abc=def"), [(4, 7), (8, 11)]);
    }

    #[test]
    fn right_context_may_be_the_end_of_the_text() {
        assert_eq!(all(r"k=([a-z]{2})(?:;|\z)", "k=ab;k=cd"), [(2, 4), (7, 9)]);
    }
}
