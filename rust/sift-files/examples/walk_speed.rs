//! Measures walking and reading alone: `cargo run --release -p sift-files --example walk_speed PATH...`.
//!
//! Prints files per second and MB per second of the best of five walks, for one thread and for all. The
//! bytes are only counted; a scan on top can be no faster than this.
#![allow(clippy::print_stdout, reason = "a measuring program prints")]

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use sift_files::{visit, Progress, WalkOptions};

fn main() {
    let paths: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    for threads in [1, 0] {
        let options = WalkOptions { threads, ..WalkOptions::default() };
        let mut best = f64::INFINITY;
        let mut last = None;
        for _ in 0..5 {
            let begun = Instant::now();
            let summary = visit(
                &paths,
                &options,
                &AtomicBool::new(false),
                &Progress::default(),
                |_, _, _| {},
            );
            best = best.min(begun.elapsed().as_secs_f64());
            last = Some(summary);
        }
        let Some(summary) = last else { return };
        println!(
            "threads {threads}: {} files, {:.1} MB, {} binary, {} skipped, {} errors: {:.0} files/s, {:.0} MB/s",
            summary.files,
            summary.bytes as f64 / 1e6,
            summary.binary,
            summary.skipped.len(),
            summary.errors.len(),
            summary.files as f64 / best,
            summary.bytes as f64 / best / 1e6,
        );
    }
}
