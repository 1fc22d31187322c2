//! Compiling and scanning: errors that name the pattern, what is reported, stops, panics, threads.
#![allow(unsafe_code, reason = "a text of 4 GiB is mapped, not allocated")]
#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

mod common;

use std::collections::BTreeSet;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::time::{Duration, Instant};

use common::{ends, pattern, skip, Random};
use sift_hs::{
    CompileError, Control, Database, Error, Flags, LoadError, Outcome, Pattern, Platform,
    ScanError, ScratchPool,
};

fn compiled(patterns: &[Pattern<'_>]) -> (Database, ScratchPool) {
    let database = Database::compile(patterns, Platform::Native).unwrap();
    let pool = ScratchPool::new(&[&database]).unwrap();
    (database, pool)
}

#[test]
fn without_an_engine_everything_says_so() {
    if sift_hs::available() {
        assert_eq!(sift_hs::verify(), Ok(()));
        assert!(sift_hs::version().unwrap().starts_with("5.4."));
        assert!(sift_hs::host_cpu().is_ok());
        return;
    }
    assert_eq!(sift_hs::verify(), Err(Error::Unavailable));
    assert_eq!(sift_hs::version(), None);
    assert_eq!(sift_hs::host_cpu(), Err(Error::Unavailable));
    let why = Database::compile(&[pattern(1, "a")], Platform::Generic).unwrap_err();
    assert_eq!(why, CompileError::Engine(Error::Unavailable));
    let why = Database::deserialize(b"SIFTHSDB").unwrap_err();
    assert_eq!(why, LoadError::Engine(Error::Unavailable));
    assert_eq!(ScratchPool::new(&[]).unwrap_err(), Error::Unavailable);
}

#[test]
fn a_compile_error_names_the_pattern() {
    if skip("a_compile_error_names_the_pattern") {
        return;
    }
    let good = [pattern(10, "abc"), pattern(11, r"\d+"), pattern(12, "x{3}")];
    // A group that is not closed, a look-behind, a match of nothing, a NUL, half a UTF-8 range.
    for bad in ["a(b", "(?<=a)b", "a*", "a\0b", "[z-a]", r"(a)\1"] {
        for place in 0..=good.len() {
            let mut patterns = good.to_vec();
            patterns.insert(place, pattern(99, bad));
            let why = Database::compile(&patterns, Platform::Generic).unwrap_err();
            assert_eq!(why.pattern_index(), Some(place), "{why}");
            assert_eq!(why.pattern_id(), Some(99));
            let text = why.to_string();
            assert!(text.starts_with(&format!("pattern {place} (id 99) was not compiled: ")));
            assert!(!text.ends_with('.') && !text.contains(bad), "{text}");
        }
    }
    let why = Database::compile(&[], Platform::Generic).unwrap_err();
    assert!(matches!(why, CompileError::Set { patterns: 0, .. }), "{why}");
    assert_eq!(why.pattern_index(), None);
}

#[test]
fn deep_and_long_patterns_are_answered() {
    if skip("deep_and_long_patterns_are_answered") {
        return;
    }
    // Whatever the engine says to these, it must say it: no crash, no hang.
    let deep = format!("{}a{}", "(".repeat(5_000), ")".repeat(5_000));
    let long = "a".repeat(20_000);
    let wide = format!("[{}]{{1,500}}z", "a-y".repeat(100));
    for expression in [&deep, &long, &wide] {
        match Database::compile(&[pattern(5, expression)], Platform::Generic) {
            Ok(database) => assert!(database.size().unwrap() > 0),
            Err(why) => assert_eq!(why.pattern_id(), Some(5), "{why}"),
        }
    }
}

#[test]
fn all_ends_of_all_patterns() {
    if skip("all_ends_of_all_patterns") {
        return;
    }
    let (database, pool) = compiled(&[
        pattern(1, "ab*"),
        pattern(2, r"b\z"),
        Pattern { expression: "A.B", id: 3, flags: Flags::CASELESS | Flags::DOTALL },
        Pattern { expression: "b", id: 4, flags: Flags::SINGLEMATCH },
        Pattern { expression: "^b", id: 5, flags: Flags::MULTILINE },
    ]);
    let mut scratch = pool.get().unwrap();
    let found = ends(&database, &mut scratch, b"abb a\nb");
    let expected = [(1, 1), (1, 2), (1, 3), (1, 5), (2, 7), (3, 3), (3, 7), (4, 2), (5, 7)];
    assert_eq!(found, BTreeSet::from(expected));
    assert!(database.info().unwrap().contains("BLOCK"));
    assert!(database.size().unwrap() > 0 && pool.scratch_size().unwrap() > 0);
}

#[test]
fn an_empty_text_is_a_text() {
    if skip("an_empty_text_is_a_text") {
        return;
    }
    let (database, pool) =
        compiled(&[pattern(1, "a"), Pattern { expression: "b*", id: 2, flags: Flags::ALLOWEMPTY }]);
    let mut scratch = pool.get().unwrap();
    assert_eq!(ends(&database, &mut scratch, b""), BTreeSet::from([(2, 0)]));
    assert_eq!(ends(&database, &mut scratch, b"ab").len(), 4);
    let (database, pool) = compiled(&[pattern(1, "a")]);
    assert!(ends(&database, &mut pool.get().unwrap(), b"").is_empty());
}

#[test]
fn the_callback_stops_the_scan() {
    if skip("the_callback_stops_the_scan") {
        return;
    }
    let (database, pool) = compiled(&[pattern(1, "a"), pattern(2, "a|b")]);
    let text = b"ab".repeat(500);
    let mut scratch = pool.get().unwrap();
    for most in [1, 2, 3, 700] {
        let mut seen = 0;
        let outcome = database.scan(&mut scratch, &text, |_, _| {
            seen += 1;
            if seen == most {
                Control::Stop
            } else {
                Control::Continue
            }
        });
        assert_eq!((outcome, seen), (Ok(Outcome::Stopped), most));
    }
    // At the very last match the scan is stopped too, though nothing was left to see.
    let outcome = database.scan(&mut scratch, b"b", |_, _| Control::Stop);
    assert_eq!(outcome, Ok(Outcome::Stopped));
    let outcome = database.scan(&mut scratch, b"c", |_, _| Control::Stop);
    assert_eq!(outcome, Ok(Outcome::Done));
    assert_eq!(ends(&database, &mut scratch, &text).len(), 1500);
}

#[test]
fn a_deadline_is_a_stop() {
    if skip("a_deadline_is_a_stop") {
        return;
    }
    let (database, pool) = compiled(&[pattern(1, "a")]);
    let text = vec![b'a'; 10_000_000];
    let begun = Instant::now();
    let deadline = begun + Duration::from_millis(5);
    let mut seen: u64 = 0;
    let outcome = database.scan(&mut pool.get().unwrap(), &text, |_, _| {
        seen += 1;
        // The clock is asked at every 64th match only.
        if seen.is_multiple_of(64) && Instant::now() >= deadline {
            return Control::Stop;
        }
        Control::Continue
    });
    if outcome == Ok(Outcome::Done) {
        assert_eq!(seen, text.len() as u64);
    } else {
        assert_eq!(outcome, Ok(Outcome::Stopped));
        assert!(seen < text.len() as u64 && begun.elapsed() >= Duration::from_millis(5));
    }
}

#[test]
fn a_panic_in_the_callback_goes_on_behind_the_scan() {
    if skip("a_panic_in_the_callback_goes_on_behind_the_scan") {
        return;
    }
    let (database, pool) = compiled(&[pattern(1, "a")]);
    let mut scratch = pool.get().unwrap();
    let mut calls = 0;
    let caught = catch_unwind(AssertUnwindSafe(|| {
        let _ = database.scan(&mut scratch, b"a a a a", |_, end| {
            calls += 1;
            if end == 3 {
                std::panic::panic_any(4711_u32);
            }
            Control::Continue
        });
    }));
    assert_eq!(caught.unwrap_err().downcast_ref(), Some(&4711_u32));
    assert_eq!(calls, 2);
    // The same scratch goes on.
    assert_eq!(ends(&database, &mut scratch, b"a a").len(), 2);
    drop(scratch);
    // And a guard that a panic drops comes back whole.
    let caught = catch_unwind(AssertUnwindSafe(|| {
        let mut scratch = pool.get().unwrap();
        let _ = database.scan(&mut scratch, b"a", |_, _| std::panic::panic_any(1_u8));
    }));
    assert!(caught.is_err());
    assert_eq!(ends(&database, &mut pool.get().unwrap(), b"a a").len(), 2);
}

#[test]
fn a_scan_inside_a_callback_takes_its_own_scratch() {
    if skip("a_scan_inside_a_callback_takes_its_own_scratch") {
        return;
    }
    let (database, pool) = compiled(&[pattern(1, "ab")]);
    let mut inner_ends = 0;
    let outcome = database.scan(&mut pool.get().unwrap(), b"ab ab", |_, _| {
        inner_ends += ends(&database, &mut pool.get().unwrap(), b"ab ab ab").len();
        Control::Continue
    });
    assert_eq!((outcome, inner_ends), (Ok(Outcome::Done), 6));
}

#[test]
fn a_scratch_of_another_pool_is_refused() {
    if skip("a_scratch_of_another_pool_is_refused") {
        return;
    }
    let (small, small_pool) = compiled(&[pattern(1, "a")]);
    let (large, large_pool) = compiled(&[pattern(1, "a.{3,90}b.{2,40}[cd]{3}"), pattern(2, "x+y")]);
    let outcome = large.scan(&mut small_pool.get().unwrap(), b"a", |_, _| Control::Continue);
    assert_eq!(outcome, Err(ScanError::ForeignScratch));
    let outcome = small.scan(&mut large_pool.get().unwrap(), b"a", |_, _| Control::Continue);
    assert_eq!(outcome, Err(ScanError::ForeignScratch));
    let both = ScratchPool::new(&[&small, &large]).unwrap();
    let mut scratch = both.get().unwrap();
    assert_eq!(ends(&small, &mut scratch, b"a").len(), 1);
    assert_eq!(ends(&large, &mut scratch, b"xy").len(), 1);
    assert!(ScratchPool::new(&[]).is_err());
}

#[test]
fn a_text_of_4_gib_is_refused() {
    if skip("a_text_of_4_gib_is_refused") {
        return;
    }
    let (database, pool) = compiled(&[pattern(1, "a")]);
    let length = u32::MAX as usize + 1;
    // SAFETY: a fresh private mapping of zero pages, which stay unallocated as nobody reads them.
    let memory = unsafe {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        libc::mmap(std::ptr::null_mut(), length, libc::PROT_READ, flags, -1, 0)
    };
    assert_ne!(memory, libc::MAP_FAILED);
    // SAFETY: readable zero bytes, mapped until the end of the test, written by nobody.
    let text = unsafe { std::slice::from_raw_parts(memory.cast::<u8>(), length) };
    let outcome = database.scan(&mut pool.get().unwrap(), text, |_, _| Control::Continue);
    assert_eq!(outcome, Err(ScanError::TooLong { length }));
    // SAFETY: mapped above, not used any more.
    unsafe { libc::munmap(memory, length) };
}

#[test]
fn threads_share_a_database_and_a_pool() {
    if skip("threads_share_a_database_and_a_pool") {
        return;
    }
    let (first, _) =
        compiled(&[pattern(1, "ab+c"), pattern(2, r"\d{2,4}x"), pattern(3, "b[^c]*c")]);
    let (second, _) = compiled(&[pattern(1, "c.{2,30}a")]);
    let pool = ScratchPool::new(&[&first, &second]).unwrap();
    let mut random = Random::new(8);
    let texts: Vec<Vec<u8>> = (0..50)
        .map(|_| (0..random.below(200)).map(|_| *random.pick(b"aabbcc012x ")).collect())
        .collect();
    let answers: Vec<_> = {
        let mut scratch = pool.get().unwrap();
        let answer =
            |text: &Vec<u8>| (ends(&first, &mut scratch, text), ends(&second, &mut scratch, text));
        texts.iter().map(answer).collect()
    };
    assert!(answers.iter().any(|(first, second)| !first.is_empty() && !second.is_empty()));
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (texts, answers, pool, first, second) = (&texts, &answers, &pool, &first, &second);
            scope.spawn(move || {
                for round in 0..1000 {
                    let at = (thread * 7 + round) % texts.len();
                    let mut scratch = pool.get().unwrap();
                    assert_eq!(ends(first, &mut scratch, &texts[at]), answers[at].0);
                    assert_eq!(ends(second, &mut scratch, &texts[at]), answers[at].1);
                }
            });
        }
    });
}

#[test]
fn a_guard_may_change_threads() {
    if skip("a_guard_may_change_threads") {
        return;
    }
    let (database, pool) = compiled(&[pattern(1, "a")]);
    let mut scratch = pool.get().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| assert_eq!(ends(&database, &mut scratch, b"aa").len(), 2));
    });
    // More guards at once than the pool keeps.
    let many: Vec<_> = (0..200).map(|_| pool.get().unwrap()).collect();
    drop(many);
    assert_eq!(ends(&database, &mut scratch, b"aa").len(), 2);
}
