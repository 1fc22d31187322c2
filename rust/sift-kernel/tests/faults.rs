//! A disk that is full, read-only or failing, and files that were damaged: whatever cannot be checked or recorded is
//! denied, and the answer says that it could not be.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic in a test is its report")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use rustix::process::{getrlimit, setrlimit, Resource, Rlimit};
use sift_kernel::{
    Authorization, Budgets, Config, Decision, DiskLedger, Kernel, KernelError, MemoryStore, Parts,
    Status, Subject, SystemClock, Verdict,
};
use sift_ledger::keys::Keyring;
use sift_ledger::log::{Log, LogConfig};
use sift_ledger::receipt::Verifier;
use sift_policy::Policy;

mod common;
#[path = "../../sift-ledger/tests/sim/mod.rs"]
mod sim;

use common::{ask, key, now, open, refund, write, AUDIENCE};
use sim::{Fault, Random, Sim};

/// The folder that a child works with, and nothing in the process that runs the tests.
const CHILD: &str = "SIFT_FAULTS_FOLDER";

/// Allowed, or denied because something could not be checked.
fn fails_closed(answer: &Authorization) -> bool {
    match answer.decision {
        Decision::Allow => true,
        Decision::Deny => answer.status == Status::Error && answer.lease.is_none(),
        Decision::Escalate => false,
    }
}

/// A kernel whose ledger lies on a disk of its own.
fn over(folder: &Path, disk: &Sim, store: &Arc<MemoryStore>) -> Result<Kernel, String> {
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    let mut log = LogConfig::new("acme.example/actions", key(2));
    log.segment_bytes = 256 << 10;
    log.segments = 2;
    let log = Log::open(Arc::new(disk.clone()), log).map_err(|error| error.to_string())?;
    Kernel::from_parts(Parts {
        config: Config::from_text(&read("kernel.toml")).unwrap(),
        keys: Keyring::load(&folder.join("keys.toml")).unwrap(),
        budgets: Budgets::load(folder).unwrap(),
        policy: Policy::load(folder).unwrap(),
        receipt_key: key(1),
        store: store.clone(),
        ledger: Arc::new(DiskLedger::over(log)),
        clock: Arc::new(SystemClock),
        scanner: None,
        taint: None,
    })
    .map_err(|error| error.to_string())
}

#[test]
fn a_disk_that_fails_under_the_ledger_stops_the_kernel_and_loses_no_receipt() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "request.skew_ms = 1");
    let mut stopped = 0;
    for (number, fault) in
        [Fault::Full, Fault::ReadOnly, Fault::Once].into_iter().cycle().take(60).enumerate()
    {
        let disk = Sim::new();
        let store = Arc::new(MemoryStore::default());
        let kernel = over(folder.path(), &disk, &store).unwrap();
        disk.fault_after(1 + number as u64 / 3, fault, number as u64);
        let mut acknowledged = Vec::new();
        let mut failed = false;
        for _ in 0..30 {
            let answer = ask(&kernel, &refund(1), None);
            assert!(fails_closed(&answer), "{fault:?}: {}", answer.reason);
            assert!(!failed || answer.decision == Decision::Deny, "nothing after a failure");
            if answer.decision == Decision::Deny {
                assert_eq!(answer.reason, "ledger_unavailable");
                failed = true;
                continue;
            }
            match kernel.durable(&answer) {
                Ok(durable) => acknowledged.push(durable.unwrap()),
                Err(error) => {
                    assert!(matches!(error, KernelError::Unavailable(_)), "{error}");
                    failed = true;
                }
            }
        }
        stopped += usize::from(failed);
        // A failed write is reported at the end as well, and never hangs it.
        assert_eq!(kernel.close().is_err(), failed || disk.happened(), "{fault:?}");
        drop(kernel);
        let again = over(folder.path(), &disk.restart(false, number as u64), &store).unwrap();
        let mut verifier = Verifier::new(Keyring::load(&folder.path().join("keys.toml")).unwrap());
        for durable in acknowledged {
            let proof = again.proof(durable.placed.unwrap().index).unwrap();
            let seen = verifier.verify(&durable.receipt, Some(&proof), now()).unwrap();
            assert!(seen.inclusion.is_valid(), "{}", seen.inclusion.detail());
        }
        // It counts as crashed: as long as clocks may be apart, requests could be old ones.
        std::thread::sleep(std::time::Duration::from_millis(5));
        assert_eq!(ask(&again, &refund(1), None).decision, Decision::Allow);
    }
    assert!(stopped > 20, "{stopped} stopped");
}

