//! The log without its threads: commits, publishes and proves when it is told to.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use crate::head::{Head, HEAD};
use crate::journal;
use crate::kept::Kept;
use crate::keys::{is_note_name, Keyring, PublicKey, Purpose};
use crate::log::{lock, Commit, LogConfig, LogError};
use crate::merkle::{self, leaf_hash, Hash, Hashes};
use crate::note::{verify_checkpoint, Checkpoint};
use crate::recovery::{verification_keys, Recovery};
use crate::storage::{File, Storage};
use crate::tiles::{self, parse_bundle, parse_tile, path, Kind, TlogProof, MAX_ENTRY, TILE_WIDTH};
use crate::tree::{Lookup, Tree};

/// Smallest segment: the longest entry must fit with room to spare.
const MIN_SEGMENT: u64 = 256 << 10;

/// Largest segment: it is read whole at opening.
pub(crate) const MAX_SEGMENT: u64 = 1 << 30;
/// Spare segments that are kept for reuse.
const SPARES: usize = 2;

pub(crate) const CHECKPOINT: &str = "checkpoint";
pub(crate) const JOURNAL: &str = "journal";

#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) number: u64,
    // Size of the tree after its last record.
    pub(crate) end: u64,
}

struct State {
    tree: Tree,
    // Entries from `entries_start`, a multiple of 256.
    entries: VecDeque<Kept>,
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
    head: Head,
}

/// The log without its threads. [`crate::log::Log`] is what services use.
pub struct Core {
    storage: Arc<dyn Storage>,
    pub(crate) config: LogConfig,
    state: Mutex<State>,
    journal: Mutex<Journal>,
    publishing: Mutex<()>,
}

pub(crate) fn segment_path(number: u64) -> String {
    format!("{JOURNAL}/{number:016}.seg")
}

pub(crate) fn spare_path(number: u64) -> String {
    format!("{JOURNAL}/{number:016}.spare")
}

