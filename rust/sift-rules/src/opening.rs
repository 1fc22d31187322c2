//! Which patterns need no pattern engine because of what their group begins with: a number, a code of letters
//! and digits, groups between signs, or a sign like `@` a bounded way in.
//!
//! Decided from the parsed pattern alone, and necessary, never sufficient, as a [`crate::Shape`] is: where a
//! candidate's group begins, one of the pattern's openings is found.

use regex_syntax::hir::{Class, Hir, HirKind, Look};

use crate::pattern::{edge_bytes, Parts, Side};
use crate::set::{Pattern, View};

/// Bytes of a group that are compared with an opening, as in `sift-shapes`.
pub const MAX_AHEAD: usize = 32;
/// Farthest left of a sign that a group begins.
const MAX_FAR: usize = 128;
/// Bytes behind a sign that are compared.
const MAX_BEHIND: usize = 8;
/// Fewest letters and digits of a word that is looked for: shorter ones are every word of a text.
const MIN_WORD: usize = 7;
/// Most openings of one pattern.
const MAX_ARMS: usize = 16;

/// An engine is good at patterns whose every alternative has a literal this long.
const GOOD_LITERAL: usize = 3;

/// A set of bytes: bit `b % 64` of word `b / 64`.
pub type ByteSet = [u64; 4];

/// Whether a set has a byte.
#[must_use]
pub const fn has_byte(set: &ByteSet, byte: u8) -> bool {
    set[(byte >> 6) as usize] >> (byte & 63) & 1 == 1
}

/// How the groups of a pattern, or some of them, begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opening {
    /// The group begins at a place of this kind with bytes of these sets, one after the other.
    At {
        /// What kind of place.
        place: Place,
        /// Sets of bytes.
        sets: Vec<ByteSet>,
    },
    /// The group has a sign `near` to `far` bytes from its beginning.
    Sign {
        /// `@`, `(` with a digit one to three bytes behind it, or `.` with a letter behind it.
        sign: u8,
        /// Fewest bytes left of it.
        near: usize,
        /// Most bytes left of it.
        far: usize,
        /// Bytes that can stand left of it, in the group.
        left: ByteSet,
        /// What follows it.
        sets: Vec<ByteSet>,
    },
    /// The group has a `:` that another one follows at once, or two more after at most five bytes each.
    Colons {
        /// Most bytes left of it.
        far: usize,
        /// Bytes of what the signs are in.
        core: ByteSet,
        /// Bytes that can follow the last byte of `core`.
        stop: ByteSet,
        /// Bytes that can stand before the group, where it is not the beginning of the text.
        lead: ByteSet,
    },
}

/// A kind of place, see `sift_shapes::kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Digits and their separators.
    Number,
    /// Two capitals, two digits.
    Code,
    /// Capitals.
    Capitals,
    /// At least so many letters and digits, with a digit at this offset.
    Word(usize, usize),
    /// Signs at the offsets of these bits.
    Linked(u32),
    /// Groups of digits between points.
    Dotted,
    /// A `+` or `(` with a digit near.
    Opening,
}

impl Pattern {
    /// What finds the pattern without an engine, if anything does; all of it is needed.
    pub fn openings(&self) -> Result<Option<Vec<Opening>>, String> {
        let parts = self.parts()?;
        Ok((self.view == View::Identity).then(|| openings(parts)).flatten())
    }
}

fn openings(parts: &Parts) -> Option<Vec<Opening>> {
    if parts.weakest_literal() >= GOOD_LITERAL {
        return None;
    }
    if let Some(sign) = signed(parts) {
        return Some(vec![sign]);
    }
    let lead = lead(&parts.before);
    let apart = !(0..=255_u8).any(|b| b.is_ascii_alphanumeric() && has_byte(&lead, b));
    let begins: Option<Vec<_>> = arms(&parts.group).iter().map(|arm| begin(arm, apart)).collect();
    // Points are common: the last thing to go by.
    begins.or_else(|| Some(vec![pointed(parts)?]))
}

