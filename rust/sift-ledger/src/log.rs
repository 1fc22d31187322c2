//! The log: entries in, durable places and proofs out.
//!
//! One thread commits: it takes what waits, writes one record, flushes once, and answers everybody who waited
//! (group commit). Another publishes tiles and the checkpoint for readers. `docs/kernel-states.md` says what is
//! durable when, and what a crash leaves.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::journal::{self, ALIGNMENT};
use crate::keys::{is_note_name, KeyError, Keyring, PrivateKey, PublicKey, Purpose};
use crate::merkle::{self, leaf_hash, Hash, Hashes};
use crate::note::{verify_checkpoint, Checkpoint};
use crate::storage::{Directory, File, OpenError, Storage};
use crate::tiles::{self, parse_bundle, parse_tile, path, Kind, TlogProof, MAX_ENTRY, TILE_WIDTH};
use crate::tree::{Lookup, Tree};

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
    /// How long a commit waits for company after its first entry. Without it entries already gather while the
    /// commit before is flushed.
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
    /// The defaults: no waiting, publication each second, 8 segments of 32 MiB, 64 MiB of queue.
    pub fn new(origin: &str, key: PrivateKey) -> LogConfig {
        LogConfig {
            origin: origin.to_owned(),
            key,
            retiring: None,
            keys: Keyring::new(),
            interval: Duration::ZERO,
            publish_interval: Duration::from_secs(1),
            segment_bytes: 32 << 20,
            segments: 8,
            queue_bytes: 64 << 20,
        }
    }
}

/// Smallest segment: the longest entry must fit with room to spare.
const MIN_SEGMENT: u64 = 256 << 10;

/// Largest segment: it is read whole at opening.
const MAX_SEGMENT: u64 = 1 << 30;

/// Most bytes of entries in one commit.
const MAX_BATCH: usize = 4 << 20;

/// Entries that are not published beyond this make the publisher run early.
const PUBLISH_EARLY: u64 = 16_384;

/// Spare segments that are kept for reuse.
const SPARES: usize = 2;

const CHECKPOINT: &str = "checkpoint";
const JOURNAL: &str = "journal";

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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What these guard is changed in steps that cannot panic half-way.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug)]
struct Segment {
    number: u64,
    // Size of the tree after its last record.
    end: u64,
}

struct State {
    tree: Tree,
    // Entries from `entries_start`, a multiple of 256.
    entries: VecDeque<Arc<[u8]>>,
    entries_start: u64,
    durable: Commit,
    published: u64,
    segments: VecDeque<Segment>,
    spares: Vec<String>,
    next_segment: u64,
    stopped: Option<String>,
}

struct Journal {
    file: Box<dyn File>,
    segment: u64,
    offset: u64,
}

/// The log without its threads: commits and publishes when it is told to. [`Log`] is what services use.
pub struct Core {
    storage: Arc<dyn Storage>,
    config: LogConfig,
    state: Mutex<State>,
    journal: Mutex<Journal>,
    publishing: Mutex<()>,
}

fn segment_path(number: u64) -> String {
    format!("{JOURNAL}/{number:016}.seg")
}

fn spare_path(number: u64) -> String {
    format!("{JOURNAL}/{number:016}.spare")
}

/// The number in the name of a segment or spare.
fn segment_number(name: &str, ending: &str) -> Option<u64> {
    let digits = name.strip_suffix(ending)?;
    (digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| digits.parse().ok())?
}

