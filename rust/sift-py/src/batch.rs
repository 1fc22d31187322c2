//! Many texts at once: documents are taken in once, threads claim runs of them, results come back in
//! document order.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Arc;
use std::thread;

use arrow_data::ArrayData;
use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{
    PyByteArray, PyBytes, PyDict, PyList, PyMapping, PyMemoryView, PyString, PyTuple,
};
use sift_scan::{Finding as Found, Incomplete, ScanError};

use crate::findings::{columns, names, place, raw_columns, to_unit, Findings, Table};
use crate::scanner::{Empties, Scanner};
use crate::text::{Held, Text, Unit};
use crate::{arrow, door, errors};

/// Batches up to this many bytes are scanned by the calling thread: threads would cost more.
const SMALL: usize = 64 << 10;

/// Most documents claimed at once. More would leave threads without work at the end.
const GRAIN: usize = 256;

/// More threads than anybody has cores.
const MAX_THREADS: usize = 1024;

/// Texts of a batch, where they are; none for null.
pub(crate) struct Documents {
    texts: Vec<Option<NonNull<[u8]>>>,
    bytes: usize,
    unit: Unit,
    /// What the texts are parts of.
    _held: Vec<Held>,
    _arrays: Vec<ArrayData>,
}

// SAFETY: the texts are only read, and live in `_held` and `_arrays`, which may both be sent.
unsafe impl Send for Documents {}
// SAFETY: as above; shared documents give out nothing but shared bytes.
unsafe impl Sync for Documents {}

impl Documents {
    pub(crate) fn new(unit: Unit) -> Self {
        Self { texts: Vec::new(), bytes: 0, unit, _held: Vec::new(), _arrays: Vec::new() }
    }

    /// Adds texts that are parts of `owner`, whose buffers are shared with this clone of it.
    pub(crate) fn extend(&mut self, texts: Vec<Option<&[u8]>>, owner: ArrayData) {
        self.bytes += texts.iter().flatten().map(|text| text.len()).sum::<usize>();
        self.texts.extend(texts.into_iter().map(|text| text.map(NonNull::from)));
        self._arrays.push(owner);
    }

    fn push(&mut self, text: Held) {
        self.bytes += text.bytes().len();
        // The bytes of a vector do not move when the vector does.
        self.texts.push(Some(NonNull::from(text.bytes())));
        self._held.push(text);
    }

    fn get(&self, at: usize) -> Option<&[u8]> {
        // SAFETY: the slice was taken from something that this struct holds and does not change.
        self.texts.get(at).copied().flatten().map(|text| unsafe { text.as_ref() })
    }

    /// Takes in an iterable of `str` or of `bytes`.
    fn from_iterable(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        let single = object.is_instance_of::<PyString>()
            || object.is_instance_of::<PyBytes>()
            || object.is_instance_of::<PyByteArray>()
            || object.is_instance_of::<PyMemoryView>();
        if single {
            return Err(PyTypeError::new_err(
                "scan_batch takes many texts: for a single one use `scan`",
            ));
        }
        if object.cast::<PyMapping>().is_ok() {
            return Err(PyTypeError::new_err(
                "scan_batch takes texts, and of a mapping it would scan the keys: give `.values()`",
            ));
        }
        let mut unit = None;
        let mut documents = Self::new(Unit::CodePoint);
        for (at, item) in object.try_iter()?.enumerate() {
            let item = item?;
            if item.is_none() {
                documents.texts.push(None);
                continue;
            }
            let text = Text::take(&item, "scan_batch")
                .map_err(|error| at_document(error, item.py(), at))?;
            if *unit.get_or_insert(text.unit) != text.unit {
                return Err(PyTypeError::new_err(format!(
                    "a batch holds either str or bytes, and document {at} is the other"
                )));
            }
            documents.push(text.hold());
        }
        documents.unit = unit.unwrap_or(Unit::CodePoint);
        Ok(documents)
    }
}

/// Names the document in a type error; other errors pass as they are.
fn at_document(error: PyErr, py: Python<'_>, at: usize) -> PyErr {
    if error.is_instance_of::<PyTypeError>(py) {
        PyTypeError::new_err(format!("document {at}: {}", error.value(py)))
    } else {
        error
    }
}