/// The bytes that can stand before a group, where it is not the beginning of the text.
fn lead(before: &Hir) -> ByteSet {
    let mut all = [0; 4];
    let arms = match before.kind() {
        HirKind::Alternation(arms) => arms.as_slice(),
        _ => std::slice::from_ref(before),
    };
    for arm in arms {
        if matches!(arm.kind(), HirKind::Look(Look::StartLF)) {
            insert(&mut all, b'\n');
            continue;
        }
        let (bytes, may_be_empty) = edge_bytes(arm, Side::Last);
        if may_be_empty {
            return [u64::MAX; 4];
        }
        (0..=255_u8).filter(|&b| bytes[b as usize]).for_each(|b| insert(&mut all, b));
    }
    all
}

/// A group all of whose words have a point with a letter behind it, perhaps behind others.
fn pointed(parts: &Parts) -> Option<Opening> {
    let elements = elements(&parts.group);
    let (mut near, mut far, mut left) = (0, 0, [0; 4]);
    for (i, element) in elements.iter().enumerate() {
        if matches!(element.kind(), HirKind::Literal(literal) if literal.0.as_ref() == b".") {
            let rest = Hir::concat(elements[i + 1..].iter().map(|e| (*e).clone()).collect());
            let sets = prefix(&rest, MAX_BEHIND);
            if sets.first().is_some_and(|set| within(set, |b| b.is_ascii_alphabetic())) {
                return Some(Opening::Sign { sign: b'.', near, far, left, sets });
            }
        }
        near += element.properties().minimum_len()?;
        far += element.properties().maximum_len().filter(|most| *most <= MAX_FAR)?;
        if far > MAX_FAR {
            return None;
        }
        unite(&mut left, &bytes_of(element));
    }
    None
}

/// A group all of whose words have a sign that nothing left of it has.
fn signed(parts: &Parts) -> Option<Opening> {
    let elements = elements(&parts.group);
    for (i, element) in elements.iter().enumerate() {
        let rest = || Hir::concat(elements[i + 1..].iter().map(|e| (*e).clone()).collect());
        let far = elements[..i].iter().map(|e| e.properties().maximum_len()).sum::<Option<usize>>();
        let far = far.filter(|far| *far <= MAX_FAR)?;
        if colons(element) {
            let far = far + element.properties().maximum_len()?;
            let mut core = bytes_of(element);
            elements[..i].iter().for_each(|e| unite(&mut core, &bytes_of(e)));
            let tail = Hir::concat(vec![rest(), parts.after.clone()]);
            let mut stop = [0; 4];
            if escapes(&tail, true, &core, &mut stop) {
                stop = [u64::MAX; 4];
            }
            let lead = lead(&parts.before);
            return (far <= MAX_FAR).then_some(Opening::Colons { far, core, stop, lead });
        }
        let HirKind::Literal(literal) = element.kind() else { continue };
        let (&sign, more) = literal.0.split_first()?;
        let mut left = [0; 4];
        elements[..i].iter().for_each(|e| unite(&mut left, &bytes_of(e)));
        if !matches!(sign, b'@' | b'(') || has_byte(&left, sign) {
            continue;
        }
        let behind = Hir::concat(vec![Hir::literal(more.to_vec()), rest()]);
        let sets = prefix(&behind, MAX_BEHIND);
        if sign == b'@' || sets.iter().take(3).any(|set| within(set, |b| b.is_ascii_digit())) {
            let near = elements[..i].iter().filter_map(|e| e.properties().minimum_len()).sum();
            return Some(Opening::Sign { sign, near, far, left, sets });
        }
    }
    None
}

/// Whether every word of a language has a `:` as [`Opening::Colons`] says.
fn colons(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Literal(literal) => literal.0.windows(2).any(|two| two == b"::"),
        HirKind::Capture(capture) => colons(&capture.sub),
        HirKind::Alternation(arms) => arms.iter().all(colons),
        HirKind::Concat(parts) => parts.iter().any(colons),
        HirKind::Repetition(repeat) => {
            let ends = elements(&repeat.sub).last().is_some_and(
                |last| matches!(last.kind(), HirKind::Literal(l) if l.0.as_ref() == b":"),
            );
            let width = repeat.sub.properties().minimum_len().unwrap_or(0)
                ..=repeat.sub.properties().maximum_len().unwrap_or(usize::MAX);
            ends && repeat.min >= 3 && *width.start() >= 2 && *width.end() <= 5
        }
        _ => false,
    }
}

