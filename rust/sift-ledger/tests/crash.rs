//! Power lost at every write of a log's life, and every error a disk can report: what was acknowledged is there,
//! and the log on disk is one that anybody can verify.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    reason = "helpers of tests: a panic there is the report"
)]

mod sim;

use std::sync::Arc;

use sift_ledger::keys::{Keyring, PrivateKey, PublicKey, Purpose};
use sift_ledger::log::{Commit, Core, LogConfig, LogError};
use sift_ledger::merkle::{leaf_hash, verify_consistency, verify_inclusion};
use sift_ledger::note::{verify_checkpoint, Checkpoint};
use sift_ledger::storage::Storage;
use sim::{Fault, Random, Sim};

const ORIGIN: &str = "example.com/ledger";

fn config() -> LogConfig {
    LogConfig {
        segment_bytes: 256 << 10,
        segments: 2,
        ..LogConfig::new(ORIGIN, PrivateKey::from_seed(&[5; 32]))
    }
}

fn ring() -> Keyring {
    let mut ring = Keyring::new();
    let public = PrivateKey::from_seed(&[5; 32]).public();
    ring.add(PublicKey::new("log", Purpose::Log, &public).unwrap().named(ORIGIN)).unwrap();
    ring
}

fn open(sim: &Sim) -> Result<Core, LogError> {
    Core::open(Arc::new(sim.clone()), config())
}

fn checkpoint(note: &str) -> Checkpoint {
    verify_checkpoint(note, Some(ORIGIN), &ring(), 0).unwrap().checkpoint
}

/// Entry `n`: its content follows from its place, its length varies.
fn entry(n: u64) -> Arc<[u8]> {
    let mut random = Random::new(n + 1);
    let length = random.below(900) as usize;
    let mut bytes = format!("entry {n} ").into_bytes();
    bytes.resize(bytes.len() + length, n as u8);
    Arc::from(bytes)
}

/// Appends, publishes and prepares as chance has it, until something fails. Returns every acknowledged commit.
fn live(core: &Core, random: &mut Random, steps: u64) -> Result<Vec<Commit>, Vec<Commit>> {
    let mut acknowledged = Vec::new();
    for _ in 0..steps {
        let done = match random.below(8) {
            0 => core.publish(),
            1 => core.prepare(),
            _ => {
                let first = core.durable().tree_size;
                let count = 1 + random.below(90);
                let entries: Vec<_> = (first..first + count).map(entry).collect();
                core.commit(&entries).map(|commit| acknowledged.push(commit))
            }
        };
        if done.is_err() {
            return Err(acknowledged);
        }
    }
    Ok(acknowledged)
}

/// Everything that must hold of a log that was opened again.
fn check(core: &Core, acknowledged: &[Commit]) {
    let now = core.durable();
    let newest = checkpoint(&now.checkpoint);
    assert_eq!(newest.size, now.tree_size);
    for commit in acknowledged {
        assert!(commit.tree_size <= now.tree_size, "an acknowledged commit is gone");
        let old = checkpoint(&commit.checkpoint);
        let proof = core.consistency(old.size, newest.size).unwrap();
        assert_eq!(
            verify_consistency(old.size, newest.size, &old.root, &newest.root, &proof),
            Ok(()),
            "a checkpoint that was given out is not of this log"
        );
    }
    for index in 0..now.tree_size {
        assert_eq!(core.entry(index).unwrap(), entry(index));
    }
    for index in (0..now.tree_size).step_by(37) {
        let proof = core.proof(index, &now).unwrap();
        let leaf = leaf_hash(&entry(index));
        assert_eq!(
            verify_inclusion(&leaf, index, newest.size, &proof.hashes, &newest.root),
            Ok(())
        );
    }
}

fn run(fault: Fault, seed: u64) -> bool {
    let mut sim = Sim::new();
    let mut random = Random::new(seed);
    let mut acknowledged = Vec::new();
    let mut happened = false;
    // Several lives of one log; each may end badly, also while it recovers.
    for life in 0..4 {
        sim.fault_after(1 + random.below(60), fault, seed + life);
        match open(&sim) {
            Ok(core) => {
                check(&core, &acknowledged);
                match live(&core, &mut random, 40) {
                    Ok(more) => acknowledged.extend(more),
                    Err(more) => {
                        acknowledged.extend(more);
                        assert!(core.stopped().is_some());
                        let refused = core.commit(&[entry(0)]);
                        assert!(matches!(refused, Err(LogError::Stopped(_))), "{refused:?}");
                        assert!(core.publish().is_err() && core.prepare().is_err());
                    }
                }
            }
            Err(error) => assert!(
                matches!(error, LogError::Stopped(_) | LogError::Read(_)),
                "opened after {fault:?}: {error}"
            ),
        }
        happened |= sim.happened();
        sim = sim.restart(fault == Fault::Power || fault == Fault::Once, seed * 31 + life);
    }
    let core = open(&sim).unwrap();
    check(&core, &acknowledged);
    happened
}

