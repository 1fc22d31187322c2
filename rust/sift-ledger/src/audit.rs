//! Reading a whole ledger: do its entries hash to what was signed, and is it the ledger that others saw?
//!
//! Nothing but the folder, public keys, and checkpoints that were kept elsewhere is needed; a receipt's proof
//! carries one. The answer says what was done to the ledger, as far as that can be told.

use crate::keys::Keyring;
use crate::log::LogError;
use crate::merkle::{self, leaf_hash};
use crate::note::{verify_checkpoint, NoteError, VerifiedCheckpoint, MAX_NOTE};
use crate::storage::Storage;
use crate::text::from_decimal;
use crate::tiles::{parse_bundle, parse_tile, path, Kind, TILE_WIDTH};
use crate::tree::Tree;
use crate::writer::{place, read, MAX_BUNDLE};

/// What was done to a ledger.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// The checkpoint is not signed by the log's key, or not by one that may sign at this size.
    #[error("re-signed: {0}")]
    Resigned(NoteError),
    /// Entries or tiles are not what was signed; whoever did it did not have the log's key.
    #[error("altered: {0}")]
    Altered(String),
    /// The ledger is shorter than one that the log signed.
    #[error("cut: the ledger has {size} entries, and the log signed a checkpoint for {seen}")]
    Cut {
        /// Entries there are.
        size: u64,
        /// Entries there were.
        seen: u64,
    },
    /// The log signed two histories that part ways.
    #[error(
        "forked: entries up to {same} are those that were signed before, and somewhere up to {other} they \
         are not: the log's key signed two histories"
    )]
    Forked {
        /// The largest size at which both are the same.
        same: u64,
        /// The smallest known size at which they are not.
        other: u64,
    },
    /// Nothing is as the log signed it before.
    #[error(
        "rebuilt: no checkpoint that was kept agrees, the smallest for {other} entries: the log's key signed \
         another history from its beginning, or from somewhere before that"
    )]
    Rebuilt {
        /// The smallest known size at which they differ.
        other: u64,
    },
    /// A checkpoint that was kept is none of this log's, so nothing can be told from it.
    #[error("checkpoint {0} that was kept cannot be used: {1}")]
    Seen(usize, NoteError),
    /// A file cannot be read.
    #[error("{0}")]
    Read(String),
}

/// A ledger that is what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// Its checkpoint, and who signed it.
    pub checkpoint: VerifiedCheckpoint,
    /// How many kept checkpoints agree with it, hand-overs of keys in the ledger counted.
    pub agreeing: usize,
}

impl From<LogError> for AuditError {
    fn from(error: LogError) -> AuditError {
        match error {
            LogError::Damaged(what) => AuditError::Altered(what),
            other => AuditError::Read(other.to_string()),
        }
    }
}

/// Reads every entry of a ledger up to its published checkpoint.
///
/// `seen`: checkpoints kept elsewhere, as signed notes. `now`: milliseconds since 1970. `each` is given every
/// entry with its place.
///
/// # Errors
/// [`AuditError`] says what was done to the ledger.
pub fn audit(
    storage: &dyn Storage,
    keys: &Keyring,
    origin: Option<&str>,
    seen: &[String],
    now: i64,
    each: &mut dyn FnMut(u64, &[u8]),
) -> Result<Audit, AuditError> {
    let text = |bytes: Vec<u8>| {
        String::from_utf8(bytes)
            .map_err(|_| AuditError::Altered("a checkpoint is no text".to_owned()))
    };
    let note = text(read(storage, "checkpoint", MAX_NOTE)?)?;
    let checkpoint = verify_checkpoint(&note, origin, keys, now).map_err(AuditError::Resigned)?;
    let (size, root) = (checkpoint.checkpoint.size, checkpoint.checkpoint.root);
    let mut kept = Vec::new();
    for (number, note) in seen.iter().enumerate() {
        let one = verify_checkpoint(note, Some(&checkpoint.checkpoint.origin), keys, now);
        kept.push(one.map_err(|error| AuditError::Seen(number + 1, error))?.checkpoint);
    }
    for name in storage.list("handover").map_err(|error| AuditError::Read(error.to_string()))? {
        if from_decimal(&name).is_none() {
            continue;
        }
        let note = text(read(storage, &format!("handover/{name}"), MAX_NOTE)?)?;
        let one = verify_checkpoint(&note, Some(&checkpoint.checkpoint.origin), keys, now);
        kept.push(one.map_err(AuditError::Resigned)?.checkpoint);
    }
    kept.sort_by_key(|one| one.size);
    if let Some(longest) = kept.last().filter(|longest| longest.size > size) {
        return Err(AuditError::Cut { size, seen: longest.size });
    }

    let mut tree = Tree::default();
    let mut ahead = kept.iter().peekable();
    let (mut same, mut other, mut agreeing) = (0, None, 0);
    let holes = || AuditError::Altered("the tree has holes".to_owned());
    let mut compare = |tree: &Tree| -> Result<(), AuditError> {
        while let Some(one) = ahead.next_if(|one| one.size == tree.size()) {
            if merkle::root(tree, one.size).map_err(|_| holes())? == one.root {
                same = one.size;
                agreeing += 1;
            } else if other.is_none() {
                other = Some(one.size);
            }
        }
        Ok(())
    };
    compare(&tree)?;
    let (last, rest) = place(size, 0);
    for n in 0..=last {
        let width = if n < last { TILE_WIDTH } else { rest };
        if width == 0 {
            break;
        }
        let (name, width_there, bytes) = grown(storage, Kind::Entries, n, width)?;
        let entries = parse_bundle(&bytes, width_there)
            .map_err(|error| AuditError::Altered(format!("`{name}`: {error}")))?;
        let (name, width_there, bytes) = grown(storage, Kind::Hashes(0), n, width)?;
        let hashes = parse_tile(&bytes, width_there)
            .map_err(|error| AuditError::Altered(format!("`{name}`: {error}")))?;
        let count = usize::try_from(width).unwrap_or(0);
        for (entry, hash) in entries.iter().zip(hashes).take(count) {
            let index = tree.size();
            let leaf = leaf_hash(entry);
            if leaf != hash {
                return Err(AuditError::Altered(format!(
                    "entry {index} does not hash to its leaf"
                )));
            }
            each(index, entry);
            tree.append(leaf);
            compare(&tree)?;
        }
        // Tiles that this bundle completed, and at the end those at the right edge.
        for level in 0..8 {
            let (edge, partial) = place(tree.size(), level);
            let whole = partial == 0 && tree.size().is_multiple_of(1 << (8 * u32::from(level)));
            if level > 0 && whole && edge > 0 {
                check_tile(storage, &tree, level, edge - 1, TILE_WIDTH)?;
            }
            if partial > 0 && tree.size() == size {
                if level > 0 {
                    check_tile(storage, &tree, level, edge, partial)?;
                }
                check_older(storage, &tree, level, edge, partial)?;
            }
            if whole && edge > 0 {
                tree.forget_later(level, edge - 1);
            }
        }
    }
    if merkle::root(&tree, size).map_err(|_| holes())? != root {
        return Err(AuditError::Altered(format!(
            "entries and tiles agree with one another, and not with the signed root of size {size}"
        )));
    }
    match (other, same) {
        (None, _) => Ok(Audit { checkpoint, agreeing }),
        (Some(other), 0) => Err(AuditError::Rebuilt { other }),
        (Some(other), same) => Err(AuditError::Forked { same: same.min(other), other }),
    }
}

