//! A kernel in a folder: real files, real log, real time; restarts, damage and second processes.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic in a test is its report")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{chown, PermissionsExt};

use sift_kernel::{
    ActionRequest, Decision, Gate, KernelError, Local, Register, SessionGrant, Status, Verdict,
};
use sift_ledger::keys::Keyring;
use sift_ledger::receipt::{Statement, Verifier};
use sift_policy::json::JsonLimits;
use sift_policy::{replay, Policy, Recorded};

mod common;

use common::{ask, key, now, open, refund, write, AUDIENCE};

/// Requests of one millisecond are not told apart from those before a restart.
fn wait() {
    std::thread::sleep(std::time::Duration::from_millis(2));
}

#[test]
fn a_receipt_of_the_kernel_is_verified_with_public_keys_alone() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "");
    let kernel = open(folder.path()).unwrap();
    for (cents, decision) in
        [(500, Decision::Allow), (6_000, Decision::Escalate), (0, Decision::Deny)]
    {
        let answer = ask(&kernel, &refund(cents), None);
        assert_eq!(answer.decision, decision);
        let durable = kernel.durable(&answer).unwrap().unwrap();
        let proof = kernel.proof(durable.placed.unwrap().index).unwrap();
        let mut verifier = Verifier::new(Keyring::load(&folder.path().join("keys.toml")).unwrap());
        let seen = verifier.verify(&durable.receipt, Some(&proof), now()).unwrap();
        assert!(seen.signature.is_valid(), "{}", seen.signature.detail());
        assert!(seen.inclusion.is_valid(), "{}", seen.inclusion.detail());
        assert_eq!(seen.statement.text("decision"), Some(decision.word()));
        assert_eq!(seen.statement.request_id, answer.request_id);
    }
}

#[test]
fn batched_receipts_are_verified_through_the_log() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "receipts = \"batched\"");
    let kernel = open(folder.path()).unwrap();
    let answer = ask(&kernel, &refund(500), None);
    let durable = kernel.durable(&answer).unwrap().unwrap();
    let proof = kernel.proof(durable.placed.unwrap().index).unwrap();
    let mut verifier = Verifier::new(Keyring::load(&folder.path().join("keys.toml")).unwrap());
    assert!(verifier.verify(&durable.receipt, Some(&proof), now()).unwrap().signature.is_valid());
    assert!(!verifier.verify(&durable.receipt, None, now()).unwrap().signature.is_valid());
}

#[test]
fn one_process_works_with_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "");
    let first = open(folder.path()).unwrap();
    let error = open(folder.path()).err().unwrap();
    assert!(matches!(error, KernelError::Config(_)));
    assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
    // Closed is closed, whoever still has an answer, and with it the kernel.
    first.close().unwrap();
    let second = open(folder.path()).unwrap();
    assert!(first.close().is_ok() && open(folder.path()).is_err());
    drop(first);
    assert!(open(folder.path()).is_err());
    drop(second);
    open(folder.path()).unwrap();
}

#[test]
fn budgets_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "");
    let mut spent = 0;
    for _ in 0..4 {
        let kernel = open(folder.path()).unwrap();
        wait();
        let answer = ask(&kernel, &refund(3_000), None);
        if answer.decision == Decision::Allow {
            spent += 30_000_000;
            kernel.settle(&answer.lease.unwrap(), BTreeMap::new()).unwrap();
        } else {
            assert_eq!(answer.reason, "budget_exceeded");
        }
        drop(kernel);
    }
    assert_eq!(spent, 90_000_000);
}

#[test]
fn an_approval_survives_a_restart_and_is_used_once() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "");
    let request = refund(6_000);
    let kernel = open(folder.path()).unwrap();
    let id = ask(&kernel, &request, None).approval.unwrap();
    drop(kernel);
    let kernel = open(folder.path()).unwrap();
    wait();
    assert_eq!(ask(&kernel, &request, None).approval.as_ref(), Some(&id), "it is asked for once");
    let record = kernel.approval(&id).unwrap().unwrap();
    let signature = record.sign(AUDIENCE, "ann", &key(4), Verdict::Approve).unwrap();
    kernel.sign_approval(&id, "ann", Verdict::Approve, &signature).unwrap();
    drop(kernel);
    let kernel = open(folder.path()).unwrap();
    wait();
    assert_eq!(ask(&kernel, &request, Some(&id)).decision, Decision::Allow);
    drop(kernel);
    let kernel = open(folder.path()).unwrap();
    wait();
    assert_eq!(ask(&kernel, &request, Some(&id)).reason, "approval_used");
}

