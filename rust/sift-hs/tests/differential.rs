//! Seeded random patterns on seeded random texts: the engine against an oracle that cannot be wrong
//! in the same way, with `regex-automata` as the third opinion.
//!
//! The oracle does not parse and has no automaton. A pattern is a tree; matching a tree is a function
//! from the set of offsets where matches may begin to the set where they may end, and sets of offsets
//! are bits. A byte class is a mask and a shift, a sequence is composition, an alternative is a union,
//! a repeat is a fixpoint. `SIFT_FUZZ_SECONDS` and `SIFT_FUZZ_SEED` lengthen and repeat a run.

mod common;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::atomic::Ordering;
use std::time::Instant;

use common::{beyond, ends, show, skip, Automaton, Random};
use sift_hs::{Database, Flags, Pattern, Platform, ScratchPool};

const WORDS: usize = 6;
/// The longest text: its end is an offset too.
const LONGEST: usize = WORDS * 64 - 1;
const ALPHABET: &[u8] = b"abxyz01 \n_-|AB";

/// Offsets 0 to [`LONGEST`].
#[derive(Clone, Copy, PartialEq, Eq)]
struct Offsets([u64; WORDS]);

impl Offsets {
    const NONE: Offsets = Offsets([0; WORDS]);

    fn of(length: usize, holds: impl Fn(usize) -> bool) -> Offsets {
        let mut set = Offsets::NONE;
        for at in (0..=length).filter(|&at| holds(at)) {
            set.0[at / 64] |= 1 << (at % 64);
        }
        set
    }

    fn and(self, other: Offsets) -> Offsets {
        Offsets(std::array::from_fn(|word| self.0[word] & other.0[word]))
    }

    fn or(self, other: Offsets) -> Offsets {
        Offsets(std::array::from_fn(|word| self.0[word] | other.0[word]))
    }

    fn next(self) -> Offsets {
        Offsets(std::array::from_fn(|word| {
            let carry = if word == 0 { 0 } else { self.0[word - 1] >> 63 };
            self.0[word] << 1 | carry
        }))
    }

    fn list(self) -> BTreeSet<u64> {
        (0..=LONGEST as u64).filter(|at| self.0[*at as usize / 64] >> (at % 64) & 1 == 1).collect()
    }
}

#[derive(Clone, Debug)]
enum Tree {
    /// One of these bytes.
    Class(Vec<u8>),
    /// None of these bytes.
    Negated(Vec<u8>),
    Dot,
    Sequence(Vec<Tree>),
    Either(Vec<Tree>),
    Repeat(Box<Tree>, usize, Option<usize>),
    Look(Look),
}

#[derive(Clone, Copy, Debug)]
enum Look {
    Word,
    NotWord,
    LineStart,
    LineEnd,
    TextStart,
    TextEnd,
}

/// Whose rules for `^` hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    Engine,
    RegexSyntax,
}

fn is_word(byte: Option<&u8>) -> bool {
    byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
}

impl Look {
    const ALL: [Look; 6] =
        [Look::Word, Look::NotWord, Look::LineStart, Look::LineEnd, Look::TextStart, Look::TextEnd];

    /// In the engine's reading, taken over from PCRE, no line starts behind a newline that ends the
    /// text; in that of `regex-syntax` one does. It matters only to patterns like `\n^` or `^` alone.
    fn holds(self, reading: Reading, text: &[u8], at: usize) -> bool {
        let before = at.checked_sub(1).and_then(|before| text.get(before));
        let after = text.get(at);
        match self {
            Look::Word => is_word(before) != is_word(after),
            Look::NotWord => is_word(before) == is_word(after),
            Look::LineStart if reading == Reading::Engine && at == text.len() => at == 0,
            Look::LineStart => before.is_none_or(|byte| *byte == b'\n'),
            Look::LineEnd => after.is_none_or(|byte| *byte == b'\n'),
            Look::TextStart => at == 0,
            Look::TextEnd => at == text.len(),
        }
    }

    fn notation(self) -> &'static str {
        match self {
            Look::Word => r"\b",
            Look::NotWord => r"\B",
            Look::LineStart => "^",
            Look::LineEnd => "$",
            Look::TextStart => r"\A",
            Look::TextEnd => r"\z",
        }
    }
}

