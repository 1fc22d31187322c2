//! Hits of patterns that are known by what their group begins with (`sift_rules::Opening`).
//!
//! `sift-shapes` finds the places. There the bytes are looked up, offset by offset, in tables that say which
//! openings allow them: some nanoseconds for all patterns together, and most places fit none.

use sift_rules::{has_byte, ByteSet, Opening, Place, MAX_AHEAD};
use sift_shapes::{kind, Wanted};

use crate::matcher::{Hit, Matcher};

const _: () = assert!(MAX_AHEAD == sift_shapes::AHEAD);

/// Farthest right of a colon that is read: beyond it anything is a hit.
const MAX_RIGHT: usize = 64;

/// Patterns that are found by their openings.
pub(crate) struct Marks {
    wanted: Wanted,
    tables: Vec<Table>,
    signs: Vec<Sign>,
    /// Of the signs, those that are points: too common to be places.
    points: Vec<Sign>,
    colons: Vec<Colons>,
}

struct Sign {
    pattern: u32,
    sign: u8,
    near: usize,
    far: usize,
    left: ByteSet,
    sets: Vec<ByteSet>,
}

struct Colons {
    pattern: u32,
    far: usize,
    core: ByteSet,
    stop: ByteSet,
    lead: ByteSet,
    /// No byte of `core` can stand before the group: it begins where a stretch of them does.
    apart: bool,
}

/// Up to 64 openings, one bit each.
struct Table {
    patterns: Vec<u32>,
    /// By the bit of a kind of place: the openings that begin there.
    kinds: [u64; 8],
    /// Bytes that no opening tells apart are one.
    classes: Box<[u8; 256]>,
    count: usize,
    /// By offset and class: the openings that allow it, those that do not reach so far among them.
    allowed: Vec<u64>,
    /// By offset: the openings that do not reach so far.
    done: [u64; MAX_AHEAD + 1],
}

impl Table {
    fn new(openings: &[(u32, u8, &[ByteSet])]) -> Self {
        let mut classes = Box::new([0; 256]);
        let mut known: Vec<u8> = Vec::new();
        let same = |a: u8, b: u8| {
            let sets = openings.iter().flat_map(|(_, _, sets)| sets.iter());
            sets.into_iter().all(|set| has_byte(set, a) == has_byte(set, b))
        };
        for byte in 0..=255 {
            let class = known.iter().position(|&other| same(byte, other)).unwrap_or_else(|| {
                known.push(byte);
                known.len() - 1
            });
            classes[usize::from(byte)] = class as u8;
        }
        let (mut kinds, mut done) = ([0; 8], [0; MAX_AHEAD + 1]);
        let mut allowed = vec![0; MAX_AHEAD * known.len()];
        for (bit, (_, kind, sets)) in openings.iter().enumerate() {
            kinds[kind.trailing_zeros() as usize] |= 1 << bit;
            for (offset, done) in done.iter_mut().enumerate() {
                if offset >= sets.len() {
                    *done |= 1 << bit;
                }
            }
            for (at, mask) in allowed.iter_mut().enumerate() {
                let (offset, byte) = (at / known.len(), known[at % known.len()]);
                if sets.get(offset).is_none_or(|set| has_byte(set, byte)) {
                    *mask |= 1 << bit;
                }
            }
        }
        let patterns = openings.iter().map(|opening| opening.0).collect();
        Self { patterns, kinds, classes, count: known.len(), allowed, done }
    }

    /// The openings whose sets hold the bytes at `at`.
    #[inline]
    fn fitting(&self, text: &[u8], at: usize, kinds: u8) -> u64 {
        let wanted = self.kinds.iter().enumerate().filter(|(i, _)| kinds >> i & 1 == 1);
        let mut fit = wanted.fold(0, |all, (_, mask)| all | mask);
        let bytes = text[at..].iter().take(MAX_AHEAD);
        for (&byte, (row, done)) in bytes.zip(self.allowed.chunks_exact(self.count).zip(&self.done))
        {
            if fit & !done == 0 {
                return fit;
            }
            fit &= row[usize::from(self.classes[usize::from(byte)])];
        }
        // The text may end here: what reaches farther does not fit.
        fit & self.done[MAX_AHEAD.min(text.len() - at)]
    }
}

