//! Runs a rule's own examples, counter-examples and mutants through every engine and mode.
//!
//! The same door for built-in and user rules: `sift-fast rules check` and the tests call [`verify`].

use std::sync::Arc;

use sift_rules::format::{Format, MutantKind, Rng};
use sift_rules::lint::Problem;
use sift_rules::{Category, Rule, RuleSet, Tier};

use crate::builtin::{self, EngineKind};
use crate::scanner::{Explained, Outcome};
use crate::{Finding, Options, ScanError, Scanner, Sink, EDIT_SCORE};

/// How many secrets are generated for each example.
const ROUNDS: usize = 3;

/// A filled example.
#[derive(Clone, Debug)]
pub struct Example {
    /// The text.
    pub text: String,
    /// Where the generated secret stands in it, if there is one.
    pub secret: Option<(usize, usize)>,
}

/// Fills the `{secret}` and `{word}` of a template. The secret is generated from `format` and `rng`.
pub fn fill(rule: &Rule, template: &str, rng: &mut Rng, index: usize) -> Result<Example, String> {
    let secret = match &rule.format {
        Some(format) if template.contains("{secret}") => {
            Format::parse(format).map_err(|e| e.to_string())?.generate(rng, index)
        }
        _ => String::new(),
    };
    Ok(fill_with(rule, template, &secret))
}

fn fill_with(rule: &Rule, template: &str, secret: &str) -> Example {
    let template = template.replace("{word}", rule.word.as_deref().unwrap_or("word"));
    let at = template.find("{secret}").filter(|_| !secret.is_empty());
    Example {
        text: template.replace("{secret}", secret),
        secret: at.map(|start| (start, start + secret.len())),
    }
}

/// Checks all rules of a set; an empty list is a good set.
///
/// Errors: the set cannot be compiled at all.
pub fn verify(set: &Arc<RuleSet>) -> Result<Vec<Problem>, ScanError> {
    let build = |engine, entities| {
        let options = Options { engine: Some(engine), entities, ..Options::default() };
        Ok::<_, ScanError>(Arc::new(Scanner::new(Arc::clone(set), options)?))
    };
    let mut whole = Vec::new();
    if builtin::choose(None)? == EngineKind::Hyperscan {
        whole.push(build(EngineKind::Hyperscan, None)?);
    }
    // The second engine is given a pattern at a time: all of them together took two minutes for 1,000
    // rules, and what patterns do to each other is decided behind the engine.
    let mut narrow: Option<(usize, Arc<Scanner>)> = None;
    let mut problems = Vec::new();
    for (position, rule) in set.rules().iter().enumerate() {
        let mut say = |reason: String| {
            let problem = Problem { file: rule.source.clone(), rule: rule.id.clone(), reason };
            if !problems.contains(&problem) {
                problems.push(problem);
            }
        };
        let second = match narrow.take() {
            Some((pattern, scanner)) if pattern == rule.pattern => scanner,
            _ => {
                let same = set.rules().iter().filter(|r| r.pattern == rule.pattern);
                let entities = same.map(|r| r.entity.clone()).collect();
                build(EngineKind::Automata, Some(entities))?
            }
        };
        let mut scanners = whole.clone();
        scanners.push(Arc::clone(&second));
        narrow = Some((rule.pattern, second));
        if let Err(reason) = verify_rule(&scanners, position as u32, rule, &mut say) {
            say(reason);
        }
    }
    Ok(problems)
}

fn verify_rule(
    scanners: &[Arc<Scanner>],
    position: u32,
    rule: &Rule,
    say: &mut dyn FnMut(String),
) -> Result<(), String> {
    let format =
        rule.format.as_deref().map(Format::parse).transpose().map_err(|e| e.to_string())?;
    let rounds = format.as_ref().map_or(1, |f| f.alternatives().max(ROUNDS));
    let mut rng = Rng::new(0x5eed);
    for (number, template) in rule.examples.iter().enumerate() {
        for round in 0..rounds {
            let example = fill(rule, template, &mut rng, round)?;
            for scanner in scanners {
                let name = scanner.engine().as_str();
                if !is_found(scanner, position, &example)? {
                    say(format!("example {number} is missed by the {name} engine"));
                } else if !is_removed(scanner, position, rule, &example)? {
                    say(format!("example {number} is left in a stream by the {name} engine"));
                }
            }
        }
    }
    for (number, template) in rule.negatives.iter().enumerate() {
        let example = fill(rule, template, &mut rng, number)?;
        for scanner in scanners {
            let lines = scanner.explain(example.text.as_bytes()).map_err(|e| e.to_string())?;
            if lines.iter().any(|l| l.rule == position && is_candidate(l)) {
                let name = scanner.engine().as_str();
                say(format!("negative {number} is found by the {name} engine"));
            }
        }
    }
    // Only a specific shape and a provider's own format say what every byte must be.
    if let (Some(format), true, Some(template)) = (
        &format,
        rule.tier == Tier::Specific || rule.exact,
        rule.examples.iter().find(|e| e.contains("{secret}")),
    ) {
        for round in 0..rounds {
            verify_mutants(scanners, position, rule, template, format, &mut rng, round, say)?;
        }
    }
    Ok(())
}

