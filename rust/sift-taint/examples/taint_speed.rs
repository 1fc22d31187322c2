//! What fingerprints cost: `taint_speed PIECE FILE...`, in nanoseconds a KiB of text taken in, and for an argument.
//!
//! Besides the files, words that are new in every piece: the worst there is for a memory. One memory takes ten pieces,
//! as a conversation does.

use std::hint::black_box;
use std::time::Instant;

use sift_taint::{Fingerprints, Known, Prints};

/// What one memory takes in.
const PIECES: usize = 10;

/// Arguments that are asked about in a round: the clock of a thread has steps of milliseconds.
const ASKED: usize = 50_000;

/// Random words of 2 to 9 letters; now and then a number, or an address.
fn words(size: usize) -> String {
    let mut seed = 7_u64;
    let mut next = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let mut text = String::with_capacity(size + 64);
    while text.len() < size {
        let kind = next(100);
        if kind < 4 {
            text += &(1_000 + next(1_000_000_000)).to_string();
        } else {
            let word: String = (0..2 + next(8))
                .map(|_| {
                    char::from(
                        b"abcdefghijklmnopqrstuvwxyz"[usize::try_from(next(26)).unwrap_or(0)],
                    )
                })
                .collect();
            text += &word;
            if kind == 4 {
                text += "@";
                text += &word;
                text += ".example";
            }
        }
        text.push(' ');
    }
    text
}

/// A text in parts of about a size, cut where characters end.
fn pieces(text: &str, size: usize) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text;
    while rest.len() > size {
        let mut end = size;
        while !rest.is_char_boundary(end) {
            end -= 1;
        }
        let (part, after) = rest.split_at(end);
        parts.push(part);
        rest = after;
    }
    parts
}

/// Nanoseconds that this thread has run: other work on the machine counts little. Elsewhere than on Linux, since `begun`.
fn clock(begun: Instant) -> f64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let ran = told.split(' ').next().and_then(|first| first.parse().ok());
    ran.unwrap_or_else(|| begun.elapsed().as_secs_f64() * 1e9)
}

/// The best of some rounds, in nanoseconds.
fn best(mut round: impl FnMut()) -> f64 {
    let begun = Instant::now();
    (0..7).fold(f64::MAX, |least, _| {
        let before = clock(begun);
        round();
        least.min(clock(begun) - before)
    })
}

#[expect(clippy::print_stdout, reason = "a measuring tool")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [piece, files @ ..] = arguments.as_slice() else {
        return Err("usage: taint_speed PIECE FILE...".into());
    };
    let piece: usize = piece.parse()?;
    let mut texts = vec![("new words".to_owned(), words(2 << 20))];
    for file in files {
        texts.push((file.clone(), String::from_utf8_lossy(&std::fs::read(file)?).into_owned()));
    }
    for (name, text) in &texts {
        let parts = pieces(text, piece);
        let kib = parts.iter().map(|part| part.len()).sum::<usize>() as f64 / 1024.0;
        let add = best(|| {
            for group in parts.chunks(PIECES) {
                let mut prints = Fingerprints::new(20_000);
                group.iter().for_each(|part| prints.add(part, "web"));
                black_box(prints.len());
            }
        });
        let mut prints = Fingerprints::new(20_000);
        parts.iter().take(PIECES).for_each(|part| prints.add(part, "web"));
        let asked: Vec<&str> = parts.iter().map(|part| pieces(part, 120)[0]).collect();
        let ask = best(|| {
            for argument in asked.iter().cycle().take(ASKED) {
                black_box(prints.sources_of(argument).len());
            }
        });
        let keyed = Prints::new();
        let mut kept = 0_usize;
        let made = best(|| {
            kept = 0;
            for part in &parts {
                keyed.of_source(part, |print| kept += usize::from(black_box(print) != 0));
            }
        });
        // As the action kernel does it: all of them, then into the table.
        let kept_all = best(|| {
            for group in parts.chunks(PIECES) {
                let mut known = Known::default();
                for part in group {
                    let mut prints = Vec::with_capacity(part.len() / 4);
                    keyed.of_source(part, |print| prints.push(print));
                    known.reserve(prints.len());
                    for print in prints {
                        known.put(print, 1);
                    }
                }
                black_box(known.len());
            }
        });
        println!(
            "{name}: add {:.0} ns a KiB, sources_of {:.0} ns for 120 bytes, of_source {:.0} ns a KiB ({:.0} kept), \
             with the table {:.0}",
            add / kib,
            ask / ASKED as f64,
            made / kib,
            kept as f64 / kib,
            kept_all / kib,
        );
    }
    Ok(())
}
