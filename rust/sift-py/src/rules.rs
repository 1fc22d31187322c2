//! Rules as Python sees them, and the functions that `sift-fast rules` and tests stand on.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pyo3::exceptions::{PyKeyError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyIterator, PyList, PySlice, PyString, PyTuple};
use sift_rules::format::{Format, Rng};
use sift_rules::{lint, Rule as Row, RuleSet};
use sift_scan::verify;

use crate::findings::{place, widen};
use crate::{door, errors};

/// Selects rules for the functions below.
fn select(sets: &[String], files: &[PathBuf]) -> PyResult<RuleSet> {
    let sets: Vec<&str> = sets.iter().map(String::as_str).collect();
    let files: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    RuleSet::select(&sets, &files).map_err(|e| errors::rule(&e))
}

/// The table of a scanner's rules; findings refer to it by position.
#[pyclass(frozen, sequence, module = "sift_fast._core")]
pub(crate) struct Rules {
    set: Arc<RuleSet>,
}

impl Rules {
    pub(crate) fn new(set: Arc<RuleSet>) -> Self {
        Self { set }
    }

    fn rule(&self, at: usize) -> Rule {
        Rule { set: Arc::clone(&self.set), at }
    }

    fn position(&self, value: &Bound<'_, PyAny>) -> Option<usize> {
        let rule = value.cast::<Rule>().ok()?.get();
        self.set.find(&rule.row().id).filter(|&at| self.rule(at).same(rule))
    }
}

#[pymethods]
impl Rules {
    fn __len__(&self) -> usize {
        self.set.rules().len()
    }

    /// By position, or by id or former id.
    fn __getitem__<'py>(&self, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = key.py();
        let length = self.set.rules().len();
        if let Ok(slice) = key.cast::<PySlice>() {
            let range = slice.indices(length as isize)?;
            let at = |i| self.rule((range.start + i as isize * range.step) as usize);
            let rules = (0..range.slicelength).map(|i| Py::new(py, at(i)));
            return Ok(PyList::new(py, rules.collect::<PyResult<Vec<_>>>()?)?.into_any());
        }
        let at = match key.cast::<PyString>() {
            Ok(id) => self
                .set
                .find(id.to_str()?)
                .ok_or_else(|| PyKeyError::new_err("no selected rule has this id"))?,
            Err(_) => place(key, length, "rules")?,
        };
        Ok(Bound::new(py, self.rule(at))?.into_any())
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        let rules = (0..self.set.rules().len()).map(|at| Py::new(py, self.rule(at)));
        PyList::new(py, rules.collect::<PyResult<Vec<_>>>()?)?.try_iter()
    }

    fn __contains__(&self, key: &Bound<'_, PyAny>) -> bool {
        match key.cast::<PyString>() {
            Ok(id) => id.to_str().is_ok_and(|id| self.set.find(id).is_some()),
            Err(_) => self.position(key).is_some(),
        }
    }

    fn index(&self, value: &Bound<'_, PyAny>) -> PyResult<usize> {
        self.position(value).ok_or_else(|| PyValueError::new_err("there is no such rule"))
    }

    fn count(&self, value: &Bound<'_, PyAny>) -> usize {
        usize::from(self.position(value).is_some())
    }

    fn __repr__(&self) -> String {
        format!("Rules({} rules)", self.set.rules().len())
    }
}

/// One rule of the table.
#[pyclass(frozen, module = "sift_fast._core")]
pub(crate) struct Rule {
    set: Arc<RuleSet>,
    at: usize,
}

impl Rule {
    fn row(&self) -> &Row {
        &self.set.rules()[self.at]
    }

    /// Ids are stable, so the same id in another set is the same rule, unless a user's document differs.
    fn same(&self, other: &Self) -> bool {
        let (one, two) = (self.row(), other.row());
        let (first, second) =
            (&self.set.patterns()[one.pattern], &other.set.patterns()[two.pattern]);
        (&one.id, &one.source, one.score.to_bits(), first.text())
            == (&two.id, &two.source, two.score.to_bits(), second.text())
    }
}

#[pymethods]
impl Rule {
    #[getter]
    fn id(&self) -> &str {
        &self.row().id
    }

    #[getter]
    fn title(&self) -> &str {
        &self.row().title
    }

