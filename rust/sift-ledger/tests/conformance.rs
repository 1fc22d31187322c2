//! Others read what we write: a Go program with the transparency libraries, and the kept ledger of `tests/data`
//! that the Python tests and `examples/verify_receipt.py` read.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    reason = "helpers of tests: a panic there is the report"
)]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use sift_ledger::keys::{PrivateKey, PublicKey, Purpose};
use sift_ledger::log::{Log, LogConfig};
use sift_ledger::note::{cosign, vkey, witness_vkey};
use sift_ledger::receipt::{commit_arguments, seal, Class, Fields};
use sift_ledger::tiles::TlogProof;

const ORIGIN: &str = "example.com/ledger";
const WITNESS: &str = "witness.example/1";
/// The first of January 2025: before today on every clock that these tests run under.
const NOW: i64 = 1_735_689_600_000;
const WAIT: Duration = Duration::from_secs(60);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Keys of tests, made of a seed: log 1, kernel 2, witness 3.
fn key(seed: u8) -> PrivateKey {
    PrivateKey::from_seed(&[seed; 32])
}

fn receipt(number: u64, class: Class) -> Vec<u8> {
    let id = format!("request-{number}");
    let fields = Fields {
        event: "authorization",
        request_id: &id,
        action_hash: [number as u8; 32],
        args_commitment: Some(commit_arguments(&[number as u8; 32], b"{}")),
        tenant: "acme",
        agent: "support-bot",
        role: "support",
        tool: "refund",
        decision: if number.is_multiple_of(2) { "allow" } else { "deny" },
        reason: if number.is_multiple_of(2) { "permitted" } else { "over_budget" },
        engine: "0.1.0",
        decided_at: NOW + number as i64,
        class,
        ..Fields::default()
    };
    seal(&fields, ("kernel", &key(2))).unwrap()
}

/// One file with everything: envelope, proof, and a checkpoint with a cosignature.
fn file(log: &Log, index: u64) -> String {
    let proof = log.inclusion(index).unwrap();
    TlogProof {
        extra: Some(log.entry(index).unwrap().to_vec()),
        checkpoint: cosign(&proof.checkpoint, WITNESS, &key(3), NOW as u64 / 1000).unwrap(),
        ..proof
    }
    .to_text()
}

/// Says that Go was not asked, past what a test runner keeps of a test that passes; with `SIFT_GO=1` that is a failure.
fn skipped(why: &str) {
    assert!(std::env::var_os("SIFT_GO").is_none(), "{why}");
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
}

#[test]
fn a_go_program_reads_the_ledger() {
    let Ok(version) = Command::new("go").arg("version").output() else {
        skipped("there is no `go` to build tests/conformance/go_verify with");
        return;
    };
    assert!(version.status.success());
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("go_verify");
    let built = Command::new("go")
        .args(["build", "-o"])
        .arg(&program)
        .arg(".")
        .current_dir(root().join("tests/conformance/go_verify"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&built.stderr);
    if !built.status.success()
        && (said.contains("dial tcp") || said.contains("module lookup disabled"))
    {
        skipped("the modules of tests/conformance/go_verify cannot be fetched");
        return;
    }
    assert!(built.status.success(), "{said}");

    let ledger = folder.path().join("ledger");
    let log = Log::open_folder(&ledger, LogConfig::new(ORIGIN, key(1))).unwrap();
    let mut last = None;
    for number in 0..700 {
        last = Some(log.append(receipt(number, Class::Signed)).unwrap());
    }
    last.unwrap().wait(WAIT).unwrap();
    let proof = folder.path().join("receipt.tlog-proof");
    fs::write(&proof, file(&log, 437)).unwrap();
    // More entries, so that the proof's checkpoint is not the published one.
    let tickets: Vec<_> =
        (700..1000).map(|number| log.append(receipt(number, Class::Signed)).unwrap()).collect();
    tickets[299].wait(WAIT).unwrap();
    drop(log);

    let run = |ledger: &Path, proof: &Path| {
        let output = Command::new(&program)
            .arg(ledger)
            .args([vkey(ORIGIN, &key(1).public()), witness_vkey(WITNESS, &key(3).public())])
            .arg(proof)
            .arg(key(2).public_base64())
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.success(), text(&output.stdout), text(&output.stderr))
    };
    let (held, said, why) = run(&ledger, &proof);
    assert!(held, "{why}");
    assert_eq!(
        said.lines().collect::<Vec<_>>(),
        [
            "checkpoint 1000",
            "entries 1000",
            "inclusion 437 of 700, 2 signatures",
            "consistency 700 to 1000",
            "signature"
        ]
    );
    // It also says no.
    let text = fs::read_to_string(&proof).unwrap();
    let bent = folder.path().join("bent.tlog-proof");
    fs::write(&bent, text.replace("index 437", "index 436")).unwrap();
    assert!(!run(&ledger, &bent).0);
    let bundle = ledger.join("tile/entries/001");
    let mut bytes = fs::read(&bundle).unwrap();
    bytes[100] ^= 1;
    fs::write(&bundle, bytes).unwrap();
    assert!(!run(&ledger, &proof).0);
}

