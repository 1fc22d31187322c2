//! One anchored automaton: dense where it is small, lazy where it would not be.
//!
//! Dense automata need no cache and no lock. Some patterns have none of a decent size: a gap of 20 in
//! front of a table of provider words, read backwards, or `x{20,100}mark{20,100}` with `mark` in `x`,
//! each took more than 4 MiB; a text needs a few dozen of those states.

use std::panic::{RefUnwindSafe, UnwindSafe};

use regex_automata::dfa::{dense, Automaton, StartKind};
use regex_automata::hybrid::dfa::{Cache, Config as LazyConfig, DFA as LazyDfa};
use regex_automata::nfa::thompson;
use regex_automata::util::pool::Pool;
use regex_automata::{Anchored, Input, MatchKind};
use regex_syntax::hir::Hir;

/// Largest dense automaton in bytes; beyond it the lazy one is used.
const MAX_DENSE_BYTES: usize = 128 << 10;
/// What a lazy automaton may keep in one cache before it starts over.
const LAZY_CACHE_BYTES: usize = 2 << 20;
/// Largest NFA of one part of a pattern.
const MAX_NFA_BYTES: usize = 4 << 20;

/// Which way a machine reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Forward,
    Backward,
}

/// What makes a new cache for a pool.
pub(crate) type NewCache = Box<dyn Fn() -> Cache + Send + Sync + UnwindSafe + RefUnwindSafe>;

/// An anchored automaton that reports all ends.
#[derive(Debug)]
pub(crate) struct Machine {
    direction: Direction,
    form: Form,
}

#[derive(Debug)]
enum Form {
    Dense(dense::DFA<Vec<u32>>),
    Lazy { dfa: LazyDfa, caches: Pool<Cache, NewCache> },
}

impl Machine {
    pub(crate) fn build(hir: &Hir, direction: Direction) -> Result<Self, String> {
        let too_large =
            || format!("a part of it takes more than {MAX_NFA_BYTES} bytes: shorten its repeats");
        let nfa = thompson::Compiler::new()
            .configure(
                thompson::Config::new()
                    .utf8(false)
                    .reverse(direction == Direction::Backward)
                    .which_captures(thompson::WhichCaptures::None)
                    .nfa_size_limit(Some(MAX_NFA_BYTES)),
            )
            .build_from_hir(hir)
            .map_err(|_| too_large())?;
        let dense = dense::Builder::new()
            .configure(
                dense::Config::new()
                    .match_kind(MatchKind::All)
                    .start_kind(StartKind::Anchored)
                    .accelerate(false)
                    .dfa_size_limit(Some(MAX_DENSE_BYTES))
                    .determinize_size_limit(Some(MAX_DENSE_BYTES)),
            )
            .build_from_nfa(&nfa);
        let form = match dense {
            Ok(dfa) => Form::Dense(dfa),
            Err(_) => {
                let config = LazyConfig::new()
                    .match_kind(MatchKind::All)
                    .cache_capacity(LAZY_CACHE_BYTES)
                    .skip_cache_capacity_check(true);
                let dfa = LazyDfa::builder()
                    .configure(config)
                    .build_from_nfa(nfa)
                    .map_err(|_| too_large())?;
                let maker = dfa.clone();
                let caches = Pool::new(Box::new(move || maker.create_cache()) as NewCache);
                Form::Lazy { dfa, caches }
            }
        };
        Ok(Self { direction, form })
    }

