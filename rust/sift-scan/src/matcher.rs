//! The seam to the engines: both say `(pattern, end)` and nothing else.
//!
//! An engine over-reports freely (a trigger is a wider language than its pattern) and never misses; the
//! confirm step decides. Hyperscan is the engine; `regex-automata` stands in where there is none, and is
//! the second opinion in tests.

use regex_automata::hybrid::dfa::{Cache, Config, OverlappingState, DFA};
use regex_automata::nfa::thompson;
use regex_automata::util::pool::Pool;
use regex_automata::{Input, MatchKind};
use sift_hs::{Control, Database, ScratchPool};
use sift_rules::Parts;

use crate::machine::NewCache;

/// "A match of the pattern ends at `end`", so its group begins in the `reach` bytes before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Hit {
    pub(crate) pattern: u32,
    pub(crate) end: u32,
    /// [`Hit::WIDTH`] unless the engine knows better.
    pub(crate) reach: u32,
}

impl Hit {
    /// As far as the pattern is wide.
    pub(crate) const WIDTH: u32 = u32::MAX;
}

/// What finds hits in a view.
pub(crate) trait Matcher: Send + Sync {
    /// Calls `on_hit` for each hit until it says `false`.
    fn hits(&self, text: &[u8], on_hit: &mut dyn FnMut(Hit) -> bool) -> Result<(), String>;
}

/// A Hyperscan database with its scratch; `patterns` translates its ids, `NONE` where not selected.
pub(crate) struct Hyperscan {
    database: Database,
    pool: ScratchPool,
    patterns: Vec<u32>,
}

/// An id of a database that the scanner's selection leaves out.
pub(crate) const NONE: u32 = u32::MAX;

impl Hyperscan {
    pub(crate) fn new(database: Database, patterns: Vec<u32>) -> Result<Self, String> {
        let pool = ScratchPool::new(&[&database]).map_err(|e| e.to_string())?;
        Ok(Self { database, pool, patterns })
    }

    pub(crate) fn database_bytes(&self) -> usize {
        self.database.size().unwrap_or(0)
    }
}

impl Matcher for Hyperscan {
    fn hits(&self, text: &[u8], on_hit: &mut dyn FnMut(Hit) -> bool) -> Result<(), String> {
        let mut scratch = self.pool.get().map_err(|e| e.to_string())?;
        let mut callback = |id: u32, end: u64| {
            let pattern = self.patterns.get(id as usize).copied().unwrap_or(NONE);
            // Text is at most u32::MAX bytes, so the end fits.
            if pattern == NONE || on_hit(Hit { pattern, end: end as u32, reach: Hit::WIDTH }) {
                Control::Continue
            } else {
                Control::Stop
            }
        };
        // Whether it was stopped is known to whoever stopped it.
        self.database.scan(&mut scratch, text, &mut callback).map(|_| ()).map_err(|e| e.to_string())
    }
}

/// One lazy DFA over all triggers.
pub(crate) struct Automata {
    dfa: DFA,
    caches: Pool<Cache, NewCache>,
    patterns: Vec<u32>,
}

impl Automata {
    pub(crate) fn new(patterns: Vec<u32>, parts: &[&Parts]) -> Result<Self, String> {
        let hirs: Vec<_> = parts.iter().map(|p| p.trigger()).collect();
        let nfa = thompson::Compiler::new()
            .configure(
                thompson::Config::new()
                    .utf8(false)
                    .which_captures(thompson::WhichCaptures::None)
                    .nfa_size_limit(Some(64 << 20)),
            )
            .build_many_from_hir(&hirs)
            .map_err(|_| "the rules together are too large".to_owned())?;
        let dfa = DFA::builder()
            .configure(
                Config::new()
                    .match_kind(MatchKind::All)
                    .cache_capacity(16 << 20)
                    .skip_cache_capacity_check(true),
            )
            .build_from_nfa(nfa)
            .map_err(|_| "the rules together are too large".to_owned())?;
        let maker = dfa.clone();
        let caches = Pool::new(Box::new(move || maker.create_cache()) as NewCache);
        Ok(Self { dfa, caches, patterns })
    }
}

impl Matcher for Automata {
    fn hits(&self, text: &[u8], on_hit: &mut dyn FnMut(Hit) -> bool) -> Result<(), String> {
        let mut cache = self.caches.get();
        let input = Input::new(text);
        let mut state = OverlappingState::start();
        loop {
            self.dfa
                .try_search_overlapping_fwd(&mut cache, &input, &mut state)
                .map_err(|e| e.to_string())?;
            let Some(found) = state.get_match() else { return Ok(()) };
            let pattern = self.patterns.get(found.pattern().as_usize()).copied().unwrap_or(NONE);
            if pattern != NONE
                && !on_hit(Hit { pattern, end: found.offset() as u32, reach: Hit::WIDTH })
            {
                return Ok(());
            }
        }
    }
}
