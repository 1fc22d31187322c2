//! Personal data: what must be found in a text, and what must not become a card, a telephone or a number
//! of a state. Cases are in `tests/data/pii.toml`.

#![allow(clippy::unwrap_used, reason = "helpers of tests: a panic is the report")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use sift_rules::format::Rng;
use sift_rules::RuleSet;
use sift_scan::verify::fill;
use sift_scan::{EngineKind, Explained, Options, Outcome, ScanError, Scanner};
use sift_testkit::Bench;
use sift_text::decode::Encodings;

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
    let options = Options { engine: Some(engine), decode: Encodings::USUAL, ..Options::default() };
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

/// The same cases cut everywhere, in a stream that decodes.
#[test]
fn cases_whole_and_streamed() {
    let cases: Cases = toml::from_str(&std::fs::read_to_string(data()).unwrap()).unwrap();
    let mut known: Vec<(Vec<String>, Bench)> = Vec::new();
    for case in &cases.case {
        if !known.iter().any(|(sets, _)| *sets == case.sets) {
            let sets: Vec<&str> = case.sets.iter().map(String::as_str).collect();
            let rules = RuleSet::select(&sets, &[]).unwrap();
            known.push((case.sets.clone(), Bench::decoding(rules, Encodings::USUAL).unwrap()));
        }
        let (_, bench) = known.iter().find(|(sets, _)| *sets == case.sets).unwrap();
        cut_everywhere(bench, &case.text, &case.name);
    }
}

/// Between every two characters, and one cut at every place.
fn cut_everywhere(bench: &Bench, text: &str, name: &str) {
    let whole = bench.whole(text.as_bytes(), true).unwrap();
    let places: Vec<usize> = (1..text.len()).filter(|at| text.is_char_boundary(*at)).collect();
    let mut cuts: Vec<Vec<usize>> = places.iter().map(|at| vec![*at]).collect();
    cuts.push(places);
    for cut in cuts {
        let streamed = bench.streamed(text.as_bytes(), true, &cut, |_| {}).unwrap();
        assert!(streamed == whole, "{name} differs when it is cut at {cut:?}");
    }
}

/// Spaces and dashes that are not the keyboard's, in examples of all rules: what is found with a blank or a hyphen
/// between the groups of a number is found with each of them, at its place, whole and cut everywhere.
#[test]
fn separators_of_print_hide_no_number() {
    const BLANKS: [char; 7] =
        ['\u{a0}', '\u{202f}', '\u{2007}', '\u{2009}', '\u{2003}', '\u{205f}', '\u{3000}'];
    const DASHES: [char; 7] =
        ['\u{2010}', '\u{2011}', '\u{2012}', '\u{2013}', '\u{2014}', '\u{2015}', '\u{2212}'];
    let select = || RuleSet::select(&["pii-all"], &[]).unwrap();
    let bench = Bench::decoding(select(), Encodings::USUAL).unwrap();
    let (mut rng, mut tried, mut missed) = (Rng::new(29), 0, Vec::new());
    for (number, rule) in select().rules().iter().enumerate() {
        for (round, example) in rule.examples.iter().enumerate() {
            let text = fill(rule, example, &mut rng, round).unwrap().text;
            let plain = bench.scanners[0].explain(text.as_bytes()).unwrap();
            let own = |it: &&Explained| {
                it.rule as usize == number && !matches!(it.outcome, Outcome::Dropped(_))
            };
            let Some(found) = plain.iter().find(own) else { continue };
            let value = &text.as_bytes()[found.start..found.end];
            let joins = |at: &usize| {
                let beside = |it: u8| it.is_ascii_digit() || it.is_ascii_uppercase();
                matches!(value[*at], b' ' | b'-')
                    && beside(value[at - 1])
                    && beside(value[at + 1])
                    && (value[at - 1].is_ascii_digit() || value[at + 1].is_ascii_digit())
            };
            let places: Vec<usize> = (1..value.len().max(2) - 1).filter(joins).collect();
            let digits = value.iter().filter(|it| it.is_ascii_digit()).count();
            // An address is words.
            if places.is_empty() || digits < 6 || value.iter().any(u8::is_ascii_lowercase) {
                continue;
            }
            tried += 1;
            let (blank, dash) = (BLANKS[tried % 7], DASHES[tried % 7]);
            let mut printed = String::new();
            for (at, it) in text.char_indices() {
                let inside = at.checked_sub(found.start).is_some_and(|at| places.contains(&at));
                printed.push(match (inside, it) {
                    (true, ' ') => blank,
                    (true, _) => dash,
                    _ => it,
                });
            }
            let end = found.end + printed.len() - text.len();
            for scanner in &bench.scanners {
                let lines = scanner.explain(printed.as_bytes()).unwrap();
                let same = |it: &Explained| {
                    it.rule == found.rule && (it.start, it.end) == (found.start, end)
                };
                if !lines.iter().any(|it| same(it) && it.score == found.score) {
                    missed.push((rule.id.clone(), round));
                }
            }
            cut_everywhere(&bench, &printed, &rule.id);
        }
    }
    assert_eq!(missed, []);
    assert!(tried > 40, "{tried}");
}