impl Tree {
    fn random(random: &mut Random, depth: usize) -> Tree {
        match random.below(if depth == 0 { 5 } else { 12 }) {
            // A literal of some length is what the engine looks for first.
            0 | 1 => Tree::literal(random),
            2 => Tree::Class((0..1 + random.below(4)).map(|_| *random.pick(ALPHABET)).collect()),
            3 => match random.below(4) {
                0 => Tree::Dot,
                1 => Tree::Negated(
                    (0..1 + random.below(3)).map(|_| *random.pick(ALPHABET)).collect(),
                ),
                2 => Tree::Look(*random.pick(&Look::ALL)),
                _ => Tree::Class(b"01".to_vec()),
            },
            4 => Tree::Class(vec![*random.pick(ALPHABET)]),
            5..=7 => {
                let parts = 2 + random.below(3);
                Tree::Sequence((0..parts).map(|_| Tree::random(random, depth - 1)).collect())
            }
            8 | 9 => {
                let parts = 2 + random.below(2);
                Tree::Either((0..parts).map(|_| Tree::random(random, depth - 1)).collect())
            }
            _ => {
                let inner = Box::new(Tree::random(random, depth - 1));
                let (least, most) = match random.below(6) {
                    0 => (0, None),
                    1 => (1, None),
                    2 => (0, Some(1)),
                    3 => (random.below(3), None),
                    4 => {
                        let least = random.below(4);
                        (least, Some(least + random.below(12)))
                    }
                    _ => {
                        let count = 1 + random.below(5);
                        (count, Some(count))
                    }
                };
                Tree::Repeat(inner, least, most)
            }
        }
    }

    fn literal(random: &mut Random) -> Tree {
        let length = 1 + random.below(6);
        Tree::Sequence((0..length).map(|_| Tree::Class(vec![*random.pick(ALPHABET)])).collect())
    }

    fn write(&self, out: &mut String) {
        let class = |out: &mut String, open: &str, bytes: &[u8]| {
            out.push_str(open);
            for byte in bytes {
                let _ = write!(out, "\\x{byte:02x}");
            }
            out.push(']');
        };
        match self {
            Tree::Class(bytes) if bytes.len() == 1 && bytes[0].is_ascii_alphanumeric() => {
                out.push(bytes[0] as char);
            }
            Tree::Class(bytes) if bytes.len() == 1 => {
                let _ = write!(out, "\\x{:02x}", bytes[0]);
            }
            Tree::Class(bytes) => class(out, "[", bytes),
            Tree::Negated(bytes) => class(out, "[^", bytes),
            Tree::Dot => out.push('.'),
            Tree::Sequence(parts) => parts.iter().for_each(|part| part.write(out)),
            Tree::Either(parts) => {
                out.push_str("(?:");
                for (at, part) in parts.iter().enumerate() {
                    if at > 0 {
                        out.push('|');
                    }
                    part.write(out);
                }
                out.push(')');
            }
            Tree::Repeat(inner, least, most) => {
                out.push_str("(?:");
                inner.write(out);
                out.push(')');
                let _ = match (least, most) {
                    (0, None) => write!(out, "*"),
                    (1, None) => write!(out, "+"),
                    (0, Some(1)) => write!(out, "?"),
                    (least, None) => write!(out, "{{{least},}}"),
                    (least, Some(most)) if least == most => write!(out, "{{{least}}}"),
                    (least, Some(most)) => write!(out, "{{{least},{most}}}"),
                };
            }
            Tree::Look(look) => out.push_str(look.notation()),
        }
    }

    /// A text that the tree matches, but for what its look-arounds ask.
    fn sample(&self, random: &mut Random, out: &mut Vec<u8>) {
        match self {
            Tree::Class(bytes) => out.push(*random.pick(bytes)),
            Tree::Negated(bytes) => {
                let other = ALPHABET.iter().copied().filter(|byte| !bytes.contains(byte));
                out.push(*random.pick(&other.collect::<Vec<_>>()));
            }
            Tree::Dot => out.push(*random.pick(ALPHABET)),
            Tree::Sequence(parts) => parts.iter().for_each(|part| part.sample(random, out)),
            Tree::Either(parts) => {
                let at = random.below(parts.len());
                parts[at].sample(random, out);
            }
            Tree::Repeat(inner, least, most) => {
                let most = most.unwrap_or(least + 8);
                let times = least + random.below(most - least + 1);
                (0..times).for_each(|_| inner.sample(random, out));
            }
            Tree::Look(Look::LineStart | Look::LineEnd) if random.one_in(2) => out.push(b'\n'),
            Tree::Look(_) => {}
        }
    }

