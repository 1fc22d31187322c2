//! The log: entries in, durable places and proofs out.
//!
//! One thread commits: it takes what waits, writes one record, flushes once, and answers everybody who waited
//! (group commit). Another publishes tiles and the checkpoint for readers. `docs/kernel-states.md` says what is
//! durable when, and what a crash leaves.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, JoinHandle, ThreadId};
use std::time::{Duration, Instant};

pub use crate::entry::Entry;
use crate::journal;
use crate::keys::{KeyError, Keyring, PrivateKey};
use crate::merkle::{self, Hash};
use crate::signal::Signal;
use crate::storage::{Directory, OpenError, Storage};
use crate::tiles::{TlogProof, MAX_ENTRY};
pub use crate::writer::Core;

/// Why the log does not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// A setting is wrong.
    #[error("ledger: {0}")]
    Config(String),
    /// Another process writes this ledger.
    #[error("{0}")]
    Held(String),
    /// What is on disk is not what this log wrote.
    #[error("the ledger is damaged: {0}; it is not opened: keep a copy and compare with checkpoints kept elsewhere")]
    Damaged(String),
    /// A read failed; nothing is lost.
    #[error("the ledger cannot be read: {0}")]
    Read(String),
    /// A write or flush failed earlier: what is on disk is not known, and nothing more is taken.
    #[error("the ledger stopped after a failed write ({0}): mend the disk and open it again")]
    Stopped(String),
    /// More entries wait than may.
    #[error("the ledger's queue is full: the disk is slower than the entries come")]
    Full,
    /// The key that would sign it may not.
    #[error("the ledger takes no entry beyond {0}: keys.toml lets its key sign no larger tree, so go on with another key")]
    KeyRetired(u64),
    /// The entry is longer than 65,535 bytes.
    #[error("an entry is longer than 65535 bytes")]
    TooLong,
    /// The time to wait ran out; the entry may still become durable.
    #[error("the entry was not durable in time; it may still become so")]
    Timeout,
    /// The log is being closed.
    #[error("the ledger is closed")]
    Closed,
    /// No such entry or size.
    #[error("ledger: {0}")]
    Proof(#[from] merkle::ProofError),
}

impl From<KeyError> for LogError {
    fn from(error: KeyError) -> LogError {
        LogError::Config(error.to_string())
    }
}

/// How a log is run.
pub struct LogConfig {
    /// Its name: the first line of checkpoints, and the name of its key.
    pub origin: String,
    /// The key that signs checkpoints.
    pub key: PrivateKey,
    /// The key before, when this opening changes keys: the checkpoint at this size is signed by both.
    pub retiring: Option<PrivateKey>,
    /// Log keys that may have signed what is on disk, besides these two.
    pub keys: Keyring,
    /// Least time from the start of one commit to that of the next, under load. After a pause, and where one caller
    /// alone brings a few, entries are committed at once, whatever this is; under load entries gather while the commit before is
    /// flushed, and this makes them gather longer where the disk is quick, since each commit costs a signature and a
    /// flush.
    pub interval: Duration,
    /// How often tiles and checkpoint are written for readers, when there is something new.
    pub publish_interval: Duration,
    /// Size of a journal segment in bytes.
    pub segment_bytes: u64,
    /// Most segments with entries that are not published.
    pub segments: usize,
    /// Most bytes of entries that wait for a commit.
    pub queue_bytes: usize,
}

impl LogConfig {
    /// The defaults: no waiting, publication each second, 16 segments of 8 MiB, 64 MiB of queue.
    /// A segment and a spare are written with zeros at opening, so larger ones make it slower.
    pub fn new(origin: &str, key: PrivateKey) -> LogConfig {
        LogConfig {
            origin: origin.to_owned(),
            key,
            retiring: None,
            keys: Keyring::new(),
            interval: Duration::ZERO,
            publish_interval: Duration::from_secs(1),
            segment_bytes: 8 << 20,
            segments: 16,
            queue_bytes: 64 << 20,
        }
    }
}

/// Most bytes of entries in one commit.
const MAX_BATCH: usize = 4 << 20;

/// Bytes in line from which on whoever brings an entry makes it: a flood is slowed down by its own signatures, and not
/// everybody else by the one thread that commits.
const BUSY: usize = 1 << 20;

/// When no more entries than this were in the commit before, and no more wait, all of one thread, then none is kept
/// waiting for company: it would wait for itself. (To go by numbers alone holds 32 callers in commits of one or two
/// entries where a flush is quick, each of which costs 15 us for its signature.)
const FEW: usize = 4;

/// Entries that are not published beyond this make the publisher run early.
const PUBLISH_EARLY: u64 = 16_384;

