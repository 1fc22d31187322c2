//! What decoding adds to whole scans of files, cut in pieces: `decoding SETS PIECE FILE...`.
//!
//! Both scanners take turns in the same run; the quickest of all rounds counts. Beside the time: the share of the
//! bytes that were decoded, and what is found beyond what stands there as it is.
#![allow(clippy::print_stdout, reason = "a measuring tool")]

use std::sync::Arc;
use std::time::Instant;

use sift_rules::RuleSet;
use sift_scan::{Options, Scan, Scanner};
use sift_text::decode::Encodings;

/// Rounds; under a profiler that counts instructions one is enough.
const ROUNDS: usize = 25;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [sets, piece, files @ ..] = arguments.as_slice() else {
        return Err("usage: decoding SETS PIECE FILE...".into());
    };
    let sets: Vec<&str> = sets.split(',').collect();
    let piece: usize = piece.parse()?;
    let scanner = |decode| {
        let options = Options { decode, ..Options::default() };
        Scanner::new(Arc::new(RuleSet::select(&sets, &[])?), options)
    };
    let scanners = [scanner(Encodings::default())?, scanner(Encodings::ALL)?];
    for file in files {
        let text = std::fs::read(file)?;
        let (mut best, mut found, mut decoded) = ([f64::MAX; 2], [0; 2], 0);
        for _ in 0..ROUNDS {
            for (number, scanner) in scanners.iter().enumerate() {
                (found[number], decoded) = (0, 0);
                let begun = Instant::now();
                for part in text.chunks(piece) {
                    let Scan { findings, work, .. } = scanner.scan(part)?;
                    found[number] += findings.len();
                    decoded += work.decoded;
                }
                best[number] = best[number].min(begun.elapsed().as_secs_f64());
            }
        }
        println!(
            "{file}: {:+.1} % time, {:.3} % decoded, {:+} findings, {:.0} MB/s with decoding",
            100.0 * (best[1] / best[0] - 1.0),
            100.0 * decoded as f64 / text.len() as f64,
            found[1] as i64 - found[0] as i64,
            text.len() as f64 / 1e6 / best[1],
        );
    }
    Ok(())
}
