//! `Scanner`: one native object for all ways of reading a text. The Python class of the same name adds
//! what needs a coroutine.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyByteArray, PyBytes, PyString};
use sift_rules::{RuleSet, View};
use sift_scan::{EngineKind, Limits, Options, Outcome, Scan, ScanError, EDIT_SCORE};
use sift_text::decode::{Encoding, Encodings};

use crate::batch::{self, Batch};
use crate::findings::{chain, to_unit, widen, Explanation, Findings, Table};
use crate::redact::{self, Document, Plans, Redaction};
use crate::rules::Rules;
use crate::stream::Stream;
use crate::text::{strings, Text, Unit};
use crate::{door, errors};

// Signatures name it, and Python shows of a default no more than a literal.
const _: () = assert!(EDIT_SCORE.to_bits() == 0.5_f32.to_bits());

/// Rules compiled once, shared by threads.
#[pyclass(frozen, subclass, weakref, module = "sift_fast._core")]
pub(crate) struct Scanner {
    core: Arc<sift_scan::Scanner>,
    table: Arc<Table>,
    /// What a clean text gets: the same object every time.
    empty: Empties,
    plans: Plans,
}

/// The two empty results.
pub(crate) struct Empties {
    text: Py<Findings>,
    binary: Py<Findings>,
}

impl Empties {
    pub(crate) fn new(py: Python<'_>, table: &Arc<Table>) -> PyResult<Self> {
        let empty = |unit| Py::new(py, Findings::empty(Arc::clone(table), unit));
        Ok(Self { text: empty(Unit::CodePoint)?, binary: empty(Unit::Byte)? })
    }

    pub(crate) fn of(&self, py: Python<'_>, unit: Unit) -> Py<Findings> {
        match unit {
            Unit::CodePoint => self.text.clone_ref(py),
            Unit::Byte => self.binary.clone_ref(py),
        }
    }

    pub(crate) fn clone_ref(&self, py: Python<'_>) -> Self {
        Self { text: self.text.clone_ref(py), binary: self.binary.clone_ref(py) }
    }
}

impl Scanner {
    pub(crate) fn core(&self) -> &Arc<sift_scan::Scanner> {
        &self.core
    }

    pub(crate) fn table(&self) -> &Arc<Table> {
        &self.table
    }

    pub(crate) fn empty(&self) -> &Empties {
        &self.empty
    }

    pub(crate) fn plans(&self) -> &Plans {
        &self.plans
    }

    fn wrap(&self, py: Python<'_>, unit: Unit, text: &[u8], scan: Scan) -> PyResult<Py<Findings>> {
        if scan.findings.is_empty() && scan.incomplete.is_empty() {
            return Ok(self.empty.of(py, unit));
        }
        let Scan { mut findings, incomplete, .. } = scan;
        to_unit(unit, text, &mut findings);
        Py::new(py, Findings::new(Arc::clone(&self.table), findings, incomplete, unit))
    }

    #[cold]
    fn scan_long(&self, py: Python<'_>, text: Text<'_, '_>) -> PyResult<Py<Findings>> {
        let (core, unit, text) = (Arc::clone(&self.core), text.unit, text.hold());
        let text = Arc::new(text);
        let (scan, text) = {
            let shared = Arc::clone(&text);
            (door::watch_one(py, move || core.scan(shared.bytes()))?, text)
        };
        self.wrap(py, unit, text.bytes(), scan.map_err(|e| errors::scan(&e))?)
    }
}

