//! An entry on its way into the log: its bytes, or what makes them.
//!
//! A signature takes longer than everything else that a receipt needs. Whoever brings an entry has its place in line at
//! once; the bytes are made by who first needs them: a caller that waits, while others gather, or the thread that
//! commits.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock};

use crate::log::lock;
use crate::merkle::{leaf_hash, Hash};

type Make = Box<dyn FnOnce() -> Vec<u8> + Send>;

/// An entry; a copy is the same one.
#[derive(Clone)]
pub struct Entry(Arc<Inner>);

struct Inner {
    length: usize,
    made: OnceLock<(Arc<Vec<u8>>, Hash)>,
    make: Mutex<Option<Make>>,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entry({} bytes)", self.len())
    }
}

impl Entry {
    /// An entry whose bytes are made later, once.
    ///
    /// Args: how many they will be; what makes them, on another thread maybe: quick, and without waiting for the log.
    pub fn later(length: usize, make: impl FnOnce() -> Vec<u8> + Send + 'static) -> Entry {
        let make: Make = Box::new(make);
        Entry(Arc::new(Inner { length, made: OnceLock::new(), make: Mutex::new(Some(make)) }))
    }

    /// How many bytes it has.
    pub fn len(&self) -> usize {
        self.0.length
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its bytes; the first who asks makes them.
    pub fn bytes(&self) -> &Arc<Vec<u8>> {
        &self.known().0
    }

    /// Its bytes and their leaf hash.
    pub(crate) fn made(&self) -> (&[u8], Hash) {
        let (bytes, leaf) = self.known();
        (bytes, *leaf)
    }

    fn known(&self) -> &(Arc<Vec<u8>>, Hash) {
        self.0.made.get_or_init(|| {
            let make = lock(&self.0.make).take();
            hashed(make.map_or_else(Vec::new, |make| make()))
        })
    }
}

fn hashed(bytes: Vec<u8>) -> (Arc<Vec<u8>>, Hash) {
    let hash = leaf_hash(&bytes);
    (Arc::new(bytes), hash)
}

impl From<Vec<u8>> for Entry {
    fn from(bytes: Vec<u8>) -> Entry {
        let length = bytes.len();
        let made = OnceLock::from(hashed(bytes));
        Entry(Arc::new(Inner { length, made, make: Mutex::new(None) }))
    }
}

impl From<&[u8]> for Entry {
    fn from(bytes: &[u8]) -> Entry {
        Entry::from(bytes.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn it_is_made_once_whoever_asks_first() {
        let made = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&made);
        let entry = Entry::later(3, move || {
            count.fetch_add(1, Ordering::SeqCst);
            b"abc".to_vec()
        });
        assert_eq!((entry.len(), made.load(Ordering::SeqCst)), (3, 0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                let entry = entry.clone();
                scope.spawn(move || assert_eq!(entry.bytes().as_slice(), b"abc"));
            }
        });
        assert_eq!(made.load(Ordering::SeqCst), 1);
        assert_eq!(entry.made().1, leaf_hash(b"abc"));
        assert_eq!(Entry::from(b"abc".as_slice()).made(), entry.made());
    }
}
