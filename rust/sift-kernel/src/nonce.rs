//! Which nonces were seen: as long as a request that carries one could be accepted, and never shorter.
//!
//! A request is accepted while `issued_at - skew <= now < expires_at` and `expires_at - issued_at` is at most
//! the lifetime. So one that is accepted now can be accepted again for at most `lifetime + skew` of the wall
//! clock. Generations are counted by a clock that cannot be set; the wall clock may be apart from it by the
//! tolerance in either direction, and wander by one in a thousand ([`longest`]). That is how long a nonce stays
//! here: the length of a generation is derived and cannot be set. Two generations are kept; an entry outlives
//! the one it was made in.
//!
//! Memory is bounded and nothing in it may be forgotten early, so somebody must be refused when it runs low:
//! an agent that holds as much as is still free. One that floods stops at half of the memory, n that do at
//! n / (n + 1) of it together, and whoever holds less than the rest has room (dynamic thresholds, Choudhury and
//! Hahne, "Dynamic queue length thresholds for shared-memory packet switches", 1998, with alpha = 1).

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::Mutex;

use crate::sync::lock;

/// Nonces are of this many bytes.
pub const NONCE_BYTES: usize = 16;

const SHARDS: usize = 16;

/// For how long of the steady clock one request can be accepted, milliseconds.
///
/// Args: for how long of the wall clock; how far that may step unnoticed, either way.
pub(crate) fn longest(window_ms: i64, tolerance_ms: i64) -> i64 {
    window_ms.saturating_add(tolerance_ms.saturating_mul(2)).saturating_add(window_ms / 1_000 + 1)
}

type Nonce = [u8; NONCE_BYTES];

/// Nonces of one length of time, by the keyed hash of whose they are.
#[derive(Debug, Default)]
struct Generation {
    agents: HashMap<u64, HashSet<Nonce>>,
    count: usize,
}

impl Generation {
    fn of(&self, agent: u64) -> Option<&HashSet<Nonce>> {
        self.agents.get(&agent)
    }
}

#[derive(Debug, Default)]
struct Shard {
    /// Number of the generation that `young` is.
    number: i64,
    young: Generation,
    old: Generation,
}

/// What became of a nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reserved {
    Fresh,
    Seen,
    /// This agent holds as much as is left: nothing may be forgotten, so nothing more is accepted from it.
    Full,
}

/// A bounded memory of nonces.
pub(crate) struct Nonces {
    shards: Vec<Mutex<Shard>>,
    per_shard: usize,
    generation_ms: i64,
    hasher: RandomState,
}

