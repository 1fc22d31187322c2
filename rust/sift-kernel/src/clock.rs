//! Time as the kernel sees it: a wall clock that is believed only while it agrees with one that cannot be set.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use rustix::time::{clock_gettime, ClockId};

/// Where time comes from. Tests bring their own.
pub trait Clock: Send + Sync {
    /// Milliseconds since 1970, as the system believes.
    fn wall_ms(&self) -> i64;
    /// Milliseconds since some moment, never going back, going on while the machine sleeps.
    fn steady_ms(&self) -> i64;
    /// Names the run of the machine in which the steady clock counts: two readings of it can be compared when
    /// this is the same. Empty where that is not known.
    fn boot(&self) -> String;
}

/// The clocks of the system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

fn read(clock: ClockId) -> i64 {
    let time = clock_gettime(clock);
    time.tv_sec.saturating_mul(1_000).saturating_add(time.tv_nsec / 1_000_000)
}

impl Clock for SystemClock {
    fn wall_ms(&self) -> i64 {
        read(ClockId::Realtime)
    }

    fn steady_ms(&self) -> i64 {
        read(ClockId::Boottime)
    }

    fn boot(&self) -> String {
        let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        id.trim().to_owned()
    }
}

/// A reading of both clocks that was found to agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Now {
    pub(crate) wall: i64,
    pub(crate) steady: i64,
}

/// Tells a wall clock that was set from one that is steered.
///
/// A clock that jumps back makes expired requests, grants and approvals valid again; one that jumps forward
/// makes a request from the future acceptable, and its nonce forgotten before its time. The difference of the
/// two clocks is remembered and may wander by one millisecond a second, twice what a time daemon may slew.
pub(crate) struct ClockGuard {
    offset: AtomicI64,
    followed: AtomicI64,
    tolerance: i64,
}

impl ClockGuard {
    pub(crate) fn new(clock: &dyn Clock, tolerance_ms: i64) -> Self {
        let (wall, steady) = (clock.wall_ms(), clock.steady_ms());
        Self {
            offset: AtomicI64::new(wall.saturating_sub(steady)),
            followed: AtomicI64::new(steady),
            tolerance: tolerance_ms,
        }
    }

    /// The time, or nothing while the wall clock cannot be believed.
    pub(crate) fn now(&self, clock: &dyn Clock) -> Option<Now> {
        let (wall, steady) = (clock.wall_ms(), clock.steady_ms());
        let seen = wall.saturating_sub(steady);
        let known = self.offset.load(Ordering::Relaxed);
        let apart = seen.saturating_sub(known);
        if apart.saturating_abs() > self.tolerance {
            return None;
        }
        let before = self.followed.load(Ordering::Relaxed);
        let seconds = steady.saturating_sub(before) / 1_000;
        // Only the thread that moves the mark moves the offset, so that ten threads do not follow ten times.
        if seconds > 0
            && self
                .followed
                .compare_exchange(before, steady, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
        {
            self.offset.fetch_add(apart.clamp(-seconds, seconds), Ordering::Relaxed);
        }
        Some(Now { wall, steady })
    }
}

/// A clock that is set by hand, for tests of everything that has to do with time.
#[derive(Debug, Default)]
pub struct ManualClock {
    wall: AtomicI64,
    steady: AtomicI64,
    boot: u64,
}

impl ManualClock {
    /// Starts at these milliseconds, as a machine that has just been switched on.
    pub fn new(wall_ms: i64) -> Self {
        static BOOTS: AtomicU64 = AtomicU64::new(1);
        Self {
            wall: AtomicI64::new(wall_ms),
            steady: AtomicI64::new(1_000_000),
            boot: BOOTS.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// Time passes.
    pub fn advance(&self, ms: i64) {
        self.wall.fetch_add(ms, Ordering::Relaxed);
        self.steady.fetch_add(ms, Ordering::Relaxed);
    }

    /// Somebody sets the wall clock.
    pub fn set_wall(&self, wall_ms: i64) {
        self.wall.store(wall_ms, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn wall_ms(&self) -> i64 {
        self.wall.load(Ordering::Relaxed)
    }

    fn steady_ms(&self) -> i64 {
        self.steady.load(Ordering::Relaxed)
    }

    fn boot(&self) -> String {
        format!("manual {}", self.boot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_is_not_believed() {
        let clock = ManualClock::new(1_000_000);
        let guard = ClockGuard::new(&clock, 5_000);
        clock.advance(60_000);
        assert!(guard.now(&clock).is_some());
        for jump in [-5_001, 5_001, i64::MIN / 2, i64::MAX / 2] {
            let wall = clock.wall_ms();
            clock.set_wall(wall.saturating_add(jump));
            assert_eq!(guard.now(&clock), None, "jump of {jump} ms");
            clock.set_wall(wall);
        }
        assert!(guard.now(&clock).is_some());
    }

    #[test]
    fn a_clock_that_is_steered_is_followed() {
        let clock = ManualClock::new(1_000_000);
        let guard = ClockGuard::new(&clock, 5_000);
        // 500 ppm for a day: 43 s in all, more than the tolerance.
        for _ in 0..8_640 {
            clock.advance(10_000);
            clock.set_wall(clock.wall_ms() + 5);
            assert!(guard.now(&clock).is_some());
        }
    }
}
