//! Which nonces were seen: as long as a request that carries one could be accepted, and never shorter.
//!
//! A request is accepted while `issued_at - skew <= now < expires_at` and `expires_at - issued_at` is at most
//! the lifetime. So one that is accepted now can be accepted again for at most `lifetime + skew`, and that is
//! how long a nonce stays here: the length of a generation is derived from the window and cannot be set. Two
//! generations are kept; an entry outlives the one it was made in.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::Mutex;

use crate::sync::lock;

/// Nonces are of this many bytes.
pub const NONCE_BYTES: usize = 16;

const SHARDS: usize = 16;

type Entry = (u64, [u8; NONCE_BYTES]);

#[derive(Debug, Default)]
struct Shard {
    /// Number of the generation that `young` belongs to.
    generation: i64,
    young: HashSet<Entry>,
    old: HashSet<Entry>,
}

/// What became of a nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reserved {
    Fresh,
    Seen,
    /// Nothing may be forgotten, so nothing more is accepted.
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
    pub(crate) fn reserve(
        &self,
        scope: (&str, &str),
        nonce: &[u8; NONCE_BYTES],
        now_ms: i64,
    ) -> Reserved {
        let entry = (self.hasher.hash_one(scope), *nonce);
        // The hash has a key of this process: whoever chooses nonces cannot choose the shard they fill.
        let Some(shard) = self.shards.get((self.hasher.hash_one(entry) as usize) % SHARDS) else {
            return Reserved::Full;
        };
        let mut shard = lock(shard);
        let generation = now_ms.div_euclid(self.generation_ms);
        if generation > shard.generation {
            let old = std::mem::take(&mut shard.young);
            shard.old = if generation == shard.generation + 1 { old } else { HashSet::new() };
            shard.generation = generation;
        }
        if shard.young.contains(&entry) || shard.old.contains(&entry) {
            return Reserved::Seen;
        }
        if shard.young.len() + shard.old.len() >= self.per_shard {
            return Reserved::Full;
        }
        shard.young.insert(entry);
        Reserved::Fresh
    }

    /// How many are kept.
    pub(crate) fn len(&self) -> usize {
        self.shards
            .iter()
            .map(|shard| {
                let shard = lock(shard);
                shard.young.len() + shard.old.len()
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

    #[test]
    fn full_means_no_and_forgets_nothing() {
        let nonces = Nonces::new(WINDOW, SHARDS * 8);
        let mut fresh = Vec::new();
        for number in 0..10_000 {
            if nonces.reserve(("t", "a"), &nonce(number), 0) == Reserved::Fresh {
                fresh.push(number);
            }
        }
        assert_eq!(fresh.len(), SHARDS * 8);
        assert_eq!(nonces.reserve(("t", "a"), &nonce(10_001), 0), Reserved::Full);
        for number in fresh {
            assert_eq!(nonces.reserve(("t", "a"), &nonce(number), 10), Reserved::Seen);
        }
    }

    #[test]
    fn a_clock_that_stands_or_goes_back_forgets_nothing() {
        let nonces = Nonces::new(WINDOW, 1_000);
        assert_eq!(nonces.reserve(("t", "a"), &nonce(1), 10 * WINDOW), Reserved::Fresh);
        assert_eq!(nonces.reserve(("t", "a"), &nonce(1), 0), Reserved::Seen);
    }
}