/// Where an entry is, once it is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Durable {
    /// Its place in the log, from 0.
    pub index: u64,
    /// Size of the tree after its commit.
    pub tree_size: u64,
    /// The signed checkpoint of that size.
    pub checkpoint: Arc<str>,
}

/// A commit, told to [`Log::on_durable`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Place of its first entry.
    pub first: u64,
    /// Size of the tree after it.
    pub tree_size: u64,
    /// The signed checkpoint of that size.
    pub checkpoint: Arc<str>,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What these guard is changed in steps that cannot panic half-way.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

type Callback = Box<dyn FnOnce(Result<Durable, LogError>) + Send>;
type Watcher = Box<dyn Fn(&Commit) + Send>;

/// What a batch came to, and who is to be told.
#[derive(Default)]
struct Batch {
    result: OnceLock<Result<Commit, LogError>>,
    done: Signal,
    callbacks: Mutex<Vec<(u64, Callback)>>,
}

impl Batch {
    fn finish(&self, result: Result<Commit, LogError>) {
        // Before the lock: who enters later finds it, and who entered before is in the list.
        let result = self.result.get_or_init(|| result);
        self.done.raise();
        for (offset, callback) in std::mem::take(&mut *lock(&self.callbacks)) {
            contained(|| callback(durable_at(result, offset)));
        }
    }

    /// The result, or nothing when the deadline comes first.
    fn wait(&self, timeout: Duration) -> Option<&Result<Commit, LogError>> {
        let start = Instant::now();
        loop {
            if let Some(result) = self.result.get() {
                return Some(result);
            }
            let left = timeout.checked_sub(start.elapsed()).filter(|left| !left.is_zero())?;
            self.done.wait(left);
        }
    }
}

/// Runs what others gave us: a panic of theirs must not end the committer, and with it everybody's receipts.
fn contained(callback: impl FnOnce()) {
    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(callback));
}

fn durable_at(result: &Result<Commit, LogError>, offset: u64) -> Result<Durable, LogError> {
    result.as_ref().map_err(Clone::clone).map(|commit| Durable {
        index: commit.first + offset,
        tree_size: commit.tree_size,
        checkpoint: commit.checkpoint.clone(),
    })
}

/// An entry on its way to the disk.
#[derive(Clone)]
pub struct Ticket {
    batch: Arc<Batch>,
    offset: u64,
    index: u64,
}

impl Ticket {
    /// The place that the entry will have, from 0. It is not known before [`Ticket::wait`] whether it has it:
    /// entries are committed in the order in which they came, or not at all.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Waits until the entry is durable.
    ///
    /// # Errors
    /// [`LogError::Timeout`], or why the log stopped.
    pub fn wait(&self, timeout: Duration) -> Result<Durable, LogError> {
        match self.batch.wait(timeout) {
            None => Err(LogError::Timeout),
            Some(result) => durable_at(result, self.offset),
        }
    }

    /// Calls back once when the entry is durable or lost: on the committer's thread, or now when it is decided.
    /// The callback must be quick and must not wait for the log.
    pub fn on_done(&self, callback: impl FnOnce(Result<Durable, LogError>) + Send + 'static) {
        let result = {
            let mut callbacks = lock(&self.batch.callbacks);
            match self.batch.result.get() {
                None => {
                    callbacks.push((self.offset, Box::new(callback)));
                    return;
                }
                Some(result) => durable_at(result, self.offset),
            }
        };
        callback(result);
    }
}

struct Waiting {
    entries: Vec<Entry>,
    bytes: usize,
    batch: Arc<Batch>,
    // Who brought the first entry, as long as nobody else brought one and they are few.
    caller: Option<ThreadId>,
}

#[derive(Default)]
struct Queue {
    batches: VecDeque<Waiting>,
    bytes: usize,
    // The place of the next entry.
    next: u64,
    // How many entries there may be at most.
    most: u64,
    closed: bool,
}

/// What the publisher is to do before its time.
#[derive(Default)]
struct Wanted {
    publish: bool,
    // A spare segment, since the one there was is in use: a commit that finds none makes it itself, 10 to 20 ms in
    // which nobody gets an answer.
    spare: bool,
    end: bool,
}

struct Shared {
    core: Core,
    queue: Mutex<Queue>,
    arrived: Condvar,
    publisher: Mutex<Wanted>,
    publish: Condvar,
    max_batch: usize,
    watchers: Mutex<Vec<Watcher>>,
}