    /// The offsets where matches of this tree end that begin at one of `from`.
    fn run(&self, reading: Reading, text: &[u8], flags: Flags, from: Offsets) -> Offsets {
        let step = |takes: &dyn Fn(u8) -> bool| {
            let taken = |at| text.get(at).is_some_and(|byte: &u8| takes(*byte));
            from.and(Offsets::of(text.len(), taken)).next()
        };
        let caseless = flags.contains(Flags::CASELESS);
        let listed = |bytes: &[u8], byte: u8| {
            bytes.iter().any(|b| *b == byte || caseless && b.eq_ignore_ascii_case(&byte))
        };
        match self {
            Tree::Class(bytes) => step(&|byte| listed(bytes, byte)),
            Tree::Negated(bytes) => step(&|byte| !listed(bytes, byte)),
            Tree::Dot => step(&|byte| flags.contains(Flags::DOTALL) || byte != b'\n'),
            Tree::Sequence(parts) => {
                parts.iter().fold(from, |at, part| part.run(reading, text, flags, at))
            }
            Tree::Either(parts) => {
                let ends = parts.iter().map(|part| part.run(reading, text, flags, from));
                ends.fold(Offsets::NONE, Offsets::or)
            }
            Tree::Repeat(inner, least, most) => {
                let mut ends = from;
                for _ in 0..*least {
                    ends = inner.run(reading, text, flags, ends);
                }
                let mut all = ends;
                for _ in 0..most.map_or(usize::MAX, |most| most - least) {
                    ends = inner.run(reading, text, flags, ends);
                    if all.or(ends) == all {
                        break;
                    }
                    all = all.or(ends);
                }
                all
            }
            Tree::Look(look) => {
                from.and(Offsets::of(text.len(), |at| look.holds(reading, text, at)))
            }
        }
    }

    /// Where any match ends, empty ones included.
    fn ends(&self, reading: Reading, text: &[u8], flags: Flags) -> BTreeSet<u64> {
        self.run(reading, text, flags, Offsets::of(text.len(), |_| true)).list()
    }
}

struct Case {
    tree: Tree,
    expression: String,
    flags: Flags,
}

impl Case {
    fn random(random: &mut Random) -> Case {
        let depth = 1 + random.below(4);
        let tree = Tree::random(random, depth);
        let mut expression = String::new();
        tree.write(&mut expression);
        let mut flags = Flags::MULTILINE;
        for (flag, chances) in [
            (Flags::DOTALL, 2),
            (Flags::CASELESS, 4),
            (Flags::SINGLEMATCH, 8),
            (Flags::ALLOWEMPTY, 12),
        ] {
            if random.one_in(chances) {
                flags |= flag;
            }
        }
        Case { tree, expression, flags }
    }
}

fn random_text(random: &mut Random, cases: &[Case]) -> Vec<u8> {
    let mut text = Vec::new();
    let longest = *random.pick(&[3, 20, 70, 140, LONGEST]);
    let one_filler = random.one_in(2).then(|| *random.pick(ALPHABET));
    loop {
        for _ in 0..random.below(longest / 2 + 2) {
            text.push(one_filler.unwrap_or_else(|| *random.pick(ALPHABET)));
        }
        let begun = text.len();
        random.pick(cases).tree.sample(random, &mut text);
        if text.len() > begun && random.one_in(4) {
            // One byte off: nearly a match.
            let at = begun + random.below(text.len() - begun);
            text[at] = *random.pick(ALPHABET);
        }
        if text.len() >= longest || random.one_in(3) {
            text.truncate(longest);
            return text;
        }
    }
}