/// The examples of all rules in a row of numbers: what is found alone is found between commas, whole and cut
/// everywhere.
#[test]
fn a_row_of_numbers_hides_nothing() {
    for (lead, tail, seed) in
        [("17,", ",17", 31), ("1001,2026-11-22,", ",12.50", 37), ("[17,", ",18]", 41)]
    {
        // A URL may hold commas.
        assert_eq!(hidden_between(lead, tail, seed), ["pii.contact.host", "pii.contact.url"]);
    }
}

/// The same behind line feeds and tabs that JSON has escaped: their letter is no part of what follows.
#[test]
fn an_escaped_line_feed_hides_nothing() {
    // A URL and a password may hold what follows them; names of months, plates and registers begin with letters and a
    // blank, as all prose does.
    const LETTERS: [&str; 8] = [
        "pii.contact.host",
        "pii.contact.url",
        "pii.date.month-name",
        "pii.de.commercial-register",
        "pii.de.plate",
        "pii.gb.plate-suffix",
        "pii.ng.plate",
        "pii.za.plate",
    ];
    for (lead, tail, seed) in [(r"see\n", r"\nand", 43), (r"see\t", r"\t", 47)] {
        let hidden = hidden_between(lead, tail, seed);
        let other =
            |rule: &&String| !LETTERS.contains(&rule.as_str()) && *rule != "pii.person.password";
        assert_eq!(hidden.iter().filter(other).collect::<Vec<_>>(), [""; 0], "{lead}");
    }
}

