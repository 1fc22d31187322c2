//! The Merkle tree of RFC 6962 §2.1: hashes, inclusion and consistency proofs, and their verification.
//!
//! Proofs are made from whatever knows the hashes of complete subtrees ([`Hashes`]); they are verified from
//! nothing but themselves, by the algorithms of RFC 9162 §2.1.3.2 and §2.1.4.2.

use sha2::{Digest, Sha256};

/// A SHA-256 hash.
pub type Hash = [u8; 32];

/// Longest proof that is looked at: a tree of 2^63 leaves needs no more.
pub const MAX_PROOF: usize = 64;

/// Why a proof cannot be made or does not prove.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// The index lies outside of the tree, or the older size beyond the newer.
    #[error("entry or size {0} is outside of a tree of size {1}")]
    OutOfRange(u64, u64),
    /// The proof is too long or too short for these sizes.
    #[error("the proof has a wrong length for its index and size")]
    Length,
    /// The proof leads to another root.
    #[error("the proof leads to another root hash")]
    Root,
    /// The proof does not begin at the older root.
    #[error("the proof does not begin at the older root hash")]
    OlderRoot,
}

/// The hash of a leaf: `SHA-256(0x00 || entry)`.
pub fn leaf_hash(entry: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(entry).finalize().into()
}

/// The hash of a node: `SHA-256(0x01 || left || right)`.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut bytes = [0; 65];
    bytes[0] = 1;
    bytes[1..33].copy_from_slice(left);
    bytes[33..].copy_from_slice(right);
    Sha256::digest(bytes).into()
}

/// The root of a tree without entries.
pub fn empty_root() -> Hash {
    Sha256::digest([]).into()
}

/// What knows hashes of complete subtrees: the one of 2^level leaves that begins at leaf `index * 2^level`.
pub trait Hashes {
    /// What can go wrong when a hash is looked up.
    type Error;

    /// The hash of a complete subtree inside the tree.
    ///
    /// # Errors
    /// When it cannot be had.
    fn hash(&self, level: u32, index: u64) -> Result<Hash, Self::Error>;
}

/// The largest power of two below `size`, as an exponent; `size` is at least 2.
fn split(size: u64) -> u32 {
    63 - (size - 1).leading_zeros()
}

/// The hash of leaves `start .. start + size`, where `start` is a multiple of a power of two not below `size`.
fn range_hash<H: Hashes>(hashes: &H, start: u64, size: u64) -> Result<Hash, H::Error> {
    if size == 0 {
        return Ok(empty_root());
    }
    // Complete subtrees from left to right, then folded from the right.
    let mut parts = Vec::with_capacity(64);
    let mut done = 0;
    while done < size {
        let level = 63 - (size - done).leading_zeros();
        parts.push(hashes.hash(level, (start + done) >> level)?);
        done += 1 << level;
    }
    let mut folded = parts.pop().unwrap_or_else(empty_root);
    while let Some(left) = parts.pop() {
        folded = node_hash(&left, &folded);
    }
    Ok(folded)
}

/// The root of the tree of the first `size` leaves.
///
/// # Errors
/// When a hash cannot be had.
pub fn root<H: Hashes>(hashes: &H, size: u64) -> Result<Hash, H::Error> {
    range_hash(hashes, 0, size)
}

/// The proof that leaf `index` is in the tree of `size` leaves, from the leaf upwards (RFC 6962 §2.1.1).
///
/// # Errors
/// [`ProofError::OutOfRange`], or when a hash cannot be had.
pub fn inclusion<H>(hashes: &H, index: u64, size: u64) -> Result<Vec<Hash>, H::Error>
where
    H: Hashes,
    H::Error: From<ProofError>,
{
    if index >= size {
        return Err(ProofError::OutOfRange(index, size).into());
    }
    let mut proof = Vec::with_capacity(MAX_PROOF);
    let (mut start, mut width) = (0, size);
    while width > 1 {
        let half = 1 << split(width);
        if index - start < half {
            proof.push(range_hash(hashes, start + half, width - half)?);
            width = half;
        } else {
            proof.push(range_hash(hashes, start, half)?);
            start += half;
            width -= half;
        }
    }
    proof.reverse();
    Ok(proof)
}

