//! How long scoring takes: `cargo run --release -p sift-ngram --example speed -- FILE...`, medians of pieces of
//! 1 KB, in microseconds, and how many of them have something decoded.
#![allow(clippy::print_stdout, reason = "its output is what it is for")]

use std::time::Instant;

use sift_ngram::{Model, Scorer};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (model, mut scorer) = (Model::builtin()?, Scorer::default());
    for path in std::env::args().skip(1) {
        let text = std::fs::read(&path)?;
        let (mut times, mut total) = (Vec::new(), 0.0);
        for piece in text.chunks(1024) {
            scorer.score(model, piece);
            let began = Instant::now();
            total += f64::from(scorer.score(model, piece).logit);
            times.push(began.elapsed().as_nanos());
        }
        times.sort_unstable();
        let at =
            |share: usize| times.get(times.len() * share / 100).map_or(0.0, |&t| t as f64 / 1e3);
        println!(
            "{path}: P50 {:.1} us, P95 {:.1}, P99 {:.1}, mean logit {:.2}",
            at(50),
            at(95),
            at(99),
            total / times.len() as f64
        );
    }
    Ok(())
}
