//! What the wrapper itself costs: nanoseconds to borrow a scratch, to scan nothing, to scan a little.
//!
//! `cargo run --release -p sift-hs --example overhead`
#![expect(clippy::print_stdout, reason = "printing is what a measuring program is for")]

use std::hint::black_box;
use std::time::Instant;

use sift_hs::{Control, Database, Flags, Pattern, Platform, ScratchPool};

/// The median of some rounds, in nanoseconds for one call.
fn nanoseconds(calls: u32, mut work: impl FnMut()) -> f64 {
    let mut rounds: Vec<f64> = (0..15)
        .map(|_| {
            let begun = Instant::now();
            (0..calls).for_each(|_| work());
            begun.elapsed().as_secs_f64() * 1e9 / f64::from(calls)
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[rounds.len() / 2]
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    if cfg!(debug_assertions) {
        println!("this is a debug build: its numbers mean nothing, use --release");
    }
    sift_hs::verify()?;
    println!("engine {}, cpu {}", sift_hs::version().unwrap_or_default(), sift_hs::host_cpu()?);
    let expressions: Vec<String> =
        (0..60).map(|n| format!("tok{n:02}_[a-z0-9]{{20}}|{n:03}-\\d{{4}}")).collect();
    let patterns: Vec<Pattern<'_>> = (0..)
        .zip(&expressions)
        .map(|(id, expression)| Pattern { expression, id, flags: Flags::DOTALL })
        .collect();
    let begun = Instant::now();
    let database = Database::compile(&patterns, Platform::Native)?;
    println!("{:<44}{:>10.1} ms", "compile 60 patterns", begun.elapsed().as_secs_f64() * 1e3);
    let bytes = database.serialize()?;
    println!("{:<44}{:>10} bytes", "database", bytes.len());
    let load = nanoseconds(20, || drop(black_box(Database::deserialize(&bytes))));
    println!("{:<44}{:>10.1} us", "deserialize", load / 1e3);

    let pool = ScratchPool::new(&[&database])?;
    println!("{:<44}{:>10} bytes", "scratch", pool.scratch_size()?);
    let get = nanoseconds(2_000_000, || drop(black_box(pool.get())));
    println!("{:<44}{get:>10.1} ns", "get and return a scratch");
    let mut matches = 0_u64;
    for length in [0, 16, 200, 1024, 4096] {
        let text: Vec<u8> = (0..length).map(|at| b"plain words, "[at % 13]).collect();
        let mut failed = false;
        let scan = nanoseconds(200_000, || {
            let Ok(mut scratch) = pool.get() else { return failed = true };
            let outcome = database.scan(&mut scratch, black_box(&text), |_, _| {
                matches += 1;
                Control::Continue
            });
            failed |= outcome.is_err();
        });
        assert!(!failed && matches == 0, "a scan failed or matched");
        println!("{:<44}{scan:>10.1} ns", format!("get, scan {length} bytes, return"));
    }

    // Contention: threads that do nothing but borrow, each on its own slot.
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let calls = 2_000_000;
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| (0..calls).for_each(|_| drop(black_box(pool.get()))));
        }
    });
    let each = begun.elapsed().as_secs_f64() * 1e9 / f64::from(calls);
    println!("{:<44}{each:>10.1} ns", format!("get and return, {threads} threads at once"));
    Ok(())
}
