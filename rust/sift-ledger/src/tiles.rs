//! Tiles, entry bundles and proofs in the files that other tools read.
//!
//! <https://c2sp.org/tlog-tiles> for paths and contents, <https://c2sp.org/tlog-proof> for the proof of one entry
//! in one text file.

use std::fmt::Write as _;

use crate::merkle::{Hash, MAX_PROOF};
use crate::text;

/// Hashes of a full tile, entries of a full bundle.
pub const TILE_WIDTH: u64 = 256;

/// Longest entry, in bytes: its length has 16 bits in a bundle.
pub const MAX_ENTRY: usize = 65_535;

/// Bytes of an entry's length in a bundle.
pub(crate) const LENGTH: usize = size_of::<u16>();

/// Longest proof file that is read, in bytes.
pub const MAX_PROOF_FILE: usize = 256 << 10;

/// First line of a proof.
const MAGIC: &str = "c2sp.org/tlog-proof@v1";

/// Why a tile, bundle or proof cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TileError {
    /// A bundle does not hold the entries that its name says.
    #[error("no entry bundle of {0} entries")]
    Bundle(u64),
    /// A tile does not hold the hashes that its name says.
    #[error("no tile of {0} hashes")]
    Tile(u64),
    /// It is no proof.
    #[error("no tlog-proof: {0}")]
    Proof(&'static str),
}

/// What a tile holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Hashes of a level; level 0 is leaf hashes.
    Hashes(u8),
    /// Entries.
    Entries,
}

/// The path of tile `n`, below the ledger's folder. `width`: 256 for a full tile, 1 to 255 for a partial one.
///
/// ```
/// use sift_ledger::tiles::{path, Kind};
/// assert_eq!(path(Kind::Hashes(0), 1_234_067, 256), "tile/0/x001/x234/067");
/// assert_eq!(path(Kind::Entries, 273, 112), "tile/entries/273.p/112");
/// ```
pub fn path(kind: Kind, n: u64, width: u64) -> String {
    let mut parts = vec![format!("{:03}", n % 1000)];
    let mut rest = n / 1000;
    while rest > 0 {
        parts.push(format!("x{:03}", rest % 1000));
        rest /= 1000;
    }
    parts.reverse();
    let mut path = match kind {
        Kind::Hashes(level) => format!("tile/{level}/{}", parts.join("/")),
        Kind::Entries => format!("tile/entries/{}", parts.join("/")),
    };
    if width < TILE_WIDTH {
        // Writing to a String cannot fail.
        let _ = write!(path, ".p/{width}");
    }
    path
}

/// Entries one after the other, each behind its length. `None` when one is longer than [`MAX_ENTRY`].
pub fn bundle<'a, I>(entries: I) -> Option<Vec<u8>>
where
    I: IntoIterator<Item = &'a [u8]>,
    I::IntoIter: Clone,
{
    let entries = entries.into_iter();
    // Megabytes at a publication: growing step by step copied each of them once more.
    let mut out = Vec::with_capacity(bundle_length(entries.clone()));
    write_bundle(entries, &mut out)?;
    Some(out)
}

/// How many bytes a bundle of these entries has.
pub(crate) fn bundle_length<'a>(entries: impl Iterator<Item = &'a [u8]>) -> usize {
    entries.map(|entry| entry.len() + LENGTH).sum()
}

/// As [`bundle`], behind what is there; `None` leaves a part of it.
pub(crate) fn write_bundle<'a>(
    entries: impl Iterator<Item = &'a [u8]>,
    out: &mut Vec<u8>,
) -> Option<()> {
    for entry in entries {
        out.extend_from_slice(&u16::try_from(entry.len()).ok()?.to_be_bytes());
        out.extend_from_slice(entry);
    }
    Some(())
}

/// The entries of a bundle, in order.
///
/// # Errors
/// [`TileError::Bundle`] when there are not exactly `width`.
pub fn parse_bundle(bytes: &[u8], width: u64) -> Result<Vec<&[u8]>, TileError> {
    let wrong = || TileError::Bundle(width);
    let mut entries = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (length, more) = rest.split_first_chunk::<LENGTH>().ok_or_else(wrong)?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (entry, more) = more.split_at_checked(length).ok_or_else(wrong)?;
        entries.push(entry);
        rest = more;
        if entries.len() as u64 > width {
            return Err(wrong());
        }
    }
    if entries.len() as u64 != width {
        return Err(wrong());
    }
    Ok(entries)
}

/// The hashes of a tile.
///
/// # Errors
/// [`TileError::Tile`] when there are not exactly `width`.
pub fn parse_tile(bytes: &[u8], width: u64) -> Result<Vec<Hash>, TileError> {
    let (hashes, rest) = bytes.as_chunks::<32>();
    if !rest.is_empty() || hashes.len() as u64 != width {
        return Err(TileError::Tile(width));
    }
    Ok(hashes.to_vec())
}