#[test]
fn a_session_does_not_outlive_the_process() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "");
    let kernel = open(folder.path()).unwrap();
    let grant = SessionGrant {
        session: String::new(),
        tenant: "acme".to_owned(),
        agent: "bot".to_owned(),
        roles: ["support".to_owned()].into(),
        tools: None,
        conversation: None,
        not_before_ms: now(),
        expires_at_ms: now() + 60_000,
    };
    let signed = grant.sign(AUDIENCE, "bot-1", &key(3)).unwrap();
    let session = kernel.open_session(&signed).unwrap();
    let request = ActionRequest { session: Some(session.id().to_owned()), ..refund(5) };
    let credential = session.mac(&request, now(), 60_000).unwrap();
    assert_eq!(kernel.authorize(&request, &credential, None).decision, Decision::Allow);
    drop(kernel);
    let kernel = open(folder.path()).unwrap();
    let unused = session.mac(&request, now(), 60_000).unwrap();
    assert_eq!(kernel.authorize(&request, &unused, None).reason, "unknown_session");
    kernel.open_session(&signed).unwrap();
    assert_eq!(kernel.authorize(&request, &unused, None).reason, "invalid_mac");
}

#[test]
fn what_is_wrong_with_a_folder_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    assert!(open(path).err().unwrap().to_string().contains("kernel.toml"));
    let broken = |change: &dyn Fn(), part: &str| {
        write(path, "");
        change();
        let error = open(path).err().unwrap();
        assert!(error.to_string().contains(part), "{error}");
    };
    broken(&|| fs::write(path.join("budgets.toml"), "").unwrap(), "no limit caps");
    broken(&|| fs::write(path.join("tools.toml"), "version = 2").unwrap(), "tools.toml");
    broken(&|| fs::write(path.join("policy/acme.cedar"), "permit").unwrap(), "acme.cedar");
    broken(&|| fs::write(path.join("keys.toml"), "").unwrap(), "receipt-1");
    broken(
        &|| {
            fs::set_permissions(path.join("receipt.key"), fs::Permissions::from_mode(0o644))
                .unwrap()
        },
        "receipt.key",
    );
}

#[test]
fn damaged_state_opens_nothing() {
    let damage = |name: &str, bytes: &[u8]| {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "");
        let kernel = open(folder.path()).unwrap();
        assert_eq!(ask(&kernel, &refund(5), None).decision, Decision::Allow);
        drop(kernel);
        fs::write(folder.path().join("state").join(name), bytes).unwrap();
        open(folder.path()).err().unwrap()
    };
    for (name, bytes) in [
        ("kernel.sqlite", b"not a database, but long enough to be looked at as one".as_slice()),
        ("ledger/checkpoint", b"not a checkpoint\n"),
    ] {
        let error = damage(name, bytes);
        assert!(matches!(error, KernelError::Unavailable(_)), "{name}: {error}");
    }
}

#[test]
fn state_is_for_its_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "");
    drop(open(folder.path()).unwrap());
    let mode =
        |name: &str| fs::metadata(folder.path().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("state"), 0o700);
    assert_eq!(mode("state/kernel.sqlite"), 0o600);
}

#[test]
fn what_everybody_may_change_is_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "");
    open(folder.path()).unwrap().close().unwrap();
    for name in [
        "",
        "kernel.toml",
        "keys.toml",
        "budgets.toml",
        "tools.toml",
        "policy",
        "policy/acme.cedar",
        "state",
        "state/ledger",
        "state/kernel.sqlite",
        "state/kernel.lock",
    ] {
        let path = folder.path().join(name);
        let before = fs::metadata(&path).unwrap().permissions();
        fs::set_permissions(&path, fs::Permissions::from_mode(before.mode() | 0o002)).unwrap();
        let error = open(folder.path()).err().unwrap();
        assert!(matches!(error, KernelError::Config(_)), "{name}: {error}");
        assert!(error.to_string().contains("everybody may write"), "{name}: {error}");
        fs::set_permissions(&path, before).unwrap();
    }
    open(folder.path()).unwrap();
    // Where the keys are, since whoever writes there can put others in their place.
    let keys = folder.path().join("elsewhere");
    fs::create_dir(&keys).unwrap();
    let settings = fs::read_to_string(folder.path().join("kernel.toml")).unwrap();
    fs::rename(folder.path().join("log.key"), keys.join("log.key")).unwrap();
    let moved = settings.replace("\"log.key\"", "\"elsewhere/log.key\"");
    fs::write(folder.path().join("kernel.toml"), moved).unwrap();
    open(folder.path()).unwrap();
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o777)).unwrap();
    let error = open(folder.path()).err().unwrap().to_string();
    assert!(error.contains("everybody may write"), "{error}");
}