/// Name, width and bytes of a tile or bundle. A partial one that is gone may have become full meanwhile: a ledger
/// is audited while it is written.
fn grown(
    storage: &dyn Storage,
    kind: Kind,
    n: u64,
    width: u64,
) -> Result<(String, u64, Vec<u8>), AuditError> {
    let limit = if kind == Kind::Entries { MAX_BUNDLE } else { 8192 };
    let name = path(kind, n, width);
    let partial = read(storage, &name, limit);
    if width < TILE_WIDTH && matches!(partial, Err(LogError::Damaged(_))) {
        let full = path(kind, n, TILE_WIDTH);
        if let Ok(bytes) = read(storage, &full, limit) {
            return Ok((full, TILE_WIDTH, bytes));
        }
    }
    Ok((name, width, partial?))
}

/// The partial tiles and bundles at the right edge that checkpoints before this one needed: what is left of them says
/// what it said then. One that is wider than `width` is of a ledger that grew meanwhile.
fn check_older(
    storage: &dyn Storage,
    tree: &Tree,
    level: u8,
    n: u64,
    width: u64,
) -> Result<(), AuditError> {
    let older = |kind: Kind| -> Result<Vec<u64>, AuditError> {
        let folder = format!("{}.p", path(kind, n, TILE_WIDTH));
        let names = storage.list(&folder).map_err(|error| AuditError::Read(error.to_string()))?;
        let widths = names.iter().filter_map(|name| from_decimal(name));
        Ok(widths.filter(|one| (1..width).contains(one)).collect())
    };
    for one in older(Kind::Hashes(level))? {
        check_tile(storage, tree, level, n, one)?;
    }
    if level > 0 {
        return Ok(());
    }
    for one in older(Kind::Entries)? {
        let (name, width_there, bytes) = grown(storage, Kind::Entries, n, one)?;
        let entries = parse_bundle(&bytes, width_there)
            .map_err(|error| AuditError::Altered(format!("`{name}`: {error}")))?;
        let count = usize::try_from(one).unwrap_or(0);
        let hashes: Vec<_> = entries.iter().take(count).map(|entry| leaf_hash(entry)).collect();
        if tree.tile(0, n).and_then(|tile| tile.bytes(one)) != Some(hashes.concat()) {
            return Err(AuditError::Altered(format!("`{name}` is not what its entries are now")));
        }
    }
    Ok(())
}

fn check_tile(
    storage: &dyn Storage,
    tree: &Tree,
    level: u8,
    n: u64,
    width: u64,
) -> Result<(), AuditError> {
    let (name, width_there, bytes) = grown(storage, Kind::Hashes(level), n, width)?;
    let hashes = parse_tile(&bytes, width_there)
        .map_err(|error| AuditError::Altered(format!("`{name}`: {error}")))?;
    let same = tree.tile(level, n).and_then(|tile| tile.bytes(width)).is_some_and(|own| {
        own.as_chunks::<32>().0.iter().eq(hashes.iter().take(usize::try_from(width).unwrap_or(0)))
    });
    if same {
        return Ok(());
    }
    Err(AuditError::Altered(format!("`{name}` does not hash to the tile below")))
}