#[expect(clippy::too_many_arguments, reason = "one loop of `verify_rule`, split off to be read")]
fn verify_mutants(
    scanners: &[Arc<Scanner>],
    position: u32,
    rule: &Rule,
    template: &str,
    format: &Format,
    rng: &mut Rng,
    round: usize,
    say: &mut dyn FnMut(String),
) -> Result<(), String> {
    for mutant in format.mutants(rng, round) {
        let example = fill_with(rule, template, &mutant.value);
        for scanner in scanners {
            let lines = scanner.explain(example.text.as_bytes()).map_err(|e| e.to_string())?;
            let whole = lines.iter().find(|l| {
                l.rule == position
                    && is_candidate(l)
                    && example.secret.is_some_and(|(start, end)| l.start <= start && l.end >= end)
            });
            let tolerated = |kind: &str| rule.tolerates.contains_key(kind);
            let wrong = match (mutant.kind, whole) {
                (_, None) => None,
                (MutantKind::Prefix, Some(_)) if tolerated("prefix") => None,
                (MutantKind::Length, Some(_)) if tolerated("length") => None,
                (MutantKind::Alphabet, Some(_)) if tolerated("alphabet") => None,
                // A broken checksum may be a token all the same; it must not count as proven.
                (MutantKind::Checksum, Some(line)) => {
                    (line.score >= 0.9).then_some("a wrong checksum is taken as proven")
                }
                (MutantKind::Prefix, Some(_)) => Some("a wrong prefix is found"),
                (MutantKind::Length, Some(_)) => Some("a value that is too short is found"),
                (MutantKind::Alphabet, Some(_)) => Some("a byte outside the alphabet is covered"),
            };
            if let Some(reason) = wrong {
                say(format!("{reason} by the {} engine", scanner.engine().as_str()));
            }
        }
    }
    Ok(())
}

fn is_candidate(line: &Explained) -> bool {
    matches!(line.outcome, Outcome::Found | Outcome::Overlapped)
}

fn is_found(scanner: &Scanner, rule: u32, example: &Example) -> Result<bool, String> {
    let lines = scanner.explain(example.text.as_bytes()).map_err(|e| e.to_string())?;
    Ok(lines.iter().any(|line| {
        let touches =
            example.secret.is_none_or(|(start, end)| line.start < end && line.end > start);
        line.rule == rule && is_candidate(line) && touches
    }))
}

/// Whether a stream, fed byte by byte, keeps the secret to itself.
fn is_removed(
    scanner: &Arc<Scanner>,
    position: u32,
    rule: &Rule,
    example: &Example,
) -> Result<bool, String> {
    let edited = matches!(rule.category, Category::Secret | Category::Pii);
    let (Some((start, end)), true) = (example.secret, edited && rule.score >= EDIT_SCORE) else {
        return Ok(true);
    };
    let mut sink = Spans::default();
    let none = |_| false;
    let mut stream = scanner.stream(false).map_err(|e| e.to_string())?;
    for byte in example.text.as_bytes() {
        stream.feed(&[*byte], &none, &mut sink).map_err(|e| e.to_string())?;
    }
    stream.finish(&none, &mut sink).map_err(|e| e.to_string())?;
    let lines = scanner.explain(example.text.as_bytes()).map_err(|e| e.to_string())?;
    let whole: Vec<(usize, usize)> = lines
        .iter()
        .filter(|l| l.outcome == Outcome::Found && l.score >= EDIT_SCORE)
        .map(|l| (l.start, l.end))
        .collect();
    let of_rule = lines.iter().any(|l| l.rule == position && l.outcome == Outcome::Found);
    Ok(!of_rule || sink.0.iter().any(|f| f.0 < end && f.1 > start && whole.contains(f)))
}

#[derive(Default)]
struct Spans(Vec<(usize, usize)>);

impl Sink for Spans {
    fn text(&mut self, _: &[u8]) {}
    fn edit(&mut self, _: u32, _: Option<&[u8]>) {}
    fn finding(&mut self, finding: Finding) {
        self.0.push((finding.start, finding.end));
    }
}