#[test]
fn what_belongs_to_another_user_is_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "");
    open(folder.path()).unwrap().close().unwrap();
    let register = folder.path().join("used");
    Register::open(&register, 10).unwrap();
    for name in ["keys.toml", "state", "state/ledger", "policy", "used"] {
        let path = folder.path().join(name);
        // Only root can give files away; nobody else has any that are another user's.
        if chown(&path, Some(65_534), None).is_err() {
            return;
        }
        let error = match name {
            "used" => Register::open(&register, 10).err(),
            _ => open(folder.path()).err(),
        };
        let error = error.unwrap();
        assert!(matches!(error, KernelError::Config(_)), "{name}: {error}");
        assert!(error.to_string().contains("65534"), "{name}: {error}");
        chown(&path, Some(0), None).unwrap();
    }
    open(folder.path()).unwrap();
}

#[test]
fn a_register_is_for_nobody_else_to_write_to() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("used");
    Register::open(&path, 10).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o007, 0);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    assert!(matches!(Register::open(&path, 10), Err(KernelError::Config(_))));
}

#[test]
fn policies_on_trial_are_counted_named_and_can_be_replayed() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "decisions = \"decisions.jsonl\"");
    let path = folder.path().join("policy/acme.cedar");
    let policies = fs::read_to_string(&path).unwrap();
    let trial = |shadow: &str| {
        format!(
            "{policies}\n@id(\"trial\") {shadow} forbid (principal, action == Action::\"refund\", resource)\n\
             when {{ context.args.cents > 100 }};"
        )
    };
    fs::write(&path, trial("@shadow")).unwrap();
    let local = Local::open(folder.path(), None).unwrap();
    let kernel = local.kernel();
    let (small, large) = (ask(kernel, &refund(50), None), ask(kernel, &refund(500), None));
    assert_eq!((small.decision, large.decision), (Decision::Allow, Decision::Allow));
    let [counters] = local.shadow_counters().unwrap().try_into().unwrap();
    assert_eq!(
        (&*counters.rule_id, counters.evaluated, counters.satisfied, counters.would_change),
        ("trial", 2, 1, 1)
    );
    for (answer, named) in [(&small, None), (&large, Some("trial"))] {
        let durable = kernel.durable(answer).unwrap().unwrap();
        let statement = Statement::of(&durable.receipt).unwrap();
        let shadow = statement.predicate.get("details").and_then(|more| more.get("shadow"));
        let first = shadow.and_then(|names| names.as_list()?.first()?.as_str().map(str::to_owned));
        assert_eq!(first.as_deref(), named);
    }
    // In force, it would have decided one of them otherwise: what was noted says which.
    fs::write(&path, trial("")).unwrap();
    let after = Policy::load(folder.path()).unwrap();
    let noted = fs::read_to_string(folder.path().join("decisions.jsonl")).unwrap();
    let differing: Vec<String> = noted
        .lines()
        .map(|line| Recorded::from_json(line.as_bytes(), &JsonLimits::default()).unwrap())
        .filter_map(|recorded| replay(&after, &recorded))
        .map(|difference| difference.request_id)
        .collect();
    assert_eq!(differing, [large.request_id]);
    let mode = fs::metadata(folder.path().join("decisions.jsonl")).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0, "it holds arguments");
    local.close().unwrap();
}

#[test]
fn what_came_in_before_a_start_is_unknown_and_not_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    write(path, "request.skew_ms = 0");
    let ask_in = |local: &Local, conversation: Option<&str>| {
        let request = ActionRequest { conversation: conversation.map(str::to_owned), ..refund(1) };
        ask(local.kernel(), &request, None)
    };
    let exports = || {
        let tools = fs::read_to_string(path.join("tools.toml")).unwrap();
        fs::write(path.join("tools.toml"), tools.replace("exports = false", "exports = true"))
    };
    exports().unwrap();
    let local = Local::open(path, None).unwrap();
    wait();
    assert_eq!(ask_in(&local, None).decision, Decision::Allow, "nothing came in for anybody");
    local.observe("acme", "c1", "web", "nothing that an argument repeats").unwrap();
    assert_eq!(ask_in(&local, Some("c1")).decision, Decision::Allow);
    local.close().unwrap();
    drop(local);
    // At the start after that one, and at the one after.
    for _ in 0..2 {
        let local = Local::open(path, None).unwrap();
        wait();
        for conversation in [Some("c1"), None] {
            let answer = ask_in(&local, conversation);
            assert_eq!(
                (answer.decision, answer.reason.as_str()),
                (Decision::Deny, "taint_unknown")
            );
            assert_eq!(answer.status, Status::Error);
        }
        // What comes in again does not make up for what is not known.
        local.observe("acme", "c1", "web", "something else").unwrap();
        assert_eq!(ask_in(&local, Some("c1")).reason, "taint_unknown");
        assert_eq!(ask_in(&local, Some("c2")).decision, Decision::Allow);
        local.close().unwrap();
    }
}
