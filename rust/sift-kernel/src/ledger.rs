//! Where receipts go: the ledger, or in tests a list that can be told to fail.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use sift_ledger::log::{self, Entry, Log, LogConfig, LogError, Ticket};

use crate::error::{KernelError, Result};
use crate::sync::{lock, read, write};

/// A receipt's place, once it is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Its index in the log.
    pub index: u64,
    /// The size of the tree that first held it.
    pub tree_size: u64,
    /// The signed checkpoint of that size; empty where there is no log.
    pub checkpoint: Arc<str>,
}

/// Why a receipt is not durable; never what is in it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct LedgerError(pub String);

/// What is told once about a receipt.
pub type Told = Box<dyn FnOnce(std::result::Result<Placed, LedgerError>) + Send>;

/// A receipt on its way.
pub trait Pending: Send + Sync {
    /// Waits until it is durable.
    ///
    /// Errors: the log failed, or took longer.
    fn wait(&self, timeout: Duration) -> std::result::Result<Placed, LedgerError>;

    /// Tells once, when it is durable or lost; now, if that is known. The callback must be quick.
    fn tell(&self, told: Told);
}

/// Where receipts go.
pub trait Ledger: Send + Sync {
    /// Queues an entry.
    ///
    /// Errors: the log takes nothing any more.
    fn append(&self, entry: Entry) -> std::result::Result<Arc<dyn Pending>, LedgerError>;

    /// The `.tlog-proof` of an entry that is durable, as text.
    ///
    /// Errors: there is no such entry, or no log.
    fn proof(&self, index: u64) -> std::result::Result<String, LedgerError>;

    /// How many entries are durable, after a close as well; nothing where there is no log to count them in.
    fn size(&self) -> Option<Arc<AtomicU64>>;

    /// The public half of the key that signs its checkpoints; nothing where there is no log.
    fn log_key(&self) -> Option<[u8; 32]>;

    /// From now on it takes no entry that makes it longer than this: what its key may sign.
    fn limit(&self, most: u64);

    /// The newest durable entries, the last one first; none where there is no log.
    ///
    /// Errors: the log cannot be read.
    fn tail(&self, most: u64) -> std::result::Result<Vec<Arc<[u8]>>, LedgerError>;

    /// Makes everything durable that was queued, and stops.
    fn close(&self) -> std::result::Result<(), LedgerError>;
}

impl From<LogError> for LedgerError {
    fn from(error: LogError) -> Self {
        Self(error.to_string())
    }
}

/// The ledger of `sift_ledger`.
pub struct DiskLedger {
    log: RwLock<Option<Log>>,
    size: Arc<AtomicU64>,
}

impl DiskLedger {
    /// Opens the log in a folder.
    ///
    /// Errors: `Config` for a setting or another process, `Unavailable` for a log that is damaged or cannot be
    /// read.
    pub fn open(folder: &Path, config: LogConfig) -> Result<Self> {
        let log = Log::open_folder(folder, config).map_err(|error| match error {
            LogError::Config(_) | LogError::Held(_) => KernelError::Config(error.to_string()),
            _ => KernelError::Unavailable(error.to_string()),
        })?;
        Ok(Self::over(log))
    }

    /// A log that was opened by somebody else, in a storage of their own.
    pub fn over(log: Log) -> Self {
        let size = Arc::new(AtomicU64::new(log.checkpoint().tree_size));
        let counted = Arc::clone(&size);
        log.on_durable(move |commit| {
            counted.fetch_max(commit.tree_size, Ordering::SeqCst);
        });
        Self { log: RwLock::new(Some(log)), size }
    }

    fn with<T>(
        &self,
        work: impl FnOnce(&Log) -> std::result::Result<T, LogError>,
    ) -> std::result::Result<T, LedgerError> {
        match &*read(&self.log) {
            Some(log) => Ok(work(log)?),
            None => Err(LedgerError("the ledger is closed".to_owned())),
        }
    }
}