#[test]
fn the_engine_agrees_with_the_oracle() {
    if skip("the_engine_agrees_with_the_oracle") {
        return;
    }
    let begun = Instant::now();
    let (mut sets, mut refused, mut scans, mut reported) = (0_u64, 0_u64, 0_u64, 0_u64);
    for seed in fuzz_seeds() {
        if begun.elapsed() > common::fuzz_time() {
            break;
        }
        let mut random = Random::new(seed);
        let size = if random.one_in(10) { 30 } else { 1 + random.below(6) };
        let cases: Vec<Case> = (0..size).map(|_| Case::random(&mut random)).collect();
        let platform = if random.one_in(2) { Platform::Generic } else { Platform::Native };
        // What the engine refuses (mostly: matches the empty string, can never match) is left out.
        let compiles = |case: &Case| {
            let pattern = Pattern { expression: &case.expression, id: 0, flags: case.flags };
            Database::compile(&[pattern], platform).is_ok()
        };
        let all = cases.len() as u64;
        let cases: Vec<Case> = cases.into_iter().filter(compiles).collect();
        refused += all - cases.len() as u64;
        if cases.is_empty() {
            continue;
        }
        let patterns: Vec<_> = (0..)
            .zip(&cases)
            .map(|(id, case)| Pattern { expression: &case.expression, id, flags: case.flags })
            .collect();
        let database = Database::compile(&patterns, platform).unwrap();
        let pool = ScratchPool::new(&[&database]).unwrap();
        let mut scratch = pool.get().unwrap();
        sets += 1;
        for _ in 0..40 {
            let text = random_text(&mut random, &cases);
            let found = ends(&database, &mut scratch, &text);
            scans += 1;
            for (id, case) in (0..).zip(&cases) {
                let expected = &case.tree.ends(Reading::Engine, &text, case.flags);
                let mine: BTreeSet<u64> =
                    found.iter().filter(|(other, _)| *other == id).map(|(_, end)| *end).collect();
                reported += mine.len() as u64;
                let right = if case.flags.contains(Flags::SINGLEMATCH) {
                    mine.is_subset(expected) && mine.len() == expected.len().min(1)
                } else {
                    mine == *expected
                };
                assert!(
                    right,
                    "seed {seed}, pattern {id} of {}: `{}` {:?} {platform:?} on \"{}\": missed {} \
                     invented {}",
                    cases.len(),
                    case.expression,
                    case.flags,
                    show(&text),
                    beyond(expected, &mine),
                    beyond(&mine, expected),
                );
            }
        }
    }
    eprintln!(
        "{sets} sets, {refused} patterns refused, {scans} scans, {reported} ends, {} scans out of \
         order, {} repeated ends, {:.1} s",
        common::OUT_OF_ORDER.load(Ordering::Relaxed),
        common::REPEATED.load(Ordering::Relaxed),
        begun.elapsed().as_secs_f64()
    );
    assert!(sets > 5 && reported > 100, "the test has hardly tested: {sets} sets, {reported} ends");
}

/// The oracle itself against `regex-automata`: the third opinion that makes the other two credible.
#[test]
fn the_oracle_agrees_with_regex_automata() {
    let begun = Instant::now();
    let mut compared = 0_u64;
    for seed in fuzz_seeds() {
        if begun.elapsed() > common::fuzz_time() / 3 {
            break;
        }
        let mut random = Random::new(seed);
        let case = Case::random(&mut random);
        let Some(automaton) = Automaton::new(&case.expression, case.flags) else {
            panic!("seed {seed}: regex-automata refuses `{}`", case.expression);
        };
        for _ in 0..20 {
            let text = random_text(&mut random, std::slice::from_ref(&case));
            let any = case.tree.ends(Reading::RegexSyntax, &text, case.flags);
            let theirs = automaton.ends(&text);
            assert!(
                any == theirs,
                "seed {seed}: `{}` {:?} on \"{}\": only here {} only there {}",
                case.expression,
                case.flags,
                show(&text),
                beyond(&any, &theirs),
                beyond(&theirs, &any),
            );
            compared += 1;
        }
    }
    assert!(compared > 50, "only {compared} comparisons");
}

fn fuzz_seeds() -> std::ops::RangeFrom<u64> {
    common::fuzz_seed()..
}
