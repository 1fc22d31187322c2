//! Scanning goes on in a child of `fork`, whatever the parent's threads were doing at that moment.
#![allow(unsafe_code, reason = "fork and wait are foreign calls")]
#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Barrier;
use std::time::{Duration, Instant};

use common::{pattern, skip};
use sift_hs::{Control, Database, Outcome, Platform, ScratchPool};

const TEXT: &[u8] =
    b"abc 123 abbbc 77 xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx abc 5555";

fn matches(database: &Database, pool: &ScratchPool) -> Option<u32> {
    let mut seen = 0;
    let outcome = database.scan(&mut pool.get().ok()?, TEXT, |_, _| {
        seen += 1;
        Control::Continue
    });
    (outcome == Ok(Outcome::Done)).then_some(seen)
}

/// Runs `work` in a child and returns its exit status, or `None` if it did not end in 30 s.
fn in_child(work: impl FnOnce() -> i32) -> Option<i32> {
    // SAFETY: the child runs `work`, which allocates at most (the C library keeps its allocator
    // usable over a fork), and leaves by `_exit` without unwinding into the test harness.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let code = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or(99);
        // SAFETY: ends the child.
        unsafe { libc::_exit(code) };
    }
    assert!(child > 0, "fork failed");
    let begun = Instant::now();
    loop {
        let mut status = 0;
        // SAFETY: our own child, a local for the status.
        let ended = unsafe { libc::waitpid(child, &mut status, libc::WNOHANG) };
        if ended == child {
            assert!(libc::WIFEXITED(status), "the child died of a signal");
            return Some(libc::WEXITSTATUS(status));
        }
        if begun.elapsed() > Duration::from_secs(30) {
            // SAFETY: our own child, not waited for yet.
            unsafe {
                libc::kill(child, libc::SIGKILL);
                libc::waitpid(child, &mut status, 0);
            }
            return None;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn set() -> (Database, ScratchPool) {
    let patterns = [pattern(1, "ab+c"), pattern(2, r"\d{2,4}"), pattern(3, "a.{10,70}c")];
    let database = Database::compile(&patterns, Platform::Native).unwrap();
    let pool = ScratchPool::new(&[&database]).unwrap();
    (database, pool)
}

/// Every thread of the parent is inside a callback, so every scratch that exists is in use, and one
/// more lies in the pool. The child must use that one or make new ones, never theirs.
#[test]
fn fork_while_other_threads_scan() {
    if skip("fork_while_other_threads_scan") {
        return;
    }
    let (database, pool) = set();
    let expected = matches(&database, &pool).unwrap();
    let others = 3;
    let (inside, forked) = (Barrier::new(others + 1), Barrier::new(others + 1));
    std::thread::scope(|scope| {
        for _ in 0..others {
            scope.spawn(|| {
                let mut seen = 0;
                let outcome = database.scan(&mut pool.get().unwrap(), TEXT, |_, _| {
                    if seen == 0 {
                        inside.wait();
                        forked.wait();
                    }
                    seen += 1;
                    Control::Continue
                });
                assert_eq!((outcome, seen), (Ok(Outcome::Done), expected));
            });
        }
        inside.wait();
        let code = in_child(|| {
            // More guards at once than lie in the pool, then scans with each.
            let mut guards: Vec<_> = (0..6).map_while(|_| pool.get().ok()).collect();
            for guard in &mut guards {
                let mut seen = 0;
                let outcome = database.scan(guard, TEXT, |_, _| {
                    seen += 1;
                    Control::Continue
                });
                if outcome != Ok(Outcome::Done) {
                    return 1;
                }
                if seen != expected {
                    return 2;
                }
            }
            drop(guards);
            let threads: Vec<bool> = std::thread::scope(|scope| {
                let spawn = |_| scope.spawn(|| matches(&database, &pool) == Some(expected));
                let threads: Vec<_> = (0..4).map(spawn).collect();
                threads.into_iter().map(|thread| thread.join().unwrap_or(false)).collect()
            });
            if threads.contains(&false) {
                return 3;
            }
            0
        });
        forked.wait();
        assert_eq!(code, Some(0));
    });
    assert_eq!(matches(&database, &pool), Some(expected));
}

/// Other threads take and return scratches all the time: forks fall between any two instructions.
#[test]
fn fork_while_the_pool_is_busy() {
    if skip("fork_while_the_pool_is_busy") {
        return;
    }
    let (database, pool) = set();
    let expected = matches(&database, &pool).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    drop(pool.get());
                    assert_eq!(matches(&database, &pool), Some(expected));
                }
            });
        }
        let codes: Vec<_> = (0..60)
            .map(|_| {
                in_child(|| {
                    let right = (0..50).all(|_| matches(&database, &pool) == Some(expected));
                    i32::from(!right)
                })
            })
            .collect();
        stop.store(true, Ordering::Relaxed);
        assert!(codes.iter().all(|code| *code == Some(0)), "{codes:?}");
    });
}

/// What the forking thread itself holds is the child's to use.
#[test]
fn fork_with_a_guard_in_hand() {
    if skip("fork_with_a_guard_in_hand") {
        return;
    }
    let (database, pool) = set();
    let expected = matches(&database, &pool).unwrap();
    let mut guard = pool.get().unwrap();
    let code = in_child(|| {
        let mut seen = 0;
        let outcome = database.scan(&mut guard, TEXT, |_, _| {
            seen += 1;
            Control::Continue
        });
        let again = matches(&database, &pool);
        i32::from(outcome != Ok(Outcome::Done) || seen != expected || again != Some(expected))
    });
    assert_eq!(code, Some(0));
    // A fork inside a callback: the child's scan goes on as well.
    let parent = std::process::id();
    let mut code = None;
    let mut seen = 0;
    let outcome = database.scan(&mut guard, TEXT, |_, _| {
        if seen == 0 {
            code = in_child(|| i32::from(matches(&database, &pool) != Some(expected)));
        }
        seen += 1;
        Control::Continue
    });
    assert_eq!(std::process::id(), parent);
    assert_eq!((outcome, seen, code), (Ok(Outcome::Done), expected, Some(0)));
}