/// Rules of which an example that is found alone is not found between `lead` and `tail`: the example as it stands,
/// and its value if that is found without a label.
fn hidden_between(lead: &str, tail: &str, seed: u64) -> Vec<String> {
    let select = || RuleSet::select(&["pii-all"], &[]).unwrap();
    let bench = Bench::decoding(select(), Encodings::USUAL).unwrap();
    let (mut rng, mut tried, mut missed) = (Rng::new(seed), 0, Vec::new());
    for (number, rule) in select().rules().iter().enumerate() {
        let of_rule = |text: &str, scanner: &Scanner| -> Vec<Explained> {
            let mut lines = scanner.explain(text.as_bytes()).unwrap();
            lines.retain(|it| {
                it.rule as usize == number && !matches!(it.outcome, Outcome::Dropped(_))
            });
            lines
        };
        for (round, example) in rule.examples.iter().enumerate() {
            let text = fill(rule, example, &mut rng, round).unwrap().text;
            let Some(found) = of_rule(&text, &bench.scanners[0]).into_iter().next() else {
                continue;
            };
            for alone in [&text, &text[found.start..found.end]] {
                let between = format!("{lead}{alone}{tail}");
                let mut hidden = false;
                for scanner in &bench.scanners {
                    let Some(found) = of_rule(alone, scanner).into_iter().next() else { continue };
                    tried += 1;
                    let place = (found.start + lead.len(), found.end + lead.len());
                    let same =
                        |it: &Explained| (it.start, it.end) == place && it.score >= found.score;
                    hidden |= !of_rule(&between, scanner).iter().any(same);
                }
                if hidden {
                    missed.push(rule.id.clone());
                }
                cut_everywhere(&bench, &between, &rule.id);
            }
        }
    }
    assert!(tried > 400, "{tried}");
    missed.dedup();
    missed
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    entity: String,
    set: String,
    labels: Vec<String>,
    forms: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Labelled {
    entity: String,
    set: String,
    values: Vec<String>,
    texts: Vec<String>,
}

#[derive(Deserialize)]
struct Forms {
    form: Vec<Form>,
    labelled: Vec<Labelled>,
}

fn forms() -> Forms {
    let path = data().with_file_name("pii-forms.toml");
    toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Scanners of regions, each built once.
#[derive(Default)]
struct Regions(Vec<(String, Bench)>);

impl Regions {
    fn of(&mut self, set: &str) -> &Bench {
        let at = self.0.iter().position(|(name, _)| name == set).unwrap_or_else(|| {
            let rules = RuleSet::select(&[set], &[]).unwrap();
            self.0.push((set.to_owned(), Bench::decoding(rules, Encodings::USUAL).unwrap()));
            self.0.len() - 1
        });
        &self.0[at].1
    }
}

/// Whether both engines find an entity at a place with a score that is edited.
fn is_edited(bench: &Bench, entity: &str, text: &str, place: (usize, usize)) -> bool {
    bench.scanners.iter().all(|scanner| {
        scanner.explain(text.as_bytes()).unwrap().iter().any(|found| {
            scanner.rules().rules()[found.rule as usize].entity == entity
                && (found.start, found.end) == place
                && found.score >= LEAST
        })
    })
}

/// Numbers in each printed form behind each of their labels.
#[test]
fn printed_forms_are_found_behind_their_labels() {
    let (mut regions, mut rng, mut missed) = (Regions::default(), Rng::new(53), Vec::new());
    let mut tried = 0;
    for Form { entity, set, labels, forms } in forms().form {
        let bench = regions.of(&set);
        let rules = bench.scanners[0].rules().rules();
        for form in forms {
            let marks = form.bytes().filter(|byte| *byte == b'#').count();
            // The first value of a rule of this entity that has as many letters and digits.
            let value = rules.iter().filter(|rule| rule.entity == entity).find_map(|rule| {
                (0..60).find_map(|round| {
                    let made = fill(rule, "{secret}", &mut rng, round).ok()?.text;
                    let plain: Vec<u8> = made.bytes().filter(u8::is_ascii_alphanumeric).collect();
                    (plain.len() == marks).then_some(plain)
                })
            });
            let value = value.unwrap_or_else(|| panic!("no value of {entity} fits {form}"));
            let mut left = value.iter();
            let printed: String = form
                .chars()
                .map(|it| if it == '#' { char::from(*left.next().unwrap()) } else { it })
                .collect();
            for label in &labels {
                for lead in [
                    format!("{label}: "),
                    format!("{label} "),
                    format!("{label}\n"),
                    format!("{label}="),
                ] {
                    tried += 1;
                    let text = format!("{lead}{printed}, and");
                    if !is_edited(bench, &entity, &text, (lead.len(), lead.len() + printed.len())) {
                        missed.push((entity.clone(), form.clone(), lead.clone()));
                    }
                }
            }
            cut_everywhere(bench, &format!("{} {printed} ({})", labels[0], labels[0]), &entity);
        }
    }
    assert!(tried > 400, "{tried}");
    assert_eq!(missed, []);
}

/// Values that only their label tells: before them, behind them, in tags, in JSON, behind an escaped line feed.
#[test]
fn labels_are_known_wherever_they_stand() {
    let (mut regions, mut missed) = (Regions::default(), Vec::new());
    for Labelled { entity, set, values, texts } in forms().labelled {
        let bench = regions.of(&set);
        for (value, form) in values.iter().flat_map(|value| texts.iter().map(move |it| (value, it)))
        {
            let start = form.find('$').unwrap();
            let text = form.replace('$', value);
            if !is_edited(bench, &entity, &text, (start, start + value.len())) {
                missed.push((entity.clone(), text.clone()));
            }
            cut_everywhere(bench, &text, form);
        }
    }
    assert_eq!(missed, []);
}

/// With a lower bound more is edited, and a stream still gives what the whole text gives.
#[test]
fn a_lower_bound_edits_more_and_stays_exact() {
    let select = || RuleSet::select(&["pii-all"], &[]).unwrap();
    let mut bench = Bench::decoding(select(), Encodings::USUAL).unwrap();
    let (mut rng, mut more) = (Rng::new(59), 0);
    for rule in select().rules() {
        let text = fill(rule, &rule.examples[0], &mut rng, 0).unwrap().text;
        let usual = bench.whole(text.as_bytes(), true).unwrap();
        bench.plan = sift_testkit::replace_plan(&select()).from_score(0.05);
        let lower = bench.whole(text.as_bytes(), true).unwrap();
        assert!(lower.findings.iter().all(|found| found.score >= 0.05));
        more += usize::from(lower.findings.len() > usual.findings.len());
        // What scores enough in a scan is covered by an edit.
        for found in bench.scanners[0].scan(text.as_bytes()).unwrap().findings {
            let covers =
                |edit: &&sift_scan::Finding| edit.start <= found.start && found.end <= edit.end;
            assert!(lower.findings.iter().any(|edit| covers(&edit)), "{}", rule.id);
        }
        cut_everywhere(&bench, &text, &rule.id);
        bench.plan = sift_testkit::replace_plan(&select());
    }
    assert!(more > 5, "{more}");
}