/// The rest of this process writes nothing to any file.
fn take_no_more(hard: Option<u64>) {
    setrlimit(Resource::Fsize, Rlimit { current: Some(0), maximum: hard }).unwrap();
}

#[test]
fn child() {
    let Some(folder) = std::env::var_os(CHILD).map(PathBuf::from) else { return };
    let kernel = open(&folder).unwrap();
    let answer = ask(&kernel, &refund(1), None);
    let durable = kernel.durable(&answer).unwrap().unwrap();
    println!("done {}", durable.placed.unwrap().index);
    let before = getrlimit(Resource::Fsize);
    take_no_more(before.maximum);
    // The store must give a new block.
    let large = ask(&kernel, &refund(5_000), None);
    assert_eq!((large.decision, large.reason.as_str()), (Decision::Deny, "store_unavailable"));
    assert_eq!(large.status, Status::Error);
    let unseen = ask(&kernel, &refund(6_000), None);
    // The receipt of the one before may have been found not to be writable by now.
    let known = ["store_unavailable", "ledger_unavailable"].contains(&unseen.reason.as_str());
    assert!(known && unseen.decision == Decision::Deny, "{}", unseen.reason);
    assert_eq!(unseen.status, Status::Error);
    // What is drawn already may be decided, and is not handed out.
    let small = ask(&kernel, &refund(1), None);
    assert!(fails_closed(&small), "{}", small.reason);
    if small.decision == Decision::Allow {
        assert!(matches!(kernel.durable(&small), Err(KernelError::Unavailable(_))));
    }
    let after = ask(&kernel, &refund(1), None);
    assert_eq!((after.decision, after.reason.as_str()), (Decision::Deny, "ledger_unavailable"));
    let subject = Subject::agent("acme", "bot");
    assert!(matches!(kernel.revoke(&subject), Err(KernelError::Unavailable(_))));
    assert_eq!(ask(&kernel, &refund(1), None).reason, "agent_revoked", "it holds all the same");
    // Room again: what is on the disk is not known, so nothing is taken before the next start.
    setrlimit(Resource::Fsize, before).unwrap();
    // What nobody can prove does not make anything wider.
    assert!(matches!(kernel.reinstate(&subject), Err(KernelError::Unavailable(_))));
    assert_eq!(ask(&kernel, &refund(1), None).reason, "agent_revoked");
    assert!(kernel.close().is_err());
    println!("held");
    std::io::stdout().flush().unwrap();
}

#[test]
fn a_disk_that_takes_nothing_any_more_denies_until_the_next_start() {
    if std::env::var_os(CHILD).is_some() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "");
    // A write beyond the limit is an error, and not the end of the process.
    let child = Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["child", "--exact", "--nocapture", "--test-threads", "1"])
        .env(CHILD, folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success(), "{said}{}", String::from_utf8_lossy(&child.stderr));
    assert!(said.contains("held"), "{said}");
    let index = said.lines().find_map(|line| line.split("done ").nth(1)?.parse().ok()).unwrap();
    let kernel = open(folder.path()).unwrap();
    kernel.proof(index).unwrap();
    // It counts as crashed: as long as clocks may be apart, requests could be old ones.
    assert_eq!(ask(&kernel, &refund(1), None).reason, "issued_before_start");
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if fs::metadata(&path).unwrap().len() > 0 && !path.ends_with("lock") {
            found.push(path);
        }
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let there = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &there);
        } else {
            fs::copy(&path, &there).unwrap();
        }
    }
}

