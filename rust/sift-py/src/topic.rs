//! `_TopicModel`: whether a text is about a topic that was described by examples.

use pyo3::prelude::*;
use sift_ngram::TopicModel as Core;

use crate::door;
use crate::text::{strings, Text};

/// One topic, learned from texts that belong and texts that do not. Holds hashes of words and no text.
#[pyclass(frozen, name = "_TopicModel", module = "sift_fast._core")]
pub(crate) struct TopicModel {
    core: Core,
}

#[pymethods]
impl TopicModel {
    #[new]
    fn new(py: Python<'_>, belong: &Bound<'_, PyAny>, others: &Bound<'_, PyAny>) -> PyResult<Self> {
        let (belong, others) = (strings(belong, "belong")?, strings(others, "others")?);
        let core = py.detach(|| Core::fit(&borrowed(&belong), &borrowed(&others)));
        Ok(Self { core })
    }

    /// What each example scores where it was left out, those that belong first.
    #[staticmethod]
    fn held_out(
        py: Python<'_>,
        belong: &Bound<'_, PyAny>,
        others: &Bound<'_, PyAny>,
    ) -> PyResult<Vec<f32>> {
        let (belong, others) = (strings(belong, "belong")?, strings(others, "others")?);
        Ok(py.detach(|| Core::held_out(&borrowed(&belong), &borrowed(&others))))
    }

    /// How likely a text is about it, 0 to 1.
    fn score(&self, py: Python<'_>, text: &Bound<'_, PyAny>) -> PyResult<f32> {
        let text = Text::take(text, "score")?;
        let bytes = text.bytes();
        Ok(door::step(py, bytes.len(), || self.core.score(bytes)))
    }
}

fn borrowed(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}