/// The opening of the words of one arm.
fn begin(arm: &Hir, apart: bool) -> Option<Opening> {
    let sets = prefix(arm, MAX_AHEAD);
    let is = |at: usize, what: fn(u8) -> bool| sets.get(at).is_some_and(|set| within(set, what));
    let digit = |at: usize| is(at, |b| b.is_ascii_digit());
    let upper = |at: usize| is(at, |b| b.is_ascii_uppercase());
    let alnum = |at: usize| is(at, |b| b.is_ascii_alphanumeric());
    let number = |b: u8| b.is_ascii_digit() || b" ()+-./".contains(&b);
    let at = |place| Some(Opening::At { place, sets: sets.clone() });
    if is(0, |b| matches!(b, b'+' | b'(')) && digit_near(arm) {
        return at(Place::Opening);
    }
    if !apart || !alnum(0) {
        return None;
    }
    if digit(0) && dotted(arm) {
        return at(Place::Dotted);
    }
    if digit(0) && (0..6).all(|i| is(i, number)) {
        return at(Place::Number);
    }
    if upper(0) && upper(1) && digit(2) && digit(3) {
        return at(Place::Code);
    }
    let word = (0..MAX_AHEAD).take_while(|&i| alnum(i)).count();
    let word_digit = (0..sets.len()).rev().find(|&i| digit(i));
    if let Some(offset) = word_digit.filter(|_| word >= MIN_WORD) {
        return at(Place::Word(word, offset));
    }
    let capital = |i| is(i, |b| b.is_ascii_uppercase() || b.is_ascii_digit());
    if (0..6).all(upper) && capital(6) && capital(7) {
        return at(Place::Capitals);
    }
    let links = (1..sets.len().min(16)).filter(|&i| is(i, |b| matches!(b, b'.' | b':' | b'-')));
    let links = links.fold(0, |all, i| all | 1_u32 << i);
    if links.count_ones() >= 2 {
        return at(Place::Linked(links));
    }
    None
}

/// Whether what follows the first byte has a digit after at most two others.
fn digit_near(arm: &Hir) -> bool {
    let elements = elements(arm);
    let mut skipped = 0;
    for element in elements.iter().skip(1) {
        let (low, high) = (element.properties().minimum_len(), element.properties().maximum_len());
        if low > Some(0) {
            return skipped <= 2
                && prefix(element, 1).iter().any(|set| within(set, |b| b.is_ascii_digit()));
        }
        skipped += high.unwrap_or(MAX_AHEAD);
    }
    false
}

/// Whether a group of one to three bytes is followed by three more, each with a point in front.
fn dotted(arm: &Hir) -> bool {
    let elements = elements(arm);
    let [first, second, ..] = elements.as_slice() else { return false };
    let bounds = |hir: &Hir| (hir.properties().minimum_len(), hir.properties().maximum_len());
    let HirKind::Repetition(repeat) = second.kind() else { return false };
    let link =
        prefix(&repeat.sub, 1).iter().any(|set| within(set, |b| matches!(b, b'.' | b':' | b'-')));
    let (one, all) = (bounds(first), bounds(&repeat.sub));
    link && repeat.min >= 3
        && one.0 >= Some(1)
        && one.1.is_some_and(|most| most <= 3)
        && all.0 >= Some(2)
        && all.1.is_some_and(|most| most <= 4)
}

/// The parts of a concatenation that can hold bytes.
fn elements(hir: &Hir) -> Vec<&Hir> {
    match hir.kind() {
        HirKind::Concat(parts) => parts.iter().flat_map(elements).collect(),
        HirKind::Capture(capture) => elements(&capture.sub),
        HirKind::Empty | HirKind::Look(_) => Vec::new(),
        _ => vec![hir],
    }
}

