//! The tree in memory: its right edge, what is not yet in files, and tiles that were read back.

use std::collections::{HashMap, VecDeque};

use crate::merkle::{node_hash, Hash, Hashes, ProofError};
use crate::tiles::TILE_WIDTH;

/// How many full tiles that are also in files are kept, 16 KiB each.
const CACHED_TILES: usize = 512;

/// A tile with the nodes above its hashes: row 0 has up to 256 hashes, row 8 one.
#[derive(Debug, Default)]
pub(crate) struct Tile {
    rows: [Vec<Hash>; 9],
}

impl Tile {
    pub(crate) fn new(hashes: &[Hash]) -> Tile {
        let mut tile = Tile::default();
        for hash in hashes {
            tile.push(*hash);
        }
        tile
    }

    fn push(&mut self, hash: Hash) {
        let mut hash = hash;
        for row in &mut self.rows {
            row.push(hash);
            match row.as_slice() {
                [.., left, right] if row.len() % 2 == 0 => hash = node_hash(left, right),
                _ => return,
            }
        }
    }

    /// The first hashes, as the file of a tile of this width holds them.
    pub(crate) fn bytes(&self, width: u64) -> Option<Vec<u8>> {
        Some(self.rows[0].get(..usize::try_from(width).ok()?)?.concat())
    }

    /// The hash over a full tile.
    fn top(&self) -> Option<Hash> {
        self.rows[8].first().copied()
    }
}

/// Why a hash is not there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Lookup {
    /// The full tile `(level, n)` has to be read first.
    Absent(u8, u64),
    /// The question makes no sense.
    Proof(ProofError),
}

impl From<ProofError> for Lookup {
    fn from(error: ProofError) -> Lookup {
        Lookup::Proof(error)
    }
}

/// The tree.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    size: u64,
    tiles: HashMap<(u8, u64), Tile>,
    // Full tiles that may be forgotten, oldest first.
    forgettable: VecDeque<(u8, u64)>,
}

impl Tree {
    /// A tree of which only the tiles at the right edge are known, by level: `(n, hashes)`.
    pub(crate) fn from_edge(size: u64, edge: Vec<(u8, u64, Vec<Hash>)>) -> Tree {
        let tiles =
            edge.into_iter().map(|(level, n, hashes)| ((level, n), Tile::new(&hashes))).collect();
        Tree { size, tiles, forgettable: VecDeque::new() }
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    pub(crate) fn append(&mut self, leaf: Hash) {
        let (mut hash, mut place) = (leaf, self.size);
        for level in 0..8 {
            let tile = self.tiles.entry((level, place / TILE_WIDTH)).or_default();
            tile.push(hash);
            match tile.top() {
                Some(top) if place % TILE_WIDTH == TILE_WIDTH - 1 => hash = top,
                _ => break,
            }
            place /= TILE_WIDTH;
        }
        self.size += 1;
    }

    pub(crate) fn tile(&self, level: u8, n: u64) -> Option<&Tile> {
        self.tiles.get(&(level, n))
    }

    /// A full tile that was read back.
    pub(crate) fn insert(&mut self, level: u8, n: u64, hashes: &[Hash]) {
        if self.tiles.insert((level, n), Tile::new(hashes)).is_none() {
            self.forget_later(level, n);
        }
    }

    /// This full tile is in a file now.
    pub(crate) fn forget_later(&mut self, level: u8, n: u64) {
        self.forgettable.push_back((level, n));
        while self.forgettable.len() > CACHED_TILES {
            if let Some(oldest) = self.forgettable.pop_front() {
                self.tiles.remove(&oldest);
            }
        }
    }
}

impl Hashes for Tree {
    type Error = Lookup;

    fn hash(&self, level: u32, index: u64) -> Result<Hash, Lookup> {
        let row = level % 8;
        let tile_level = (level / 8) as u8;
        let (n, place) = (index >> (8 - row), index & ((1 << (8 - row)) - 1));
        let tile = self.tiles.get(&(tile_level, n)).ok_or(Lookup::Absent(tile_level, n))?;
        let hash = tile.rows[row as usize].get(place as usize);
        hash.copied().ok_or(Lookup::Proof(ProofError::OutOfRange(index, self.size)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merkle::{
        consistency, inclusion, leaf_hash, root, verify_consistency, verify_inclusion,
    };

    #[test]
    fn tiles_give_the_hashes_of_the_tree() {
        let mut tree = Tree::default();
        let mut roots = vec![root(&tree, 0).unwrap()];
        let leaves: Vec<Hash> = (0..70_000_u32).map(|n| leaf_hash(&n.to_le_bytes())).collect();
        for leaf in &leaves {
            tree.append(*leaf);
            roots.push(root(&tree, tree.size()).unwrap());
        }
        for (old, new) in [(1, 70_000), (256, 257), (255, 65_536), (65_537, 69_999), (4096, 5000)] {
            let proof = consistency(&tree, old, new).unwrap();
            let (old_root, new_root) = (&roots[old as usize], &roots[new as usize]);
            assert_eq!(verify_consistency(old, new, old_root, new_root, &proof), Ok(()));
        }
        for (index, size) in
            [(0, 70_000), (69_999, 70_000), (65_535, 65_537), (255, 256), (256, 300)]
        {
            let proof = inclusion(&tree, index, size).unwrap();
            let leaf = &leaves[index as usize];
            assert_eq!(verify_inclusion(leaf, index, size, &proof, &roots[size as usize]), Ok(()));
        }
        // Widths of a tree of 70,000 as tlog-tiles gives them.
        assert!(tree.tile(0, 273).unwrap().bytes(112).is_some());
        assert_eq!(tree.tile(0, 273).unwrap().bytes(113), None);
        assert!(tree.tile(1, 1).unwrap().bytes(17).is_some());
        assert!(tree.tile(2, 0).unwrap().bytes(1).is_some());
    }
}
