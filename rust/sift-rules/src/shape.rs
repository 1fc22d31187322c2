//! Which patterns need no pattern engine: their group lies in a run of value bytes that `sift-shapes` finds.
//!
//! Decided from the parsed pattern alone. What it says is necessary, never sufficient: a candidate's group
//! lies in such a run, with one of the anchors at the told distance; whoever finds both still has to confirm.

use regex_syntax::hir::{Class, Hir, HirKind, Look};
use sift_checks::Check;

use crate::pattern::{only_bytes, Parts, Side};
use crate::set::{Pattern, Provider, View};

/// Shortest run with a digit that is looked for, as in `sift-shapes`.
pub const SHORT_RUN: usize = 16;
/// Shortest run without: shorter ones are every third name in source code.
pub const LONG_RUN: usize = 32;
/// An anchor farther left of the group is not used: a text is read as far for every run.
pub const MAX_LEFT: usize = 128;
/// Nor one farther inside, or a group that begins farther left of its run: the same. With 80 and 32 the engine had 15
/// patterns less, and JSON took 10 % more time.
const MAX_INSIDE: usize = 4;
const MAX_LEAD: usize = 8;
// An anchor begins in the run of its group: behind one nothing is looked for.
const _: () = assert!(MAX_INSIDE < SHORT_RUN);
/// What can be any of more bytes leads left through any text, unless it is short.
const WIDE: usize = 100;
const NARROW_WIDTH: usize = 8;
/// Shorter anchors are in every text.
const MIN_ANCHOR: usize = 3;
/// Most texts that neighbouring alternations are multiplied out to.
const MAX_PRODUCT: usize = 64;
/// Largest class of bytes that is multiplied out: hexadecimal digits.
const MAX_CLASS: usize = 16;
/// Longer anchors tell no more.
const MAX_ANCHOR: usize = 64;

/// What a text must have where a group of the pattern begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// A run of value bytes at least this long, in which the group lies as far as `lead` allows.
    pub run: usize,
    /// The run holds a digit, or the group is dropped.
    pub digit: bool,
    /// The group begins at most this many bytes left of the run.
    pub lead: usize,
    /// What else there is.
    pub mark: Mark,
}

/// What shows, with a run, that a group may be near.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// One of the anchors stands left of the group. Between them are any number of bytes of `name`, then one
    /// or more of `link`, or nothing if both are empty; and a group that begins inside a run stands behind a `=` or `-`.
    Left {
        /// Texts.
        anchors: Vec<Anchor>,
        /// The rest of a name: ranges of bytes, ascending.
        name: Vec<(u8, u8)>,
        /// Quotes, blanks, operators: the same.
        link: Vec<(u8, u8)>,
        /// What else stands between a far anchor and the group.
        gate: Option<Gate>,
        /// What the group must be.
        values: Values,
    },
    /// One of the anchors stands in the group.
    Inside(Vec<Anchor>),
    /// The group is a whole run of letters and digits of a length in these bounds.
    Whole(usize, usize),
}

/// Key words of which one stands between an anchor and the group, unless the anchor is near.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gate {
    /// The key words.
    pub anchors: Vec<Anchor>,
    /// An anchor that ends at most this many bytes left of the group needs none.
    pub direct: usize,
}

/// What a group has to be where it begins, before anything else is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Values {
    /// All its bytes are in this alphabet: a position in [`alphabets`].
    pub alphabet: usize,
    /// Lengths of the stretch of the alphabet that begins with the group: ranges, both ends included.
    pub lengths: Vec<(usize, usize)>,
    /// Bytes that can stand before it: ranges, ascending.
    pub behind: Vec<(u8, u8)>,
}

/// Number of alphabets.
pub const ALPHABETS: usize = 4;

/// The alphabets a byte is in, one bit each, every one with all bytes of that before: letters and digits;
/// with `-` and `_`; with `+ / = ~`; all value bytes.
pub const fn alphabets(byte: u8) -> u8 {
    match byte {
        b'-' | b'_' => 0b1110,
        b'+' | b'/' | b'=' | b'~' => 0b1100,
        b'%' => 0b1000,
        _ if byte.is_ascii_alphanumeric() => 0b1111,
        _ => 0,
    }
}