/// The proof that the tree of `old` leaves is the beginning of the tree of `new` leaves (RFC 6962 §2.1.2).
///
/// # Errors
/// [`ProofError::OutOfRange`], or when a hash cannot be had.
pub fn consistency<H>(hashes: &H, old: u64, new: u64) -> Result<Vec<Hash>, H::Error>
where
    H: Hashes,
    H::Error: From<ProofError>,
{
    if old > new {
        return Err(ProofError::OutOfRange(old, new).into());
    }
    let mut proof = Vec::with_capacity(MAX_PROOF);
    if old == 0 || old == new {
        return Ok(proof);
    }
    let (mut start, mut width, mut rest) = (0, new, old);
    while rest != width {
        let half = 1 << split(width);
        if rest <= half {
            proof.push(range_hash(hashes, start + half, width - half)?);
            width = half;
        } else {
            proof.push(range_hash(hashes, start, half)?);
            start += half;
            width -= half;
            rest -= half;
        }
    }
    if start != 0 {
        proof.push(range_hash(hashes, start, width)?);
    }
    proof.reverse();
    Ok(proof)
}

/// Verifies that a leaf is at `index` of the tree with this size and root (RFC 9162 §2.1.3.2).
///
/// # Errors
/// [`ProofError`] says what is wrong.
pub fn verify_inclusion(
    leaf: &Hash,
    index: u64,
    size: u64,
    proof: &[Hash],
    root: &Hash,
) -> Result<(), ProofError> {
    if index >= size {
        return Err(ProofError::OutOfRange(index, size));
    }
    let (mut place, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for sibling in proof {
        if last == 0 {
            return Err(ProofError::Length);
        }
        if place & 1 == 1 || place == last {
            hash = node_hash(sibling, &hash);
            if place & 1 == 0 {
                let zeros = place.trailing_zeros().min(63);
                place >>= zeros;
                last >>= zeros;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        place >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(ProofError::Length);
    }
    if hash != *root {
        return Err(ProofError::Root);
    }
    Ok(())
}

/// Verifies that the tree of the older root is the beginning of that of the newer (RFC 9162 §2.1.4.2).
///
/// # Errors
/// [`ProofError`] says what is wrong.
pub fn verify_consistency(
    old: u64,
    new: u64,
    old_root: &Hash,
    new_root: &Hash,
    proof: &[Hash],
) -> Result<(), ProofError> {
    if old > new {
        return Err(ProofError::OutOfRange(old, new));
    }
    if old == new || old == 0 {
        if !proof.is_empty() {
            return Err(ProofError::Length);
        }
        if old == new && old_root != new_root {
            return Err(ProofError::Root);
        }
        if old == 0 && *old_root != empty_root() {
            return Err(ProofError::OlderRoot);
        }
        return Ok(());
    }
    let mut rest = proof.iter();
    let first =
        if old.is_power_of_two() { *old_root } else { *rest.next().ok_or(ProofError::Length)? };
    let (mut place, mut last) = (old - 1, new - 1);
    let odd = place.trailing_ones();
    place >>= odd;
    last >>= odd;
    let (mut older, mut newer) = (first, first);
    for sibling in rest {
        if last == 0 {
            return Err(ProofError::Length);
        }
        if place & 1 == 1 || place == last {
            older = node_hash(sibling, &older);
            newer = node_hash(sibling, &newer);
            if place & 1 == 0 {
                let zeros = place.trailing_zeros().min(63);
                place >>= zeros;
                last >>= zeros;
            }
        } else {
            newer = node_hash(&newer, sibling);
        }
        place >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(ProofError::Length);
    }
    if older != *old_root {
        return Err(ProofError::OlderRoot);
    }
    if newer != *new_root {
        return Err(ProofError::Root);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::hex;

    /// Hashes of all complete subtrees, from the definition of RFC 6962 §2.1 word by word.
    struct Leaves(Vec<Hash>);

    fn defined(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => empty_root(),
            [one] => *one,
            _ => {
                let (left, right) = leaves.split_at(1 << split(leaves.len() as u64));
                node_hash(&defined(left), &defined(right))
            }
        }
    }

    impl Hashes for Leaves {
        type Error = ProofError;

        fn hash(&self, level: u32, index: u64) -> Result<Hash, ProofError> {
            let start = (index << level) as usize;
            Ok(defined(&self.0[start..start + (1 << level)]))
        }
    }

    fn leaves(count: u64) -> Leaves {
        Leaves((0..count).map(|place| leaf_hash(&place.to_be_bytes())).collect())
    }

    #[test]
    fn known_roots() {
        // SHA-256 of nothing, of a zero byte, and of 0x01 with two of those: computed by `sha256sum`.
        assert_eq!(
            hex(&empty_root()),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        let empty = leaf_hash(b"");
        assert_eq!(hex(&empty), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
        let pair = Leaves(vec![empty, empty]);
        let mut bytes = vec![1];
        bytes.extend_from_slice(&empty);
        bytes.extend_from_slice(&empty);
        assert_eq!(root(&pair, 2).unwrap(), <Hash>::from(Sha256::digest(bytes)));
    }

    #[test]
    fn roots_are_as_defined() {
        let all = leaves(130);
        for size in 0..=130 {
            assert_eq!(root(&all, size).unwrap(), defined(&all.0[..size as usize]), "{size}");
        }
    }

    #[test]
    fn every_inclusion_proves_and_nothing_else_does() {
        let all = leaves(40);
        for size in 1..=40 {
            let top = root(&all, size).unwrap();
            for index in 0..size {
                let leaf = all.0[index as usize];
                let proof = inclusion(&all, index, size).unwrap();
                assert_eq!(verify_inclusion(&leaf, index, size, &proof, &top), Ok(()));
                for other in (0..=size).filter(|other| *other != index) {
                    assert!(verify_inclusion(&leaf, other, size, &proof, &top).is_err());
                }
                let wrong = leaf_hash(b"wrong");
                assert_eq!(
                    verify_inclusion(&wrong, index, size, &proof, &top),
                    Err(ProofError::Root)
                );
                assert_eq!(
                    verify_inclusion(&leaf, index, size, &proof, &wrong),
                    Err(ProofError::Root)
                );
                let mut longer = proof.clone();
                longer.push(top);
                assert!(verify_inclusion(&leaf, index, size, &longer, &top).is_err());
                longer.rotate_right(1);
                assert!(verify_inclusion(&leaf, index, size, &longer, &top).is_err());
                for place in 0..proof.len() {
                    let mut bent = proof.clone();
                    bent[place][31] ^= 1;
                    assert_eq!(
                        verify_inclusion(&leaf, index, size, &bent, &top),
                        Err(ProofError::Root)
                    );
                    let mut shorter = proof.clone();
                    shorter.remove(place);
                    assert!(verify_inclusion(&leaf, index, size, &shorter, &top).is_err());
                }
            }
            assert!(inclusion(&all, size, size).is_err());
        }
    }

    #[test]
    fn every_consistency_proves_and_nothing_else_does() {
        let all = leaves(40);
        for new in 0..=40 {
            let new_root = root(&all, new).unwrap();
            for old in 0..=new {
                let old_root = root(&all, old).unwrap();
                let proof = consistency(&all, old, new).unwrap();
                let check = |old, new, old_root: &Hash, new_root: &Hash, proof: &[Hash]| {
                    verify_consistency(old, new, old_root, new_root, proof)
                };
                assert_eq!(check(old, new, &old_root, &new_root, &proof), Ok(()), "{old} {new}");
                let wrong = leaf_hash(b"wrong");
                assert!(check(old, new, &wrong, &new_root, &proof).is_err());
                if old > 0 {
                    assert!(check(old, new, &old_root, &wrong, &proof).is_err());
                }
                let mut longer = proof.clone();
                longer.push(new_root);
                assert!(check(old, new, &old_root, &new_root, &longer).is_err());
                for place in 0..proof.len() {
                    let mut bent = proof.clone();
                    bent[place][0] ^= 0x80;
                    assert!(check(old, new, &old_root, &new_root, &bent).is_err());
                    let mut shorter = proof.clone();
                    shorter.remove(place);
                    assert!(check(old, new, &old_root, &new_root, &shorter).is_err());
                }
                if old < new && old > 0 {
                    assert!(check(new, old, &new_root, &old_root, &proof).is_err());
                }
            }
            assert!(consistency(&all, new + 1, new).is_err());
        }
    }

    #[test]
    fn sizes_at_the_end_of_u64_do_not_overflow() {
        let hash = leaf_hash(b"");
        let proof = [hash; MAX_PROOF];
        for (index, size) in [(u64::MAX - 1, u64::MAX), (0, u64::MAX), (1 << 63, u64::MAX)] {
            for length in [0, 1, 63, 64] {
                assert!(verify_inclusion(&hash, index, size, &proof[..length], &hash).is_err());
                let older = index.max(1);
                assert!(verify_consistency(older, size, &hash, &hash, &proof[..length]).is_err());
            }
        }
    }
}