impl Nonces {
    /// Args: the longest time for which one request can be accepted, and how many nonces are kept at most.
    pub(crate) fn new(window_ms: i64, capacity: usize) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            per_shard: capacity.div_ceil(SHARDS).max(1),
            generation_ms: window_ms.max(1),
            hasher: RandomState::new(),
        }
    }

    /// Takes a nonce, once.
    ///
    /// Args: whose nonce it is (two agents may use the same one), the nonce, the steady clock.
    pub(crate) fn reserve(&self, scope: (&str, &str), nonce: &Nonce, now_ms: i64) -> Reserved {
        let agent = self.hasher.hash_one(scope);
        // The hash has a key of this process: whoever chooses nonces cannot choose the shard they fill, so an
        // agent's nonces are spread evenly, and its share can be counted in each shard by itself.
        let place = self.hasher.hash_one((agent, nonce)) as usize % SHARDS;
        let Some(shard) = self.shards.get(place) else { return Reserved::Full };
        let mut shard = lock(shard);
        let number = now_ms.div_euclid(self.generation_ms);
        if number > shard.number {
            let old = std::mem::take(&mut shard.young);
            shard.old = if number == shard.number + 1 { old } else { Generation::default() };
            shard.number = number;
        }
        let held = [shard.young.of(agent), shard.old.of(agent)];
        if held.iter().flatten().any(|nonces| nonces.contains(nonce)) {
            return Reserved::Seen;
        }
        let own: usize = held.iter().flatten().map(|nonces| nonces.len()).sum();
        if own >= self.per_shard.saturating_sub(shard.young.count + shard.old.count) {
            return Reserved::Full;
        }
        shard.young.agents.entry(agent).or_default().insert(*nonce);
        shard.young.count += 1;
        Reserved::Fresh
    }

    /// How many are kept.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.shards
            .iter()
            .map(|shard| {
                let shard = lock(shard);
                shard.young.count + shard.old.count
            })
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: i64 = 65_000;

    fn nonce(number: u64) -> [u8; NONCE_BYTES] {
        let mut bytes = [0; NONCE_BYTES];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        bytes
    }

    #[test]
    fn a_nonce_is_remembered_for_the_whole_window() {
        for start in [0, 1, WINDOW / 2, WINDOW - 1, WINDOW, 7 * WINDOW + 3] {
            let nonces = Nonces::new(WINDOW, 1_000);
            assert_eq!(nonces.reserve(("t", "a"), &nonce(1), start), Reserved::Fresh);
            for later in [0, 1, WINDOW / 3, WINDOW - 1, WINDOW] {
                assert_eq!(
                    nonces.reserve(("t", "a"), &nonce(1), start + later),
                    Reserved::Seen,
                    "taken at {start}, asked again {later} later"
                );
            }
        }
    }

    #[test]
    fn memory_is_given_back() {
        let nonces = Nonces::new(WINDOW, 1_000_000);
        for number in 0..1_000 {
            assert_eq!(nonces.reserve(("t", "a"), &nonce(number), 0), Reserved::Fresh);
        }
        // A shard forgets when it is used.
        for number in 1_000..2_000 {
            assert_eq!(nonces.reserve(("t", "a"), &nonce(number), 2 * WINDOW), Reserved::Fresh);
        }
        assert_eq!(nonces.len(), 1_000);
    }

    #[test]
    fn agents_do_not_share_nonces() {
        let nonces = Nonces::new(WINDOW, 1_000);
        assert_eq!(nonces.reserve(("t", "a"), &nonce(1), 0), Reserved::Fresh);
        assert_eq!(nonces.reserve(("t", "b"), &nonce(1), 0), Reserved::Fresh);
        assert_eq!(nonces.reserve(("u", "a"), &nonce(1), 0), Reserved::Fresh);
    }

    /// Takes nonces of an agent until none is accepted any more.
    fn flood(nonces: &Nonces, agent: &str) -> Vec<u64> {
        (0..20_000)
            .filter(|number| nonces.reserve(("t", agent), &nonce(*number), 0) == Reserved::Fresh)
            .collect()
    }

    #[test]
    fn full_means_no_and_forgets_nothing() {
        let nonces = Nonces::new(WINDOW, SHARDS * 8);
        let fresh = flood(&nonces, "a");
        assert_eq!(fresh.len(), SHARDS * 4);
        assert_eq!(nonces.reserve(("t", "a"), &nonce(20_001), 0), Reserved::Full);
        for number in fresh {
            assert_eq!(nonces.reserve(("t", "a"), &nonce(number), 10), Reserved::Seen);
        }
    }

    #[test]
    fn a_flood_refuses_nobody_else() {
        let nonces = Nonces::new(WINDOW, SHARDS * 240);
        for (flooding, share) in ["a", "b", "c"].into_iter().zip([120, 60, 30]) {
            // Half of what the floods before left; those of the quiet ones among it are at most 60.
            let taken = flood(&nonces, flooding).len();
            assert!((SHARDS * share - 60..=SHARDS * share).contains(&taken), "{flooding}: {taken}");
            for number in 0..30 {
                let quiet = format!("quiet {flooding} {number}");
                assert_eq!(nonces.reserve(("t", &quiet), &nonce(0), 0), Reserved::Fresh);
                assert_eq!(nonces.reserve(("t", &quiet), &nonce(0), 0), Reserved::Seen);
            }
        }
        assert!(nonces.len() <= SHARDS * 240);
    }

    #[test]
    fn what_a_flood_took_is_given_back_after_the_window() {
        let nonces = Nonces::new(WINDOW, SHARDS * 8);
        assert_eq!(flood(&nonces, "a").len(), SHARDS * 4);
        assert_eq!(nonces.reserve(("t", "a"), &nonce(20_001), WINDOW), Reserved::Full);
        assert_eq!(nonces.reserve(("t", "a"), &nonce(20_001), 2 * WINDOW), Reserved::Fresh);
    }

    #[test]
    fn a_clock_that_stands_or_goes_back_forgets_nothing() {
        let nonces = Nonces::new(WINDOW, 1_000);
        assert_eq!(nonces.reserve(("t", "a"), &nonce(1), 10 * WINDOW), Reserved::Fresh);
        assert_eq!(nonces.reserve(("t", "a"), &nonce(1), 0), Reserved::Seen);
    }
}