/// A text in or near the group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Anchor {
    /// Its bytes, each with bit 0x20 set, which makes letters lower case.
    pub text: Vec<u8>,
    /// Bytes between the anchor and the beginning of the group, at least: from its end if it stands left,
    /// back from its beginning if inside.
    pub near: usize,
    /// The same, at most.
    pub far: usize,
}

impl Pattern {
    /// What finds the pattern without an engine, if anything does. Runs are looked for in the text itself,
    /// so a pattern of another view has none.
    pub fn shape(&self) -> Result<Option<Shape>, String> {
        let parts = self.parts()?;
        if self.view != View::Identity {
            return Ok(None);
        }
        let lengths = self.providers.iter().map(Provider::lengths).collect::<Option<Vec<_>>>();
        let lengths = lengths.filter(|all| !all.is_empty()).map(|all| all.concat());
        Ok(Shape::of(parts, &self.checks, lengths.as_deref()))
    }
}

impl Shape {
    /// The shape of a pattern with these checks, if it has one. `lengths` are those of all values that its
    /// providers give out, if they are known.
    fn of(parts: &Parts, checks: &[Check], lengths: Option<&[(usize, usize)]>) -> Option<Self> {
        let segment = segment(&parts.group);
        let dropped =
            segment.all && checks.iter().any(|c| matches!(c, Check::HasDigit | Check::Mixed));
        let digit = segment.digit || dropped;
        let least = if digit { SHORT_RUN } else { LONG_RUN };
        if segment.run < least || segment.lead > MAX_LEAD {
            return None;
        }
        let mark = inside(parts)
            .filter(|(worth, _)| *worth > MIN_ANCHOR)
            .or_else(|| left(parts, segment.run, lengths).filter(|_| segment.lead == 0))
            .map(|(_, mark)| mark)
            .or_else(|| inside(parts).map(|(_, mark)| mark))
            .or_else(|| parts.alnum_run().map(|(least, most)| Mark::Whole(least, most)))?;
        Some(Self { run: segment.run, digit, lead: segment.lead, mark })
    }
}

/// What every word of a language has: `run` value bytes in a row, a digit among them, the first at most
/// `lead` bytes from the word's beginning; `all` if there is nothing else in it.
#[derive(Clone, Copy, Debug, Default)]
struct Segment {
    run: usize,
    digit: bool,
    lead: usize,
    all: bool,
}

/// Whether `byte` can stand in a run; the same as `sift_shapes::is_value_byte`.
pub const fn is_value_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'%' | b'+' | b'-' | b'/' | b'=' | b'_' | b'~')
}

fn segment(hir: &Hir) -> Segment {
    let least = hir.properties().minimum_len().unwrap_or(0);
    let all = only_bytes(hir, is_value_byte);
    if all {
        return Segment { run: least, digit: always_digit(hir), lead: 0, all };
    }
    match hir.kind() {
        HirKind::Capture(capture) => segment(&capture.sub),
        HirKind::Repetition(repeat) if repeat.min > 0 => segment(&repeat.sub),
        HirKind::Alternation(arms) => arms
            .iter()
            .map(segment)
            .reduce(|a, b| Segment {
                run: a.run.min(b.run),
                digit: a.digit && b.digit,
                lead: a.lead.max(b.lead),
                all,
            })
            .unwrap_or_default(),
        HirKind::Concat(parts) => {
            let (mut best, mut current) = (Segment::default(), Segment::default());
            let mut at = 0;
            for part in parts {
                let inner = segment(part);
                if inner.all {
                    current.run += inner.run;
                    current.digit |= inner.digit;
                } else {
                    best = longer(best, current);
                    best = longer(best, Segment { lead: at + inner.lead, ..inner });
                }
                at += part.properties().maximum_len().unwrap_or(usize::MAX / 2);
                if !inner.all {
                    current = Segment { lead: at, ..Segment::default() };
                }
            }
            longer(best, current)
        }
        _ => Segment::default(),
    }
}