#[test]
fn power_lost_at_random_moments() {
    let happened = (0..150).filter(|seed| run(Fault::Power, *seed)).count();
    assert!(happened > 110, "only {happened} runs lost power");
}

#[test]
fn every_error_of_the_disk_stops_the_log_and_loses_nothing() {
    for fault in [Fault::Full, Fault::ReadOnly, Fault::Once] {
        let happened = (0..50).filter(|seed| run(fault, 1000 + *seed)).count();
        assert!(happened > 35, "{fault:?} in {happened} runs only");
    }
}

/// One life in small steps, with the power lost at each single call.
#[test]
fn power_lost_at_every_call() {
    let script = |core: &Core| {
        let mut acknowledged = Vec::new();
        for count in [1, 255, 1, 300, 40] {
            let first = core.durable().tree_size;
            let entries: Vec<_> = (first..first + count).map(entry).collect();
            match core.commit(&entries) {
                Ok(commit) => acknowledged.push(commit),
                Err(_) => return acknowledged,
            }
            if core.publish().is_err() || core.prepare().is_err() {
                return acknowledged;
            }
        }
        acknowledged
    };
    let whole = Sim::new();
    script(&open(&whole).unwrap());
    assert!(whole.calls() > 30);
    for at in 1..=whole.calls() {
        for seed in 0..6 {
            let sim = Sim::new();
            sim.fault_after(at, Fault::Power, seed);
            let acknowledged = open(&sim).map(|core| script(&core)).unwrap_or_default();
            let core = open(&sim.restart(true, seed * 1000 + at)).unwrap();
            check(&core, &acknowledged);
        }
    }
}

#[test]
fn damage_is_not_taken_for_a_crash() {
    let sim = Sim::new();
    let core = open(&sim).unwrap();
    for _ in 0..3 {
        let first = core.durable().tree_size;
        let entries: Vec<_> = (first..first + 10).map(entry).collect();
        core.commit(&entries).unwrap();
    }
    let (published, unpublished) = (sim.copy(), sim.copy());
    drop(core);
    let core = open(&published).unwrap();
    assert_eq!(core.published(), 30);
    drop(core);
    let open_error = |sim: &Sim| match open(sim) {
        Err(LogError::Damaged(what)) => what,
        other => panic!("{:?}", other.map(|_| "opened")),
    };

    let segment = unpublished.paths().into_iter().find(|path| path.ends_with(".seg")).unwrap();
    let bent = unpublished.copy();
    bent.tamper(&segment, |bytes| bytes[100] ^= 1);
    assert!(open_error(&bent).contains("spoilt"), "the first of three records");

    // A record of another version cannot be read: nobody may take it for the end of the journal.
    let mut records = Vec::new();
    unpublished.copy().tamper(&segment, |bytes| {
        records.extend(
            (0..bytes.len()).step_by(4096).filter(|&place| bytes[place..].starts_with(b"SFLEDGR")),
        );
    });
    assert_eq!(records.len(), 3);
    for place in records {
        let other = unpublished.copy();
        other.tamper(&segment, |bytes| bytes[place + 7] = b'1');
        assert!(open_error(&other).contains("another version"), "{place}");
    }

    // A journal without its beginning: the checkpoint was put back, or a segment removed.
    let later = open(&published).unwrap();
    let entries: Vec<_> = (30..60).map(entry).collect();
    later.commit(&entries).unwrap();
    let back = published.copy();
    back.remove_file("checkpoint");
    assert!(open_error(&back).contains("missing"));

    // Neither checkpoint nor journal: what opens must not be a new log over the tiles of the old one.
    let emptied = published.copy();
    emptied.remove_file("checkpoint");
    for segment in emptied.paths().iter().filter(|path| path.ends_with(".seg")) {
        emptied.remove_file(segment);
    }
    assert!(open_error(&emptied).contains("there are tiles"));

    for (path, what) in [
        ("tile/0/000.p/30", "do not hash"),
        ("tile/entries/000.p/30", "does not hash to its leaf"),
        ("checkpoint", "signature"),
    ] {
        let bent = published.copy();
        bent.tamper(path, |bytes| {
            let place = bytes.len() - 30;
            bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
        });
        let message = open_error(&bent);
        assert!(message.contains(what) || message.contains("no signed note"), "{path}: {message}");
    }

    let foreign = Core::open(
        Arc::new(published.copy()),
        LogConfig { key: PrivateKey::from_seed(&[6; 32]), ..config() },
    );
    assert!(matches!(foreign, Err(LogError::Damaged(what)) if what.contains("no key")));
}