/// The number in the name of a segment or spare.
pub(crate) fn segment_number(name: &str, ending: &str) -> Option<u64> {
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
        let size = recovered.tree.size();
        // A key takes over once: at a later start the last key is only known, and signs nothing beyond its size.
        let retiring = config.retiring.as_ref().filter(|_| {
            let own = PublicKey::new("this log's key", Purpose::Log, &config.key.public());
            let mut ring = Keyring::new();
            let ready = own.and_then(|own| ring.add(own.named(&config.origin)));
            ready.is_err() || verify_checkpoint(&recovered.checkpoint, None, &ring, 0).is_err()
        });
        if size == 0 || retiring.is_some() {
            let root =
                merkle::root(&recovered.tree, size).map_err(|_| damaged("its tree has holes"))?;
            let checkpoint = Checkpoint { origin: config.origin.clone(), size, root };
            let signers: Vec<_> = std::iter::once(&config.key).chain(retiring).collect();
            recovered.checkpoint = checkpoint.sign(&signers);
        }
        let stop = |error: std::io::Error| LogError::Stopped(error.to_string());
        if retiring.is_some() {
            let path = format!("handover/{size}");
            storage.replace(&path, recovered.checkpoint.as_bytes()).map_err(stop)?;
            // Where tiles are missing it is published with them.
            if recovered.published == size {
                storage.replace(CHECKPOINT, recovered.checkpoint.as_bytes()).map_err(stop)?;
            }
        }
        let written_by: Vec<_> =
            std::iter::once(&config.key).chain(config.retiring.as_ref()).collect();
        let head = Head::open(&*storage, recovered.new, size, &written_by)?;
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
            journal: Mutex::new(Journal { file, segment: number, offset: 0, head }),
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
    pub fn commit<E: AsRef<[u8]>>(&self, entries: &[E]) -> Result<Commit, LogError> {
        let entries: Vec<&[u8]> = entries.iter().map(AsRef::as_ref).collect();
        let leaves: Vec<Hash> = entries.iter().map(|entry| leaf_hash(entry)).collect();
        self.commit_hashed(&entries, &leaves)
    }

    /// As [`Core::commit`], for entries whose leaf hashes are known.
    pub(crate) fn commit_hashed(
        &self,
        entries: &[&[u8]],
        leaves: &[Hash],
    ) -> Result<Commit, LogError> {
        if entries.iter().any(|entry| entry.len() > MAX_ENTRY) {
            return Err(LogError::TooLong);
        }
        let bytes = tiles::bundle_length(entries.iter().copied());
        if (bytes + journal::OVERHEAD) as u64 > self.config.segment_bytes {
            return Err(LogError::TooLong);
        }
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
                state.tree.append(*leaf);
            }
            let size = state.tree.size();
            let root = merkle::root(&state.tree, size);
            (first, size, root.map_err(|_| damaged("its tree has holes"))?)
        };
        let checkpoint = Checkpoint { origin: self.config.origin.clone(), size, root };
        let note: Arc<str> = Arc::from(checkpoint.sign(&[&self.config.key]));
        let encode = |segment| journal::encode(segment, first, entries, leaves, &note);
        let mut record = encode(journal.segment).ok_or(LogError::TooLong)?;
        let length = record.bytes().len() as u64;
        if journal.offset + length > self.config.segment_bytes {
            self.roll(&mut journal)?;
            record = encode(journal.segment).ok_or(LogError::TooLong)?;
        }
        journal
            .file
            .write_durably(journal.offset, record.bytes())
            .map_err(|error| self.stop(&error))?;
        journal.offset += length;
        journal.head.note(size).map_err(|error| self.stop(&error))?;
        let (buffer, places) = record.into_places(entries.iter().map(|entry| entry.len()));
        let mut state = lock(&self.state);
        Core::check(&state)?;
        state.entries.extend(Kept::all(buffer, places));
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
        (journal.file, journal.segment, journal.offset) = (file, number, 0);
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

    /// Whether there is a spare segment.
    pub(crate) fn prepared(&self) -> bool {
        !lock(&self.state).spares.is_empty()
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
            let mut paths = Vec::with_capacity(files.len() + 1);
            paths.push(HEAD.to_owned());
            let written = files.into_iter().try_for_each(|(path, contents)| {
                let bytes = contents.bytes().ok_or(std::io::ErrorKind::InvalidData)?;
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
            let gone = gone.min(state.entries.len());
            let later = state.entries.split_off(gone);
            let gone = std::mem::replace(&mut state.entries, later);
            state.entries_start = keep;
            for level in 0..8 {
                for n in place(old, level).0..place(size, level).0 {
                    state.tree.forget_later(level, n);
                }
            }
            drop(state);
            // Thousands of entries, which no commit has to wait for.
            drop(gone);
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
                let entry = entry.ok_or_else(|| damaged("an entry in memory is gone"))?;
                return Ok(Arc::from(entry.bytes()));
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

/// What a file is made of. Entries are put together when it is written: under the lock, sixteen megabytes of them kept
/// every commit waiting for some 8 ms.
enum Contents {
    Hashes(Vec<u8>),
    Entries(Vec<Kept>),
}

impl Contents {
    fn bytes(self) -> Option<Vec<u8>> {
        match self {
            Contents::Hashes(bytes) => Some(bytes),
            Contents::Entries(entries) => tiles::bundle(entries.iter().map(Kept::bytes)),
        }
    }
}

/// Files of the tree of size `new` that the tree of size `old` does not have, and folders of partial ones that
/// are full now. A file that the older checkpoint needs is never written again.
fn collect(
    state: &State,
    old: u64,
    new: u64,
    files: &mut Vec<(String, Contents)>,
    outgrown: &mut Vec<String>,
) -> Option<()> {
    for level in 0..8 {
        let ((old_n, old_width), (new_n, new_width)) = (place(old, level), place(new, level));
        let kinds = [Some(Kind::Hashes(level)), (level == 0).then_some(Kind::Entries)];
        for kind in kinds.into_iter().flatten() {
            let contents = |n: u64, width: u64| match kind {
                Kind::Hashes(level) => {
                    Some(Contents::Hashes(state.tree.tile(level, n)?.bytes(width)?))
                }
                Kind::Entries => {
                    let from =
                        usize::try_from((n * TILE_WIDTH).checked_sub(state.entries_start)?).ok()?;
                    let count = usize::try_from(width).ok()?;
                    let entries = state.entries.range(from..from.checked_add(count)?);
                    Some(Contents::Entries(entries.cloned().collect()))
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