fn longer(a: Segment, b: Segment) -> Segment {
    let worth = |s: &Segment| (s.run >= LONG_RUN, s.digit && s.run >= SHORT_RUN, s.run);
    let mut best = if worth(&b) > worth(&a) { b } else { a };
    best.all = false;
    best
}

/// Whether every word has a digit.
fn always_digit(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Literal(literal) => literal.0.iter().any(u8::is_ascii_digit),
        HirKind::Class(Class::Bytes(class)) => {
            class.ranges().iter().all(|r| r.start() >= b'0' && r.end() <= b'9')
        }
        HirKind::Capture(capture) => always_digit(&capture.sub),
        HirKind::Repetition(repeat) => repeat.min > 0 && always_digit(&repeat.sub),
        HirKind::Concat(parts) => parts.iter().any(always_digit),
        HirKind::Alternation(arms) => arms.iter().all(always_digit),
        _ => false,
    }
}

/// Texts of which every word of a language has one, and what follows them in it.
#[derive(Clone, Debug)]
struct Found {
    texts: Vec<Placed>,
    tail: Hir,
}

/// A text with the bytes that stand left and right of it in a word: at least, at most.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Placed {
    text: Vec<u8>,
    left: (usize, usize),
    right: (usize, usize),
}

/// Anchors in the group, with what they are worth.
fn inside(parts: &Parts) -> Option<(usize, Mark)> {
    let found = find(&parts.group, Side::First)?;
    let anchors = found.texts.iter().map(|t| (t.text.clone(), t.left));
    usable(anchors, MAX_INSIDE).map(|(worth, anchors)| (worth, Mark::Inside(anchors)))
}

/// Anchors left of the group, with what they are worth, if it begins with `run` value bytes.
fn left(parts: &Parts, run: usize, lengths: Option<&[(usize, usize)]>) -> Option<(usize, Mark)> {
    let found = find(&parts.before, Side::Last)?;
    let anchors = found.texts.iter().map(|t| (t.text.clone(), t.right));
    let (worth, anchors) = usable(anchors, MAX_LEFT)?;
    let behind = last_bytes(&parts.before);
    // Each value byte that can stand before a group makes places in a run where one may begin.
    if (0..=255).any(|b| is_value_byte(b) && !matches!(b, b'=' | b'-') && behind[b as usize]) {
        return None;
    }
    let (mut name, mut link) = ([false; 256], [false; 256]);
    between(&found.tail, &mut name, &mut link)?;
    let (name, link) = (ranges(&name), ranges(&link));
    let sure = !link.is_empty() || name.is_empty();
    let gate = gate(&parts.before, &anchors);
    let values = values(parts, run, lengths, &behind);
    sure.then_some((worth, Mark::Left { anchors, name, link, gate, values }))
}

/// Bytes that the words of `before` can end with; all if it can be empty.
fn last_bytes(before: &Hir) -> [bool; 256] {
    fn add(hir: &Hir, set: &mut [bool; 256]) -> bool {
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => true,
            HirKind::Literal(literal) => {
                literal.0.last().iter().for_each(|&&byte| set[byte as usize] = true);
                false
            }
            HirKind::Class(_) => {
                bytes(hir, set);
                false
            }
            HirKind::Capture(capture) => add(&capture.sub, set),
            HirKind::Repetition(repeat) => add(&repeat.sub, set) || repeat.min == 0,
            HirKind::Concat(parts) => parts.iter().rev().all(|part| add(part, set)),
            HirKind::Alternation(arms) => {
                // All arms, so not `any`.
                arms.iter().filter(|arm| add(arm, set)).count() > 0
            }
        }
    }
    let mut set = [false; 256];
    if add(before, &mut set) {
        return [true; 256];
    }
    set
}

