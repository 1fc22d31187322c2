//! What was found, as Python sees it: `Findings` keeps rows of numbers, `Finding` objects are made when
//! somebody looks. None of them holds text.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

use pyo3::exceptions::{PyIndexError, PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PySlice, PyString, PyTuple};
use sift_rules::RuleSet;
use sift_scan::{Finding as Found, Incomplete};
use sift_text::decode::{Chain, Encoding};
use sift_text::CharIndex;

use crate::errors;
use crate::text::Unit;

/// The names of rules as Python strings, made once for a scanner and shared by all its findings.
pub(crate) struct Table {
    rows: Vec<Row>,
}

struct Row {
    id: Py<PyString>,
    category: Py<PyString>,
    entity: Py<PyString>,
    severity: Py<PyString>,
}

impl Row {
    fn new(py: Python<'_>, id: &str, category: &str, entity: &str, severity: &str) -> Self {
        let string = |text| PyString::intern(py, text).unbind();
        Self {
            id: string(id),
            category: string(category),
            entity: string(entity),
            severity: string(severity),
        }
    }
}

impl Table {
    pub(crate) fn new(py: Python<'_>, rules: &RuleSet) -> Self {
        let rows = rules.rules().iter().map(|rule| {
            let (category, severity) = (rule.category.as_str(), rule.severity.as_str());
            Row::new(py, &rule.id, category, &rule.entity, severity)
        });
        Self { rows: rows.collect() }
    }

    fn row(&self, rule: u32) -> PyResult<&Row> {
        self.rows.get(rule as usize).ok_or_else(|| PyValueError::new_err("no such rule"))
    }

    pub(crate) fn entity(&self, py: Python<'_>, rule: u32) -> PyResult<Py<PyString>> {
        Ok(self.row(rule)?.entity.clone_ref(py))
    }

    pub(crate) fn id(&self, py: Python<'_>, rule: u32) -> PyResult<Py<PyString>> {
        Ok(self.row(rule)?.id.clone_ref(py))
    }
}

/// Turns byte offsets of `text` into those of the unit.
pub(crate) fn to_unit(unit: Unit, text: &[u8], found: &mut [Found]) {
    // Most texts are ASCII up to the last finding, where both units are the same.
    let reach = found.iter().map(|f| f.end).max().unwrap_or(0).min(text.len());
    if unit == Unit::Byte || text.get(..reach).is_none_or(<[u8]>::is_ascii) {
        return;
    }
    let mut chars = CharIndex::with_ascii(text, false);
    for finding in found {
        (finding.start, finding.end) = chars.span(finding.start, finding.end);
    }
}

pub(crate) fn names(incomplete: Incomplete) -> Vec<&'static str> {
    incomplete.names().collect()
}

fn incomplete_of(wanted: &[String]) -> Incomplete {
    let mut set = Incomplete::default();
    for bit in Incomplete::ALL {
        if bit.names().all(|name| wanted.iter().any(|w| w == name)) {
            set.insert(bit);
        }
    }
    set
}

/// One confirmed span.
#[pyclass(frozen, module = "sift_fast._core")]
pub(crate) struct Finding {
    table: Arc<Table>,
    found: Found,
}

impl Finding {
    fn key<'py>(&self, py: Python<'py>) -> PyResult<[&Bound<'py, PyString>; 4]> {
        let row = self.table.row(self.found.rule)?;
        Ok([row.id.bind(py), row.category.bind(py), row.entity.bind(py), row.severity.bind(py)])
    }
}

#[pymethods]
impl Finding {
    #[getter]
    fn rule_id(&self, py: Python<'_>) -> PyResult<Py<PyString>> {
        self.table.id(py, self.found.rule)
    }

    #[getter]
    fn category(&self, py: Python<'_>) -> PyResult<Py<PyString>> {
        Ok(self.table.row(self.found.rule)?.category.clone_ref(py))
    }

