//! Processes that are killed at random moments: what was acknowledged is there, and nothing is usable twice.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic in a test is its report")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sift_kernel::{sign, to_json, Credential, Decision, Kernel, Stamp, Verdict};
use sift_ledger::keys::Keyring;
use sift_ledger::receipt::Verifier;
use sift_policy::json::{parse, JsonLimits};

mod common;

use common::{ask, key, now, open, refund, write, AUDIENCE};

/// The folder that a child works with, and nothing in the process that runs the tests.
const CHILD: &str = "SIFT_CRASH_FOLDER";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

/// Works until it is killed, and says what was acknowledged, after it was.
#[test]
fn child() {
    let Some(folder) = std::env::var_os(CHILD).map(PathBuf::from) else { return };
    let kernel = open(&folder).unwrap();
    say("ready");
    // Longer than the clocks may be apart, which a restart after a crash waits for.
    std::thread::sleep(Duration::from_millis(30));
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let kernel = &kernel;
            scope.spawn(move || work(kernel, thread));
        }
    });
}

/// One line, whole, at once.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").unwrap();
    out.flush().unwrap();
}

fn work(kernel: &Kernel, thread: i64) {
    for round in 0_i64.. {
        let request = refund(1);
        let stamp = Stamp::new(AUDIENCE, now(), 60_000).unwrap();
        let credential = sign(&request, "bot-1", &key(3), stamp).unwrap();
        let answer = kernel.authorize(&request, &credential, None);
        assert_eq!(answer.decision, Decision::Allow, "{}", answer.reason);
        let durable = kernel.durable(&answer).unwrap().unwrap();
        say(&format!(
            "done {} {} {}",
            durable.placed.unwrap().index,
            hex(&durable.receipt),
            hex(&to_json(&credential.to_value()).unwrap())
        ));
        kernel.settle(&answer.lease.unwrap(), BTreeMap::new()).unwrap();
        if round % 8 == 4 {
            // An approval from its beginning to its use.
            let cents = 10_000 + round * 4 + thread;
            let large = refund(cents);
            let id = ask(kernel, &large, None).approval.unwrap();
            let record = kernel.approval(&id).unwrap().unwrap();
            let signature = record.sign(AUDIENCE, "ann", &key(4), Verdict::Approve).unwrap();
            kernel.sign_approval(&id, "ann", Verdict::Approve, &signature).unwrap();
            let used = ask(kernel, &large, Some(&id));
            assert_eq!(used.decision, Decision::Allow, "{}", used.reason);
            kernel.durable(&used).unwrap();
            say(&format!("used {id} {cents}"));
        }
    }
}

#[derive(Default)]
struct Seen {
    done: Vec<(u64, Vec<u8>, Vec<u8>)>,
    used: Vec<(String, i64)>,
}

/// Runs a child and kills it; what it said until then.
fn run(folder: &Path, life: Duration) -> Seen {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["child", "--exact", "--nocapture", "--test-threads", "1"])
        .env(CHILD, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let ready = lines.by_ref().map_while(Result::ok).any(|line| line.contains("ready"));
    assert!(ready, "the child did not open the kernel");
    let end = Instant::now() + life;
    let reader = std::thread::spawn(move || {
        let mut seen = Seen::default();
        for line in lines.map_while(Result::ok) {
            let mut words = line.split(' ');
            match (words.next(), words.next(), words.next(), words.next()) {
                (Some("done"), Some(index), Some(receipt), Some(credential))
                    if credential.ends_with("7d") =>
                {
                    seen.done.push((index.parse().unwrap(), unhex(receipt), unhex(credential)));
                }
                (Some("used"), Some(id), Some(cents), None) => {
                    seen.used.push((id.to_owned(), cents.parse().unwrap()));
                }
                // The last line may be cut.
                _ => {}
            }
        }
        seen
    });
    std::thread::sleep(end.saturating_duration_since(Instant::now()));
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap()
}

#[test]
fn nothing_acknowledged_is_lost_and_nothing_is_used_twice() {
    if std::env::var_os(CHILD).is_some() {
        return;
    }
    let kills = std::env::var("SIFT_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(4);
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "");
    // A short wait after each crash, and a budget from which the crashes take no more than they may lose.
    let change = |name: &str, from: &str, to: &str| {
        let path = folder.path().join(name);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace(from, to)).unwrap();
    };
    change("budgets.toml", "cap = 100_000_000", "cap = 900_000_000_000_000");
    change(
        "kernel.toml",
        "log_key = \"log.key\"",
        "log_key = \"log.key\"\n[request]\nskew_ms = 20",
    );
    let keys = || Keyring::load(&folder.path().join("keys.toml")).unwrap();
    let (mut acknowledged, mut state) = (0, 0x5EED_u64);
    for _ in 0..kills {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let seen = run(folder.path(), Duration::from_millis(40 + (state >> 33) % 1_500));
        let kernel = open(folder.path()).unwrap();
        let mut verifier = Verifier::new(keys());
        for (index, receipt, credential) in &seen.done {
            let proof = kernel.proof(*index).unwrap();
            let verified = verifier.verify(receipt, Some(&proof), now()).unwrap();
            assert!(verified.inclusion.is_valid(), "{}", verified.inclusion.detail());
            assert_eq!(verified.index, Some(*index));
            let credential =
                Credential::from_value(parse(credential, &JsonLimits::default()).unwrap()).unwrap();
            let again = kernel.authorize(&refund(1), &credential, None);
            assert_eq!(
                (again.decision, again.reason.as_str()),
                (Decision::Deny, "issued_before_start")
            );
        }
        std::thread::sleep(Duration::from_millis(30));
        for (id, cents) in &seen.used {
            let again = ask(&kernel, &refund(*cents), Some(id));
            assert_eq!((again.decision, again.reason.as_str()), (Decision::Deny, "approval_used"));
        }
        acknowledged += seen.done.len();
        // The next child finds what a crash leaves.
        drop(kernel);
    }
    assert!(acknowledged > 0, "the children did nothing");
    println!("{kills} kills, {acknowledged} receipts acknowledged, all there");
}
