//! Records of the journal: what one commit wrote, and what a reader can be sure of.
//!
//! A record begins at a multiple of 4,096 bytes, so that writing it cannot tear a sector of the one before:
//! `magic 8 | segment 8 | first index 8 | count 4 | length 4 | digest 32 | body`, numbers little-endian; the body is an
//! entry bundle whose last entry is the signed checkpoint. The digest is SHA-256 of what stands before it, of the leaf
//! hashes of the entries, which the tree needs anyway, and of the checkpoint: so that no entry is hashed twice.

use std::ops::Range;

use sha2::{Digest, Sha256};

use crate::merkle::{leaf_hash, Hash};
use crate::tiles::{self, parse_bundle};

/// Places of records.
pub(crate) const ALIGNMENT: usize = 4096;

const MAGIC: &[u8; 8] = b"SFLEDGR2";
/// Its name without the version of the format.
const NAME: &[u8] = b"SFLEDGR";
const HEADER: usize = 64;

/// Bytes of a record besides its entries, at most: header, checkpoint, padding.
pub(crate) const OVERHEAD: usize = HEADER + ALIGNMENT + 1024;

/// One record.
#[derive(Debug)]
pub(crate) struct Record<'a> {
    pub(crate) first: u64,
    pub(crate) entries: Vec<&'a [u8]>,
    /// Their leaf hashes.
    pub(crate) leaves: Vec<Hash>,
    pub(crate) checkpoint: &'a str,
    /// Where the next one begins.
    pub(crate) end: usize,
}

fn digest(head: &[u8], leaves: &[Hash], checkpoint: &[u8]) -> Hash {
    let digest = Sha256::new().chain_update(head).chain_update(leaves.as_flattened());
    digest.chain_update(checkpoint).finalize().into()
}

/// A record in memory. It is kept there until its entries are in files, so that nobody keeps a copy of them.
pub(crate) struct Encoded {
    buffer: Vec<u8>,
    record: Range<usize>,
}

impl Encoded {
    /// What is written, at an address that is a multiple of [`ALIGNMENT`], as writing past the page cache asks.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.buffer.get(self.record.clone()).unwrap_or_default()
    }

    /// The buffer, and where in it entries of these lengths are.
    pub(crate) fn into_places(
        self,
        lengths: impl Iterator<Item = usize>,
    ) -> (Vec<u8>, impl Iterator<Item = Range<usize>>) {
        let mut end = self.record.start + HEADER;
        let places = lengths.map(move |length| {
            let start = end + tiles::LENGTH;
            end = start + length;
            start..end
        });
        (self.buffer, places)
    }
}

/// Makes a record, padded. `None` when an entry is too long for one.
///
/// Args: the segment it is for; place of its first entry; entries and their leaf hashes; the signed checkpoint.
pub(crate) fn encode(
    segment: u64,
    first: u64,
    entries: &[&[u8]],
    leaves: &[Hash],
    checkpoint: &str,
) -> Option<Encoded> {
    let count = u32::try_from(entries.len()).ok()?;
    let entries = entries.iter().copied().chain([checkpoint.as_bytes()]);
    let length = tiles::bundle_length(entries.clone());
    let padded = (HEADER + length).next_multiple_of(ALIGNMENT);
    // Enough for everything, so that the address does not change below.
    let mut buffer: Vec<u8> = Vec::with_capacity(ALIGNMENT + padded);
    let start = buffer.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
    buffer.resize(start, 0);
    buffer.extend_from_slice(MAGIC);
    buffer.extend_from_slice(&segment.to_le_bytes());
    buffer.extend_from_slice(&first.to_le_bytes());
    buffer.extend_from_slice(&count.to_le_bytes());
    buffer.extend_from_slice(&u32::try_from(length).ok()?.to_le_bytes());
    let digest = digest(buffer.get(start..)?, leaves, checkpoint.as_bytes());
    buffer.extend_from_slice(&digest);
    tiles::write_bundle(entries, &mut buffer)?;
    buffer.resize(start + padded, 0);
    Some(Encoded { buffer, record: start..start + padded })
}

/// The record at a place of a segment; `None` when there is no whole one of this segment.
pub(crate) fn decode(segment: u64, bytes: &[u8], place: usize) -> Option<Record<'_>> {
    let head = bytes.get(place..place.checked_add(HEADER)?)?;
    if &head[..8] != MAGIC || number(head, 8)? != segment {
        return None;
    }
    let (first, count, length) = (number(head, 16)?, short(head, 24)?, short(head, 28)?);
    let start = place + HEADER;
    let end = start.checked_add(usize::try_from(length).ok()?)?;
    let body = bytes.get(start..end)?;
    let mut entries = parse_bundle(body, u64::from(count) + 1).ok()?;
    let checkpoint = std::str::from_utf8(entries.pop()?).ok()?;
    let leaves: Vec<Hash> = entries.iter().map(|entry| leaf_hash(entry)).collect();
    if digest(&head[..32], &leaves, checkpoint.as_bytes()) != head[32..] {
        return None;
    }
    let end = end.next_multiple_of(ALIGNMENT);
    Some(Record { first, entries, leaves, checkpoint, end })
}

/// Where the entries of a record end that another version of this format has written, which nothing here can read;
/// `None` where there is no such record of this segment.
pub(crate) fn end_of_foreign(segment: u64, bytes: &[u8], place: usize) -> Option<u64> {
    let head = bytes.get(place..place.checked_add(HEADER)?)?;
    if !head.starts_with(NAME) || head.starts_with(MAGIC) || number(head, 8)? != segment {
        return None;
    }
    number(head, 16)?.checked_add(u64::from(short(head, 24)?))
}

fn number(head: &[u8], from: usize) -> Option<u64> {
    Some(u64::from_le_bytes(head.get(from..from + 8)?.try_into().ok()?))
}

fn short(head: &[u8], from: usize) -> Option<u32> {
    Some(u32::from_le_bytes(head.get(from..from + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_whole_or_not_there() {
        let entries: [&[u8]; 2] = [b"one", b""];
        let leaves = entries.map(leaf_hash);
        let encoded = encode(3, 7, &entries, &leaves, "note\n").unwrap();
        let bytes = encoded.bytes().to_vec();
        assert_eq!(encoded.bytes().as_ptr().align_offset(ALIGNMENT), 0);
        assert_eq!(bytes.len() % ALIGNMENT, 0);
        let (buffer, places) = encoded.into_places(entries.iter().map(|entry| entry.len()));
        let kept: Vec<&[u8]> = places.map(|place| &buffer[place]).collect();
        assert_eq!(kept, entries);
        let long = vec![0; 65_536];
        assert!(encode(3, 7, &[&long], &[leaf_hash(&long)], "note\n").is_none());
        let record = decode(3, &bytes, 0).unwrap();
        assert_eq!(
            (record.first, record.entries, record.checkpoint),
            (7, entries.to_vec(), "note\n")
        );
        assert_eq!((record.end, record.leaves), (bytes.len(), leaves.to_vec()));
        assert!(decode(2, &bytes, 0).is_none(), "of another segment");
        assert!(decode(3, &bytes, ALIGNMENT).is_none());
        let used = HEADER + 2 + 3 + 2 + 2 + 5;
        for place in 0..used {
            let mut bent = bytes.clone();
            bent[place] ^= 1;
            assert!(decode(3, &bent, 0).is_none(), "byte {place}");
            assert!(decode(3, &bytes[..place], 0).is_none());
        }
    }
}