    #[getter]
    fn entity_type(&self, py: Python<'_>) -> PyResult<Py<PyString>> {
        self.table.entity(py, self.found.rule)
    }

    #[getter]
    fn severity(&self, py: Python<'_>) -> PyResult<Py<PyString>> {
        Ok(self.table.row(self.found.rule)?.severity.clone_ref(py))
    }

    #[getter]
    fn start(&self) -> usize {
        self.found.start
    }

    #[getter]
    fn end(&self) -> usize {
        self.found.end
    }

    #[getter]
    fn score(&self) -> f64 {
        widen(self.found.score)
    }

    #[getter]
    fn decoded<'py>(&self, py: Python<'py>) -> Bound<'py, PyTuple> {
        chain(py, self.found.decoded)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let [id, _, entity, severity] = self.key(py)?;
        let decoded = match self.found.decoded {
            none if none.is_empty() => String::new(),
            some => format!(", decoded={}", chain(py, some)),
        };
        Ok(format!(
            "Finding(rule_id='{id}', entity_type='{entity}', start={}, end={}, score={:?}, severity='{severity}'{decoded})",
            self.found.start,
            self.found.end,
            self.score(),
        ))
    }

    fn __eq__<'py>(&self, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = other.py();
        let Ok(other) = other.cast::<Self>() else {
            return Ok(py.NotImplemented().into_bound(py));
        };
        let other = other.get();
        let (a, b) = (&self.found, &other.found);
        let spans = (a.start, a.end, a.score.to_bits()) == (b.start, b.end, b.score.to_bits());
        let equal = spans
            && a.decoded == b.decoded
            && if Arc::ptr_eq(&self.table, &other.table) {
                a.rule == b.rule
            } else {
                let mut same = true;
                for (one, two) in self.key(py)?.into_iter().zip(other.key(py)?) {
                    same &= one.as_any().eq(two)?;
                }
                same
            };
        Ok(equal.into_pyobject(py)?.to_owned().into_any())
    }

    fn __hash__(&self, py: Python<'_>) -> PyResult<u64> {
        let mut hash = DefaultHasher::new();
        let Found { start, end, score, decoded, .. } = self.found;
        (
            self.table.row(self.found.rule)?.id.bind(py).hash()?,
            start,
            end,
            score.to_bits(),
            decoded,
        )
            .hash(&mut hash);
        Ok(hash.finish())
    }

    #[expect(clippy::type_complexity, reason = "the shape that pickle wants")]
    fn __reduce__<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Bound<'py, PyAny>, (RowParts<'py>, usize, usize, f32, Vec<&'static str>))> {
        let restore = py.import("sift_fast._core")?.getattr("_restore_finding")?;
        let [id, category, entity, severity] = self.key(py)?.map(Clone::clone);
        let Found { start, end, score, decoded, .. } = self.found;
        let decoded = decoded.iter().map(Encoding::as_str).collect();
        Ok((restore, ((id, category, entity, severity), start, end, score, decoded)))
    }
}

/// Scores are kept in 32 bits; shown as the shortest decimal that means them, so that 0.9 is 0.9.
pub(crate) fn widen(score: f32) -> f64 {
    score.to_string().parse().unwrap_or_else(|_| f64::from(score))
}

type RowParts<'py> =
    (Bound<'py, PyString>, Bound<'py, PyString>, Bound<'py, PyString>, Bound<'py, PyString>);

/// For pickle.
#[pyfunction(name = "_restore_finding")]
pub(crate) fn restore_finding(
    py: Python<'_>,
    row: (String, String, String, String),
    start: usize,
    end: usize,
    score: f32,
    decoded: Vec<String>,
) -> PyResult<Finding> {
    let row = Row::new(py, &row.0, &row.1, &row.2, &row.3);
    let table = Arc::new(Table { rows: vec![row] });
    let decoded = chain_of(&decoded)?;
    Ok(Finding { table, found: Found { rule: 0, start, end, score, decoded } })
}