/// Every file below a folder, but the journal and the lock.
fn files(folder: &Path, below: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = below.join(path.file_name().unwrap());
        if path.is_dir() {
            if !name.ends_with("journal") {
                files(&path, &name, found);
            }
        } else if !name.ends_with("lock") {
            found.insert(name, fs::read(&path).unwrap());
        }
    }
}

/// `tests/data/ledger` is what this code writes, to the byte: `SIFT_WRITE=1` writes it anew.
#[test]
fn the_kept_ledger_is_what_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = folder.path().join("ledger");
    // Published once, at the end, however slow the machine is.
    let config = LogConfig { publish_interval: WAIT * 60, ..LogConfig::new(ORIGIN, key(1)) };
    let log = Log::open_folder(&ledger, config).unwrap();
    for number in 0..6 {
        let class = if number < 4 { Class::Signed } else { Class::Batched };
        log.append(receipt(number, class)).unwrap().wait(WAIT).unwrap();
    }
    let envelope = log.entry(2).unwrap();
    let (signed, batched) = (file(&log, 2), file(&log, 5));
    drop(log);
    fs::write(folder.path().join("signed.tlog-proof"), &signed).unwrap();
    fs::write(folder.path().join("batched.tlog-proof"), batched).unwrap();
    fs::write(folder.path().join("signed.json"), envelope).unwrap();
    fs::write(folder.path().join("checkpoint"), signed.split_once("\n\n").unwrap().1).unwrap();
    let mut keys = "# Public keys of tests/data/ledger; their private halves are the seeds 1, 2, 3 repeated.\n".to_owned();
    for (id, purpose, seed, name) in [
        ("log", Purpose::Log, 1, Some(ORIGIN)),
        ("kernel", Purpose::Receipt, 2, None),
        ("witness", Purpose::Witness, 3, Some(WITNESS)),
    ] {
        let public = PublicKey::new(id, purpose, &key(seed).public()).unwrap();
        keys += &format!(
            "\n[[key]]\nid = \"{}\"\npurpose = \"{}\"\nalgorithm = \"ed25519\"\n",
            public.id, purpose
        );
        keys += &format!("public = \"{}\"\n", key(seed).public_base64());
        if let Some(name) = name {
            keys += &format!("name = \"{name}\"\n");
        }
    }
    fs::write(folder.path().join("keys.toml"), keys).unwrap();
    let (mut made, mut kept) = (BTreeMap::new(), BTreeMap::new());
    files(folder.path(), Path::new(""), &mut made);
    let target = root().join("tests/data/ledger");
    if std::env::var_os("SIFT_WRITE").is_some() {
        for (name, bytes) in &made {
            fs::create_dir_all(target.join(name).parent().unwrap()).unwrap();
            fs::write(target.join(name), bytes).unwrap();
        }
    }
    files(&target, Path::new(""), &mut kept);
    assert_eq!(made.keys().collect::<Vec<_>>(), kept.keys().collect::<Vec<_>>());
    for (name, bytes) in made {
        assert!(kept[&name] == bytes, "{} differs: SIFT_WRITE=1 writes it", name.display());
    }
}
