//! Shared by the tests of this crate: skipping, seeded numbers, a second opinion on match ends.
#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use regex_automata::hybrid::dfa::DFA;
use regex_automata::nfa::thompson;
use regex_automata::util::syntax;
use regex_automata::{Input, MatchKind};
use sift_hs::{Control, Database, Flags, Outcome, Pattern, ScratchGuard};

/// True, with a printed reason, when this build has no engine: the caller returns.
pub(crate) fn skip(test: &str) -> bool {
    if !sift_hs::available() {
        eprintln!("{test} skipped: this build has no Hyperscan");
    }
    !sift_hs::available()
}

pub(crate) fn pattern(id: u32, expression: &str) -> Pattern<'_> {
    Pattern { expression, id, flags: Flags::NONE }
}

/// Scans whose ends did not grow, and ends that came twice: the engine promises neither order nor
/// uniqueness, and the differential test prints how often it makes use of that.
pub(crate) static OUT_OF_ORDER: AtomicU64 = AtomicU64::new(0);
pub(crate) static REPEATED: AtomicU64 = AtomicU64::new(0);

/// All `(id, end)` of a text, sorted.
pub(crate) fn ends(
    database: &Database,
    scratch: &mut ScratchGuard<'_>,
    text: &[u8],
) -> BTreeSet<(u32, u64)> {
    let mut found = BTreeSet::new();
    let (mut last, mut ordered, mut repeated) = (0, true, 0);
    let outcome = database.scan(scratch, text, |id, end| {
        ordered &= end >= last;
        last = end;
        repeated += u64::from(!found.insert((id, end)));
        Control::Continue
    });
    assert_eq!(outcome, Ok(Outcome::Done));
    OUT_OF_ORDER.fetch_add(u64::from(!ordered), Ordering::Relaxed);
    REPEATED.fetch_add(repeated, Ordering::Relaxed);
    found
}

/// How long an open-ended test goes on: `SIFT_FUZZ_SECONDS`, 3 by default.
pub(crate) fn fuzz_time() -> Duration {
    let asked = std::env::var("SIFT_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs_f64(asked.unwrap_or(3.0))
}

/// Where a seeded test begins: `SIFT_FUZZ_SEED`, 1 by default. A failure prints the seed of its case.
pub(crate) fn fuzz_seed() -> u64 {
    std::env::var("SIFT_FUZZ_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// SplitMix64.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5157_4d49)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub(crate) fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// Every end of every match, empty ones included, as `regex-automata` sees it.
pub(crate) struct Automaton {
    dfa: DFA,
}

impl Automaton {
    /// `None` when `regex-automata` does not take the expression.
    pub(crate) fn new(expression: &str, flags: Flags) -> Option<Automaton> {
        let syntax = syntax::Config::new()
            .unicode(false)
            .utf8(false)
            .multi_line(flags.contains(Flags::MULTILINE))
            .dot_matches_new_line(flags.contains(Flags::DOTALL))
            .case_insensitive(flags.contains(Flags::CASELESS));
        let dfa = DFA::builder()
            .syntax(syntax)
            .thompson(thompson::Config::new().utf8(false))
            .configure(DFA::config().match_kind(MatchKind::All))
            .build(expression)
            .ok()?;
        Some(Automaton { dfa })
    }

    pub(crate) fn ends(&self, text: &[u8]) -> BTreeSet<u64> {
        let mut cache = self.dfa.create_cache();
        let mut found = BTreeSet::new();
        let mut state = self.dfa.start_state_forward(&mut cache, &Input::new(text)).unwrap();
        for (at, &byte) in text.iter().enumerate() {
            state = self.dfa.next_state(&mut cache, state, byte).unwrap();
            // Matches are known one byte late, because of what may look at the next byte.
            if state.is_match() {
                found.insert(at as u64);
            }
        }
        if self.dfa.next_eoi_state(&mut cache, state).unwrap().is_match() {
            found.insert(text.len() as u64);
        }
        found
    }
}

/// Bytes for a failure message; these texts are generated, so they may be shown.
pub(crate) fn show(text: &[u8]) -> String {
    text.escape_ascii().to_string()
}

/// The elements of `left` that are not in `right`, for a failure message.
pub(crate) fn beyond<T: Ord + std::fmt::Debug>(left: &BTreeSet<T>, right: &BTreeSet<T>) -> String {
    let mut text = String::new();
    for element in left.difference(right).take(8) {
        let _ = write!(text, "{element:?} ");
    }
    text
}