/// The names of encodings as a tuple.
pub(crate) fn chain(py: Python<'_>, chain: Chain) -> Bound<'_, PyTuple> {
    let names: Vec<_> = chain.iter().map(|it| PyString::intern(py, it.as_str())).collect();
    PyTuple::new(py, names).unwrap_or_else(|_| PyTuple::empty(py))
}

fn chain_of(names: &[String]) -> PyResult<Chain> {
    names.iter().try_fold(Chain::default(), |chain, name| {
        let encoding = Encoding::named(name);
        encoding.map(|it| chain.with(it)).ok_or_else(|| PyValueError::new_err("no such encoding"))
    })
}

/// The findings of one text, in text order.
#[pyclass(frozen, sequence, weakref, module = "sift_fast._core")]
pub(crate) struct Findings {
    table: Arc<Table>,
    list: Vec<Found>,
    incomplete: Incomplete,
    unit: Unit,
}

impl Findings {
    pub(crate) fn new(
        table: Arc<Table>,
        list: Vec<Found>,
        incomplete: Incomplete,
        unit: Unit,
    ) -> Self {
        Self { table, list, incomplete, unit }
    }

    pub(crate) fn empty(table: Arc<Table>, unit: Unit) -> Self {
        Self::new(table, Vec::new(), Incomplete::default(), unit)
    }

    fn item(&self, found: Found) -> Finding {
        Finding { table: Arc::clone(&self.table), found }
    }
}

#[pymethods]
impl Findings {
    #[getter]
    fn incomplete<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, names(self.incomplete))
    }

    #[getter]
    fn unit(&self) -> &'static str {
        self.unit.as_str()
    }

    fn columns<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let docs = vec![0_i64; self.list.len()];
        columns(py, &docs, &self.list)
    }

    fn __len__(&self) -> usize {
        self.list.len()
    }

    fn __getitem__<'py>(&self, index: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = index.py();
        if let Ok(slice) = index.cast::<PySlice>() {
            let range = slice.indices(self.list.len() as isize)?;
            let list = (0..range.slicelength)
                .filter_map(|i| self.list.get((range.start + i as isize * range.step) as usize))
                .copied()
                .collect();
            let part = Self::new(Arc::clone(&self.table), list, self.incomplete, self.unit);
            return Ok(Bound::new(py, part)?.into_any());
        }
        let found = self.list[place(index, self.list.len(), "findings")?];
        Ok(Bound::new(py, self.item(found))?.into_any())
    }

    fn __iter__(slf: PyRef<'_, Self>) -> FindingsIterator {
        FindingsIterator { findings: slf.into(), next: AtomicUsize::new(0) }
    }

    fn __contains__(&self, item: &Bound<'_, PyAny>) -> PyResult<bool> {
        Ok(self.position(item, 0)?.is_some())
    }

    /// First position of an equal finding.
    fn index(&self, value: &Bound<'_, PyAny>) -> PyResult<usize> {
        self.position(value, 0)?.ok_or_else(|| PyValueError::new_err("there is no such finding"))
    }

    /// How many equal findings there are.
    fn count(&self, value: &Bound<'_, PyAny>) -> PyResult<usize> {
        let (mut count, mut from) = (0, 0);
        while let Some(at) = self.position(value, from)? {
            (count, from) = (count + 1, at + 1);
        }
        Ok(count)
    }

    fn __repr__(&self) -> String {
        let mut text = format!("Findings({} found", self.list.len());
        if !self.incomplete.is_empty() {
            text += &format!(", incomplete={:?}", names(self.incomplete));
        }
        text + ")"
    }

    fn __eq__<'py>(&self, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = other.py();
        let Ok(other) = other.cast::<Self>() else {
            return Ok(py.NotImplemented().into_bound(py));
        };
        let other = other.get();
        let mut equal = self.list.len() == other.list.len()
            && self.incomplete == other.incomplete
            && self.unit == other.unit;
        if equal && Arc::ptr_eq(&self.table, &other.table) {
            equal = self.list == other.list;
        } else if equal {
            for (a, b) in self.list.iter().zip(&other.list) {
                let b = Bound::new(py, other.item(*b))?.into_any();
                if !self.item(*a).__eq__(&b)?.is_truthy()? {
                    equal = false;
                    break;
                }
            }
        }
        Ok(equal.into_pyobject(py)?.to_owned().into_any())
    }

    fn __hash__(&self, py: Python<'_>) -> PyResult<u64> {
        let mut hash = DefaultHasher::new();
        self.unit.hash(&mut hash);
        for found in &self.list {
            self.item(*found).__hash__(py)?.hash(&mut hash);
        }
        Ok(hash.finish())
    }

    #[expect(clippy::type_complexity, reason = "the shape that pickle wants")]
    fn __reduce__<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(
        Bound<'py, PyAny>,
        (Vec<(u32, RowParts<'py>)>, Vec<FoundParts<&'static str>>, Vec<&'static str>, &'static str),
    )> {
        let restore = py.import("sift_fast._core")?.getattr("_restore_findings")?;
        let mut used: Vec<u32> = self.list.iter().map(|f| f.rule).collect();
        used.sort_unstable();
        used.dedup();
        let rows = used
            .into_iter()
            .map(|rule| {
                let row = self.table.row(rule)?;
                let [id, category, entity, severity] =
                    [&row.id, &row.category, &row.entity, &row.severity]
                        .map(|s| s.bind(py).clone());
                Ok((rule, (id, category, entity, severity)))
            })
            .collect::<PyResult<_>>()?;
        let parts = |f: &Found| {
            let decoded = f.decoded.iter().map(Encoding::as_str).collect();
            (f.rule, f.start, f.end, f.score, decoded)
        };
        let list = self.list.iter().map(parts).collect();
        Ok((restore, (rows, list, names(self.incomplete), self.unit.as_str())))
    }
}

