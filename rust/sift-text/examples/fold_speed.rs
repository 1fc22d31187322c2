//! Measures folding and its way back, in GB of input per second: `cargo run --release -p sift-text
//! --example fold_speed [FILE...]`.
//!
//! Texts are generated from a seed, or cut out of the files given. Each figure is the median of
//! repetitions over many different texts of one size, so that branches are not learnt by heart. Every way
//! of folding is checked against the scalar one before it is timed.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a measuring program prints, and stops when something is wrong"
)]

use std::hint::black_box;
use std::time::Instant;

use sift_text::{count_chars, map_spans, LineIndex, Path};

struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

fn word(random: &mut Random, alphabet: &[char], longest: usize) -> String {
    (0..=random.below(longest)).map(|_| alphabet[random.below(alphabet.len())]).collect()
}

/// Sentences: one space between words, a capital here and there, a line feed every so often.
fn prose(random: &mut Random, alphabet: &[char], spaced: bool) -> String {
    let mut text = String::new();
    while text.len() < 300_000 {
        let next = word(random, alphabet, 9);
        match random.below(12) {
            0 => text.push_str(&next.to_uppercase()),
            _ => text.push_str(&next),
        }
        match random.below(15) {
            0 => text.push_str(".\n\n"),
            1 => text.push_str(", "),
            _ if spaced => text.push(' '),
            _ => {}
        }
    }
    text
}

/// Lines of 5 to 60 characters, indented by 0 to 5 times four.
fn code(random: &mut Random, alphabet: &[char]) -> String {
    let mut text = String::new();
    while text.len() < 300_000 {
        text.push_str(&"    ".repeat(random.below(6)));
        for _ in 0..=random.below(7) {
            text.push_str(&word(random, alphabet, 10));
            text.push_str([" = ", "(", "), ", ".", " "][random.below(5)]);
        }
        text.push_str(["\n", "\n", "\n", "\n\n", "\r\n"][random.below(5)]);
    }
    text
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// GB/s of `work` over the texts.
fn rate(texts: &[&[u8]], mut work: impl FnMut(&[u8])) -> f64 {
    let bytes: usize = texts.iter().map(|text| text.len()).sum();
    let times = (0..41).map(|_| {
        let begun = Instant::now();
        texts.iter().for_each(|text| work(black_box(text)));
        begun.elapsed().as_secs_f64()
    });
    bytes as f64 / median(times.collect()) / 1e9
}

fn main() {
    if cfg!(debug_assertions) {
        println!("a debug build measures nothing: use --release");
        return;
    }
    let mut random = Random(88_172_645_463_325_252);
    let latin: Vec<char> = ('a'..='z').collect();
    let accented: Vec<char> = ('a'..='z').chain("éèàüß".chars()).collect();
    let cyrillic: Vec<char> = ('а'..='я').collect();
    let chinese: Vec<char> = ('\u{4e00}'..'\u{5e00}').collect();
    let mut corpora = vec![
        ("prose".to_string(), prose(&mut random, &latin, true).into_bytes()),
        ("code".to_string(), code(&mut random, &latin).into_bytes()),
        ("accented".to_string(), prose(&mut random, &accented, true).into_bytes()),
        ("cyrillic".to_string(), prose(&mut random, &cyrillic, true).into_bytes()),
        ("chinese".to_string(), prose(&mut random, &chinese, false).into_bytes()),
        ("spaces".to_string(), vec![b' '; 300_000]),
    ];
    for name in std::env::args().skip(1) {
        let bytes = std::fs::read(&name).unwrap();
        corpora.push((name, bytes));
    }

    println!("GB/s of input, median of 41 rounds");
    println!(
        "{:>5} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}  text",
        "bytes", "scalar", "portable", "avx2", "avx512", "map_end", "chars", "line_end"
    );
    for (name, bytes) in &corpora {
        for size in [200, 1000, 4000] {
            let texts: Vec<&[u8]> = bytes.chunks_exact(size).take(1000).collect();
            let mut out = Vec::new();
            let mut ends = Vec::new();
            let mut figures = Vec::new();
            for path in Path::ALL {
                for text in &texts {
                    let mut expected = Vec::new();
                    Path::Scalar.fold(text, &mut expected);
                    path.fold(text, &mut out);
                    assert!(out == expected, "{path:?} differs on {name}");
                    ends.push(out.len());
                }
                figures.push(match path.is_available() {
                    true => rate(&texts, |text| path.fold(text, black_box(&mut out))),
                    false => f64::NAN,
                });
            }
            // The dearest span there is: the last byte of the text.
            let mut each = ends.iter().cycle();
            figures.push(rate(&texts, |text| {
                let end = *each.next().unwrap();
                let mut spans = [(end.saturating_sub(1), end)];
                map_spans(text, &mut spans);
                black_box(spans);
            }));
            figures.push(rate(&texts, |text| {
                black_box(count_chars(text));
            }));
            figures.push(rate(&texts, |text| {
                black_box(LineIndex::new(text).position(text.len()));
            }));
            print!("{size:>5}");
            figures.iter().for_each(|figure| print!(" {figure:>9.2}"));
            println!("  {name}");
        }
    }
}