impl Core {
    /// Opens what is on disk, or begins a log.
    ///
    /// # Errors
    /// [`LogError::Damaged`] when it is not what a log leaves behind, even after a crash;
    /// [`LogError::Config`], [`LogError::Read`], or [`LogError::Stopped`] when it cannot be written.
    pub fn open(storage: Arc<dyn Storage>, config: LogConfig) -> Result<Core, LogError> {
        let wrong = |what: &str| LogError::Config(what.to_owned());
        if !is_note_name(&config.origin) {
            return Err(wrong(
                "the origin must be a name without spaces and `+`, like example.com/ledger",
            ));
        }
        if !(MIN_SEGMENT..=MAX_SEGMENT).contains(&config.segment_bytes) || config.segments < 2 {
            return Err(wrong("segments must have 256 KiB to 1 GiB, and there must be 2 or more"));
        }
        let keys = verification_keys(&config)?;
        let mut recovered =
            Recovery { storage: &*storage, origin: &config.origin, keys: &keys }.run()?;
        let mut signers = vec![&config.key];
        signers.extend(&config.retiring);
        let size = recovered.tree.size();
        if size == 0 || config.retiring.is_some() {
            let root =
                merkle::root(&recovered.tree, size).map_err(|_| damaged("its tree has holes"))?;
            let checkpoint = Checkpoint { origin: config.origin.clone(), size, root };
            recovered.checkpoint = checkpoint.sign(&signers);
        }
        let stop = |error: std::io::Error| LogError::Stopped(error.to_string());
        if config.retiring.is_some() {
            let path = format!("handover/{size}");
            storage.replace(&path, recovered.checkpoint.as_bytes()).map_err(stop)?;
            storage.replace(CHECKPOINT, recovered.checkpoint.as_bytes()).map_err(stop)?;
        }
        // A new segment for each run: nothing is ever written over the end that a crash left.
        let number = recovered.last_segment + 1;
        let file = storage.create(&segment_path(number), config.segment_bytes).map_err(stop)?;
        let durable = Commit {
            first: size,
            tree_size: size,
            checkpoint: Arc::from(recovered.checkpoint.as_str()),
        };
        let mut segments = recovered.segments;
        segments.push_back(Segment { number, end: size });
        let core = Core {
            storage,
            config,
            state: Mutex::new(State {
                tree: recovered.tree,
                entries: recovered.entries,
                entries_start: recovered.entries_start,
                durable,
                published: recovered.published,
                segments,
                spares: recovered.spares,
                next_segment: number + 1,
                stopped: None,
            }),
            journal: Mutex::new(Journal { file, segment: number, offset: 0 }),
            publishing: Mutex::new(()),
        };
        core.publish()?;
        Ok(core)
    }

    fn stop(&self, error: &std::io::Error) -> LogError {
        let mut state = lock(&self.state);
        // The first failure is the cause, later ones its consequence.
        let reason = state.stopped.get_or_insert_with(|| error.to_string()).clone();
        LogError::Stopped(reason)
    }

    fn check(state: &State) -> Result<(), LogError> {
        match &state.stopped {
            Some(reason) => Err(LogError::Stopped(reason.clone())),
            None => Ok(()),
        }
    }

    /// Makes entries durable: one record, one flush. Returns when it is done.
    ///
    /// # Errors
    /// [`LogError::Stopped`]: whether the entries are in the log is known when it is opened again.
    /// [`LogError::TooLong`] when they are too many for a segment: nothing was written.
    pub fn commit(&self, entries: &[Arc<[u8]>]) -> Result<Commit, LogError> {
        if entries.iter().any(|entry| entry.len() > MAX_ENTRY) {
            return Err(LogError::TooLong);
        }
        let bytes: usize = entries.iter().map(|entry| entry.len() + 2).sum();
        if (bytes + journal::OVERHEAD) as u64 > self.config.segment_bytes {
            return Err(LogError::TooLong);
        }
        let leaves: Vec<Hash> = entries.iter().map(|entry| leaf_hash(entry)).collect();
        // Held through the flush: one write is in flight at a time.
        let mut journal = lock(&self.journal);
        let (first, size, root) = {
            let mut state = lock(&self.state);
            Core::check(&state)?;
            if entries.is_empty() {
                return Ok(state.durable.clone());
            }
            let first = state.tree.size();
            for leaf in leaves {
                state.tree.append(leaf);
            }
            let size = state.tree.size();
            let root = merkle::root(&state.tree, size);
            (first, size, root.map_err(|_| damaged("its tree has holes"))?)
        };
        let checkpoint = Checkpoint { origin: self.config.origin.clone(), size, root };
        let note: Arc<str> = Arc::from(checkpoint.sign(&[&self.config.key]));
        let slices = || entries.iter().map(|entry| &**entry);
        let encode = |segment| journal::encode(segment, first, slices(), &note);
        let mut record = encode(journal.segment).ok_or(LogError::TooLong)?;
        if journal.offset + record.len() as u64 > self.config.segment_bytes {
            self.roll(&mut journal)?;
            record = encode(journal.segment).ok_or(LogError::TooLong)?;
        }
        journal
            .file
            .write_at(journal.offset, &record)
            .and_then(|()| journal.file.flush())
            .map_err(|error| self.stop(&error))?;
        journal.offset += record.len() as u64;
        let mut state = lock(&self.state);
        Core::check(&state)?;
        state.entries.extend(entries.iter().cloned());
        state.durable = Commit { first, tree_size: size, checkpoint: note };
        if let Some(segment) = state.segments.back_mut() {
            segment.end = size;
        }
        Ok(state.durable.clone())
    }

