//! `keys.toml` and private key files: what is wrong is refused, with the key's name, and nothing secret is said.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    reason = "helpers of tests: a panic there is the report"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt;

use sift_ledger::keys::{KeyError, Keyring, PrivateKey, Purpose};
use sift_ledger::note::{vkey, witness_vkey};

fn public(seed: u8) -> String {
    PrivateKey::from_seed(&[seed; 32]).public_base64()
}

fn entry(id: &str, purpose: &str, seed: u8, more: &str) -> String {
    let public = public(seed);
    format!("[[key]]\nid = \"{id}\"\npurpose = \"{purpose}\"\nalgorithm = \"ed25519\"\npublic = \"{public}\"\n{more}\n")
}

#[test]
fn a_ring_is_read() {
    let text = [
        entry(
            "k",
            "receipt",
            1,
            "not_before = 2026-01-01T00:00:00Z\nrevoked = 2026-06-01T00:00:00+02:00",
        ),
        entry("l", "log", 2, "name = \"example.com/ledger\"\nfrom_size = 5\nto_size = 70"),
        entry("a", "agent", 3, "tenant = \"acme\"\nagent = \"bot\""),
        entry("p", "approver", 4, "groups = [\"finance\", \"legal\"]"),
        entry("w", "witness", 5, "name = \"w.example\""),
    ]
    .concat();
    let ring = Keyring::from_toml(&text).unwrap();
    assert_eq!(ring.len(), 5);
    let kernel = ring.get("k", Purpose::Receipt).unwrap();
    assert_eq!(kernel.not_before, Some(1_767_225_600_000));
    assert_eq!(kernel.revoked, Some(1_780_264_800_000));
    assert!(kernel.check_time(1_767_225_600_000).is_ok());
    assert!(matches!(kernel.check_time(1_767_225_599_999), Err(KeyError::OutsideValidity { .. })));
    assert!(matches!(kernel.check_time(1_780_264_800_000), Err(KeyError::Revoked { .. })));
    let log = ring.get("l", Purpose::Log).unwrap();
    assert_eq!([4, 5, 70, 71].map(|size| log.check_size(size).is_ok()), [false, true, true, false]);
    assert_eq!(ring.get("a", Purpose::Agent).unwrap().agent.as_deref(), Some("bot"));
    assert_eq!(ring.get("p", Purpose::Approver).unwrap().groups, ["finance", "legal"]);
    assert!(ring.get("a", Purpose::Approver).is_err(), "an agent approves nothing");
    assert_eq!(ring.of(Purpose::Witness).count(), 1);
}

#[test]
fn a_ring_that_is_too_long_is_refused_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.toml");
    let first = entry("k", "receipt", 1, "");
    let padded = |length: usize| {
        // A comment that fills the file up to what is read, so that what comes then would be lost without a word.
        let comment = format!("#{}\n", "x".repeat(length - first.len() - 2));
        format!("{first}{comment}")
    };
    fs::write(&path, padded(4 << 20)).unwrap();
    assert_eq!(Keyring::load(&path).unwrap().len(), 1);
    fs::write(&path, padded(4 << 20) + &entry("l", "agent", 2, "")).unwrap();
    let error = Keyring::load(&path).unwrap_err();
    assert!(
        matches!(error, KeyError::File { .. }) && error.to_string().contains("4 MiB"),
        "{error}"
    );
}

#[test]
fn a_wrong_ring_is_refused_whole() {
    let good = entry("k", "receipt", 1, "");
    for (text, what) in [
        (format!("{good}{good}"), "twice"),
        (format!("{good}{}", entry("j", "agent", 1, "")), "same key"),
        (good.replace("ed25519", "rsa"), "ed25519"),
        (good.replace("receipt", "everything"), "variant"),
        (good.replace("id = \"k\"", "id = \"\""), "id"),
        (good.replace("public = \"", "public = \"A"), "base64"),
        (good.replace(&public(1), "AAAA"), "32 bytes"),
        (good.replace(&public(1), &format!("{}=", "A".repeat(43))), "weak"),
        (format!("{good}colour = \"red\"\n"), "colour"),
        (format!("{good}not_after = 2026-01-01\n"), "not_after"),
        (format!("{good}from_size = 5\nto_size = 4\n"), "from_size"),
        (entry("l", "log", 1, ""), "name"),
        (entry("l", "log", 1, "name = \"a b\""), "name"),
        ("keys = 1".to_owned(), "keys"),
    ] {
        let message = Keyring::from_toml(&text).unwrap_err().to_string();
        assert!(message.contains(what) && !message.contains('\n'), "{what}: {message}");
    }
    assert!(Keyring::from_toml("").unwrap().is_empty());
}

#[test]
fn a_private_key_is_for_its_owner() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.pem");
    let key = PrivateKey::generate().unwrap();
    key.write_new(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(PrivateKey::read(&path).unwrap().public(), key.public());
    assert!(key.write_new(&path).is_err(), "never replaced");
    assert_eq!(format!("{key:?}"), "PrivateKey");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let message = PrivateKey::read(&path).unwrap_err().to_string();
    assert!(message.contains("chmod 600"), "{message}");
    for text in
        ["", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", &"x".repeat(5000)]
    {
        let path = folder.path().join("other.pem");
        let _ = fs::remove_file(&path);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let message = PrivateKey::read(&path).unwrap_err().to_string();
        assert!(text.len() < 9 || !message.contains(&text[..9]), "{message}");
    }
    assert!(PrivateKey::read(folder.path()).is_err());
    assert!(PrivateKey::read(&folder.path().join("none")).is_err());
}

#[test]
fn keys_have_the_names_other_tools_give_them() {
    let public = PrivateKey::from_seed(&[1; 32]).public();
    let (log, witness) = (vkey("example.com/a", &public), witness_vkey("example.com/a", &public));
    assert!(log.starts_with("example.com/a+") && witness.starts_with("example.com/a+"));
    assert_eq!(log.split('+').count(), 3);
    assert_ne!(log.split('+').nth(1), witness.split('+').nth(1), "the algorithm is part of the id");
}
