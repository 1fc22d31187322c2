//! What decoding adds to whole scans of files, cut in pieces: `decoding SETS PIECE FILE...`.
//!
//! The scanners, one without decoders, one with those that are on by default, and one for each kind of them, take turns in the same run; the
//! quickest of all rounds counts. Beside the time: the share of the bytes that were decoded, and what is found
//! beyond what stands there as it is.
#![allow(clippy::print_stdout, reason = "a measuring tool")]

use std::sync::Arc;
use std::time::Instant;

use sift_rules::RuleSet;
use sift_scan::{Options, Scan, Scanner};
use sift_text::decode::{Encoding, Encodings};

/// Rounds; under a profiler that counts instructions one is enough.
const ROUNDS: usize = 25;

/// Decoders that read the same places, by name; the first two: none and the usual ones.
const KINDS: [(&str, &[Encoding]); 8] = [
    ("none", &[]),
    ("usual", &[]),
    ("base64", &[Encoding::Base64, Encoding::Utf16, Encoding::Gzip, Encoding::Zlib]),
    ("hex", &[Encoding::Hex, Encoding::Utf16, Encoding::Gzip, Encoding::Zlib]),
    ("escapes", &[Encoding::Percent, Encoding::Entity, Encoding::Escape]),
    (
        "characters",
        &[
            Encoding::Tag,
            Encoding::Selector,
            Encoding::Invisible,
            Encoding::Styled,
            Encoding::Lookalike,
        ],
    ),
    ("letters", &[Encoding::Spaced, Encoding::Leet]),
    ("turned", &[Encoding::Reversed, Encoding::Rot13]),
];

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
    let kinds: Vec<(&str, Encodings)> = KINDS
        .iter()
        .map(|(name, kind)| {
            let first = match *name {
                "usual" => Encodings::USUAL,
                _ => Encodings::default(),
            };
            (*name, kind.iter().fold(first, |all, &encoding| all.with(encoding)))
        })
        .collect();
    let scanners = kinds.iter().map(|kind| scanner(kind.1)).collect::<Result<Vec<_>, _>>()?;
    for file in files {
        let text = std::fs::read(file)?;
        let (mut best, mut found) = (vec![f64::MAX; kinds.len()], vec![0_i64; kinds.len()]);
        let mut decoded = vec![0; kinds.len()];
        for _ in 0..ROUNDS {
            for (number, scanner) in scanners.iter().enumerate() {
                (found[number], decoded[number]) = (0, 0);
                let begun = Instant::now();
                for part in text.chunks(piece) {
                    let Scan { findings, work, .. } = scanner.scan(part)?;
                    found[number] += findings.len() as i64;
                    decoded[number] += work.decoded;
                }
                best[number] = best[number].min(begun.elapsed().as_secs_f64());
            }
        }
        let speed = |number: usize| text.len() as f64 / 1e6 / best[number];
        println!("{file}: {:.0} MB/s without decoding, {:.0} with the usual", speed(0), speed(1));
        for (number, kind) in kinds.iter().enumerate().skip(1) {
            println!(
                "    {:<12} {:+7.1} % time, {:.3} % decoded, {:+} findings",
                kind.0,
                100.0 * (best[number] / best[0] - 1.0),
                100.0 * decoded[number] as f64 / text.len() as f64,
                found[number] - found[0],
            );
        }
    }
    Ok(())
}