    /// Goes on in a new segment.
    fn roll(&self, journal: &mut Journal) -> Result<(), LogError> {
        if lock(&self.state).segments.len() >= self.config.segments {
            self.publish()?;
        }
        let (number, spare, end) = {
            let mut state = lock(&self.state);
            Core::check(&state)?;
            let number = state.next_segment;
            state.next_segment += 1;
            (number, state.spares.pop(), state.durable.tree_size)
        };
        let path = segment_path(number);
        // Old records in a segment that is used again carry another number.
        let file = match spare {
            Some(spare) => {
                self.storage.rename(&spare, &path).and_then(|()| self.storage.open(&path))
            }
            None => self.storage.create(&path, self.config.segment_bytes),
        };
        let file = file.map_err(|error| self.stop(&error))?;
        *journal = Journal { file, segment: number, offset: 0 };
        lock(&self.state).segments.push_back(Segment { number, end });
        Ok(())
    }

    /// Has a spare segment ready, so that no commit waits for one to be made.
    ///
    /// # Errors
    /// [`LogError::Stopped`].
    pub fn prepare(&self) -> Result<(), LogError> {
        let number = {
            let mut state = lock(&self.state);
            Core::check(&state)?;
            if !state.spares.is_empty() {
                return Ok(());
            }
            state.next_segment += 1;
            state.next_segment - 1
        };
        let path = spare_path(number);
        self.storage.create(&path, self.config.segment_bytes).map_err(|error| self.stop(&error))?;
        lock(&self.state).spares.push(path);
        Ok(())
    }

    /// Writes tiles and the checkpoint of the newest durable size for readers, and gives back segments.
    ///
    /// # Errors
    /// [`LogError::Stopped`].
    pub fn publish(&self) -> Result<(), LogError> {
        let _one_at_a_time = lock(&self.publishing);
        let mut files = Vec::new();
        let mut outgrown = Vec::new();
        let (old, new) = {
            let state = lock(&self.state);
            Core::check(&state)?;
            let (old, new) = (state.published, state.durable.clone());
            if old < new.tree_size {
                collect(&state, old, new.tree_size, &mut files, &mut outgrown)
                    .ok_or_else(|| damaged("its tree has holes"))?;
            }
            (old, new)
        };
        if old < new.tree_size {
            let size = new.tree_size;
            let mut paths = Vec::with_capacity(files.len());
            let written = files.into_iter().try_for_each(|(path, bytes)| {
                self.storage.put(&path, &bytes)?;
                paths.push(path);
                Ok(())
            });
            written
                .and_then(|()| self.storage.flush(&paths))
                .and_then(|()| self.storage.replace(CHECKPOINT, new.checkpoint.as_bytes()))
                .map_err(|error| self.stop(&error))?;
            let mut state = lock(&self.state);
            state.published = size;
            let keep = size / TILE_WIDTH * TILE_WIDTH;
            let gone = usize::try_from(keep - state.entries_start).unwrap_or(0);
            state.entries.drain(..gone);
            state.entries_start = keep;
            for level in 0..8 {
                for n in place(old, level).0..place(size, level).0 {
                    state.tree.forget_later(level, n);
                }
            }
        }
        self.give_back(&outgrown).map_err(|error| self.stop(&error))
    }

