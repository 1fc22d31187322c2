//! Any text as a proof, a note, a `keys.toml`; any bytes as a bundle: nothing panics, what is read is written back
//! as it was, and no proof leads to a root that it was not made for.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sift_ledger::keys::Keyring;
use sift_ledger::merkle::{verify_consistency, verify_inclusion};
use sift_ledger::note::{verify_checkpoint, Checkpoint, Note};
use sift_ledger::tiles::{bundle, parse_bundle, TlogProof};

fuzz_target!(|data: &[u8]| {
    if let Some((width, rest)) = data.split_first() {
        if let Ok(entries) = parse_bundle(rest, u64::from(*width)) {
            assert_eq!(bundle(entries).as_deref(), Some(rest));
        }
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(proof) = TlogProof::parse(text) {
        assert_eq!(proof.to_text(), text);
        let (leaf, root) = ([1; 32], [2; 32]);
        for size in [0, 1, proof.index, proof.index.saturating_add(1), u64::MAX] {
            assert!(verify_inclusion(&leaf, proof.index, size, &proof.hashes, &root).is_err());
            assert!(verify_consistency(proof.index, size, &leaf, &root, &proof.hashes).is_err());
        }
    }
    if let Ok(note) = Note::parse(text) {
        if let Ok(checkpoint) = Checkpoint::parse(&note.text) {
            assert!(note.text.starts_with(&checkpoint.text()));
        }
    }
    assert!(verify_checkpoint(text, None, &Keyring::new(), 0).is_err());
    let _ = Keyring::from_toml(text);
});
