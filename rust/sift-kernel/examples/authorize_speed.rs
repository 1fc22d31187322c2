//! How long an authorization takes, and how many are durable in a second.
//!
//!     cargo run --release -p sift-kernel --example authorize_speed [FOLDER [ACTIONS [INTERVAL_US]]]
//!
//! FOLDER is where state is written; a temporary one, usually on memory, when absent. ACTIONS is how many durable
//! permits each of the 32 callers asks for, after a third as many that are not counted: 300, which take less than a
//! second; more for a profile of them, or to have tiles published meanwhile. INTERVAL_US is the log's, for those who look for a better one. Numbers count from the
//! request and its credential to the answer (`authorize`), and to the permit (`durable`). What is checked each
//! time: names and limits, key or session, revocation, time, MAC or Ed25519, nonce, schema, policy, two limits.
//! Beside the permits stand, as their floor, what the disk takes by itself for as much as 16 receipts, flushed and past
//! the page cache as the log writes it, and what the log takes for 32 callers that do nothing but bring it a receipt's
//! bytes; and the processor time of one permit, which does not depend on what else the machine does: requests, answers,
//! receipts, permits, settlements and the log, of all threads together.

#![allow(clippy::print_stdout, reason = "a program that measures")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::time::{clock_gettime, ClockId};
use sift_kernel::{sign, ActionRequest, Credential, Decision, Kernel, SessionGrant, Stamp};
use sift_ledger::keys::PrivateKey;
use sift_ledger::log::{Log, LogConfig};
use sift_ledger::storage::{Directory, Storage};
use sift_policy::json::{parse, JsonLimits};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const AUDIENCE: &str = "kernel.bench";

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(0)
}

fn write(folder: &Path, receipts: &str, log: &str) -> Outcome<()> {
    let file = |name: &str, text: String| fs::write(folder.join(name), text);
    fs::create_dir_all(folder.join("policy"))?;
    file(
        "kernel.toml",
        format!(
            "audience = \"{AUDIENCE}\"\norigin = \"bench.example/actions\"\nreceipt_key = \"receipt.key\"\n\
             receipt_key_id = \"receipt-1\"\nlog_key = \"log.key\"\nreceipts = \"{receipts}\"\n[log]\n{log}"
        ),
    )?;
    let mut keys = String::new();
    for (id, purpose, seed, more) in [
        ("receipt-1", "receipt", 1, ""),
        ("log-1", "log", 2, "name = \"bench.example/actions\""),
        (
            "bot-1",
            "agent",
            3,
            "tenant = \"acme\"\nagent = \"bot\"\nroles = [\"support\"]\nname = \"olga\"",
        ),
    ] {
        let key = PrivateKey::from_seed(&[seed; 32]);
        keys += &format!(
            "[[key]]\nid = \"{id}\"\npurpose = \"{purpose}\"\nalgorithm = \"ed25519\"\npublic = \"{}\"\n{more}\n",
            key.public_base64()
        );
        if purpose != "agent" {
            key.write_new(&folder.join(format!("{purpose}.key")))?;
        }
    }
    file("keys.toml", keys)?;
    let limit = |budget: &str, unit: &str, scope: &str| {
        format!(
            "[[limit]]\nbudget = \"{budget}\"\nunit = \"{unit}\"\nscope = \"{scope}\"\nwindow = \"1d\"\ncap = 9000000000000\n"
        )
    };
    file(
        "budgets.toml",
        limit("refunds", "usd_micros", "tenant") + &limit("calls", "calls", "agent"),
    )?;
    file(
        "tools.toml",
        r#"
        version = 1
        [tool.refund]
        action = "payment"
        risk = "high"
        reversible = true
        exports = false
        scan_args = false
        charges = [
            { budget = "refunds", unit = "usd_micros", argument = "/cents", times = 10_000 },
            { budget = "calls", unit = "calls", amount = 1 },
        ]
        args = { type = "object", required = ["order", "cents", "note"], additionalProperties = false, properties = { order = { type = "string" }, cents = { type = "integer", minimum = 1 }, note = { type = "string" } } }
        "#
        .to_owned(),
    )?;
    let mut policies = String::new();
    for number in 0..1_000 {
        policies += &format!(
            "@id(\"p{number}\") permit (principal in Role::\"role{number}\", action == Action::\"refund\", resource)\n\
             when {{ context.args.cents <= {number} }};\n"
        );
    }
    policies += "@id(\"refund\") permit (principal in Role::\"support\", action == Action::\"refund\", resource)\n\
                 when { context.args.cents <= 5000 };\n";
    file("policy/bench.cedar", policies)?;
    Ok(())
}