    /// Removes what publication made needless: partial tiles beside full ones, and segments.
    fn give_back(&self, outgrown: &[String]) -> std::io::Result<()> {
        for folder in outgrown {
            self.storage.remove(folder)?;
        }
        loop {
            let (number, spares) = {
                let mut state = lock(&self.state);
                let done = state.segments.len() > 1
                    && state.segments.front().is_some_and(|oldest| oldest.end <= state.published);
                let Some(segment) = (if done { state.segments.pop_front() } else { None }) else {
                    return Ok(());
                };
                (segment.number, state.spares.len())
            };
            if spares < SPARES {
                let spare = spare_path(number);
                self.storage.rename(&segment_path(number), &spare)?;
                lock(&self.state).spares.push(spare);
            } else {
                self.storage.remove(&segment_path(number))?;
            }
        }
    }

    /// The newest durable commit.
    pub fn durable(&self) -> Commit {
        lock(&self.state).durable.clone()
    }

    /// Size of the tree that readers of the files see.
    pub fn published(&self) -> u64 {
        lock(&self.state).published
    }

    /// Why the log stopped, when it did.
    pub fn stopped(&self) -> Option<String> {
        lock(&self.state).stopped.clone()
    }

    /// Asks the tree, reading tiles that are not in memory.
    fn ask<T>(&self, question: impl Fn(&Tree) -> Result<T, Lookup>) -> Result<T, LogError> {
        loop {
            let (level, n) = match question(&lock(&self.state).tree) {
                Ok(answer) => return Ok(answer),
                Err(Lookup::Proof(error)) => return Err(error.into()),
                Err(Lookup::Absent(level, n)) => (level, n),
            };
            // Not under the lock: commits go on meanwhile.
            let hashes = read_tile(&*self.storage, level, n, TILE_WIDTH)?;
            lock(&self.state).tree.insert(level, n, &hashes);
        }
    }

    /// The proof that entry `index` is in the tree of a commit.
    ///
    /// # Errors
    /// [`LogError::Proof`] when it is not, [`LogError::Damaged`] when tiles on disk were changed.
    pub fn proof(&self, index: u64, commit: &Commit) -> Result<TlogProof, LogError> {
        let size = commit.tree_size;
        if size > lock(&self.state).durable.tree_size {
            return Err(merkle::ProofError::OutOfRange(index, size).into());
        }
        let (leaf, hashes, root) = self.ask(|tree| {
            let hashes = merkle::inclusion(tree, index, size)?;
            Ok((tree.hash(0, index)?, hashes, merkle::root(tree, size)?))
        })?;
        merkle::verify_inclusion(&leaf, index, size, &hashes, &root)
            .map_err(|_| damaged("a tile does not hash to the one above"))?;
        let checkpoint = commit.checkpoint.to_string();
        Ok(TlogProof { extra: None, index, hashes, checkpoint })
    }

    /// The proof that the tree of the older size is the beginning of that of the newer.
    ///
    /// # Errors
    /// [`LogError::Proof`] when a size is not durable.
    pub fn consistency(&self, old: u64, new: u64) -> Result<Vec<Hash>, LogError> {
        let size = lock(&self.state).durable.tree_size;
        if new > size {
            return Err(merkle::ProofError::OutOfRange(new, size).into());
        }
        self.ask(|tree| merkle::consistency(tree, old, new))
    }

