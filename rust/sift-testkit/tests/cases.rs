//! Every case of `tests/data` in every engine and mode, cut at every place.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests: a panic is the report"
)]

use std::path::PathBuf;

use sift_rules::format::Rng;
use sift_rules::RuleSet;
use sift_scan::verify::fill;
use sift_scan::Fault;
use sift_testkit::{cut_points, load, random_cuts, Bench, Case};

fn data(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/data").join(name)
}

fn bench(case: &Case) -> Bench {
    let rules = RuleSet::from_document(&case.name, &case.rules).unwrap();
    Bench::new(rules).unwrap()
}

#[test]
fn every_case_gives_what_it_says() {
    for case in load(&data("pipeline.toml")).unwrap() {
        let bench = bench(&case);
        let text = case.text.repeat(case.repeat);
        for characters in [true, false] {
            let got = bench.whole(text.as_bytes(), characters).unwrap();
            if let (Some(output), true) = (&case.output, characters) {
                assert_eq!(String::from_utf8_lossy(&got.output), *output, "{}", case.name);
            }
            if let Some(findings) = &case.findings {
                let rules = bench.scanners[0].rules();
                let named: Vec<(String, usize, usize)> = got
                    .findings
                    .iter()
                    .map(|f| (rules.rules()[f.rule as usize].id.clone(), f.start, f.end))
                    .collect();
                assert_eq!(named, *findings, "{}", case.name);
            }
        }
    }
}

#[test]
fn every_cut_of_every_case_gives_the_whole() {
    for case in load(&data("pipeline.toml")).unwrap() {
        let bench = bench(&case);
        let text = case.text.repeat(case.repeat);
        let differs = differences(&bench, text.as_bytes(), 200, None);
        assert_eq!(differs, 0, "{}", case.name);
    }
}

/// Catches a harness that could not fail: each seeded bug must change some case.
#[test]
fn seeded_bugs_are_noticed() {
    for fault in [Fault::EarlyRelease, Fault::LostRightContext, Fault::WrongOffset] {
        let cases = load(&data("pipeline.toml")).unwrap();
        let noticed = cases.iter().filter(|case| {
            let text = case.text.repeat(case.repeat.min(3));
            differences(&bench(case), text.as_bytes(), 20, Some(fault)) > 0
        });
        assert!(noticed.count() > 0, "{fault:?} is not noticed");
    }
}

/// Number of cuts of `text` for which the stream differs from the whole: all single cuts (of texts up to
/// 4 KiB), one byte or character at a time, and `rounds` random choices of cuts.
fn differences(bench: &Bench, text: &[u8], rounds: usize, fault: Option<Fault>) -> usize {
    let mut count = 0;
    let mut rng = Rng::new(7);
    for characters in [true, false] {
        let whole = bench.whole(text, characters).unwrap();
        let points = cut_points(text, characters);
        let mut cuts: Vec<Vec<usize>> = vec![points.clone()];
        if text.len() <= 4096 {
            cuts.extend(points.iter().map(|&p| vec![p]));
        }
        cuts.extend((0..rounds).map(|_| random_cuts(&points, &mut rng)));
        for cut in cuts {
            let streamed = bench.streamed(text, characters, &cut, |stream| {
                if let Some(fault) = fault {
                    stream.seed(fault);
                }
            });
            count += usize::from(streamed.as_ref() != Ok(&whole));
        }
    }
    count
}

/// Texts made of the built-in rules' own examples, in random order with pieces of them in between.
fn mixture(rules: &RuleSet, rng: &mut Rng) -> String {
    let mut text = String::new();
    for _ in 0..1 + rng.below(4) {
        let rule = &rules.rules()[rng.below(rules.rules().len())];
        let pool = if rng.below(4) == 0 { &rule.negatives } else { &rule.examples };
        if pool.is_empty() {
            continue;
        }
        let round = rng.below(8);
        let example = fill(rule, &pool[rng.below(pool.len())], rng, round).unwrap().text;
        let characters: Vec<char> = example.chars().collect();
        let to = if rng.below(3) == 0 { rng.below(characters.len() + 1) } else { characters.len() };
        text.extend(&characters[..to]);
        text.push_str(["", " ", "\n", "é", "key=", "\"", "-----BEGIN "][rng.below(7)]);
    }
    text
}

#[test]
fn built_in_rules_whole_and_streamed() {
    let rules = RuleSet::select(&["default"], &[]).unwrap();
    let bench = Bench::new(RuleSet::select(&["default"], &[]).unwrap()).unwrap();
    let mut rng = Rng::new(11);
    let texts: usize = std::env::var("SIFT_SPLIT_TEXTS").map_or(150, |n| n.parse().unwrap());
    let mut tried = 0;
    for number in 0..texts {
        let text = mixture(&rules, &mut rng);
        let points = cut_points(text.as_bytes(), true);
        let whole = bench.whole(text.as_bytes(), true).unwrap();
        let mut cuts: Vec<Vec<usize>> = points.iter().map(|&p| vec![p]).collect();
        cuts.push(points.clone());
        cuts.extend((0..points.len()).map(|_| random_cuts(&points, &mut rng)));
        for cut in cuts {
            tried += 1;
            let streamed = bench.streamed(text.as_bytes(), true, &cut, |_| {}).unwrap();
            assert!(streamed == whole, "text {number} of seed 11 differs at one of its cuts");
        }
    }
    assert!(tried > texts * 10);
}
