//! A child process writes a ledger and is killed with signal 9 at random moments; what it said was durable is.
//!
//! `SIFT_KILLS` kills (5 when not set). The child is this test, started again: it writes each acknowledged size and
//! root to its standard output.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    reason = "helpers of tests: a panic there is the report"
)]
#![allow(clippy::print_stdout, reason = "the child speaks through its output")]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use sift_ledger::audit::audit;
use sift_ledger::keys::{Keyring, PrivateKey, PublicKey, Purpose};
use sift_ledger::log::{Log, LogConfig, LogError};
use sift_ledger::merkle::verify_consistency;
use sift_ledger::note::Checkpoint;
use sift_ledger::storage::Directory;

const ORIGIN: &str = "example.com/ledger";
const CHILD: &str = "SIFT_LEDGER_CHILD";

fn config() -> LogConfig {
    LogConfig {
        segment_bytes: 512 << 10,
        publish_interval: Duration::from_millis(3),
        ..LogConfig::new(ORIGIN, PrivateKey::from_seed(&[5; 32]))
    }
}

fn entry(n: u64) -> Vec<u8> {
    format!("entry {n} {}", "x".repeat((n * 37 % 500) as usize)).into_bytes()
}

/// The child: appends until it is killed.
#[test]
#[ignore = "started by the other test"]
fn child() {
    let Ok(folder) = std::env::var(CHILD) else { return };
    let log = Log::open_folder(Path::new(&folder), config()).unwrap();
    let mut next = log.checkpoint().tree_size;
    let mut out = std::io::stdout().lock();
    writeln!(out, "ready").unwrap();
    loop {
        let tickets: Vec<_> = (next..next + 50).map(|n| log.append(entry(n)).unwrap()).collect();
        next += 50;
        let last = tickets.last().unwrap().wait(Duration::from_secs(60)).unwrap();
        let note = last.checkpoint.lines().take(3).collect::<Vec<_>>().join(" ");
        writeln!(out, "durable {note}").unwrap();
        out.flush().unwrap();
    }
}

#[test]
fn killed_at_random_moments() {
    let kills = std::env::var("SIFT_KILLS").map_or(5, |count| count.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let mut ring = Keyring::new();
    let public = PrivateKey::from_seed(&[5; 32]).public();
    ring.add(PublicKey::new("log", Purpose::Log, &public).unwrap().named(ORIGIN)).unwrap();
    let mut acknowledged: Vec<Checkpoint> = Vec::new();
    for kill in 0..kills {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["child", "--exact", "--ignored", "--nocapture"])
            .env(CHILD, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.by_ref().any(|line| line.unwrap().ends_with("ready")));
        if kill == 0 {
            // While it lives, nobody else may write.
            match Log::open_folder(folder.path(), config()) {
                Err(LogError::Held(message)) => assert!(message.contains(&child.id().to_string())),
                other => panic!("{:?}", other.map(|_| "opened")),
            }
        }
        thread::sleep(Duration::from_micros(500 + kill * 7919 % 60_000));
        child.kill().unwrap();
        // What it wrote before the signal counts.
        for line in lines.map_while(Result::ok) {
            if let Some(text) = line.strip_prefix("durable ") {
                let text = format!("{}\n", text.replace(' ', "\n"));
                if let Ok(checkpoint) = Checkpoint::parse(&text) {
                    acknowledged.push(checkpoint);
                }
            }
        }
        child.wait().unwrap();

        let log = Log::open_folder(folder.path(), config()).unwrap();
        let now = log.checkpoint();
        let newest = Checkpoint::parse(
            now.checkpoint.split("\n\n").next().map(|t| format!("{t}\n")).unwrap().as_str(),
        )
        .unwrap();
        for old in acknowledged.iter().rev().take(40) {
            assert!(
                old.size <= newest.size,
                "kill {kill}: {} acknowledged, {} there",
                old.size,
                newest.size
            );
            let proof = log.consistency(old.size, newest.size).unwrap();
            assert_eq!(
                verify_consistency(old.size, newest.size, &old.root, &newest.root, &proof),
                Ok(())
            );
        }
        drop(log);
    }
    assert!(!acknowledged.is_empty());
    let mut count = 0;
    let mut each = |n: u64, bytes: &[u8]| {
        assert_eq!(bytes, entry(n));
        count += 1;
    };
    let storage = Directory::reader(folder.path());
    let audited = audit(&storage, &ring, None, &[], 0, &mut each).unwrap();
    assert_eq!(audited.checkpoint.checkpoint.size, count);
    assert!(count >= acknowledged.iter().map(|one| one.size).max().unwrap());
}