impl Findings {
    fn position(&self, value: &Bound<'_, PyAny>, from: usize) -> PyResult<Option<usize>> {
        for (at, found) in self.list.iter().enumerate().skip(from) {
            if self.item(*found).__eq__(value)?.is(pyo3::types::PyBool::new(value.py(), true)) {
                return Ok(Some(at));
            }
        }
        Ok(None)
    }
}

/// A finding of a pickle.
type FoundParts<T> = (u32, usize, usize, f32, Vec<T>);

/// More rules than any rule set has: an upper bound on what a pickle may ask for.
const MAX_RULES: u32 = 1 << 20;

/// For pickle.
#[pyfunction(name = "_restore_findings")]
pub(crate) fn restore_findings(
    py: Python<'_>,
    rows: Vec<(u32, (String, String, String, String))>,
    found: Vec<FoundParts<String>>,
    incomplete: Vec<String>,
    unit: &str,
) -> PyResult<Findings> {
    let mut table = Table { rows: Vec::new() };
    for (rule, (id, category, entity, severity)) in rows {
        if rule >= MAX_RULES {
            return Err(PyValueError::new_err("no such rule"));
        }
        while table.rows.len() <= rule as usize {
            table.rows.push(Row::new(py, "", "", "", ""));
        }
        table.rows[rule as usize] = Row::new(py, &id, &category, &entity, &severity);
    }
    let list = found
        .into_iter()
        .map(|(rule, start, end, score, decoded)| {
            Ok(Found { rule, start, end, score, decoded: chain_of(&decoded)? })
        })
        .collect::<PyResult<_>>()?;
    let unit = match unit {
        "codepoint" => Unit::CodePoint,
        "byte" => Unit::Byte,
        _ => return Err(PyValueError::new_err("the unit is `codepoint` or `byte`")),
    };
    Ok(Findings::new(Arc::new(table), list, incomplete_of(&incomplete), unit))
}

