//! The kernel as a whole, with time, store and ledger that can be told to fail.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic in a test is its report")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use sift_kernel::{
    sign, ActionRequest, ApprovalRecord, ApprovalState, ArgumentScanner, Authorization, Before,
    Budgets, Clock, Config, Credential, Decision, Elevation, Kernel, KernelError, LeaseState,
    Ledger, LedgerError, ManualClock, MemoryLedger, MemoryStore, Openings, Parts, Pending, Permit,
    Placed, Proof, Register, SessionGrant, Stamp, Status, Store, Subject, TaintBounds, TaintMemory,
    TaintSource, Told, Trace, Verdict,
};
use sift_ledger::dsse::Envelope;
use sift_ledger::hex;
use sift_ledger::keys::{Keyring, PrivateKey, PublicKey, Purpose};
use sift_ledger::log::Entry;
use sift_ledger::receipt::{blind_action, commit_arguments, Statement};
use sift_policy::json::{parse, JsonLimits, Value};
use sift_policy::{ArgumentFinding, Policy};

const START: i64 = 1_800_000_000_000;

const CONFIG: &str = r#"
    audience = "kernel.acme"
    origin = "acme.example/actions"
    receipt_key = "receipt.key"
    receipt_key_id = "kernel-1"
    log_key = "log.key"
    [approval]
    elevation_group = "security"
    pending_per_agent = 3
"#;

const BUDGETS: &str = r#"
    [[limit]]
    budget = "refunds"
    unit = "usd_micros"
    scope = "tenant"
    window = "1d"
    cap = 100_000_000
    [[limit]]
    budget = "calls"
    unit = "calls"
    scope = "agent"
    window = "1m"
    cap = 1000
"#;

const TOOLS: &str = r#"
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
    args = { type = "object", required = ["order", "cents"], additionalProperties = false, properties = { order = { type = "string" }, cents = { type = "integer", minimum = 1 } } }

    [tool.mail]
    action = "message"
    risk = "medium"
    reversible = false
    exports = true
    scan_args = true
    charges = [{ budget = "calls", unit = "calls", amount = 1 }]
    args = { type = "object", required = ["text"], additionalProperties = false, properties = { text = { type = "string" } } }
"#;

const POLICY: &str = r#"
    @id("refund.small")
    permit (principal in Role::"support", action == Action::"refund", resource)
    when { context.args.cents <= 5000 };

    @id("refund.large")
    @approval("2-of-finance")
    permit (principal in Role::"support", action == Action::"refund", resource)
    when { context.args.cents > 5000 && context.args.cents <= 100000 };

    @id("mail.any")
    permit (principal in Role::"support", action == Action::"mail", resource);
"#;

fn key(seed: u8) -> PrivateKey {
    PrivateKey::from_seed(&[seed; 32])
}

const KEYS: &[(&str, Purpose, u8)] = &[
    ("kernel-1", Purpose::Receipt, 1),
    ("bot-1", Purpose::Agent, 2),
    ("other-1", Purpose::Agent, 3),
    ("ann", Purpose::Approver, 4),
    ("ben", Purpose::Approver, 5),
    ("ben-phone", Purpose::Approver, 6),
    ("sam", Purpose::Approver, 7),
    ("owner", Purpose::Approver, 8),
];

fn private(id: &str) -> PrivateKey {
    key(KEYS.iter().find(|(name, ..)| *name == id).unwrap().2)
}

fn keys() -> Keyring {
    let mut ring = Keyring::new();
    for (id, purpose, seed) in KEYS {
        let mut public = PublicKey::new(id, *purpose, &key(*seed).public()).unwrap();
        match *id {
            "bot-1" => {
                public.tenant = Some("acme".to_owned());
                public.agent = Some("bot".to_owned());
                public.roles = vec!["support".to_owned()];
                public.name = Some("olga".to_owned());
            }
            "other-1" => {
                public.tenant = Some("other".to_owned());
                public.name = Some("oscar".to_owned());
                public.agent = Some("bot".to_owned());
                public.roles = vec!["support".to_owned()];
            }
            "ann" => {
                public.groups = vec!["finance".to_owned()];
                public.name = Some("ann".to_owned());
            }
            "ben" | "ben-phone" => {
                public.groups = vec!["finance".to_owned()];
                public.name = Some("ben".to_owned());
            }
            "sam" => {
                public.groups = vec!["security".to_owned()];
                public.name = Some("sam".to_owned());
            }
            "owner" => {
                public.groups = vec!["finance".to_owned()];
                public.name = Some("olga".to_owned());
            }
            _ => {}
        }
        ring.add(public).unwrap();
    }
    ring
}

struct Scanner(Result<Vec<ArgumentFinding>, String>);

impl ArgumentScanner for Scanner {
    fn scan(&self, _args: &Value) -> Result<Vec<ArgumentFinding>, String> {
        self.0.clone()
    }
}

struct Bench {
    kernel: Kernel,
    clock: Arc<ManualClock>,
    store: Arc<MemoryStore>,
    ledger: Arc<MemoryLedger>,
}

fn open_with(
    store: Arc<MemoryStore>,
    clock: Arc<ManualClock>,
    config: &str,
    scanner: Option<Arc<dyn ArgumentScanner>>,
) -> Result<Bench, KernelError> {
    open_full(store, clock, config, TOOLS, scanner, None)
}

fn open_full(
    store: Arc<MemoryStore>,
    clock: Arc<ManualClock>,
    config: &str,
    tools: &str,
    scanner: Option<Arc<dyn ArgumentScanner>>,
    taint: Option<Arc<dyn TaintSource>>,
) -> Result<Bench, KernelError> {
    let ledger = Arc::new(MemoryLedger::default());
    let kernel = Kernel::from_parts(Parts {
        config: Config::from_text(config)?,
        keys: keys(),
        budgets: Budgets::from_text(BUDGETS)?,
        policy: Policy::from_texts(tools, &[("acme.cedar", POLICY)]).unwrap(),
        receipt_key: private("kernel-1"),
        store: store.clone(),
        ledger: ledger.clone(),
        clock: clock.clone(),
        scanner,
        taint,
    })?;
    Ok(Bench { kernel, clock, store, ledger })
}

fn bench() -> Bench {
    open_with(Arc::default(), Arc::new(ManualClock::new(START)), CONFIG, None).unwrap()
}

fn json(text: &str) -> Value {
    parse(text.as_bytes(), &JsonLimits::default()).unwrap()
}

