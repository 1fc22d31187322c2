//! The kernel: authenticate, evaluate, reserve, decide, record. In this order, and nowhere else.
//!
//! Here is what it is made of, how it is opened and how it stops. What it does with one action stands in the order in
//! which it does it: who asks (`admit`), what is decided (`decide`), the receipt (`record`), the permit (`release`), how
//! the action ended (`end`, `undo`). Beside that way are sessions, elevations, approvals and revocations.

mod admit;
mod answer;
mod approve;
mod decide;
mod elevate;
mod end;
mod record;
mod release;
mod revoke;
mod session;
mod undo;

use std::collections::{HashMap, HashSet};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use sift_ledger::keys::{Keyring, PrivateKey};
use sift_ledger::log::LogConfig;
use sift_policy::json::{JsonLimits, Value};
use sift_policy::{ArgumentFinding, Policy, Taint};

pub use self::answer::{Authorization, Decision, Durable, Status};
use self::elevate::Held;
use self::record::{not_recorded, Signer};
use self::session::OpenSession;
use crate::approval::ApprovalState;
use crate::budget::{Books, Bounds, Budgets};
use crate::clock::{Clock, ClockGuard, Now, SystemClock};
use crate::config::{check_places, Config};
use crate::decisions::Decisions;
use crate::error::{file, KernelError, Result, StoreError};
use crate::ledger::{DiskLedger, Ledger};
use crate::nonce::{longest, Nonces};
use crate::observed::Observed;
use crate::opening::Openings;
use crate::own::{OwnKeys, Validity};
use crate::process::Hold;
use crate::request::{is_name, ActionRequest, Credential};
use crate::revocation::Revocations;
use crate::seeds::Seeds;
use crate::start::{
    accept_after, check_charges, check_keys, check_ledger, check_store, CLOCK_INTERVAL,
};
use crate::store::{Noted, SqliteStore, Store};
use crate::sync::{lock, read, write};

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
    pub ledger: Arc<dyn Ledger>,
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
    /// From when to when the receipt key and the log's may sign.
    validity: Validity,
    policy: RwLock<Arc<Policy>>,
    signer: Signer,
    openings: Openings,
    store: Arc<dyn Store>,
    ledger: Arc<dyn Ledger>,
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
    observed: Observed,
    /// Held while something is revoked or reinstated.
    switch: Mutex<()>,
    /// By [`session_key`].
    sessions: RwLock<HashMap<String, Arc<OpenSession>>>,
    elevations: RwLock<Vec<Held>>,
    books: Books,
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

