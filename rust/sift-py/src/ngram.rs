//! `NgramScorer`: the n-gram scorer for prompt injections, whole texts and batches.

use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Arc;
use std::thread;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyMemoryView, PyString, PyTuple};
use sift_ngram::{Model, Score, Scorer};
use sift_text::CharIndex;

use crate::text::{Held, Text, Unit};
use crate::{door, errors};

/// Batches up to this many bytes are scored by the calling thread.
const SMALL: usize = 64 << 10;

/// Texts that a thread claims at once.
const GRAIN: usize = 16;

/// More threads than anybody has cores.
const MAX_THREADS: usize = 1024;

thread_local! {
    static SCORER: RefCell<Scorer> = RefCell::default();
}

fn score(model: &Model, text: &[u8]) -> Score {
    // A panic inside would leave it borrowed: then a fresh one does.
    SCORER.with(|scorer| match scorer.try_borrow_mut() {
        Ok(mut scorer) => scorer.score(model, text),
        Err(_) => Scorer::default().score(model, text),
    })
}

/// Where the weights come from.
enum Weights {
    Builtin(&'static Model),
    File(Model),
}

/// Weights that were checked, shared by threads.
#[pyclass(frozen, module = "sift_fast._core")]
pub(crate) struct NgramScorer {
    weights: Arc<Weights>,
}

impl Weights {
    fn model(&self) -> &Model {
        match self {
            Self::Builtin(model) => model,
            Self::File(model) => model,
        }
    }
}

/// What one text scored, as Python sees it.
type Row<'py> = (f32, usize, usize, Bound<'py, PyTuple>, bool);

fn row<'py>(py: Python<'py>, unit: Unit, text: &[u8], score: &Score) -> PyResult<Row<'py>> {
    let (start, end) = match unit {
        Unit::Byte => (score.start, score.end),
        Unit::CodePoint => CharIndex::new(text).span(score.start, score.end),
    };
    let names: Vec<&str> = score.decoded.iter().map(|encoding| encoding.as_str()).collect();
    let decoded = PyTuple::new(py, names)?;
    Ok((score.logit, start, end, decoded, score.incomplete))
}

#[pymethods]
impl NgramScorer {
    #[new]
    #[pyo3(signature = (path=None, sha256=None))]
    fn new(path: Option<PathBuf>, sha256: Option<&str>) -> PyResult<Self> {
        let weights = match (path, sha256) {
            (None, None) => Model::builtin().map(Weights::Builtin),
            (Some(path), Some(sha256)) => {
                Model::load(&std::fs::read(path)?, sha256).map(Weights::File)
            }
            _ => return Err(errors::config("`path` and `sha256` go together: name both or none")),
        };
        let weights = Arc::new(weights.map_err(|error| errors::config(error.to_string()))?);
        Ok(Self { weights })
    }

    #[getter]
    fn hash(&self) -> &str {
        self.weights.model().hash()
    }

    fn score<'py>(&self, py: Python<'py>, text: &Bound<'py, PyAny>) -> PyResult<Row<'py>> {
        let text = Text::take(text, "score")?;
        let unit = text.unit;
        if text.bytes().len() > door::WATCH {
            let (weights, text) = (Arc::clone(&self.weights), Arc::new(text.hold()));
            let shared = Arc::clone(&text);
            let found = door::watch_one(py, move || score(weights.model(), shared.bytes()))?;
            return row(py, unit, text.bytes(), &found);
        }
        let (bytes, model) = (text.bytes(), self.weights.model());
        let found = door::step(py, bytes.len(), || score(model, bytes));
        row(py, unit, bytes, &found)
    }

    #[pyo3(signature = (texts, threads=None))]
    fn score_batch<'py>(
        &self,
        py: Python<'py>,
        texts: &Bound<'py, PyAny>,
        threads: Option<usize>,
    ) -> PyResult<Vec<Row<'py>>> {
        let single = texts.is_instance_of::<PyString>()
            || texts.is_instance_of::<PyBytes>()
            || texts.is_instance_of::<PyByteArray>()
            || texts.is_instance_of::<PyMemoryView>();
        if single {
            return Err(PyTypeError::new_err(
                "score_batch takes many texts: for a single one use `score`",
            ));
        }
        let threads =
            threads.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from));
        if !(1..=MAX_THREADS).contains(&threads) {
            return Err(errors::config(format!(
                "`threads` must be 1 to {MAX_THREADS}, or None for all cores"
            )));
        }
        let mut held: Vec<(Unit, Held)> = Vec::new();
        for item in texts.try_iter()? {
            let item = item?;
            let text = Text::take(&item, "score_batch")?;
            held.push((text.unit, text.hold()));
        }
        let bytes: usize = held.iter().map(|(_, text)| text.bytes().len()).sum();
        let job = Arc::new(Job {
            weights: Arc::clone(&self.weights),
            texts: held,
            next: AtomicUsize::new(0),
        });
        let mut parts = if bytes <= SMALL {
            door::step(py, bytes, || job.work(&AtomicBool::new(false)))
        } else {
            let workers = threads.min(job.texts.len().div_ceil(GRAIN)).max(1);
            let shared = Arc::clone(&job);
            door::watch(py, workers, move |stop| shared.work(stop))?.into_iter().flatten().collect()
        };
        parts.sort_unstable_by_key(|&(at, _)| at);
        // A thread that panicked took its texts with it.
        if parts.len() != job.texts.len() {
            return Err(door::broken());
        }
        let rows = job.texts.iter().zip(&parts);
        rows.map(|((unit, text), (_, score))| row(py, *unit, text.bytes(), score)).collect()
    }

    fn __repr__(&self) -> String {
        format!("NgramScorer(hash='{}')", self.hash().get(..12).unwrap_or_default())
    }
}

/// The work that threads share.
struct Job {
    weights: Arc<Weights>,
    texts: Vec<(Unit, Held)>,
    next: AtomicUsize,
}

impl Job {
    /// Claims texts until there are none.
    fn work(&self, stop: &AtomicBool) -> Vec<(usize, Score)> {
        let mut scores = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let first = self.next.fetch_add(GRAIN, Ordering::Relaxed);
            let claimed = self.texts.iter().enumerate().skip(first).take(GRAIN);
            let before = scores.len();
            scores.extend(
                claimed.map(|(at, (_, text))| (at, score(self.weights.model(), text.bytes()))),
            );
            if scores.len() == before {
                break;
            }
        }
        scores
    }
}
