//! The kernel: authenticate, evaluate, reserve, decide, record. In this order, and nowhere else.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, RwLock};
use std::time::Duration;

use sift_ledger::dsse::{self, MAX_ENVELOPE};
use sift_ledger::hex;
use sift_ledger::jcs::Value as Json;
use sift_ledger::keys::{Keyring, PrivateKey, PublicKey, Purpose};
use sift_ledger::log::{Entry, LogConfig};
use sift_ledger::receipt::{self, Class, Fields, ReceiptError};
use sift_policy::json::{JsonLimits, Value};
use sift_policy::{Approver, ArgumentFinding, Effect, Policy, Request, Taint};
use zeroize::Zeroizing;

use crate::approval::{digest, seal_label, ApprovalRecord, ApprovalState, Sealed, Signed, Verdict};
use crate::budget::{
    About, Bounds, Budgets, Charge, Ending, LeaseState, Ledgers, Outcome, Refused, Who,
};
use crate::canonical;
use crate::clock::{Clock, ClockGuard, Now, SystemClock};
use crate::config::{check_places, Config, ReceiptClass, Release};
use crate::decisions::Decisions;
use crate::error::{file, KernelError, Result, StoreError};
use crate::journal::{Journal, JournalError, LedgerJournal, Pending, Placed};
use crate::nonce::{longest, Nonces, Reserved};
use crate::opening::{opening_of, Openings};
use crate::permit;
use crate::process::Hold;
use crate::request::{preimage, ActionRequest, Credential, Proof};
use crate::revocation::{Revocations, Subject, SubjectKind};
use crate::seal;
use crate::seeds::{Seed, Seeds};
use crate::session::{Elevation, Session, SignedElevation, SignedGrant};
use crate::start::{
    accept_after, check_charges, check_keys, check_ledger, check_store, CLOCK_INTERVAL,
};
use crate::store::{Mark, Noted, SqliteStore, Store, Trace, Undo, Waits};
use crate::sync::{lock, read, write};
use crate::wire::random;

/// Finds secrets, personal data, ... in the arguments of an action.
pub trait ArgumentScanner: Send + Sync {
    /// Scans every string of the arguments.
    ///
    /// Errors: a scan that is not complete; the action is denied then.
    fn scan(&self, args: &Value) -> std::result::Result<Vec<ArgumentFinding>, String>;
}

/// Says where the contents of arguments came from.
pub trait TaintSource: Send + Sync {
    /// Whether anything came in for a tenant, so that an action which names no conversation could repeat it.
    fn observed(&self, tenant: &str) -> bool;

    /// The sources that brought in what the arguments repeat.
    ///
    /// Errors: what came in is not known any more; the action is denied then.
    fn taint(
        &self,
        tenant: &str,
        conversation: &str,
        args: &Value,
    ) -> std::result::Result<Vec<Taint>, String>;
}

/// What was decided about an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It may be done, once the permit is there.
    Allow,
    /// People must approve it first.
    Escalate,
    /// It may not be done.
    Deny,
}

impl Decision {
    /// As it is shown.
    pub fn word(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Escalate => "escalate",
            Self::Deny => "deny",
        }
    }
}

/// How the check itself went. Anything but `Ok` comes with a denial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Everything was checked.
    Ok,
    /// Something could not be checked.
    Error,
}

impl Status {
    /// As it is shown.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
        }
    }
}

/// The answer to a request.
#[derive(Clone)]
pub struct Authorization {
    /// What was decided.
    pub decision: Decision,
    /// Why, as a stable code.
    pub reason: String,
    /// A text for a user, if the policy has one.
    pub message: Option<String>,
    /// Policies, limits or rates that decided.
    pub rule_ids: Vec<String>,
    /// How the check went.
    pub status: Status,
    /// Hash of the policy that was asked.
    pub policy_hash: [u8; 32],
    /// The reservation of an action that is allowed.
    pub lease: Option<String>,
    /// The approval that is asked for, or was used.
    pub approval: Option<String>,
    /// Name of the request.
    pub request_id: String,
    /// Policies in shadow mode that would have changed the decision.
    pub shadow: Vec<String>,
    /// Sources that reached the arguments.
    pub taint: Vec<String>,
    record: Option<Record>,
}

/// The receipt on its way, and what its permit is made of.
#[derive(Clone)]
struct Record {
    receipt: Entry,
    opening: [u8; 32],
    pending: Arc<dyn Pending>,
    permit: Option<Arc<Prepared>>,
    wait: bool,
}

/// A permit that is not handed out yet, and maybe never.
struct Prepared {
    tenant: String,
    agent: String,
    session: Option<String>,
    key_id: Option<String>,
    lease: String,
    secret: [u8; 32],
    /// The statement, where the log alone signs the receipt: a permit is signed by itself.
    statement: Option<Vec<u8>>,
    made: OnceLock<Vec<u8>>,
}

impl Record {
    /// A denial's receipt is waited for in any case: nothing is gained by not doing so.
    fn waits(&self) -> bool {
        self.wait || self.permit.is_none()
    }
}

/// What is handed out once a receipt is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Durable {
    /// The receipt: a DSSE envelope, as it lies in the log.
    pub receipt: Vec<u8>,
    /// What its digests are checked with, together with the action. It is in no receipt: who reads the ledger and has
    /// it can try out arguments.
    pub opening: [u8; 32],
    /// The permit, if the action is allowed and was not cancelled: a DSSE envelope.
    pub permit: Option<Vec<u8>>,
    /// Where the receipt lies; nothing when the permit was not to wait for that.
    pub placed: Option<Placed>,
}

impl Authorization {
    fn refused(refusal: Refusal, request_id: &str, policy_hash: [u8; 32]) -> Self {
        Self {
            decision: Decision::Deny,
            reason: refusal.reason,
            message: None,
            rule_ids: refusal.rules,
            status: refusal.status,
            policy_hash,
            lease: None,
            approval: None,
            request_id: request_id.to_owned(),
            shadow: Vec::new(),
            taint: Vec::new(),
            record: None,
        }
    }

    /// The denial of a kernel that cannot be reached; one behind a socket fills in what it said.
    pub(crate) fn unavailable(request_id: &str) -> Self {
        Self::refused(broken("kernel_unavailable"), request_id, [0; 32])
    }

    /// Whether there is a receipt: none is written for callers that did not prove who they are.
    pub fn has_receipt(&self) -> bool {
        self.record.is_some()
    }
}

/// A denial before the policy was asked, or after it.
struct Refusal {
    reason: String,
    status: Status,
    rules: Vec<String>,
}

fn refuse(reason: &str) -> Refusal {
    Refusal { reason: reason.to_owned(), status: Status::Ok, rules: Vec::new() }
}

fn broken(reason: &str) -> Refusal {
    Refusal { status: Status::Error, ..refuse(reason) }
}

/// A caller who proved who it is.
struct Caller {
    now: Now,
    /// The key that signed the request or the session's grant.
    key: Option<Arc<PublicKey>>,
    session: Option<Arc<OpenSession>>,
    canonical: Vec<u8>,
    action: [u8; 32],
    peer: Option<u32>,
}

struct OpenSession {
    signed: SignedGrant,
    session: Session,
    /// The user behind a socket who opened it; this process otherwise.
    peer: Option<u32>,
}

/// An elevation in force.
#[derive(Clone)]
struct Held {
    elevation: Elevation,
    /// The approver's key, which is asked at each use.
    key_id: String,
    /// Whose session it widens: names of sessions are chosen by those who open them.
    agent: String,
}

/// What a kernel is made of, for those who bring their own.
pub struct Parts {
    /// Settings.
    pub config: Config,
    /// Public keys.
    pub keys: Keyring,
    /// Caps and rates.
    pub budgets: Budgets,
    /// Policies and tools.
    pub policy: Policy,
    /// Signs receipts and permits.
    pub receipt_key: PrivateKey,
    /// Where state is durable.
    pub store: Arc<dyn Store>,
    /// Where receipts go.
    pub journal: Arc<dyn Journal>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Looks into arguments; without one, tools that ask for it are denied.
    pub scanner: Option<Arc<dyn ArgumentScanner>>,
    /// Tells where arguments came from; without one, nothing is tainted.
    pub taint: Option<Arc<dyn TaintSource>>,
}

/// Signs off actions.
pub struct Kernel {
    config: Config,
    limits: JsonLimits,
    keys: RwLock<Arc<Keyring>>,
    policy: RwLock<Arc<Policy>>,
    signer: Signer,
    openings: Openings,
    store: Arc<dyn Store>,
    journal: Arc<dyn Journal>,
    clock: Arc<dyn Clock>,
    guard: ClockGuard,
    /// Requests without a MAC that were issued up to this moment are refused.
    accept_after_ms: i64,
    /// The latest moment at which one that was accepted had been issued.
    issued_ms: AtomicI64,
    noted_ms: AtomicI64,
    /// The latest place that was given to an undo.
    ordered_us: AtomicI64,
    nonces: Nonces,
    revocations: Revocations,
    /// Held while something is revoked or reinstated.
    switch: Mutex<()>,
    /// By [`session_key`].
    sessions: RwLock<HashMap<String, Arc<OpenSession>>>,
    elevations: RwLock<Vec<Held>>,
    ledgers: Ledgers,
    /// Pending approvals. Held while one is asked for or signed.
    waiting: Mutex<HashSet<String>>,
    /// How to undo the actions of open leases, and until when that is kept.
    seeds: Mutex<Seeds>,
    scanner: Option<Arc<dyn ArgumentScanner>>,
    taint: Option<Arc<dyn TaintSource>>,
    decisions: Option<Decisions>,
    /// Held, and with it the folder, until it is closed.
    hold: Mutex<Option<Hold>>,
    process: u32,
    closed: AtomicBool,
}