fn refund(cents: i64) -> ActionRequest {
    ActionRequest {
        tenant: "acme".to_owned(),
        agent: "bot".to_owned(),
        role: "support".to_owned(),
        tool: "refund".to_owned(),
        args: json(&format!(r#"{{"order":"o-1","cents":{cents}}}"#)),
        session: None,
        conversation: Some("c1".to_owned()),
        model: None,
        model_version: None,
        trace_id: None,
        estimate: Vec::new(),
    }
}

impl Bench {
    fn stamp(&self) -> Stamp {
        Stamp::new("kernel.acme", self.clock.wall_ms(), 60_000).unwrap()
    }

    fn sign(&self, request: &ActionRequest) -> Credential {
        sign(request, "bot-1", &private("bot-1"), self.stamp()).unwrap()
    }

    fn ask(&self, request: &ActionRequest) -> Authorization {
        self.kernel.authorize(request, &self.sign(request), None)
    }

    fn approve(&self, id: &str, who: &str, verdict: Verdict) -> Result<ApprovalState, KernelError> {
        let record = self.kernel.approval(id).unwrap().unwrap();
        let signature = record.sign("kernel.acme", who, &private(who), verdict)?;
        self.kernel.sign_approval(id, who, verdict, &signature)
    }
}

fn denied(answer: &Authorization, reason: &str) {
    assert_eq!((answer.decision, answer.reason.as_str()), (Decision::Deny, reason));
    assert!(answer.lease.is_none());
}

#[test]
fn an_action_from_request_to_settlement() {
    let bench = bench();
    let request = refund(1_200);
    let answer = bench.ask(&request);
    assert_eq!((answer.decision, answer.reason.as_str()), (Decision::Allow, "allowed"));
    assert_eq!(answer.rule_ids, ["refund.small"]);
    let durable = bench.kernel.durable(&answer).unwrap().unwrap();
    let permit =
        Permit::verify(&durable.permit.unwrap(), &request, &keys(), START + 1_000, 5_000).unwrap();
    assert_eq!(permit.tool, "refund");
    Register::in_memory(START, 10).redeem(&permit, START + 1_000).unwrap();
    let lease = answer.lease.unwrap();
    let outcome = bench
        .kernel
        .settle(&lease, BTreeMap::from([("usd_micros".to_owned(), 1_000_000)]))
        .unwrap();
    assert_eq!(
        outcome.charged.iter().map(|charge| charge.amount).collect::<Vec<_>>(),
        [1_000_000, 1]
    );
    assert_eq!(**durable.receipt, *bench.ledger.entries()[0]);
    let receipt = String::from_utf8_lossy(&durable.receipt).into_owned();
    assert!(!receipt.contains("o-1"), "arguments are not in receipts");
}

#[test]
fn twenty_at_once_and_one_permit() {
    let bench = bench();
    let request = refund(100);
    let credential = bench.sign(&request);
    let answers: Vec<Authorization> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..20)
            .map(|_| scope.spawn(|| bench.kernel.authorize(&request, &credential, None)))
            .collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let allowed = answers.iter().filter(|answer| answer.decision == Decision::Allow).count();
    let replayed = answers.iter().filter(|answer| answer.reason == "replayed").count();
    assert_eq!((allowed, replayed), (1, 19));
    assert_eq!(bench.ledger.entries().len(), 1);
}

#[test]
fn a_replay_is_refused_for_as_long_as_the_request_would_hold() {
    let bench = bench();
    let request = refund(100);
    let credential = bench.sign(&request);
    assert_eq!(bench.kernel.authorize(&request, &credential, None).decision, Decision::Allow);
    for _ in 0..60 {
        bench.clock.advance(999);
        denied(&bench.kernel.authorize(&request, &credential, None), "replayed");
    }
    bench.clock.advance(1_000);
    denied(&bench.kernel.authorize(&request, &credential, None), "request_expired");
}

#[test]
fn strangers_change_nothing() {
    let bench = bench();
    let request = refund(100);
    let good = bench.sign(&request);
    let with = |change: fn(&mut Credential)| {
        let mut credential = good.clone();
        change(&mut credential);
        credential
    };
    let with_key = |id: &str| {
        let Proof::Signature { signature, .. } = good.proof.clone() else { panic!("no signature") };
        Credential { proof: Proof::Signature { key_id: id.to_owned(), signature }, ..good.clone() }
    };
    for (credential, reason) in [
        (with(|it| it.stamp.audience = "kernel.other".to_owned()), "wrong_audience"),
        (with(|it| it.stamp.request_id = "x".to_owned()), "invalid_signature"),
        (with(|it| it.stamp.request_id = String::new()), "invalid_request"),
        (with(|it| it.stamp.nonce[0] ^= 1), "invalid_signature"),
        (with(|it| it.stamp.issued_at_ms += 1), "invalid_signature"),
        (with(|it| it.stamp.expires_at_ms -= 1), "invalid_signature"),
        (with(|it| it.stamp.expires_at_ms += 1), "lifetime_too_long"),
        (with(|it| it.stamp.expires_at_ms = i64::MIN), "lifetime_too_long"),
        (with(|it| it.stamp.issued_at_ms += 5_001), "issued_in_future"),
        (with(|it| it.proof = Proof::Process), "process_not_trusted"),
        (
            with(|it| it.proof = Proof::Mac { session: "s".to_owned(), tag: [0; 32] }),
            "unknown_session",
        ),
        (with_key("nobody"), "unknown_key"),
        (with_key("ann"), "unknown_key"),
        (with_key("kernel-1"), "unknown_key"),
        (with_key("other-1"), "key_of_another_agent"),
    ] {
        denied(&bench.kernel.authorize(&request, &credential, None), reason);
    }
    for (other, reason) in [
        (
            ActionRequest { args: json(r#"{"order":"o-1","cents":101}"#), ..request.clone() },
            "invalid_signature",
        ),
        (ActionRequest { role: "admin".to_owned(), ..request.clone() }, "invalid_signature"),
        (ActionRequest { tool: "mail".to_owned(), ..request.clone() }, "invalid_signature"),
        (ActionRequest { tenant: "other".to_owned(), ..request.clone() }, "key_of_another_agent"),
        (ActionRequest { conversation: None, ..request.clone() }, "invalid_signature"),
        (ActionRequest { trace_id: Some("t".to_owned()), ..request.clone() }, "invalid_signature"),
        (ActionRequest { session: Some("s".to_owned()), ..request.clone() }, "unknown_session"),
        (ActionRequest { tenant: "a/b".to_owned(), ..request.clone() }, "invalid_request"),
    ] {
        denied(&bench.kernel.authorize(&other, &good, None), reason);
    }
    assert!(bench.ledger.entries().is_empty());
    assert!(bench.kernel.books().totals().is_empty());
    // The nonce is still good.
    assert_eq!(bench.kernel.authorize(&request, &good, None).decision, Decision::Allow);
}

#[test]
fn what_is_known_and_not_allowed_is_recorded() {
    let bench = bench();
    let base = refund(100);
    for (request, reason) in [
        (ActionRequest { role: "admin".to_owned(), ..base.clone() }, "role_not_granted"),
        (ActionRequest { tool: "payout".to_owned(), ..base.clone() }, "unknown_tool"),
        (
            ActionRequest { args: json(r#"{"order":"o-1","cents":"100"}"#), ..base.clone() },
            "invalid_arguments",
        ),
        (
            ActionRequest { args: json(r#"{"order":"o-1","cents":100,"x":1}"#), ..base.clone() },
            "invalid_arguments",
        ),
        (refund(200_000), "no_permit"),
    ] {
        let before = bench.ledger.entries().len();
        let answer = bench.ask(&request);
        denied(&answer, reason);
        assert_eq!(bench.ledger.entries().len(), before + 1, "{reason}");
        assert!(bench.kernel.durable(&answer).unwrap().unwrap().permit.is_none());
    }
}

#[test]
fn a_budget_is_not_exceeded_and_says_so() {
    let bench = bench();
    for _ in 0..2 {
        assert_eq!(bench.ask(&refund(5_000)).decision, Decision::Allow);
    }
    let answer = bench.ask(&refund(1));
    denied(&answer, "budget_exceeded");
    assert_eq!(answer.rule_ids, ["limit:refunds/usd_micros/tenant/1d"]);
    assert_eq!(answer.status, Status::Ok);
}

#[test]
fn an_agent_that_says_too_much_is_barred_from_the_budget_until_it_is_reinstated() {
    let bench = bench();
    let answer = bench.ask(&refund(1));
    let cost = BTreeMap::from([("usd_micros".to_owned(), (1_i64 << 53) - 1)]);
    let outcome = bench.kernel.settle(answer.lease.as_deref().unwrap(), cost).unwrap();
    assert!(outcome.overrun && outcome.barred);
    let settled = Statement::of(bench.ledger.entries().last().unwrap()).unwrap();
    let details = settled.predicate.get("details").unwrap();
    for name in ["barred", "overrun"] {
        assert_eq!(details.get(name), Some(&sift_ledger::jcs::Value::Bool(true)));
    }
    let barred = bench.ask(&refund(1));
    denied(&barred, "budget_overrun");
    assert_eq!((barred.status, barred.rule_ids.len()), (Status::Ok, 1));
    let Bench { kernel, clock, store, .. } = bench;
    drop(kernel);
    clock.advance(1);
    let again = open_with(store, clock, CONFIG, None).unwrap();
    denied(&again.ask(&refund(1)), "budget_overrun");
    again.kernel.reinstate(&Subject::agent("acme", "bot")).unwrap();
    assert_eq!(again.ask(&refund(1)).decision, Decision::Allow);
}

#[test]
fn revocation_holds_from_the_next_request_and_after_a_restart() {
    for (subject, reason) in [
        (Subject::tenant("acme"), "tenant_revoked"),
        (Subject::agent("acme", "bot"), "agent_revoked"),
        (Subject::key("bot-1"), "key_revoked"),
    ] {
        let bench = bench();
        assert_eq!(bench.ask(&refund(1)).decision, Decision::Allow);
        bench.kernel.revoke(&subject).unwrap();
        denied(&bench.ask(&refund(1)), reason);
        let Bench { kernel, clock, store, .. } = bench;
        drop(kernel);
        clock.advance(1);
        let again = open_with(store, clock, CONFIG, None).unwrap();
        denied(&again.ask(&refund(1)), reason);
        again.kernel.reinstate(&subject).unwrap();
        assert_eq!(again.ask(&refund(1)).decision, Decision::Allow);
    }
}

fn grant(bench: &Bench) -> SessionGrant {
    let now = bench.clock.wall_ms();
    SessionGrant {
        session: "s1".to_owned(),
        tenant: "acme".to_owned(),
        agent: "bot".to_owned(),
        roles: ["support".to_owned()].into(),
        tools: Some(["refund".to_owned()].into()),
        conversation: Some("c1".to_owned()),
        not_before_ms: now,
        expires_at_ms: now + 600_000,
    }
}

fn in_session(request: ActionRequest) -> ActionRequest {
    ActionRequest { session: Some("s1".to_owned()), ..request }
}

#[test]
fn a_session_authenticates_by_mac_and_only_narrows() {
    let bench = bench();
    let signed = grant(&bench).sign("kernel.acme", "bot-1", &private("bot-1")).unwrap();
    let session = bench.kernel.open_session(&signed).unwrap();
    let now = bench.clock.wall_ms();
    let ask = |request: &ActionRequest| {
        let credential = session.mac(request, now, 60_000).unwrap();
        bench.kernel.authorize(request, &credential, None)
    };
    assert_eq!(ask(&in_session(refund(1))).decision, Decision::Allow);
    let mail = ActionRequest {
        tool: "mail".to_owned(),
        args: json(r#"{"text":"hello"}"#),
        ..in_session(refund(1))
    };
    denied(&ask(&mail), "session_tool");
    denied(
        &ask(&ActionRequest { conversation: Some("c2".to_owned()), ..in_session(refund(1)) }),
        "session_conversation",
    );
    // The grant holds for a signed request of the session as well.
    denied(&bench.ask(&mail), "session_tool");
    // A tag that is not for this request.
    let credential = session.mac(&in_session(refund(1)), now, 60_000).unwrap();
    denied(&bench.kernel.authorize(&in_session(refund(2)), &credential, None), "invalid_mac");
    // Opened again with the same grant it is the same session; with another one it is not.
    assert_eq!(bench.kernel.open_session(&signed).unwrap().key(), session.key());
    let wider = SessionGrant { tools: None, ..grant(&bench) };
    let wider = wider.sign("kernel.acme", "bot-1", &private("bot-1")).unwrap();
    assert!(matches!(bench.kernel.open_session(&wider), Err(KernelError::Invalid(_))));
    // Others have sessions of this name too.
    bench.kernel.revoke(&Subject::session("other", "bot", "s1")).unwrap();
    bench.kernel.revoke(&Subject::session("acme", "else", "s1")).unwrap();
    assert_eq!(ask(&in_session(refund(1))).decision, Decision::Allow);
    bench.kernel.revoke(&Subject::session("acme", "bot", "s1")).unwrap();
    denied(&ask(&in_session(refund(1))), "session_revoked");
}

#[test]
fn a_grant_that_is_not_right_opens_nothing() {
    let bench = bench();
    let base = grant(&bench);
    let sign = |grant: SessionGrant, id: &str| grant.sign("kernel.acme", id, &private(id)).unwrap();
    for (what, signed) in [
        (
            "role",
            sign(SessionGrant { roles: ["admin".to_owned()].into(), ..base.clone() }, "bot-1"),
        ),
        ("agent", sign(SessionGrant { agent: "else".to_owned(), ..base.clone() }, "bot-1")),
        ("other key", sign(base.clone(), "other-1")),
        ("approver's key", sign(base.clone(), "ann")),
        (
            "over",
            sign(
                SessionGrant { not_before_ms: 0, expires_at_ms: START - 1, ..base.clone() },
                "bot-1",
            ),
        ),
        (
            "too long",
            sign(SessionGrant { expires_at_ms: START + 90_000_000, ..base.clone() }, "bot-1"),
        ),
        ("audience", base.clone().sign("kernel.other", "bot-1", &private("bot-1")).unwrap()),
        ("forged", base.clone().sign("kernel.acme", "bot-1", &private("ann")).unwrap()),
    ] {
        assert!(bench.kernel.open_session(&signed).is_err(), "{what}");
    }
}

#[test]
fn an_elevation_widens_a_session_for_a_while() {
    let scanner: Arc<dyn ArgumentScanner> = Arc::new(Scanner(Ok(Vec::new())));
    let bench = open_with(Arc::default(), Arc::new(ManualClock::new(START)), CONFIG, Some(scanner))
        .unwrap();
    let signed = grant(&bench).sign("kernel.acme", "bot-1", &private("bot-1")).unwrap();
    bench.kernel.open_session(&signed).unwrap();
    let mail = ActionRequest {
        tool: "mail".to_owned(),
        args: json(r#"{"text":"hello"}"#),
        ..in_session(refund(1))
    };
    denied(&bench.ask(&mail), "session_tool");
    let elevation = Elevation {
        id: "e1".to_owned(),
        session: "s1".to_owned(),
        tenant: "acme".to_owned(),
        tools: ["mail".to_owned()].into(),
        not_before_ms: START,
        expires_at_ms: START + 60_000,
    };
    for who in ["ann", "bot-1"] {
        let signed = elevation.clone().sign("kernel.acme", who, &private(who)).unwrap();
        assert!(matches!(bench.kernel.elevate(&signed), Err(KernelError::Signature(_))), "{who}");
    }
    let long = Elevation { expires_at_ms: START + 4_000_000, ..elevation.clone() };
    assert!(bench
        .kernel
        .elevate(&long.sign("kernel.acme", "sam", &private("sam")).unwrap())
        .is_err());
    bench.kernel.elevate(&elevation.sign("kernel.acme", "sam", &private("sam")).unwrap()).unwrap();
    assert_eq!(bench.ask(&mail).decision, Decision::Allow);
    bench.clock.advance(60_000);
    denied(&bench.ask(&mail), "session_tool");
}

#[test]
fn an_approval_takes_two_people_and_is_used_once() {
    let bench = bench();
    let request = refund(6_000);
    let asked = bench.ask(&request);
    assert_eq!((asked.decision, asked.reason.as_str()), (Decision::Escalate, "approval_required"));
    let id = asked.approval.clone().unwrap();
    // Asked for again, it is the same approval.
    assert_eq!(bench.ask(&request).approval, Some(id.clone()));
    let record = bench.kernel.approval(&id).unwrap().unwrap();
    // The owner of the agent gets no copy, and cannot sign.
    let readers: Vec<&str> = record.sealed.iter().map(|sealed| sealed.approver.as_str()).collect();
    assert_eq!(readers, ["ann", "ben", "ben-phone"]);
    let action = record.open("kernel.acme", "ann", &private("ann")).unwrap();
    assert_eq!(action.as_slice(), request.canonical().unwrap());
    // Who sees the list, and knows everything but a few bits of the action, cannot try those.
    assert_ne!(record.action, request.digest().unwrap());
    let opening = Openings::new(&private("kernel-1")).unwrap();
    let opening = opening.opening(&id, None, &request.digest().unwrap());
    assert_eq!(record.action, blind_action(&opening, &request.digest().unwrap()));
    // A copy that is another action's is no copy.
    let other = bench.kernel.approval(&bench.ask(&refund(6_002)).approval.unwrap()).unwrap();
    let mixed = ApprovalRecord { action: other.unwrap().action, ..record.clone() };
    assert!(mixed.sign("kernel.acme", "ann", &private("ann"), Verdict::Approve).is_err());
    assert!(bench.approve(&id, "owner", Verdict::Approve).is_err());
    let forced =
        private("owner").sign(&record.preimage("kernel.acme", &record.action, Verdict::Approve));
    assert!(matches!(
        bench.kernel.sign_approval(&id, "owner", Verdict::Approve, &forced),
        Err(KernelError::Signature(_))
    ));
    let use_it = || bench.kernel.authorize(&request, &bench.sign(&request), Some(&id));
    denied(&use_it(), "approval_pending");
    assert_eq!(bench.approve(&id, "ben", Verdict::Approve).unwrap(), ApprovalState::Pending);
    // Two keys of one person are one approval.
    assert!(bench.approve(&id, "ben-phone", Verdict::Approve).is_err());
    assert_eq!(bench.approve(&id, "ann", Verdict::Approve).unwrap(), ApprovalState::Approved);
    let other = refund(6_001);
    let elsewhere = bench.kernel.authorize(&other, &bench.sign(&other), Some(&id));
    denied(&elsewhere, "approval_of_another_action");
    let used = use_it();
    assert_eq!((used.decision, used.approval.as_deref()), (Decision::Allow, Some(id.as_str())));
    denied(&use_it(), "approval_used");
}

/// All receipts of an action that was asked for, approved, allowed and settled, with the answer that allowed it.
fn recorded_whole(bench: &Bench, request: &ActionRequest) -> (Authorization, Vec<Statement>) {
    let id = bench.ask(request).approval.unwrap();
    bench.approve(&id, "ben", Verdict::Approve).unwrap();
    bench.approve(&id, "ann", Verdict::Approve).unwrap();
    let used = bench.kernel.authorize(request, &bench.sign(request), Some(&id));
    bench.kernel.settle(used.lease.as_deref().unwrap(), BTreeMap::new()).unwrap();
    let statements: Vec<_> =
        bench.ledger.entries().iter().map(|entry| Statement::of(entry).unwrap()).collect();
    assert_eq!(statements.len(), 5);
    (used, statements)
}

#[test]
fn nobody_finds_arguments_by_trying_them() {
    let bench = bench();
    let request = refund(6_000);
    let (_, statements) = recorded_whole(&bench, &request);
    let payloads: Vec<String> = bench
        .ledger
        .entries()
        .iter()
        .map(|entry| String::from_utf8(Envelope::parse(entry).unwrap().payload).unwrap())
        .collect();
    // Everything but the amount stands in the receipt, and there are not many amounts: with a plain digest one of
    // these fits. (What is charged tells this amount all the same: budgets are in receipts on purpose.)
    for cents in 5_001..=8_000 {
        let tried = refund(cents);
        let action = tried.digest().unwrap();
        let args = format!(r#"{{"cents":{cents},"order":"o-1"}}"#);
        let args = <[u8; 32]>::from(Sha256::digest(&args));
        for (statement, payload) in statements.iter().zip(&payloads) {
            assert_ne!(statement.action_hash, action);
            assert!(!payload.contains(&hex(&action)) && !payload.contains(&hex(&args)));
            // Nor with an opening that somebody makes up.
            assert_ne!(statement.action_hash, blind_action(&[0; 32], &action));
        }
    }
    // Each receipt has its own: that two are of one action does not show.
    let mut blinded: Vec<_> = statements.iter().map(|one| one.action_hash).collect();
    blinded.sort_unstable();
    blinded.dedup();
    // Two of the approval's signatures share a name, and so do the permit and its settlement.
    assert_eq!(blinded.len(), 3);
}

#[test]
fn who_is_shown_the_opening_knows_which_action_a_receipt_is_of() {
    let bench = bench();
    let request = refund(6_000);
    let (used, statements) = recorded_whole(&bench, &request);
    let durable = bench.kernel.durable(&used).unwrap().unwrap();
    assert_eq!(bench.kernel.recorded(&used).unwrap().unwrap().opening, durable.opening);
    let (action, other) = (request.digest().unwrap(), refund(6_001).digest().unwrap());
    let allowed = Statement::of(&durable.receipt).unwrap();
    assert_eq!(allowed.action_hash, blind_action(&durable.opening, &action));
    assert_ne!(allowed.action_hash, blind_action(&durable.opening, &other));
    let said = allowed.text("args_commitment").unwrap();
    let commitment = |args: &str| hex(&commit_arguments(&durable.opening, args.as_bytes()));
    assert_eq!(said, commitment(r#"{"cents":6000,"order":"o-1"}"#));
    assert_ne!(said, commitment(r#"{"cents":6001,"order":"o-1"}"#));
    // Whoever has the receipt key makes them again, for every receipt of the action; nobody else does.
    let openings = Openings::new(&private("kernel-1")).unwrap();
    let lease = used.lease.as_deref();
    assert_eq!(openings.opening(&used.request_id, lease, &action), durable.opening);
    for statement in &statements {
        let opens = |openings: &Openings, action: &[u8; 32]| {
            let opening = openings.opening(&statement.request_id, statement.text("lease"), action);
            statement.action_hash == blind_action(&opening, action)
        };
        assert!(opens(&openings, &action) && !opens(&openings, &other));
        assert!(!opens(&Openings::new(&private("bot-1")).unwrap(), &action));
    }
}

#[test]
fn racing_uses_of_an_approval_and_one_permit() {
    let bench = bench();
    let request = refund(6_000);
    let id = bench.ask(&request).approval.unwrap();
    bench.approve(&id, "ben", Verdict::Approve).unwrap();
    bench.approve(&id, "ann", Verdict::Approve).unwrap();
    let allowed: usize = std::thread::scope(|scope| {
        let all: Vec<_> = (0..10)
            .map(|_| {
                scope.spawn(|| {
                    let answer = bench.kernel.authorize(&request, &bench.sign(&request), Some(&id));
                    usize::from(answer.decision == Decision::Allow)
                })
            })
            .collect();
        all.into_iter().map(|one| one.join().unwrap()).sum()
    });
    assert_eq!(allowed, 1);
    assert_eq!(bench.kernel.books().open_leases(), 1, "the others reserved nothing");
}

#[test]
fn an_approval_ends_by_a_no_and_by_time() {
    let bench = bench();
    let id = bench.ask(&refund(6_000)).approval.unwrap();
    assert_eq!(bench.approve(&id, "ann", Verdict::Reject).unwrap(), ApprovalState::Rejected);
    let request = refund(6_000);
    denied(
        &bench.kernel.authorize(&request, &bench.sign(&request), Some(&id)),
        "approval_rejected",
    );
    assert!(bench.approve(&id, "ben", Verdict::Approve).is_err());
    let id = bench.ask(&refund(6_000)).approval.unwrap();
    bench.approve(&id, "ben", Verdict::Approve).unwrap();
    bench.approve(&id, "ann", Verdict::Approve).unwrap();
    bench.clock.advance(900_000);
    denied(&bench.kernel.authorize(&request, &bench.sign(&request), Some(&id)), "approval_expired");
    denied(
        &bench.kernel.authorize(&request, &bench.sign(&request), Some("none")),
        "approval_unknown",
    );
}

#[test]
fn approvers_are_not_flooded() {
    let bench = bench();
    for cents in 6_001..6_004 {
        assert_eq!(bench.ask(&refund(cents)).decision, Decision::Escalate);
    }
    denied(&bench.ask(&refund(6_004)), "approvals_full");
    bench.clock.advance(900_000);
    assert_eq!(bench.ask(&refund(6_004)).decision, Decision::Escalate);
}

#[test]
fn an_approver_whose_key_is_revoked_does_not_count() {
    let bench = bench();
    let request = refund(6_000);
    let id = bench.ask(&request).approval.unwrap();
    bench.approve(&id, "ben", Verdict::Approve).unwrap();
    bench.approve(&id, "ann", Verdict::Approve).unwrap();
    bench.kernel.revoke(&Subject::key("ben")).unwrap();
    denied(
        &bench.kernel.authorize(&request, &bench.sign(&request), Some(&id)),
        "approval_not_enough",
    );
}

#[test]
fn arguments_are_scanned_or_the_action_is_denied() {
    let mail =
        ActionRequest { tool: "mail".to_owned(), args: json(r#"{"text":"hello"}"#), ..refund(1) };
    let with = |scanner: Option<Arc<dyn ArgumentScanner>>| {
        open_with(Arc::default(), Arc::new(ManualClock::new(START)), CONFIG, scanner).unwrap()
    };
    let answer = with(None).ask(&mail);
    denied(&answer, "scanner_missing");
    assert_eq!(answer.status, Status::Error);
    let failing = with(Some(Arc::new(Scanner(Err("it broke".to_owned())))));
    denied(&failing.ask(&mail), "scan_failed");
    assert_eq!(with(Some(Arc::new(Scanner(Ok(Vec::new()))))).ask(&mail).decision, Decision::Allow);
}

#[test]
fn every_failure_denies_and_says_so() {
    let bench = bench();
    let broken = |answer: Authorization, reason: &str| {
        denied(&answer, reason);
        assert_eq!(answer.status, Status::Error, "{reason}");
    };
    bench.ledger.break_down(true);
    broken(bench.ask(&refund(1)), "ledger_unavailable");
    broken(bench.ask(&refund(6_000)), "ledger_unavailable");
    bench.ledger.break_down(false);
    assert_eq!(bench.kernel.books().open_leases(), 0, "nothing is left reserved");
    bench.store.break_down(true);
    broken(bench.ask(&refund(5_000)), "store_unavailable");
    broken(bench.ask(&refund(7_000)), "store_unavailable");
    let subject = Subject::key("x");
    assert!(matches!(bench.kernel.revoke(&subject), Err(KernelError::Unavailable(_))));
    bench.store.break_down(false);
    let wall = START;
    for jump in [-60_000, 60_000] {
        let credential = bench.sign(&refund(1));
        bench.clock.set_wall(wall + jump);
        broken(bench.kernel.authorize(&refund(1), &credential, None), "clock_unreliable");
        assert!(matches!(bench.kernel.pending(), Err(KernelError::Unavailable(_))));
        bench.clock.set_wall(wall);
    }
    assert_eq!(bench.ask(&refund(1)).decision, Decision::Allow);
    bench.kernel.close().unwrap();
    broken(bench.ask(&refund(1)), "kernel_unavailable");
    assert!(matches!(bench.kernel.settle("x", BTreeMap::new()), Err(KernelError::Unavailable(_))));
}

#[test]
fn a_flood_of_requests_refuses_the_agent_that_makes_it_and_no_other() {
    let config = format!("{CONFIG}[request]\nnonces = 160");
    let bench =
        open_with(Arc::default(), Arc::new(ManualClock::new(START)), &config, None).unwrap();
    let answers: Vec<_> = (0..400).map(|_| bench.ask(&refund(1))).collect();
    let full: Vec<_> =
        answers.iter().filter(|answer| answer.reason == "nonce_memory_full").collect();
    assert!(full.len() >= 400 - 80, "{} refused", full.len());
    assert!(full.iter().all(|answer| answer.status == Status::Error && !answer.has_receipt()));
    assert!(answers.iter().all(|one| one.decision == Decision::Allow || !one.has_receipt()));
    let request = ActionRequest { tenant: "other".to_owned(), ..refund(1) };
    for _ in 0..5 {
        let credential = sign(&request, "other-1", &private("other-1"), bench.stamp()).unwrap();
        let answer = bench.kernel.authorize(&request, &credential, None);
        assert_eq!(answer.decision, Decision::Allow, "{}", answer.reason);
        denied(&bench.kernel.authorize(&request, &credential, None), "replayed");
    }
}

#[test]
fn an_agent_opens_no_more_sessions_than_it_leaves() {
    let config = format!("{CONFIG}[session]\nopen = 4");
    let bench =
        open_with(Arc::default(), Arc::new(ManualClock::new(START)), &config, None).unwrap();
    let opened = |tenant: &str, key_id: &str| {
        let grant = SessionGrant {
            session: String::new(),
            tenant: tenant.to_owned(),
            agent: "bot".to_owned(),
            roles: ["support".to_owned()].into(),
            tools: None,
            conversation: None,
            not_before_ms: START,
            expires_at_ms: START + 60_000,
        };
        let signed = grant.sign("kernel.acme", key_id, &private(key_id)).unwrap();
        bench.kernel.open_session(&signed)
    };
    for _ in 0..2 {
        opened("acme", "bot-1").unwrap();
    }
    for _ in 0..10 {
        assert!(matches!(opened("acme", "bot-1"), Err(KernelError::Limit(_))));
    }
    opened("other", "other-1").unwrap();
    // Those that are over make room.
    bench.clock.advance(61_000);
    assert!(
        matches!(opened("acme", "bot-1"), Err(KernelError::Invalid(_))),
        "a grant that is over"
    );
}

#[test]
fn the_name_of_a_session_is_its_agents_own() {
    let bench = bench();
    let opened = |tenant: &str, key_id: &str| {
        let grant = SessionGrant { tenant: tenant.to_owned(), ..grant(&bench) };
        let signed = grant.sign("kernel.acme", key_id, &private(key_id)).unwrap();
        bench.kernel.open_session(&signed)
    };
    // Whoever is first keeps the name from nobody, and opens nobody else's session with it.
    let other = opened("other", "other-1").unwrap();
    let request = in_session(refund(1));
    let now = bench.clock.wall_ms();
    let theirs = other.mac(&request, now, 60_000).unwrap();
    denied(&bench.kernel.authorize(&request, &theirs, None), "unknown_session");
    let own = opened("acme", "bot-1").unwrap();
    denied(&bench.kernel.authorize(&request, &theirs, None), "invalid_mac");
    let ours = own.mac(&request, now, 60_000).unwrap();
    assert_eq!(bench.kernel.authorize(&request, &ours, None).decision, Decision::Allow);
}

#[test]
fn after_a_crash_no_old_request_is_accepted() {
    let bench = bench();
    let request = refund(1);
    let used = bench.sign(&request);
    assert_eq!(bench.kernel.authorize(&request, &used, None).decision, Decision::Allow);
    // As far ahead as clocks may be apart.
    let ahead =
        Stamp { issued_at_ms: START + 5_000, expires_at_ms: START + 65_000, ..bench.stamp() };
    let ahead = sign(&request, "bot-1", &private("bot-1"), ahead).unwrap();
    assert_eq!(bench.kernel.authorize(&request, &ahead, None).decision, Decision::Allow);
    let Bench { kernel, clock, store, .. } = bench;
    // As a crash leaves it: nothing is closed.
    std::mem::forget(kernel);
    let again = open_with(store, clock, CONFIG, None).unwrap();
    for credential in [&used, &ahead] {
        denied(&again.kernel.authorize(&request, credential, None), "issued_before_start");
    }
    again.clock.advance(5_001);
    assert_eq!(again.ask(&refund(1)).decision, Decision::Allow);
    // After a clean close the latest request that was accepted counts, and nothing has to wait.
    let late = again.sign(&request);
    assert_eq!(again.kernel.authorize(&request, &late, None).decision, Decision::Allow);
    let Bench { kernel, clock, store, .. } = again;
    kernel.close().unwrap();
    clock.advance(1);
    let third = open_with(store, clock, CONFIG, None).unwrap();
    denied(&third.kernel.authorize(&request, &late, None), "issued_before_start");
    assert_eq!(third.ask(&refund(1)).decision, Decision::Allow);
    // And it is not forgotten by one that accepted nothing.
    let Bench { clock, store, .. } = third;
    for _ in 0..2 {
        let idle = open_with(store.clone(), clock.clone(), CONFIG, None).unwrap();
        denied(&idle.kernel.authorize(&request, &late, None), "issued_before_start");
        idle.kernel.close().unwrap();
    }
}

#[test]
fn a_clock_that_went_back_opens_nothing() {
    let store = Arc::new(MemoryStore::default());
    let bench = open_with(store.clone(), Arc::new(ManualClock::new(START)), CONFIG, None).unwrap();
    bench.kernel.close().unwrap();
    let early = Arc::new(ManualClock::new(START - 5_001));
    assert!(matches!(
        open_with(store.clone(), early, CONFIG, None),
        Err(KernelError::Unavailable(_))
    ));
    store.break_down(true);
    let clock = Arc::new(ManualClock::new(START));
    assert!(matches!(open_with(store, clock, CONFIG, None), Err(KernelError::Unavailable(_))));
}

#[test]
fn a_process_is_trusted_only_when_told_so() {
    let config = format!("trust_process = true\n{CONFIG}");
    let bench =
        open_with(Arc::default(), Arc::new(ManualClock::new(START)), &config, None).unwrap();
    let credential = Credential { stamp: bench.stamp(), proof: Proof::Process };
    assert_eq!(bench.kernel.authorize(&refund(1), &credential, None).decision, Decision::Allow);
    denied(&bench.kernel.authorize(&refund(1), &credential, None), "replayed");
}

#[test]
fn what_no_limit_caps_cannot_be_opened_or_loaded() {
    let bench = bench();
    let tools = TOOLS.replace("budget = \"refunds\"", "budget = \"gifts\"");
    let policy = Policy::from_texts(&tools, &[("acme.cedar", POLICY)]).unwrap();
    let error = bench.kernel.set_policy(policy).unwrap_err().to_string();
    assert!(error.contains("gifts"), "{error}");
    assert_eq!(bench.ask(&refund(1)).decision, Decision::Allow);
}

#[test]
fn a_new_policy_holds_for_the_next_request() {
    let bench = bench();
    let before = bench.ask(&refund(1));
    let stricter = format!(
        "{POLICY}\n@id(\"stop\") forbid (principal, action == Action::\"refund\", resource);"
    );
    bench
        .kernel
        .set_policy(Policy::from_texts(TOOLS, &[("acme.cedar", &stricter)]).unwrap())
        .unwrap();
    let after = bench.ask(&refund(1));
    denied(&after, "forbidden");
    assert_ne!(before.policy_hash, after.policy_hash);
}

#[test]
fn keys_without_a_role_are_refused() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
    let mut ring = keys();
    ring.add(PublicKey::new("bare", Purpose::Agent, &key(99).public()).unwrap()).unwrap();
    let bench = bench();
    let error = bench.kernel.set_keys(ring).unwrap_err().to_string();
    assert!(error.contains("`bare`"), "{error}");
    drop(store);
}

#[test]
fn an_action_is_handed_out_or_cancelled_and_never_both() {
    let bench = bench();
    let answer = bench.ask(&refund(5_000));
    let lease = answer.lease.clone().unwrap();
    assert_eq!(bench.kernel.cancel(&lease).unwrap().state, LeaseState::Cancelled);
    for _ in 0..2 {
        let durable = bench.kernel.durable(&answer).unwrap().unwrap();
        assert!(durable.permit.is_none(), "what was given back is not permitted");
        assert_eq!(**durable.receipt, *bench.ledger.entries()[0]);
    }
    // Everything of the budget is there again; once the permit is out, it is not.
    for _ in 0..2 {
        let answer = bench.ask(&refund(5_000));
        let lease = answer.lease.clone().unwrap();
        assert!(bench.kernel.durable(&answer).unwrap().unwrap().permit.is_some());
        let outcome = bench.kernel.cancel(&lease).unwrap();
        assert_eq!((outcome.state, outcome.charged[0].amount), (LeaseState::Unknown, 50_000_000));
        assert_eq!(bench.kernel.cancel(&lease).unwrap(), outcome);
    }
    denied(&bench.ask(&refund(1)), "budget_exceeded");
}

#[test]
fn racing_a_permit_against_its_cancellation() {
    let bench = bench();
    for _ in 0..200 {
        let answer = bench.ask(&refund(1));
        let lease = answer.lease.clone().unwrap();
        let (permit, outcome) = std::thread::scope(|scope| {
            let permit = scope.spawn(|| bench.kernel.durable(&answer).unwrap().unwrap().permit);
            let outcome = scope.spawn(|| bench.kernel.cancel(&lease).unwrap());
            (permit.join().unwrap(), outcome.join().unwrap())
        });
        assert_eq!(permit.is_some(), outcome.state == LeaseState::Unknown);
    }
}

fn with_undo() -> String {
    TOOLS.replace(
        "[tool.mail]",
        r#"undo = { tool = "mail", args = { text = "/args/order" } }

    [tool.mail]"#,
    )
}

fn undoing() -> Bench {
    let tools = with_undo();
    let clock = Arc::new(ManualClock::new(START));
    open_full(Arc::default(), clock, CONFIG, &tools, None, None).unwrap()
}

impl Bench {
    /// Does a refund of a tenant and remembers how to undo it; the order is what the undo would be called with.
    fn done(&self, tenant: &str, trace: &str, request_id: &str, order: &str) -> String {
        let request = ActionRequest {
            tenant: tenant.to_owned(),
            trace_id: Some(trace.to_owned()),
            args: json(&format!(r#"{{"order":"{order}","cents":1}}"#)),
            ..refund(1)
        };
        let id = if tenant == "acme" { "bot-1" } else { "other-1" };
        let stamp = Stamp { request_id: request_id.to_owned(), ..self.stamp() };
        let credential = sign(&request, id, &private(id), stamp).unwrap();
        let answer = self.kernel.authorize(&request, &credential, None);
        let lease = answer.lease.clone().unwrap_or_else(|| panic!("{}", answer.reason));
        self.kernel.settle(&lease, BTreeMap::new()).unwrap();
        lease
    }
}

fn whose(tenant: Option<&'static str>) -> Trace<'static> {
    Trace { id: "t1", tenant, agent: None }
}

#[test]
fn a_trace_is_undone_for_the_tenant_whose_it_is() {
    let bench = undoing();
    for (tenant, order) in [("other", "theirs"), ("acme", "ours")] {
        let lease = bench.done(tenant, "t1", "r1", order);
        assert!(bench.kernel.remember_undo(&lease, &Value::Null).unwrap());
    }
    // The same names, and both are there.
    for (tenant, args) in [("acme", r#"{"text":"ours"}"#), ("other", r#"{"text":"theirs"}"#)] {
        let undos = bench.kernel.undos(whose(Some(tenant))).unwrap();
        let told: Vec<_> = undos.iter().map(|one| String::from_utf8_lossy(&one.args)).collect();
        assert_eq!(told, [args]);
    }
    let elsewhere = Trace { agent: Some("else"), ..whose(Some("acme")) };
    assert!(bench.kernel.undos(elsewhere).unwrap().is_empty());
    assert!(matches!(bench.kernel.undos(whose(None)), Err(KernelError::Invalid(_))));
    assert!(matches!(bench.kernel.take_undo(whose(None), "r1"), Err(KernelError::Invalid(_))));
    assert!(bench.kernel.take_undo(whose(Some("acme")), "r1").unwrap());
    assert!(!bench.kernel.take_undo(whose(Some("acme")), "r1").unwrap());
    assert!(bench.kernel.undos(whose(Some("acme"))).unwrap().is_empty());
    assert_eq!(bench.kernel.undos(whose(None)).unwrap().len(), 1, "one tenant is left");
    bench.kernel.return_undo(whose(Some("acme")), "r1").unwrap();
    assert!(bench.kernel.take_undo(whose(Some("acme")), "r1").unwrap());
}

#[test]
fn an_undo_is_not_replaced_and_not_kept_for_ever() {
    let bench = undoing();
    let first = bench.done("acme", "t1", "r1", "first");
    assert!(bench.kernel.remember_undo(&first, &Value::Null).unwrap());
    let second = bench.done("acme", "t1", "r1", "second");
    for _ in 0..2 {
        let refused = bench.kernel.remember_undo(&second, &Value::Null);
        assert!(matches!(refused, Err(KernelError::Invalid(_))), "two actions of one name");
    }
    assert_eq!(bench.kernel.undos(whose(None)).unwrap()[0].args, br#"{"text":"first"}"#);
    for _ in 0..30 {
        bench.clock.advance(86_400_000);
        bench.ask(&refund(1));
    }
    assert!(bench.kernel.undos(whose(None)).unwrap().is_empty());
}

#[test]
fn an_undo_that_could_not_be_written_is_asked_for_again() {
    let bench = undoing();
    let lease = bench.done("acme", "t1", "r1", "o-1");
    bench.store.break_down(true);
    for _ in 0..2 {
        let failed = bench.kernel.remember_undo(&lease, &Value::Null);
        assert!(matches!(failed, Err(KernelError::Unavailable(_))), "nothing is on disk");
    }
    bench.store.break_down(false);
    assert!(bench.kernel.remember_undo(&lease, &Value::Null).unwrap());
    assert!(!bench.kernel.remember_undo(&lease, &Value::Null).unwrap());
    assert_eq!(bench.kernel.undos(whose(Some("acme"))).unwrap().len(), 1);
}

#[test]
fn no_step_of_the_clock_within_its_tolerance_forgets_a_nonce() {
    // Wherever in its generation a nonce begins.
    for phase in (0..76_000).step_by(4_000) {
        let bench = bench();
        bench.clock.advance(phase);
        let now = bench.clock.wall_ms();
        let stamp =
            Stamp { issued_at_ms: now + 5_000, expires_at_ms: now + 65_000, ..bench.stamp() };
        let credential = sign(&refund(1), "bot-1", &private("bot-1"), stamp).unwrap();
        let ask = || bench.kernel.authorize(&refund(1), &credential, None);
        assert_eq!(ask().decision, Decision::Allow);
        bench.clock.set_wall(now - 5_000);
        bench.clock.advance(5_000);
        for _ in 0..64 {
            bench.clock.advance(1_000);
            denied(&ask(), "replayed");
        }
        bench.clock.advance(1_000);
        denied(&ask(), "request_expired");
    }
}

/// Requests that were accepted up to 59 seconds after the last note, and what a crash leaves of their kernel.
fn crashed_late() -> (Arc<MemoryStore>, Arc<ManualClock>, Credential) {
    let bench = bench();
    bench.clock.advance(59_000);
    let used = bench.sign(&refund(1));
    assert_eq!(bench.kernel.authorize(&refund(1), &used, None).decision, Decision::Allow);
    let Bench { kernel, clock, store, .. } = bench;
    std::mem::forget(kernel);
    (store, clock, used)
}

#[test]
fn a_clock_that_went_back_since_the_last_note_replays_nothing() {
    // In the same run of the machine it is found out.
    let (store, clock, _) = crashed_late();
    clock.set_wall(START + 19_000);
    let opened = open_with(store, clock, CONFIG, None);
    assert!(matches!(opened, Err(KernelError::Unavailable(_))));
    // After another boot it cannot be, so that requests of the whole interval are refused.
    let (store, _, used) = crashed_late();
    let clock = Arc::new(ManualClock::new(START + 19_000));
    let again = open_with(store, clock, CONFIG, None).unwrap();
    again.clock.advance(41_000);
    denied(&again.kernel.authorize(&refund(1), &used, None), "issued_before_start");
    // And a crash alone costs no more than it did.
    let (store, clock, used) = crashed_late();
    let again = open_with(store, clock, CONFIG, None).unwrap();
    denied(&again.kernel.authorize(&refund(1), &used, None), "issued_before_start");
    again.clock.advance(5_001);
    assert_eq!(again.ask(&refund(1)).decision, Decision::Allow);
}

#[test]
fn a_note_of_the_clock_that_failed_is_made_again() {
    let bench = bench();
    bench.ask(&refund(1));
    bench.clock.advance(60_000);
    bench.store.break_down(true);
    bench.ask(&refund(1));
    bench.store.break_down(false);
    bench.clock.advance(1_000);
    bench.ask(&refund(1));
    let Before::Crashed(noted) = bench.store.before().unwrap() else { panic!("it is open") };
    assert_eq!((noted.wall_ms, noted.steady_ms), (START + 61_000, 1_061_000));
}

#[test]
fn a_first_start_takes_nothing_that_is_older() {
    let first = bench();
    let old = first.sign(&refund(1));
    first.clock.advance(1_000);
    let second = open_with(Arc::default(), first.clock.clone(), CONFIG, None).unwrap();
    denied(&second.kernel.authorize(&refund(1), &old, None), "issued_before_start");
    assert_eq!(second.ask(&refund(1)).decision, Decision::Allow);
}

fn mail() -> ActionRequest {
    ActionRequest {
        tool: "mail".to_owned(),
        args: json(r#"{"text":"hello"}"#),
        ..in_session(refund(1))
    }
}

fn elevation(id: &str) -> Elevation {
    Elevation {
        id: id.to_owned(),
        session: "s1".to_owned(),
        tenant: "acme".to_owned(),
        tools: ["mail".to_owned()].into(),
        not_before_ms: START,
        expires_at_ms: START + 60_000,
    }
}

fn elevated() -> Bench {
    let scanner: Arc<dyn ArgumentScanner> = Arc::new(Scanner(Ok(Vec::new())));
    let bench = open_with(Arc::default(), Arc::new(ManualClock::new(START)), CONFIG, Some(scanner))
        .unwrap();
    let signed = elevation("e1").sign("kernel.acme", "sam", &private("sam")).unwrap();
    assert!(matches!(bench.kernel.elevate(&signed), Err(KernelError::Invalid(_))), "not open");
    let opened = grant(&bench).sign("kernel.acme", "bot-1", &private("bot-1")).unwrap();
    bench.kernel.open_session(&opened).unwrap();
    bench.kernel.elevate(&signed).unwrap();
    assert_eq!(bench.ask(&mail()).decision, Decision::Allow);
    bench
}

#[test]
fn an_elevation_ends_with_its_approver() {
    let key = Subject::key;
    let bench = elevated();
    bench.kernel.revoke(&key("sam")).unwrap();
    denied(&bench.ask(&mail()), "session_tool");
    bench.kernel.reinstate(&key("sam")).unwrap();
    assert_eq!(bench.ask(&mail()).decision, Decision::Allow);
    // Or when the key is taken out, or loses its group.
    for change in [true, false] {
        let mut ring = Keyring::new();
        for purpose in [Purpose::Receipt, Purpose::Agent, Purpose::Approver] {
            for known in keys().of(purpose) {
                let mut public = PublicKey::clone(known);
                if public.id == "sam" && change {
                    continue;
                }
                if public.id == "sam" {
                    public.groups.clear();
                }
                ring.add(public).unwrap();
            }
        }
        bench.kernel.set_keys(ring).unwrap();
        denied(&bench.ask(&mail()), "session_tool");
    }
    bench.kernel.set_keys(keys()).unwrap();
    assert_eq!(bench.ask(&mail()).decision, Decision::Allow);
}

#[test]
fn nobody_widens_the_session_of_his_own_agent() {
    let bench = elevated();
    let mut ring = Keyring::new();
    for purpose in [Purpose::Receipt, Purpose::Agent, Purpose::Approver] {
        for known in keys().of(purpose) {
            let mut public = PublicKey::clone(known);
            if public.id == "owner" {
                public.groups.push("security".to_owned());
            }
            if public.id == "sam" {
                public.name = Some("olga".to_owned());
            }
            ring.add(public).unwrap();
        }
    }
    bench.kernel.set_keys(ring).unwrap();
    let own = elevation("e2").sign("kernel.acme", "owner", &private("owner")).unwrap();
    assert!(matches!(bench.kernel.elevate(&own), Err(KernelError::Signature(_))));
    // The one that is there is asked as well: its approver turned out to be the owner.
    denied(&bench.ask(&mail()), "session_tool");
}

#[test]
fn an_elevation_is_for_the_agent_who_had_the_session_open() {
    let bench = elevated();
    let Bench { kernel, clock, store, .. } = bench;
    kernel.close().unwrap();
    clock.advance(1);
    let scanner: Arc<dyn ArgumentScanner> = Arc::new(Scanner(Ok(Vec::new())));
    let again = open_with(store, clock, CONFIG, Some(scanner)).unwrap();
    let mut ring = keys();
    let mut other = PublicKey::new("rival-1", Purpose::Agent, &key(9).public()).unwrap();
    other.tenant = Some("acme".to_owned());
    other.agent = Some("rival".to_owned());
    other.roles = vec!["support".to_owned()];
    other.name = Some("rita".to_owned());
    ring.add(other).unwrap();
    again.kernel.set_keys(ring).unwrap();
    let rival = SessionGrant { agent: "rival".to_owned(), ..grant(&again) };
    again.kernel.open_session(&rival.sign("kernel.acme", "rival-1", &key(9)).unwrap()).unwrap();
    let request = ActionRequest { agent: "rival".to_owned(), ..mail() };
    let credential = sign(&request, "rival-1", &key(9), again.stamp()).unwrap();
    denied(&again.kernel.authorize(&request, &credential, None), "session_tool");
    // Nor when what was signed for the other one is shown again.
    let shown = elevation("e1").sign("kernel.acme", "sam", &private("sam")).unwrap();
    assert!(matches!(again.kernel.elevate(&shown), Err(KernelError::Invalid(_))));
    // Once both have a session of that name open, nobody can tell which one a person means.
    let own = grant(&again).sign("kernel.acme", "bot-1", &private("bot-1")).unwrap();
    again.kernel.open_session(&own).unwrap();
    let meant = elevation("e3").sign("kernel.acme", "sam", &private("sam")).unwrap();
    let error = again.kernel.elevate(&meant).unwrap_err().to_string();
    assert!(error.contains("several agents"), "{error}");
}

#[test]
fn who_asked_must_be_known_when_people_sign() {
    let bench = bench();
    let id = bench.ask(&refund(6_000)).approval.unwrap();
    let mut ring = Keyring::new();
    for purpose in [Purpose::Receipt, Purpose::Approver] {
        for known in keys().of(purpose) {
            ring.add(PublicKey::clone(known)).unwrap();
        }
    }
    bench.kernel.set_keys(ring).unwrap();
    // The owner of the key that asked is among the approvers, and nothing tells.
    for who in ["owner", "ben"] {
        let record = bench.kernel.approval(&id).unwrap().unwrap();
        let bytes = record.preimage("kernel.acme", &record.action, Verdict::Approve);
        let signature = private(who).sign(&bytes);
        let signed = bench.kernel.sign_approval(&id, who, Verdict::Approve, &signature);
        assert!(matches!(signed, Err(KernelError::Signature(_))), "{who}");
    }
}

#[test]
fn a_signature_that_cannot_be_recorded_does_not_count() {
    let bench = bench();
    let request = refund(6_000);
    let id = bench.ask(&request).approval.unwrap();
    bench.ledger.break_down(true);
    assert!(matches!(
        bench.approve(&id, "ben", Verdict::Approve),
        Err(KernelError::Unavailable(_))
    ));
    bench.ledger.break_down(false);
    assert!(bench.kernel.approval(&id).unwrap().unwrap().signatures.is_empty());
    assert_eq!(bench.approve(&id, "ben", Verdict::Approve).unwrap(), ApprovalState::Pending);
}

#[test]
fn leaving_the_conversation_out_hides_nothing() {
    let memory = Arc::new(TaintMemory::new(TaintBounds::default()));
    let scanner: Arc<dyn ArgumentScanner> = Arc::new(Scanner(Ok(Vec::new())));
    let bench = open_full(
        Arc::default(),
        Arc::new(ManualClock::new(START)),
        CONFIG,
        TOOLS,
        Some(scanner),
        Some(memory.clone()),
    )
    .unwrap();
    let without =
        |request: ActionRequest| ActionRequest { conversation: None, session: None, ..request };
    assert_eq!(bench.ask(&without(mail())).decision, Decision::Allow, "nothing came in yet");
    memory.observe("other", "c1", "web", "order A-123456").unwrap();
    assert_eq!(bench.ask(&without(mail())).decision, Decision::Allow, "not of this tenant");
    memory.observe("acme", "c1", "web", "order A-123456").unwrap();
    let answer = bench.ask(&without(mail()));
    denied(&answer, "taint_unknown");
    assert_eq!(answer.status, Status::Error);
    // What sends nothing out does not need one.
    assert_eq!(bench.ask(&without(refund(1))).decision, Decision::Allow);
}

#[test]
fn what_is_revoked_in_memory_is_revoked_in_the_store() {
    let bench = bench();
    let subject = Subject::agent("acme", "bot");
    for _ in 0..300 {
        std::thread::scope(|scope| {
            scope.spawn(|| bench.kernel.revoke(&subject).unwrap());
            scope.spawn(|| bench.kernel.reinstate(&subject).unwrap());
        });
        let stored = bench.store.revoked().unwrap().contains(&subject);
        assert_eq!(bench.ask(&refund(1)).reason == "agent_revoked", stored);
    }
    let nobody = Subject { name: "acme/bot".to_owned(), ..subject };
    assert!(matches!(bench.kernel.revoke(&nobody), Err(KernelError::Invalid(_))));
}

#[test]
fn actions_of_one_moment_are_undone_in_their_order() {
    let bench = bench();
    let tools = TOOLS.replacen(
        "scan_args = false",
        "scan_args = false\n    undo = { tool = \"mail\", args = { text = \"/args/order\" } }",
        1,
    );
    bench
        .kernel
        .set_policy(Policy::from_texts(&tools, &[("acme.cedar", POLICY)]).unwrap())
        .unwrap();
    // The clock stands still.
    let names: Vec<String> = (0..20).map(|number| format!("o-{}", number * 7 % 20)).collect();
    for name in &names {
        let args = json(&format!(r#"{{"order":"{name}","cents":1}}"#));
        let request = ActionRequest { args, trace_id: Some("t1".to_owned()), ..refund(1) };
        let lease = bench.ask(&request).lease.unwrap();
        assert!(bench.kernel.remember_undo(&lease, &json("{}")).unwrap());
    }
    let undone: Vec<Value> = bench
        .kernel
        .undos(whose(None))
        .unwrap()
        .iter()
        .map(|undo| {
            json(std::str::from_utf8(&undo.args).unwrap()).pointer("/text").unwrap().clone()
        })
        .collect();
    let wanted: Vec<Value> =
        names.iter().rev().map(|name| Value::Str(name.as_str().into())).collect();
    assert_eq!(undone, wanted);
}

/// Events of the receipts from a place on, with what they say became of it.
fn events(bench: &Bench, from: usize) -> Vec<String> {
    let entries = bench.ledger.entries();
    entries[from..]
        .iter()
        .map(|entry| {
            let statement = Statement::of(entry).unwrap();
            let text = |name| statement.text(name).unwrap_or_default().to_owned();
            format!("{} {}", text("event"), text("decision"))
        })
        .collect()
}

#[test]
fn whatever_widens_narrows_or_ends_something_has_a_receipt() {
    let bench = elevated();
    let before = events(&bench, 0);
    assert_eq!(before, ["elevation elevated", "authorization allow"]);
    let session = Subject::session("acme", "bot", "s-none");
    bench.kernel.revoke(&session).unwrap();
    bench.kernel.reinstate(&session).unwrap();
    let (one, two, three) = (bench.ask(&refund(1)), bench.ask(&refund(2)), bench.ask(&refund(3)));
    let lease = |answer: &Authorization| answer.lease.clone().unwrap();
    bench.kernel.settle(&lease(&one), BTreeMap::from([("calls".to_owned(), 7)])).unwrap();
    bench.kernel.cancel(&lease(&two)).unwrap();
    bench.kernel.abandon(&lease(&three)).unwrap();
    // Said again, it has no second one.
    bench.kernel.cancel(&lease(&two)).unwrap();
    assert_eq!(
        events(&bench, 2),
        [
            "revocation revocation",
            "reinstatement reinstatement",
            "authorization allow",
            "authorization allow",
            "authorization allow",
            "settlement settled",
            "cancellation cancelled",
            "settlement unknown",
        ]
    );
    let entries = bench.ledger.entries();
    let revoked = Statement::of(&entries[2]).unwrap();
    assert_eq!(revoked.text("session"), Some("s-none"));
    assert_eq!((revoked.text("tenant"), revoked.text("agent")), (Some("acme"), Some("bot")));
    let settled = Statement::of(&entries[7]).unwrap();
    assert_eq!((settled.text("tenant"), settled.text("agent")), (Some("acme"), Some("bot")));
    assert_eq!(
        (settled.request_id.as_str(), settled.text("lease")),
        (one.request_id.as_str(), one.lease.as_deref())
    );
    let overrun = settled.predicate.get("details").unwrap().get("overrun");
    assert_eq!(overrun, Some(&sift_ledger::jcs::Value::Bool(true)));
    let authorized = Statement::of(&entries[4]).unwrap();
    assert_eq!(settled.action_hash, authorized.action_hash);
}

#[test]
fn what_cannot_be_recorded_widens_nothing_and_is_said_again() {
    let bench = elevated();
    let answer = bench.ask(&refund(1));
    let lease = answer.lease.unwrap();
    let agent = Subject::agent("acme", "bot");
    bench.ledger.break_down(true);
    for _ in 0..2 {
        let ended = bench.kernel.cancel(&lease);
        assert!(matches!(ended, Err(KernelError::Unavailable(_))));
    }
    assert!(matches!(bench.kernel.revoke(&agent), Err(KernelError::Unavailable(_))));
    denied(&bench.ask(&refund(1)), "agent_revoked");
    assert!(matches!(bench.kernel.reinstate(&agent), Err(KernelError::Unavailable(_))));
    denied(&bench.ask(&refund(1)), "agent_revoked");
    let more = Elevation { tools: ["refund".to_owned()].into(), ..elevation("e2") };
    let more = more.sign("kernel.acme", "sam", &private("sam")).unwrap();
    assert!(matches!(bench.kernel.elevate(&more), Err(KernelError::Unavailable(_))));
    bench.ledger.break_down(false);
    bench.kernel.reinstate(&agent).unwrap();
    bench.kernel.cancel(&lease).unwrap();
    let last = events(&bench, 3);
    assert_eq!(last, ["reinstatement reinstatement", "cancellation cancelled"]);
    assert!(bench.store.elevations(START).unwrap().len() == 1, "the second one is not there");
}

#[test]
fn a_permit_that_was_not_handed_out_yet_is_not_after_a_revocation() {
    let bench = bench();
    let answer = bench.ask(&refund(1));
    for subject in [Subject::tenant("acme"), Subject::agent("", "bot"), Subject::key("bot-1")] {
        bench.kernel.revoke(&subject).unwrap();
        assert!(bench.kernel.durable(&answer).unwrap().unwrap().permit.is_none(), "{subject:?}");
        bench.kernel.reinstate(&subject).unwrap();
    }
    assert!(bench.kernel.durable(&answer).unwrap().unwrap().permit.is_some());
}

#[test]
fn a_permit_is_its_receipt_with_one_signature_and_the_next_one_of_its_name_is_another() {
    for receipts in ["signed", "batched"] {
        let config = format!("receipts = \"{receipts}\"\n{CONFIG}");
        let store = Arc::new(MemoryStore::default());
        let bench = open_with(store, Arc::new(ManualClock::new(START)), &config, None).unwrap();
        let request = refund(1);
        let verify = |permit: &[u8]| Permit::verify(permit, &request, &keys(), START, 5_000);
        let credential = bench.sign(&request);
        let used = bench.kernel.authorize(&request, &credential, None);
        let durable = bench.kernel.durable(&used).unwrap().unwrap();
        let permit = durable.permit.unwrap();
        let (inside, receipt) =
            (Envelope::parse(&permit).unwrap(), Envelope::parse(&durable.receipt).unwrap());
        assert_eq!(inside.payload, receipt.payload);
        assert_eq!(inside.signatures.len(), 1);
        assert_eq!(receipt.signatures.is_empty(), receipts == "batched");
        let said = verify(&permit).unwrap();
        assert_eq!(Some(said.lease), used.lease);
        assert_eq!(said.request_id, credential.stamp.request_id);
        // The same request again, with another nonce: its receipt with the secret of before is no permit.
        let request_id = credential.stamp.request_id.clone();
        let stamp = Stamp { request_id, ..bench.stamp() };
        let again = sign(&request, "bot-1", &private("bot-1"), stamp).unwrap();
        let second = bench.kernel.authorize(&request, &again, None);
        assert_eq!(second.decision, Decision::Allow, "{}", second.reason);
        let recorded = bench.kernel.recorded(&second).unwrap().unwrap();
        let secret = |permit: &[u8]| {
            let members = sift_ledger::jcs::Value::parse(permit).unwrap();
            members.get("secret").unwrap().as_str().unwrap().to_owned()
        };
        let forge = |secret: &str| {
            let text = String::from_utf8(recorded.receipt.to_vec()).unwrap();
            format!("{},\"secret\":\"{secret}\"}}", text.strip_suffix('}').unwrap())
        };
        for wrong in [secret(&permit), hex(&recorded.opening)] {
            assert!(verify(forge(&wrong).as_bytes()).is_err());
        }
        let own = bench.kernel.durable(&second).unwrap().unwrap().permit.unwrap();
        verify(&own).unwrap();
        assert_eq!(verify(forge(&secret(&own)).as_bytes()).is_ok(), receipts == "signed");
    }
}

#[test]
fn a_receipt_can_be_waited_for_without_the_permit() {
    let bench = bench();
    let (kept, used) = (bench.ask(&refund(1)), bench.ask(&refund(2)));
    for answer in [&kept, &used] {
        let recorded = bench.kernel.recorded(answer).unwrap().unwrap();
        assert!(recorded.permit.is_none() && recorded.placed.is_some());
    }
    // It never left, so that the reservation is free again and the permit is not handed out any more.
    let lease = kept.lease.clone().unwrap();
    assert_eq!(bench.kernel.cancel(&lease).unwrap().state, LeaseState::Cancelled);
    assert!(bench.kernel.durable(&kept).unwrap().unwrap().permit.is_none());
    assert!(bench.kernel.durable(&used).unwrap().unwrap().permit.is_some());
    let lease = used.lease.clone().unwrap();
    assert_eq!(bench.kernel.cancel(&lease).unwrap().state, LeaseState::Unknown);
    let stranger = bench.kernel.authorize(
        &refund(1),
        &Credential { proof: Proof::Process, ..bench.sign(&refund(1)) },
        None,
    );
    assert!(bench.kernel.recorded(&stranger).unwrap().is_none());
}

#[test]
fn a_session_and_a_lease_are_good_for_the_user_who_has_them() {
    let bench = bench();
    let signed = grant(&bench).sign("kernel.acme", "bot-1", &private("bot-1")).unwrap();
    let session = bench.kernel.open_session_for(Some(7), &signed).unwrap();
    assert_eq!(bench.kernel.open_session_for(Some(7), &signed).unwrap().key(), session.key());
    for other in [Some(8), None] {
        let opened = bench.kernel.open_session_for(other, &signed);
        assert!(matches!(opened, Err(KernelError::Signature(_))), "{other:?}");
    }
    let request = in_session(refund(1));
    let ask = |peer, signature: bool| {
        let credential = if signature {
            bench.sign(&request)
        } else {
            session.mac(&request, bench.clock.wall_ms(), 60_000).unwrap()
        };
        bench.kernel.authorize_for(peer, &request, &credential, None)
    };
    for signature in [false, true] {
        denied(&ask(Some(8), signature), "session_of_another_peer");
        assert_eq!(ask(Some(7), signature).decision, Decision::Allow);
    }
    // This process is the kernel's own.
    assert_eq!(ask(None, false).decision, Decision::Allow);
}

#[test]
fn keys_of_nobody_are_refused() {
    for id in ["bot-1", "ann"] {
        let bench = bench();
        for name in [None, Some(String::new())] {
            let mut ring = Keyring::new();
            for purpose in [Purpose::Receipt, Purpose::Agent, Purpose::Approver] {
                for known in keys().of(purpose) {
                    let mut public = PublicKey::clone(known);
                    if public.id == id {
                        public.name.clone_from(&name);
                    }
                    ring.add(public).unwrap();
                }
            }
            let error = bench.kernel.set_keys(ring).unwrap_err();
            assert!(matches!(error, KernelError::Config(_)), "{error}");
            assert!(error.to_string().contains("needs a `name`"), "{error}");
        }
    }
}

/// The usual ring, with a key that is another one.
fn ring_with(id: &str, change: impl Fn(&mut PublicKey)) -> Keyring {
    let mut ring = Keyring::new();
    for (name, purpose, _) in KEYS {
        let mut public = PublicKey::clone(keys().get(name, *purpose).unwrap());
        if *name == id {
            change(&mut public);
        }
        ring.add(public).unwrap();
    }
    ring
}

#[test]
fn the_kernels_own_key_ends_while_it_runs() {
    let bench = bench();
    bench
        .kernel
        .set_keys(ring_with("kernel-1", |key| key.not_after = Some(START + 10_000)))
        .unwrap();
    let before = bench.ask(&refund(1));
    assert_eq!(before.decision, Decision::Allow);
    bench.clock.advance(10_001);
    let after = bench.ask(&refund(1));
    assert_eq!((after.decision, after.status), (Decision::Deny, Status::Error));
    assert_eq!(after.reason, "kernel_key_not_valid");
    assert!(!after.has_receipt());
    // Nor is anything else signed with it.
    let ended = bench.kernel.settle(&before.lease.unwrap(), BTreeMap::new());
    assert!(matches!(ended, Err(KernelError::Unavailable(_))));
    assert_eq!(bench.ledger.entries().len(), 1);
    // A ring that renews it, and nothing else.
    for other in [
        ring_with("kernel-1", |key| key.not_before = Some(START + 60_000)),
        ring_with("kernel-1", |key| key.revoked = Some(START)),
        ring_with("kernel-1", |key| key.to_size = 100),
    ] {
        assert!(matches!(bench.kernel.set_keys(other), Err(KernelError::Config(_))));
        assert_eq!(bench.ask(&refund(1)).reason, "kernel_key_not_valid");
    }
    bench.kernel.set_keys(keys()).unwrap();
    assert_eq!(bench.ask(&refund(1)).decision, Decision::Allow);
}

#[test]
fn an_agents_key_holds_from_its_first_moment_to_its_last() {
    for (change, valid) in [
        ((|key| key.not_before = Some(START)) as fn(&mut PublicKey), true),
        (|key| key.not_before = Some(START + 1), false),
        (|key| key.not_after = Some(START), true),
        (|key| key.not_after = Some(START - 1), false),
        (|key| key.revoked = Some(START + 1), true),
        (|key| key.revoked = Some(START), false),
    ] {
        let bench = bench();
        let granted = grant(&bench).sign("kernel.acme", "bot-1", &private("bot-1")).unwrap();
        let session = bench.kernel.open_session(&granted).unwrap();
        bench.kernel.set_keys(ring_with("bot-1", change)).unwrap();
        let signed = bench.ask(&refund(1));
        // A session that its key opened holds no longer than the key.
        let request = in_session(refund(1));
        let credential = session.mac(&request, START, 10_000).unwrap();
        let inside = bench.kernel.authorize(&request, &credential, None);
        for answer in [signed, inside] {
            if valid {
                assert_eq!(answer.decision, Decision::Allow, "{}", answer.reason);
            } else {
                denied(&answer, "key_not_valid");
                assert!(!answer.has_receipt());
            }
        }
        assert_eq!(bench.kernel.open_session(&granted).is_ok(), valid);
    }
}

#[test]
fn an_approvers_key_that_is_over_approves_and_widens_nothing() {
    let bench = bench();
    let id = bench.ask(&refund(6_000)).approval.unwrap();
    let record = bench.kernel.approval(&id).unwrap().unwrap();
    let signature = record.sign("kernel.acme", "ann", &private("ann"), Verdict::Approve).unwrap();
    let sign = || bench.kernel.sign_approval(&id, "ann", Verdict::Approve, &signature);
    for change in [
        (|key| key.not_before = Some(START + 1)) as fn(&mut PublicKey),
        |key| key.not_after = Some(START - 1),
        |key| key.revoked = Some(START),
    ] {
        bench.kernel.set_keys(ring_with("ann", change)).unwrap();
        assert!(matches!(sign(), Err(KernelError::Signature(_))));
    }
    bench.kernel.set_keys(keys()).unwrap();
    sign().unwrap();
    // Of an elevation that was given, its approver's key is asked again at each use.
    let granted = grant(&bench).sign("kernel.acme", "bot-1", &private("bot-1")).unwrap();
    bench.kernel.open_session(&granted).unwrap();
    let elevation = Elevation {
        id: "e1".to_owned(),
        session: "s1".to_owned(),
        tenant: "acme".to_owned(),
        tools: ["mail".to_owned()].into(),
        not_before_ms: START,
        expires_at_ms: START + 60_000,
    };
    let signed = elevation.sign("kernel.acme", "sam", &private("sam")).unwrap();
    let over = || ring_with("sam", |key| key.not_after = Some(START - 1));
    bench.kernel.set_keys(over()).unwrap();
    assert!(matches!(bench.kernel.elevate(&signed), Err(KernelError::Signature(_))));
    bench.kernel.set_keys(keys()).unwrap();
    bench.kernel.elevate(&signed).unwrap();
    bench.kernel.set_keys(over()).unwrap();
    let mail = ActionRequest {
        tool: "mail".to_owned(),
        args: json(r#"{"text":"hello"}"#),
        ..in_session(refund(1))
    };
    denied(&bench.ask(&mail), "session_tool");
}

/// A ledger whose disk never answers.
#[derive(Default)]
struct Stuck(MemoryLedger);

impl Pending for Stuck {
    fn wait(&self, _timeout: Duration) -> Result<Placed, LedgerError> {
        Err(LedgerError("not yet".to_owned()))
    }

    fn tell(&self, _told: Told) {}
}

impl Ledger for Stuck {
    fn append(&self, entry: Entry) -> Result<Arc<dyn Pending>, LedgerError> {
        self.0.append(entry)?;
        Ok(Arc::new(Self::default()))
    }

    fn proof(&self, index: u64) -> Result<String, LedgerError> {
        self.0.proof(index)
    }

    fn size(&self) -> Option<Arc<AtomicU64>> {
        self.0.size()
    }

    fn log_key(&self) -> Option<[u8; 32]> {
        self.0.log_key()
    }

    fn limit(&self, most: u64) {
        self.0.limit(most);
    }

    fn tail(&self, most: u64) -> Result<Vec<Arc<[u8]>>, LedgerError> {
        self.0.tail(most)
    }

    fn close(&self) -> Result<(), LedgerError> {
        self.0.close()
    }
}

#[test]
fn a_permit_waits_for_the_disk_unless_its_risk_says_otherwise() {
    // `refund` is of high risk, `mail` of medium.
    for (setting, waits) in [
        ("", [true, true]),
        ("queued_risks = [\"medium\"]", [true, false]),
        ("queued_risks = [\"high\", \"low\"]", [false, true]),
        ("release = \"queued\"", [false, false]),
    ] {
        let scanner: Arc<dyn ArgumentScanner> = Arc::new(Scanner(Ok(Vec::new())));
        let clock = Arc::new(ManualClock::new(START));
        let kernel = Kernel::from_parts(Parts {
            config: Config::from_text(&format!("{setting}\n{CONFIG}")).unwrap(),
            keys: keys(),
            budgets: Budgets::from_text(BUDGETS).unwrap(),
            policy: Policy::from_texts(TOOLS, &[("acme.cedar", POLICY)]).unwrap(),
            receipt_key: private("kernel-1"),
            store: Arc::new(MemoryStore::default()),
            ledger: Arc::new(Stuck::default()),
            clock,
            scanner: Some(scanner),
            taint: None,
        })
        .unwrap();
        let mail = ActionRequest {
            tool: "mail".to_owned(),
            args: json(r#"{"text":"hello"}"#),
            ..refund(1)
        };
        let ask = |request: &ActionRequest| {
            let stamp = Stamp::new("kernel.acme", START, 60_000).unwrap();
            let credential = sign(request, "bot-1", &private("bot-1"), stamp).unwrap();
            kernel.authorize(request, &credential, None)
        };
        for (request, waits) in [refund(1), mail].iter().zip(waits) {
            let answer = ask(request);
            assert_eq!(answer.decision, Decision::Allow, "{}", answer.reason);
            match kernel.durable(&answer) {
                Err(KernelError::Unavailable(_)) => assert!(waits, "{setting}: {}", request.tool),
                Ok(Some(durable)) => {
                    assert!(!waits, "{setting}: {}", request.tool);
                    assert!(durable.permit.is_some() && durable.placed.is_none());
                }
                other => panic!("{other:?}"),
            }
        }
        // Nobody gains by having a denial before it is on the disk.
        let refused = ask(&refund(200_000));
        assert_eq!(refused.decision, Decision::Deny);
        assert!(matches!(kernel.durable(&refused), Err(KernelError::Unavailable(_))));
    }
}

#[test]
fn a_reload_under_load_is_the_old_policy_or_the_new_one_and_nothing_between() {
    // The old one lets refunds through and no mail, the new one mail and no refunds; and of both, the version.
    let of = |tool: &str| {
        let permit = format!("permit (principal, action == Action::\"{tool}\", resource);");
        let text = format!("@id(\"only.{tool}\") {permit}");
        Policy::from_texts(TOOLS, &[("acme.cedar", &text)]).unwrap()
    };
    let budgets = BUDGETS.replace("cap = 1000", "cap = 1000000000");
    let scanner: Arc<dyn ArgumentScanner> = Arc::new(Scanner(Ok(Vec::new())));
    let ledger = Arc::new(MemoryLedger::default());
    let kernel = Kernel::from_parts(Parts {
        config: Config::from_text(CONFIG).unwrap(),
        keys: keys(),
        budgets: Budgets::from_text(&budgets).unwrap(),
        policy: of("refund"),
        receipt_key: private("kernel-1"),
        store: Arc::new(MemoryStore::default()),
        ledger: ledger.clone(),
        clock: Arc::new(ManualClock::new(START)),
        scanner: Some(scanner),
        taint: None,
    })
    .unwrap();
    let hashes = [*of("refund").hash(), *of("mail").hash()];
    let running = AtomicBool::new(true);
    let counts = std::thread::scope(|scope| {
        let callers: Vec<_> = ["refund", "mail", "refund", "mail"]
            .into_iter()
            .map(|tool| {
                let (kernel, running) = (&kernel, &running);
                scope.spawn(move || {
                    let own = hashes[usize::from(tool == "mail")];
                    let mut seen = [0; 2];
                    while running.load(Ordering::SeqCst) || seen.contains(&0) {
                        let args = match tool {
                            "mail" => r#"{"text":"hello"}"#,
                            _ => r#"{"order":"o-1","cents":1}"#,
                        };
                        let request =
                            ActionRequest { tool: tool.to_owned(), args: json(args), ..refund(1) };
                        let stamp = Stamp::new("kernel.acme", START, 60_000).unwrap();
                        let credential = sign(&request, "bot-1", &private("bot-1"), stamp).unwrap();
                        let answer = kernel.authorize(&request, &credential, None);
                        assert!(hashes.contains(&answer.policy_hash));
                        if answer.decision == Decision::Allow {
                            assert_eq!(answer.policy_hash, own, "allowed by the other policy");
                            assert_eq!(answer.rule_ids, [format!("only.{tool}")]);
                            kernel.cancel(answer.lease.as_ref().unwrap()).unwrap();
                        } else {
                            assert_eq!(answer.reason, "no_permit");
                            assert_ne!(answer.policy_hash, own, "refused by its own policy");
                        }
                        seen[usize::from(answer.decision == Decision::Allow)] += 1;
                    }
                    seen
                })
            })
            .collect();
        for round in 0..200 {
            let next = if round % 2 == 0 { "mail" } else { "refund" };
            kernel.reload(of(next), keys()).unwrap();
            std::thread::yield_now();
        }
        // Until everybody has met both.
        while callers.iter().any(|caller| !caller.is_finished()) {
            running.store(false, Ordering::SeqCst);
            kernel.reload(of("mail"), keys()).unwrap();
            kernel.reload(of("refund"), keys()).unwrap();
        }
        callers.into_iter().map(|caller| caller.join().unwrap()).collect::<Vec<_>>()
    });
    assert!(counts.iter().flatten().all(|count| *count > 0), "{counts:?}");
    // And what the receipts say: the decision is that of the policy whose hash stands beside it.
    let mut decisions = 0;
    for entry in ledger.entries() {
        let statement = Statement::of(&entry).unwrap();
        if statement.text("event") != Some("authorization") {
            continue;
        }
        decisions += 1;
        let hash = statement.text("policy_hash").unwrap();
        let place = hashes
            .iter()
            .position(|known| hash == format!("sha256:{}", hex(known)) || hash == hex(known));
        let tool = ["refund", "mail"][place.unwrap()];
        let decision = statement.text("decision").unwrap();
        assert_eq!(decision == "allow", statement.text("tool") == Some(tool), "{decision}");
    }
    assert!(decisions > 200, "{decisions}");
}