/// Languages that together are this one: alternatives at its beginning are taken apart, so that the bytes at
/// an offset are few.
fn arms(hir: &Hir) -> Vec<Hir> {
    let all = match hir.kind() {
        HirKind::Capture(capture) => arms(&capture.sub),
        HirKind::Alternation(all) => all.iter().flat_map(arms).collect(),
        HirKind::Repetition(repeat) if repeat.min == 0 && repeat.max == Some(1) => {
            let mut all = arms(&repeat.sub);
            all.push(Hir::empty());
            all
        }
        HirKind::Concat(parts) if !dotted(hir) => {
            let Some((first, rest)) = parts.split_first() else { return vec![hir.clone()] };
            let mut all = Vec::new();
            for arm in arms(first) {
                // What begins with nothing begins with the next part.
                if arm.properties().maximum_len() == Some(0) {
                    all.extend(arms(&Hir::concat(rest.to_vec())));
                } else {
                    all.push(Hir::concat([vec![arm], rest.to_vec()].concat()));
                }
            }
            all
        }
        _ => Vec::new(),
    };
    if all.is_empty() || all.len() > MAX_ARMS {
        return vec![hir.clone()];
    }
    all
}

/// The bytes at each offset of the words of a language, as far as all of them reach.
fn prefix(hir: &Hir, most: usize) -> Vec<ByteSet> {
    let mut sets = [[0; 4]; 64];
    spread(hir, 1, &mut sets);
    let least = hir.properties().minimum_len().unwrap_or(0).min(most);
    sets[..least].to_vec()
}

/// Adds the bytes of words that begin at the offsets of `starts`; returns where they end. What is beyond 63
/// is left out.
fn spread(hir: &Hir, starts: u64, sets: &mut [ByteSet; 64]) -> u64 {
    let add = |byte_set: &ByteSet, starts: u64, sets: &mut [ByteSet; 64]| {
        let here = sets.iter_mut().enumerate().filter(|(i, _)| starts >> i & 1 == 1);
        here.for_each(|(_, set)| unite(set, byte_set));
        starts << 1
    };
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => starts,
        HirKind::Literal(literal) => literal.0.iter().fold(starts, |at, &byte| {
            let mut set = [0; 4];
            insert(&mut set, byte);
            add(&set, at, sets)
        }),
        HirKind::Class(Class::Bytes(class)) => add(&set_of(class), starts, sets),
        // One to four bytes of any kind.
        HirKind::Class(Class::Unicode(_)) => {
            let (mut at, mut ends) = (starts, 0);
            for _ in 0..4 {
                at = add(&[u64::MAX; 4], at, sets);
                ends |= at;
            }
            ends
        }
        HirKind::Capture(capture) => spread(&capture.sub, starts, sets),
        HirKind::Concat(parts) => parts.iter().fold(starts, |at, part| spread(part, at, sets)),
        HirKind::Alternation(arms) => {
            arms.iter().fold(0, |ends, arm| ends | spread(arm, starts, sets))
        }
        HirKind::Repetition(repeat) => {
            let (mut at, mut ends) = (starts, 0);
            for times in 0..repeat.max.unwrap_or(u32::MAX) {
                if times >= repeat.min {
                    ends |= at;
                }
                at = spread(&repeat.sub, at, sets);
                // No new offsets, or none that matter: a word that is empty leads nowhere else.
                if at == 0 || times >= repeat.min && at & !ends == 0 {
                    break;
                }
            }
            ends | at
        }
    }
}

fn insert(set: &mut ByteSet, byte: u8) {
    set[usize::from(byte >> 6)] |= 1 << (byte & 63);
}

fn unite(set: &mut ByteSet, other: &ByteSet) {
    set.iter_mut().zip(other).for_each(|(all, one)| *all |= one);
}

fn within(set: &ByteSet, what: fn(u8) -> bool) -> bool {
    (0..=255).all(|byte| !has_byte(set, byte) || what(byte))
}

