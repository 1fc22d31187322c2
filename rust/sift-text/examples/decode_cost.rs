//! What looking for encodings costs on clean text, and how much of it is decoded for nothing.
//!
//!     cargo run --release -p sift-text --example decode_cost FILE...
//!
//! Per file: bytes of all decoded windows, per reading and with nesting, as a share of the text, and the
//! time of the finder. Then the filter's rate on random bytes under each dense encoding: how often a run
//! of noise is taken for text, and how often a run of text is not.
#![allow(clippy::print_stdout, reason = "a program that reports")]

use std::collections::BTreeMap;
use std::time::Instant;

use sift_text::decode::{windows, Finder, Limits, Nesting, Reading, Window};

fn main() -> std::io::Result<()> {
    let limits = Limits::default();
    let show = std::env::var_os("SHOW").is_some();
    for path in std::env::args().skip(1) {
        let text = std::fs::read(&path)?;
        let mut found = Vec::new();
        windows(&text, &limits, &mut found);
        let mut shares: BTreeMap<String, (usize, usize)> = BTreeMap::new();
        let (mut nesting, mut total) = (Nesting::default(), 0);
        for window in &found {
            let mut first = 0;
            let outcome = nesting.visit(&text, *window, &limits, &mut |level, decoded| {
                if level.depth() == 1 {
                    first = decoded.len();
                    if show {
                        println!("{:?} {:?}", window, String::from_utf8_lossy(decoded));
                    }
                }
            });
            total += outcome.decoded;
            let share = shares.entry(format!("{:?}", window.reading)).or_default();
            share.0 += 1;
            share.1 += first;
        }
        let percent = |bytes: usize| 100.0 * bytes as f64 / text.len() as f64;
        println!("{path}: {} bytes, {:.3} % decoded with nesting", text.len(), percent(total));
        for (reading, (windows, bytes)) in shares {
            println!("    {reading}: {windows} windows, {:.3} %", percent(bytes));
        }
        println!("    finder: {:.3} ns a byte", time(&text, &limits));
    }
    noise(&limits);
    Ok(())
}

/// The median of some runs, over the text in pieces of 4 KiB.
fn time(text: &[u8], limits: &Limits) -> f64 {
    let mut found: Vec<Window> = Vec::new();
    let mut times: Vec<f64> = (0..21)
        .map(|_| {
            let start = Instant::now();
            for piece in text.chunks(4096) {
                found.clear();
                Finder::new(limits).advance(std::hint::black_box(piece), true, &mut found);
                std::hint::black_box(&found);
            }
            start.elapsed().as_nanos() as f64 / text.len() as f64
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn noise(limits: &Limits) {
    let mut state = 7_u64;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for bytes in [16, 32, 64, 256, 1024] {
        let (mut base64, mut hex) = (0, 0);
        const ROUNDS: usize = 20_000;
        let mut found = Vec::new();
        for _ in 0..ROUNDS {
            found.clear();
            let text: Vec<u8> =
                (0..bytes * 4 / 3).map(|_| alphabet[usize::from(next() & 63)]).collect();
            windows(&text, limits, &mut found);
            base64 += usize::from(found.iter().any(|w| matches!(w.reading, Reading::Base64(_))));
            found.clear();
            let text: String = (0..bytes).map(|_| format!("{:02x}", next())).collect();
            windows(text.as_bytes(), limits, &mut found);
            hex += usize::from(found.iter().any(|w| matches!(w.reading, Reading::Hex(_))));
        }
        let percent = |count: usize| 100.0 * count as f64 / ROUNDS as f64;
        let (base64, hex) = (percent(base64), percent(hex));
        println!("{bytes} random bytes: {base64:.3} % pass as base64, {hex:.3} % as hex");
    }
}
