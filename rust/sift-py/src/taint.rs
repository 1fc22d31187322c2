//! Fingerprints of a conversation's sources as Python sees them.

use std::borrow::Cow;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use pyo3::types::PyString;
use sift_taint::Fingerprints as Core;

use crate::door;

/// What documents and tool results brought into one conversation. Holds no text.
#[pyclass(frozen, name = "_Fingerprints", module = "sift_fast._core")]
pub(crate) struct Fingerprints {
    core: Mutex<Core>,
}

impl Fingerprints {
    fn lock(&self) -> MutexGuard<'_, Core> {
        // Nothing is half done in it that another call could not go on from.
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Fingerprints {
    #[new]
    fn new(most: usize) -> Self {
        Self { core: Mutex::new(Core::new(most)) }
    }

    fn add(&self, py: Python<'_>, text: &Bound<'_, PyString>, source: &Bound<'_, PyString>) {
        let (text, source) = (read(text), read(source));
        door::step(py, text.len(), || self.lock().add(&text, &source));
    }

    fn say(&self, py: Python<'_>, text: &Bound<'_, PyString>) {
        let text = read(text);
        door::step(py, text.len(), || self.lock().say(&text));
    }

    fn sources_of(&self, py: Python<'_>, argument: &Bound<'_, PyString>) -> Vec<String> {
        let argument = read(argument);
        door::step(py, argument.len(), || {
            self.lock().sources_of(&argument).into_iter().map(str::to_owned).collect()
        })
    }

    fn __len__(&self) -> usize {
        self.lock().len()
    }

    fn __repr__(&self) -> String {
        format!("Fingerprints({})", self.lock().len())
    }
}

/// A text as it is, or with U+FFFD in the place of what is no Unicode.
fn read<'a>(text: &'a Bound<'_, PyString>) -> Cow<'a, str> {
    text.to_str().map_or_else(|_| text.to_string_lossy(), Cow::Borrowed)
}