/// The place that an index of a sequence means; negative ones count from the end.
pub(crate) fn place(index: &Bound<'_, PyAny>, length: usize, what: &str) -> PyResult<usize> {
    let wrong = || {
        let name = index.get_type().name().map(|n| n.to_string()).unwrap_or_default();
        PyTypeError::new_err(format!("{what} are indexed by integers, not `{name}`"))
    };
    let outside =
        || PyIndexError::new_err(format!("index out of range: there are {length} {what}"));
    let index: isize = match index.extract() {
        Ok(index) => index,
        Err(error) if error.is_instance_of::<pyo3::exceptions::PyOverflowError>(index.py()) => {
            return Err(outside())
        }
        Err(_) => return Err(wrong()),
    };
    let at = if index < 0 { index.checked_add_unsigned(length) } else { Some(index) };
    at.and_then(|at| usize::try_from(at).ok()).filter(|at| *at < length).ok_or_else(outside)
}

#[pyclass(frozen, module = "sift_fast._core")]
pub(crate) struct FindingsIterator {
    findings: Py<Findings>,
    next: AtomicUsize,
}

#[pymethods]
impl FindingsIterator {
    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__(&self) -> Option<Finding> {
        let findings = self.findings.get();
        let found = findings.list.get(self.next.fetch_add(1, Ordering::Relaxed))?;
        Some(findings.item(*found))
    }
}

/// Findings as numpy arrays: 24 bytes each.
pub(crate) fn columns<'py>(
    py: Python<'py>,
    docs: &[i64],
    list: &[Found],
) -> PyResult<Bound<'py, PyDict>> {
    let numpy = py
        .import("numpy")
        .map_err(|_| errors::config("columns need numpy: type `pip install numpy`"))?;
    let from_buffer = numpy.getattr(intern!(py, "frombuffer"))?;
    let table = PyDict::new(py);
    for (name, dtype, bytes) in raw_columns(docs, list)? {
        table.set_item(name, from_buffer.call1((PyBytes::new(py, &bytes), dtype))?)?;
    }
    Ok(table)
}

/// Name, type and native bytes of each column; the types are those of numpy and of Arrow alike.
pub(crate) fn raw_columns(
    docs: &[i64],
    list: &[Found],
) -> PyResult<[(&'static str, &'static str, Vec<u8>); 5]> {
    let narrow = |offset: usize| {
        u32::try_from(offset).map_err(|_| {
            errors::limit("an offset does not fit into 32 bits: read the findings one by one")
        })
    };
    let mut starts = Vec::with_capacity(list.len() * 4);
    let mut ends = Vec::with_capacity(list.len() * 4);
    for found in list {
        starts.extend_from_slice(&narrow(found.start)?.to_ne_bytes());
        ends.extend_from_slice(&narrow(found.end)?.to_ne_bytes());
    }
    Ok([
        ("doc", "int64", docs.iter().flat_map(|d| d.to_ne_bytes()).collect()),
        ("rule", "uint32", list.iter().flat_map(|f| f.rule.to_ne_bytes()).collect()),
        ("start", "uint32", starts),
        ("end", "uint32", ends),
        ("score", "float32", list.iter().flat_map(|f| f.score.to_ne_bytes()).collect()),
    ])
}

/// One line of `explain`.
#[pyclass(frozen, get_all, module = "sift_fast._core")]
pub(crate) struct Explanation {
    pub(crate) rule_id: Py<PyString>,
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) view: &'static str,
    pub(crate) decoded: Py<PyTuple>,
    pub(crate) outcome: &'static str,
    pub(crate) reason: Option<&'static str>,
    pub(crate) score: f64,
}

#[pymethods]
impl Explanation {
    fn __repr__(&self, py: Python<'_>) -> String {
        let reason = self.reason.map_or("None".to_owned(), |r| format!("'{r}'"));
        format!(
            "Explanation(rule_id='{}', start={}, end={}, view='{}', decoded={}, outcome='{}', reason={reason}, score={:?})",
            self.rule_id.bind(py), self.start, self.end, self.view, self.decoded.bind(py), self.outcome, self.score,
        )
    }
}
