//! `_PromptRuns` and `_PromptStream`: runs of words of a system prompt in an answer.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::prelude::*;
use pyo3::types::PyString;
use sift_taint::{PromptRuns as Core, PromptStream as CoreStream, LEAST_WORDS, MOST_WORDS};

use crate::text::encode_surrogates;
use crate::{door, errors};

/// The runs of words of one prompt. Holds hashes and no text.
#[pyclass(frozen, name = "_PromptRuns", module = "sift_fast._core")]
pub(crate) struct PromptRuns {
    core: Arc<Core>,
}

#[pymethods]
impl PromptRuns {
    #[new]
    fn new(prompt: &Bound<'_, PyString>, words: usize) -> PyResult<Self> {
        if !(LEAST_WORDS..=MOST_WORDS).contains(&words) {
            return Err(errors::config(format!(
                "a run has {LEAST_WORDS} to {MOST_WORDS} words, not {words}"
            )));
        }
        Ok(Self { core: Arc::new(Core::new(&read(prompt)?, words)) })
    }

    /// Whether a run of the prompt is in a text.
    fn within(&self, py: Python<'_>, text: &Bound<'_, PyString>) -> PyResult<bool> {
        let text = read(text)?;
        Ok(door::step(py, text.len(), || self.core.within(&text)))
    }

    /// The same for a text that comes in pieces.
    fn stream(&self) -> PromptStream {
        PromptStream { runs: Arc::clone(&self.core), core: Mutex::default() }
    }

    fn __len__(&self) -> usize {
        self.core.len()
    }

    fn __repr__(&self) -> String {
        format!("PromptRuns({})", self.core.len())
    }
}

/// What a stream of text has come to.
#[pyclass(frozen, name = "_PromptStream", module = "sift_fast._core")]
pub(crate) struct PromptStream {
    runs: Arc<Core>,
    core: Mutex<CoreStream>,
}

#[pymethods]
impl PromptStream {
    /// Takes a piece; whether a run is complete, and how many characters at the end must wait.
    #[pyo3(signature = (piece, *, last=false))]
    fn feed(
        &self,
        py: Python<'_>,
        piece: &Bound<'_, PyString>,
        last: bool,
    ) -> PyResult<(bool, usize)> {
        let piece = read(piece)?;
        Ok(door::step(py, piece.len(), || {
            // Nothing is half done in it that another call could not go on from.
            let mut core = self.core.lock().unwrap_or_else(PoisonError::into_inner);
            core.feed(&self.runs, &piece, last)
        }))
    }
}

/// A text as it is, or with one U+FFFD in the place of each lone surrogate, so that characters can be counted.
fn read<'a>(text: &'a Bound<'_, PyString>) -> PyResult<Cow<'a, str>> {
    match text.to_str() {
        Ok(text) => Ok(Cow::Borrowed(text)),
        // The error holds the text: it is dropped here and never chained.
        Err(_) => {
            let (bytes, _) = encode_surrogates(text)?;
            Ok(Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()))
        }
    }
}