/// All bytes of the words of a language.
fn bytes_of(hir: &Hir) -> ByteSet {
    let mut all = [0; 4];
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(literal) => literal.0.iter().for_each(|&byte| insert(&mut all, byte)),
        HirKind::Class(Class::Bytes(class)) => all = set_of(class),
        HirKind::Class(Class::Unicode(_)) => all = [u64::MAX; 4],
        HirKind::Capture(capture) => all = bytes_of(&capture.sub),
        HirKind::Repetition(repeat) => all = bytes_of(&repeat.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => {
            parts.iter().for_each(|part| unite(&mut all, &bytes_of(part)));
        }
    }
    all
}

/// Adds the bytes with which a word of the language first leaves `core`, and those before them. Says whether
/// a word may end without having left it; `begun` says the same of what stands before.
fn escapes(hir: &Hir, begun: bool, core: &ByteSet, stop: &mut ByteSet) -> bool {
    if !begun {
        return false;
    }
    let step = |set: &ByteSet, stop: &mut ByteSet| {
        unite(stop, set);
        set.iter().zip(core).any(|(a, b)| a & b != 0)
    };
    match hir.kind() {
        // Nothing follows.
        HirKind::Look(Look::End) => false,
        HirKind::Empty | HirKind::Look(_) => true,
        HirKind::Literal(literal) => literal.0.iter().all(|&byte| {
            let mut set = [0; 4];
            insert(&mut set, byte);
            step(&set, stop)
        }),
        HirKind::Class(Class::Bytes(class)) => step(&set_of(class), stop),
        HirKind::Class(Class::Unicode(_)) => step(&[u64::MAX; 4], stop),
        HirKind::Capture(capture) => escapes(&capture.sub, true, core, stop),
        HirKind::Repetition(repeat) => escapes(&repeat.sub, true, core, stop) || repeat.min == 0,
        HirKind::Concat(parts) => {
            parts.iter().fold(true, |begun, part| escapes(part, begun, core, stop))
        }
        HirKind::Alternation(arms) => {
            arms.iter().fold(false, |any, arm| any | escapes(arm, true, core, stop))
        }
    }
}

