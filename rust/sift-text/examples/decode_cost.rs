//! What looking for encodings costs on clean text, and how much of it is decoded for nothing.
//!
//!     cargo run --release -p sift-text --example decode_cost FILE...
//!
//! Per file: bytes of all decoded windows, per reading and with nesting, as a share of the text; the time of the
//! finder; what a stream holds for dense runs after each byte. Then the filter of dense decoders: how often
//! random bytes are taken for text, and how often text of the file or of other scripts is not.
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
        held(text.get(..200_000).unwrap_or(&text), &limits);
        let mut pieces = text.chunks(97);
        missed("pieces of it", &limits, |length| {
            pieces.next().and_then(|piece| piece.get(..length)).unwrap_or(&text[..length]).to_vec()
        });
    }
    noise(&limits);
    for (name, letters) in [("Cyrillic", 'а'..='я'), ("Greek", 'α'..='ω'), ("Han", '一'..='鿋')]
    {
        let mut next = random();
        let letters: Vec<char> = letters.collect();
        missed(name, &limits, |length| {
            let mut text = String::new();
            while text.len() < length {
                match next() % 7 {
                    0 => text.push(' '),
                    _ => text.push(letters[next() % letters.len()]),
                }
            }
            text.into_bytes()
        });
    }
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

/// Bytes held after each byte of a stream, for dense windows.
fn held(text: &[u8], limits: &Limits) {
    let (mut finder, mut found) = (Finder::new(limits), Vec::new());
    let (mut buffer, mut sizes) = (Vec::new(), Vec::new());
    for &byte in text {
        buffer.push(byte);
        finder.advance(&buffer, false, &mut found);
        let held = finder.held(buffer.len());
        sizes.push(buffer.len() - held.dense);
        if held.buffer > 4096 {
            finder.dropped(held.buffer);
            buffer.drain(..held.buffer);
        }
    }
    sizes.sort_unstable();
    let at = |share: f64| sizes.get((share * sizes.len() as f64) as usize).copied().unwrap_or(0);
    println!(
        "    held: P50 {}, P90 {}, P99 {}, most {}",
        at(0.5),
        at(0.9),
        at(0.99),
        at(0.999_999)
    );
}

/// How often texts of some lengths in base64, behind up to three other characters, are not read whole.
fn missed(name: &str, limits: &Limits, mut make: impl FnMut(usize) -> Vec<u8>) {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut shares = Vec::new();
    for length in [16, 24, 32, 48] {
        const ROUNDS: usize = 4000;
        let (mut missed, mut found, mut decoded) = (0, Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            let payload = make(length);
            let mut text = b"abc"[..round % 4].to_vec();
            for group in payload.chunks(3) {
                let bits = group.iter().fold(0, |bits, &byte| bits << 8 | u32::from(byte));
                let bits = bits << (24 - 8 * group.len());
                let letter = |place| alphabet[(bits >> (18 - 6 * place) & 63) as usize];
                text.extend((0..=group.len()).map(letter));
            }
            found.clear();
            windows(&text, limits, &mut found);
            missed += usize::from(!found.iter().any(|window| {
                window.decode(&text, limits, &mut decoded);
                decoded.ends_with(&payload)
            }));
        }
        shares.push(format!("{length}: {:.2} %", 100.0 * missed as f64 / ROUNDS as f64));
    }
    println!("    {name} in base64, not read, by bytes: {}", shares.join(", "));
}

fn random() -> impl FnMut() -> usize {
    let mut state = 7_u64;
    move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    }
}

fn noise(limits: &Limits) {
    let mut next = random();
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for bytes in [16, 32, 64, 256, 1024] {
        let (mut base64, mut hex) = (0, 0);
        const ROUNDS: usize = 20_000;
        let mut found = Vec::new();
        for _ in 0..ROUNDS {
            found.clear();
            let text: Vec<u8> = (0..bytes * 4 / 3).map(|_| alphabet[next() & 63]).collect();
            windows(&text, limits, &mut found);
            base64 += usize::from(found.iter().any(|w| matches!(w.reading, Reading::Base64(_))));
            found.clear();
            let text: String = (0..bytes).map(|_| format!("{:02x}", next() & 0xff)).collect();
            windows(text.as_bytes(), limits, &mut found);
            hex += usize::from(found.iter().any(|w| matches!(w.reading, Reading::Hex(_))));
        }
        let percent = |count: usize| 100.0 * count as f64 / ROUNDS as f64;
        let (base64, hex) = (percent(base64), percent(hex));
        println!("{bytes} random bytes: {base64:.3} % pass as base64, {hex:.3} % as hex");
    }
}
