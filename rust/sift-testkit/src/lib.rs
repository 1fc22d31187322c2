//! Runs a text through every engine and mode and says where two of them disagree.
//!
//! Cases are data (`tests/data/*.toml`), written once; see [`Case`]. A failure names the case and the
//! mode, never the text.

pub mod encodings;

use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use sift_redact::{Operator, Plan, Writer};
use sift_rules::format::Rng;
use sift_rules::RuleSet;
use sift_scan::{EngineKind, Finding, Options, ScanError, Scanner, Sink, Stream, EDIT_SCORE};
use sift_text::decode::Encodings;

/// A text with what must be found in it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Names the case in failures.
    pub name: String,
    /// A rule document.
    pub rules: String,
    /// The text; `\u{..}` escapes are TOML's.
    pub text: String,
    /// Repeats of the text, for long inputs.
    #[serde(default = "one")]
    pub repeat: usize,
    /// `[rule id, start, end]` in bytes, in order. Left out: only agreement is tested.
    pub findings: Option<Vec<(String, usize, usize)>>,
    /// What redaction gives. Left out: only agreement is tested.
    pub output: Option<String>,
}

fn one() -> usize {
    1
}

#[derive(Deserialize)]
struct Cases {
    case: Vec<Case>,
}

/// Reads the cases of a file.
pub fn load(path: &Path) -> Result<Vec<Case>, String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let cases: Cases = toml::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(cases.case)
}

/// What a redaction gave, in a form that can be compared.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Redacted {
    /// The output.
    pub output: Vec<u8>,
    /// Findings in order.
    pub findings: Vec<Finding>,
}

/// Applies a plan to what the engine says.
pub struct PlanSink<'a> {
    plan: &'a Plan,
    writer: Writer,
    findings: Vec<Finding>,
}

impl<'a> PlanSink<'a> {
    /// An empty output.
    pub fn new(plan: &'a Plan) -> Self {
        Self { plan, writer: Writer::default(), findings: Vec::new() }
    }

    /// What was given out so far.
    pub fn output(&self) -> &[u8] {
        self.writer.output()
    }

    /// The result.
    pub fn into_redacted(self) -> Redacted {
        Redacted { output: self.writer.into_parts().0, findings: self.findings }
    }
}

impl Sink for PlanSink<'_> {
    fn text(&mut self, bytes: &[u8]) {
        self.writer.text(bytes);
    }
    fn edit(&mut self, rule: u32, value: Option<&[u8]>) {
        self.writer.edit(self.plan, rule, value);
    }
    fn least(&self) -> f32 {
        self.plan.least().unwrap_or(EDIT_SCORE)
    }
    fn finding(&mut self, finding: Finding) {
        self.findings.push(finding);
    }
}

/// A plan that replaces every second rule's findings and masks the others', so that both kinds of
/// operator are in every comparison.
pub fn mixed_plan(rules: &RuleSet) -> Result<Plan, String> {
    let mask = Operator::mask('*', 0, 2).map_err(|e| e.to_string())?;
    let placeholders = rules.rules().iter().map(|r| format!("<{}>", r.entity)).collect();
    let operators = (0..rules.rules().len())
        .map(|i| if i % 2 == 0 { Operator::Replace { with: None } } else { mask.clone() })
        .collect();
    Ok(Plan::new(placeholders, operators))
}

/// A plan that replaces everything by the entity type.
pub fn replace_plan(rules: &RuleSet) -> Plan {
    let placeholders = rules.rules().iter().map(|r| format!("<{}>", r.entity)).collect();
    Plan::new(placeholders, Vec::new())
}

/// The scanners of all engines for one rule set.
pub struct Bench {
    /// One for each engine.
    pub scanners: Vec<Arc<Scanner>>,
    /// The operators.
    pub plan: Plan,
}

impl Bench {
    /// Compiles a rule set for every engine of this build.
    pub fn new(rules: RuleSet) -> Result<Self, ScanError> {
        Self::decoding(rules, Encodings::default())
    }

    /// The same, with decoders.
    pub fn decoding(rules: RuleSet, decode: Encodings) -> Result<Self, ScanError> {
        let rules = Arc::new(rules);
        let plan = mixed_plan(&rules).map_err(ScanError::Option)?;
        let mut scanners = Vec::new();
        for engine in [EngineKind::Hyperscan, EngineKind::Automata] {
            if engine == EngineKind::Hyperscan && sift_scan::engine_version().is_none() {
                continue;
            }
            let options = Options { engine: Some(engine), decode, ..Options::default() };
            scanners.push(Arc::new(Scanner::new(Arc::clone(&rules), options)?));
        }
        Ok(Self { scanners, plan })
    }

    /// The whole text, redacted by every engine; an error names the engine that disagrees.
    pub fn whole(&self, text: &[u8], characters: bool) -> Result<Redacted, String> {
        let mut results = self.scanners.iter().map(|scanner| {
            let mut sink = PlanSink::new(&self.plan);
            let needs = |rule| self.plan.needs_value(rule);
            scanner.redact(text, characters, &needs, &mut sink).map_err(|e| e.to_string())?;
            Ok::<_, String>((scanner.engine(), sink.into_redacted()))
        });
        let (_, first) = results.next().ok_or("there is no engine")??;
        for other in results {
            let (engine, other) = other?;
            if other != first {
                return Err(format!("the {} engine disagrees", engine.as_str()));
            }
        }
        Ok(first)
    }

    /// The text through a stream cut at `cuts` (ascending offsets).
    pub fn streamed(
        &self,
        text: &[u8],
        characters: bool,
        cuts: &[usize],
        prepare: impl FnOnce(&mut Stream),
    ) -> Result<Redacted, String> {
        let scanner = self.scanners.first().ok_or("there is no engine")?;
        let needs = |rule| self.plan.needs_value(rule);
        let mut stream = scanner.stream(characters).map_err(|e| e.to_string())?;
        prepare(&mut stream);
        let mut sink = PlanSink::new(&self.plan);
        let mut from = 0;
        for &cut in cuts.iter().chain(std::iter::once(&text.len())) {
            let piece = text.get(from..cut).ok_or("cuts must ascend")?;
            stream.feed(piece, &needs, &mut sink).map_err(|e| e.to_string())?;
            from = cut;
        }
        stream.finish(&needs, &mut sink).map_err(|e| e.to_string())?;
        Ok(sink.into_redacted())
    }
}

/// Offsets at which `text` may be cut: all, or those between characters.
pub fn cut_points(text: &[u8], characters: bool) -> Vec<usize> {
    (0..=text.len())
        .filter(|&i| !characters || text.get(i).is_none_or(|b| b & 0xc0 != 0x80))
        .collect()
}

/// A random ascending choice of cut points.
pub fn random_cuts(points: &[usize], rng: &mut Rng) -> Vec<usize> {
    let one_in = 1 + rng.below(40) as u64;
    points.iter().copied().filter(|_| rng.next_u64().is_multiple_of(one_in)).collect()
}