#[test]
fn a_damaged_file_opens_nothing_or_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "");
    let kernel = open(folder.path()).unwrap();
    let mut receipts = Vec::new();
    for _ in 0..300 {
        let answer = ask(&kernel, &refund(1), None);
        receipts.push(kernel.durable(&answer).unwrap().unwrap());
    }
    kernel.close().unwrap();
    drop(kernel);
    let state = folder.path().join("state");
    let mut found = Vec::new();
    files(&state, &mut found);
    assert!(found.iter().any(|path| path.ends_with("kernel.sqlite")), "{found:?}");
    assert!(found.iter().any(|path| path.ends_with("001.p/44")), "{found:?}");
    let ring = || Keyring::load(&folder.path().join("keys.toml")).unwrap();
    let mut random = Random::new(7);
    let (mut refused, mut opened) = (0, 0);
    for path in &found {
        for round in 0..6 {
            let other = tempfile::tempdir().unwrap();
            copy(folder.path(), other.path());
            let damaged = other.path().join(path.strip_prefix(folder.path()).unwrap());
            let mut bytes = fs::read(&damaged).unwrap();
            match round {
                0 => bytes.truncate(bytes.len() / 2),
                4 | 5 => bytes.clear(),
                1 => bytes.iter_mut().for_each(|byte| *byte ^= 0x5a),
                // Where there is something: a segment is mostly zeros.
                _ => {
                    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap_or(0) as u64 + 1;
                    bytes[random.below(end) as usize] ^= 1 << random.below(8);
                }
            }
            fs::write(&damaged, bytes).unwrap();
            if round == 5 {
                fs::remove_file(&damaged).unwrap();
            }
            let kernel = match open(other.path()) {
                Ok(kernel) => kernel,
                Err(error) => {
                    assert!(
                        matches!(error, KernelError::Unavailable(_)),
                        "{}: {error}",
                        path.display()
                    );
                    refused += 1;
                    continue;
                }
            };
            opened += 1;
            assert!(round < 4 || !path.ends_with("kernel.sqlite"), "what it knew is forgotten");
            // What it still proves is true, and what it decides is recorded.
            let mut verifier = Verifier::new(ring());
            for durable in receipts.iter().step_by(37) {
                let index = durable.placed.as_ref().unwrap().index;
                let Ok(proof) = kernel.proof(index) else { continue };
                let seen = verifier.verify(&durable.receipt, Some(&proof), now()).unwrap();
                assert!(seen.inclusion.is_valid(), "{}", path.display());
            }
            let answer = ask(&kernel, &refund(1), None);
            assert!(
                fails_closed(&answer) || answer.reason == "issued_before_start",
                "{}: {}",
                path.display(),
                answer.reason
            );
            if answer.decision == Decision::Allow {
                let Ok(Some(durable)) = kernel.durable(&answer) else { continue };
                assert_eq!(durable.placed.unwrap().index, 300, "{}", path.display());
            }
        }
    }
    assert!(refused > 10, "{refused} refused, {opened} opened");
}

/// Does what only a kernel does that has forgotten something: lets a revoked agent act, takes an approval twice, spends
/// beyond a cap.
fn forgets(kernel: &Kernel, approval: &str) -> Option<&'static str> {
    if ask(kernel, &refund(1), None).decision == Decision::Allow {
        return Some("the agent is revoked");
    }
    kernel.reinstate(&Subject::agent("acme", "bot")).ok()?;
    let again = ask(kernel, &refund(6_000), Some(approval));
    if again.decision == Decision::Allow {
        return Some("the approval was used");
    }
    // 20 dollars are left.
    (ask(kernel, &refund(2_500), None).decision == Decision::Allow).then_some("the budget is spent")
}