fn request(session: Option<&str>) -> Outcome<ActionRequest> {
    let note = "the customer was charged twice for this order and asks for one of them back";
    Ok(ActionRequest {
        tenant: "acme".to_owned(),
        agent: "bot".to_owned(),
        role: "support".to_owned(),
        tool: "refund".to_owned(),
        args: parse(
            format!(r#"{{"order":"o-2026-000123","cents":1200,"note":"{note}"}}"#).as_bytes(),
            &JsonLimits::default(),
        )?,
        session: session.map(str::to_owned),
        conversation: Some("c1".to_owned()),
        model: None,
        model_version: None,
        trace_id: None,
        estimate: Vec::new(),
    })
}

fn report(what: &str, mut times: Vec<u64>) {
    times.sort_unstable();
    let at = |share: f64| {
        let place = (times.len() as f64 * share) as usize;
        times.get(place).copied().unwrap_or(0) as f64 / 1_000.0
    };
    println!(
        "{what:<44} P50 {:>8.1} us   P95 {:>8.1} us   P99 {:>8.1} us",
        at(0.5),
        at(0.95),
        at(0.99)
    );
}

/// What the disk takes for a commit: a write and a flush, and the log's one write, in a file that has its size.
fn disk(folder: &Path) -> Outcome<()> {
    const BLOCK: usize = 16 << 10;
    const ROUNDS: usize = 500;
    let storage = Directory::open(&folder.join("disk"))?;
    let file = storage.create("file", (ROUNDS * BLOCK) as u64)?;
    let block = vec![7; 2 * BLOCK];
    let from = block.as_ptr().align_offset(4096);
    let block = block.get(from..from + BLOCK).ok_or("no place of 4096 bytes")?;
    let time = |work: &dyn Fn(u64) -> std::io::Result<()>| -> Outcome<Vec<u64>> {
        let mut times = Vec::with_capacity(ROUNDS);
        for round in 0..ROUNDS {
            let start = Instant::now();
            work((round * BLOCK) as u64)?;
            times.push(start.elapsed().as_nanos() as u64);
        }
        Ok(times)
    };
    let flushed = |place| file.write_at(place, block).and_then(|()| file.flush());
    report("the disk: write and fdatasync of 16 KiB", time(&flushed)?);
    let direct = |place| file.write_durably(place, block);
    report("the disk: one write of 16 KiB, as the log's", time(&direct)?);
    Ok(())
}

/// What the log takes when nobody decides, signs or settles anything: each caller waits for its bytes to be durable.
fn log_alone(folder: &Path, interval_us: u64, each: usize) -> Outcome<()> {
    let mut config = LogConfig::new("bench.example/alone", PrivateKey::from_seed(&[2; 32]));
    config.interval = Duration::from_micros(interval_us);
    let log = Log::open_folder(&folder.join("alone"), config)?;
    let used = processor_us();
    let times = together(
        || {
            let start = Instant::now();
            let ticket = log.append(vec![7; 1_400]).ok()?;
            ticket.wait(Duration::from_secs(60)).ok()?;
            Some(start.elapsed().as_nanos() as u64)
        },
        each,
    )?;
    let used = (processor_us() - used) / times.len() as f64;
    report(&format!("the log alone, {CALLERS} callers"), times);
    println!("{:<44} {used:.0} us of processor time each", "");
    Ok(())
}

/// Threads that do the same, each so many times.
const CALLERS: usize = 32;

/// Nanoseconds that each of the callers' turns took.
fn together(turn: impl Fn() -> Option<u64> + Sync, each: usize) -> Outcome<Vec<u64>> {
    let turn = &turn;
    let times: Vec<u64> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..CALLERS)
            .map(|_| scope.spawn(move || (0..each).map_while(|_| turn()).collect::<Vec<u64>>()))
            .collect();
        all.into_iter().filter_map(|one| one.join().ok()).flatten().collect()
    });
    if times.len() != CALLERS * each {
        return Err("an action was not durable".into());
    }
    Ok(times)
}

