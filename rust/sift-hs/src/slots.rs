//! A lock-free store of spare values: take one, put it back, from any thread.
//!
//! A fixed array of atomic pointers. A thread begins at its home slot, so on the quiet path a take and
//! a put are one atomic exchange each on a cache line that no other thread touches: 10 ns together, as
//! `examples/overhead.rs` prints. A value is either in exactly one slot or owned by exactly one caller;
//! there is no lock and no third state. That is what makes `fork` harmless: in the child, values that
//! other threads had taken are in no slot and so are never handed out (their memory is lost to the
//! child), all others are whole, and there is nothing that could have been locked.

use std::cell::Cell;
use std::marker::PhantomData;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::sync::Mutex;

/// One slot on a cache line pair of its own, since neighbouring lines are fetched together.
#[repr(align(128))]
struct Slot<T>(AtomicPtr<T>);

/// See the module. `Sync` as a `Mutex<T>` is: for every `T` that may move between threads.
pub(crate) struct Slots<T> {
    slots: Box<[Slot<T>]>,
    mask: usize,
    _owns: PhantomData<Mutex<T>>,
}

impl<T> Slots<T> {
    /// A store for at least `count` values; rounded up to a power of two.
    pub(crate) fn new(count: usize) -> Slots<T> {
        let count = count.max(1).next_power_of_two();
        let slots = (0..count).map(|_| Slot(AtomicPtr::new(ptr::null_mut()))).collect();
        Slots { slots, mask: count - 1, _owns: PhantomData }
    }

    /// Any value of the store, this thread's last one if nobody took it since.
    #[inline]
    pub(crate) fn take(&self) -> Option<Box<T>> {
        let home = home() & self.mask;
        let found = self.slots[home].0.swap(ptr::null_mut(), Ordering::Acquire);
        if found.is_null() {
            return self.take_elsewhere(home);
        }
        // SAFETY: non-null pointers in slots come from `Box::into_raw` in `put`; the swap took this
        // one out, so no other caller can have it. Acquire pairs with the Release of `put`.
        Some(unsafe { Box::from_raw(found) })
    }

    #[cold]
    fn take_elsewhere(&self, home: usize) -> Option<Box<T>> {
        for step in 1..self.slots.len() {
            let slot = &self.slots[(home + step) & self.mask].0;
            // The load keeps empty slots shared between the threads' caches.
            if slot.load(Ordering::Relaxed).is_null() {
                continue;
            }
            let found = slot.swap(ptr::null_mut(), Ordering::Acquire);
            if !found.is_null() {
                // SAFETY: as in `take`.
                return Some(unsafe { Box::from_raw(found) });
            }
        }
        None
    }

    /// Stores a value; a full store drops it.
    #[inline]
    pub(crate) fn put(&self, value: Box<T>) {
        let home = home() & self.mask;
        if let Err(value) = self.put_into(home, value) {
            self.put_elsewhere(home, value);
        }
    }

    #[cold]
    fn put_elsewhere(&self, home: usize, mut value: Box<T>) {
        for step in 1..self.slots.len() {
            match self.put_into((home + step) & self.mask, value) {
                Ok(()) => return,
                Err(back) => value = back,
            }
        }
    }

    #[inline]
    fn put_into(&self, index: usize, value: Box<T>) -> Result<(), Box<T>> {
        let raw = Box::into_raw(value);
        let null = ptr::null_mut();
        match self.slots[index].0.compare_exchange(null, raw, Ordering::Release, Ordering::Relaxed)
        {
            Ok(_) => Ok(()),
            // SAFETY: `raw` came from `Box::into_raw` just above and was not published.
            Err(_) => Err(unsafe { Box::from_raw(raw) }),
        }
    }
}

impl<T> Drop for Slots<T> {
    fn drop(&mut self) {
        for slot in &mut *self.slots {
            let value = *slot.0.get_mut();
            if !value.is_null() {
                // SAFETY: as in `take`; `&mut self` says that nobody else is here.
                drop(unsafe { Box::from_raw(value) });
            }
        }
    }
}

/// A number of this thread; threads get them in turn, so a few threads never share a home.
#[inline]
fn home() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    // No destructor, so it also works in destructors of other thread-locals.
    thread_local!(static HOME: Cell<usize> = const { Cell::new(usize::MAX) });
    HOME.with(|home| {
        if home.get() == usize::MAX {
            home.set(NEXT.fetch_add(1, Ordering::Relaxed) & (usize::MAX >> 1));
        }
        home.get()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;
    use std::sync::Arc;

    /// Says at its end how often it was used. The count is not atomic: two owners at the same time
    /// would lose uses, and Miri or a sanitizer would see the race.
    struct Probe {
        uses: u64,
        total: Arc<AtomicU64>,
        living: Arc<AtomicU64>,
    }

    impl Probe {
        fn new(total: &Arc<AtomicU64>, living: &Arc<AtomicU64>) -> Box<Probe> {
            living.fetch_add(1, Ordering::Relaxed);
            Box::new(Probe { uses: 0, total: Arc::clone(total), living: Arc::clone(living) })
        }
    }

    impl Drop for Probe {
        fn drop(&mut self) {
            self.total.fetch_add(self.uses, Ordering::Relaxed);
            self.living.fetch_sub(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn the_same_thread_gets_its_value_back() {
        let slots = Slots::new(3);
        assert_eq!(slots.slots.len(), 4);
        assert!(slots.take().is_none());
        slots.put(Box::new(41));
        slots.put(Box::new(42));
        assert_eq!(slots.take().as_deref(), Some(&41));
        assert_eq!(slots.take().as_deref(), Some(&42));
        assert!(slots.take().is_none());
    }

    #[test]
    fn a_full_store_drops_and_the_end_drops_all() {
        let (total, living) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let slots = Slots::new(2);
        for _ in 0..5 {
            slots.put(Probe::new(&total, &living));
        }
        assert_eq!(living.load(Ordering::Relaxed), 2);
        drop(slots);
        assert_eq!(living.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_value_has_one_owner() {
        let rounds: u64 = if cfg!(miri) { 50 } else { 20_000 };
        let threads = 6;
        let (total, living) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let slots = Slots::new(4);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    for round in 0..rounds {
                        let mut value = slots.take().unwrap_or_else(|| Probe::new(&total, &living));
                        value.uses += 1;
                        if round % 3 == 0 {
                            std::thread::yield_now();
                        }
                        if round % 50 != 0 {
                            slots.put(value);
                        }
                    }
                });
            }
        });
        assert!(living.load(Ordering::Relaxed) <= 4);
        drop(slots);
        assert_eq!(living.load(Ordering::Relaxed), 0);
        assert_eq!(total.load(Ordering::Relaxed), threads * rounds);
    }
}