/// The log with its threads. Dropping it commits what waits and publishes.
pub struct Log {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Log {
    /// Opens a ledger in a folder.
    ///
    /// # Errors
    /// [`LogError::Held`] when another process writes it, else as [`Core::open`].
    pub fn open_folder(folder: &Path, config: LogConfig) -> Result<Log, LogError> {
        let storage = Directory::open(folder).map_err(|error| match error {
            OpenError::Held { .. } => LogError::Held(error.to_string()),
            OpenError::Io(_) => LogError::Read(error.to_string()),
        })?;
        Log::open(Arc::new(storage), config)
    }

    /// Opens a ledger in any storage.
    ///
    /// # Errors
    /// As [`Core::open`].
    pub fn open(storage: Arc<dyn Storage>, config: LogConfig) -> Result<Log, LogError> {
        let room = usize::try_from(config.segment_bytes).unwrap_or(usize::MAX) - journal::OVERHEAD;
        let core = Core::open(storage, config)?;
        let next = core.durable().tree_size;
        let shared = Arc::new(Shared {
            core,
            queue: Mutex::new(Queue { next, most: u64::MAX, ..Queue::default() }),
            arrived: Condvar::new(),
            publisher: Mutex::default(),
            publish: Condvar::new(),
            max_batch: MAX_BATCH.min(room / 2),
            watchers: Mutex::default(),
        });
        let mut log = Log { shared, threads: Vec::new() };
        for (name, work) in [
            ("sift-ledger-commit", Shared::commits as fn(&Shared)),
            ("sift-ledger-publish", Shared::publishes as fn(&Shared)),
        ] {
            let shared = log.shared.clone();
            let thread = thread::Builder::new().name(name.to_owned()).spawn(move || work(&shared));
            log.threads.push(thread.map_err(|error| LogError::Config(error.to_string()))?);
        }
        Ok(log)
    }

    /// Puts an entry in line. Returns at once.
    ///
    /// # Errors
    /// [`LogError::TooLong`], [`LogError::Full`], [`LogError::KeyRetired`], [`LogError::Closed`] or
    /// [`LogError::Stopped`]: the entry was not taken.
    pub fn append(&self, entry: impl Into<Entry>) -> Result<Ticket, LogError> {
        let entry = entry.into();
        if entry.len() > MAX_ENTRY {
            return Err(LogError::TooLong);
        }
        if let Some(reason) = self.shared.core.stopped() {
            return Err(LogError::Stopped(reason));
        }
        let cost = entry.len() + 2;
        let mut queue = lock(&self.shared.queue);
        if queue.closed {
            return Err(LogError::Closed);
        }
        if queue.next >= queue.most {
            return Err(LogError::KeyRetired(queue.most));
        }
        if queue.bytes + cost > self.shared.core.config.queue_bytes {
            return Err(LogError::Full);
        }
        queue.bytes += cost;
        let fits =
            queue.batches.back().is_some_and(|last| last.bytes + cost <= self.shared.max_batch);
        if !fits {
            queue.batches.push_back(Waiting {
                entries: Vec::new(),
                bytes: 0,
                batch: Arc::default(),
                caller: Some(thread::current().id()),
            });
        }
        let Some(last) = queue.batches.back_mut() else { return Err(LogError::Closed) };
        let offset = last.entries.len() as u64;
        let batch = last.batch.clone();
        last.entries.push(entry.clone());
        if last
            .caller
            .is_some_and(|first| last.entries.len() > FEW || first != thread::current().id())
        {
            last.caller = None;
        }
        last.bytes += cost;
        let index = queue.next;
        queue.next += 1;
        let busy = queue.bytes > BUSY;
        drop(queue);
        if !fits {
            // Once for a batch: the committer takes what has gathered when it comes, and gathers without waking.
            self.shared.arrived.notify_one();
        }
        if busy {
            entry.made();
        }
        Ok(Ticket { batch, offset, index })
    }

    /// The public half of the key that signs checkpoints.
    pub fn public_key(&self) -> [u8; 32] {
        self.shared.core.config.key.public()
    }

    /// From now on no entry is taken that would make the tree larger than this: the last size that the log's key may
    /// sign. What is in line stays there.
    pub fn limit(&self, most: u64) {
        lock(&self.shared.queue).most = most;
    }

    /// Calls back after each commit, on the committer's thread; for metrics and followers.
    pub fn on_durable(&self, watcher: impl Fn(&Commit) + Send + 'static) {
        lock(&self.shared.watchers).push(Box::new(watcher));
    }

    /// The newest durable checkpoint.
    pub fn checkpoint(&self) -> Commit {
        self.shared.core.durable()
    }

    /// How many bytes of entries wait for a commit.
    pub fn queued(&self) -> usize {
        lock(&self.shared.queue).bytes
    }

