//! Policies as Python sees them: one set loaded for review. What is decided for real goes through the kernel.

use std::path::PathBuf;

use pyo3::prelude::*;
use sift_policy::json::JsonLimits;
use sift_policy::{draft_manifest, replay, run_cases, Level, OwnedRequest, Policy, Recorded};

use crate::errors;

/// Manifest and policies of a folder, for review: check, test, explain, replay.
#[pyclass(frozen, module = "sift_fast._core")]
pub(crate) struct PolicySet {
    core: Policy,
}

fn config(problem: impl ToString) -> PyErr {
    errors::config(problem.to_string())
}

#[pymethods]
impl PolicySet {
    /// Reads `tools.toml` and `policy/*.cedar` of a folder.
    #[staticmethod]
    fn load(py: Python<'_>, folder: PathBuf) -> PyResult<Self> {
        let core = py
            .detach(|| Policy::load(&folder))
            .map_err(|error| errors::policy(error.to_string()))?;
        Ok(Self { core })
    }

    /// Loads a manifest and policies, given as pairs of a file's name and its text.
    #[staticmethod]
    fn from_texts(manifest: &str, policies: Vec<(String, String)>) -> PyResult<Self> {
        let texts: Vec<_> =
            policies.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        let core = Policy::from_texts(manifest, &texts)
            .map_err(|error| errors::policy(error.to_string()))?;
        Ok(Self { core })
    }

    /// SHA-256 over manifest and policies, in hexadecimal digits.
    #[getter]
    fn hash(&self) -> String {
        sift_ledger::hex(self.core.hash())
    }

    /// The Cedar schema that the manifest gives.
    #[getter]
    fn schema(&self) -> &str {
        self.core.schema()
    }

    /// Names of the tools, sorted.
    #[getter]
    fn tools(&self) -> Vec<&str> {
        self.core.tools().iter().map(|tool| &*tool.name).collect()
    }

    /// Ids of the policies, sorted.
    #[getter]
    fn rules(&self) -> Vec<&str> {
        self.core.rule_ids().map(|id| &**id).collect()
    }

    /// Remarks as `(level, code, subject, text)`, warnings first.
    fn lint(&self, py: Python<'_>) -> Vec<(&'static str, &'static str, String, String)> {
        let level = |level| match level {
            Level::Warning => "warning",
            Level::Note => "note",
        };
        let lints = py.detach(|| self.core.lint());
        lints
            .into_iter()
            .map(|lint| (level(lint.level), lint.code, lint.subject.to_string(), lint.text))
            .collect()
    }

    /// The decision on a request given as JSON, as JSON.
    fn decide(&self, request: &str) -> PyResult<String> {
        let request =
            OwnedRequest::from_json(request.as_bytes(), &JsonLimits::default()).map_err(config)?;
        Ok(request.decide(&self.core).to_json().to_string())
    }

    /// The decision with the permits that were nearest to it, as JSON.
    fn explain(&self, request: &str) -> PyResult<String> {
        let request =
            OwnedRequest::from_json(request.as_bytes(), &JsonLimits::default()).map_err(config)?;
        Ok(request.explain(&self.core).to_json().to_string())
    }

    /// Runs the cases of a TOML text: names, and what differs.
    fn test(&self, text: &str) -> PyResult<Vec<(String, Vec<String>)>> {
        let results = run_cases(&self.core, text).map_err(config)?;
        Ok(results.into_iter().map(|result| (result.name, result.differences)).collect())
    }

    /// Decides a recorded request again; None when nothing differs, else the difference as JSON.
    fn replay(&self, recorded: &str) -> PyResult<Option<String>> {
        let recorded =
            Recorded::from_json(recorded.as_bytes(), &JsonLimits::default()).map_err(config)?;
        Ok(replay(&self.core, &recorded).map(|difference| difference.to_json().to_string()))
    }

    fn __repr__(&self) -> String {
        format!(
            "PolicySet({} tools, {} policies)",
            self.core.tools().len(),
            self.core.rule_ids().len()
        )
    }
}

/// A draft of `tools.toml` from MCP tool definitions or OpenAI tool schemas.
#[pyfunction]
pub(crate) fn import_tools(definitions: &str) -> PyResult<String> {
    draft_manifest(definitions).map_err(config)
}
