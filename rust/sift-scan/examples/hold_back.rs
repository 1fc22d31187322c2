//! How much a stream holds after each character, and what feeding costs, without decoders and with those that are
//! on by default: `hold_back SETS FILE...`.

use std::sync::Arc;
use std::time::Instant;

use sift_rules::RuleSet;
use sift_scan::{Finding, Options, Scanner, Sink};
use sift_text::decode::Encodings;

struct Nothing;

impl Sink for Nothing {
    fn text(&mut self, _: &[u8]) {}
    fn edit(&mut self, _: u32, _: Option<&[u8]>) {}
    fn finding(&mut self, _: Finding) {}
}

#[expect(clippy::print_stdout, reason = "a measuring tool")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [sets, files @ ..] = arguments.as_slice() else {
        return Err("usage: hold_back SETS FILE...".into());
    };
    let sets: Vec<&str> = sets.split(',').collect();
    for (name, decode) in [("plain", Encodings::default()), ("decoded", Encodings::USUAL)] {
        let options = Options { decode, ..Options::default() };
        let scanner = Arc::new(Scanner::new(Arc::new(RuleSet::select(&sets, &[])?), options)?);
        let begun = Instant::now();
        println!(
            "{name}: longest hold {} bytes, automaton {:?}",
            scanner.longest_hold()?,
            begun.elapsed()
        );
        measure(&scanner, files)?;
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a measuring tool")]
fn measure(scanner: &Arc<Scanner>, files: &[String]) -> Result<(), Box<dyn std::error::Error>> {
    for file in files {
        let text = std::fs::read_to_string(file)?;
        let mut stream = scanner.stream(true)?;
        let mut held: Vec<usize> = Vec::new();
        let mut buffer = [0; 4];
        for character in text.chars() {
            let bytes = character.encode_utf8(&mut buffer).as_bytes();
            stream.feed(bytes, &|_| false, &mut Nothing)?;
            held.push(std::str::from_utf8(stream.held_bytes()).map_or(0, |t| t.chars().count()));
        }
        let mut times: Vec<u128> = Vec::new();
        let mut stream = scanner.stream(true)?;
        let characters: Vec<char> = text.chars().collect();
        for piece in characters.chunks(24) {
            let piece: String = piece.iter().collect();
            let begun = Instant::now();
            stream.feed(piece.as_bytes(), &|_| false, &mut Nothing)?;
            times.push(begun.elapsed().as_nanos());
        }
        held.sort_unstable();
        times.sort_unstable();
        let at = |share: f64, length: usize| ((length - 1) as f64 * share) as usize;
        println!(
            "{file}: table {:?}, held P50 {} P90 {} P99 {} max {}; feed of 24: P50 {} ns P99 {} ns; {} bytes",
            scanner.hold_table(),
            held[at(0.5, held.len())],
            held[at(0.9, held.len())],
            held[at(0.99, held.len())],
            held[held.len() - 1],
            times[at(0.5, times.len())],
            times[at(0.99, times.len())],
            stream.memory(),
        );
    }
    Ok(())
}