/// What one claim of documents gave.
struct Part {
    first: usize,
    counts: Vec<usize>,
    found: Vec<Found>,
    incomplete: Vec<(usize, Incomplete)>,
    error: Option<(usize, ScanError)>,
}

/// The work that threads share.
struct Job {
    documents: Arc<Documents>,
    core: Arc<sift_scan::Scanner>,
    next: AtomicUsize,
    failed: AtomicBool,
    grain: usize,
}

impl Job {
    /// Claims documents until there are none. A part that is claimed is finished, so that the error that
    /// is reported is the one of the first document that has one.
    fn work(&self, stop: &AtomicBool) -> Vec<Part> {
        let mut parts = Vec::new();
        let length = self.documents.texts.len();
        while !self.failed.load(Ordering::Relaxed) {
            let first = self.next.fetch_add(self.grain, Ordering::Relaxed);
            if first >= length {
                break;
            }
            let part = self.part(first, length.min(first + self.grain), stop);
            if part.error.is_some() {
                self.failed.store(true, Ordering::Relaxed);
            }
            parts.push(part);
        }
        parts
    }

    fn part(&self, first: usize, end: usize, stop: &AtomicBool) -> Part {
        let counts = Vec::with_capacity(end - first);
        let mut part =
            Part { first, counts, found: Vec::new(), incomplete: Vec::new(), error: None };
        for at in first..end {
            let Some(text) = self.documents.get(at) else {
                part.counts.push(0);
                continue;
            };
            if stop.load(Ordering::Relaxed) {
                break;
            }
            match self.core.scan(text) {
                Ok(mut scan) => {
                    to_unit(self.documents.unit, text, &mut scan.findings);
                    part.counts.push(scan.findings.len());
                    part.found.append(&mut scan.findings);
                    if !scan.incomplete.is_empty() {
                        part.incomplete.push((at, scan.incomplete));
                    }
                }
                Err(error) => {
                    part.error = Some((at, error));
                    break;
                }
            }
        }
        part
    }
}

/// Scans many texts.
pub(crate) fn scan(
    py: Python<'_>,
    scanner: &Scanner,
    texts: &Bound<'_, PyAny>,
    threads: Option<isize>,
) -> PyResult<Batch> {
    let threads = match threads {
        None => thread::available_parallelism().map_or(1, usize::from),
        Some(number) => usize::try_from(number)
            .ok()
            .filter(|number| (1..=MAX_THREADS).contains(number))
            .ok_or_else(|| {
                errors::config(format!(
                    "`threads` must be 1 to {MAX_THREADS}, or None for all cores"
                ))
            })?,
    };
    let documents = match arrow::documents(texts)? {
        Some(documents) => documents,
        None => Documents::from_iterable(texts)?,
    };
    let documents = Arc::new(documents);
    let (length, bytes, unit) = (documents.texts.len(), documents.bytes, documents.unit);
    let grain = (length / (threads * 8)).clamp(1, GRAIN);
    let job = Job {
        documents: Arc::clone(&documents),
        core: Arc::clone(scanner.core()),
        next: AtomicUsize::new(0),
        failed: AtomicBool::new(false),
        grain,
    };
    let mut parts = if bytes <= SMALL {
        door::step(py, bytes, || job.work(&AtomicBool::new(false)))
    } else {
        let workers = threads.min(length.div_ceil(grain));
        door::watch(py, workers, move |stop| job.work(stop))?.into_iter().flatten().collect()
    };
    parts.sort_unstable_by_key(|part| part.first);
    let mut batch = Batch {
        table: Arc::clone(scanner.table()),
        empty: scanner.empty().clone_ref(py),
        ends: Vec::with_capacity(length),
        found: Vec::with_capacity(parts.iter().map(|part| part.found.len()).sum()),
        incomplete: Vec::new(),
        unit,
        hash: scanner.core().rules().hash().to_owned(),
    };
    for mut part in parts {
        if let Some((at, error)) = part.error {
            return Err(named(at, &error));
        }
        for count in part.counts {
            batch.ends.push(batch.ends.last().map_or(0, |end| *end) + count);
        }
        batch.found.append(&mut part.found);
        batch.incomplete.append(&mut part.incomplete);
    }
    // A thread that panicked took its documents with it.
    if batch.ends.len() != length {
        return Err(door::broken());
    }
    Ok(batch)
}