impl Marks {
    pub(crate) fn new(openings: &[(u32, Vec<Opening>)]) -> Self {
        let mut wanted = Wanted { word: MAX_AHEAD, ..Wanted::default() };
        let (mut begins, mut colons) = (Vec::new(), Vec::new());
        let (mut signs, mut points) = (Vec::new(), Vec::new());
        for (pattern, opening) in openings.iter().flat_map(|(p, all)| all.iter().map(|o| (*p, o))) {
            match opening {
                Opening::At { place, sets } => {
                    let kind = match *place {
                        Place::Number => kind::NUMBER,
                        Place::Code => kind::CODE,
                        Place::Capitals => kind::CAPITALS,
                        Place::Word(least, digit) => {
                            wanted.word = wanted.word.min(least);
                            wanted.word_digits |= 1 << digit;
                            kind::WORD
                        }
                        Place::Linked(offsets) => {
                            wanted.links.push(offsets);
                            kind::LINKED
                        }
                        Place::Dotted => kind::DOTTED,
                        Place::Opening => kind::OPENING,
                    };
                    wanted.kinds |= kind;
                    begins.push((pattern, kind, sets.as_slice()));
                }
                Opening::Sign { sign, near, far, left, sets } => {
                    let all = match sign {
                        b'.' => &mut points,
                        b'@' => {
                            wanted.kinds |= kind::SIGN;
                            &mut signs
                        }
                        _ => {
                            wanted.kinds |= kind::OPENING;
                            &mut signs
                        }
                    };
                    let (sign, near, far, left) = (*sign, *near, *far, *left);
                    all.push(Sign { pattern, sign, near, far, left, sets: sets.clone() });
                }
                Opening::Colons { far, core, stop, lead } => {
                    wanted.kinds |= kind::SIGN;
                    let apart = core.iter().zip(lead).all(|(a, b)| a & b == 0);
                    let (far, core, stop, lead) = (*far, *core, *stop, *lead);
                    colons.push(Colons { pattern, far, core, stop, lead, apart });
                }
            }
        }
        wanted.links.sort_unstable();
        wanted.links.dedup();
        let tables = begins.chunks(64).map(Table::new).collect();
        Self { wanted, tables, signs, points, colons }
    }

    /// Hits at a sign: groups begin left of it.
    fn at_sign(&self, text: &[u8], at: usize, on_hit: &mut dyn FnMut(Hit) -> bool) -> bool {
        let byte = text[at];
        let mut signs = self.signs.iter().filter(|sign| sign.sign == byte);
        signs.all(|sign| sign.hit(text, at).is_none_or(&mut *on_hit))
            && (byte != b':'
                || self.colons.iter().all(|it| it.hit(text, at).is_none_or(&mut *on_hit)))
    }

    /// Hits at points.
    fn at_points(&self, text: &[u8], on_hit: &mut dyn FnMut(Hit) -> bool) -> bool {
        memchr::memchr_iter(b'.', text)
            .all(|at| self.points.iter().all(|point| point.hit(text, at).is_none_or(&mut *on_hit)))
    }
}

/// How many bytes right before `at`, of at most `far`, are all in the set.
fn left(text: &[u8], at: usize, far: usize, set: &ByteSet) -> usize {
    text[..at].iter().rev().take(far).take_while(|&&byte| has_byte(set, byte)).count()
}

impl Sign {
    fn hit(&self, text: &[u8], at: usize) -> Option<Hit> {
        let behind = &text[at + 1..];
        let follows = self.sets.len() <= behind.len()
            && self.sets.iter().zip(behind).all(|(set, &byte)| has_byte(set, byte));
        if !follows {
            return None;
        }
        // `@` begins a name more often than it stands in an address.
        let left = left(text, at, self.far, &self.left);
        let (pattern, end) = (self.pattern, at as u32 + 1);
        (left >= self.near).then_some(Hit { pattern, end, reach: left as u32 + 1 })
    }
}