#[test]
fn one_bit_of_the_store_never_lets_somebody_act_who_may_not() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "request.skew_ms = 0");
    let kernel = open(folder.path()).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(2));
    let asked = ask(&kernel, &refund(6_000), None).approval.unwrap();
    let ann = key(4);
    let signature =
        kernel.approval(&asked).unwrap().unwrap().sign(AUDIENCE, "ann", &ann, Verdict::Approve);
    kernel.sign_approval(&asked, "ann", Verdict::Approve, &signature.unwrap()).unwrap();
    assert_eq!(ask(&kernel, &refund(6_000), Some(&asked)).decision, Decision::Allow);
    for _ in 0..4 {
        assert_eq!(ask(&kernel, &refund(500), None).decision, Decision::Allow);
    }
    kernel.revoke(&Subject::agent("acme", "bot")).unwrap();
    kernel.close().unwrap();
    drop(kernel);
    let store = |of: &Path| of.join("state").join("kernel.sqlite");
    let bytes = fs::read(store(folder.path())).unwrap();
    let filled: Vec<usize> = (0..bytes.len()).filter(|place| bytes[*place] != 0).collect();
    let mut random = Random::new(11);
    let (mut refused, mut opened) = (0, 0);
    let other = tempfile::tempdir().unwrap();
    for _ in 0..120 {
        fs::remove_dir_all(other.path()).unwrap();
        copy(folder.path(), other.path());
        let mut bent = bytes.clone();
        bent[filled[random.below(filled.len() as u64) as usize]] ^= 1 << random.below(8);
        fs::write(store(other.path()), bent).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(2));
        match open(other.path()) {
            Ok(kernel) => {
                opened += 1;
                assert_eq!(forgets(&kernel, &asked), None);
            }
            Err(KernelError::Unavailable(why)) => {
                assert!(why.starts_with("the store of the kernel"), "{why}");
                refused += 1;
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(refused > 60, "{refused} refused, {opened} opened");
    // As it was left, it remembers all of it, and acts on.
    let kernel = open(folder.path()).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(2));
    assert_eq!(ask(&kernel, &refund(1), None).reason, "agent_revoked");
    assert_eq!(forgets(&kernel, &asked), None);
    assert_eq!(ask(&kernel, &refund(1_500), None).decision, Decision::Allow);
}

#[test]
fn a_store_that_is_overwritten_while_it_is_open_grants_no_more_than_the_cap() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "");
    for file in ["kernel.sqlite", "kernel.sqlite-wal", "kernel.sqlite-shm"] {
        let kernel = open(folder.path()).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(2));
        let mut spent = 0;
        for round in 0..60 {
            if round == 3 {
                let path = folder.path().join("state").join(file);
                let length = fs::metadata(&path).unwrap().len();
                let garbage = vec![0xa5; usize::try_from(length).unwrap()];
                // In place: the kernel's handle sees it.
                fs::OpenOptions::new()
                    .write(true)
                    .open(&path)
                    .unwrap()
                    .write_all(&garbage)
                    .unwrap();
            }
            let answer = ask(&kernel, &refund(300), None);
            match answer.decision {
                Decision::Allow => spent += 3_000_000,
                _ => assert!(
                    answer.reason == "budget_exceeded" || answer.status == Status::Error,
                    "{}",
                    answer.reason
                ),
            }
        }
        assert!(spent <= 100_000_000, "{file}: {spent}");
        drop(kernel);
        fs::remove_dir_all(folder.path().join("state")).unwrap();
    }
}

