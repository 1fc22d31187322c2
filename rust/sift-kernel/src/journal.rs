//! Where receipts go: the ledger, or in tests a list that can be told to fail.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::sync::lock;

/// A receipt's place, once it is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Its index in the log.
    pub index: u64,
    /// The size of the tree that first held it.
    pub tree_size: u64,
}

/// Why a receipt is not durable; never what is in it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the ledger cannot be written: {0}")]
pub struct JournalError(pub String);

/// A receipt on its way.
pub trait Pending: Send + Sync {
    /// Waits until it is durable.
    ///
    /// Errors: the log failed, or took longer.
    fn wait(&self, timeout: Duration) -> Result<Placed, JournalError>;
}

/// Where receipts go.
pub trait Journal: Send + Sync {
    /// Queues an entry.
    ///
    /// Errors: the log takes nothing any more.
    fn append(&self, entry: Vec<u8>) -> Result<Arc<dyn Pending>, JournalError>;

    /// Makes everything durable that was queued, and stops.
    fn close(&self) -> Result<(), JournalError>;
}

/// A journal in memory.
#[derive(Debug, Default)]
pub struct MemoryJournal {
    entries: Mutex<Vec<Vec<u8>>>,
    broken: std::sync::atomic::AtomicBool,
}

impl MemoryJournal {
    /// What was appended.
    pub fn entries(&self) -> Vec<Vec<u8>> {
        lock(&self.entries).clone()
    }

    /// From now on every append fails, or works again.
    pub fn break_down(&self, broken: bool) {
        self.broken.store(broken, std::sync::atomic::Ordering::SeqCst);
    }
}

impl Pending for Placed {
    fn wait(&self, _timeout: Duration) -> Result<Placed, JournalError> {
        Ok(*self)
    }
}

impl Journal for MemoryJournal {
    fn append(&self, entry: Vec<u8>) -> Result<Arc<dyn Pending>, JournalError> {
        if self.broken.load(std::sync::atomic::Ordering::SeqCst) {
            return Err(JournalError("it was told to fail".to_owned()));
        }
        let mut entries = lock(&self.entries);
        entries.push(entry);
        let size = entries.len() as u64;
        Ok(Arc::new(Placed { index: size - 1, tree_size: size }))
    }

    fn close(&self) -> Result<(), JournalError> {
        Ok(())
    }
}