/// The error of one document.
fn named(at: usize, error: &ScanError) -> PyErr {
    let message = format!("document {at}: {error}");
    match error {
        ScanError::TooLong { .. } | ScanError::Limit(_) => errors::limit(message),
        _ => errors::sift(message),
    }
}

/// The findings of many texts.
#[pyclass(frozen, sequence, weakref, module = "sift_fast._core")]
pub(crate) struct Batch {
    table: Arc<Table>,
    empty: Empties,
    /// For each document, where its findings end in `found`.
    ends: Vec<usize>,
    found: Vec<Found>,
    /// Documents where a limit was hit, in order.
    incomplete: Vec<(usize, Incomplete)>,
    unit: Unit,
    hash: String,
}

impl Batch {
    fn docs(&self) -> Vec<i64> {
        let mut docs = Vec::with_capacity(self.found.len());
        for (doc, end) in (0_i64..).zip(&self.ends) {
            docs.resize(*end, doc);
        }
        docs
    }
}

#[pymethods]
impl Batch {
    fn __len__(&self) -> usize {
        self.ends.len()
    }

    fn __getitem__(&self, py: Python<'_>, index: &Bound<'_, PyAny>) -> PyResult<Py<Findings>> {
        let at = place(index, self.ends.len(), "documents")?;
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        let found = self.found.get(start..self.ends[at]).unwrap_or_default();
        let hit = self.incomplete.binary_search_by_key(&at, |(doc, _)| *doc);
        let incomplete = hit.map_or(Incomplete::default(), |i| self.incomplete[i].1);
        if found.is_empty() && incomplete.is_empty() {
            return Ok(self.empty.of(py, self.unit));
        }
        Py::new(py, Findings::new(Arc::clone(&self.table), found.to_vec(), incomplete, self.unit))
    }

    #[getter]
    fn unit(&self) -> &'static str {
        self.unit.as_str()
    }

    /// Limits that were hit in any document.
    #[getter]
    fn incomplete<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let mut all = Incomplete::default();
        self.incomplete.iter().for_each(|(_, incomplete)| all.insert(*incomplete));
        PyTuple::new(py, names(all))
    }

    fn columns<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        columns(py, &self.docs(), &self.found)
    }

    fn to_arrow<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let arrow = py
            .import("pyarrow")
            .map_err(|_| errors::config("to_arrow needs pyarrow: type `pip install pyarrow`"))?;
        let from_buffers = arrow.getattr("Array")?.getattr("from_buffers")?;
        let (arrays, fields) = (PyList::empty(py), PyList::empty(py));
        for (name, kind, bytes) in raw_columns(&self.docs(), &self.found)? {
            let kind = arrow.call_method0(kind)?;
            let buffer =
                arrow.call_method1(intern!(py, "py_buffer"), (PyBytes::new(py, &bytes),))?;
            let buffers = PyList::new(py, [py.None().into_bound(py), buffer])?;
            arrays.append(from_buffers.call1((&kind, self.found.len(), buffers))?)?;
            fields.append(arrow.call_method1("field", (name, kind, false))?)?;
        }
        let metadata = PyDict::new(py);
        metadata.set_item("sift_fast.unit", self.unit.as_str())?;
        metadata.set_item("sift_fast.rule_hash", &self.hash)?;
        let schema = arrow.call_method1("schema", (fields, metadata))?;
        let options = PyDict::new(py);
        options.set_item("schema", schema)?;
        arrow.getattr("RecordBatch")?.call_method("from_arrays", (arrays,), Some(&options))
    }

    fn __repr__(&self) -> String {
        format!("Batch({} documents, {} found)", self.ends.len(), self.found.len())
    }
}