fn placed(durable: log::Durable) -> Placed {
    let log::Durable { index, tree_size, checkpoint } = durable;
    Placed { index, tree_size, checkpoint }
}

impl Pending for Ticket {
    fn wait(&self, timeout: Duration) -> std::result::Result<Placed, LedgerError> {
        Ok(Ticket::wait(self, timeout).map(placed)?)
    }

    fn tell(&self, told: Told) {
        self.on_done(move |done| told(done.map(placed).map_err(LedgerError::from)));
    }
}

impl Ledger for DiskLedger {
    fn append(&self, entry: Entry) -> std::result::Result<Arc<dyn Pending>, LedgerError> {
        self.with(|log| log.append(entry)).map(|ticket| Arc::new(ticket) as Arc<dyn Pending>)
    }

    fn proof(&self, index: u64) -> std::result::Result<String, LedgerError> {
        self.with(|log| log.inclusion(index)).map(|proof| proof.to_text())
    }

    fn size(&self) -> Option<Arc<AtomicU64>> {
        Some(Arc::clone(&self.size))
    }

    fn log_key(&self) -> Option<[u8; 32]> {
        read(&self.log).as_ref().map(Log::public_key)
    }

    fn limit(&self, most: u64) {
        if let Some(log) = &*read(&self.log) {
            log.limit(most);
        }
    }

    fn tail(&self, most: u64) -> std::result::Result<Vec<Arc<[u8]>>, LedgerError> {
        self.with(|log| {
            let size = log.checkpoint().tree_size;
            (size.saturating_sub(most)..size).rev().map(|index| log.entry(index)).collect()
        })
    }

    fn close(&self) -> std::result::Result<(), LedgerError> {
        let Some(log) = write(&self.log).take() else { return Ok(()) };
        // Dropping it commits what waits; whether that went well is known afterwards alone.
        let published = log.publish();
        let stopped = log.stopped();
        drop(log);
        published?;
        match stopped {
            None => Ok(()),
            Some(reason) => Err(LedgerError(format!("the ledger stopped: {reason}"))),
        }
    }
}

/// A ledger in memory, for tests of what the kernel does with one.
#[derive(Debug, Default)]
pub struct MemoryLedger {
    entries: Mutex<Vec<Arc<[u8]>>>,
    broken: AtomicBool,
}

impl MemoryLedger {
    /// What was appended.
    pub fn entries(&self) -> Vec<Arc<[u8]>> {
        lock(&self.entries).clone()
    }

    /// From now on every append fails, or works again.
    pub fn break_down(&self, broken: bool) {
        self.broken.store(broken, Ordering::SeqCst);
    }
}

impl Pending for Placed {
    fn wait(&self, _timeout: Duration) -> std::result::Result<Placed, LedgerError> {
        Ok(self.clone())
    }

    fn tell(&self, told: Told) {
        told(Ok(self.clone()));
    }
}

impl Ledger for MemoryLedger {
    fn append(&self, entry: Entry) -> std::result::Result<Arc<dyn Pending>, LedgerError> {
        if self.broken.load(Ordering::SeqCst) {
            return Err(LedgerError("the ledger was told to fail".to_owned()));
        }
        let mut entries = lock(&self.entries);
        entries.push(Arc::from(entry.bytes().as_slice()));
        let size = entries.len() as u64;
        Ok(Arc::new(Placed { index: size - 1, tree_size: size, checkpoint: Arc::from("") }))
    }

    fn proof(&self, _index: u64) -> std::result::Result<String, LedgerError> {
        Err(LedgerError("there is no log in memory".to_owned()))
    }

    fn size(&self) -> Option<Arc<AtomicU64>> {
        None
    }

    fn log_key(&self) -> Option<[u8; 32]> {
        None
    }

    fn limit(&self, _most: u64) {}

    fn tail(&self, _most: u64) -> std::result::Result<Vec<Arc<[u8]>>, LedgerError> {
        Ok(Vec::new())
    }

    fn close(&self) -> std::result::Result<(), LedgerError> {
        Ok(())
    }
}