    #[getter]
    fn category(&self) -> &'static str {
        self.row().category.as_str()
    }

    #[getter]
    fn entity_type(&self) -> &str {
        &self.row().entity
    }

    #[getter]
    fn tier(&self) -> &'static str {
        self.row().tier.as_str()
    }

    #[getter]
    fn severity(&self) -> &'static str {
        self.row().severity.as_str()
    }

    #[getter]
    fn score(&self) -> f64 {
        widen(self.row().score)
    }

    #[getter]
    fn threat<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.row().threat)
    }

    #[getter]
    fn references<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.row().references)
    }

    #[getter]
    fn source(&self) -> &str {
        &self.row().source
    }

    fn __eq__<'py>(&self, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = other.py();
        Ok(match other.cast::<Self>() {
            Ok(other) => PyBool::new(py, self.same(other.get())).to_owned().into_any(),
            Err(_) => py.NotImplemented().into_bound(py),
        })
    }

    fn __hash__(&self) -> u64 {
        let mut hash = DefaultHasher::new();
        self.row().id.hash(&mut hash);
        hash.finish()
    }

    fn __repr__(&self) -> String {
        let row = self.row();
        let (id, entity, severity) = (&row.id, &row.entity, row.severity.as_str());
        format!("Rule(id='{id}', entity_type='{entity}', severity='{severity}')")
    }
}

#[pyfunction]
#[pyo3(signature = (sets, files = Vec::new()), text_signature = "(sets, files=())")]
pub(crate) fn rule_table<'py>(
    py: Python<'py>,
    sets: Vec<String>,
    files: Vec<PathBuf>,
) -> PyResult<Vec<Bound<'py, PyDict>>> {
    let set = select(&sets, &files)?;
    set.rules().iter().map(|rule| row_of(py, &set, rule)).collect()
}

fn row_of<'py>(py: Python<'py>, set: &RuleSet, rule: &Row) -> PyResult<Bound<'py, PyDict>> {
    let pattern = &set.patterns()[rule.pattern];
    let row = PyDict::new(py);
    row.set_item("id", &rule.id)?;
    row.set_item("aliases", &rule.aliases)?;
    row.set_item("title", &rule.title)?;
    row.set_item("category", rule.category.as_str())?;
    row.set_item("entity", &rule.entity)?;
    row.set_item("tier", rule.tier.as_str())?;
    row.set_item("severity", rule.severity.as_str())?;
    row.set_item("threat", &rule.threat)?;
    row.set_item("score", widen(rule.score))?;
    row.set_item("source", &rule.source)?;
    row.set_item("builtin", rule.builtin)?;
    row.set_item("references", &rule.references)?;
    row.set_item("examples", &rule.examples)?;
    row.set_item("negatives", &rule.negatives)?;
    row.set_item("known_misses", &rule.known_misses)?;
    row.set_item("literal_reason", &rule.literal_reason)?;
    // The words that name the provider; empty for a rule that is no member of a family.
    let provider = pattern.providers.iter().find(|p| set.rules()[p.rule].id == rule.id);
    row.set_item("words", provider.map(|p| p.words.clone()).unwrap_or_default())?;
    row.set_item("pattern", pattern.text())?;
    row.set_item("group", pattern.group())?;
    row.set_item("format", &rule.format)?;
    let checks: Vec<&str> = pattern.checks.iter().map(|check| check.name()).collect();
    row.set_item("checks", checks)?;
    row.set_item("min_entropy", pattern.min_entropy.map(widen))?;
    let context = pattern.context.as_ref().map(|context| {
        let row = PyDict::new(py);
        row.set_item("words", &context.words)?;
        row.set_item("window", context.window)?;
        row.set_item("required", context.required)?;
        PyResult::Ok(row)
    });
    row.set_item("context", context.transpose()?)?;
    let parts = pattern.parts().map_err(errors::config)?;
    let widths = (parts.before_width, parts.group_width, parts.after_width);
    row.set_item("widths", widths)?;
    Ok(row)
}