    /// Reads forwards from `at`; calls `on_end` for each end of a match, ascending, until it says
    /// `false`. Returns whether all was decided before the text ended: the automaton died, or was
    /// stopped.
    #[inline]
    pub(crate) fn run(
        &self,
        text: &[u8],
        at: usize,
        steps: &mut u64,
        on_end: &mut dyn FnMut(usize) -> bool,
    ) -> bool {
        let input = Input::new(text).range(at..).anchored(Anchored::Yes);
        match &self.form {
            Form::Dense(dfa) => {
                let Ok(mut state) = dfa.start_state_forward(&input) else { return true };
                for (i, &byte) in text.iter().enumerate().skip(at) {
                    state = dfa.next_state(state, byte);
                    if dfa.is_special_state(state) {
                        // Matches are told one byte late, so that look-ahead is known.
                        if !dfa.is_match_state(state) || !on_end(i) {
                            *steps += (i - at) as u64;
                            return true;
                        }
                    }
                }
                *steps += (text.len() - at) as u64;
                if dfa.is_match_state(dfa.next_eoi_state(state)) {
                    on_end(text.len());
                }
            }
            Form::Lazy { dfa, caches } => {
                let mut cache = caches.get();
                let Ok(mut state) = dfa.start_state_forward(&mut cache, &input) else {
                    return true;
                };
                for (i, &byte) in text.iter().enumerate().skip(at) {
                    match dfa.next_state(&mut cache, state, byte) {
                        Ok(next) => state = next,
                        Err(_) => return true,
                    }
                    if state.is_match() {
                        if !on_end(i) {
                            *steps += (i - at) as u64;
                            return true;
                        }
                    } else if state.is_dead() || state.is_quit() {
                        *steps += (i - at) as u64;
                        return true;
                    }
                }
                *steps += (text.len() - at) as u64;
                if dfa.next_eoi_state(&mut cache, state).is_ok_and(|s| s.is_match()) {
                    on_end(text.len());
                }
            }
        }
        false
    }

    /// For a machine that reads backwards: whether a word of it ends at `at`.
    #[inline]
    pub(crate) fn ends_at(&self, text: &[u8], at: usize, steps: &mut u64) -> bool {
        let input = Input::new(text).range(..at).anchored(Anchored::Yes);
        match &self.form {
            Form::Dense(dfa) => {
                let Ok(mut state) = dfa.start_state_reverse(&input) else { return false };
                for (n, &byte) in text[..at].iter().rev().enumerate() {
                    state = dfa.next_state(state, byte);
                    if dfa.is_special_state(state) {
                        *steps += n as u64;
                        return dfa.is_match_state(state);
                    }
                }
                *steps += at as u64;
                dfa.is_match_state(dfa.next_eoi_state(state))
            }
            Form::Lazy { dfa, caches } => {
                let mut cache = caches.get();
                let Ok(mut state) = dfa.start_state_reverse(&mut cache, &input) else {
                    return false;
                };
                for (n, &byte) in text[..at].iter().rev().enumerate() {
                    match dfa.next_state(&mut cache, state, byte) {
                        Ok(next) => state = next,
                        Err(_) => return false,
                    }
                    if state.is_match() || state.is_dead() || state.is_quit() {
                        *steps += n as u64;
                        return state.is_match();
                    }
                }
                *steps += at as u64;
                dfa.next_eoi_state(&mut cache, state).is_ok_and(|s| s.is_match())
            }
        }
    }

    /// Bytes on which the machine survives its first step, whatever stands behind it.
    pub(crate) fn first_bytes(&self) -> Box<[bool; 256]> {
        let mut live = Box::new([false; 256]);
        // One neighbour for each kind of look-around context: none, word, other, line feed, return.
        for neighbour in [None, Some(b'a'), Some(b' '), Some(b'\n'), Some(b'\r')] {
            for byte in 0..=255_u8 {
                live[byte as usize] |= self.survives(neighbour, byte);
            }
        }
        live
    }

    fn survives(&self, neighbour: Option<u8>, byte: u8) -> bool {
        let text: Vec<u8> = neighbour.into_iter().collect();
        let input = Input::new(&text).anchored(Anchored::Yes);
        let input = match self.direction {
            Direction::Forward => input.range(text.len()..),
            Direction::Backward => input.range(..0),
        };
        match (&self.form, self.direction) {
            (Form::Dense(dfa), Direction::Forward) => dfa
                .start_state_forward(&input)
                .is_ok_and(|state| !dfa.is_dead_state(dfa.next_state(state, byte))),
            (Form::Dense(dfa), Direction::Backward) => dfa
                .start_state_reverse(&input)
                .is_ok_and(|state| !dfa.is_dead_state(dfa.next_state(state, byte))),
            (Form::Lazy { dfa, caches }, direction) => {
                let mut cache = caches.get();
                let start = match direction {
                    Direction::Forward => dfa.start_state_forward(&mut cache, &input),
                    Direction::Backward => dfa.start_state_reverse(&mut cache, &input),
                };
                // A machine that gives up is not one that says no.
                start.map_or(true, |state| {
                    dfa.next_state(&mut cache, state, byte).map_or(true, |next| !next.is_dead())
                })
            }
        }
    }
}
