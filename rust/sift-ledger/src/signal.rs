//! What threads wait for that wait for one commit: it is raised once, and wakes all of them with one call.
//!
//! Threads that are parked are woken one by one, by the thread that commits: 32 calls of the system where one does. Behind a
//! condition variable all of them wake into the lock of the other ones.

use std::time::Duration;

#[cfg(not(target_os = "linux"))]
pub(crate) use condition::Signal;
#[cfg(target_os = "linux")]
pub(crate) use futex::Signal;

#[cfg(target_os = "linux")]
mod futex {
    use super::Duration;
    use std::sync::atomic::{AtomicU32, Ordering};

    use rustix::thread::futex::{wait, wake, Flags, Timespec};

    /// 0 until it is raised.
    #[derive(Default)]
    pub(crate) struct Signal(AtomicU32);

    impl Signal {
        /// Waits until it is raised, or for so long; now and then it returns early.
        pub(crate) fn wait(&self, timeout: Duration) {
            let timeout = Timespec {
                tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: timeout.subsec_nanos().into(),
            };
            // Raised meanwhile, interrupted, over: whoever waits looks what it was.
            let _ = wait(&self.0, Flags::PRIVATE, 0, Some(&timeout));
        }

        /// Raises it, for ever.
        pub(crate) fn raise(&self) {
            self.0.store(1, Ordering::SeqCst);
            // Fails for a wrong address alone.
            let _ = wake(&self.0, Flags::PRIVATE, i32::MAX.unsigned_abs());
        }
    }
}

/// Where there is no futex.
#[cfg(any(test, not(target_os = "linux")))]
mod condition {
    use super::Duration;
    use std::sync::{Condvar, Mutex, PoisonError};

    use crate::log::lock;

    #[derive(Default)]
    pub(crate) struct Signal {
        raised: Mutex<bool>,
        changed: Condvar,
    }

    impl Signal {
        pub(crate) fn wait(&self, timeout: Duration) {
            let raised = lock(&self.raised);
            if !*raised {
                let waited = self.changed.wait_timeout(raised, timeout);
                drop(waited.unwrap_or_else(PoisonError::into_inner));
            }
        }

        pub(crate) fn raise(&self) {
            *lock(&self.raised) = true;
            self.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    /// Threads that wait until it is raised, and one that gives up before.
    fn all_are_woken<S: Default + Sync>(wait: fn(&S, Duration), raise: fn(&S)) {
        let (signal, raised, woken) = (S::default(), AtomicBool::new(false), AtomicUsize::new(0));
        wait(&signal, Duration::from_millis(1));
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    while !raised.load(Ordering::SeqCst) {
                        wait(&signal, Duration::from_secs(600));
                    }
                    woken.fetch_add(1, Ordering::SeqCst);
                });
            }
            std::thread::sleep(Duration::from_millis(20));
            raised.store(true, Ordering::SeqCst);
            raise(&signal);
        });
        assert_eq!(woken.load(Ordering::SeqCst), 16);
        // Whoever comes later does not wait.
        wait(&signal, Duration::from_secs(600));
    }

    #[test]
    fn a_signal_wakes_all_that_wait_and_lets_pass_who_comes_later() {
        all_are_woken(Signal::wait, Signal::raise);
        all_are_woken(condition::Signal::wait, condition::Signal::raise);
    }
}
