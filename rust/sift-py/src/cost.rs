//! `rules_cost`: what each pattern costs on a corpus, beside a reference pattern in the same run.
//!
//! Absolute times move between machines and from minute to minute; the ratio to a pattern that never
//! changes is what can be compared. Only matching is measured: confirming costs per hit, and hits are
//! counted.

use std::path::PathBuf;
use std::time::Duration;

use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use rustix::time::{clock_gettime, ClockId};
use sift_files::WalkOptions;
use sift_hs::{Control, Database, Flags, Pattern, Platform, ScratchPool};
use sift_rules::{hyperscan_expression, RuleSet, View};

use crate::{errors, files};

/// One rare literal and a class: what a token with a prefix of its own costs. Never change it: results
/// are told as multiples of it.
const REFERENCE: &str = r"zq7ref_[A-Za-z0-9]{36}";

/// A pattern of the set as it is measured.
struct Subject {
    id: String,
    providers: usize,
    /// Found by `sift-shapes`: the engine is not given it, and may find it too large.
    shaped: bool,
    view: View,
    expression: String,
}

/// Costs of one database.
#[derive(Clone, Copy)]
struct Cost {
    ns_per_byte: f64,
    hits: u64,
}

/// The corpus in pieces, as it is and folded.
struct Corpus {
    identity: Vec<Vec<u8>>,
    folded: Vec<Vec<u8>>,
    files: usize,
}

impl Corpus {
    fn pieces(&self, view: View) -> &[Vec<u8>] {
        match view {
            View::Identity => &self.identity,
            View::Folded => &self.folded,
        }
    }
}

/// Measures every pattern of a selection alone, each view's set whole, and the sets without each of
/// the `dearest`.
#[pyfunction]
#[pyo3(signature = (sets, files, folders, *, max_bytes, piece, rounds, dearest))]
#[expect(clippy::too_many_arguments, reason = "the options of a command")]
pub(crate) fn rules_cost<'py>(
    py: Python<'py>,
    sets: Vec<String>,
    files: Vec<PathBuf>,
    folders: Vec<PathBuf>,
    max_bytes: usize,
    piece: usize,
    rounds: usize,
    dearest: usize,
) -> PyResult<Bound<'py, PyDict>> {
    sift_hs::verify()
        .map_err(|e| errors::config(format!("rule costs are measured with hyperscan: {e}")))?;
    let set = select(&sets, &files)?;
    let subjects = subjects(&set)?;
    let corpus = py.detach(|| read(&folders, max_bytes, piece))?;
    let measure = |expressions: &[&str], view| {
        py.check_signals()?;
        py.detach(|| cost(expressions, corpus.pieces(view), rounds)).map_err(errors::sift)
    };

    let first = measure(&[REFERENCE], View::Identity)?;
    let mut alone = Vec::with_capacity(subjects.len());
    for subject in &subjects {
        match measure(&[&subject.expression], subject.view) {
            Ok(cost) => alone.push((subject, cost)),
            Err(error) if !subject.shaped || error.is_instance_of::<PyKeyboardInterrupt>(py) => {
                return Err(error);
            }
            Err(_) => {}
        }
    }
    alone.sort_by(|a, b| b.1.ns_per_byte.total_cmp(&a.1.ns_per_byte));
    // Before and after: what the machine did meanwhile hits the reference, too.
    let last = measure(&[REFERENCE], View::Identity)?;

    let whole = PyList::empty(py);
    for view in [View::Identity, View::Folded] {
        let expressions = expressions(&subjects, view, None);
        if !expressions.is_empty() {
            whole.append(row(py, &corpus, view, measure(&expressions, view)?)?)?;
        }
    }
    let without = PyList::empty(py);
    for (subject, _) in alone.iter().filter(|(subject, _)| !subject.shaped).take(dearest) {
        let rest = expressions(&subjects, subject.view, Some(&subject.id));
        if rest.is_empty() {
            continue;
        }
        let row = row(py, &corpus, subject.view, measure(&rest, subject.view)?)?;
        row.set_item("id", &subject.id)?;
        without.append(row)?;
    }
    let patterns = PyList::empty(py);
    for (subject, cost) in alone {
        let row = row(py, &corpus, subject.view, cost)?;
        row.set_item("id", &subject.id)?;
        row.set_item("providers", subject.providers)?;
        row.set_item("shaped", subject.shaped)?;
        patterns.append(row)?;
    }
    let answer = PyDict::new(py);
    answer.set_item("reference", REFERENCE)?;
    answer.set_item("reference_ns_per_byte", first.ns_per_byte.min(last.ns_per_byte))?;
    answer.set_item("files", corpus.files)?;
    answer.set_item("bytes", total(&corpus.identity))?;
    answer.set_item("patterns", patterns)?;
    answer.set_item("sets", whole)?;
    answer.set_item("without", without)?;
    Ok(answer)
}

