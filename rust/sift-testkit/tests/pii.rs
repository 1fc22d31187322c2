//! Personal data: what must be found in a text, and what must not become a card, a telephone or a number
//! of a state. Cases are in `tests/data/pii.toml`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use sift_rules::format::Rng;
use sift_rules::RuleSet;
use sift_scan::verify::fill;
use sift_scan::{EngineKind, Options, ScanError, Scanner};
use sift_testkit::Bench;

/// What is edited.
const LEAST: f32 = 0.5;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    /// Rule sets.
    sets: Vec<String>,
    text: String,
    /// `[entity, start, end]` in bytes of what scores [`LEAST`] or more, in order.
    found: Vec<(String, usize, usize)>,
}

#[derive(Deserialize)]
struct Cases {
    case: Vec<Case>,
}

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/pii.toml")
}

fn scanner(sets: &[String], engine: EngineKind) -> Result<Scanner, ScanError> {
    let sets: Vec<&str> = sets.iter().map(String::as_str).collect();
    let options = Options { engine: Some(engine), ..Options::default() };
    let rules = RuleSet::select(&sets, &[]).map_err(|e| ScanError::Option(e.to_string()))?;
    Scanner::new(Arc::new(rules), options)
}

#[test]
fn cases_of_every_engine() {
    let cases: Cases = toml::from_str(&std::fs::read_to_string(data()).unwrap()).unwrap();
    let mut engines = vec![EngineKind::Automata];
    engines.extend(sift_scan::engine_version().map(|_| EngineKind::Hyperscan));
    for engine in engines {
        let mut known: Vec<(Vec<String>, Scanner)> = Vec::new();
        for case in &cases.case {
            if !known.iter().any(|(sets, _)| *sets == case.sets) {
                known.push((case.sets.clone(), scanner(&case.sets, engine).unwrap()));
            }
            let (_, scanner) = known.iter().find(|(sets, _)| *sets == case.sets).unwrap();
            let found: Vec<(String, usize, usize)> = scanner
                .scan(case.text.as_bytes())
                .unwrap()
                .findings
                .iter()
                .filter(|finding| finding.score >= LEAST)
                .map(|f| (scanner.rules().rules()[f.rule as usize].entity.clone(), f.start, f.end))
                .collect();
            assert_eq!(found, case.found, "{}, {engine:?}", case.name);
        }
    }
}

/// What `rules check` asks of every rule: lint, examples, negatives, mutants.
#[test]
fn rules_are_checked() {
    let rules = Arc::new(RuleSet::select(&["pii-all"], &[]).unwrap());
    assert_eq!(sift_rules::lint::lint(&rules), []);
    assert_eq!(sift_scan::verify::verify(&rules).unwrap(), []);
}

/// Examples of all rules, a few at a time, cut everywhere.
#[test]
fn examples_whole_and_streamed() {
    let rules = RuleSet::select(&["pii-all"], &[]).unwrap();
    let bench = Bench::new(RuleSet::select(&["pii-all"], &[]).unwrap()).unwrap();
    let mut rng = Rng::new(17);
    for rule in rules.rules() {
        let mut text = String::new();
        for (round, example) in rule.examples.iter().chain(&rule.negatives).enumerate() {
            text += &fill(rule, example, &mut rng, round).unwrap().text;
            text += [" ", "\n", "-", ""][rng.below(4)];
        }
        let whole = bench.whole(text.as_bytes(), false).unwrap();
        let everywhere: Vec<usize> = (1..text.len()).collect();
        let pairs: Vec<usize> = (1..text.len()).filter(|_| rng.below(3) == 0).collect();
        for cut in [everywhere, pairs] {
            let streamed = bench.streamed(text.as_bytes(), false, &cut, |_| {}).unwrap();
            assert!(streamed == whole, "the examples of {} differ when they are cut", rule.id);
        }
    }
}