/// How long what was decided is kept in the store, milliseconds: approvals that are over, undos that nobody ran,
/// conversations into which nothing came any more.
const KEPT: i64 = 30 * 86_400_000;

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
        let retiring = config.retiring_log_key.as_deref().map(PrivateKey::read).transpose();
        let retiring = retiring.map_err(config_error)?;
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&config.state)
            .map_err(|error| file(&config.state, "make", &error))?;
        let hold = Hold::take(&config.state)?;
        let path = config.state.join("kernel.sqlite");
        let store = SqliteStore::open(&path, &log_key, retiring.as_ref())?;
        let mut log = LogConfig::new(&config.origin, log_key);
        log.retiring = retiring;
        log.keys = keys.clone();
        log.interval = Duration::from_micros(config.log.interval_us);
        let ledger = DiskLedger::open(&config.state.join("ledger"), log)?;
        let kernel = Self::from_parts(Parts {
            config,
            keys,
            budgets,
            policy,
            receipt_key,
            store: Arc::new(store),
            ledger: Arc::new(ledger),
            clock: Arc::new(SystemClock),
            scanner,
            taint,
        })?;
        *lock(&kernel.hold) = Some(hold);
        Ok(kernel)
    }

    /// Makes a kernel from its parts.
    ///
    /// Errors: `Config` for charges that no limit caps, an agent's key without tenant, agent or role, a receipt or log
    /// key that is not in the ring or may not sign now by what the ring says; `Unavailable` for a store that fails or a clock that went back.
    pub fn from_parts(parts: Parts) -> Result<Self> {
        let Parts {
            config,
            keys,
            budgets,
            policy,
            receipt_key,
            store,
            ledger,
            clock,
            scanner,
            taint,
        } = parts;
        check_keys(&keys)?;
        check_charges(&policy, &budgets)?;
        let (wall, steady) = (clock.wall_ms(), clock.steady_ms());
        let now = Now { wall, steady };
        let skew = config.request.skew_ms;
        // Looked at before anything is changed: who starts again without mending it must meet it again.
        let before = store.before()?;
        let tree_size = ledger.size();
        check_ledger(&before, tree_size.as_ref().map(|size| size.load(Ordering::SeqCst)))?;
        check_store(ledger.as_ref(), store.mark())?;
        let own = OwnKeys::of(&keys, &config, &receipt_key, ledger.as_ref())?;
        own.check(wall, tree_size.as_ref().map_or(0, |size| size.load(Ordering::SeqCst)))?;
        ledger.limit(own.most());
        let validity = Validity::of(&own);
        let accept_after_ms = accept_after(&before, clock.as_ref(), skew)?;
        if let Some(size) = &tree_size {
            store.follow(Arc::clone(size));
        }
        store.begin()?;
        let tree_size = tree_size.map_or(0, |size| size.load(Ordering::SeqCst));
        store.note(&Noted { wall_ms: wall, steady_ms: steady, boot: clock.boot(), tree_size })?;
        tidy(store.as_ref(), wall)?;
        let revocations = Revocations::new(store.revoked()?);
        let observed = Observed::load(store.as_ref(), KEPT / 2)?;
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
            observed,
            switch: Mutex::default(),
            sessions: RwLock::default(),
            elevations: RwLock::default(),
            books: Books::new(budgets, Arc::clone(&store), bounds, now)?,
            waiting: Mutex::new(waiting),
            seeds: Mutex::new(seeds),
            keys: RwLock::new(Arc::new(keys)),
            validity,
            policy: RwLock::new(Arc::new(policy)),
            openings: Openings::new(&receipt_key)?,
            signer: Signer {
                key_id: config.receipt_key_id.as_str().into(),
                key: Arc::new(receipt_key),
            },
            store,
            ledger,
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
        check_charges(&policy, self.books.budgets())?;
        *write(&self.policy) = Arc::new(policy);
        Ok(())
    }

    /// Puts another policy and other keys in force, for the next request: both, or neither.
    ///
    /// Errors: as for [`Self::set_policy`] and [`Self::set_keys`].
    pub fn reload(&self, policy: Policy, keys: Keyring) -> Result<()> {
        self.check_usable()?;
        self.check_ring(&keys)?;
        check_charges(&policy, self.books.budgets())?;
        self.put_keys(keys);
        *write(&self.policy) = Arc::new(policy);
        Ok(())
    }

    /// Puts other keys in force, for the next request.
    ///
    /// Errors: as at the start; the old keys stay, but what the new ones say of the kernel's own counts: one that may
    /// not sign any more denies everything.
    pub fn set_keys(&self, keys: Keyring) -> Result<()> {
        self.check_usable()?;
        self.check_ring(&keys)?;
        self.put_keys(keys);
        Ok(())
    }

    /// Errors: as at the start. What is said of the kernel's own keys counts all the same, and at once: a reload that
    /// revokes them is an error, and from then on everything is denied.
    fn check_ring(&self, keys: &Keyring) -> Result<()> {
        check_keys(keys)?;
        let own = OwnKeys::of(keys, &self.config, &self.signer.key, self.ledger.as_ref())?;
        self.validity.set(&own);
        self.ledger.limit(own.most());
        let size = self.ledger.size().map_or(0, |size| size.load(Ordering::SeqCst));
        own.check(self.clock.wall_ms(), size)
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

    /// Notes that something came into a conversation: for the next start, which does not know what. Whoever brings a
    /// [`TaintSource`] calls it once what came in is known there.
    ///
    /// Errors: `Unavailable` when it cannot be made durable.
    pub fn note_observed(&self, tenant: &str, conversation: &str) -> Result<()> {
        self.check_usable()?;
        // What no request can name is not asked for.
        if !is_name(tenant) || !is_name(conversation) {
            return Ok(());
        }
        let now = self.clock.wall_ms();
        Ok(self.observed.note(self.store.as_ref(), tenant, conversation, now)?)
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
        let _ = self.books.forget_windows(now);
    }

    fn noted(&self, now: Now) -> Noted {
        Noted {
            wall_ms: now.wall,
            steady_ms: now.steady,
            boot: self.clock.boot(),
            tree_size: self.ledger.size().map_or(0, |size| size.load(Ordering::SeqCst)),
        }
    }

    /// The books, for reports.
    pub fn books(&self) -> &Books {
        &self.books
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
        self.ledger.close().map_err(not_recorded)?;
        self.books.close()?;
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
            std::mem::forget(Arc::clone(&self.ledger));
            std::mem::forget(Arc::clone(&self.store));
            return;
        }
        // Without a chance to report; what is not written counts as a crash.
        let _ = self.close();
    }
}

/// Forgets what is over in the store.
fn tidy(store: &dyn Store, wall_ms: i64) -> std::result::Result<(), StoreError> {
    store.forget_approvals(wall_ms.saturating_sub(KEPT))?;
    store.forget_observed(wall_ms.saturating_sub(KEPT))?;
    store.forget_undos(wall_ms)
}
