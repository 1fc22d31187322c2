//! Opening what is on disk: the published tree, then the journal beyond it; damage told apart from a crash.

use std::collections::VecDeque;

use crate::journal::{self, ALIGNMENT};
use crate::kept::Kept;
use crate::keys::{Keyring, PublicKey, Purpose};
use crate::log::{LogConfig, LogError};
use crate::merkle::{self, leaf_hash, Hashes};
use crate::note::{verify_checkpoint, Checkpoint};
use crate::storage::Storage;
use crate::tiles::{parse_bundle, path, Kind, TILE_WIDTH};
use crate::tree::Tree;
use crate::writer::{
    damaged, place, read, read_tile, segment_number, segment_path, spare_path, Segment, CHECKPOINT,
    JOURNAL, MAX_BUNDLE, MAX_SEGMENT,
};

/// The ring of log keys that what is on disk may be signed by.
pub(crate) fn verification_keys(config: &LogConfig) -> Result<Keyring, LogError> {
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
pub(crate) struct Recovery<'a> {
    pub(crate) storage: &'a dyn Storage,
    pub(crate) origin: &'a str,
    pub(crate) keys: &'a Keyring,
}

pub(crate) struct Recovered {
    pub(crate) tree: Tree,
    pub(crate) entries: VecDeque<Kept>,
    pub(crate) entries_start: u64,
    pub(crate) checkpoint: String,
    pub(crate) published: u64,
    pub(crate) segments: VecDeque<Segment>,
    pub(crate) spares: Vec<String>,
    pub(crate) last_segment: u64,
    /// Nothing was there: neither a checkpoint nor a journal.
    pub(crate) new: bool,
}

impl Recovery<'_> {
    fn verified(&self, note: &str) -> Result<Checkpoint, LogError> {
        // Witnesses are not asked here, so no time is needed.
        match verify_checkpoint(note, Some(self.origin), self.keys, 0) {
            Ok(seen) => Ok(seen.checkpoint),
            Err(error) => Err(damaged(&error.to_string())),
        }
    }

    pub(crate) fn run(&self) -> Result<Recovered, LogError> {
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
        found.new = found.checkpoint.is_empty() && numbers.is_empty();
        for number in numbers {
            self.replay(number, &mut found)?;
        }
        // Tiles are written of what the journal has: a tree without entries beside them is not new, it was put back.
        if found.tree.size() == 0 && self.holds_tiles()? {
            return Err(damaged(
                "there are tiles, and neither a checkpoint nor a journal of their entries: they were removed, so \
                 put them back from a copy or begin a ledger in another folder",
            ));
        }
        Ok(found)
    }

    /// Whether there is a beginning of a tree: its first tile, whole or in part.
    fn holds_tiles(&self) -> Result<bool, LogError> {
        for kind in [Kind::Entries, Kind::Hashes(0)] {
            let whole = path(kind, 0, TILE_WIDTH);
            let parts = self.storage.list(&format!("{whole}.p"));
            let unreadable = |error| LogError::Read(format!("`{whole}`: {error}"));
            if !parts.map_err(unreadable)?.is_empty() {
                return Ok(true);
            }
            match self.storage.read(&whole, 0) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                // Longer than nothing.
                Ok(_) => return Ok(true),
                Err(error) if error.kind() == std::io::ErrorKind::InvalidData => return Ok(true),
                Err(error) => return Err(unreadable(error)),
            }
        }
        Ok(false)
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
            new: false,
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
                found.entries.push_back(Kept::copy(entry));
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
            for (entry, leaf) in record.entries.iter().zip(&record.leaves) {
                found.tree.append(*leaf);
                found.entries.push_back(Kept::copy(entry));
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
        for later in (at..bytes.len()).step_by(ALIGNMENT) {
            if journal::end_of_foreign(number, &bytes, later).is_some_and(|end| end > size) {
                return Err(damaged(&format!(
                    "`{name}` was written by another version and holds entries that are not in tiles yet: open and \
                     close the ledger once with that version"
                )));
            }
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
