//! Records of the journal: what one commit wrote, and what a reader can be sure of.
//!
//! A record begins at a multiple of 4,096 bytes, so that writing it cannot tear a sector of the one before:
//! `magic 8 | segment 8 | first index 8 | count 4 | length 4 | SHA-256 of those and the body 32 | body`, numbers
//! little-endian; the body is an entry bundle whose last entry is the signed checkpoint.

use std::ops::Range;

use sha2::{Digest, Sha256};

use crate::merkle::Hash;
use crate::tiles::{self, parse_bundle};

/// Places of records.
pub(crate) const ALIGNMENT: usize = 4096;

const MAGIC: &[u8; 8] = b"SFLEDGR1";
const HEADER: usize = 64;

/// Bytes of a record besides its entries, at most: header, checkpoint, padding.
pub(crate) const OVERHEAD: usize = HEADER + ALIGNMENT + 1024;

/// One record.
#[derive(Debug)]
pub(crate) struct Record<'a> {
    pub(crate) first: u64,
    pub(crate) entries: Vec<&'a [u8]>,
    pub(crate) checkpoint: &'a str,
    /// Where the next one begins.
    pub(crate) end: usize,
}

fn digest(head: &[u8], body: &[u8]) -> Hash {
    Sha256::new().chain_update(head).chain_update(body).finalize().into()
}

/// Writes a record, padded, into a buffer that is used again and again. Returns where in it the record is: at an
/// address that is a multiple of [`ALIGNMENT`] too, as writing past the page cache asks. `None` when an entry is too
/// long for a record.
pub(crate) fn encode<'a>(
    buffer: &mut Vec<u8>,
    segment: u64,
    first: u64,
    entries: impl ExactSizeIterator<Item = &'a [u8]> + Clone,
    checkpoint: &'a str,
) -> Option<Range<usize>> {
    let count = u32::try_from(entries.len()).ok()?;
    let entries = entries.chain([checkpoint.as_bytes()]);
    let length = tiles::bundle_length(entries.clone());
    let padded = (HEADER + length).next_multiple_of(ALIGNMENT);
    buffer.clear();
    // Enough for everything, so that the address does not change below.
    buffer.reserve(ALIGNMENT + padded);
    let start = buffer.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
    buffer.resize(start, 0);
    buffer.extend_from_slice(MAGIC);
    buffer.extend_from_slice(&segment.to_le_bytes());
    buffer.extend_from_slice(&first.to_le_bytes());
    buffer.extend_from_slice(&count.to_le_bytes());
    buffer.extend_from_slice(&u32::try_from(length).ok()?.to_le_bytes());
    buffer.extend_from_slice(&Hash::default());
    tiles::write_bundle(entries, buffer)?;
    let (head, body) = buffer.get_mut(start..)?.split_at_mut_checked(HEADER)?;
    let (head, place) = head.split_at_mut_checked(HEADER - size_of::<Hash>())?;
    place.copy_from_slice(&digest(head, body));
    buffer.resize(start + padded, 0);
    Some(start..start + padded)
}

/// The record at a place of a segment; `None` when there is no whole one of this segment.
pub(crate) fn decode(segment: u64, bytes: &[u8], place: usize) -> Option<Record<'_>> {
    let head = bytes.get(place..place.checked_add(HEADER)?)?;
    let number = |from: usize| Some(u64::from_le_bytes(head.get(from..from + 8)?.try_into().ok()?));
    let short = |from: usize| Some(u32::from_le_bytes(head.get(from..from + 4)?.try_into().ok()?));
    if &head[..8] != MAGIC || number(8)? != segment {
        return None;
    }
    let (first, count, length) = (number(16)?, short(24)?, short(28)?);
    let start = place + HEADER;
    let end = start.checked_add(usize::try_from(length).ok()?)?;
    let body = bytes.get(start..end)?;
    if digest(&head[..32], body) != head[32..] {
        return None;
    }
    let mut entries = parse_bundle(body, u64::from(count) + 1).ok()?;
    let checkpoint = std::str::from_utf8(entries.pop()?).ok()?;
    Some(Record { first, entries, checkpoint, end: end.next_multiple_of(ALIGNMENT) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_whole_or_not_there() {
        let entries: [&[u8]; 2] = [b"one", b""];
        let mut buffer = Vec::new();
        for other in [vec![9; 5000], Vec::new()] {
            encode(&mut buffer, 8, 1, [other.as_slice()].into_iter(), "longer\n").unwrap();
        }
        let place = encode(&mut buffer, 3, 7, entries.into_iter(), "note\n").unwrap();
        let bytes = buffer[place].to_vec();
        assert_eq!(bytes.len() % ALIGNMENT, 0);
        let long = vec![0; 65_536];
        assert_eq!(encode(&mut buffer, 3, 7, [long.as_slice()].into_iter(), "note\n"), None);
        let record = decode(3, &bytes, 0).unwrap();
        assert_eq!(
            (record.first, record.entries, record.checkpoint),
            (7, entries.to_vec(), "note\n")
        );
        assert_eq!(record.end, bytes.len());
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
