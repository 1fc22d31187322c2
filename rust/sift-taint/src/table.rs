//! Tables of fingerprints and of who brought them: eight bytes each.
//!
//! A slot is the lower 52 bits of a fingerprint and the number of its source. Those bits say the place as well, so that
//! a table grows without the texts. That a text is taken for another has a chance of less than one in 2^32 for each that
//! is looked up in a table of 200,000, and only names a source that is not one.

/// Bits of a number.
const NUMBER: u32 = 12;

/// Sources that are told apart.
pub const SOURCES: usize = 1 << NUMBER;

/// Slots that a fingerprint of a [`Bounded`] may stand in: one cache line of them.
const WAYS: usize = 8;

/// How many times as large a [`Bounded`] becomes: to move everything at each doubling took a fifth of the time.
const GROWTH: usize = 4;

/// What is kept of a fingerprint. Never 0, which is an empty slot.
fn tag(print: u64) -> u64 {
    let tag = print << NUMBER;
    tag | u64::from(tag == 0) << NUMBER
}

fn slot(tag: u64, number: u16) -> u64 {
    tag | u64::from(number) & (SOURCES as u64 - 1)
}

fn is(slot: u64, tag: u64) -> bool {
    (slot ^ tag) < SOURCES as u64
}

fn number(slot: u64) -> u16 {
    #[allow(clippy::cast_possible_truncation, reason = "twelve bits")]
    let number = (slot & (SOURCES as u64 - 1)) as u16;
    number
}

/// Where a fingerprint begins in a table of a power of two.
fn place(tag: u64, size: usize) -> usize {
    #[allow(clippy::cast_possible_truncation, reason = "masked to the size of the table")]
    let place = (tag >> NUMBER) as usize;
    place & size.wrapping_sub(1)
}

#[derive(Clone, Copy, Debug, Default)]
#[repr(align(64))]
struct Set([u64; WAYS]);

impl Set {
    /// Where a fingerprint stands. All eight are compared: to stop at the one that is it cannot be foretold.
    fn find(&self, tag: u64) -> Option<usize> {
        let found =
            self.0.iter().rev().fold(0_u32, |bits, &one| bits << 1 | u32::from(is(one, tag)));
        (found != 0).then_some(found.trailing_zeros() as usize)
    }

    /// Puts a slot first; those before the place that it had, or all of them, move on by one.
    fn put(&mut self, slot: u64, place: Option<usize>) {
        match place {
            None => self.0.copy_within(..WAYS - 1, 1),
            Some(place) => self.0.copy_within(..place, 1),
        }
        self.0[0] = slot;
    }
}

/// A table that grows to its bound, and then gives up the oldest of the few that share a place. A map with a queue of
/// the oldest took three to six times as long once it was full.
#[derive(Debug)]
pub(crate) struct Bounded {
    /// Sets at most.
    most: usize,
    sets: Vec<Set>,
    len: usize,
}

impl Bounded {
    /// Of at most so many fingerprints, rounded down to a power of two.
    pub(crate) fn new(most: usize) -> Self {
        let most = (most / WAYS).clamp(1, 1 << 27);
        Self { most: 1 << most.ilog2(), sets: Vec::new(), len: 0 }
    }

    /// Fingerprints that it holds.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The most that it may hold.
    pub(crate) fn most(&self) -> usize {
        self.most * WAYS
    }

    pub(crate) fn get(&self, print: u64) -> Option<u16> {
        let tag = tag(print);
        let set = self.sets.get(place(tag, self.sets.len()))?;
        set.find(tag).and_then(|place| set.0.get(place)).map(|&one| number(one))
    }

    /// Makes room for so many more, so that they are not moved several times.
    pub(crate) fn reserve(&mut self, more: usize) {
        // Sets are half full on average when the first of them is whole.
        let wanted = ((self.len + more) / (WAYS / 2)).next_power_of_two().min(self.most);
        if self.sets.len() < wanted {
            self.grow(wanted.max(self.sets.len() * GROWTH));
        }
    }

    /// Puts a fingerprint; false if another one was given up for it.
    pub(crate) fn put(&mut self, print: u64, number: u16) -> bool {
        let slot = slot(tag(print), number);
        loop {
            let size = self.sets.len();
            if let Some(set) = self.sets.get_mut(place(slot, size)) {
                let known = set.find(slot);
                let whole = known.is_none() && set.0[WAYS - 1] != 0;
                if !whole || size >= self.most {
                    set.put(slot, known);
                    self.len += usize::from(known.is_none() && !whole);
                    return !whole;
                }
            }
            self.grow((size * GROWTH).max(1));
        }
    }

    fn grow(&mut self, sets: usize) {
        let old = std::mem::replace(&mut self.sets, vec![Set::default(); sets.min(self.most)]);
        let size = self.sets.len();
        for set in old {
            // The oldest first, so that the order stays. More room holds all of them.
            for slot in set.0.into_iter().rev().filter(|&slot| slot != 0) {
                if let Some(set) = self.sets.get_mut(place(slot, size)) {
                    set.put(slot, None);
                }
            }
        }
    }
}

