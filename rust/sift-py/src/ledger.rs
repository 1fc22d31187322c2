//! A ledger of the guard's own as Python sees it: events in, receipts of class *batched* in a transparency log.
//!
//! The kernel has a ledger of its own, which only its decisions reach. This one takes what the guard decided:
//! the caller hands over names and a JSON document, and what is signed is the checkpoint that includes it.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use sift_ledger::dsse::Envelope;
use sift_ledger::jcs::Value;
use sift_ledger::keys::PrivateKey;
use sift_ledger::log::{Log, LogConfig, LogError, Ticket};
use sift_ledger::receipt::{action_hash, statement, Class, Fields, PAYLOAD_TYPE};

use crate::errors;
use crate::receipts::Keys;

/// Room in the queue for the longest entry: with less than that the next one may have to wait.
const ENTRY: usize = 64 << 10;

/// A ledger that this process writes.
#[pyclass(frozen, name = "_Ledger", module = "sift_fast._core")]
pub(crate) struct Ledger {
    log: RwLock<Option<Log>>,
    last: Mutex<Option<Ticket>>,
    process: u32,
    room: usize,
}

fn refused(error: &LogError) -> PyErr {
    let message = error.to_string();
    match error {
        LogError::Config(_) | LogError::Held(_) => errors::config(message),
        LogError::TooLong => errors::limit(message),
        _ => errors::unavailable(message),
    }
}

impl Ledger {
    fn with<T>(&self, work: impl FnOnce(&Log) -> Result<T, LogError>) -> PyResult<T> {
        self.check()?;
        match &*self.log.read().unwrap_or_else(PoisonError::into_inner) {
            Some(log) => work(log).map_err(|error| refused(&error)),
            None => Err(errors::unavailable("the ledger is closed")),
        }
    }

    fn check(&self) -> PyResult<()> {
        if std::process::id() == self.process {
            return Ok(());
        }
        Err(errors::unavailable(
            "the ledger belongs to the process this one was forked from: open it after the fork",
        ))
    }
}

#[pymethods]
impl Ledger {
    #[new]
    fn new(
        py: Python<'_>,
        folder: PathBuf,
        origin: &str,
        key: PathBuf,
        keys: &Keys,
        interval_us: u64,
        queue_bytes: usize,
    ) -> PyResult<Self> {
        let key = PrivateKey::read(&key).map_err(|error| errors::config(error.to_string()))?;
        let mut config = LogConfig::new(origin, key);
        config.keys = keys.ring().clone();
        config.interval = Duration::from_micros(interval_us);
        config.queue_bytes = queue_bytes.max(2 * ENTRY);
        let room = config.queue_bytes - ENTRY;
        let log =
            py.detach(|| Log::open_folder(&folder, config)).map_err(|error| refused(&error))?;
        Ok(Self {
            log: RwLock::new(Some(log)),
            last: Mutex::default(),
            process: std::process::id(),
            room,
        })
    }

    /// Puts an event in line; it is on the disk after the next commit.
    #[expect(clippy::too_many_arguments, reason = "the members of a receipt, by name")]
    #[pyo3(signature = (*, event, id, tenant, role, tool, decision, reason, rules, policy_version,
                        engine, at_ms, document))]
    fn append(
        &self,
        event: &str,
        id: &str,
        tenant: &str,
        role: &str,
        tool: &str,
        decision: &str,
        reason: &str,
        rules: Vec<String>,
        policy_version: Option<&str>,
        engine: &str,
        at_ms: i64,
        document: &[u8],
    ) -> PyResult<()> {
        let wrong = |error: &dyn std::fmt::Display| errors::config(format!("ledger: {error}"));
        let document = Value::parse(document).map_err(|error| wrong(&error))?;
        let hash = action_hash(&document).map_err(|error| wrong(&error))?;
        let Value::Object(members) = document else {
            return Err(errors::config("ledger: an event is a JSON object"));
        };
        let details: Vec<(&str, Value)> =
            members.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
        let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
        let fields = Fields {
            event,
            request_id: id,
            action_hash: hash,
            tenant,
            role,
            tool,
            decision,
            reason,
            rule_ids: &rules,
            policy_version,
            engine,
            decided_at: at_ms,
            class: Class::Batched,
            details: &details,
            ..Fields::default()
        };
        let payload = statement(&fields).map_err(|error| wrong(&error))?;
        let entry = Envelope::unsigned(PAYLOAD_TYPE, payload).to_json();
        let ticket = self.with(|log| log.append(entry))?;
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(ticket);
        Ok(())
    }

    /// Waits until everything that was put in line is on the disk, and publishes it for readers.
    fn flush(&self, py: Python<'_>, timeout_ms: u64) -> PyResult<()> {
        self.check()?;
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        py.detach(|| {
            self.with(|log| {
                if let Some(ticket) = last {
                    ticket.wait(Duration::from_millis(timeout_ms))?;
                }
                log.publish()
            })
        })
    }

    /// Bytes that wait for a commit.
    #[getter]
    fn queued(&self) -> PyResult<usize> {
        self.with(|log| Ok(log.queued()))
    }

    /// Whether the next event may have to wait.
    #[getter]
    fn full(&self) -> PyResult<bool> {
        self.with(|log| Ok(log.queued() > self.room))
    }

    /// Entries that are on the disk.
    #[getter]
    fn size(&self) -> PyResult<u64> {
        self.with(|log| Ok(log.checkpoint().tree_size))
    }

    /// The proof of an entry in the newest durable tree.
    fn proof(&self, py: Python<'_>, index: u64) -> PyResult<String> {
        py.detach(|| self.with(|log| log.inclusion(index).map(|proof| proof.to_text())))
    }

    /// The envelope of an entry.
    fn entry<'py>(&self, py: Python<'py>, index: u64) -> PyResult<Bound<'py, PyBytes>> {
        let entry = py.detach(|| self.with(|log| log.entry(index)))?;
        Ok(PyBytes::new(py, &entry))
    }

    /// Makes everything durable that was put in line, and lets go of the folder. Again: nothing.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.check()?;
        py.detach(|| {
            let log = self.log.write().unwrap_or_else(PoisonError::into_inner).take();
            let stopped = log.as_ref().and_then(Log::stopped);
            drop(log);
            stopped
        })
        .map_or(Ok(()), |reason| Err(errors::unavailable(format!("the ledger stopped: {reason}"))))
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        if std::process::id() != self.process {
            // Its threads are those of the parent: waiting for them would never end.
            std::mem::forget(self.log.write().unwrap_or_else(PoisonError::into_inner).take());
        }
    }
}