/// The proof that an entry is in the log: `.tlog-proof`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlogProof {
    /// Opaque data, not authenticated by the proof. Receipts put their envelope here, so that one file is all.
    pub extra: Option<Vec<u8>>,
    /// Place of the entry, from 0.
    pub index: u64,
    /// Siblings from the leaf upwards.
    pub hashes: Vec<Hash>,
    /// The signed checkpoint.
    pub checkpoint: String,
}

impl TlogProof {
    /// The text of the file.
    pub fn to_text(&self) -> String {
        let mut out = format!("{MAGIC}\n");
        if let Some(extra) = &self.extra {
            let _ = writeln!(out, "extra {}", text::base64(extra));
        }
        let _ = writeln!(out, "index {}", self.index);
        for hash in &self.hashes {
            let _ = writeln!(out, "{}", text::base64(hash));
        }
        out.push('\n');
        out.push_str(&self.checkpoint);
        out
    }

    /// Reads a file of at most [`MAX_PROOF_FILE`] bytes. Nothing in it is verified.
    ///
    /// # Errors
    /// [`TileError::Proof`].
    pub fn parse(source: &str) -> Result<TlogProof, TileError> {
        let wrong = TileError::Proof;
        if source.len() > MAX_PROOF_FILE {
            return Err(wrong("it is longer than 256 KiB"));
        }
        let (head, checkpoint) =
            source.split_once("\n\n").ok_or(wrong("it has no blank line before the checkpoint"))?;
        let mut lines = head.split('\n').peekable();
        if lines.next() != Some(MAGIC) {
            return Err(wrong("its first line is not `c2sp.org/tlog-proof@v1`"));
        }
        let extra = match lines.peek().and_then(|line| line.strip_prefix("extra ")) {
            None => None,
            Some(encoded) => {
                lines.next();
                Some(text::from_base64(encoded).ok_or(wrong("its extra data is no base64"))?)
            }
        };
        let index = lines
            .next()
            .and_then(|line| line.strip_prefix("index "))
            .and_then(text::from_decimal)
            .ok_or(wrong("it has no index"))?;
        let mut hashes = Vec::new();
        for line in lines {
            if hashes.len() == MAX_PROOF {
                return Err(wrong("it has more than 64 hashes"));
            }
            hashes.push(text::from_base64_32(line).ok_or(wrong("a line is no hash"))?);
        }
        Ok(TlogProof { extra, index, hashes, checkpoint: checkpoint.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_three_digits_each() {
        for (n, width, wanted) in [
            (0, 256, "tile/1/000"),
            (0, 1, "tile/1/000.p/1"),
            (999, 255, "tile/1/999.p/255"),
            (1000, 256, "tile/1/x001/000"),
            (1_000_000, 3, "tile/1/x001/x000/000.p/3"),
        ] {
            assert_eq!(path(Kind::Hashes(1), n, width), wanted);
        }
    }

    #[test]
    fn bundles_come_back_whole_or_not() {
        let long = vec![9; MAX_ENTRY];
        let entries: [&[u8]; 3] = [b"", b"one", &long];
        let bytes = bundle(entries).unwrap();
        assert_eq!(parse_bundle(&bytes, 3).unwrap(), entries);
        for width in [0, 2, 4] {
            assert_eq!(parse_bundle(&bytes, width), Err(TileError::Bundle(width)));
        }
        for cut in [1, 3, 6, bytes.len() - 1] {
            assert!(parse_bundle(&bytes[..cut], 3).is_err());
        }
        assert_eq!(bundle([vec![0; MAX_ENTRY + 1].as_slice()]), None);
        assert!(parse_tile(&[0; 64], 2).is_ok());
        assert!(parse_tile(&[0; 63], 2).is_err());
        assert!(parse_tile(&[0; 64], 3).is_err());
    }

    #[test]
    fn a_proof_is_read_in_one_form() {
        let proof = TlogProof {
            extra: Some(b"{}".to_vec()),
            index: 5,
            hashes: vec![[1; 32], [2; 32]],
            checkpoint: "o\n6\n".to_owned(),
        };
        let text = proof.to_text();
        assert_eq!(TlogProof::parse(&text), Ok(proof.clone()));
        let bare = TlogProof { extra: None, hashes: vec![], ..proof };
        assert_eq!(TlogProof::parse(&bare.to_text()), Ok(bare));
        for (from, to) in [
            ("@v1", "@v2"),
            ("index 5", "index 05"),
            ("index 5", "index -5"),
            ("index 5\n", ""),
            ("extra e30=", "extra e30"),
            ("extra e30=\n", "extra e30=\nextra e30=\n"),
            ("AQE=", "AQF="),
            ("\n\n", "\n"),
        ] {
            assert!(TlogProof::parse(&text.replacen(from, to, 1)).is_err(), "{to}");
        }
    }
}
