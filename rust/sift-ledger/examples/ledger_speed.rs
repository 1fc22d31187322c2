//! Figures of the ledger: durable receipts a second, and receipts verified offline a second.
//!
//!     cargo run --release -p sift-ledger --example ledger_speed -- FOLDER [CALLERS] [RECEIPTS] [VERIFIED]
//!
//! FOLDER is made on the disk to measure, and removed. Each caller seals a receipt (and signs it, in the signed
//! class), appends it and keeps 64 on their way; each is waited for. Then VERIFIED receipts with their proofs are
//! verified on one core, from the bytes of envelope and proof file: parsed, signature strictly verified, leaf
//! hashed, inclusion verified.
#![allow(clippy::print_stdout, reason = "an example that prints figures")]
#![allow(clippy::unwrap_used, reason = "a failing measurement has nothing to say")]

use std::collections::VecDeque;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::time::ClockId;
use sift_ledger::keys::{Keyring, PrivateKey, PublicKey, Purpose};
use sift_ledger::log::{Log, LogConfig};
use sift_ledger::receipt::{seal, Charge, Class, Fields, Verifier};

const ORIGIN: &str = "example.com/ledger";
const WAIT: Duration = Duration::from_secs(60);

fn fields<'a>(request_id: &'a str, class: Class) -> Fields<'a> {
    Fields {
        event: "authorization",
        request_id,
        action_hash: [7; 32],
        args_commitment: Some([8; 32]),
        tenant: "acme",
        agent: "support-bot",
        role: "support",
        tool: "refund",
        conversation: Some("c-1"),
        model: Some("model"),
        model_version: Some("1"),
        decision: "allow",
        reason: "permitted",
        rule_ids: &["refunds-below-100"],
        policy_hash: Some([9; 32]),
        policy_version: Some("12"),
        engine: "0.1.0",
        lease: Some("l-1"),
        charges: &[Charge { budget: "refunds", unit: "usd_micros", amount: 2_500_000 }],
        issued_at: Some(1_790_000_000_000),
        decided_at: 1_790_000_000_004,
        expires_at: Some(1_790_000_030_000),
        class,
        ..Fields::default()
    }
}

/// Processor time of this thread or process: what one core would take, however busy the machine is.
fn processor(clock: ClockId) -> Duration {
    let now = rustix::time::clock_gettime(clock);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

fn percentile(sorted: &[f64], share: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * share) as usize]
}

fn append(folder: &Path, callers: u64, receipts: u64, class: Class, ahead: usize) {
    let _ = fs::remove_dir_all(folder);
    let key = PrivateKey::from_seed(&[2; 32]);
    let log =
        Log::open_folder(folder, LogConfig::new(ORIGIN, PrivateKey::from_seed(&[1; 32]))).unwrap();
    let (start, worked) = (Instant::now(), processor(ClockId::ProcessCPUTime));
    let mut waits: Vec<f64> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..callers)
            .map(|caller| {
                let (log, key) = (&log, &key);
                scope.spawn(move || {
                    let mut waits = Vec::new();
                    let mut flying = VecDeque::new();
                    for number in 0..receipts / callers {
                        let id = format!("request-{caller}-{number}");
                        let began = Instant::now();
                        let envelope = seal(&fields(&id, class), ("kernel", key)).unwrap();
                        flying.push_back((began, log.append(envelope).unwrap()));
                        if flying.len() >= ahead {
                            let (began, ticket) = flying.pop_front().unwrap();
                            ticket.wait(WAIT).unwrap();
                            waits.push(began.elapsed().as_secs_f64() * 1e3);
                        }
                    }
                    for (_, ticket) in flying {
                        ticket.wait(WAIT).unwrap();
                    }
                    waits
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let seconds = start.elapsed().as_secs_f64();
    let worked = (processor(ClockId::ProcessCPUTime) - worked).as_secs_f64();
    waits.sort_by(f64::total_cmp);
    println!(
        "durable, {:8} {callers} callers, {ahead:3} on their way each: {:8.0} receipts/s, {:.1} us of one core each, \
         wait P50 {:.2} P95 {:.2} P99 {:.2} ms",
        class.as_str(),
        (receipts / callers * callers) as f64 / seconds,
        worked * 1e6 / (receipts / callers * callers) as f64,
        percentile(&waits, 0.5),
        percentile(&waits, 0.95),
        percentile(&waits, 0.99),
    );
    drop(log);
}

fn verify(folder: &Path, count: u64, class: Class) {
    let log =
        Log::open_folder(folder, LogConfig::new(ORIGIN, PrivateKey::from_seed(&[1; 32]))).unwrap();
    let mut ring = Keyring::new();
    let public = |seed: u8| PrivateKey::from_seed(&[seed; 32]).public();
    ring.add(PublicKey::new("log", Purpose::Log, &public(1)).unwrap().named(ORIGIN)).unwrap();
    ring.add(PublicKey::new("kernel", Purpose::Receipt, &public(2)).unwrap()).unwrap();
    let mut verifier = Verifier::new(ring);
    let size = log.checkpoint().tree_size;
    let (mut busy, mut wall, mut bytes) = (Duration::ZERO, Duration::ZERO, 0);
    let mut done = 0;
    while done < count {
        let part: Vec<_> = (0..4096.min(count - done))
            .map(|place| {
                let index = (done + place) % size;
                (log.entry(index).unwrap(), log.inclusion(index).unwrap().to_text())
            })
            .collect();
        let (began, start) = (Instant::now(), processor(ClockId::ThreadCPUTime));
        for (envelope, proof) in &part {
            let seen = verifier.verify(envelope, Some(proof), 1_790_000_100_000).unwrap();
            assert!(seen.signature.is_valid() && seen.inclusion.is_valid());
            bytes += envelope.len() + proof.len();
        }
        busy += processor(ClockId::ThreadCPUTime) - start;
        wall += began.elapsed();
        done += part.len() as u64;
    }
    println!(
        "verified, {:8} tree of {size}: {count} receipts of {} bytes with proof, {:.1} us of one core each: \
         {:.1} s a million ({:.1} by the clock)",
        class.as_str(),
        bytes as u64 / count,
        busy.as_secs_f64() * 1e6 / count as f64,
        busy.as_secs_f64() * 1e6 / count as f64,
        wall.as_secs_f64() * 1e6 / count as f64,
    );
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let folder = Path::new(arguments.first().map_or("ledger-speed", String::as_str));
    let number =
        |place: usize, default| arguments.get(place).map_or(default, |word| word.parse().unwrap());
    let (callers, receipts, verified) = (number(1, 32), number(2, 200_000), number(3, 200_000));
    append(folder, callers, receipts / 20, Class::Signed, 1);
    append(folder, callers, receipts, Class::Batched, 64);
    verify(folder, verified, Class::Batched);
    append(folder, callers, receipts, Class::Signed, 64);
    verify(folder, verified, Class::Signed);
    let _ = fs::remove_dir_all(folder);
}