/// How long what was decided is kept in the store, milliseconds: approvals that are over, undos that nobody ran.
const KEPT: i64 = 30 * 86_400_000;

/// Most bytes that a permit has and its receipt has not: a signature with the name of its key, the secret.
const PERMIT_BYTES: usize = 1_024;

/// The version that receipts name.
const ENGINE: &str = concat!("sift-kernel ", env!("CARGO_PKG_VERSION"));

/// What an open session is known by: who opens one chooses its name. None of the three holds a `/`.
fn session_key(tenant: &str, agent: &str, session: &str) -> String {
    format!("{tenant}/{agent}/{session}")
}

/// Roles that an agent's key may act in.
fn roles(key: &PublicKey) -> &[String] {
    &key.roles
}

/// The person behind an approver's key: two keys of one person are one approval.
fn person(key: &PublicKey) -> &str {
    // Every key has one (`check_keys`); those without would be one person.
    key.name.as_deref().unwrap_or_default()
}

impl Kernel {
    /// Opens the kernel of a folder: `kernel.toml`, `keys.toml`, `budgets.toml`, `tools.toml`, `policy/*.cedar`,
    /// its private keys and its state.
    ///
    /// Args: the folder; what looks into arguments; what tells where they came from.
    ///
    /// Errors: `Config` for files that are missing or wrong, and for a folder that another process works with
    /// (it is named); `Policy` for policies and manifest; `Unavailable` for state that is damaged.
    pub fn open(
        folder: &Path,
        scanner: Option<Arc<dyn ArgumentScanner>>,
        taint: Option<Arc<dyn TaintSource>>,
    ) -> Result<Self> {
        let config = Config::load(folder)?;
        check_places(folder, &config)?;
        let config_error =
            |error: sift_ledger::keys::KeyError| KernelError::Config(error.to_string());
        let keys = Keyring::load(&folder.join("keys.toml")).map_err(config_error)?;
        let budgets = Budgets::load(folder)?;
        let policy =
            Policy::load(folder).map_err(|error| KernelError::Policy(error.to_string()))?;
        let receipt_key = PrivateKey::read(&config.receipt_key).map_err(config_error)?;
        let log_key = PrivateKey::read(&config.log_key).map_err(config_error)?;
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&config.state)
            .map_err(|error| file(&config.state, "make", &error))?;
        let hold = Hold::take(&config.state)?;
        let store = SqliteStore::open(&config.state.join("kernel.sqlite"))?;
        let mut log = LogConfig::new(&config.origin, log_key);
        log.keys = keys.clone();
        log.interval = Duration::from_micros(config.log.interval_us);
        let journal = LedgerJournal::open(&config.state.join("ledger"), log)?;
        let kernel = Self::from_parts(Parts {
            config,
            keys,
            budgets,
            policy,
            receipt_key,
            store: Arc::new(store),
            journal: Arc::new(journal),
            clock: Arc::new(SystemClock),
            scanner,
            taint,
        })?;
        *lock(&kernel.hold) = Some(hold);
        Ok(kernel)
    }

    /// Makes a kernel from its parts.
    ///
    /// Errors: `Config` for charges that no limit caps, an agent's key without tenant, agent or role, a receipt
    /// key that is not in the ring; `Unavailable` for a store that fails or a clock that went back.
    pub fn from_parts(parts: Parts) -> Result<Self> {
        let Parts {
            config,
            keys,
            budgets,
            policy,
            receipt_key,
            store,
            journal,
            clock,
            scanner,
            taint,
        } = parts;
        check_keys(&keys, &config, &receipt_key)?;
        check_charges(&policy, &budgets)?;
        let (wall, steady) = (clock.wall_ms(), clock.steady_ms());
        let now = Now { wall, steady };
        let skew = config.request.skew_ms;
        // Looked at before anything is changed: who starts again without mending it must meet it again.
        let before = store.before()?;
        let tree_size = journal.size();
        check_ledger(&before, tree_size.as_ref().map(|size| size.load(Ordering::SeqCst)))?;
        check_store(journal.as_ref(), store.mark())?;
        let accept_after_ms = accept_after(&before, clock.as_ref(), skew)?;
        if let Some(size) = &tree_size {
            store.follow(Arc::clone(size));
        }
        store.begin()?;
        let tree_size = tree_size.map_or(0, |size| size.load(Ordering::SeqCst));
        store.note(&Noted { wall_ms: wall, steady_ms: steady, boot: clock.boot(), tree_size })?;
        tidy(store.as_ref(), wall)?;
        let revocations = Revocations::new(store.revoked()?);
        let waiting =
            store.approvals(ApprovalState::Pending)?.into_iter().map(|one| one.id).collect();
        let tolerance = skew.max(1_000);
        let bounds = Bounds {
            entries: config.lease.entries,
            lease_ms: config.lease.seconds.saturating_mul(1_000),
            memory_ms: config.lease.memory_seconds.saturating_mul(1_000),
        };
        let mut seeds = Seeds::default();
        seeds.share(&keys);
        let kernel = Self {
            limits: JsonLimits {
                bytes: config.request.max_bytes,
                depth: config.request.max_depth,
                ..JsonLimits::default()
            },
            guard: ClockGuard::new(clock.as_ref(), tolerance),
            accept_after_ms,
            issued_ms: AtomicI64::new(accept_after_ms),
            noted_ms: AtomicI64::new(wall),
            ordered_us: AtomicI64::new(0),
            nonces: Nonces::new(
                longest(config.request.window_ms(), tolerance),
                config.request.nonces,
            ),
            revocations,
            switch: Mutex::default(),
            sessions: RwLock::default(),
            elevations: RwLock::default(),
            ledgers: Ledgers::new(budgets, Arc::clone(&store), bounds, now)?,
            waiting: Mutex::new(waiting),
            seeds: Mutex::new(seeds),
            keys: RwLock::new(Arc::new(keys)),
            policy: RwLock::new(Arc::new(policy)),
            openings: Openings::new(&receipt_key)?,
            signer: Signer {
                key_id: config.receipt_key_id.as_str().into(),
                key: Arc::new(receipt_key),
            },
            store,
            journal,
            clock,
            scanner,
            taint,
            decisions: config.decisions.as_deref().map(Decisions::open).transpose()?,
            hold: Mutex::default(),
            process: std::process::id(),
            closed: AtomicBool::new(false),
            config,
        };
        kernel.load_elevations(wall)?;
        Ok(kernel)
    }

    /// Errors: a forked child, or a kernel that was closed.
    fn check_usable(&self) -> Result<()> {
        // A child has a copy of the memory, and both would grant what is left of it. Asked of the system each time,
        // and once: it costs 0.1 us.
        if std::process::id() != self.process {
            return Err(KernelError::Unavailable(
                "the kernel belongs to the process this one was forked from: open it after the fork"
                    .to_owned(),
            ));
        }
        if self.closed.load(Ordering::SeqCst) {
            return Err(KernelError::Unavailable("the kernel is closed".to_owned()));
        }
        Ok(())
    }

    /// Errors: a clock that cannot be believed.
    fn now(&self) -> Result<Now> {
        self.guard.now(self.clock.as_ref()).ok_or_else(|| {
            KernelError::Unavailable(
                "the clock was set while the kernel ran: set it right, or open the kernel again"
                    .to_owned(),
            )
        })
    }

    /// Its settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The policy in force.
    pub fn policy(&self) -> Arc<Policy> {
        Arc::clone(&read(&self.policy))
    }

    /// The keys in force.
    pub fn keys(&self) -> Arc<Keyring> {
        Arc::clone(&read(&self.keys))
    }

    /// Puts another policy in force, for the next request.
    ///
    /// Errors: `Config` for charges that no limit caps; the old policy stays.
    pub fn set_policy(&self, policy: Policy) -> Result<()> {
        self.check_usable()?;
        check_charges(&policy, self.ledgers.budgets())?;
        *write(&self.policy) = Arc::new(policy);
        Ok(())
    }

    /// Puts another policy and other keys in force, for the next request: both, or neither.
    ///
    /// Errors: as for [`Self::set_policy`] and [`Self::set_keys`].
    pub fn reload(&self, policy: Policy, keys: Keyring) -> Result<()> {
        self.check_usable()?;
        check_keys(&keys, &self.config, &self.signer.key)?;
        check_charges(&policy, self.ledgers.budgets())?;
        self.put_keys(keys);
        *write(&self.policy) = Arc::new(policy);
        Ok(())
    }

    /// Puts other keys in force, for the next request.
    ///
    /// Errors: as at the start; the old keys stay.
    pub fn set_keys(&self, keys: Keyring) -> Result<()> {
        self.check_usable()?;
        check_keys(&keys, &self.config, &self.signer.key)?;
        self.put_keys(keys);
        Ok(())
    }

    fn put_keys(&self, keys: Keyring) {
        lock(&self.seeds).share(&keys);
        *write(&self.keys) = Arc::new(keys);
    }

    /// Decides about an action.
    ///
    /// Args: the action; who asks for it; the id of an approval that is to be used.
    ///
    /// Returns a decision, always: whatever fails is a denial with `Status::Error`. The permit comes from
    /// [`Self::durable`].
    pub fn authorize(
        &self,
        request: &ActionRequest,
        credential: &Credential,
        approval: Option<&str>,
    ) -> Authorization {
        self.authorize_for(None, request, credential, approval)
    }

    /// As [`Self::authorize`], for a user behind a socket: sessions are good for whoever opened them, and so are
    /// leases for whoever asked.
    pub fn authorize_for(
        &self,
        peer: Option<u32>,
        request: &ActionRequest,
        credential: &Credential,
        approval: Option<&str>,
    ) -> Authorization {
        let policy = self.policy();
        let hash = *policy.hash();
        let id = &credential.stamp.request_id;
        match self.admit(peer, request, credential) {
            Ok(caller) => self.judge(request, credential, approval, &caller, &policy),
            Err(refusal) => Authorization::refused(refusal, id, hash),
        }
    }

    /// Steps 1 to 5: who asks. Changes nothing but the memory of nonces, and that only for a caller who proved
    /// who it is.
    fn admit(
        &self,
        peer: Option<u32>,
        request: &ActionRequest,
        credential: &Credential,
    ) -> std::result::Result<Caller, Refusal> {
        self.check_usable().map_err(|_| broken("kernel_unavailable"))?;
        let stamp = &credential.stamp;
        request.check(&self.limits).map_err(|_| refuse("invalid_request"))?;
        if !crate::request::is_name(&stamp.request_id) {
            return Err(refuse("invalid_request"));
        }
        if stamp.audience != self.config.audience {
            return Err(refuse("wrong_audience"));
        }
        let now = self.now().map_err(|_| broken("clock_unreliable"))?;
        let keys = self.keys();
        // A session that is named must be open, however the request is proven.
        let session = match &request.session {
            None => None,
            Some(id) => {
                let name = session_key(&request.tenant, &request.agent, id);
                let open = read(&self.sessions).get(&name).cloned();
                Some(open.ok_or_else(|| refuse("unknown_session"))?)
            }
        };
        // Its key may have been stolen; the user of a process cannot be.
        if session.as_ref().is_some_and(|open| peer.is_some() && open.peer != peer) {
            return Err(refuse("session_of_another_peer"));
        }
        let key_id = match (&credential.proof, &session) {
            (Proof::Signature { key_id, .. }, _) => Some(key_id.as_str()),
            (Proof::Mac { session: named, .. }, Some(open)) if named == open.session.id() => {
                Some(open.signed.key_id.as_str())
            }
            (Proof::Mac { .. }, _) => return Err(refuse("unknown_session")),
            (Proof::Process, _) if self.config.trust_process => None,
            (Proof::Process, _) => return Err(refuse("process_not_trusted")),
        };
        let key = match key_id {
            None => None,
            Some(id) => {
                let key = keys.get(id, Purpose::Agent).map_err(|_| refuse("unknown_key"))?;
                key.check_time(now.wall).map_err(|_| refuse("key_not_valid"))?;
                if key.tenant.as_deref() != Some(&request.tenant)
                    || key.agent.as_deref() != Some(&request.agent)
                {
                    return Err(refuse("key_of_another_agent"));
                }
                Some(Arc::clone(key))
            }
        };
        let revoked = self.revocations.find(
            &request.tenant,
            &request.agent,
            request.session.as_deref(),
            key_id,
        );
        if let Some(kind) = revoked {
            return Err(refuse(match kind {
                SubjectKind::Tenant => "tenant_revoked",
                SubjectKind::Agent => "agent_revoked",
                SubjectKind::Session => "session_revoked",
                SubjectKind::Key => "key_revoked",
            }));
        }
        let bounds = &self.config.request;
        let lifetime = stamp.expires_at_ms.saturating_sub(stamp.issued_at_ms);
        if lifetime <= 0 || lifetime > bounds.lifetime_ms {
            return Err(refuse("lifetime_too_long"));
        }
        if stamp.issued_at_ms > now.wall.saturating_add(bounds.skew_ms) {
            return Err(refuse("issued_in_future"));
        }
        if now.wall >= stamp.expires_at_ms {
            return Err(refuse("request_expired"));
        }
        // The key of a session does not outlive the process, so its requests cannot be older.
        let outlives = !matches!(credential.proof, Proof::Mac { .. });
        if outlives && stamp.issued_at_ms <= self.accept_after_ms {
            return Err(refuse("issued_before_start"));
        }
        let canonical = request.canonical().map_err(|_| refuse("invalid_request"))?;
        let action = digest(&canonical);
        match (&credential.proof, &key, &session) {
            (Proof::Signature { key_id, signature }, Some(key), _) => {
                let bytes = preimage(request, &action, stamp, ("key", key_id));
                key.verify(&bytes, signature).map_err(|_| refuse("invalid_signature"))?;
            }
            (Proof::Mac { session: id, tag }, Some(_), Some(open)) => {
                let bytes = preimage(request, &action, stamp, ("session", id));
                if !open.session.verify(&bytes, tag) {
                    return Err(refuse("invalid_mac"));
                }
            }
            (Proof::Process, None, _) => {}
            _ => return Err(refuse("unknown_key")),
        }
        match self.nonces.reserve((&request.tenant, &request.agent), &stamp.nonce, now.steady) {
            Reserved::Fresh if outlives => {
                self.issued_ms.fetch_max(stamp.issued_at_ms, Ordering::SeqCst);
            }
            Reserved::Fresh => {}
            Reserved::Seen => return Err(refuse("replayed")),
            Reserved::Full => return Err(broken("nonce_memory_full")),
        }
        self.note_clock(now);
        Ok(Caller { now, key, session, canonical, action, peer })
    }

    /// Now and then the store learns the time, so that a restart with a clock that went back is noticed. A
    /// failure is not the caller's concern: the next write that matters fails by itself, and the next request
    /// tries this one again.
    fn note_clock(&self, now: Now) {
        let noted = self.noted_ms.load(Ordering::Relaxed);
        if now.wall.saturating_sub(noted) < CLOCK_INTERVAL
            || self
                .noted_ms
                .compare_exchange(noted, now.wall, Ordering::Relaxed, Ordering::Relaxed)
                .is_err()
        {
            return;
        }
        if self.store.note(&self.noted(now)).is_err() {
            self.noted_ms.store(noted, Ordering::Relaxed);
            return;
        }
        // What is not forgotten now is forgotten the next time.
        let _ = tidy(self.store.as_ref(), now.wall);
        let _ = self.ledgers.forget_windows(now);
    }

    fn noted(&self, now: Now) -> Noted {
        Noted {
            wall_ms: now.wall,
            steady_ms: now.steady,
            boot: self.clock.boot(),
            tree_size: self.journal.size().map_or(0, |size| size.load(Ordering::SeqCst)),
        }
    }

    /// Steps 6 to 10: what is decided about somebody who is known, with a receipt whatever it is.
    fn judge(
        &self,
        request: &ActionRequest,
        credential: &Credential,
        approval: Option<&str>,
        caller: &Caller,
        policy: &Policy,
    ) -> Authorization {
        let mut case = Case { request_id: credential.stamp.request_id.clone(), ..Case::default() };
        let verdict = self.decide(request, approval, caller, policy, &mut case);
        let stamp = &credential.stamp;
        let mut answer = match verdict {
            Ok(granted) => Authorization {
                decision: if granted.lease.is_some() {
                    Decision::Allow
                } else {
                    Decision::Escalate
                },
                reason: granted.reason,
                message: case.message.take(),
                rule_ids: granted.rules,
                lease: granted.lease,
                approval: granted.approval,
                ..Authorization::refused(refuse(""), &stamp.request_id, *policy.hash())
            },
            Err(refusal) => Authorization {
                message: case.message.take(),
                ..Authorization::refused(refusal, &stamp.request_id, *policy.hash())
            },
        };
        answer.shadow = std::mem::take(&mut case.shadow);
        answer.taint = std::mem::take(&mut case.taint);
        match self.record(request, credential, caller, &case, &answer) {
            Ok(record) => answer.record = Some(record),
            Err(_) => {
                // What nobody can prove afterwards must not happen.
                if let Some(lease) = &answer.lease {
                    self.drop_lease(lease, caller.now);
                }
                let refusal = broken("ledger_unavailable");
                return Authorization::refused(refusal, &stamp.request_id, *policy.hash());
            }
        }
        answer
    }

    /// Grant, tool, schema, contents, policy, approval, budget.
    fn decide(
        &self,
        request: &ActionRequest,
        approval: Option<&str>,
        caller: &Caller,
        policy: &Policy,
        case: &mut Case,
    ) -> std::result::Result<Granted, Refusal> {
        let now = caller.now;
        if let Some(key) = &caller.key {
            if !roles(key).contains(&request.role) {
                return Err(refuse("role_not_granted"));
            }
        }
        let elevation = self.elevation(request, caller, now.wall);
        if let Some(open) = &caller.session {
            open.signed.grant.allows(request, elevation.as_ref(), now.wall).map_err(refuse)?;
        }
        let tool = policy.tool(&request.tool).ok_or_else(|| refuse("unknown_tool"))?;
        case.risk = Some(tool.risk.as_str());
        let findings = if tool.scan_args {
            // Before the contents are looked at: what does not fit the schema is not worth a scan.
            tool.check_args(&request.args).map_err(|_| refuse("invalid_arguments"))?;
            let scanner = self.scanner.as_ref().ok_or_else(|| broken("scanner_missing"))?;
            scanner.scan(&request.args).map_err(|_| broken("scan_failed"))?
        } else {
            Vec::new()
        };
        let taint = match (&self.taint, &request.conversation) {
            (Some(source), Some(conversation)) => source
                .taint(&request.tenant, conversation, &request.args)
                .map_err(|_| broken("taint_unknown"))?,
            // To leave the conversation out is not a way out.
            (Some(source), None) if tool.exports && source.observed(&request.tenant) => {
                return Err(broken("taint_unknown"));
            }
            _ => Vec::new(),
        };
        case.taint = taint.iter().map(|taint| taint.source.clone()).collect();
        case.taint.sort_unstable();
        case.taint.dedup();
        let approved = match approval {
            None => None,
            Some(id) => Some(self.approved(id, request, caller)?),
        };
        case.elevation = elevation.map(|elevation| elevation.id);
        let estimate: Vec<(&str, i64)> =
            request.estimate.iter().map(|(unit, amount)| (unit.as_str(), *amount)).collect();
        let asked = Request {
            tenant: &request.tenant,
            agent: &request.agent,
            role: &request.role,
            tool,
            args: &request.args,
            session: request.session.as_deref(),
            conversation: request.conversation.as_deref(),
            model: request.model.as_deref(),
            model_version: request.model_version.as_deref(),
            now_ms: now.wall,
            findings: &findings,
            taint: &taint,
            approved_by: approved.as_ref().map_or(&[], |approved| approved.by.as_slice()),
            elevation: case.elevation.as_deref(),
            estimate: &estimate,
        };
        let outcome = policy.decide(&asked);
        if let Some(decisions) = &self.decisions {
            decisions.add(&case.request_id, &asked, &outcome);
        }
        case.message = outcome.message.as_deref().map(str::to_owned);
        case.shadow = outcome
            .shadow
            .iter()
            .filter(|shadow| shadow.would_change)
            .map(|shadow| shadow.rule_id.to_string())
            .collect();
        let rules: Vec<String> = outcome.rule_ids.iter().map(ToString::to_string).collect();
        let reason = outcome.reason.to_string();
        match &outcome.effect {
            Effect::Deny => return Err(Refusal { reason, status: Status::Ok, rules }),
            Effect::Escalate(rule) => {
                let asked = self.ask(request, caller, rule)?;
                return Ok(Granted { reason, rules, lease: None, approval: Some(asked) });
            }
            Effect::Allow => {}
        }
        let charges: Vec<Charge> = outcome
            .charges
            .iter()
            .map(|charge| Charge {
                budget: charge.budget.to_string(),
                unit: charge.unit.to_string(),
                amount: charge.amount,
            })
            .collect();
        let who = Who {
            tenant: &request.tenant,
            role: &request.role,
            agent: &request.agent,
            session: request.session.as_deref(),
            conversation: request.conversation.as_deref(),
            tool: &request.tool,
            request_id: &case.request_id,
            action: caller.action,
            peer: caller.peer,
        };
        let lease = self.ledgers.reserve(&who, &charges, now).map_err(budget_refusal)?;
        case.charges = charges;
        if let (Some(undo), Some(trace_id)) = (&tool.undo, &request.trace_id) {
            let seed = Seed {
                trace_id: trace_id.clone(),
                tenant: request.tenant.clone(),
                agent: request.agent.clone(),
                request_id: case.request_id.clone(),
                tool: undo.tool.clone(),
                args: undo.args.clone(),
                call: request.args.clone(),
                bytes: caller.canonical.len(),
            };
            if !self.keep_seed(&lease, seed, now) {
                self.drop_lease(&lease, now);
                return Err(broken("books_full"));
            }
        }
        // Last of all, since it cannot be undone.
        let used = match approved.filter(|_| outcome.fulfilled.is_some()) {
            None => None,
            Some(approved) => {
                let taken = self.store.move_approval(
                    &approved.id,
                    ApprovalState::Approved,
                    ApprovalState::Consumed,
                );
                if !matches!(taken, Ok(true)) {
                    self.drop_lease(&lease, now);
                    return Err(match taken {
                        Ok(_) => refuse("approval_used"),
                        Err(_) => broken("store_unavailable"),
                    });
                }
                case.approvers = approved.by.into_iter().map(|one| one.name).collect();
                Some(approved.id)
            }
        };
        Ok(Granted { reason, rules, lease: Some(lease), approval: used })
    }

    /// Gives a reservation back that nobody was told of.
    fn drop_lease(&self, lease: &str, now: Now) {
        let _ = self.ledgers.end(lease, Ending::Cancel, None, now);
        lock(&self.seeds).remove(lease);
    }

    /// Puts a receipt into the ledger's queue, with the state of the store that it was made in.
    fn append(&self, fields: &Fields<'_>) -> Result<Queued> {
        let Mark { id, generation } = self.store.mark();
        let store = format!("{id}:{generation}");
        let fields = Fields { store: Some(&store), engine: ENGINE, ..*fields };
        let unavailable = |error: ReceiptError| KernelError::Unavailable(error.to_string());
        let statement = receipt::statement(&fields).map_err(unavailable)?;
        let (receipt, statement) = match fields.class {
            Class::Signed => (self.signer.later(statement), None),
            Class::Batched => {
                let entry = dsse::seal(receipt::PAYLOAD_TYPE, &statement, None);
                (Entry::from(entry), Some(statement))
            }
        };
        // A permit is somewhat longer, and must be read too.
        if receipt.len() > MAX_ENVELOPE - PERMIT_BYTES {
            return Err(unavailable(ReceiptError::TooLong));
        }
        let pending = self.journal.append(receipt.clone()).map_err(not_recorded)?;
        Ok(Queued { receipt, statement, pending })
    }

    /// What a receipt of this name and lease says of an action.
    fn blind(&self, name: &str, lease: Option<&str>, action: &[u8; 32]) -> [u8; 32] {
        receipt::blind_action(&self.openings.opening(name, lease, action), action)
    }

    /// A receipt of something that is not an authorization, on the disk when this returns.
    fn record_event(&self, fields: &Fields<'_>) -> Result<()> {
        let queued = self.append(&Fields { class: self.class(), ..*fields })?;
        queued
            .pending
            .wait(Duration::from_millis(self.config.log.wait_ms))
            .map_err(not_recorded)?;
        Ok(())
    }

    /// Writes the receipt of an answer into the ledger's queue.
    fn record(
        &self,
        request: &ActionRequest,
        credential: &Credential,
        caller: &Caller,
        case: &Case,
        answer: &Authorization,
    ) -> Result<Record> {
        let stamp = &credential.stamp;
        let secret =
            self.openings.secret(&stamp.request_id, answer.lease.as_deref(), &caller.action);
        let opening = opening_of(&secret);
        let mut args = Vec::with_capacity(256);
        canonical::write(&request.args, &mut args)?;
        let rule_ids: Vec<&str> = answer.rule_ids.iter().map(String::as_str).collect();
        let taint: Vec<&str> = answer.taint.iter().map(String::as_str).collect();
        let approvers: Vec<&str> = case.approvers.iter().map(String::as_str).collect();
        let charges: Vec<receipt::Charge<'_>> = case.charges.iter().map(charge).collect();
        let expires =
            caller.now.wall.saturating_add(self.config.permit_seconds.saturating_mul(1_000));
        let version = hex(answer.policy_hash.get(..6).unwrap_or_default());
        // Policies that would have changed the decision, were they in force.
        let shadow = answer.shadow.iter().cloned().map(Json::Str).collect();
        let details = [("shadow", Json::List(shadow))];
        let fields = Fields {
            event: "authorization",
            request_id: &stamp.request_id,
            action_hash: receipt::blind_action(&opening, &caller.action),
            args_commitment: Some(receipt::commit_arguments(&opening, &args)),
            audience: Some(&self.config.audience),
            tenant: &request.tenant,
            agent: &request.agent,
            role: &request.role,
            tool: &request.tool,
            session: request.session.as_deref(),
            conversation: request.conversation.as_deref(),
            model: request.model.as_deref(),
            model_version: request.model_version.as_deref(),
            decision: answer.decision.word(),
            reason: &answer.reason,
            rule_ids: &rule_ids,
            policy_hash: Some(answer.policy_hash),
            policy_version: Some(&version),
            taint: &taint,
            lease: answer.lease.as_deref(),
            charges: &charges,
            approval: answer.approval.as_deref(),
            approvers: &approvers,
            elevation: case.elevation.as_deref(),
            issued_at: Some(stamp.issued_at_ms),
            decided_at: caller.now.wall,
            expires_at: answer.lease.as_ref().map(|_| expires),
            class: self.class(),
            details: if answer.shadow.is_empty() { &[] } else { &details },
            ..Fields::default()
        };
        let Queued { receipt, statement, pending } = self.append(&fields)?;
        let permit = answer.lease.as_ref().map(|lease| {
            Arc::new(Prepared {
                tenant: request.tenant.clone(),
                agent: request.agent.clone(),
                session: request.session.clone(),
                key_id: caller.key.as_ref().map(|key| key.id.clone()),
                lease: lease.clone(),
                secret,
                statement,
                made: OnceLock::new(),
            })
        });
        let queued = self.config.release == Release::Queued
            || case
                .risk
                .is_some_and(|risk| self.config.queued_risks.iter().any(|queued| queued == risk));
        Ok(Record { receipt, opening, pending, permit, wait: !queued })
    }

    fn class(&self) -> Class {
        match self.config.receipts {
            ReceiptClass::Signed => Class::Signed,
            ReceiptClass::Batched => Class::Batched,
        }
    }

    /// Waits until the receipt of an answer is durable, and hands out the permit.
    ///
    /// Args: the answer of [`Self::authorize`].
    ///
    /// Returns nothing for an answer without receipt, and a receipt without permit for an action that was denied or
    /// cancelled. From here on the action may happen, so that cancelling it charges its reservation.
    ///
    /// Errors: `Unavailable` when the ledger fails or takes longer than `log.wait_ms`. The reservation is then
    /// left to expire, since the receipt may be found in the log later.
    pub fn durable(&self, answer: &Authorization) -> Result<Option<Durable>> {
        self.check_usable()?;
        let Some(record) = &answer.record else { return Ok(None) };
        let placed = if record.waits() {
            self.prepare(record);
            Some(self.wait(record)?)
        } else {
            None
        };
        Ok(Some(self.hand_out(record, placed)))
    }

    /// Waits until the receipt of an answer is durable and keeps the permit back, so that [`Self::cancel`] still
    /// gives the reservation back: for whoever has something else to look at before the action.
    ///
    /// Returns and errors as for [`Self::durable`], without a permit.
    pub fn recorded(&self, answer: &Authorization) -> Result<Option<Durable>> {
        self.check_usable()?;
        let Some(record) = &answer.record else { return Ok(None) };
        let placed = self.wait(record)?;
        let (receipt, opening) = (record.receipt.bytes().to_vec(), record.opening);
        Ok(Some(Durable { receipt, opening, permit: None, placed: Some(placed) }))
    }

    fn wait(&self, record: &Record) -> Result<Placed> {
        record.pending.wait(Duration::from_millis(self.config.log.wait_ms)).map_err(not_recorded)
    }

    /// Calls back, once, when [`Self::durable`] would not wait, whatever it will say. On the thread that commits
    /// receipts or on this one; the callback must be quick.
    ///
    /// Returns whether there is a receipt; without one nothing is called.
    pub fn when_durable(
        &self,
        answer: &Authorization,
        told: impl FnOnce() + Send + 'static,
    ) -> bool {
        let Some(record) = &answer.record else { return false };
        if record.waits() {
            self.prepare(record);
            record.pending.tell(Box::new(move |_| told()));
        } else {
            told();
        }
        true
    }

    /// Makes the permit while the disk works on the receipt. It stays here until that is durable.
    fn prepare(&self, record: &Record) {
        if let Some(prepared) = &record.permit {
            self.permit(record, prepared);
        }
    }

    fn permit<'a>(&self, record: &Record, prepared: &'a Prepared) -> &'a [u8] {
        prepared.made.get_or_init(|| match &prepared.statement {
            None => permit::of_receipt(record.receipt.bytes(), &prepared.secret),
            Some(statement) => permit::of_receipt(&self.signer.sign(statement), &prepared.secret),
        })
    }

    fn hand_out(&self, record: &Record, placed: Option<Placed>) -> Durable {
        let permit = match &record.permit {
            None => None,
            // Revoked meanwhile: it stays here, and its reservation is charged when its time is over.
            Some(prepared) if self.revoked(prepared) => None,
            Some(prepared) => {
                let made = self.permit(record, prepared);
                self.ledgers.hand_out(&prepared.lease).then(|| made.to_vec())
            }
        };
        let (receipt, opening) = (record.receipt.bytes().to_vec(), record.opening);
        Durable { receipt, opening, permit, placed }
    }

    fn revoked(&self, prepared: &Prepared) -> bool {
        let Prepared { tenant, agent, session, key_id, .. } = prepared;
        let (session, key_id) = (session.as_deref(), key_id.as_deref());
        self.revocations.find(tenant, agent, session, key_id).is_some()
    }

    /// The proof that a receipt is in the log, a `.tlog-proof`.
    ///
    /// Errors: `Unavailable` when there is no such receipt or the log cannot be read.
    pub fn proof(&self, index: u64) -> Result<String> {
        self.check_usable()?;
        self.journal.proof(index).map_err(not_recorded)
    }

    /// The action happened and cost this much.
    ///
    /// Args: the lease; what it cost by unit; a unit that is not named cost what was reserved.
    ///
    /// Errors: `LeaseConflict` when it ended otherwise, is not known, or a user behind a socket asked for it and
    /// another one ends it; `Invalid` for a unit that was not reserved or an amount that is negative or above
    /// 2^53 - 1, and then it has not ended; `Unavailable` when an overrun or the receipt cannot be written: it has
    /// ended all the same, and to say so again tries again.
    pub fn settle(&self, lease: &str, actual: BTreeMap<String, i64>) -> Result<Outcome> {
        self.end_for(None, lease, Ending::Settle(actual))
    }

    /// The action did not happen: its reservation is given back, and its permit is never handed out. Once that
    /// was, somebody may use it: then it is as for [`Self::abandon`].
    ///
    /// Errors: as for [`Self::settle`].
    pub fn cancel(&self, lease: &str) -> Result<Outcome> {
        self.end_for(None, lease, Ending::Cancel)
    }

    /// The action was broken off, so that nobody knows whether it happened: it is charged in full.
    ///
    /// Errors: as for [`Self::settle`].
    pub fn abandon(&self, lease: &str) -> Result<Outcome> {
        self.end_for(None, lease, Ending::Abandon)
    }

    pub(crate) fn end_for(
        &self,
        peer: Option<u32>,
        lease: &str,
        ending: Ending,
    ) -> Result<Outcome> {
        self.check_usable()?;
        let now = self.now()?;
        let (outcome, about) = self.ledgers.end(lease, ending, peer, now)?;
        if outcome.state == LeaseState::Cancelled {
            lock(&self.seeds).remove(lease);
        }
        if let Some(about) = about {
            if let Err(error) = self.record_end(lease, &about, &outcome, now) {
                self.ledgers.give_about(lease, Some(about));
                return Err(error);
            }
        }
        Ok(outcome)
    }

    /// A receipt of how an action ended, or is said to have. Nobody waits for it, and the log alone signs it.
    fn record_end(&self, lease: &str, about: &About, outcome: &Outcome, now: Now) -> Result<()> {
        let charges: Vec<receipt::Charge<'_>> = outcome.charged.iter().map(charge).collect();
        let details = [("barred", Json::Bool(true)), ("overrun", Json::Bool(true))];
        self.append(&Fields {
            event: match outcome.state {
                LeaseState::Cancelled => "cancellation",
                _ => "settlement",
            },
            request_id: &about.request_id,
            action_hash: self.blind(&about.request_id, Some(lease), &about.action),
            tenant: &about.tenant,
            role: &about.role,
            agent: &about.agent,
            session: about.session.as_deref(),
            conversation: about.conversation.as_deref(),
            tool: &about.tool,
            decision: outcome.state.word(),
            reason: outcome.state.word(),
            lease: Some(lease),
            charges: &charges,
            decided_at: now.wall,
            class: Class::Batched,
            details: match outcome {
                Outcome { barred: true, .. } => &details,
                Outcome { overrun: true, .. } => details.get(1..).unwrap_or_default(),
                _ => &[],
            },
            ..Fields::default()
        })?;
        Ok(())
    }

    /// False when there is no room, even without those whose lease is over.
    fn keep_seed(&self, lease: &str, seed: Seed, now: Now) -> bool {
        let until = now.steady.saturating_add(self.config.lease.seconds.saturating_mul(1_000));
        let mut seeds = lock(&self.seeds);
        if !seeds.fits(&seed, self.config.lease.entries) {
            seeds.sweep(now.steady);
            if !seeds.fits(&seed, self.config.lease.entries) {
                return false;
            }
        }
        seeds.insert(lease, until, seed);
        true
    }

    /// Remembers how to undo an action that happened, or may have, if its tool and its trace say so.
    ///
    /// Args: the lease; what the tool returned, `Null` where that is not known.
    ///
    /// Returns whether there is something to remember: not without a trace, an undoing tool, or what its
    /// arguments are taken from.
    ///
    /// Errors: `Unavailable` when it cannot be made durable.
    pub fn remember_undo(&self, lease: &str, result: &Value) -> Result<bool> {
        self.check_usable()?;
        // It stays until the store has it, so that who says again how the action ended is not told that all is well.
        let Some(seed) = lock(&self.seeds).get(lease) else { return Ok(false) };
        let Some(args) = seed.arguments(result) else {
            lock(&self.seeds).remove(lease);
            return Ok(false);
        };
        let now = self.clock.wall_ms();
        let undo = Undo {
            tenant: seed.tenant.clone(),
            agent: seed.agent.clone(),
            request_id: seed.request_id.clone(),
            order: self.next_order(),
            tool: seed.tool.clone(),
            args: crate::codec::to_json(&args)?,
        };
        if !self.store.add_undo(&seed.trace_id, &undo, now.saturating_add(KEPT))? {
            return Err(KernelError::Invalid(
                "an undo of another action is stored for a request of this name in this trace: give each \
                 request a name of its own, and undo this one by hand"
                    .to_owned(),
            ));
        }
        lock(&self.seeds).remove(lease);
        Ok(true)
    }

    /// Microseconds since 1970, later than every one before: two actions of one moment have an order too.
    fn next_order(&self) -> i64 {
        let now = self.clock.wall_ms().saturating_mul(1_000);
        let next = |last: i64| now.max(last.saturating_add(1));
        match self
            .ordered_us
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |last| Some(next(last)))
        {
            Ok(last) | Err(last) => next(last),
        }
    }

    /// What undoes the actions of a trace, the last one first.
    ///
    /// Errors: `Invalid` when no tenant is named and there are steps of several; `Unavailable` for a store that
    /// fails.
    pub fn undos(&self, trace: Trace<'_>) -> Result<Vec<Undo>> {
        self.check_usable()?;
        let mut undos = self.steps(trace, false)?;
        undos.reverse();
        Ok(undos)
    }

    fn steps(&self, trace: Trace<'_>, taken: bool) -> Result<Vec<Undo>> {
        let fits = |wanted: Option<&str>, is: &str| wanted.is_none_or(|name| name == is);
        let mut undos = self.store.undos(trace.id, taken)?;
        undos.retain(|one| fits(trace.tenant, &one.tenant) && fits(trace.agent, &one.agent));
        if undos.windows(2).any(|two| matches!(two, [a, b] if a.tenant != b.tenant)) {
            return Err(KernelError::Invalid(
                "several tenants have used this name for a trace: say whose is meant".to_owned(),
            ));
        }
        Ok(undos)
    }

    fn step(&self, trace: Trace<'_>, request_id: &str, taken: bool) -> Result<Option<Undo>> {
        let mut steps = self.steps(trace, taken)?;
        steps.retain(|one| one.request_id == request_id);
        if steps.len() > 1 {
            return Err(KernelError::Invalid(
                "several agents have used this name for a request: say whose is meant".to_owned(),
            ));
        }
        Ok(steps.pop())
    }

    /// Takes one undo out, so that nobody else runs it; false when somebody has.
    ///
    /// Errors: as for [`Self::undos`], and `Invalid` when no agent is named and several have used the name.
    pub fn take_undo(&self, trace: Trace<'_>, request_id: &str) -> Result<bool> {
        self.check_usable()?;
        match self.step(trace, request_id, false)? {
            Some(undo) => Ok(self.store.move_undo(trace.id, &undo, true)?),
            None => Ok(false),
        }
    }

    /// Puts one back that was taken and not run: as it was stored, whatever has become of it outside.
    ///
    /// Errors: as for [`Self::take_undo`].
    pub fn return_undo(&self, trace: Trace<'_>, request_id: &str) -> Result<()> {
        self.check_usable()?;
        if let Some(undo) = self.step(trace, request_id, true)? {
            self.store.move_undo(trace.id, &undo, false)?;
        }
        Ok(())
    }

    /// Refuses everything of a tenant, agent, session or key from the next request on.
    ///
    /// Errors: `Invalid` for a name that nothing can have; `Unavailable` when it or its receipt cannot be made
    /// durable, and it holds in this process all the same.
    pub fn revoke(&self, subject: &Subject) -> Result<()> {
        self.check_usable()?;
        subject.check()?;
        let _one = lock(&self.switch);
        self.revocations.add(subject.clone());
        self.store.revoke(subject, self.clock.wall_ms())?;
        self.record_revocation("revocation", subject)
    }

    /// Takes a revocation back. An agent is let at the limits again that it was barred from by what it settled.
    ///
    /// Errors: `Unavailable` when it or its receipt cannot be made durable; the revocation stays then.
    pub fn reinstate(&self, subject: &Subject) -> Result<()> {
        self.check_usable()?;
        subject.check()?;
        // Of two that race, memory and store must remember the same.
        let _one = lock(&self.switch);
        self.record_revocation("reinstatement", subject)?;
        self.store.reinstate(subject)?;
        if subject.kind == SubjectKind::Agent {
            self.ledgers.forgive(&subject.tenant, &subject.name)?;
        }
        self.revocations.remove(subject);
        Ok(())
    }

    fn record_revocation(&self, event: &str, subject: &Subject) -> Result<()> {
        let Subject { kind, name, tenant, agent } = subject;
        let text = |value: &str| Json::Str(value.to_owned());
        let named = |wanted| if *kind == wanted { name.as_str() } else { "" };
        self.record_event(&Fields {
            event,
            request_id: &hex(&random::<16>()?),
            action_hash: digest(
                format!("{event}\0{}\0{tenant}\0{agent}\0{name}", kind.word()).as_bytes(),
            ),
            tenant: match kind {
                SubjectKind::Tenant => name,
                _ => tenant,
            },
            agent: match kind {
                SubjectKind::Agent => name,
                _ => agent,
            },
            session: Some(named(SubjectKind::Session)).filter(|name| !name.is_empty()),
            decision: event,
            reason: kind.word(),
            decided_at: self.clock.wall_ms(),
            details: &[("kind", text(kind.word())), ("name", text(name))],
            ..Fields::default()
        })
    }

    /// Opens a session.
    ///
    /// Args: a grant that the agent's key has signed.
    ///
    /// Errors: `Signature` for a key that is not known, not valid, revoked, or of another agent, and a signature
    /// that does not verify; `Invalid` for a grant that gives what the key does not have, is over, lasts too
    /// long, or names a session that is open with another grant; `Limit` for too many sessions.
    pub fn open_session(&self, signed: &SignedGrant) -> Result<Session> {
        self.open_session_for(None, signed)
    }

    /// As [`Self::open_session`], for a user behind a socket: nobody else there can use the session, or open it
    /// again with the same grant (`Signature`).
    pub fn open_session_for(&self, peer: Option<u32>, signed: &SignedGrant) -> Result<Session> {
        self.check_usable()?;
        let now = self.now()?;
        let grant = &signed.grant;
        grant.check()?;
        if signed.audience != self.config.audience {
            return Err(KernelError::Invalid("the grant is for another kernel".to_owned()));
        }
        let keys = self.keys();
        let bad = |error: sift_ledger::keys::KeyError| KernelError::Signature(error.to_string());
        let key = keys.get(&signed.key_id, Purpose::Agent).map_err(bad)?;
        key.check_time(now.wall).map_err(bad)?;
        key.verify(&signed.preimage(), &signed.signature).map_err(bad)?;
        if key.tenant.as_ref() != Some(&grant.tenant) || key.agent.as_ref() != Some(&grant.agent) {
            return Err(KernelError::Signature(
                "the key is of another agent than the grant".to_owned(),
            ));
        }
        if self
            .revocations
            .find(&grant.tenant, &grant.agent, Some(&grant.session), Some(&signed.key_id))
            .is_some()
        {
            return Err(KernelError::Signature(
                "tenant, agent, session or key is revoked".to_owned(),
            ));
        }
        if !grant.roles.iter().all(|role| roles(key).contains(role)) {
            return Err(KernelError::Invalid(
                "the grant names a role that the key does not have".to_owned(),
            ));
        }
        let longest = self.config.session.seconds.saturating_mul(1_000);
        if grant.expires_at_ms <= now.wall
            || grant.expires_at_ms.saturating_sub(now.wall.max(grant.not_before_ms)) > longest
        {
            return Err(KernelError::Invalid(
                "the grant is over, or lasts longer than it may".to_owned(),
            ));
        }
        let name = session_key(&grant.tenant, &grant.agent, &grant.session);
        let mut sessions = write(&self.sessions);
        if let Some(open) = sessions.get(&name) {
            if open.signed == *signed && open.peer == peer {
                return Ok(open.session.clone());
            }
            if open.signed == *signed {
                return Err(KernelError::Signature(
                    "another user has opened the session: a grant is for the one who shows it first"
                        .to_owned(),
                ));
            }
            return Err(KernelError::Invalid("the session is open with another grant".to_owned()));
        }
        if sessions.len() >= self.config.session.open {
            sessions.retain(|_, open| open.signed.grant.expires_at_ms > now.wall);
        }
        // As for nonces: whoever holds as much as is left gets no more. Less than half cannot be that much.
        let left = self.config.session.open.saturating_sub(sessions.len());
        if left <= sessions.len() {
            let own = |open: &&Arc<OpenSession>| {
                let other = &open.signed.grant;
                other.tenant == grant.tenant && other.agent == grant.agent
            };
            if sessions.values().filter(own).count() >= left {
                return Err(KernelError::Limit(
                    "this agent has as many sessions open as it may".to_owned(),
                ));
            }
        }
        let session = Session::open(&grant.session, &self.config.audience)?;
        let open = OpenSession { signed: signed.clone(), session: session.clone(), peer };
        sessions.insert(name, Arc::new(open));
        Ok(session)
    }

    /// Adds tools to a session, because a person said so: to that of the agent who has it open now.
    ///
    /// Errors: `Signature` for a key that may not, or is of whoever owns the session's; `Invalid` for an elevation
    /// that is over or too long, and a session that is not open or that several agents have; `Unavailable` for a
    /// store that fails.
    pub fn elevate(&self, signed: &SignedElevation) -> Result<()> {
        self.check_usable()?;
        let now = self.now()?;
        self.check_elevation(signed, now.wall)?;
        let elevation = &signed.elevation;
        let open: Vec<_> = read(&self.sessions)
            .values()
            .filter(|open| {
                let grant = &open.signed.grant;
                (&grant.session, &grant.tenant) == (&elevation.session, &elevation.tenant)
                    && now.wall < grant.expires_at_ms
            })
            .cloned()
            .collect();
        let open = match open.as_slice() {
            [one] => one,
            [] => {
                return Err(KernelError::Invalid(
                    "no session of this name and tenant is open: open it first".to_owned(),
                ));
            }
            // Each agent chooses its names, and the person signed for one of them.
            _ => {
                return Err(KernelError::Invalid(
                    "several agents of the tenant have a session of this name open: open one of another name"
                        .to_owned(),
                ));
            }
        };
        let held = Held {
            elevation: elevation.clone(),
            key_id: signed.key_id.clone(),
            agent: open.signed.grant.agent.clone(),
        };
        let keys = self.keys();
        let owner = keys.get(&open.signed.key_id, Purpose::Agent).ok().map(Arc::as_ref);
        if owner.is_none() || !self.may_elevate(&held, owner, now.wall) {
            return Err(KernelError::Signature(
                "the key may not widen this session: revoked, or of whoever opened it".to_owned(),
            ));
        }
        let mut elevations = write(&self.elevations);
        let same = |one: &&Held| one.elevation.id == elevation.id;
        if elevations.iter().find(same).is_some_and(|one| one.agent != held.agent) {
            return Err(KernelError::Invalid(
                "the elevation widens a session of another agent: a person must sign a new one"
                    .to_owned(),
            ));
        }
        let bytes = signed.to_json()?;
        self.record_elevation(signed, &held, now.wall)?;
        self.store.add_elevation(&elevation.id, &held.agent, elevation.expires_at_ms, &bytes)?;
        elevations.retain(|one| {
            one.elevation.expires_at_ms > now.wall && one.elevation.id != elevation.id
        });
        elevations.push(held);
        Ok(())
    }

    /// A receipt of an elevation, before it widens anything.
    fn record_elevation(&self, signed: &SignedElevation, held: &Held, now_ms: i64) -> Result<()> {
        let elevation = &signed.elevation;
        let keys = self.keys();
        let approver = keys.get(&signed.key_id, Purpose::Approver).ok();
        let text = |tool: &String| Json::Str(tool.clone());
        let tools = Json::List(elevation.tools.iter().map(text).collect());
        self.record_event(&Fields {
            event: "elevation",
            request_id: &elevation.id,
            action_hash: digest(&signed.preimage()),
            tenant: &elevation.tenant,
            agent: &held.agent,
            session: Some(&elevation.session),
            decision: "elevated",
            reason: "elevated",
            approvers: &[approver.map_or("", |key| person(key))],
            elevation: Some(&elevation.id),
            decided_at: now_ms,
            expires_at: Some(elevation.expires_at_ms),
            details: &[("tools", tools)],
            ..Fields::default()
        })
    }

    /// Whether the key behind an elevation may still sign it, and is not of whoever asks.
    fn may_elevate(&self, held: &Held, requester: Option<&PublicKey>, now_ms: i64) -> bool {
        let Some(group) = &self.config.approval.elevation_group else { return false };
        let keys = self.keys();
        keys.get(&held.key_id, Purpose::Approver)
            .is_ok_and(|key| self.may_sign(key, group, &held.elevation.tenant, requester, now_ms))
    }

    fn check_elevation(&self, signed: &SignedElevation, now_ms: i64) -> Result<()> {
        let elevation = &signed.elevation;
        elevation.check()?;
        let Some(group) = &self.config.approval.elevation_group else {
            return Err(KernelError::Signature(
                "nobody may elevate: `approval.elevation_group` of kernel.toml names no group"
                    .to_owned(),
            ));
        };
        if signed.audience != self.config.audience {
            return Err(KernelError::Invalid("the elevation is for another kernel".to_owned()));
        }
        let keys = self.keys();
        let bad = |error: sift_ledger::keys::KeyError| KernelError::Signature(error.to_string());
        let key = keys.get(&signed.key_id, Purpose::Approver).map_err(bad)?;
        key.check_time(now_ms).map_err(bad)?;
        key.verify(&signed.preimage(), &signed.signature).map_err(bad)?;
        if !key.groups.contains(group)
            || key.tenant.as_ref().is_some_and(|tenant| *tenant != elevation.tenant)
        {
            return Err(KernelError::Signature(format!(
                "the key is not of the group `{group}`, or of another tenant"
            )));
        }
        if self.revocations.find(&elevation.tenant, "", None, Some(&signed.key_id)).is_some() {
            return Err(KernelError::Signature("the tenant or the key is revoked".to_owned()));
        }
        let longest = self.config.approval.elevation_seconds.saturating_mul(1_000);
        if elevation.expires_at_ms <= now_ms
            || elevation.expires_at_ms.saturating_sub(elevation.not_before_ms) > longest
        {
            return Err(KernelError::Invalid(
                "the elevation is over, or lasts longer than it may".to_owned(),
            ));
        }
        Ok(())
    }

    fn load_elevations(&self, now_ms: i64) -> Result<()> {
        let mut elevations = Vec::new();
        for (agent, bytes) in self.store.elevations(now_ms)? {
            // Verified again: a file that was changed adds nothing.
            if let Ok(signed) = SignedElevation::from_json(&bytes) {
                if self.check_elevation(&signed, now_ms).is_ok() {
                    let SignedElevation { elevation, key_id, .. } = signed;
                    elevations.push(Held { elevation, key_id, agent });
                }
            }
        }
        *write(&self.elevations) = elevations;
        Ok(())
    }

    fn elevation(
        &self,
        request: &ActionRequest,
        caller: &Caller,
        now_ms: i64,
    ) -> Option<Elevation> {
        let session = request.session.as_ref()?;
        read(&self.elevations)
            .iter()
            .find(|held| {
                let one = &held.elevation;
                one.session == *session
                    && one.tenant == request.tenant
                    && held.agent == request.agent
                    && one.not_before_ms <= now_ms
                    && now_ms < one.expires_at_ms
                    && one.tools.contains(&request.tool)
                    && self.may_elevate(held, caller.key.as_deref(), now_ms)
            })
            .map(|held| held.elevation.clone())
    }

    /// Asks people for an approval, or finds the one that is asked for already.
    fn ask(
        &self,
        request: &ActionRequest,
        caller: &Caller,
        rule: &sift_policy::ApprovalRule,
    ) -> std::result::Result<String, Refusal> {
        let now = caller.now.wall;
        let unavailable = |_| broken("store_unavailable");
        let mut waiting = lock(&self.waiting);
        let own = self.store.waiting(&request.tenant, &request.agent, now).map_err(unavailable)?;
        // An action that is asked for again waits for the same people. Each is known by a digest of its own.
        let same = |one: &&Waits| {
            one.rule == *rule.name && one.action == self.blind(&one.id, None, &caller.action)
        };
        if let Some(one) = own.iter().find(same) {
            return Ok(one.id.clone());
        }
        let bounds = &self.config.approval;
        if waiting.len() >= bounds.pending {
            self.expire(&mut waiting, now).map_err(unavailable)?;
        }
        if waiting.len() >= bounds.pending || own.len() >= bounds.pending_per_agent {
            return Err(refuse("approvals_full"));
        }
        let id = hex(&random::<16>().map_err(|_| broken("no_randomness"))?);
        let label = seal_label(&self.config.audience, &id);
        let opening = self.openings.opening(&id, None, &caller.action);
        let copy = Zeroizing::new([opening.as_slice(), &caller.canonical].concat());
        let keys = self.keys();
        let mut sealed = Vec::new();
        for key in keys.of(Purpose::Approver) {
            if self.may_approve(key, &rule.group, request, caller.key.as_deref(), now) {
                let bytes = seal::seal(&key.to_bytes(), &label, &copy)
                    .map_err(|_| broken("approval_not_sealed"))?;
                sealed.push(Sealed { approver: key.id.clone(), bytes });
            }
        }
        let approval = ApprovalRecord {
            id: id.clone(),
            action: receipt::blind_action(&opening, &caller.action).to_vec(),
            tenant: request.tenant.clone(),
            agent: request.agent.clone(),
            session: request.session.clone(),
            requester: caller.key.as_ref().map(|key| key.id.clone()).unwrap_or_default(),
            tool: request.tool.clone(),
            rule: rule.name.to_string(),
            m: rule.m,
            group: rule.group.to_string(),
            created_ms: now,
            expires_ms: now.saturating_add(bounds.seconds.saturating_mul(1_000)),
            state: ApprovalState::Pending,
            sealed,
            signatures: Vec::new(),
        };
        self.store.add_approval(&approval).map_err(unavailable)?;
        waiting.insert(id.clone());
        Ok(id)
    }

    /// Whether a key may sign for an action: of the group, of the tenant, valid, not revoked, and not of whoever
    /// asks.
    fn may_approve(
        &self,
        key: &PublicKey,
        group: &str,
        request: &ActionRequest,
        requester: Option<&PublicKey>,
        now_ms: i64,
    ) -> bool {
        self.may_sign(key, group, &request.tenant, requester, now_ms)
    }

    fn may_sign(
        &self,
        key: &PublicKey,
        group: &str,
        tenant: &str,
        requester: Option<&PublicKey>,
        now_ms: i64,
    ) -> bool {
        key.groups.iter().any(|one| one == group)
            && key.tenant.as_ref().is_none_or(|one| one == tenant)
            && key.check_time(now_ms).is_ok()
            && self.revocations.find(tenant, "", None, Some(&key.id)).is_none()
            && requester
                .is_none_or(|one| one.to_bytes() != key.to_bytes() && person(one) != person(key))
    }

    fn expire(
        &self,
        waiting: &mut HashSet<String>,
        now_ms: i64,
    ) -> std::result::Result<(), crate::error::StoreError> {
        for approval in self.store.approvals(ApprovalState::Pending)? {
            if approval.expires_ms <= now_ms {
                self.store.move_approval(
                    &approval.id,
                    ApprovalState::Pending,
                    ApprovalState::Expired,
                )?;
                waiting.remove(&approval.id);
            }
        }
        Ok(())
    }

    /// The people who approved exactly this action, if they are enough and still may.
    fn approved(
        &self,
        id: &str,
        request: &ActionRequest,
        caller: &Caller,
    ) -> std::result::Result<Approved, Refusal> {
        let record = self
            .store
            .approval(id)
            .map_err(|_| broken("store_unavailable"))?
            .ok_or_else(|| refuse("approval_unknown"))?;
        if record.action != self.blind(&record.id, None, &caller.action)
            || record.tenant != request.tenant
            || record.agent != request.agent
        {
            return Err(refuse("approval_of_another_action"));
        }
        if caller.now.wall >= record.expires_ms {
            return Err(refuse("approval_expired"));
        }
        match record.state {
            ApprovalState::Approved => {}
            ApprovalState::Pending => return Err(refuse("approval_pending")),
            ApprovalState::Rejected => return Err(refuse("approval_rejected")),
            ApprovalState::Expired => return Err(refuse("approval_expired")),
            ApprovalState::Consumed => return Err(refuse("approval_used")),
        }
        // Verified again with the keys of now: one that was revoked since does not count, and neither does one
        // that somebody wrote into the file.
        let keys = self.keys();
        let mut by: Vec<Approver> = Vec::new();
        for signed in &record.signatures {
            let Ok(key) = keys.get(&signed.approver, Purpose::Approver) else { continue };
            let bytes = record.preimage(&self.config.audience, &record.action, signed.verdict);
            if signed.verdict != Verdict::Approve
                || !self.may_approve(
                    key,
                    &record.group,
                    request,
                    caller.key.as_deref(),
                    caller.now.wall,
                )
                || key.verify(&bytes, &signed.signature).is_err()
                || by.iter().any(|one| one.name == person(key))
            {
                continue;
            }
            by.push(Approver { name: person(key).to_owned(), groups: key.groups.clone() });
        }
        if by.len() < record.m as usize {
            return Err(refuse("approval_not_enough"));
        }
        Ok(Approved { id: record.id, by })
    }

    /// Approvals that wait, the oldest first.
    ///
    /// Errors: `Unavailable` for a store that fails.
    pub fn pending(&self) -> Result<Vec<ApprovalRecord>> {
        self.check_usable()?;
        let now = self.now()?.wall;
        let mut pending = self.store.approvals(ApprovalState::Pending)?;
        pending.retain(|one| now < one.expires_ms);
        Ok(pending)
    }

    /// One approval, wherever it stands.
    ///
    /// Errors: `Unavailable` for a store that fails.
    pub fn approval(&self, id: &str) -> Result<Option<ApprovalRecord>> {
        self.check_usable()?;
        Ok(self.store.approval(id)?)
    }

    /// Takes what an approver says.
    ///
    /// Args: the approval; the id of the approver's key; what is said; the signature over
    /// [`ApprovalRecord::preimage`].
    ///
    /// Returns where the approval stands now.
    ///
    /// Errors: `Invalid` for an approval that is not known or not pending, `Signature` for a key that may not
    /// sign this or has, and a signature that does not verify; `Unavailable` for a store that fails.
    pub fn sign_approval(
        &self,
        id: &str,
        key_id: &str,
        verdict: Verdict,
        signature: &[u8],
    ) -> Result<ApprovalState> {
        self.check_usable()?;
        let now = self.now()?.wall;
        // One at a time: how many have signed is counted before it is written.
        let mut waiting = lock(&self.waiting);
        let gone = || {
            KernelError::Invalid("the approval is not known, or does not wait any more".to_owned())
        };
        let record = self.store.approval(id)?.ok_or_else(gone)?;
        if record.state != ApprovalState::Pending {
            return Err(gone());
        }
        if now >= record.expires_ms {
            self.store.move_approval(id, ApprovalState::Pending, ApprovalState::Expired)?;
            return Err(KernelError::Invalid("the approval has expired".to_owned()));
        }
        let keys = self.keys();
        let bad = |error: sift_ledger::keys::KeyError| KernelError::Signature(error.to_string());
        let key = keys.get(key_id, Purpose::Approver).map_err(bad)?;
        // Without a key it was this process that asked (`trust_process`), which is nobody in particular.
        let requester = match record.requester.as_str() {
            "" => None,
            id => Some(keys.get(id, Purpose::Agent).map(Arc::as_ref).map_err(|_| {
                KernelError::Signature(
                    "the key that asked is not known any more, so nobody can tell whose it was: let the action be \
                     asked for again"
                        .to_owned(),
                )
            })?),
        };
        if !self.may_sign(key, &record.group, &record.tenant, requester, now) {
            return Err(KernelError::Signature(
                "the key may not sign this: wrong group or tenant, not valid, revoked, or of whoever asks".to_owned(),
            ));
        }
        key.verify(&record.preimage(&self.config.audience, &record.action, verdict), signature)
            .map_err(bad)?;
        if record.signatures.iter().any(|one| one.name == person(key)) {
            return Err(KernelError::Signature("this person has signed already".to_owned()));
        }
        let then = match verdict {
            Verdict::Reject => ApprovalState::Rejected,
            Verdict::Approve if record.signatures.len() + 1 >= record.m as usize => {
                ApprovalState::Approved
            }
            Verdict::Approve => ApprovalState::Pending,
        };
        let signed = Signed {
            approver: key.id.clone(),
            name: person(key).to_owned(),
            verdict,
            at_ms: now,
            signature: signature.to_vec(),
        };
        // First the receipt: a signature that counts and that nobody can prove must not be.
        self.record_approval(&record, &signed, then)?;
        if !self.store.sign_approval(id, &signed, then)? {
            return Err(gone());
        }
        if then != ApprovalState::Pending {
            waiting.remove(id);
        }
        Ok(then)
    }

    /// A receipt of what an approver said.
    fn record_approval(
        &self,
        record: &ApprovalRecord,
        signed: &Signed,
        then: ApprovalState,
    ) -> Result<()> {
        let policy = self.policy();
        let action = record.action.as_slice().try_into().map_err(|_| {
            KernelError::Unavailable(
                "the approval in the store has no digest of an action".to_owned(),
            )
        })?;
        self.record_event(&Fields {
            event: "approval",
            request_id: &record.id,
            action_hash: action,
            tenant: &record.tenant,
            agent: &record.agent,
            tool: &record.tool,
            session: record.session.as_deref(),
            decision: then.word(),
            reason: signed.verdict.word(),
            rule_ids: &[&record.rule],
            policy_hash: Some(*policy.hash()),
            approval: Some(&record.id),
            approvers: &[&signed.name],
            decided_at: signed.at_ms,
            expires_at: Some(record.expires_ms),
            ..Fields::default()
        })
    }

    /// The books, for reports.
    pub fn ledgers(&self) -> &Ledgers {
        &self.ledgers
    }

    /// Stops: the ledger is written out, budgets give back what was drawn and not used, the time is noted.
    /// Again: nothing.
    ///
    /// Errors: `Unavailable` when something could not be written. The kernel is closed all the same, and the
    /// next one takes it for crashed.
    pub fn close(&self) -> Result<()> {
        if std::process::id() != self.process || self.closed.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        let written = self.write_out();
        // Whoever still has an answer of this kernel keeps nobody out of its folder.
        drop(lock(&self.hold).take());
        written
    }

    fn write_out(&self) -> Result<()> {
        self.journal.close().map_err(not_recorded)?;
        self.ledgers.close()?;
        let now = Now { wall: self.clock.wall_ms(), steady: self.clock.steady_ms() };
        self.store.finish(&self.noted(now), self.issued_ms.load(Ordering::SeqCst))?;
        Ok(())
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        if std::process::id() != self.process {
            // A forked child has neither the log's threads, which closing waits for, nor a right to close what
            // the parent works with: SQLite would let go of the parent's locks. Both are left to the exit.
            std::mem::forget(Arc::clone(&self.journal));
            std::mem::forget(Arc::clone(&self.store));
            return;
        }
        // Without a chance to report; what is not written counts as a crash.
        let _ = self.close();
    }
}