impl Colons {
    fn hit(&self, text: &[u8], at: usize) -> Option<Hit> {
        let behind = &text[at + 1..];
        let stop = behind.iter().take(MAX_RIGHT).find(|&&byte| !has_byte(&self.core, byte));
        if stop.is_some_and(|&byte| !has_byte(&self.stop, byte)) {
            return None;
        }
        let left = left(text, at, self.far, &self.core);
        let (pattern, start) = (self.pattern, at - left);
        if !self.apart {
            return Some(Hit { pattern, end: at as u32 + 1, reach: left as u32 + 1 });
        }
        // Two of three colons in code stand behind a name: `std::`, of which `d::` could be a group.
        let before = start.checked_sub(1).and_then(|before| text.get(before));
        let leads = before.is_none_or(|&byte| has_byte(&self.lead, byte));
        leads.then_some(Hit { pattern, end: start as u32 + 1, reach: 1 })
    }
}

impl Matcher for Marks {
    fn hits(&self, text: &[u8], on_hit: &mut dyn FnMut(Hit) -> bool) -> Result<(), String> {
        if !self.points.is_empty() && !self.at_points(text, on_hit) {
            return Ok(());
        }
        sift_shapes::places(text, &self.wanted, &mut |kinds, at| {
            for table in &self.tables {
                let mut fit = table.fitting(text, at, kinds);
                while fit != 0 {
                    let pattern = table.patterns[fit.trailing_zeros() as usize];
                    fit &= fit - 1;
                    if !on_hit(Hit { pattern, end: at as u32 + 1, reach: 1 }) {
                        return false;
                    }
                }
            }
            kinds & (kind::SIGN | kind::OPENING) == 0 || self.at_sign(text, at, on_hit)
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sift_rules::RuleSet;

    use crate::{EngineKind, Options, Scanner};

    /// Places are one way to hits; the automata engine reads every byte and knows none. Candidates are
    /// compared, those that a check drops among them.
    #[test]
    fn candidates_are_those_of_an_engine_that_knows_no_places() {
        compare("pii", 15, 20_000);
    }

    /// Telephone numbers of countries, host names, and all the other numbers.
    #[test]
    fn candidates_of_all_countries_are_those_of_an_engine_that_knows_no_places() {
        compare("pii-all", 100, 400);
    }

    fn compare(rules: &str, least: usize, texts: usize) {
        let scanner = |engine| {
            let set = Arc::new(RuleSet::select(&[rules], &[]).unwrap());
            let marked = set.patterns().iter().filter(|p| p.openings().unwrap().is_some()).count();
            assert!(marked > least, "{marked}");
            Scanner::new(set, Options { engine, ..Options::default() }).unwrap()
        };
        let (marks, reference) = (scanner(None), scanner(Some(EngineKind::Automata)));
        let pieces = [
            "0",
            "1",
            "12",
            "25",
            "255",
            "300",
            "555",
            "0100",
            "2024",
            "4111",
            "123456",
            "4111111111111111",
            " ",
            " ",
            "-",
            "-",
            ".",
            ".",
            "/",
            "(",
            ")",
            "+",
            ":",
            ":",
            "::",
            "@",
            "_",
            "\n",
            ",",
            "%",
            "ext",
            "a",
            "F",
            "fe80",
            "dead",
            "00",
            "be",
            "DE",
            "89",
            "GB",
            "WEST",
            "AB12",
            "3704",
            "ABCDEFGH",
            "x",
            "é",
            "1A2B3C4D5E6F7G8",
            "00112233445566778899",
            "std",
            "01 99 00 12 34",
            "020 7946 0958",
            "(030)",
            "www.",
            ".py",
            "user",
            "example.com",
            "a.b",
            "-A12",
            "010190-123A",
            "1EG4-TE5-MK73",
            "bc1q",
            "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2",
        ];
        let mut state = 23_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as usize
        };
        let mut found = 0;
        for _ in 0..texts {
            // A few pieces again and again make groups and their separators likely.
            let some: Vec<&str> =
                (0..1 + next() % 7).map(|_| pieces[next() % pieces.len()]).collect();
            let text: String = (0..next() % 30).map(|_| some[next() % some.len()]).collect();
            let expected = reference.explain(text.as_bytes()).unwrap();
            assert_eq!(marks.explain(text.as_bytes()).unwrap(), expected);
            found += expected.len();
        }
        assert!(found > texts / 4, "{found}");
    }
}