    /// The bytes of an entry.
    ///
    /// # Errors
    /// [`LogError::Proof`] when it is not durable, [`LogError::Read`] or [`LogError::Damaged`].
    pub fn entry(&self, index: u64) -> Result<Arc<[u8]>, LogError> {
        {
            let state = lock(&self.state);
            let size = state.durable.tree_size;
            if index >= size {
                return Err(merkle::ProofError::OutOfRange(index, size).into());
            }
            if let Some(place) = index.checked_sub(state.entries_start) {
                let entry = usize::try_from(place).ok().and_then(|place| state.entries.get(place));
                return entry.cloned().ok_or_else(|| damaged("an entry in memory is gone"));
            }
        }
        let bytes =
            read(&*self.storage, &path(Kind::Entries, index / TILE_WIDTH, TILE_WIDTH), MAX_BUNDLE)?;
        let entries =
            parse_bundle(&bytes, TILE_WIDTH).map_err(|error| damaged(&error.to_string()))?;
        let place = usize::try_from(index % TILE_WIDTH).unwrap_or(0);
        let entry: Arc<[u8]> =
            Arc::from(*entries.get(place).ok_or_else(|| damaged("a short bundle"))?);
        if self.ask(|tree| tree.hash(0, index))? != leaf_hash(&entry) {
            return Err(damaged(&format!("entry {index} does not hash to its leaf")));
        }
        Ok(entry)
    }
}

/// Longest bundle: 256 entries with their lengths.
pub(crate) const MAX_BUNDLE: usize = 256 * (MAX_ENTRY + 2);

pub(crate) fn damaged(what: &str) -> LogError {
    LogError::Damaged(what.to_owned())
}

pub(crate) fn read(storage: &dyn Storage, path: &str, limit: usize) -> Result<Vec<u8>, LogError> {
    storage.read(path, limit).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => damaged(&format!("`{path}` is gone")),
        std::io::ErrorKind::InvalidData => damaged(&format!("`{path}` is too long")),
        _ => LogError::Read(format!("`{path}`: {error}")),
    })
}

pub(crate) fn read_tile(
    storage: &dyn Storage,
    level: u8,
    n: u64,
    width: u64,
) -> Result<Vec<Hash>, LogError> {
    let path = path(Kind::Hashes(level), n, width);
    let bytes = read(storage, &path, 8192)?;
    parse_tile(&bytes, width).map_err(|error| damaged(&format!("`{path}`: {error}")))
}

/// Number and width of the tile at the right edge of a level.
pub(crate) fn place(size: u64, level: u8) -> (u64, u64) {
    let hashes = size >> (8 * u32::from(level));
    (hashes / TILE_WIDTH, hashes % TILE_WIDTH)
}

/// Files of the tree of size `new` that the tree of size `old` does not have, and folders of partial ones that
/// are full now. A file that the older checkpoint needs is never written again.
fn collect(
    state: &State,
    old: u64,
    new: u64,
    files: &mut Vec<(String, Vec<u8>)>,
    outgrown: &mut Vec<String>,
) -> Option<()> {
    for level in 0..8 {
        let ((old_n, old_width), (new_n, new_width)) = (place(old, level), place(new, level));
        let kinds = [Some(Kind::Hashes(level)), (level == 0).then_some(Kind::Entries)];
        for kind in kinds.into_iter().flatten() {
            let contents = |n: u64, width: u64| match kind {
                Kind::Hashes(level) => state.tree.tile(level, n)?.bytes(width),
                Kind::Entries => {
                    let from =
                        usize::try_from((n * TILE_WIDTH).checked_sub(state.entries_start)?).ok()?;
                    let count = usize::try_from(width).ok()?;
                    let entries = state.entries.range(from..from.checked_add(count)?);
                    tiles::bundle(entries.map(|entry| &**entry))
                }
            };
            for n in old_n..new_n {
                files.push((path(kind, n, TILE_WIDTH), contents(n, TILE_WIDTH)?));
            }
            if new_width > 0 && (new_n, new_width) != (old_n, old_width) {
                files.push((path(kind, new_n, new_width), contents(new_n, new_width)?));
            }
            if old_n < new_n && old_width > 0 {
                outgrown.push(format!("{}.p", path(kind, old_n, TILE_WIDTH)));
            }
        }
    }
    Some(())
}

