//! How far the log is acknowledged, where a reader of the journal cannot make it up.
//!
//! The journal ends where its zeros begin, so that its last records, set to zero, look as if they had never been written;
//! and every record holds a signed checkpoint, so that an older one of those proves nothing. The head is a file beside it
//! with the size that was acknowledged last, under a key that is derived from the log's private one. It is written over in
//! place after each commit, so that nothing older is left to put there but by whoever copied it before.
//!
//! It is not flushed with each commit: after the process was killed it says all, after the power was lost what had been
//! written back by then, a second at most before the last publication. It never says more than what is durable.
//!
//! Two slots are written in turn, each within one sector, so that a write that fails spoils one of them at most. Whoever
//! spoils the newer one makes the last commit look as if it had never been, and no other.

use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::keys::PrivateKey;
use crate::log::LogError;
use crate::storage::{File, Storage};
use crate::writer::damaged;

pub(crate) const HEAD: &str = "journal/head";

const MAGIC: &[u8; 8] = b"SFLHEAD1";
/// Bytes from one slot to the next: more than a sector of any disk.
const APART: u64 = 4096;
const SLOTS: u8 = 2;
/// Magic, size, tag.
const RECORD: usize = 8 + 8 + 32;

/// Makes and checks what a slot holds.
pub(crate) struct HeadKey {
    ready: Hmac<Sha256>,
}

impl HeadKey {
    /// That of a log's key.
    pub(crate) fn of(key: &PrivateKey) -> Result<HeadKey, LogError> {
        let mac = |key: &[u8]| {
            <Hmac<Sha256> as Mac>::new_from_slice(key)
                .map_err(|_| LogError::Config("the log's key has no use".to_owned()))
        };
        let own = mac(key.scalar().as_slice())?.chain_update(b"sift-ledger-head-v1").finalize();
        Ok(HeadKey { ready: mac(&own.into_bytes())? })
    }

    fn mac(&self, slot: u8, size: u64) -> Hmac<Sha256> {
        self.ready.clone().chain_update([slot]).chain_update(size.to_le_bytes())
    }

    fn record(&self, slot: u8, size: u64) -> [u8; RECORD] {
        let mut record = [0; RECORD];
        record[..8].copy_from_slice(MAGIC);
        record[8..16].copy_from_slice(&size.to_le_bytes());
        record[16..].copy_from_slice(&self.mac(slot, size).finalize().into_bytes());
        record
    }

    /// The size that a slot says, if it is one of this key.
    fn size(&self, slot: u8, bytes: &[u8]) -> Option<u64> {
        let record = bytes.get(..RECORD)?;
        let (head, tag) = record.split_at(16);
        let (magic, size) = head.split_at(8);
        let size = u64::from_le_bytes(size.try_into().ok()?);
        (magic == MAGIC && self.mac(slot, size).verify_slice(tag).is_ok()).then_some(size)
    }
}

/// The head of a log that is open.
pub(crate) struct Head {
    file: Box<dyn File>,
    key: HeadKey,
    next: u8,
}

impl Head {
    /// Compares the head with the size that the log has, and begins to keep it.
    ///
    /// Args: whether the log is new; its size; keys that may have written it, this log's own first.
    ///
    /// # Errors
    /// [`LogError::Damaged`] when it is gone, was changed, or says that more was acknowledged; as for [`Storage`].
    pub(crate) fn open(
        storage: &dyn Storage,
        new: bool,
        size: u64,
        keys: &[&PrivateKey],
    ) -> Result<Head, LogError> {
        let stop = |error: std::io::Error| LogError::Stopped(error.to_string());
        let keys = keys.iter().map(|key| HeadKey::of(key)).collect::<Result<Vec<_>, _>>()?;
        let length = APART * u64::from(SLOTS);
        let file = if new {
            storage.create(HEAD, length).map_err(stop)?
        } else {
            let said = said(storage, &keys)?;
            if said > size {
                return Err(damaged(&format!(
                    "entries {size} to {} were acknowledged and are gone: the end of the journal was cut off or put \
                     back",
                    said - 1
                )));
            }
            storage.open(HEAD).map_err(stop)?
        };
        let key = keys.into_iter().next().ok_or_else(|| damaged("it has no key"))?;
        let mut head = Head { file, key, next: 0 };
        for _ in 0..SLOTS {
            head.note(size).and_then(|()| head.file.flush()).map_err(stop)?;
        }
        Ok(head)
    }

    /// Writes down that so many entries are durable, without waiting for it to be so.
    pub(crate) fn note(&mut self, size: u64) -> std::io::Result<()> {
        let slot = self.next;
        self.next = (slot + 1) % SLOTS;
        self.file.write_at(u64::from(slot) * APART, &self.key.record(slot, size))
    }
}

/// The larger of the sizes that the slots say.
fn said(storage: &dyn Storage, keys: &[HeadKey]) -> Result<u64, LogError> {
    let limit = usize::try_from(APART).unwrap_or(usize::MAX) * usize::from(SLOTS);
    let bytes = match storage.read(HEAD, limit) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(damaged(&format!("`{HEAD}` is gone")));
        }
        Err(error) => return Err(LogError::Read(format!("`{HEAD}`: {error}"))),
    };
    let slots = bytes.chunks(usize::try_from(APART).unwrap_or(usize::MAX));
    let mut sizes = Vec::new();
    for (slot, bytes) in (0..SLOTS).zip(slots) {
        sizes.extend(keys.iter().find_map(|key| key.size(slot, bytes)));
    }
    sizes.into_iter().max().ok_or_else(|| {
        damaged(&format!(
            "`{HEAD}` was changed, or the log's key was, without the one before it (`retiring`)"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_of_its_key_its_place_and_its_size() {
        let of = |seed: u8| HeadKey::of(&PrivateKey::from_seed(&[seed; 32])).unwrap();
        let record = of(1).record(0, 7);
        assert_eq!(of(1).size(0, &record), Some(7));
        assert_eq!(of(1).size(1, &record), None, "the other slot's is no copy of it");
        assert_eq!(of(2).size(0, &record), None);
        assert_eq!(of(1).size(0, &[0; RECORD]), None);
        for place in 0..RECORD {
            let mut bent = record;
            bent[place] ^= 1;
            assert_eq!(of(1).size(0, &bent), None, "byte {place}");
            assert_eq!(of(1).size(0, &record[..place]), None);
        }
    }
}
