//! Initialising once without holding a lock meanwhile.

use std::sync::OnceLock;

/// The value of `cell`, made by `make` if there is none yet.
///
/// Unlike `get_or_init` this holds no lock while `make` runs: a child forked in the middle would wait for
/// a thread it does not have. Two threads that come together both make the value, and one is dropped.
pub fn once<T>(cell: &OnceLock<T>, make: impl Fn() -> T) -> &T {
    loop {
        if let Some(value) = cell.get() {
            return value;
        }
        // Somebody else's value is as good as ours.
        let _ = cell.set(make());
    }
}