/// Static lint, then every example, counter-example and mutant in every engine and mode.
#[pyfunction]
#[pyo3(signature = (sets, files = Vec::new()), text_signature = "(sets, files=())")]
pub(crate) fn check_rules(
    py: Python<'_>,
    sets: Vec<String>,
    files: Vec<PathBuf>,
) -> PyResult<Vec<(String, String, String)>> {
    let set = Arc::new(select(&sets, &files)?);
    let work = move || {
        let mut problems = lint::lint(&set);
        problems.extend(verify::verify(&set)?);
        Ok(problems)
    };
    let problems = door::watch_one(py, work)?.map_err(|e| errors::scan(&e))?;
    Ok(problems.into_iter().map(|p| (p.file, p.rule, p.reason)).collect())
}

fn find<'a>(set: &'a RuleSet, rule_id: &str) -> PyResult<&'a Row> {
    let at = set.find(rule_id);
    at.map(|at| &set.rules()[at])
        .ok_or_else(|| errors::config(format!("there is no rule `{rule_id}` in the selection")))
}

/// Fake secrets of a rule's format; the same for the same seed.
#[pyfunction]
#[pyo3(signature = (rule_id, seed, n, sets, files = Vec::new()), text_signature = "(rule_id, seed, n, sets, files=())")]
pub(crate) fn generate(
    rule_id: &str,
    seed: u64,
    n: usize,
    sets: Vec<String>,
    files: Vec<PathBuf>,
) -> PyResult<Vec<String>> {
    let set = select(&sets, &files)?;
    let rule = find(&set, rule_id)?;
    let Some(format) = &rule.format else {
        return Err(errors::config(format!("the rule `{rule_id}` has no `format`")));
    };
    let format = Format::parse(format).map_err(|e| errors::config(format!("`format`: {e}")))?;
    let mut rng = Rng::new(seed);
    Ok((0..n).map(|index| format.generate(&mut rng, index)).collect())
}

/// A text, and the span of the generated secret in it.
type Example = (String, Option<(usize, usize)>);

/// The rule's examples with generated secrets in them: text, and the secret's span in bytes.
#[pyfunction]
#[pyo3(signature = (rule_id, seed, sets, files = Vec::new()), text_signature = "(rule_id, seed, sets, files=())")]
pub(crate) fn examples(
    rule_id: &str,
    seed: u64,
    sets: Vec<String>,
    files: Vec<PathBuf>,
) -> PyResult<Vec<Example>> {
    let set = select(&sets, &files)?;
    let rule = find(&set, rule_id)?;
    let mut rng = Rng::new(seed);
    let fill = |(index, template): (usize, &String)| {
        let example = verify::fill(rule, template, &mut rng, index).map_err(errors::config)?;
        Ok((example.text, example.secret))
    };
    rule.examples.iter().enumerate().map(fill).collect()
}

/// Names of the rule sets, sorted.
#[pyfunction]
pub(crate) fn rule_sets() -> Vec<&'static str> {
    sift_rules::SETS.iter().map(|(name, _)| *name).collect()
}

/// Ids that are no longer rules: id, first version of the rules without it, reason.
#[pyfunction]
pub(crate) fn withdrawn_rules() -> Vec<(&'static str, &'static str, &'static str)> {
    sift_rules::WITHDRAWN.iter().map(|entry| (entry.id, entry.since, entry.reason)).collect()
}

/// What this build is.
#[pyfunction]
pub(crate) fn build_info<'py>(py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
    let info = PyDict::new(py);
    let engine = if sift_hs::verify().is_ok() { "hyperscan" } else { "automata" };
    let rules = select(&["default".to_owned()], &[])?;
    info.set_item("version", env!("CARGO_PKG_VERSION"))?;
    // The name of the cargo profile says little: what counts is whether the code is optimised.
    let checked = cfg!(debug_assertions);
    info.set_item("profile", if checked { "debug" } else { env!("SIFT_PROFILE") })?;
    info.set_item("engine", engine)?;
    info.set_item("engine_version", sift_scan::engine_version())?;
    let level = sift_hs::host_cpu().map_or("baseline".to_owned(), |cpu| cpu.to_string());
    info.set_item("cpu_level", level)?;
    info.set_item("rules_version", sift_rules::RULES_VERSION)?;
    info.set_item("rule_hash", rules.hash())?;
    info.set_item("target", env!("SIFT_TARGET"))?;
    Ok(info)
}