    /// Why the log stopped, when it did.
    pub fn stopped(&self) -> Option<String> {
        self.shared.core.stopped()
    }

    /// The `.tlog-proof` of an entry in the newest durable tree.
    ///
    /// # Errors
    /// As [`Core::proof`].
    pub fn inclusion(&self, index: u64) -> Result<TlogProof, LogError> {
        self.shared.core.proof(index, &self.shared.core.durable())
    }

    /// The `.tlog-proof` of an entry in the tree of its own commit.
    ///
    /// # Errors
    /// As [`Core::proof`].
    pub fn proof(&self, durable: &Durable) -> Result<TlogProof, LogError> {
        let commit = Commit {
            first: durable.index,
            tree_size: durable.tree_size,
            checkpoint: durable.checkpoint.clone(),
        };
        self.shared.core.proof(durable.index, &commit)
    }

    /// As [`Core::consistency`].
    ///
    /// # Errors
    /// As there.
    pub fn consistency(&self, old: u64, new: u64) -> Result<Vec<Hash>, LogError> {
        self.shared.core.consistency(old, new)
    }

    /// As [`Core::entry`].
    ///
    /// # Errors
    /// As there.
    pub fn entry(&self, index: u64) -> Result<Arc<[u8]>, LogError> {
        self.shared.core.entry(index)
    }

    /// Publishes now what is durable, and returns when readers can see it.
    ///
    /// # Errors
    /// As [`Core::publish`].
    pub fn publish(&self) -> Result<(), LogError> {
        self.shared.core.publish()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        lock(&self.shared.queue).closed = true;
        self.shared.arrived.notify_all();
        let mut threads = self.threads.drain(..);
        // The committer first: what it still commits is to be published.
        if let Some(committer) = threads.next() {
            let _ = committer.join();
        }
        lock(&self.shared.publisher).end = true;
        self.shared.publish.notify_all();
        for thread in threads {
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// The committer: everything that waits becomes one record.
    fn commits(&self) {
        let mut before = None;
        while let Some(waiting) = self.next_batch(before) {
            let Waiting { entries, bytes, batch, caller } = waiting;
            before = Some((Instant::now(), caller));
            let (made, leaves): (Vec<&[u8]>, Vec<Hash>) = entries.iter().map(Entry::made).unzip();
            let result = self.core.commit_hashed(&made, &leaves);
            lock(&self.queue).bytes -= bytes;
            if let Ok(commit) = &result {
                for watcher in lock(&self.watchers).iter() {
                    contained(|| watcher(commit));
                }
                let publish = commit.tree_size - self.core.published() > PUBLISH_EARLY;
                let spare = !self.core.prepared();
                if publish || spare {
                    let mut wanted = lock(&self.publisher);
                    if (publish && !wanted.publish) || (spare && !wanted.spare) {
                        self.publish.notify_one();
                    }
                    wanted.publish |= publish;
                    wanted.spare |= spare;
                }
            }
            batch.finish(result);
        }
    }

    /// Waits for entries, and until the interval since the start of the commit before has passed.
    fn next_batch(&self, before: Option<(Instant, Option<ThreadId>)>) -> Option<Waiting> {
        let mut queue = lock(&self.queue);
        while queue.batches.is_empty() {
            if queue.closed {
                return None;
            }
            queue = self.arrived.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        let interval = self.core.config.interval;
        let left = || interval.checked_sub(before?.0.elapsed()).filter(|left| !left.is_zero());
        let alone = before.and_then(|(_, caller)| caller);
        while queue.batches.len() == 1 && !queue.closed {
            if alone.is_some() && queue.batches.front().is_some_and(|one| one.caller == alone) {
                break;
            }
            let Some(left) = left() else { break };
            let waited = self.arrived.wait_timeout(queue, left);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        queue.batches.pop_front()
    }

    /// The publisher: at intervals, or when told.
    fn publishes(&self) {
        let interval = self.core.config.publish_interval;
        let mut before = Instant::now();
        loop {
            // Errors stop the log, and whoever appends next is told.
            let _ = self.core.prepare();
            let mut wanted = lock(&self.publisher);
            wanted.spare = false;
            let left = interval.saturating_sub(before.elapsed());
            let idle = |wanted: &mut Wanted| !wanted.publish && !wanted.spare && !wanted.end;
            let waited = self.publish.wait_timeout_while(wanted, left, idle);
            let (mut wanted, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            if wanted.spare && !wanted.publish && !wanted.end && !timeout.timed_out() {
                continue;
            }
            wanted.publish = false;
            let end = wanted.end;
            drop(wanted);
            let _ = self.core.publish();
            before = Instant::now();
            if end {
                return;
            }
        }
    }
}