fn set_of(class: &regex_syntax::hir::ClassBytes) -> ByteSet {
    let mut set = [0; 4];
    class.ranges().iter().flat_map(|r| r.start()..=r.end()).for_each(|byte| insert(&mut set, byte));
    set
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opening(pattern: &str) -> Option<Vec<Opening>> {
        openings(&Parts::parse(pattern, Some(1), None, None).unwrap())
    }

    fn places(pattern: &str) -> Vec<Place> {
        let place = |opening| match opening {
            Opening::At { place, .. } => place,
            _ => panic!("a sign"),
        };
        opening(pattern).unwrap().into_iter().map(place).collect()
    }

    #[test]
    fn each_kind_of_place() {
        assert_eq!(places(r"\b(\d{3}[ -]\d{4})\b"), [Place::Number]);
        assert_eq!(places(r"(?:\b|_)(\d{3}-\d{4}|\d{8})\b"), [Place::Number, Place::Number]);
        assert_eq!(places(r"\b((?:1-)?\d{3}-\d{4})\b"), [Place::Number, Place::Number]);
        assert_eq!(places(r"\b([A-Z]{2}\d\d[ A-Z0-9]{4,8})\b"), [Place::Code]);
        assert_eq!(places(r"\b([A-Z]{8})\b"), [Place::Capitals]);
        assert_eq!(places(r"\b([A-Z]{9}\d\d)\b"), [Place::Word(11, 10)]);
        assert_eq!(places(r"\b([a-f]{2}(?:[:-][a-f]{2}){2})\b"), [Place::Linked(1 << 2 | 1 << 5)]);
        assert_eq!(places(r"\b(\d{1,3}(?:\.\d{1,3}){3})\b"), [Place::Dotted]);
        assert_eq!(places(r"(\+ ?\(?[1-9]\d{3,9})"), [Place::Opening]);
        let both = places(r"(?:(?m:^)|[^\w+])(\(\+?\d{3}\) \d{3}|\d{8})\b");
        assert_eq!(both, [Place::Opening, Place::Number]);
    }

    #[test]
    fn sets_are_those_of_each_offset() {
        let all = opening(r"\b(\d{1,2}-\d{3,9})\b");
        assert_eq!(all, None);
        let all = opening(r"\b(\d{2,3}-\d{3,9})\b").unwrap();
        let [Opening::At { sets, .. }] = all.as_slice() else { panic!("not one place") };
        let held =
            |at: usize| (0..=255).filter(|&b| has_byte(&sets[at], b)).map(char::from).collect();
        let held: Vec<String> = (0..sets.len()).map(held).collect();
        assert_eq!(held[1..4], ["0123456789", "-0123456789", "-0123456789"]);
        assert_eq!(held.len(), 6);
    }

    #[test]
    fn signs_and_what_may_stand_left_of_them() {
        let all = opening(r"([a-z.]{1,20}@[a-z]{2,9}\.d)").unwrap();
        let [Opening::Sign { sign: b'@', near: 1, far: 20, left, sets }] = all.as_slice() else {
            panic!("not one sign")
        };
        assert!(has_byte(left, b'.') && !has_byte(left, b'@') && sets.len() == 4);
        // The sign may stand left of itself: then which one is it?
        assert_eq!(opening(r"([a-z@]{1,20}@[a-z]{2,9})"), None);
        assert!(matches!(
            opening(r"((?:1 )?\(\d{3}\) \d{3})").as_deref(),
            Some([Opening::Sign { sign: b'(', far: 2, .. }])
        ));
    }

    #[test]
    fn points_with_a_letter_behind() {
        let all = opening(r"\b([a-z][a-z.]{0,20}\.[a-z]{2,9})\b").unwrap();
        let [Opening::Sign { sign: b'.', near: 1, far: 21, left, sets }] = all.as_slice() else {
            panic!("not one sign")
        };
        assert!(has_byte(left, b'.') && !has_byte(left, b'-') && sets.len() == 2);
        // Every number with a point, or a name without an end.
        assert_eq!(opening(r"\b([a-z]{1,20}\.[a-z0-9]{2})\b"), None);
        assert_eq!(opening(r"\b([a-z]{1,200}\.[a-z]{2})\b"), None);
    }

    #[test]
    fn what_stands_before_groups_between_colons() {
        let all = opening(r"(?:(?m:^)|[^\w:])((?:[a-f]{1,4}:){3}[a-f]{1,4})").unwrap();
        let [Opening::Colons { lead, .. }] = all.as_slice() else { panic!("not colons") };
        assert!(has_byte(lead, b'\n') && !has_byte(lead, b'_') && !has_byte(lead, b':'));
    }

    #[test]
    fn what_ends_groups_between_colons() {
        let all = opening(r"((?:[a-f]{1,4}:){3}[a-f]{1,4}(?:/\d)?)(?:[^\w:/]|:\s|\z)").unwrap();
        let [Opening::Colons { far: 15, core, stop, lead }] = all.as_slice() else {
            panic!("not colons")
        };
        assert!(has_byte(core, b'a') && has_byte(core, b':') && !has_byte(core, b'g'));
        assert!(has_byte(stop, b'/') && has_byte(stop, b' ') && !has_byte(stop, b'g'));
        assert_eq!(lead, &[u64::MAX; 4]);
        // Without a right border anything may follow.
        let all = opening(r"((?:[a-f]{1,4}:){3}[a-f]{1,4})").unwrap();
        let [Opening::Colons { stop, .. }] = all.as_slice() else { panic!("not colons") };
        assert!(has_byte(stop, b'g'));
    }

    #[test]
    fn patterns_that_need_an_engine() {
        for pattern in [
            // No border, too short, no digit, and a text that an engine is good at.
            r"(\d{3}-\d{4})",
            r"\b(\d{3})\b",
            r"\b([a-z]{20})\b",
            r"\bacme (\d{9})\b",
            r"[ 0-9](\d{9})",
        ] {
            assert_eq!(opening(pattern), None, "{pattern}");
        }
    }
}
