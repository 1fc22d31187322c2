//! The log with its threads: places are told before they are durable, and everybody who waits is answered.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic in a test is its report")]

use std::collections::BTreeSet;
use std::sync::mpsc::{channel, Sender};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use sift_ledger::keys::PrivateKey;
use sift_ledger::log::{Entry, Log, LogConfig, LogError};
use sift_ledger::storage::{File, Storage};

mod sim;

const WAIT: Duration = Duration::from_secs(60);

fn config() -> LogConfig {
    let mut config = LogConfig::new("example.com/ledger", PrivateKey::from_seed(&[1; 32]));
    config.segment_bytes = 256 << 10;
    config
}

/// A disk that flushes when it is let.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    fn shut(&self, shut: bool) {
        *self.0 .0.lock().unwrap() = shut;
        self.0 .1.notify_all();
    }

    fn pass(&self) {
        drop(self.0 .1.wait_while(self.0 .0.lock().unwrap(), |shut| *shut).unwrap());
    }
}

struct Gated {
    disk: sim::Sim,
    gate: Gate,
}

struct GatedFile(Box<dyn File>, Gate);

impl File for GatedFile {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> std::io::Result<()> {
        self.0.write_at(offset, bytes)
    }

    fn flush(&self) -> std::io::Result<()> {
        self.1.pass();
        self.0.flush()
    }
}

impl Storage for Gated {
    fn create(&self, path: &str, length: u64) -> std::io::Result<Box<dyn File>> {
        Ok(Box::new(GatedFile(self.disk.create(path, length)?, self.gate.clone())))
    }

    fn open(&self, path: &str) -> std::io::Result<Box<dyn File>> {
        Ok(Box::new(GatedFile(self.disk.open(path)?, self.gate.clone())))
    }

    fn read(&self, path: &str, limit: usize) -> std::io::Result<Vec<u8>> {
        self.disk.read(path, limit)
    }

    fn list(&self, folder: &str) -> std::io::Result<Vec<String>> {
        self.disk.list(folder)
    }

    fn put(&self, path: &str, bytes: &[u8]) -> std::io::Result<()> {
        self.disk.put(path, bytes)
    }

    fn flush(&self, paths: &[String]) -> std::io::Result<()> {
        self.disk.flush(paths)
    }

    fn replace(&self, path: &str, bytes: &[u8]) -> std::io::Result<()> {
        self.disk.replace(path, bytes)
    }

    fn rename(&self, from: &str, to: &str) -> std::io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, path: &str) -> std::io::Result<()> {
        self.disk.remove(path)
    }
}

fn gated() -> (Log, Gate) {
    let gate = Gate::default();
    let storage = Gated { disk: sim::Sim::new(), gate: gate.clone() };
    (Log::open(Arc::new(storage), config()).unwrap(), gate)
}

#[test]
fn many_callers_are_answered_with_the_places_they_were_told() {
    let (log, _) = gated();
    for round in 0..2 {
        let places = Mutex::new(BTreeSet::new());
        std::thread::scope(|scope| {
            for caller in 0..16 {
                let (log, places) = (&log, &places);
                scope.spawn(move || {
                    for number in 0..100 {
                        let text = format!("{round} {caller} {number}");
                        let ticket = log.append(text.as_bytes()).unwrap();
                        let durable = ticket.wait(WAIT).unwrap();
                        assert_eq!(durable.index, ticket.index());
                        assert_eq!(&*log.entry(durable.index).unwrap(), text.as_bytes());
                        assert!(places.lock().unwrap().insert(durable.index));
                    }
                });
            }
        });
        let all: BTreeSet<u64> = (round * 1_600..(round + 1) * 1_600).collect();
        assert_eq!(places.into_inner().unwrap(), all);
    }
}

#[test]
fn while_the_disk_works_entries_gather_for_one_commit() {
    let (log, gate) = gated();
    gate.shut(true);
    let first = log.append(b"first".as_slice()).unwrap();
    assert_eq!(first.wait(Duration::from_millis(50)), Err(LogError::Timeout));
    let tickets: Vec<_> =
        (0_u8..20).map(|number| log.append([number].as_slice()).unwrap()).collect();
    let (told, heard): (Sender<_>, _) = channel();
    tickets[3].on_done(move |done| told.send(done.unwrap().index).unwrap());
    std::thread::scope(|scope| {
        let waiting: Vec<_> =
            tickets.iter().map(|ticket| scope.spawn(|| ticket.wait(WAIT).unwrap())).collect();
        gate.shut(false);
        for (place, thread) in waiting.into_iter().enumerate() {
            let durable = thread.join().unwrap();
            assert_eq!((durable.index, durable.tree_size), (place as u64 + 1, 21));
        }
    });
    assert_eq!(first.wait(WAIT).unwrap().tree_size, 1);
    assert_eq!(heard.recv_timeout(WAIT).unwrap(), 4);
}

#[test]
fn a_token_left_by_somebody_else_answers_nobody() {
    let (log, gate) = gated();
    gate.shut(true);
    let ticket = log.append(b"one".as_slice()).unwrap();
    std::thread::current().unpark();
    assert_eq!(ticket.wait(Duration::from_millis(20)), Err(LogError::Timeout));
    gate.shut(false);
    assert_eq!(ticket.wait(WAIT).unwrap().index, 0);
}

#[test]
fn entries_are_made_by_the_thread_that_commits_and_of_a_flood_by_who_brings_them() {
    let (log, gate) = gated();
    gate.shut(true);
    let makers = Arc::new(Mutex::new(Vec::new()));
    let append = |number: usize| {
        let makers = Arc::clone(&makers);
        log.append(Entry::later(60_000, move || {
            makers.lock().unwrap().push(std::thread::current().id());
            vec![u8::try_from(number).unwrap(); 60_000]
        }))
        .unwrap()
    };
    // Held at its flush, the first is in line as well until it is durable.
    let first = append(0);
    assert_eq!(first.wait(Duration::from_millis(50)), Err(LogError::Timeout));
    let tickets: Vec<_> = (1..40).map(append).collect();
    let own = std::thread::current().id();
    let made =
        |by_me: bool| makers.lock().unwrap().iter().filter(|&&one| (one == own) == by_me).count();
    assert_eq!((made(false), made(true)), (1, 40 - (1 << 20) / 60_002));
    gate.shut(false);
    for (number, ticket) in tickets.iter().enumerate() {
        let index = ticket.wait(WAIT).unwrap().index;
        assert_eq!(index, number as u64 + 1);
        assert_eq!(*log.entry(index).unwrap(), vec![u8::try_from(index).unwrap(); 60_000]);
    }
    assert_eq!(made(false) + made(true), 40);
}