/// The ring of log keys that what is on disk may be signed by.
fn verification_keys(config: &LogConfig) -> Result<Keyring, LogError> {
    let mut ring = Keyring::new();
    for key in config.keys.of(Purpose::Log) {
        ring.add(key.clone())?;
    }
    let own = [
        Some(("this log's key", &config.key)),
        config.retiring.as_ref().map(|key| ("its last key", key)),
    ];
    for (id, key) in own.into_iter().flatten() {
        let known = ring.of(Purpose::Log).any(|other| {
            other.to_bytes() == key.public()
                && other.name.as_deref() == Some(config.origin.as_str())
        });
        if !known {
            ring.add(PublicKey::new(id, Purpose::Log, &key.public())?.named(&config.origin))?;
        }
    }
    Ok(ring)
}

/// Reads what is on disk.
struct Recovery<'a> {
    storage: &'a dyn Storage,
    origin: &'a str,
    keys: &'a Keyring,
}

struct Recovered {
    tree: Tree,
    entries: VecDeque<Arc<[u8]>>,
    entries_start: u64,
    checkpoint: String,
    published: u64,
    segments: VecDeque<Segment>,
    spares: Vec<String>,
    last_segment: u64,
}

impl Recovery<'_> {
    fn verified(&self, note: &str) -> Result<Checkpoint, LogError> {
        // Witnesses are not asked here, so no time is needed.
        match verify_checkpoint(note, Some(self.origin), self.keys, 0) {
            Ok(seen) => Ok(seen.checkpoint),
            Err(error) => Err(damaged(&error.to_string())),
        }
    }

    fn run(&self) -> Result<Recovered, LogError> {
        let mut found = self.published()?;
        let unreadable = |error: std::io::Error| LogError::Read(format!("`{JOURNAL}`: {error}"));
        let mut numbers = Vec::new();
        for name in self.storage.list(JOURNAL).map_err(unreadable)? {
            if let Some(number) = segment_number(&name, ".seg") {
                numbers.push(number);
                found.last_segment = found.last_segment.max(number);
            } else if let Some(number) = segment_number(&name, ".spare") {
                // Of an earlier run, and perhaps not whole: its size is not known to be ours.
                self.storage.remove(&spare_path(number)).map_err(unreadable)?;
                found.last_segment = found.last_segment.max(number);
            }
        }
        numbers.sort_unstable();
        for number in numbers {
            self.replay(number, &mut found)?;
        }
        Ok(found)
    }

    /// What the published checkpoint stands for.
    fn published(&self) -> Result<Recovered, LogError> {
        let mut found = Recovered {
            tree: Tree::default(),
            entries: VecDeque::new(),
            entries_start: 0,
            checkpoint: String::new(),
            published: 0,
            segments: VecDeque::new(),
            spares: Vec::new(),
            last_segment: 0,
        };
        let note = match self.storage.read(CHECKPOINT, crate::note::MAX_NOTE) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(found),
            Err(error) => return Err(LogError::Read(format!("`{CHECKPOINT}`: {error}"))),
            Ok(bytes) => {
                String::from_utf8(bytes).map_err(|_| damaged("`checkpoint` is no text"))?
            }
        };
        let checkpoint = self.verified(&note)?;
        let size = checkpoint.size;
        let mut edge = Vec::new();
        for level in 0..8 {
            let (n, width) = place(size, level);
            if width > 0 {
                edge.push((level, n, read_tile(self.storage, level, n, width)?));
            }
        }
        let tree = Tree::from_edge(size, edge);
        if merkle::root(&tree, size).ok() != Some(checkpoint.root) {
            return Err(damaged(
                "the tiles at its right edge do not hash to the published checkpoint",
            ));
        }
        let (n, width) = place(size, 0);
        if width > 0 {
            let name = path(Kind::Entries, n, width);
            let bytes = read(self.storage, &name, MAX_BUNDLE)?;
            let entries = parse_bundle(&bytes, width)
                .map_err(|error| damaged(&format!("`{name}`: {error}")))?;
            for (place, entry) in (n * TILE_WIDTH..).zip(entries) {
                if tree.hash(0, place).ok() != Some(leaf_hash(entry)) {
                    return Err(damaged(&format!(
                        "`{name}`: entry {place} does not hash to its leaf"
                    )));
                }
                found.entries.push_back(Arc::from(entry));
            }
        }
        found.entries_start = n * TILE_WIDTH;
        found.tree = tree;
        found.checkpoint = note;
        found.published = size;
        Ok(found)
    }

    /// Takes in what a segment has beyond what is known.
    fn replay(&self, number: u64, found: &mut Recovered) -> Result<(), LogError> {
        let name = segment_path(number);
        let bytes = read(self.storage, &name, MAX_SEGMENT as usize)?;
        let mut at = 0;
        while let Some(record) = journal::decode(number, &bytes, at) {
            let known = found.tree.size();
            let end = record.first + record.entries.len() as u64;
            at = record.end;
            if end <= known {
                continue;
            }
            if record.first != known {
                return Err(damaged(&format!(
                    "entries {known} to {} are missing: the published checkpoint was put back, or a journal \
                     segment removed",
                    record.first.saturating_sub(1)
                )));
            }
            for entry in &record.entries {
                found.tree.append(leaf_hash(entry));
                found.entries.push_back(Arc::from(*entry));
            }
            let checkpoint = self.verified(record.checkpoint)?;
            let root = merkle::root(&found.tree, end).ok();
            if checkpoint.size != end || Some(checkpoint.root) != root {
                return Err(damaged(&format!(
                    "`{name}`: a record does not hash to its checkpoint"
                )));
            }
            found.checkpoint = record.checkpoint.to_owned();
        }
        // A crash spoils the last record alone. The checkpoint must verify, since entries are not ours to trust.
        let size = found.tree.size();
        for later in (at..bytes.len()).step_by(ALIGNMENT).skip(1) {
            let Some(record) = journal::decode(number, &bytes, later) else { continue };
            if self.verified(record.checkpoint).is_ok_and(|checkpoint| checkpoint.size > size) {
                return Err(damaged(&format!(
                    "`{name}`: the record after entry {size} is spoilt, and later ones are not"
                )));
            }
        }
        found.segments.push_back(Segment { number, end: size });
        Ok(())
    }
}

