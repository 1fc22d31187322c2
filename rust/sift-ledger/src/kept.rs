//! Entries in memory that are not in files yet: where they lie in the record that was written of them.
//!
//! Whoever brought an entry has its memory back as soon as it is durable. Kept one by one, entries were freed by another
//! thread when they were published, up to a second later, and the allocator handed out cold memory meanwhile.

use std::ops::Range;
use std::sync::Arc;

/// One entry; a copy is the same bytes.
#[derive(Clone)]
pub(crate) struct Kept {
    record: Arc<Vec<u8>>,
    place: Range<usize>,
}

impl Kept {
    /// Entries of a record, by their places.
    pub(crate) fn all(
        record: Vec<u8>,
        places: impl Iterator<Item = Range<usize>>,
    ) -> impl Iterator<Item = Kept> {
        let record = Arc::new(record);
        places.map(move |place| Kept { record: Arc::clone(&record), place })
    }

    /// An entry by itself.
    pub(crate) fn copy(entry: &[u8]) -> Kept {
        Kept { record: Arc::new(entry.to_vec()), place: 0..entry.len() }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.record.get(self.place.clone()).unwrap_or_default()
    }
}