#[test]
fn a_store_and_a_ledger_that_do_not_belong_together_open_nothing() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "");
    let state = folder.path().join("state");
    let run = |actions: usize| {
        std::thread::sleep(std::time::Duration::from_millis(2));
        let kernel = open(folder.path()).unwrap();
        for _ in 0..actions {
            let answer = ask(&kernel, &refund(1), None);
            kernel.durable(&answer).unwrap().unwrap();
        }
        kernel.close().unwrap();
    };
    run(3);
    let before = tempfile::tempdir().unwrap();
    copy(&state, &before.path().join("state"));
    run(2);
    run(0);
    let refused = |what: &str| {
        for _ in 0..2 {
            let error = open(folder.path()).err().unwrap_or_else(|| panic!("opened: {what}"));
            assert!(matches!(error, KernelError::Unavailable(_)), "{error}");
            assert!(error.to_string().contains(what), "{error}");
        }
    };
    let after = tempfile::tempdir().unwrap();
    copy(&state, &after.path().join("state"));
    let put = |from: &Path, name: &str| {
        let (from, to) = (from.join("state").join(name), state.join(name));
        if from.is_dir() {
            fs::remove_dir_all(&to).unwrap();
            copy(&from, &to);
        } else {
            fs::copy(from, to).unwrap();
        }
    };
    for name in ["kernel.sqlite", "kernel.sqlite-wal", "kernel.sqlite-shm"] {
        let _ = fs::remove_file(state.join(name));
    }
    refused("is new");
    put(before.path(), "kernel.sqlite");
    refused("older than the ledger");
    put(after.path(), "kernel.sqlite");
    put(before.path(), "ledger");
    refused("shorter than the store");
    put(after.path(), "ledger");
    run(1);
}

#[test]
fn a_store_or_a_ledger_that_is_put_back_after_a_crash_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "");
    let kernel = open(folder.path()).unwrap();
    let act = |cents: i64| {
        let answer = ask(&kernel, &refund(cents), None);
        assert_eq!(answer.decision, Decision::Allow, "{}", answer.reason);
        kernel.durable(&answer).unwrap().unwrap();
    };
    act(1);
    let image = |of: &Path| {
        let image = tempfile::tempdir().unwrap();
        copy(of, image.path());
        image
    };
    // What a crash at this moment would leave, and one a little later.
    let early = image(folder.path());
    act(1);
    let revoked = Subject::tenant("other");
    kernel.revoke(&revoked).unwrap();
    let late = image(folder.path());
    // The store has changed again, and knows how long the ledger was.
    kernel.reinstate(&revoked).unwrap();
    let later = image(folder.path());
    let other = tempfile::tempdir().unwrap();
    write(other.path(), "");
    let rival = open(other.path()).unwrap();
    rival.revoke(&revoked).unwrap();
    let stranger = image(other.path());
    let put = |from: &Path, to: &Path, ledger: bool| {
        let both = image(to);
        let state = both.path().join("state");
        if ledger {
            fs::remove_dir_all(state.join("ledger")).unwrap();
            copy(&from.join("state/ledger"), &state.join("ledger"));
            return both;
        }
        for name in ["kernel.sqlite", "kernel.sqlite-wal", "kernel.sqlite-shm"] {
            let _ = fs::remove_file(state.join(name));
            let _ = fs::copy(from.join("state").join(name), state.join(name));
        }
        both
    };
    for (what, from, to, ledger) in [
        ("older than the ledger", &early, &late, false),
        ("older than the ledger", &early, &later, false),
        ("not the one", &stranger, &late, false),
        ("shorter than the store", &early, &late, true),
        ("shorter than the store", &late, &later, true),
    ] {
        let both = put(from.path(), to.path(), ledger);
        for _ in 0..2 {
            let error = open(both.path()).err().unwrap_or_else(|| panic!("opened: {what}"));
            assert!(matches!(error, KernelError::Unavailable(_)), "{error}");
            assert!(error.to_string().contains(what), "{what}: {error}");
        }
    }
    // A store that takes nothing back which anybody was told of is none the less, and denies more.
    let both = put(late.path(), later.path(), false);
    open(both.path()).unwrap().close().unwrap();
    // As they were left, they belong together.
    for whole in [&early, &late, &later] {
        open(whole.path()).unwrap().close().unwrap();
        open(whole.path()).unwrap();
    }
}