/// The key words that every word of `before` has right of its anchors, unless it is short.
fn gate(before: &Hir, anchors: &[Anchor]) -> Option<Gate> {
    let mut parts = Vec::new();
    flatten(before, &mut parts);
    let owned = |parts: &[&Hir]| Hir::concat(parts.iter().map(|&part| part.clone()).collect());
    (1..parts.len()).rev().find_map(|at| {
        let mut texts: Vec<_> = find(&owned(&parts[..at]), Side::Last)?.texts;
        texts.sort();
        texts.dedup_by(|a, b| a.text == b.text);
        if !texts.iter().map(|t| &t.text).eq(anchors.iter().map(|a| &a.text)) {
            return None;
        }
        let rest = width(&owned(&parts[at + 1..]));
        let arms = match parts[at].kind() {
            HirKind::Alternation(arms) => arms.as_slice(),
            _ => std::slice::from_ref(parts[at]),
        };
        let (mut words, mut direct) = (Vec::new(), 0);
        for arm in arms {
            let found = find(arm, Side::Last).map(|found| found.texts).unwrap_or_default();
            if found.iter().map(|t| t.text.len()).min() >= Some(MIN_ANCHOR) {
                let moved = |t: Placed| (t.text, (rest.0 + t.right.0, rest.1 + t.right.1));
                words.extend(found.into_iter().map(moved));
            } else {
                direct = direct.max(rest.1 + width(arm).1);
            }
        }
        let (_, anchors) = usable(words.into_iter(), MAX_LEFT)?;
        Some(Gate { anchors, direct })
    })
}

/// What the group of a pattern is that begins with `run` value bytes.
fn values(
    parts: &Parts,
    run: usize,
    lengths: Option<&[(usize, usize)]>,
    behind: &[bool; 256],
) -> Values {
    let mut set = [false; 256];
    bytes(&parts.group, &mut set);
    let all = |bit: usize| {
        (0..=255).filter(|&byte| set[byte as usize]).all(|byte| alphabets(byte) >> bit & 1 == 1)
    };
    let alphabet = (0..ALPHABETS).find(|&bit| all(bit));
    let (least, most) = width(&parts.group);
    let lengths = match alphabet {
        Some(alphabet) if closed(&parts.after, alphabet) => {
            let fits = |&(a, b): &(usize, usize)| (a.max(least), b.min(most));
            let lengths: Vec<_> =
                lengths.map_or(vec![(least, most)], |l| l.iter().map(fits).collect());
            lengths.into_iter().filter(|(a, b)| a <= b).collect()
        }
        // More of the alphabet may follow.
        Some(_) => vec![(least, usize::MAX)],
        // It goes on with bytes that no run has.
        None => vec![(run, usize::MAX)],
    };
    Values { alphabet: alphabet.unwrap_or(ALPHABETS - 1), lengths, behind: ranges(behind) }
}

/// Whether what follows a group is never in the alphabet.
fn closed(after: &Hir, alphabet: usize) -> bool {
    match after.kind() {
        HirKind::Look(Look::End) => true,
        // Beside a letter or digit.
        HirKind::Look(Look::WordAscii) => alphabet == 0,
        HirKind::Empty | HirKind::Look(_) | HirKind::Class(Class::Unicode(_)) => false,
        HirKind::Literal(_) | HirKind::Class(_) => {
            let mut set = [false; 256];
            match after.kind() {
                HirKind::Literal(literal) => {
                    literal.0.first().iter().for_each(|&&byte| set[byte as usize] = true);
                }
                _ => bytes(after, &mut set),
            }
            (0..=255_u8).all(|b| !set[b as usize] || alphabets(b) >> alphabet & 1 == 0)
        }
        HirKind::Capture(capture) => closed(&capture.sub, alphabet),
        HirKind::Repetition(repeat) => repeat.min > 0 && closed(&repeat.sub, alphabet),
        HirKind::Concat(parts) => parts.first().is_some_and(|part| closed(part, alphabet)),
        HirKind::Alternation(arms) => arms.iter().all(|arm| closed(arm, alphabet)),
    }
}

/// The anchors if all are long and near enough, and the length of the shortest.
fn usable(
    texts: impl Iterator<Item = (Vec<u8>, (usize, usize))>,
    most: usize,
) -> Option<(usize, Vec<Anchor>)> {
    let mut anchors: Vec<Anchor> =
        texts.map(|(text, (near, far))| Anchor { text, near, far }).collect();
    anchors.sort();
    anchors.dedup_by(|next, kept| {
        let same = next.text == kept.text;
        if same {
            (kept.near, kept.far) = (kept.near.min(next.near), kept.far.max(next.far));
        }
        same
    });
    let worth = anchors.iter().map(|anchor| anchor.text.len()).min()?;
    let near = anchors.iter().all(|anchor| anchor.far <= most);
    (worth >= MIN_ANCHOR && near).then_some((worth, anchors))
}