#[pymethods]
impl Scanner {
    #[new]
    #[pyo3(
        signature = (rules=None, *, rule_files=None, entities=None, exclude=None, min_score=0.0,
                     decode=None, allow_list=None, limits=None, engine=None),
        text_signature = "(rules='default', *, rule_files=(), entities=None, exclude=(), min_score=0.0, \
                          decode=True, allow_list=(), limits=None, engine=None)"
    )]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments, as designed")]
    fn new(
        py: Python<'_>,
        rules: Option<&Bound<'_, PyAny>>,
        rule_files: Option<&Bound<'_, PyAny>>,
        entities: Option<&Bound<'_, PyAny>>,
        exclude: Option<&Bound<'_, PyAny>>,
        min_score: f32,
        decode: Option<&Bound<'_, PyAny>>,
        allow_list: Option<&Bound<'_, PyAny>>,
        limits: Option<&Bound<'_, PyAny>>,
        engine: Option<&str>,
    ) -> PyResult<Self> {
        let engine = match engine {
            None => None,
            Some("hyperscan") => Some(EngineKind::Hyperscan),
            Some("automata") => Some(EngineKind::Automata),
            Some(_) => {
                return Err(errors::config("`engine` is \"hyperscan\", \"automata\" or None"))
            }
        };
        let sets = match rules {
            None => vec!["default".to_owned()],
            Some(names) => strings(names, "rules")?,
        };
        let files = rule_files.map(paths).transpose()?.unwrap_or_default();
        if sets.is_empty() && files.is_empty() {
            return Err(errors::config(
                "there is nothing to look for: name a rule set or a rule file",
            ));
        }
        let options = Options {
            entities: entities.map(|e| strings(e, "entities")).transpose()?,
            exclude: exclude.map(|e| strings(e, "exclude")).transpose()?.unwrap_or_default(),
            min_score,
            allow_list: allow_list.map(values).transpose()?.unwrap_or_default(),
            limits: limits.map(read_limits).transpose()?.unwrap_or_default(),
            engine,
            decode: decode.map(encodings).transpose()?.unwrap_or(Encodings::USUAL),
        };
        // Rules of a user are compiled here, which can take seconds.
        let core = py.detach(|| {
            let sets: Vec<&str> = sets.iter().map(String::as_str).collect();
            let files: Vec<_> = files.iter().map(PathBuf::as_path).collect();
            let rules = RuleSet::select(&sets, &files)?;
            sift_scan::Scanner::new(Arc::new(rules), options)
        });
        let core = Arc::new(core.map_err(|e| errors::scan(&e))?);
        let table = Arc::new(Table::new(py, core.rules()));
        let empty = Empties::new(py, &table)?;
        let plans = Plans::new(core.rules());
        Ok(Self { core, table, empty, plans })
    }

    fn scan(&self, py: Python<'_>, text: &Bound<'_, PyAny>) -> PyResult<Py<Findings>> {
        let text = Text::take(text, "scan")?;
        let bytes = text.bytes();
        if bytes.len() > door::WATCH {
            return self.scan_long(py, text);
        }
        let scan = door::step(py, bytes.len(), || self.core.scan(bytes));
        self.wrap(py, text.unit, bytes, scan.map_err(|e| errors::scan(&e))?)
    }

    fn explain(&self, py: Python<'_>, text: &Bound<'_, PyAny>) -> PyResult<Vec<Explanation>> {
        let text = Text::take(text, "explain")?;
        let (unit, text) = (text.unit, Arc::new(text.hold()));
        let lines = {
            let (core, text) = (Arc::clone(&self.core), Arc::clone(&text));
            if text.bytes().len() > door::WATCH {
                door::watch_one(py, move || core.explain(text.bytes()))?
            } else {
                door::step(py, text.bytes().len(), || core.explain(text.bytes()))
            }
        };
        let lines = lines.map_err(|e: ScanError| errors::scan(&e))?;
        let mut spans: Vec<sift_scan::Finding> = lines
            .iter()
            .map(|l| sift_scan::Finding {
                rule: l.rule,
                start: l.start,
                end: l.end,
                score: l.score,
                decoded: l.decoded,
            })
            .collect();
        to_unit(unit, text.bytes(), &mut spans);
        let line = |(line, span): (sift_scan::Explained, sift_scan::Finding)| {
            let (outcome, reason) = match line.outcome {
                Outcome::Found => ("found", None),
                Outcome::Dropped(reason) => ("dropped", Some(reason)),
                Outcome::Overlapped => ("overlapped", None),
            };
            Ok(Explanation {
                rule_id: self.table.id(py, line.rule)?,
                start: span.start,
                end: span.end,
                view: match line.view {
                    View::Identity => "identity",
                    View::Folded => "folded",
                },
                decoded: chain(py, line.decoded).unbind(),
                outcome,
                reason,
                score: widen(line.score),
            })
        };
        lines.into_iter().zip(spans).map(line).collect()
    }

    #[pyo3(signature = (text, operators=None, vault=None, *, min_score=0.5))]
    fn redact(
        &self,
        py: Python<'_>,
        text: &Bound<'_, PyAny>,
        operators: Option<&Bound<'_, PyAny>>,
        vault: Option<&Bound<'_, PyAny>>,
        min_score: f32,
    ) -> PyResult<Redaction> {
        redact::redact(py, self, text, operators, vault, min_score)
    }

    /// For `redact_json`.
    #[pyo3(name = "_document", signature = (operators=None, vault=None, min_score=0.5))]
    fn document(
        &self,
        operators: Option<&Bound<'_, PyAny>>,
        vault: Option<&Bound<'_, PyAny>>,
        min_score: f32,
    ) -> PyResult<Document> {
        Document::new(self, operators, vault, min_score)
    }

    /// For `redact_json`: a text as it stands between two others. None if it stays as it is.
    #[pyo3(name = "_redact_between")]
    fn redact_between(
        &self,
        py: Python<'_>,
        document: &Document,
        text: &Bound<'_, PyAny>,
        before: &str,
        after: &str,
    ) -> PyResult<Option<Redaction>> {
        redact::redact_between(py, self, document, text, before, after)
    }

    /// For `redact_json` with a vault, whose values are numbered together: as `_redact_between`, up to the numbers.
    #[pyo3(name = "_look_between")]
    fn look_between(
        &self,
        py: Python<'_>,
        document: &Document,
        text: &Bound<'_, PyAny>,
        before: &str,
        after: &str,
    ) -> PyResult<bool> {
        redact::look_between(py, self, document, text, before, after)
    }

    /// For `redact_json`: what becomes of the next text that was looked at.
    #[pyo3(name = "_next")]
    fn next_of(
        &self,
        py: Python<'_>,
        document: &Document,
        text: &Bound<'_, PyAny>,
    ) -> PyResult<Option<Redaction>> {
        redact::next_of(py, self, document, text)
    }

    #[pyo3(signature = (operators=None, vault=None, *, min_score=0.5))]
    fn stream(
        &self,
        py: Python<'_>,
        operators: Option<&Bound<'_, PyAny>>,
        vault: Option<&Bound<'_, PyAny>>,
        min_score: f32,
    ) -> PyResult<Stream> {
        Stream::new(py, self, operators, vault, min_score)
    }

    #[pyo3(signature = (texts, threads=None))]
    fn scan_batch(
        &self,
        py: Python<'_>,
        texts: &Bound<'_, PyAny>,
        threads: Option<isize>,
    ) -> PyResult<Batch> {
        batch::scan(py, self, texts, threads)
    }

    #[getter]
    fn rules(&self) -> Rules {
        Rules::new(Arc::clone(self.core.rules()))
    }

    /// Content hash of the rules.
    #[getter]
    fn hash(&self) -> &str {
        self.core.rules().hash()
    }

    #[getter]
    fn engine(&self) -> &'static str {
        self.core.engine().as_str()
    }

    /// The longest end of a text, in bytes, that a stream of this scanner can hold back; values that an
    /// operator asked to see, and key blocks, come on top.
    #[getter]
    fn longest_hold(&self) -> PyResult<usize> {
        self.core.longest_hold().map_err(|e| errors::scan(&e))
    }

    /// Size of the engine's databases in bytes.
    #[getter]
    fn database_bytes(&self) -> usize {
        self.core.database_bytes()
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let core = &slf.get().core;
        let (rules, hash) = (core.rules().rules().len(), core.rules().hash());
        let short = hash.get(..12).unwrap_or(hash);
        Ok(format!(
            "{}({rules} rules, hash='{short}', engine='{}')",
            slf.get_type().name()?,
            core.engine().as_str()
        ))
    }
}

