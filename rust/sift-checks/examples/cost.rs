//! Nanoseconds per call of each check: `cargo run --release -p sift-checks --example cost`.
#![allow(clippy::print_stdout, reason = "a measuring program reports on standard output")]

use std::hint::black_box;
use std::time::Instant;

use sift_checks::{entropy, Check, Subject};

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

fn values(alphabet: &[u8], length: usize) -> Vec<Vec<u8>> {
    let mut state = 1u64;
    let mut digit = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        alphabet[((state >> 33) % alphabet.len() as u64) as usize]
    };
    (0..1024).map(|_| (0..length).map(|_| digit()).collect()).collect()
}

/// The median of 31 runs over all values, in nanoseconds per value.
fn measure(values: &[Vec<u8>], mut call: impl FnMut(&[u8])) -> f64 {
    let mut times: Vec<f64> = (0..31)
        .map(|_| {
            let begin = Instant::now();
            values.iter().for_each(|value| call(black_box(value)));
            begin.elapsed().as_secs_f64() * 1e9 / values.len() as f64
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn main() {
    let inputs = [
        ("base62 40", values(BASE62, 40)),
        ("hex 40", values(b"0123456789abcdef", 40)),
        ("base62 200", values(BASE62, 200)),
    ];
    for (name, values) in &inputs {
        println!(
            "{name:<12} {:<14} {:>7.1} ns",
            "entropy",
            measure(values, |value| {
                black_box(entropy(value));
            })
        );
        for &check in Check::all() {
            let time = measure(values, |value| {
                black_box(check.run(&Subject { value, before: b"token = ", after: b"" }));
            });
            println!("{name:<12} {:<14} {time:>7.1} ns", check.name());
        }
    }
}