#[test]
fn keys_are_changed_at_a_size() {
    let sim = Sim::new();
    let entries: Vec<_> = (0..300).map(entry).collect();
    open(&sim).unwrap().commit(&entries).unwrap();
    let next = || PrivateKey::from_seed(&[6; 32]);
    let rotated =
        LogConfig { key: next(), retiring: Some(PrivateKey::from_seed(&[5; 32])), ..config() };
    let core = Core::open(Arc::new(sim.clone()), rotated).unwrap();
    let handover = core.durable().checkpoint;
    let later = core.commit(&[entry(300)]).unwrap();
    check_rotation(&handover, &later.checkpoint);
    drop(core);
    assert!(sim.paths().contains(&"handover/300".to_owned()));

    // From now on the ring knows the old key, and the new one opens alone.
    let config = || LogConfig { key: next(), keys: ring(), ..config() };
    let core = Core::open(Arc::new(sim.copy()), config()).unwrap();
    assert_eq!(core.durable().tree_size, 301);
}

/// A log that goes from key 5 to key 6.
fn rotated() -> LogConfig {
    let retiring = Some(PrivateKey::from_seed(&[5; 32]));
    LogConfig { key: PrivateKey::from_seed(&[6; 32]), retiring, ..config() }
}

#[test]
fn a_crash_while_keys_change_leaves_a_log_that_opens() {
    let sim = Sim::new();
    let entries: Vec<_> = (0..600).map(entry).collect();
    let core = open(&sim).unwrap();
    core.commit(&entries[..300]).unwrap();
    core.publish().unwrap();
    // What the journal has and no tile.
    core.commit(&entries[300..]).unwrap();
    drop(core);
    let mut crashes = 0;
    for call in 1.. {
        let disk = sim.copy();
        disk.fault_after(call, Fault::Power, call);
        let opened = Core::open(Arc::new(disk.clone()), rotated());
        if !disk.happened() {
            opened.unwrap();
            break;
        }
        crashes += 1;
        drop(opened);
        let disk = disk.restart(true, call);
        let core = Core::open(Arc::new(disk.clone()), rotated())
            .unwrap_or_else(|error| panic!("call {call}: {error}"));
        assert_eq!(core.durable().tree_size, 600);
        core.commit(&[entry(600)]).unwrap();
        check_rotation_at(600, &handover(&disk, 600), &core.durable().checkpoint);
    }
    assert!(crashes > 5, "{crashes}");
}

fn handover(sim: &Sim, size: u64) -> String {
    let bytes = sim.read(&format!("handover/{size}"), 65_536).unwrap();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_key_takes_over_once() {
    let sim = Sim::new();
    open(&sim).unwrap().commit(&(0..300).map(entry).collect::<Vec<_>>()).unwrap();
    for size in [300, 301, 302] {
        let core = Core::open(Arc::new(sim.clone()), rotated()).unwrap();
        assert_eq!(core.durable().tree_size, size);
        core.commit(&[entry(size)]).unwrap();
        check_rotation(&handover(&sim, 300), &core.durable().checkpoint);
    }
    let handovers = sim.paths().into_iter().filter(|path| path.starts_with("handover/")).count();
    assert_eq!(handovers, 1, "the setting may stay: the old key signs nothing more");
}

fn check_rotation(handover: &str, later: &str) {
    check_rotation_at(300, handover, later);
}

fn check_rotation_at(size: u64, handover: &str, later: &str) {
    let ring = |old_to: u64, new_from: u64| {
        let mut ring = Keyring::new();
        for (id, seed, from, to) in [("old", 5, 0, old_to), ("new", 6, new_from, u64::MAX)] {
            let public = PrivateKey::from_seed(&[seed; 32]).public();
            let mut key = PublicKey::new(id, Purpose::Log, &public).unwrap().named(ORIGIN);
            (key.from_size, key.to_size) = (from, to);
            ring.add(key).unwrap();
        }
        ring
    };
    let seen = verify_checkpoint(handover, Some(ORIGIN), &ring(size, size), 0).unwrap();
    assert_eq!(seen.log_keys, ["new", "old"]);
    let seen = verify_checkpoint(later, Some(ORIGIN), &ring(size, size), 0).unwrap();
    assert_eq!(seen.log_keys, ["new"]);
    // The stolen old key signs on.
    let text = later.split("\n\n").next().unwrap();
    let forged =
        Checkpoint::parse(&format!("{text}\n")).unwrap().sign(&[&PrivateKey::from_seed(&[5; 32])]);
    let error =
        verify_checkpoint(&forged, Some(ORIGIN), &ring(size, size), 0).unwrap_err().to_string();
    assert!(error.contains("may not sign at tree size"), "{error}");
    assert!(error.contains(&format!("0 to {size}")), "{error}");
}
