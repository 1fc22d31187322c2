//! The kernel's own keys over time: the ledger goes from one key to the next, and what keys.toml calls retired signs
//! nothing any more.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic in a test is its report")]

use std::fs;
use std::path::Path;

use sift_kernel::{Decision, Durable, Gate, Kernel, KernelError, Local, Status};
use sift_ledger::keys::Keyring;
use sift_ledger::receipt::Verifier;

mod common;

use common::{ask, key, now, open, refund, write};

const LOG: &str = "name = \"acme.example/actions\"";

fn wait() {
    std::thread::sleep(std::time::Duration::from_millis(2));
}

fn edit(folder: &Path, name: &str, from: &str, to: &str) {
    let path = folder.join(name);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{name}: {from}");
    fs::write(path, text.replace(from, to)).unwrap();
}

/// A receipt that is durable, and its proof.
fn act(kernel: &Kernel) -> (Durable, String) {
    let answer = ask(kernel, &refund(1), None);
    assert_eq!(answer.decision, Decision::Allow, "{}", answer.reason);
    let durable = kernel.durable(&answer).unwrap().unwrap();
    let proof = kernel.proof(durable.placed.as_ref().unwrap().index).unwrap();
    (durable, proof)
}

fn verified(folder: &Path, (durable, proof): &(Durable, String)) {
    let mut verifier = Verifier::new(Keyring::load(&folder.join("keys.toml")).unwrap());
    let seen = verifier.verify(&durable.receipt, Some(proof), now()).unwrap();
    assert!(seen.signature.is_valid(), "{}", seen.signature.detail());
    assert!(seen.inclusion.is_valid(), "{}", seen.inclusion.detail());
}

fn config_error(opened: Result<Kernel, KernelError>) -> String {
    match opened {
        Err(KernelError::Config(message)) => message,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it opened"),
    }
}

#[test]
fn the_ledger_goes_from_one_log_key_to_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    write(path, "");
    let kernel = open(path).unwrap();
    let before: Vec<_> = (0..3).map(|_| act(&kernel)).collect();
    kernel.close().unwrap();
    drop(kernel);
    // The old key's last size, and who stays on it.
    edit(path, "keys.toml", LOG, &format!("{LOG}\nto_size = 3"));
    let message = config_error(open(path));
    assert!(message.contains("`log-1` may not sign at tree size 4"), "{message}");
    // The new key, without the one before it.
    key(9).write_new(&path.join("log-2.key")).unwrap();
    let entry = format!(
        "[[key]]\nid = \"log-2\"\npurpose = \"log\"\nalgorithm = \"ed25519\"\npublic = \"{}\"\n{LOG}\nfrom_size = 3\n",
        key(9).public_base64()
    );
    edit(path, "keys.toml", "[[key]]\nid = \"log-1\"", &format!("{entry}[[key]]\nid = \"log-1\""));
    edit(path, "kernel.toml", "log_key = \"log.key\"", "log_key = \"log-2.key\"");
    match open(path) {
        Err(KernelError::Unavailable(message)) => {
            assert!(message.contains("retiring_log_key"), "{message}")
        }
        other => panic!("{:?}", other.err()),
    }
    // With it; and the setting may stay for a while.
    edit(path, "kernel.toml", "log_key =", "retiring_log_key = \"log.key\"\nlog_key =");
    let mut after = Vec::new();
    for _ in 0..2 {
        let kernel = open(path).unwrap();
        wait();
        after.push(act(&kernel));
        kernel.close().unwrap();
    }
    edit(path, "kernel.toml", "retiring_log_key = \"log.key\"\n", "");
    let kernel = open(path).unwrap();
    wait();
    after.push(act(&kernel));
    for receipt in before.iter().chain(&after) {
        verified(path, receipt);
    }
    let handovers: Vec<_> = fs::read_dir(path.join("state/ledger/handover")).unwrap().collect();
    assert_eq!(handovers.len(), 1);
    assert_eq!(handovers[0].as_ref().unwrap().file_name(), "3");
}

#[test]
fn a_log_key_that_is_retired_while_the_kernel_runs_signs_to_its_last_size() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    write(path, "");
    let local = Local::open(path, None).unwrap();
    wait();
    let before = act(local.kernel());
    edit(path, "keys.toml", LOG, &format!("{LOG}\nto_size = 3"));
    local.reload().unwrap();
    let last = [act(local.kernel()), act(local.kernel())];
    let answer = ask(local.kernel(), &refund(1), None);
    assert_eq!((answer.decision, answer.status), (Decision::Deny, Status::Error));
    assert_eq!(answer.reason, "ledger_unavailable");
    for receipt in last.iter().chain([&before]) {
        verified(path, receipt);
    }
}

#[test]
fn a_log_key_that_nobody_knows_opens_nothing() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "");
    edit(folder.path(), "keys.toml", &key(2).public_base64(), &key(8).public_base64());
    let message = config_error(open(folder.path()));
    assert!(message.contains("`log_key` of kernel.toml is missing"), "{message}");
}

#[test]
fn a_receipt_key_that_keys_toml_gives_up_opens_nothing_and_stops_who_is_open() {
    let own = "id = \"receipt-1\"";
    for (line, part) in [
        ("not_after = 2020-01-01T00:00:00Z", "`receipt-1` is not valid at this time"),
        ("not_before = 2999-01-01T00:00:00Z", "`receipt-1` is not valid at this time"),
        ("revoked = 2020-01-01T00:00:00Z", "`receipt-1` is revoked"),
        ("to_size = 7", "`receipt-1` has a `to_size`"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        write(path, "");
        let local = Local::open(path, None).unwrap();
        wait();
        act(local.kernel());
        edit(path, "keys.toml", own, &format!("{own}\n{line}"));
        let message = local.reload().unwrap_err().to_string();
        assert!(message.contains(part), "{message}");
        let answer = ask(local.kernel(), &refund(1), None);
        assert_eq!((answer.decision, answer.status), (Decision::Deny, Status::Error));
        assert_eq!(answer.reason, "kernel_key_not_valid");
        assert!(!answer.has_receipt());
        drop(local);
        assert!(config_error(open(path)).contains(part));
        edit(path, "keys.toml", &format!("{own}\n{line}"), own);
        let kernel = open(path).unwrap();
        wait();
        act(&kernel);
    }
}