/// What is found out on the way and stands in the receipt.
#[derive(Default)]
struct Case {
    request_id: String,
    message: Option<String>,
    shadow: Vec<String>,
    taint: Vec<String>,
    approvers: Vec<String>,
    elevation: Option<String>,
    charges: Vec<Charge>,
    risk: Option<&'static str>,
}

/// The receipt key. What it signs may be signed by another thread, so that no answer waits for it.
#[derive(Clone)]
struct Signer {
    key_id: Arc<str>,
    key: Arc<PrivateKey>,
}

impl Signer {
    fn sign(&self, statement: &[u8]) -> Vec<u8> {
        dsse::seal(receipt::PAYLOAD_TYPE, statement, Some((&self.key_id, &self.key)))
    }

    /// A receipt that is signed by who waits for it, or by the thread that commits it.
    fn later(&self, statement: Vec<u8>) -> Entry {
        let length = dsse::sealed_length(receipt::PAYLOAD_TYPE, &statement, &self.key_id);
        let signer = self.clone();
        Entry::later(length, move || signer.sign(&statement))
    }
}

/// A receipt in the ledger's queue.
struct Queued {
    receipt: Entry,
    /// Where the log alone signs the receipt.
    statement: Option<Vec<u8>>,
    /// Tells when it is durable.
    pending: Arc<dyn Pending>,
}