fn select(sets: &[String], files: &[PathBuf]) -> PyResult<RuleSet> {
    let sets: Vec<&str> = sets.iter().map(String::as_str).collect();
    let files: Vec<_> = files.iter().map(PathBuf::as_path).collect();
    RuleSet::select(&sets, &files).map_err(|e| errors::rule(&e))
}

fn subjects(set: &RuleSet) -> PyResult<Vec<Subject>> {
    set.patterns()
        .iter()
        .map(|pattern| {
            let rule = &set.rules()[pattern.rule];
            let parts = pattern
                .parts()
                .map_err(|reason| errors::config(format!("rule `{}`: {reason}", rule.id)))?;
            Ok(Subject {
                id: rule.id.clone(),
                providers: pattern.providers.len().max(1),
                shaped: pattern.shape().map_err(errors::config)?.is_some(),
                view: pattern.view,
                expression: hyperscan_expression(&parts.trigger()),
            })
        })
        .collect()
}

/// Expressions of one view that the engine is given, but for one rule's.
fn expressions<'s>(subjects: &'s [Subject], view: View, but: Option<&str>) -> Vec<&'s str> {
    let wanted = |subject: &&Subject| {
        subject.view == view && !subject.shaped && but != Some(subject.id.as_str())
    };
    subjects.iter().filter(wanted).map(|subject| subject.expression.as_str()).collect()
}

/// Reads texts until there are enough bytes and cuts them. A rest shorter than a piece is a piece.
fn read(folders: &[PathBuf], max_bytes: usize, piece: usize) -> PyResult<Corpus> {
    let texts = files::texts(folders, &WalkOptions::default(), max_bytes)?;
    let mut corpus = Corpus { identity: Vec::new(), folded: Vec::new(), files: texts.len() };
    for part in texts.iter().flat_map(|text| text.chunks(piece.max(1))) {
        let mut folded = Vec::new();
        sift_text::fold(part, &mut folded);
        corpus.identity.push(part.to_vec());
        corpus.folded.push(folded);
    }
    if corpus.identity.is_empty() {
        return Err(errors::config("the corpus holds no text: name a folder with text files"));
    }
    Ok(corpus)
}

/// Compiles and scans; the best of some rounds, in time of this thread.
fn cost(expressions: &[&str], pieces: &[Vec<u8>], rounds: usize) -> Result<Cost, String> {
    let patterns: Vec<Pattern<'_>> = (0_u32..)
        .zip(expressions)
        .map(|(id, expression)| Pattern { expression, id, flags: Flags::default() })
        .collect();
    let database =
        Database::compile(&patterns, Platform::Generic).map_err(|error| error.to_string())?;
    let pool = ScratchPool::new(&[&database]).map_err(|error| error.to_string())?;
    let mut scratch = pool.get().map_err(|error| error.to_string())?;
    let (mut best, mut hits) = (Duration::MAX, 0);
    // One round more than asked for warms up.
    for _ in 0..=rounds {
        hits = 0;
        let begun = thread_time();
        for piece in pieces {
            let outcome = database.scan(&mut scratch, piece, |_, _| {
                hits += 1;
                Control::Continue
            });
            let _ = outcome.map_err(|error| error.to_string())?;
        }
        best = best.min(thread_time().saturating_sub(begun));
    }
    let bytes = total(pieces).max(1);
    Ok(Cost { ns_per_byte: best.as_secs_f64() * 1e9 / bytes as f64, hits })
}

fn thread_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    let (seconds, nanos) = (u64::try_from(now.tv_sec), u32::try_from(now.tv_nsec));
    Duration::new(seconds.unwrap_or_default(), nanos.unwrap_or_default())
}

fn total(pieces: &[Vec<u8>]) -> usize {
    pieces.iter().map(Vec::len).sum()
}

fn row<'py>(
    py: Python<'py>,
    corpus: &Corpus,
    view: View,
    cost: Cost,
) -> PyResult<Bound<'py, PyDict>> {
    let row = PyDict::new(py);
    let name = match view {
        View::Identity => "identity",
        View::Folded => "folded",
    };
    let megabytes = total(corpus.pieces(view)) as f64 / 1e6;
    row.set_item("view", name)?;
    row.set_item("ns_per_byte", cost.ns_per_byte)?;
    row.set_item("hits_per_mb", cost.hits as f64 / megabytes)?;
    Ok(row)
}
