//! MB/s, hits and findings of whole scans over files, cut in pieces: `throughput SETS PIECE FILE...`. A
//! set that ends in `.toml` is a rule file.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use sift_rules::RuleSet;
use sift_scan::{Options, Scanner};

#[expect(clippy::print_stdout, reason = "a measuring tool")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [sets, piece, files @ ..] = arguments.as_slice() else {
        return Err("usage: throughput SETS PIECE FILE...".into());
    };
    let (documents, sets): (Vec<&str>, Vec<&str>) =
        sets.split(',').partition(|set| set.ends_with(".toml"));
    let documents: Vec<&Path> = documents.into_iter().map(Path::new).collect();
    let begun = Instant::now();
    let scanner = Scanner::new(Arc::new(RuleSet::select(&sets, &documents)?), Options::default())?;
    println!("scanner {:?}, database {} bytes", begun.elapsed(), scanner.database_bytes());
    for file in files {
        let text = std::fs::read(file)?;
        let (mut best, mut findings, mut hits, mut steps) = (f64::MAX, 0, 0, 0);
        for _ in 0..5 {
            (findings, hits, steps) = (0, 0, 0);
            let begun = Instant::now();
            for part in text.chunks(piece.parse()?) {
                let scan = scanner.scan(part)?;
                findings += scan.findings.len();
                hits += scan.work.hits;
                steps += scan.work.steps;
            }
            best = best.min(begun.elapsed().as_secs_f64());
        }
        let megabytes = text.len() as f64 / 1e6;
        println!(
            "{file}: {:.0} MB/s, {findings} findings, {hits} hits, {steps} steps",
            megabytes / best
        );
    }
    Ok(())
}