/// Processor time of this process, microseconds.
fn processor_us() -> f64 {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    used.tv_sec as f64 * 1e6 + used.tv_nsec as f64 / 1e3
}

/// Answers one by one; a lease is given back outside of the time.
fn one_by_one(
    kernel: &Kernel,
    count: usize,
    request: &ActionRequest,
    credential: impl Fn() -> Outcome<Credential>,
) -> Outcome<Vec<u64>> {
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let credential = credential()?;
        let start = Instant::now();
        let answer = kernel.authorize(request, &credential, None);
        times.push(start.elapsed().as_nanos() as u64);
        if answer.decision != Decision::Allow {
            return Err(format!("denied: {}", answer.reason).into());
        }
        kernel.cancel(&answer.lease.unwrap_or_default())?;
    }
    Ok(times)
}

fn main() -> Outcome<()> {
    let root = match std::env::args_os().nth(1) {
        Some(folder) => PathBuf::from(folder),
        None => std::env::temp_dir(),
    }
    .join(format!("sift-kernel-speed-{}", std::process::id()));
    let each: usize = match std::env::args().nth(2) {
        Some(actions) => actions.parse()?,
        None => 300,
    };
    let log = match std::env::args().nth(3) {
        Some(interval) => format!("interval_us = {interval}\n"),
        None => String::new(),
    };
    let key = PrivateKey::from_seed(&[3; 32]);
    println!("1,001 policies; state in {}", root.display());
    for receipts in ["batched", "signed"] {
        let folder = root.join(receipts);
        write(&folder, receipts, &log)?;
        let kernel = Kernel::open(&folder, None, None)?;
        let grant = SessionGrant {
            session: "s1".to_owned(),
            tenant: "acme".to_owned(),
            agent: "bot".to_owned(),
            roles: ["support".to_owned()].into(),
            tools: None,
            conversation: None,
            not_before_ms: now(),
            expires_at_ms: now() + 3_600_000,
        };
        let session = kernel.open_session(&grant.sign(AUDIENCE, "bot-1", &key)?)?;
        let inside = request(Some(session.id()))?;
        let outside = request(None)?;
        let by_mac = || Ok(session.mac(&inside, now(), 60_000)?);
        let by_key = || Ok(sign(&outside, "bot-1", &key, Stamp::new(AUDIENCE, now(), 60_000)?)?);
        // What is made at first use.
        one_by_one(&kernel, 1_000, &inside, by_mac)?;
        report(
            &format!("authorize, session MAC, receipt {receipts}"),
            one_by_one(&kernel, 20_000, &inside, by_mac)?,
        );
        report(
            &format!("authorize, Ed25519, receipt {receipts}"),
            one_by_one(&kernel, 5_000, &outside, by_key)?,
        );
        disk(&folder)?;
        log_alone(&folder, kernel.config().log.interval_us, each)?;
        let turn = || {
            let credential = session.mac(&inside, now(), 60_000).ok()?;
            let start = Instant::now();
            let answer = kernel.authorize(&inside, &credential, None);
            kernel.durable(&answer).ok()??.permit?;
            let took = start.elapsed().as_nanos() as u64;
            kernel.settle(&answer.lease?, BTreeMap::new()).ok()?;
            Some(took)
        };
        // What is used for the first time: the class that is measured first found fresh memory at every step.
        together(turn, each.div_ceil(3))?;
        let used = processor_us();
        let start = Instant::now();
        let times = together(turn, each)?;
        let rate = times.len() as f64 / start.elapsed().as_secs_f64();
        let used = (processor_us() - used) / times.len() as f64;
        report(&format!("durable permit, {CALLERS} callers, receipt {receipts}"), times);
        println!("{:<44} {rate:.0} a second, {used:.0} us of processor time each", "");
    }
    // All at the end: a file system looks for new files' numbers among those of files that have just gone.
    fs::remove_dir_all(&root)?;
    Ok(())
}