/// One path or an iterable of them.
fn paths(object: &Bound<'_, PyAny>) -> PyResult<Vec<PathBuf>> {
    if let Ok(path) = object.extract::<PathBuf>() {
        return Ok(vec![path]);
    }
    object.try_iter()?.map(|item| item?.extract::<PathBuf>()).collect()
}

/// Values of the allow list, `str` or `bytes`. None of them is ever shown.
fn values(object: &Bound<'_, PyAny>) -> PyResult<Vec<Vec<u8>>> {
    if object.is_instance_of::<PyString>() || object.is_instance_of::<PyBytes>() {
        return Err(errors::config("`allow_list` takes a list of values, not a single one"));
    }
    let value = |item: &Bound<'_, PyAny>| {
        if item.is_instance_of::<PyByteArray>() {
            return Err(PyTypeError::new_err("`allow_list` takes str and bytes, not `bytearray`"));
        }
        Ok(Text::take(item, "`allow_list`")?.bytes().to_vec())
    };
    object.try_iter()?.map(|item| value(&item?)).collect()
}

/// Which encodings are undone: the usual ones, none, or those that are named.
fn encodings(wanted: &Bound<'_, PyAny>) -> PyResult<Encodings> {
    if let Ok(all) = wanted.cast::<PyBool>() {
        return Ok(if all.is_true() { Encodings::USUAL } else { Encodings::default() });
    }
    strings(wanted, "decode")?.iter().try_fold(Encodings::default(), |set, name| {
        let encoding = Encoding::named(name).ok_or_else(|| {
            let known = Encoding::ALL.map(Encoding::as_str).join(", ");
            errors::config(format!("`decode` names `{name}`, which is none of {known}"))
        })?;
        Ok(set.with(encoding))
    })
}

fn read_limits(object: &Bound<'_, PyAny>) -> PyResult<Limits> {
    let py = object.py();
    let read = |name: &Bound<'_, PyString>| -> PyResult<Option<u64>> {
        let wrong = || errors::config(format!("`{name}` of the limits must be a positive integer"));
        let value = object
            .getattr(name)
            .map_err(|_| errors::config("`limits` must be a `Limits` or None"))?;
        // `True` is an integer to Python and a mistake here.
        if value.is_instance_of::<PyBool>() {
            return Err(wrong());
        }
        let value: Option<u64> = value.extract().map_err(|_| wrong())?;
        if value == Some(0) || (value.is_none() && name != "time_ms") {
            return Err(wrong());
        }
        Ok(value)
    };
    let size = |value: Option<u64>, default: usize| {
        value.map_or(default, |v| usize::try_from(v).unwrap_or(usize::MAX))
    };
    let default = Limits::default();
    Ok(Limits {
        findings: size(read(intern!(py, "findings"))?, default.findings),
        finding_bytes: size(read(intern!(py, "finding_bytes"))?, default.finding_bytes),
        text_bytes: size(read(intern!(py, "text_bytes"))?, default.text_bytes),
        time: read(intern!(py, "time_ms"))?.map(Duration::from_millis),
    })
}