struct Granted {
    reason: String,
    rules: Vec<String>,
    lease: Option<String>,
    approval: Option<String>,
}

struct Approved {
    id: String,
    by: Vec<Approver>,
}

fn budget_refusal(refused: Refused) -> Refusal {
    let with = |reason: &str, rule: String| Refusal { rules: vec![rule], ..refuse(reason) };
    match refused {
        Refused::Exceeded(limit) => with("budget_exceeded", format!("limit:{limit}")),
        Refused::Barred(limit) => with("budget_overrun", format!("limit:{limit}")),
        Refused::Rate(rate) => with("rate_exceeded", format!("rate:{rate}")),
        Refused::Uncapped(budget) => with("budget_undeclared", format!("budget:{budget}")),
        Refused::Scope(limit) => with("budget_scope_missing", format!("limit:{limit}")),
        Refused::Full => broken("books_full"),
        Refused::Store(_) => broken("store_unavailable"),
    }
}

fn charge(charge: &Charge) -> receipt::Charge<'_> {
    receipt::Charge { budget: &charge.budget, unit: &charge.unit, amount: charge.amount }
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn not_recorded(error: JournalError) -> KernelError {
    KernelError::Unavailable(error.to_string())
}

/// Forgets what is over in the store.
fn tidy(store: &dyn Store, wall_ms: i64) -> std::result::Result<(), StoreError> {
    store.forget_approvals(wall_ms.saturating_sub(KEPT))?;
    store.forget_undos(wall_ms)
}
