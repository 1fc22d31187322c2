//! Any texts around values: what a vault's placeholders and the escape between them make comes back as it was, fed whole
//! or in pieces, and a text of somebody else forges nothing.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use sift_redact::{Capacity, Escape, Key, Permission, Restorer, Vault};

fn vault() -> &'static Vault {
    static VAULT: OnceLock<Vault> = OnceLock::new();
    VAULT.get_or_init(|| {
        let vault = Vault::new(Key::new(&[7; 32]), Capacity { entries: 9, bytes: 99 }).unwrap();
        vault.number(&[("VALUE", b"one"), ("VALUE", b"two"), ("OTHER", b"three")]).unwrap();
        vault
    })
}

fn restored(text: &[u8], piece: usize, permission: Permission) -> Vec<u8> {
    let (mut restorer, mut out) = (Restorer::new(vault(), permission, false), Vec::new());
    for piece in text.chunks(piece.max(1)) {
        restorer.feed(vault(), piece, &mut out).unwrap();
    }
    restorer.finish(&mut out);
    out
}

fuzz_target!(|input: (u8, bool, Vec<(Vec<u8>, bool)>)| {
    let (piece, tagged, texts) = input;
    let mut escape = Escape::new(vault());
    let (mut given, mut expected) = (Vec::new(), Vec::new());
    for (mut text, value) in texts {
        if tagged {
            // What somebody who knows the tag would write.
            text.extend_from_slice(b"<VALUE_1:");
            text.extend_from_slice(vault().tag().as_bytes());
            text.extend_from_slice(b">~>\\");
        }
        escape.write(&text, &mut given);
        expected.extend_from_slice(&text);
        if value {
            escape.placeholder("VALUE", 2, &mut given);
            expected.extend_from_slice(b"two");
        }
    }
    let all = Permission { entities: None, urls: true };
    assert!(restored(&given, usize::from(piece), all.clone()) == expected);
    assert!(restored(&given, given.len(), all) == expected);
    let safe = Permission::default();
    assert!(restored(&given, usize::from(piece), safe.clone()) == restored(&given, given.len(), safe));
});