/// Splits what stands between an anchor and a group at its last part that is never empty: the bytes before
/// it, and those of it and behind it. None if it leads through any text; `link` stays empty if all of it can
/// be empty.
fn between(hir: &Hir, name: &mut [bool; 256], link: &mut [bool; 256]) -> Option<()> {
    let mut parts = Vec::new();
    flatten(hir, &mut parts);
    let last = parts.iter().rposition(|part| width(part).0 > 0);
    for (i, part) in parts.iter().enumerate() {
        let mut set = [false; 256];
        bytes(part, &mut set);
        if set.iter().filter(|&&is| is).count() > WIDE && width(part).1 > NARROW_WIDTH {
            return None;
        }
        let side = if last.is_some_and(|last| i >= last) { &mut *link } else { &mut *name };
        side.iter_mut().zip(set).for_each(|(all, one)| *all |= one);
    }
    Some(())
}

/// The parts of a concatenation, those of its own concatenations too.
fn flatten<'h>(hir: &'h Hir, parts: &mut Vec<&'h Hir>) {
    match hir.kind() {
        HirKind::Concat(all) => all.iter().for_each(|part| flatten(part, parts)),
        HirKind::Capture(capture) => flatten(&capture.sub, parts),
        HirKind::Empty | HirKind::Look(_) => {}
        _ => parts.push(hir),
    }
}

/// All bytes of the words of a language.
fn bytes(hir: &Hir, set: &mut [bool; 256]) {
    match hir.kind() {
        HirKind::Literal(literal) => literal.0.iter().for_each(|&byte| set[byte as usize] = true),
        HirKind::Class(Class::Bytes(class)) => class
            .ranges()
            .iter()
            .for_each(|r| (r.start()..=r.end()).for_each(|byte| set[byte as usize] = true)),
        HirKind::Class(Class::Unicode(_)) => *set = [true; 256],
        HirKind::Capture(capture) => bytes(&capture.sub, set),
        HirKind::Repetition(repeat) => bytes(&repeat.sub, set),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => {
            parts.iter().for_each(|part| bytes(part, set));
        }
        HirKind::Empty | HirKind::Look(_) => {}
    }
}

fn ranges(set: &[bool; 256]) -> Vec<(u8, u8)> {
    let mut all: Vec<(u8, u8)> = Vec::new();
    for byte in (0..=255_u8).filter(|&byte| set[byte as usize]) {
        match all.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(byte) => *last = byte,
            _ => all.push((byte, byte)),
        }
    }
    all
}

/// Sets bit 0x20 of each byte.
fn fold(text: &[u8]) -> Vec<u8> {
    text.iter().map(|byte| byte | 0x20).collect()
}