type Callback = Box<dyn FnOnce(Result<Durable, LogError>) + Send>;

enum Outcome {
    Waiting(Vec<(u64, Callback)>),
    Done(Result<Commit, LogError>),
}

struct Batch {
    outcome: Mutex<Outcome>,
    done: Condvar,
}

impl Batch {
    fn new() -> Arc<Batch> {
        Arc::new(Batch { outcome: Mutex::new(Outcome::Waiting(Vec::new())), done: Condvar::new() })
    }

    fn finish(&self, result: &Result<Commit, LogError>) {
        let before = std::mem::replace(&mut *lock(&self.outcome), Outcome::Done(result.clone()));
        self.done.notify_all();
        if let Outcome::Waiting(callbacks) = before {
            for (offset, callback) in callbacks {
                contained(|| callback(durable_at(result, offset)));
            }
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
}

impl Ticket {
    /// Waits until the entry is durable.
    ///
    /// # Errors
    /// [`LogError::Timeout`], or why the log stopped.
    pub fn wait(&self, timeout: Duration) -> Result<Durable, LogError> {
        let outcome = lock(&self.batch.outcome);
        let waited = self
            .batch
            .done
            .wait_timeout_while(outcome, timeout, |outcome| matches!(outcome, Outcome::Waiting(_)));
        let (outcome, _) = waited.unwrap_or_else(PoisonError::into_inner);
        match &*outcome {
            Outcome::Waiting(_) => Err(LogError::Timeout),
            Outcome::Done(result) => durable_at(result, self.offset),
        }
    }

    /// Calls back once when the entry is durable or lost: on the committer's thread, or now when it is decided.
    /// The callback must be quick and must not wait for the log.
    pub fn on_done(&self, callback: impl FnOnce(Result<Durable, LogError>) + Send + 'static) {
        let result = match &mut *lock(&self.batch.outcome) {
            Outcome::Waiting(callbacks) => {
                callbacks.push((self.offset, Box::new(callback)));
                return;
            }
            Outcome::Done(result) => durable_at(result, self.offset),
        };
        callback(result);
    }
}

struct Waiting {
    entries: Vec<Arc<[u8]>>,
    bytes: usize,
    batch: Arc<Batch>,
}

#[derive(Default)]
struct Queue {
    batches: VecDeque<Waiting>,
    bytes: usize,
    closed: bool,
}

struct Shared {
    core: Core,
    queue: Mutex<Queue>,
    arrived: Condvar,
    // Whether the publisher is to run now (true), and whether to end.
    publisher: Mutex<(bool, bool)>,
    publish: Condvar,
    max_batch: usize,
    watchers: Mutex<Vec<Box<dyn Fn(&Commit) + Send>>>,
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
        let shared = Arc::new(Shared {
            core,
            queue: Mutex::default(),
            arrived: Condvar::new(),
            publisher: Mutex::new((false, false)),
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
    /// [`LogError::TooLong`], [`LogError::Full`], [`LogError::Closed`] or [`LogError::Stopped`]: the entry was
    /// not taken.
    pub fn append(&self, entry: impl Into<Arc<[u8]>>) -> Result<Ticket, LogError> {
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
        if queue.bytes + cost > self.shared.core.config.queue_bytes {
            return Err(LogError::Full);
        }
        queue.bytes += cost;
        let fits =
            queue.batches.back().is_some_and(|last| last.bytes + cost <= self.shared.max_batch);
        if !fits {
            queue.batches.push_back(Waiting { entries: Vec::new(), bytes: 0, batch: Batch::new() });
        }
        let Some(last) = queue.batches.back_mut() else { return Err(LogError::Closed) };
        let ticket = Ticket { batch: last.batch.clone(), offset: last.entries.len() as u64 };
        last.entries.push(entry);
        last.bytes += cost;
        drop(queue);
        self.shared.arrived.notify_one();
        Ok(ticket)
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
        lock(&self.shared.publisher).1 = true;
        self.shared.publish.notify_all();
        for thread in threads {
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// The committer: everything that waits becomes one record.
    fn commits(&self) {
        while let Some(waiting) = self.next_batch() {
            let result = self.core.commit(&waiting.entries);
            lock(&self.queue).bytes -= waiting.bytes;
            if let Ok(commit) = &result {
                for watcher in lock(&self.watchers).iter() {
                    contained(|| watcher(commit));
                }
                if commit.tree_size - self.core.published() > PUBLISH_EARLY {
                    lock(&self.publisher).0 = true;
                    self.publish.notify_one();
                }
            }
            waiting.batch.finish(&result);
        }
    }

    fn next_batch(&self) -> Option<Waiting> {
        let mut queue = lock(&self.queue);
        while queue.batches.is_empty() {
            if queue.closed {
                return None;
            }
            queue = self.arrived.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        let interval = self.core.config.interval;
        let start = Instant::now();
        while queue.batches.len() == 1 && !queue.closed {
            let Some(left) = interval.checked_sub(start.elapsed()).filter(|left| !left.is_zero())
            else {
                break;
            };
            let waited = self.arrived.wait_timeout(queue, left);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        queue.batches.pop_front()
    }

    /// The publisher: at intervals, or when told.
    fn publishes(&self) {
        let interval = self.core.config.publish_interval;
        loop {
            // Errors stop the log, and whoever appends next is told.
            let _ = self.core.prepare();
            let wanted = lock(&self.publisher);
            let waited =
                self.publish.wait_timeout_while(wanted, interval, |(now, end)| !*now && !*end);
            let (mut wanted, _) = waited.unwrap_or_else(PoisonError::into_inner);
            wanted.0 = false;
            let end = wanted.1;
            drop(wanted);
            let _ = self.core.publish();
            if end {
                return;
            }
        }
    }
}