#[test]
fn callers_are_answered_together_and_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let log = Arc::new(Log::open_folder(folder.path(), config()).unwrap());
    let (sender, commits) = std::sync::mpsc::channel();
    log.on_durable(move |commit| sender.send((commit.first, commit.tree_size)).unwrap());
    thread::scope(|scope| {
        for caller in 0..8_u64 {
            let log = log.clone();
            scope.spawn(move || {
                for n in 0..200 {
                    let bytes = entry(caller * 1000 + n);
                    let ticket = log.append(bytes.clone()).unwrap();
                    let (sender, receiver) = std::sync::mpsc::channel();
                    ticket.on_done(move |result| sender.send(result).unwrap());
                    let durable = ticket.wait(Duration::from_secs(60)).unwrap();
                    assert_eq!(receiver.recv().unwrap().unwrap(), durable);
                    assert_eq!(*log.entry(durable.index).unwrap(), *bytes);
                    assert_eq!(log.proof(&durable).unwrap().index, durable.index);
                }
            });
        }
    });
    assert_eq!(log.checkpoint().tree_size, 1600);
    let mut size = 0;
    for (first, tree_size) in commits.try_iter() {
        assert_eq!(first, size);
        size = tree_size;
    }
    assert_eq!(size, 1600);
    assert_eq!(log.append(vec![0; 65_536]).err(), Some(LogError::TooLong));
}

const HOUR: Duration = Duration::from_secs(3600);

/// Entries of this thread gather for the interval from here on.
fn commit_of_another_thread(log: &Log) {
    let append = || log.append(vec![7]).unwrap().wait(Duration::from_secs(60)).unwrap();
    thread::scope(|scope| scope.spawn(append).join().unwrap());
}

#[test]
fn one_caller_alone_waits_for_no_company() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::open_folder(folder.path(), LogConfig { interval: HOUR, ..config() }).unwrap();
    let append = |byte: u8| log.append(vec![byte]).unwrap();
    for round in 0..20 {
        // What nobody waits for, and then what somebody does: as the end of one action and the next.
        append(round);
        assert!(append(round).wait(Duration::from_secs(60)).is_ok());
    }
    entry_of_another_thread_waits(&log);
    let mine = append(21);
    drop(log);
    assert!(mine.wait(Duration::ZERO).is_ok());
}

/// Two callers: the entry of the second is kept for company.
fn entry_of_another_thread_waits(log: &Log) {
    let append = || log.append(vec![7]).unwrap().wait(Duration::from_millis(100));
    let answer = thread::scope(|scope| scope.spawn(append).join().unwrap());
    assert_eq!(answer, Err(LogError::Timeout));
}

#[test]
fn a_full_queue_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let config = LogConfig { queue_bytes: 1000, interval: HOUR, ..config() };
    let log = Log::open_folder(folder.path(), config).unwrap();
    commit_of_another_thread(&log);
    let tickets: Vec<_> = (0..10).map(|_| log.append(vec![1; 98])).collect();
    assert!(tickets.iter().all(Result::is_ok));
    assert_eq!(log.append(vec![1; 98]).err(), Some(LogError::Full));
    assert_eq!(tickets[0].as_ref().unwrap().wait(Duration::ZERO), Err(LogError::Timeout));
    drop(log);
    for ticket in tickets {
        assert!(
            ticket.unwrap().wait(Duration::from_secs(60)).is_ok(),
            "closing commits what waits"
        );
    }
}