/// The best texts of which every word of the language has one, the first or last of those as good; none if
/// there are none.
fn find(hir: &Hir, side: Side) -> Option<Found> {
    if let Some(texts) = texts(hir) {
        let placed = |text| Placed { text, left: (0, 0), right: (0, 0) };
        return sound(texts.into_iter().map(placed).collect(), Hir::empty());
    }
    match hir.kind() {
        HirKind::Capture(capture) => find(&capture.sub, side),
        HirKind::Alternation(arms) => {
            let found = arms.iter().map(|arm| find(arm, side)).collect::<Option<Vec<_>>>()?;
            let mut tails: Vec<Hir> = Vec::new();
            let mut texts = Vec::new();
            for arm in found {
                texts.extend(arm.texts);
                if !tails.contains(&arm.tail) {
                    tails.push(arm.tail);
                }
            }
            Some(Found { texts, tail: Hir::alternation(tails) })
        }
        HirKind::Concat(parts) => {
            let mut best: Option<Found> = None;
            let mut offer = |found: Option<Found>| {
                let Some(found) = found else { return };
                let better = best.as_ref().is_none_or(|best| match side {
                    Side::First => worth(&found) > worth(best),
                    Side::Last => worth(&found) >= worth(best),
                });
                if better {
                    best = Some(found);
                }
            };
            let widths: Vec<(usize, usize)> = parts.iter().map(width).collect();
            // Words of the parts since `from`, as long as they are a short list.
            let (mut run, mut from) = (vec![Vec::new()], 0);
            let placed = |texts: &[Vec<u8>], from: usize, to: usize| {
                let (left, right) = (sum(&widths[..from]), sum(&widths[to..]));
                let all = texts.iter().map(|text| Placed { text: text.clone(), left, right });
                sound(all.collect(), Hir::concat(parts[to..].to_vec()))
            };
            for (i, part) in parts.iter().enumerate() {
                let short = texts(part);
                if let Some(grown) = short.as_ref().and_then(|texts| product(&run, texts)) {
                    run = grown;
                    continue;
                }
                offer(placed(&run, from, i));
                if let Some(texts) = short {
                    (run, from) = (texts, i);
                    continue;
                }
                (run, from) = (vec![Vec::new()], i + 1);
                if let Some(inner) = find(part, side) {
                    let (left, right) = (sum(&widths[..i]), sum(&widths[i + 1..]));
                    let moved = |t: Placed| Placed {
                        text: t.text,
                        left: (left.0 + t.left.0, left.1 + t.left.1),
                        right: (right.0 + t.right.0, right.1 + t.right.1),
                    };
                    let mut tail = vec![inner.tail];
                    tail.extend_from_slice(&parts[i + 1..]);
                    let texts = inner.texts.into_iter().map(moved).collect();
                    offer(Some(Found { texts, tail: Hir::concat(tail) }));
                }
            }
            offer(placed(&run, from, parts.len()));
            best
        }
        _ => None,
    }
}

/// Texts none of which is empty.
fn sound(texts: Vec<Placed>, tail: Hir) -> Option<Found> {
    let full = !texts.is_empty() && texts.iter().all(|t| !t.text.is_empty());
    full.then_some(Found { texts, tail })
}

/// Longer is better, up to what is rare anyway; then fewer.
fn worth(found: &Found) -> (usize, std::cmp::Reverse<usize>) {
    let least = found.texts.iter().map(|t| t.text.len().min(6)).min().unwrap_or(0);
    (least, std::cmp::Reverse(found.texts.len()))
}

fn width(hir: &Hir) -> (usize, usize) {
    let properties = hir.properties();
    let far = usize::from(u16::MAX);
    (
        properties.minimum_len().unwrap_or(0).min(far),
        properties.maximum_len().unwrap_or(far).min(far),
    )
}

fn sum(widths: &[(usize, usize)]) -> (usize, usize) {
    widths.iter().fold((0, 0), |(a, b), (c, d)| (a + c, b + d))
}

/// All words of a language that has a handful, folded.
fn texts(hir: &Hir) -> Option<Vec<Vec<u8>>> {
    let mut all = match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => vec![Vec::new()],
        HirKind::Literal(literal) => vec![fold(&literal.0)],
        HirKind::Class(Class::Bytes(class)) => {
            let mut bytes: Vec<u8> =
                class.ranges().iter().flat_map(|r| r.start()..=r.end()).map(|b| b | 0x20).collect();
            bytes.sort_unstable();
            bytes.dedup();
            if bytes.len() > MAX_CLASS {
                return None;
            }
            bytes.into_iter().map(|byte| vec![byte]).collect()
        }
        HirKind::Capture(capture) => texts(&capture.sub)?,
        HirKind::Repetition(repeat) if Some(repeat.min) == repeat.max && repeat.min <= 8 => {
            let one = texts(&repeat.sub)?;
            (0..repeat.min).try_fold(vec![Vec::new()], |all, _| product(&all, &one))?
        }
        HirKind::Concat(parts) => {
            parts.iter().try_fold(vec![Vec::new()], |all, part| product(&all, &texts(part)?))?
        }
        HirKind::Alternation(arms) => {
            let mut all = Vec::new();
            for arm in arms {
                all.extend(texts(arm)?);
                if all.len() > MAX_PRODUCT {
                    return None;
                }
            }
            all
        }
        _ => return None,
    };
    all.sort();
    all.dedup();
    (all.iter().all(|text| text.len() <= MAX_ANCHOR)).then_some(all)
}