/// A table that grows and gives up nothing: the first source of each fingerprint.
///
/// ```
/// let mut known = sift_taint::Known::default();
/// known.reserve(2);
/// assert_eq!((known.put(7 << 20, 1), known.put(7 << 20, 2)), (true, false));
/// assert_eq!((known.get(7 << 20), known.get(8 << 20)), (Some(1), None));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Known {
    slots: Vec<u64>,
    len: usize,
}

impl Known {
    /// Fingerprints that it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes that it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        std::mem::size_of_val(self.slots.as_slice())
    }

    /// The number of the source that brought a fingerprint first.
    #[must_use]
    pub fn get(&self, print: u64) -> Option<u16> {
        let tag = tag(print);
        let mask = self.slots.len().checked_sub(1)?;
        let mut at = place(tag, self.slots.len());
        loop {
            match *self.slots.get(at)? {
                0 => return None,
                one if is(one, tag) => return Some(number(one)),
                _ => at = (at + 1) & mask,
            }
        }
    }

    /// Makes room for so many more: 16 bytes for each at least, 32 at most.
    pub fn reserve(&mut self, more: usize) {
        let size = ((self.len + more) * 2).next_power_of_two();
        if size <= self.slots.len() {
            return;
        }
        let mut old = std::mem::replace(&mut self.slots, vec![0; size]);
        // Together first, without a branch on which is taken: every other one would be guessed wrong.
        let mut count = 0_usize;
        for from in 0..old.len() {
            let slot = old[from];
            old[count] = slot;
            count += usize::from(slot != 0);
        }
        for &slot in &old[..count] {
            let mut at = place(slot, size);
            while self.slots.get(at).is_some_and(|&one| one != 0) {
                at = (at + 1) & (size - 1);
            }
            if let Some(free) = self.slots.get_mut(at) {
                *free = slot;
            }
        }
    }

    /// Puts a fingerprint with the number of its source, below [`SOURCES`]; whether it is new.
    pub fn put(&mut self, print: u64, number: u16) -> bool {
        if (self.len + 1) * 2 > self.slots.len() {
            self.reserve(self.len.max(8));
        }
        let slot = slot(tag(print), number);
        let mask = self.slots.len() - 1;
        let mut at = place(slot, self.slots.len());
        loop {
            match self.slots.get_mut(at) {
                Some(free) if *free == 0 => {
                    *free = slot;
                    self.len += 1;
                    return true;
                }
                Some(one) if is(*one, slot) => return false,
                _ => at = (at + 1) & mask,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn prints(count: u64) -> impl Iterator<Item = u64> {
        (1..=count).map(|number| number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    #[test]
    fn what_is_put_is_known_with_its_first_source() {
        let (mut known, mut model) = (Known::default(), HashMap::new());
        for (place, print) in
            prints(3_000).chain(prints(100)).chain([0, 1, 4_095, 4_096]).enumerate()
        {
            let number = (place % 4_096) as u16;
            if place % 700 == 0 {
                known.reserve(500);
            }
            let fresh = !model.contains_key(&tag(print));
            assert_eq!(known.put(print, number), fresh);
            model.entry(tag(print)).or_insert(number);
            assert_eq!(known.len(), model.len());
        }
        for print in prints(3_000) {
            assert_eq!(known.get(print), model.get(&tag(print)).copied());
            assert_eq!(known.get(!print), None);
        }
        assert!(known.bytes() <= known.len() * 32 && known.bytes() >= known.len() * 16);
    }

    #[test]
    fn a_bounded_one_gives_up_the_oldest_of_a_set() {
        let mut bounded = Bounded::new(100);
        assert_eq!((bounded.most(), bounded.get(5 << 20)), (64, None));
        let lost = prints(5_000).filter(|&print| !bounded.put(print, 7)).count();
        assert_eq!(bounded.len() + lost, 5_000);
        assert_eq!(bounded.len(), 64);
        // In one set: what was put again stays, the oldest of the others goes.
        let mut set = Bounded::new(8);
        let same: Vec<u64> = (1..=9).map(|number| number << 40).collect();
        for &print in &same[..8] {
            assert!(set.put(print, 1));
        }
        assert!(set.put(same[0], 2), "it was there");
        assert!(!set.put(same[8], 3));
        let found: Vec<_> = same.iter().map(|&print| set.get(print)).collect();
        assert_eq!(found[..2], [Some(2), None]);
        assert!(found[2..8].iter().all(|one| *one == Some(1)) && found[8] == Some(3));
    }

    #[test]
    fn growing_loses_nothing_and_keeps_the_order() {
        let mut bounded = Bounded::new(1 << 14);
        for (place, print) in prints(2_000).enumerate() {
            if place % 300 == 0 {
                bounded.reserve(100);
            }
            assert!(bounded.put(print, (place % 4_096) as u16));
        }
        for (place, print) in prints(2_000).enumerate() {
            assert_eq!(bounded.get(print), Some((place % 4_096) as u16));
        }
        assert_eq!(bounded.len(), 2_000);
    }
}