fn product(left: &[Vec<u8>], right: &[Vec<u8>]) -> Option<Vec<Vec<u8>>> {
    if left.len() * right.len() > MAX_PRODUCT {
        return None;
    }
    let all: Vec<Vec<u8>> = left
        .iter()
        .flat_map(|a| right.iter().map(move |b| [a.as_slice(), b.as_slice()].concat()))
        .collect();
    all.iter().all(|text| text.len() <= MAX_ANCHOR).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(pattern: &str, checks: &[Check]) -> Option<Shape> {
        Shape::of(&Parts::parse(pattern, Some(1), None, None).unwrap(), checks, None)
    }

    fn anchor(text: &str, near: usize, far: usize) -> Anchor {
        Anchor { text: text.as_bytes().to_vec(), near, far }
    }

    #[test]
    fn a_name_before_a_value() {
        let pattern = r#"(?i:acme|wile[_-]?coyote)[\w.]{0,9}"?\s?[=:]\s?"?([a-z0-9]{20,40})"#;
        let shape = shape(pattern, &[Check::Mixed]).unwrap();
        assert_eq!((shape.run, shape.digit, shape.lead), (20, true, 0));
        let Mark::Left { anchors, name, link, gate, values } = shape.mark else {
            panic!("not left")
        };
        assert_eq!(anchors, [anchor("acme", 1, 14), anchor("coyote", 1, 14)]);
        assert!(name.contains(&(b'a', b'z')) && link.contains(&(b'=', b'=')));
        assert!(!link.contains(&(b'a', b'z')));
        assert_eq!(gate, None);
        assert_eq!((values.alphabet, values.lengths), (0, vec![(20, usize::MAX)]));
        assert!(values.behind.contains(&(b'=', b'=')));
    }

    #[test]
    fn an_anchor_may_touch_the_group() {
        let shape = shape(r"[?&]sig=([A-Za-z0-9%]{40})", &[]).unwrap();
        let expected = [anchor("&sig=", 0, 0), anchor("?sig=", 0, 0)];
        let Mark::Left { anchors, name, link, values, .. } = shape.mark else { panic!("not left") };
        assert_eq!(anchors, expected);
        assert!(name.is_empty() && link.is_empty());
        assert_eq!((values.alphabet, values.behind), (3, vec![(b'=', b'=')]));
    }

    #[test]
    fn a_key_word_between_a_far_name_and_a_value() {
        let pattern =
            r#"(?i:acme|wile)(?:[\w.]{0,40}(?i:key|token)_?|s?)"?[=:]([a-z0-9]{20,40})(?:\W|\z)"#;
        let lengths = [(8, 8), (24, 24), (32, 90)];
        let shape = Shape::of(&parts(pattern), &[Check::Mixed], Some(&lengths)).unwrap();
        let Mark::Left { anchors, gate, values, .. } = shape.mark else { panic!("not left") };
        assert_eq!(anchors, [anchor("acme", 1, 48), anchor("wile", 1, 48)]);
        let words = vec![anchor("key", 1, 3), anchor("token", 1, 3)];
        assert_eq!(gate, Some(Gate { anchors: words, direct: 3 }));
        assert_eq!((values.alphabet, values.lengths), (0, vec![(24, 24), (32, 40)]));
        assert_eq!(values.behind, [(b':', b':'), (b'=', b'=')]);
        // Without an arm that has none, every anchor needs one.
        let pattern = r"acme[a-z]{0,9}(?:key|token)[=:]([a-z0-9]{40})";
        let Mark::Left { gate, .. } = self::shape(pattern, &[]).unwrap().mark else {
            panic!("not left")
        };
        assert_eq!(gate.map(|gate| gate.direct), Some(0));
    }

    #[test]
    fn only_what_cannot_follow_fixes_the_length_of_a_value() {
        let lengths = |pattern| match shape(pattern, &[]).unwrap().mark {
            Mark::Left { values, .. } => (values.alphabet, values.lengths),
            mark => panic!("{mark:?}"),
        };
        let open = |alphabet, least| (alphabet, vec![(least, usize::MAX)]);
        assert_eq!(lengths(r"acme=([a-z]{40})"), open(0, 40));
        assert_eq!(lengths(r"acme=([a-z]{40})\b"), (0, vec![(40, 40)]));
        assert_eq!(lengths(r"acme=([a-z-]{40})\b"), open(1, 40));
        assert_eq!(lengths(r"acme=([a-z-]{40})(?:[^\w-]|\z)"), (1, vec![(40, 40)]));
        assert_eq!(lengths(r"acme=([a-z/]{40})(?:[^\w-]|\z)"), open(2, 40));
        assert_eq!(lengths(r"acme=([a-z/]{40}[.][a-z])(?:[^\w-]|\z)"), open(3, 40));
    }

    #[test]
    fn a_prefix_of_a_value() {
        let shape = shape(r"\b((?:ak|sk)-(?:live|test)-[A-Za-z0-9]{30})\b", &[]).unwrap();
        assert_eq!((shape.run, shape.digit), (38, false));
        let texts = ["ak-live-", "ak-test-", "sk-live-", "sk-test-"];
        assert_eq!(shape.mark, Mark::Inside(texts.map(|text| anchor(text, 0, 0)).to_vec()));
        // One that begins behind the run would not be looked for.
        assert_eq!(self::shape(r"([0-9]{9}-[0-9a-z]{20}\.apps\.example)", &[]), None);
        // Some of the group is no value byte: the run begins inside.
        let shape = super::Shape::of(&parts(r"(acme:[A-Za-z0-9]{40})"), &[], None).unwrap();
        assert_eq!((shape.run, shape.lead), (40, 5));
    }

    fn parts(pattern: &str) -> Parts {
        Parts::parse(pattern, Some(1), None, None).unwrap()
    }

    #[test]
    fn a_whole_run_is_a_mark_of_its_own() {
        let shape = shape(r"\b([a-f0-9]{32})\b", &[]).unwrap();
        assert_eq!(shape.mark, Mark::Whole(32, 32));
    }

    #[test]
    fn a_digit_is_sure_by_the_pattern_or_by_a_check() {
        let digit = |pattern, checks: &[Check]| shape(pattern, checks).map(|shape| shape.digit);
        assert_eq!(digit(r"acme=([a-z]{20})", &[]), None);
        assert_eq!(digit(r"acme=([a-z0-9]{20})", &[Check::HasDigit]), Some(true));
        assert_eq!(digit(r"acme=([a-z]{9}[0-9]{9})", &[]), Some(true));
        assert_eq!(digit(r"acme=([a-z]{9}(?:[0-9]{9}|[a-z]{9}))", &[]), None);
        assert_eq!(digit(r"acme=([a-z]{40})", &[]), Some(false));
        // The digit may stand outside of the run.
        assert_eq!(digit(r"acme=([a-z]{20}:[a-z0-9])", &[Check::Mixed]), None);
    }

    #[test]
    fn patterns_that_need_an_engine() {
        for pattern in [
            // Too short, no anchor, too far, through any text, and where a group could begin anywhere.
            r"acme=([0-9]{15})",
            r"k=([a-z0-9_]{40})",
            r"acme[a-z ]{0,150}[:=]([a-z0-9_]{40})",
            r"acme[^\n]{0,30}[:=]([a-z0-9_]{40})",
            r"acme[=a-z]([a-z0-9_]{40})",
            r"acme=?([a-z0-9_]{40})",
            // Nothing that a run could be.
            r"acme=([^\s]{40})",
        ] {
            assert_eq!(shape(pattern, &[]), None, "{pattern}");
        }
    }

    #[test]
    fn look_around_and_unicode_classes_are_no_obstacle() {
        assert!(shape(r"(?m:^)acme\b=\b([a-z0-9]{40})(?:[^\w]|\z)", &[]).is_some());
        assert_eq!(shape(r"acme=((?u:[а-я]){40})", &[]), None);
    }
}
