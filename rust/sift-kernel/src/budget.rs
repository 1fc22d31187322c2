//! Budgets, rates and leases: reserve all or nothing, settle once, never exceed a cap.
//!
//! A *limit* caps what one budget may spend, in one unit, for one scope (the tenant, the agent, ...) in one
//! window of time. An action that charges a budget is charged to every limit of that budget, so limits of
//! several scopes form a hierarchy. Amounts are integers in the unit's smallest part: micro-dollars, tokens,
//! calls.
//!
//! INVARIANT, for each account: `reserved + settled <= drawn <= cap`, reported overruns excepted. `drawn` is
//! durable and the rest is memory: a crash forgets what of `drawn` was not used, and so loses headroom, never
//! grants it twice.
//!
//! What an action cost is its caller's word, and a limit may be shared. So an action is charged what it says, up to
//! `overrun` times its reservation, and whoever says more gets nothing more out of that limit until its window ends:
//! one settlement neither empties what others share, nor is it a way to spend past a cap again and again.
//!
//! No charge is above 2^53 - 1, the largest integer that a receipt can say, and no account goes beyond what its
//! column holds: one that is full stays full.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde::Deserialize;
use sift_ledger::hex;
use sift_ledger::jcs::MAX_INTEGER;

use crate::clock::Now;
use crate::config::Window;
use crate::error::{file, KernelError, Result, StoreError};
use crate::names::Names;
use crate::store::{AccountKey, Store};
use crate::sync::lock;
use crate::wire::random;

/// Whose spending a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Everybody's together.
    Global,
    /// Each tenant's.
    Tenant,
    /// Each role's of each tenant.
    Role,
    /// Each agent's of each tenant.
    Agent,
    /// Each session's of each agent of each tenant.
    Session,
    /// Each conversation's of each tenant.
    Conversation,
    /// Each tool's of each tenant.
    Tool,
}

impl Scope {
    fn word(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::Tenant => "tenant",
            Self::Role => "role",
            Self::Agent => "agent",
            Self::Session => "session",
            Self::Conversation => "conversation",
            Self::Tool => "tool",
        }
    }
}

/// Who acts, for the choice of accounts. Names hold no `/`, except a tool's, which is written last.
#[derive(Clone, Copy, Debug)]
pub struct Who<'a> {
    /// The tenant.
    pub tenant: &'a str,
    /// The role it acts in.
    pub role: &'a str,
    /// The agent.
    pub agent: &'a str,
    /// The session, if there is one.
    pub session: Option<&'a str>,
    /// The conversation, if there is one.
    pub conversation: Option<&'a str>,
    /// The tool that is called.
    pub tool: &'a str,
    /// Name of the request.
    pub request_id: &'a str,
    /// Digest of the action.
    pub action: [u8; 32],
    /// The user behind a socket who asks; nobody in particular in this process.
    pub peer: Option<u32>,
}

/// Whose lease it is, for the receipt of its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct About {
    names: Names<7>,
    pub(crate) action: [u8; 32],
}

impl About {
    pub(crate) fn tenant(&self) -> &str {
        self.names.get(0).unwrap_or_default()
    }

    pub(crate) fn role(&self) -> &str {
        self.names.get(1).unwrap_or_default()
    }

    pub(crate) fn agent(&self) -> &str {
        self.names.get(2).unwrap_or_default()
    }

    pub(crate) fn tool(&self) -> &str {
        self.names.get(3).unwrap_or_default()
    }

    pub(crate) fn request_id(&self) -> &str {
        self.names.get(4).unwrap_or_default()
    }

    pub(crate) fn session(&self) -> Option<&str> {
        self.names.get(5)
    }

    pub(crate) fn conversation(&self) -> Option<&str> {
        self.names.get(6)
    }
}

impl Who<'_> {
    fn about(&self) -> About {
        let Who { tenant, role, agent, tool, request_id, session, conversation, .. } = *self;
        let always = [tenant, role, agent, tool, request_id].map(Some);
        let [tenant, role, agent, tool, request_id] = always;
        let names = Names::new([tenant, role, agent, tool, request_id, session, conversation]);
        About { names, action: self.action }
    }

    /// The account's name under a scope; nothing when the action has no such thing.
    fn account(&self, scope: Scope) -> Option<Arc<str>> {
        let tenant = self.tenant;
        Some(match scope {
            Scope::Global => Arc::default(),
            Scope::Tenant => tenant.into(),
            Scope::Role => [tenant, "/", self.role].concat().into(),
            Scope::Agent => [tenant, "/", self.agent].concat().into(),
            Scope::Session => [tenant, "/", self.agent, "/", self.session?].concat().into(),
            Scope::Conversation => [tenant, "/", self.conversation?].concat().into(),
            Scope::Tool => [tenant, "/", self.tool].concat().into(),
        })
    }
}

/// Which actions a limit or a rate is about; what is not named is any.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Only {
    tenant: Option<String>,
    role: Option<String>,
    agent: Option<String>,
    tool: Option<String>,
}

impl Only {
    fn holds(&self, who: &Who<'_>) -> bool {
        let fits =
            |wanted: &Option<String>, is: &str| wanted.as_ref().is_none_or(|name| name == is);
        fits(&self.tenant, who.tenant)
            && fits(&self.role, who.role)
            && fits(&self.agent, who.agent)
            && fits(&self.tool, who.tool)
    }
}

/// One `[[limit]]` of `budgets.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// The name that tools charge.
    pub budget: String,
    /// The unit that is counted: `usd_micros`, `tokens`, `calls`.
    pub unit: String,
    /// Whose spending is counted.
    pub scope: Scope,
    /// How long the cap holds, until it begins anew; windows begin at multiples since 1970, in UTC.
    pub window: Window,
    /// The most that may be spent in a window.
    pub cap: i64,
    /// How much is drawn from the store at once. What a crash can lose, for each account. A 64th of the cap
    /// unless said otherwise.
    #[serde(default)]
    pub block: Option<i64>,
    /// How many times its reservation an action is charged at most. An agent that says more gets nothing more out of
    /// this limit until the window ends. 2 unless said otherwise.
    #[serde(default = "twice")]
    pub overrun: i64,
    /// Which actions are counted.
    #[serde(default)]
    pub only: Only,
}

impl Limit {
    /// What the store knows it by.
    fn key(&self) -> String {
        format!("{}/{}/{}/{}", self.budget, self.unit, self.scope.word(), self.window)
    }

    fn block(&self) -> i64 {
        self.block.unwrap_or(self.cap / 64).max(1)
    }
}

/// One `[[rate]]` of `budgets.toml`: at most `limit` actions in `per`, `burst` of them at once.
///
/// By the generic cell rate algorithm (ITU-T I.371, annex A): one number for each key, and no window edge at
/// which twice the rate passes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// What it is called in a denial.
    pub name: String,
    /// Whose actions are counted.
    pub scope: Scope,
    /// How many actions.
    pub limit: i64,
    /// In which time.
    pub per: Window,
    /// How many at once; 1 unless said otherwise.
    #[serde(default = "one")]
    pub burst: i64,
    /// Which actions are counted.
    #[serde(default)]
    pub only: Only,
}

fn one() -> i64 {
    1
}

fn twice() -> i64 {
    2
}

impl Rate {
    /// Microseconds from one action to the next.
    fn interval_us(&self) -> i64 {
        (self.per.ms().unwrap_or(0).saturating_mul(1_000) / self.limit.max(1)).max(1)
    }
}

/// `budgets.toml`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budgets {
    /// Caps.
    #[serde(default)]
    pub limit: Vec<Limit>,
    /// Rates.
    #[serde(default)]
    pub rate: Vec<Rate>,
}

impl Budgets {
    /// Reads `budgets.toml`.
    ///
    /// Errors: no TOML, an unknown key, a cap, block, limit or burst below one, an endless rate, two limits
    /// or rates that cannot be told apart.
    pub fn from_text(text: &str) -> Result<Self> {
        let budgets: Self = toml::from_str(text).map_err(|error| {
            KernelError::Config(format!("budgets.toml: {}", error.to_string().trim_end()))
        })?;
        let wrong = |message: String| Err(KernelError::Config(format!("budgets.toml: {message}")));
        for (number, limit) in budgets.limit.iter().enumerate() {
            if limit.cap < 0 || limit.block.is_some_and(|block| block < 1) {
                return wrong(format!(
                    "limit `{}`: `cap` and `block` must be positive",
                    limit.key()
                ));
            }
            if limit.overrun < 1 {
                return wrong(format!(
                    "limit `{}`: `overrun` must be 1 or more: an action costs what it reserved at least",
                    limit.key()
                ));
            }
            let same = |other: &&Limit| other.key() == limit.key();
            if budgets
                .limit
                .iter()
                .skip(number + 1)
                .any(|other| same(&other) && other.only == limit.only)
            {
                return wrong(format!("limit `{}` is there twice", limit.key()));
            }
        }
        for (number, rate) in budgets.rate.iter().enumerate() {
            if rate.limit < 1 || rate.burst < 1 || rate.per.ms().is_none() {
                return wrong(format!(
                    "rate `{}`: `limit` and `burst` must be positive and `per` a time",
                    rate.name
                ));
            }
            if budgets.rate.iter().skip(number + 1).any(|other| other.name == rate.name) {
                return wrong(format!("rate `{}` is there twice", rate.name));
            }
        }
        Ok(budgets)
    }

    /// Reads `budgets.toml` in a folder; a folder without one has no budgets.
    ///
    /// Errors: as above, and a file that cannot be read.
    pub fn load(folder: &Path) -> Result<Self> {
        let path = folder.join("budgets.toml");
        match std::fs::read_to_string(&path) {
            Ok(text) => Self::from_text(&text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(file(&path, "read", &error)),
        }
    }

    /// Whether some limit caps a budget in a unit: what no limit caps must not be charged.
    pub fn caps(&self, budget: &str, unit: &str) -> bool {
        self.limit.iter().any(|limit| limit.budget == budget && limit.unit == unit)
    }
}

/// What an action costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    /// The budget.
    pub budget: Arc<str>,
    /// The unit.
    pub unit: Arc<str>,
    /// How much, not negative.
    pub amount: i64,
}

/// How a lease ended, or that it has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseState {
    /// The action may be running.
    Reserved,
    /// It was charged what it cost.
    Settled,
    /// It did not happen; nothing was charged.
    Cancelled,
    /// Nobody said in time what became of it; everything was charged.
    Expired,
    /// It was broken off, so what became of it is not known; everything was charged.
    Unknown,
}

impl LeaseState {
    /// As it is shown.
    pub fn word(self) -> &'static str {
        match self {
            Self::Reserved => "reserved",
            Self::Settled => "settled",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
            Self::Unknown => "unknown",
        }
    }
}

/// How a lease ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The state it is in now.
    pub state: LeaseState,
    /// What it cost: what was charged, but where `barred` says that this was less.
    pub charged: Vec<Charge>,
    /// It cost more than was reserved.
    pub overrun: bool,
    /// It cost more than a limit charges: its agent gets nothing more out of that one.
    pub barred: bool,
}

/// What becomes of an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It happened and cost this much, by unit; a unit that is not named cost what was reserved.
    Settle(BTreeMap<String, i64>),
    /// It did not happen; once its permit was handed out, that is not believed and it counts as broken off.
    Cancel,
    /// It was broken off.
    Abandon,
    /// Nobody said in time.
    Expire,
}

/// Why nothing was reserved.
#[derive(Debug)]
pub enum Refused {
    /// A cap would be exceeded: which limit.
    Exceeded(String),
    /// The agent said of an action that it cost more than a limit charges: which limit.
    Barred(String),
    /// Too many in this time: which rate.
    Rate(String),
    /// No limit caps what would be charged.
    Uncapped(String),
    /// A limit counts by something that the action does not have.
    Scope(String),
    /// As many accounts or leases as may be.
    Full,
    /// The store failed.
    Store(StoreError),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Place {
    limit: usize,
    scope: Arc<str>,
    window_ms: i64,
    what: Kept,
}

/// What is kept under a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kept {
    /// An account.
    Account,
    /// What an agent said beyond what is charged; the scope is `tenant/agent`.
    Beyond,
}

#[derive(Debug, Default)]
struct Account {
    /// Taken from the store by this process.
    drawn: i64,
    reserved: i64,
    settled: i64,
    /// The store has no more to give.
    exhausted: bool,
}

impl Account {
    fn free(&self) -> i64 {
        self.drawn.saturating_sub(self.reserved).saturating_sub(self.settled)
    }
}

#[derive(Debug)]
struct Lease {
    /// Hash of the agent that holds it.
    holder: u64,
    /// Charges, each with the accounts that hold it.
    items: Vec<(Charge, Vec<Place>)>,
    /// The permit left the kernel, so that the action may happen whatever is said of it.
    handed_out: bool,
    /// Who asked for it, behind a socket: nobody else there ends it.
    peer: Option<u32>,
    /// Until its end is in the ledger.
    about: Option<Box<About>>,
    ended: Option<(Ending, Outcome)>,
}

/// What a lease is known by: the number that its id writes.
type LeaseKey = u128;

/// Nothing for what is no id.
fn lease_key(id: &str) -> Option<LeaseKey> {
    let plain = |digit: u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
    let digits = 2 * size_of::<LeaseKey>();
    let written = id.len() == digits && id.bytes().all(plain);
    written.then(|| LeaseKey::from_str_radix(id, 16).ok()).flatten()
}

/// Number of the rate, and whose actions it counts.
type RateKey = (usize, Arc<str>);

#[derive(Debug, Default)]
struct Pages {
    accounts: HashMap<Place, Account>,
    rates: HashMap<RateKey, i64>,
    leases: HashMap<LeaseKey, Lease>,
    expiry: BinaryHeap<Reverse<(i64, LeaseKey)>>,
    ended: VecDeque<(i64, LeaseKey)>,
    /// Agents that get nothing more out of a limit.
    barred: HashSet<Place>,
    /// Overruns that the store could not be told yet.
    owed: HashMap<Place, i64>,
    open: usize,
    /// How many of them each agent holds.
    holders: HashMap<u64, usize>,
}

/// Bounds on what is held.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Most accounts, rates and open leases, each.
    pub entries: usize,
    /// How long an action may take, milliseconds.
    pub lease_ms: i64,
    /// How long an ended lease is remembered, milliseconds.
    pub memory_ms: i64,
}

/// The books of one kernel.
pub struct Books {
    budgets: Budgets,
    keys: Vec<String>,
    store: Arc<dyn Store>,
    bounds: Bounds,
    start_us: i64,
    hasher: RandomState,
    pages: Mutex<Pages>,
    /// Held while overruns are written, so that nobody takes one that is under way for durable.
    paying: Mutex<()>,
}

impl Books {
    /// Args: what is capped; where it is durable; bounds; the time at the start, since a rate begins without
    /// its burst: how much of it was used before a restart is not known.
    pub(crate) fn new(
        budgets: Budgets,
        store: Arc<dyn Store>,
        bounds: Bounds,
        now: Now,
    ) -> Result<Self> {
        let keys: Vec<String> = budgets
            .limit
            .iter()
            .map(|limit| {
                let only = &limit.only;
                // Two limits that differ in what they are about must not share an account.
                let about: Vec<&str> = [&only.tenant, &only.role, &only.agent, &only.tool]
                    .iter()
                    .map(|name| name.as_deref().unwrap_or("*"))
                    .collect();
                format!("{}/{}", limit.key(), about.join("/"))
            })
            .collect();
        let books = Self {
            budgets,
            keys,
            store,
            bounds,
            start_us: now.steady.saturating_mul(1_000),
            hasher: RandomState::new(),
            pages: Mutex::default(),
            paying: Mutex::default(),
        };
        books.forget_windows(now)?;
        books.load_barred()?;
        Ok(books)
    }

    fn load_barred(&self) -> std::result::Result<(), StoreError> {
        let mut pages = lock(&self.pages);
        for (number, key) in self.keys.iter().enumerate() {
            for account in self.store.accounts(&beyond(key))? {
                pages.barred.insert(Place {
                    limit: number,
                    scope: account.scope.into(),
                    window_ms: account.window_ms,
                    what: Kept::Beyond,
                });
            }
        }
        Ok(())
    }

    /// Takes windows that are over out of the store, but for the last one of each limit.
    pub(crate) fn forget_windows(&self, now: Now) -> std::result::Result<(), StoreError> {
        for (number, (limit, key)) in self.budgets.limit.iter().zip(&self.keys).enumerate() {
            if let Some(window) = limit.window.ms() {
                let before = now.wall - now.wall.rem_euclid(window) - window;
                self.store.forget_windows(key, before)?;
                self.store.forget_windows(&beyond(key), before)?;
                let over = |place: &Place| place.limit == number && place.window_ms < before;
                lock(&self.pages).barred.retain(|place| !over(place));
            }
        }
        Ok(())
    }

    /// Lets an agent at the limits again that it was barred from.
    ///
    /// Args: the tenant, empty for all; the agent.
    pub(crate) fn forgive(&self, tenant: &str, agent: &str) -> std::result::Result<(), StoreError> {
        let is = |place: &&Place| {
            place
                .scope
                .split_once('/')
                .is_some_and(|(one, name)| name == agent && (tenant.is_empty() || one == tenant))
        };
        let barred: Vec<Place> = lock(&self.pages).barred.iter().filter(is).cloned().collect();
        if barred.is_empty() {
            return Ok(());
        }
        // What is owed would be written after it was forgiven.
        self.pay()?;
        let mut said = Vec::with_capacity(barred.len());
        for place in &barred {
            let key = self.store_key(place);
            let amount = self.store.drawn(&key)?;
            said.push((key, amount));
        }
        self.store.give_back(&said)?;
        let mut pages = lock(&self.pages);
        for place in &barred {
            pages.barred.remove(place);
        }
        Ok(())
    }

    pub(crate) fn budgets(&self) -> &Budgets {
        &self.budgets
    }

    fn store_key(&self, place: &Place) -> AccountKey {
        let limit = self.keys.get(place.limit).map(String::as_str).unwrap_or_default();
        AccountKey {
            limit: match place.what {
                Kept::Account => limit.to_owned(),
                Kept::Beyond => beyond(limit),
            },
            scope: place.scope.to_string(),
            window_ms: place.window_ms,
        }
    }

    /// The accounts of each charge.
    fn places(
        &self,
        who: &Who<'_>,
        charges: &[Charge],
        now: Now,
    ) -> std::result::Result<Vec<(Charge, Vec<Place>)>, Refused> {
        let mut items = Vec::with_capacity(charges.len());
        for charge in charges {
            let mut places = Vec::new();
            for (number, limit) in self.budgets.limit.iter().enumerate() {
                if *limit.budget != *charge.budget
                    || *limit.unit != *charge.unit
                    || !limit.only.holds(who)
                {
                    continue;
                }
                let Some(scope) = who.account(limit.scope) else {
                    return Err(Refused::Scope(limit.key()));
                };
                let window_ms =
                    limit.window.ms().map_or(0, |length| now.wall - now.wall.rem_euclid(length));
                places.push(Place { limit: number, scope, window_ms, what: Kept::Account });
            }
            if places.is_empty() || charge.amount < 0 {
                return Err(Refused::Uncapped(format!("{}/{}", charge.budget, charge.unit)));
            }
            if charge.amount > MAX_INTEGER {
                return Err(Refused::Exceeded(format!("{}/{}", charge.budget, charge.unit)));
            }
            items.push((charge.clone(), places));
        }
        Ok(items)
    }

    /// Reserves all charges in all their accounts, or nothing.
    ///
    /// Returns the id of the lease.
    pub(crate) fn reserve(
        &self,
        who: &Who<'_>,
        charges: &[Charge],
        now: Now,
    ) -> std::result::Result<String, Refused> {
        let items = self.places(who, charges, now)?;
        // An account that two charges share must hold both.
        let mut wanted: Vec<(&Place, i64)> = Vec::with_capacity(items.len());
        for (charge, places) in &items {
            for place in places {
                match wanted.iter_mut().find(|(known, _)| *known == place) {
                    Some((_, sum)) => *sum = sum.saturating_add(charge.amount),
                    None => wanted.push((place, charge.amount)),
                }
            }
        }
        let rates = self.rate_keys(who)?;
        let id = random::<16>().map_err(|error| {
            Refused::Store(StoreError { what: "make an id", reason: error.to_string() })
        })?;
        let key = LeaseKey::from_be_bytes(id);
        let holder = self.hasher.hash_one((who.tenant, who.agent));
        loop {
            let mut short = Vec::new();
            // What the store does not know of it would give away again. Other accounts go on.
            if let Err(error) = self.pay() {
                let pages = lock(&self.pages);
                if wanted.iter().any(|&(place, _)| pages.owed.contains_key(place)) {
                    return Err(Refused::Store(error));
                }
            }
            {
                let mut pages = lock(&self.pages);
                self.sweep(&mut pages, now);
                // As for nonces: whoever holds as much as is left gets no more, so that one agent that never
                // ends its leases refuses nobody else.
                let own = pages.holders.get(&holder).copied().unwrap_or(0);
                if own >= self.bounds.entries.saturating_sub(pages.open) {
                    return Err(Refused::Full);
                }
                if !pages.barred.is_empty() {
                    let agent: Arc<str> = [who.tenant, "/", who.agent].concat().into();
                    for &(place, _) in &wanted {
                        let barred =
                            Place { scope: agent.clone(), what: Kept::Beyond, ..place.clone() };
                        if pages.barred.contains(&barred) {
                            let limit = self.budgets.limit.get(place.limit);
                            return Err(Refused::Barred(limit.map(Limit::key).unwrap_or_default()));
                        }
                    }
                }
                let paid = self.pass_rates(&mut pages, &rates, now)?;
                for &(place, amount) in &wanted {
                    let free = pages.accounts.get(place).map_or(0, Account::free);
                    if free >= amount {
                        continue;
                    }
                    let limit = self.budgets.limit.get(place.limit);
                    let name = || limit.map(Limit::key).unwrap_or_default();
                    if pages.accounts.get(place).is_some_and(|account| account.exhausted) {
                        return Err(Refused::Exceeded(name()));
                    }
                    if pages.accounts.len() >= self.bounds.entries
                        && !pages.accounts.contains_key(place)
                    {
                        return Err(Refused::Full);
                    }
                    let (cap, block) = limit.map_or((0, 1), |limit| (limit.cap, limit.block()));
                    let missing = amount.saturating_sub(free);
                    short.push((place, missing, missing.max(block), cap, name()));
                }
                if short.is_empty() {
                    for &(place, amount) in &wanted {
                        let account = pages.accounts.entry(place.clone()).or_default();
                        account.reserved = account.reserved.saturating_add(amount);
                    }
                    pages.rates.extend(paid);
                    pages.open += 1;
                    *pages.holders.entry(holder).or_default() += 1;
                    pages
                        .expiry
                        .push(Reverse((now.steady.saturating_add(self.bounds.lease_ms), key)));
                    let lease = Lease {
                        holder,
                        items,
                        handed_out: false,
                        peer: who.peer,
                        about: Some(Box::new(who.about())),
                        ended: None,
                    };
                    pages.leases.insert(key, lease);
                    return Ok(hex(&id));
                }
            }
            // Without the lock: a commit takes milliseconds. The store alone keeps to the cap, so that two
            // that draw at once get too much for themselves at worst, never more than there is.
            for (place, missing, block, cap, name) in short {
                let granted =
                    self.store.draw(&self.store_key(place), block, cap).map_err(Refused::Store)?;
                let mut pages = lock(&self.pages);
                let account = pages.accounts.entry(place.clone()).or_default();
                account.drawn = account.drawn.saturating_add(granted);
                if granted < block {
                    account.exhausted = true;
                }
                if granted < missing {
                    return Err(Refused::Exceeded(name));
                }
            }
        }
    }

    fn rate_keys(&self, who: &Who<'_>) -> std::result::Result<Vec<RateKey>, Refused> {
        let mut keys = Vec::new();
        for (number, rate) in self.budgets.rate.iter().enumerate() {
            if rate.only.holds(who) {
                let Some(scope) = who.account(rate.scope) else {
                    return Err(Refused::Scope(rate.name.clone()));
                };
                keys.push((number, scope));
            }
        }
        Ok(keys)
    }

    /// What the rates will be when this action passes; nothing is changed, since a budget may still refuse.
    fn pass_rates(
        &self,
        pages: &mut Pages,
        keys: &[RateKey],
        now: Now,
    ) -> std::result::Result<Vec<(RateKey, i64)>, Refused> {
        // Clocks are read in milliseconds, so that a first request can seem to come before the start.
        let now_us = now.steady.saturating_mul(1_000).max(self.start_us);
        let mut paid = Vec::with_capacity(keys.len());
        for key in keys {
            let Some(rate) = self.budgets.rate.get(key.0) else { continue };
            let interval = rate.interval_us();
            let fresh = self.start_us.saturating_add(interval.saturating_mul(rate.burst - 1));
            let known = pages.rates.get(key).copied();
            if known.is_none() && pages.rates.len() >= self.bounds.entries {
                // One whose time has passed says no more than one that is missing.
                pages.rates.retain(|_, arrival| *arrival > now_us);
                if pages.rates.len() >= self.bounds.entries {
                    return Err(Refused::Full);
                }
            }
            let arrival = known.unwrap_or(fresh).max(now_us).saturating_add(interval);
            if arrival.saturating_sub(now_us) > interval.saturating_mul(rate.burst) {
                return Err(Refused::Rate(rate.name.clone()));
            }
            paid.push((key.clone(), arrival));
        }
        Ok(paid)
    }

    /// Ends leases whose time is over, forgets ended ones and the accounts of windows that are gone.
    fn sweep(&self, pages: &mut Pages, now: Now) {
        while let Some(Reverse((at, _))) = pages.expiry.peek() {
            if *at > now.steady {
                break;
            }
            let Some(Reverse((_, id))) = pages.expiry.pop() else { break };
            self.end_in(pages, id, Ending::Expire, now);
        }
        // Leases that ended early leave their times behind: not more of them than half.
        if pages.expiry.len() > pages.open.saturating_mul(2).saturating_add(1_024) {
            let Pages { expiry, leases, .. } = pages;
            expiry.retain(|Reverse((_, id))| {
                leases.get(id).is_some_and(|lease| lease.ended.is_none())
            });
        }
        while let Some((at, _)) = pages.ended.front() {
            if now.steady.saturating_sub(*at) <= self.bounds.memory_ms
                && pages.ended.len() <= self.bounds.entries
            {
                break;
            }
            if let Some((_, id)) = pages.ended.pop_front() {
                pages.leases.remove(&id);
            }
        }
        if pages.accounts.len() >= self.bounds.entries {
            let limits = &self.budgets.limit;
            pages.accounts.retain(|place, account| {
                let over = limits
                    .get(place.limit)
                    .and_then(|limit| limit.window.ms())
                    .is_some_and(|length| place.window_ms.saturating_add(length) < now.wall);
                !over || account.reserved > 0
            });
        }
    }

    /// Ends a lease that has not ended. Returns what must be charged to the store beyond what was drawn.
    fn end_in(
        &self,
        pages: &mut Pages,
        id: LeaseKey,
        ending: Ending,
        now: Now,
    ) -> Vec<(Place, i64)> {
        let mut beyond = Vec::new();
        let Pages { accounts, leases, ended, open, holders, barred, .. } = pages;
        let Some(lease) = leases.get_mut(&id).filter(|lease| lease.ended.is_none()) else {
            return beyond;
        };
        let mut outcome = Outcome {
            state: match ending {
                Ending::Settle(_) => LeaseState::Settled,
                Ending::Cancel => LeaseState::Cancelled,
                Ending::Abandon => LeaseState::Unknown,
                Ending::Expire => LeaseState::Expired,
            },
            charged: Vec::with_capacity(lease.items.len()),
            overrun: false,
            barred: false,
        };
        for (charge, places) in &lease.items {
            let amount = match &ending {
                Ending::Settle(actual) => {
                    actual.get(&*charge.unit).copied().unwrap_or(charge.amount)
                }
                Ending::Cancel => 0,
                Ending::Abandon | Ending::Expire => charge.amount,
            };
            outcome.overrun |= amount > charge.amount;
            for place in places {
                let most = self
                    .budgets
                    .limit
                    .get(place.limit)
                    .map_or(i64::MAX, |limit| charge.amount.saturating_mul(limit.overrun));
                let mut amount = amount;
                // Where nobody can be barred any more the account pays it all.
                if amount > most && barred.len() < self.bounds.entries {
                    if let Some(about) = &lease.about {
                        let agent = [about.tenant(), "/", about.agent()].concat();
                        let out =
                            Place { scope: agent.into(), what: Kept::Beyond, ..place.clone() };
                        beyond.push((out.clone(), amount.saturating_sub(most)));
                        barred.insert(out);
                        outcome.barred = true;
                        amount = most;
                    }
                }
                let account = accounts.entry(place.clone()).or_default();
                account.reserved = account.reserved.saturating_sub(charge.amount);
                account.settled = account.settled.saturating_add(amount);
                if account.free() < 0 {
                    let missing = account.free().saturating_neg();
                    account.drawn = account.drawn.saturating_add(missing);
                    beyond.push((place.clone(), missing));
                }
            }
            outcome.charged.push(Charge { amount, ..charge.clone() });
        }
        if ending == Ending::Expire {
            // Nobody says it, so that it has no receipt.
            lease.about = None;
        }
        lease.items = Vec::new();
        lease.ended = Some((ending, outcome));
        ended.push_back((now.steady, id));
        *open = open.saturating_sub(1);
        if let Some(held) = holders.get_mut(&lease.holder) {
            *held = held.saturating_sub(1);
            if *held == 0 {
                holders.remove(&lease.holder);
            }
        }
        beyond
    }

    /// Ends a lease for one who may: the user behind a socket who asked for it, or this process.
    ///
    /// Returns with the outcome what its receipt is to say, when nobody has it; [`Self::give_about`] puts it back.
    pub(crate) fn end(
        &self,
        id: &str,
        ending: Ending,
        peer: Option<u32>,
        now: Now,
    ) -> Result<(Outcome, Option<Box<About>>)> {
        let ended = {
            let mut pages = lock(&self.pages);
            self.sweep(&mut pages, now);
            let key = lease_key(id);
            let known = key.and_then(|key| Some((key, pages.leases.get_mut(&key)?)));
            // As for one that is not there: who asks for another one's learns nothing.
            let known = known.filter(|(_, lease)| peer.is_none() || lease.peer == peer);
            let Some((key, lease)) = known else {
                return Err(KernelError::LeaseConflict(
                    "the lease is not known: it ended long ago or before a restart, and was charged".to_owned(),
                ));
            };
            // Who holds a permit can use it, whatever is said afterwards.
            let ending = match ending {
                Ending::Cancel if lease.handed_out => Ending::Abandon,
                ending => ending,
            };
            if let Some((before, outcome)) = &lease.ended {
                return if *before == ending {
                    let outcome = outcome.clone();
                    // The first time it may have failed here, or at its receipt.
                    let about = lease.about.take();
                    drop(pages);
                    self.paid(id, outcome, about)
                } else {
                    Err(KernelError::LeaseConflict(format!(
                        "the lease has ended otherwise: it is {}",
                        outcome.state.word()
                    )))
                };
            }
            if let Ending::Settle(actual) = &ending {
                for (unit, amount) in actual {
                    if *amount < 0 {
                        return Err(KernelError::Invalid(format!(
                            "`actual` of `{unit}` is negative"
                        )));
                    }
                    if *amount > MAX_INTEGER {
                        return Err(KernelError::Invalid(format!(
                            "`actual` of `{unit}` is above 2^53 - 1, which no receipt can say: look at its unit"
                        )));
                    }
                    if !lease.items.iter().any(|(charge, _)| *charge.unit == **unit) {
                        return Err(KernelError::Invalid(format!(
                            "`actual` names `{unit}`, which the lease did not reserve"
                        )));
                    }
                }
            }
            let beyond = self.end_in(&mut pages, key, ending, now);
            let outcome = pages
                .leases
                .get_mut(&key)
                .and_then(|lease| Some((lease.ended.as_ref()?.1.clone(), lease.about.take())));
            let Some(ended) = outcome else {
                return Err(KernelError::Unavailable(
                    "the lease is lost: please report this".to_owned(),
                ));
            };
            for (place, missing) in beyond {
                let owed = pages.owed.entry(place).or_default();
                *owed = owed.saturating_add(missing);
            }
            ended
        };
        self.paid(id, ended.0, ended.1)
    }

    fn paid(
        &self,
        id: &str,
        outcome: Outcome,
        about: Option<Box<About>>,
    ) -> Result<(Outcome, Option<Box<About>>)> {
        if outcome.overrun {
            if let Err(error) = self.pay() {
                self.give_about(id, about);
                return Err(error.into());
            }
        }
        Ok((outcome, about))
    }

    /// The end of a lease could not be recorded: who says it again tries again.
    pub(crate) fn give_about(&self, id: &str, about: Option<Box<About>>) {
        let Some(key) = lease_key(id) else { return };
        if let Some(lease) = lock(&self.pages).leases.get_mut(&key) {
            lease.about = about;
        }
    }

    /// Tells the store of overruns it does not know of. What fails is kept for the next time.
    fn pay(&self) -> std::result::Result<(), StoreError> {
        if lock(&self.pages).owed.is_empty() {
            return Ok(());
        }
        let _one = lock(&self.paying);
        let owed: Vec<(Place, i64)> =
            lock(&self.pages).owed.iter().map(|(place, amount)| (place.clone(), *amount)).collect();
        for (place, amount) in owed {
            self.store.overrun(&self.store_key(&place), amount)?;
            let mut pages = lock(&self.pages);
            if let Some(left) = pages.owed.get_mut(&place) {
                *left = left.saturating_sub(amount);
                if *left == 0 {
                    pages.owed.remove(&place);
                }
            }
        }
        Ok(())
    }

    /// Notes that the permit of a lease leaves the kernel; false when it must not, since the action was
    /// cancelled or nothing is known of it.
    pub(crate) fn hand_out(&self, id: &str) -> bool {
        let Some(key) = lease_key(id) else { return false };
        let mut pages = lock(&self.pages);
        match pages.leases.get_mut(&key) {
            Some(Lease { ended: Some((Ending::Cancel, _)), .. }) | None => false,
            Some(lease) => {
                lease.handed_out = true;
                true
            }
        }
    }

    /// Gives back what was drawn and not used. Open leases are charged in full, as by a crash.
    pub(crate) fn close(&self) -> Result<()> {
        self.pay()?;
        let mut pages = lock(&self.pages);
        let mut unused = Vec::new();
        for (place, account) in &mut pages.accounts {
            let free = account.free();
            if free > 0 {
                unused.push((self.store_key(place), free));
            }
        }
        self.store.give_back(&unused)?;
        for account in pages.accounts.values_mut() {
            let free = account.free().max(0);
            account.drawn -= free;
            account.exhausted = true;
        }
        Ok(())
    }

    /// `(drawn, reserved, settled)` of every account that this process has touched, by store key.
    pub fn totals(&self) -> BTreeMap<AccountKey, (i64, i64, i64)> {
        lock(&self.pages)
            .accounts
            .iter()
            .map(|(place, account)| {
                (self.store_key(place), (account.drawn, account.reserved, account.settled))
            })
            .collect()
    }

    /// How many leases are open.
    pub fn open_leases(&self) -> usize {
        lock(&self.pages).open
    }
}

/// What the store knows the agents by that a limit bars.
fn beyond(limit: &str) -> String {
    format!("{limit}/beyond")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{MemoryStore, SqliteStore};
    use sift_ledger::keys::PrivateKey;

    const BOUNDS: Bounds = Bounds { entries: 100_000, lease_ms: 60_000, memory_ms: 600_000 };
    const NOW: Now = Now { wall: 1_800_000_000_000, steady: 1_000_000 };

    fn later(ms: i64) -> Now {
        Now { wall: NOW.wall + ms, steady: NOW.steady + ms }
    }

    fn who<'a>(tenant: &'a str, agent: &'a str) -> Who<'a> {
        Who {
            tenant,
            role: "support",
            agent,
            session: None,
            conversation: None,
            tool: "refund",
            request_id: "r1",
            action: [1; 32],
            peer: None,
        }
    }

    fn charge(amount: i64) -> Charge {
        Charge { budget: "refunds".into(), unit: "usd_micros".into(), amount }
    }

    const HIERARCHY: &str = r#"
        [[limit]]
        budget = "refunds"
        unit = "usd_micros"
        scope = "tenant"
        window = "1d"
        cap = 1000
        [[limit]]
        budget = "refunds"
        unit = "usd_micros"
        scope = "agent"
        window = "1h"
        cap = 600
        block = 50
    "#;

    impl Books {
        fn over(&self, id: &str, ending: Ending, now: Now) -> Result<Outcome> {
            self.end(id, ending, None, now).map(|(outcome, _)| outcome)
        }

        fn settle(&self, id: &str, actual: BTreeMap<String, i64>, now: Now) -> Result<Outcome> {
            self.over(id, Ending::Settle(actual), now)
        }

        fn cancel(&self, id: &str, now: Now) -> Result<Outcome> {
            self.over(id, Ending::Cancel, now)
        }

        fn abandon(&self, id: &str, now: Now) -> Result<Outcome> {
            self.over(id, Ending::Abandon, now)
        }
    }

    #[test]
    fn the_end_of_a_lease_is_told_once_and_only_to_whoever_asked_for_it() {
        let books = memory(HIERARCHY);
        let asked = Who { peer: Some(7), ..who("acme", "a") };
        let lease = books.reserve(&asked, &[charge(100)], NOW).unwrap();
        for ending in [Ending::Cancel, Ending::Abandon, Ending::Settle(BTreeMap::new())] {
            let other = books.end(&lease, ending, Some(8), NOW);
            assert!(matches!(other, Err(KernelError::LeaseConflict(_))));
        }
        let (outcome, about) = books.end(&lease, Ending::Cancel, Some(7), NOW).unwrap();
        assert_eq!(about.as_deref(), Some(&asked.about()));
        // It could not be recorded, so it is told again.
        books.give_about(&lease, about);
        assert!(books.end(&lease, Ending::Cancel, None, NOW).unwrap().1.is_some());
        assert_eq!(books.end(&lease, Ending::Cancel, Some(7), NOW).unwrap(), (outcome, None));
    }

    fn opened(text: &str, store: Arc<dyn Store>) -> Books {
        Books::new(Budgets::from_text(text).unwrap(), store, BOUNDS, NOW).unwrap()
    }

    fn memory(text: &str) -> Books {
        opened(text, Arc::new(MemoryStore::default()))
    }

    fn settled(books: &Books) -> Vec<(i64, i64)> {
        books.totals().values().map(|(_, reserved, settled)| (*reserved, *settled)).collect()
    }

    #[test]
    fn every_scope_counts_what_it_names_and_nothing_else() {
        let base = || Who { session: Some("s"), conversation: Some("c"), ..who("acme", "a") };
        type Change = fn(Who<'static>) -> Who<'static>;
        let others: [(&str, Change); 6] = [
            ("tenant", |who| Who { tenant: "other", ..who }),
            ("role", |who| Who { role: "admin", ..who }),
            ("agent", |who| Who { agent: "b", ..who }),
            ("session", |who| Who { session: Some("t"), ..who }),
            ("conversation", |who| Who { conversation: Some("d"), ..who }),
            ("tool", |who| Who { tool: "mail", ..who }),
        ];
        for (scope, apart) in [
            ("global", [].as_slice()),
            ("tenant", &["tenant"]),
            ("role", &["tenant", "role"]),
            ("agent", &["tenant", "agent"]),
            ("session", &["tenant", "agent", "session"]),
            ("conversation", &["tenant", "conversation"]),
            ("tool", &["tenant", "tool"]),
        ] {
            let limit = format!(
                "[[limit]]\nbudget = \"refunds\"\nunit = \"usd_micros\"\nscope = \"{scope}\"\nwindow = \"1h\"\ncap = 10"
            );
            let rate =
                format!("[[rate]]\nname = \"slow\"\nscope = \"{scope}\"\nlimit = 1\nper = \"1h\"");
            for (name, change) in others {
                let books = memory(&limit);
                books.reserve(&base(), &[charge(10)], NOW).unwrap();
                let full = books.reserve(&base(), &[charge(1)], NOW);
                assert!(matches!(full, Err(Refused::Exceeded(_))), "{scope}");
                let other = books.reserve(&change(base()), &[charge(1)], NOW);
                assert_eq!(
                    other.is_ok(),
                    apart.contains(&name),
                    "limit of {scope}, another {name}"
                );
                let books = memory(&rate);
                books.reserve(&base(), &[], NOW).unwrap();
                let again = books.reserve(&base(), &[], NOW);
                assert!(matches!(again, Err(Refused::Rate(_))), "{scope}");
                let other = books.reserve(&change(base()), &[], NOW);
                assert_eq!(other.is_ok(), apart.contains(&name), "rate of {scope}, another {name}");
            }
        }
    }

    #[test]
    fn the_narrower_cap_refuses_and_leaves_nothing_in_the_wider() {
        let books = memory(HIERARCHY);
        books.reserve(&who("acme", "a"), &[charge(600)], NOW).unwrap();
        let refused = books.reserve(&who("acme", "a"), &[charge(1)], NOW).unwrap_err();
        assert!(
            matches!(refused, Refused::Exceeded(ref name) if name == "refunds/usd_micros/agent/1h")
        );
        books.reserve(&who("acme", "b"), &[charge(400)], NOW).unwrap();
        let refused = books.reserve(&who("acme", "c"), &[charge(1)], NOW).unwrap_err();
        assert!(
            matches!(refused, Refused::Exceeded(ref name) if name == "refunds/usd_micros/tenant/1d")
        );
        books.reserve(&who("other", "a"), &[charge(600)], NOW).unwrap();
    }

    #[test]
    fn what_was_not_spent_can_be_spent_again() {
        let books = memory(HIERARCHY);
        let lease = books.reserve(&who("acme", "a"), &[charge(600)], NOW).unwrap();
        let actual = BTreeMap::from([("usd_micros".to_owned(), 100)]);
        let first = books.settle(&lease, actual.clone(), NOW).unwrap();
        assert_eq!((first.state, first.overrun), (LeaseState::Settled, false));
        assert_eq!(books.settle(&lease, actual, later(5)).unwrap(), first);
        assert!(matches!(
            books.settle(&lease, BTreeMap::new(), NOW),
            Err(KernelError::LeaseConflict(_))
        ));
        assert!(matches!(books.cancel(&lease, NOW), Err(KernelError::LeaseConflict(_))));
        let lease = books.reserve(&who("acme", "a"), &[charge(500)], NOW).unwrap();
        assert_eq!(books.cancel(&lease, NOW).unwrap().charged[0].amount, 0);
        books.reserve(&who("acme", "a"), &[charge(500)], NOW).unwrap();
    }

    #[test]
    fn an_action_of_which_nothing_is_heard_costs_all() {
        let books = memory(HIERARCHY);
        let lease = books.reserve(&who("acme", "a"), &[charge(600)], NOW).unwrap();
        let after = later(BOUNDS.lease_ms);
        assert!(books.reserve(&who("acme", "a"), &[charge(1)], after).is_err());
        let late = books.settle(&lease, BTreeMap::new(), after).unwrap_err();
        assert!(late.to_string().contains("expired"), "{late}");
        let lease = books.reserve(&who("acme", "b"), &[charge(300)], after).unwrap();
        assert_eq!(books.abandon(&lease, after).unwrap().state, LeaseState::Unknown);
        assert_eq!(settled(&books), [(0, 600), (0, 300), (0, 900)]);
    }

    fn cost(amount: i64) -> BTreeMap<String, i64> {
        BTreeMap::from([("usd_micros".to_owned(), amount)])
    }

    #[test]
    fn a_settlement_takes_twice_its_reservation_and_bars_whoever_says_more() {
        let folder = tempfile::tempdir().unwrap();
        let file = SqliteStore::open(
            &folder.path().join("kernel.sqlite"),
            &PrivateKey::from_seed(&[2; 32]),
            None,
        )
        .unwrap();
        let stores: [Arc<dyn Store>; 2] = [Arc::new(MemoryStore::default()), Arc::new(file)];
        for store in stores {
            let books = opened(HIERARCHY, store.clone());
            let lease = books.reserve(&who("acme", "a"), &[charge(10)], NOW).unwrap();
            let ended = books.settle(&lease, cost(20), NOW).unwrap();
            assert_eq!((ended.overrun, ended.barred), (true, false));
            let lease = books.reserve(&who("acme", "a"), &[charge(10)], NOW).unwrap();
            let ended = books.settle(&lease, cost(MAX_INTEGER), NOW).unwrap();
            assert_eq!((ended.overrun, ended.barred), (true, true));
            assert_eq!(ended.charged[0].amount, MAX_INTEGER, "what it said");
            assert_eq!(settled(&books), [(0, 40), (0, 40)]);
            // Others have what they had; so has the agent of this name elsewhere.
            books.reserve(&who("acme", "b"), &[charge(600)], NOW).unwrap();
            books.reserve(&who("other", "a"), &[charge(600)], NOW).unwrap();
            let barred = |books: &Books, now| {
                let refused = books.reserve(&who("acme", "a"), &[charge(1)], now);
                matches!(refused, Err(Refused::Barred(_)))
            };
            assert!(barred(&books, NOW));
            books.close().unwrap();
            // It is durable, and ends with the windows: an hour, then a day.
            let books = opened(HIERARCHY, store.clone());
            assert!(barred(&books, NOW) && barred(&books, later(3_600_000)));
            books.reserve(&who("acme", "a"), &[charge(1)], later(86_400_000)).unwrap();
            books.forget_windows(later(3 * 86_400_000)).unwrap();
            assert!(lock(&books.pages).barred.is_empty());
            assert!(opened(HIERARCHY, store.clone()).pages.lock().unwrap().barred.is_empty());
        }
    }

    #[test]
    fn who_is_barred_can_be_forgiven() {
        let store = Arc::new(MemoryStore::default());
        let books = opened(HIERARCHY, store.clone());
        let bar = |tenant: &str| {
            let lease = books.reserve(&who(tenant, "a"), &[charge(1)], NOW).unwrap();
            assert!(books.settle(&lease, cost(5), NOW).unwrap().barred);
        };
        let barred = |books: &Books, tenant: &str| {
            books.reserve(&who(tenant, "a"), &[charge(1)], NOW).is_err()
        };
        for (tenant, who) in [("acme", "acme"), ("", "acme")] {
            bar(who);
            books.forgive("other", "a").unwrap();
            books.forgive(tenant, "b").unwrap();
            assert!(barred(&books, "acme"));
            books.forgive(tenant, "a").unwrap();
            assert!(!barred(&books, "acme") && !barred(&opened(HIERARCHY, store.clone()), "acme"));
        }
        bar("acme");
        store.break_down(true);
        assert!(books.forgive("acme", "a").is_err());
        store.break_down(false);
        assert!(barred(&books, "acme"), "it could not be written");
    }

    #[test]
    fn who_is_barred_stays_so_when_that_could_not_be_written() {
        let store = Arc::new(MemoryStore::default());
        let books = opened(HIERARCHY, store.clone());
        let lease = books.reserve(&who("acme", "a"), &[charge(1)], NOW).unwrap();
        store.break_down(true);
        assert!(matches!(books.settle(&lease, cost(9), NOW), Err(KernelError::Unavailable(_))));
        assert!(books.reserve(&who("acme", "a"), &[charge(1)], NOW).is_err());
        store.break_down(false);
        assert!(books.settle(&lease, cost(9), NOW).unwrap().barred);
        let again = opened(HIERARCHY, store);
        let refused = again.reserve(&who("acme", "a"), &[charge(1)], NOW);
        assert!(matches!(refused, Err(Refused::Barred(_))));
    }

    /// As `HIERARCHY`, where an action may cost any number of times what it reserved.
    fn trusting() -> String {
        HIERARCHY.replace("window", &format!("overrun = {MAX_INTEGER}\nwindow"))
    }

    #[test]
    fn an_overrun_is_charged_and_blocks() {
        let store = Arc::new(MemoryStore::default());
        let books = opened(&trusting(), store.clone());
        let lease = books.reserve(&who("acme", "a"), &[charge(500)], NOW).unwrap();
        let actual = BTreeMap::from([("usd_micros".to_owned(), 5_000)]);
        assert!(books.settle(&lease, actual, NOW).unwrap().overrun);
        assert!(matches!(
            books.reserve(&who("acme", "b"), &[charge(1)], NOW),
            Err(Refused::Exceeded(_))
        ));
        // It is durable: a new process knows.
        let again = opened(HIERARCHY, store);
        assert!(matches!(
            again.reserve(&who("acme", "b"), &[charge(1)], NOW),
            Err(Refused::Exceeded(_))
        ));
        again.reserve(&who("acme", "b"), &[charge(1)], later(86_400_000)).unwrap();
    }

    #[test]
    fn an_overrun_that_could_not_be_written_is_written_later() {
        let store = Arc::new(MemoryStore::default());
        let books = opened(&trusting(), store.clone());
        let lease = books.reserve(&who("acme", "a"), &[charge(500)], NOW).unwrap();
        let actual = BTreeMap::from([("usd_micros".to_owned(), 5_000)]);
        books.reserve(&who("other", "a"), &[charge(1)], NOW).unwrap();
        store.break_down(true);
        for _ in 0..3 {
            let failed = books.settle(&lease, actual.clone(), NOW);
            assert!(matches!(failed, Err(KernelError::Unavailable(_))), "it is not durable");
        }
        // Nothing is given out meanwhile that the store would not know to be gone.
        assert!(matches!(
            books.reserve(&who("acme", "b"), &[charge(1)], NOW),
            Err(Refused::Store(_))
        ));
        books.reserve(&who("other", "a"), &[charge(1)], NOW).unwrap();
        store.break_down(false);
        assert!(books.settle(&lease, actual.clone(), NOW).unwrap().overrun);
        assert!(books.settle(&lease, actual, NOW).unwrap().overrun);
        let again = opened(HIERARCHY, store.clone());
        assert!(matches!(
            again.reserve(&who("acme", "b"), &[charge(1)], NOW),
            Err(Refused::Exceeded(_))
        ));
        let ours = books.totals().into_keys().filter(|account| account.scope.starts_with("acme"));
        let spent: Vec<i64> = ours.map(|account| store.drawn(&account).unwrap()).collect();
        assert_eq!(spent, [5_000, 5_000], "once, and no more");
    }

    #[test]
    fn what_was_handed_out_is_charged_and_what_was_cancelled_is_not_handed_out() {
        let books = memory(HIERARCHY);
        let lease = books.reserve(&who("acme", "a"), &[charge(300)], NOW).unwrap();
        assert!(books.hand_out(&lease));
        let outcome = books.cancel(&lease, NOW).unwrap();
        assert_eq!((outcome.state, outcome.charged[0].amount), (LeaseState::Unknown, 300));
        assert_eq!(books.cancel(&lease, NOW).unwrap(), outcome);
        let lease = books.reserve(&who("acme", "a"), &[charge(300)], NOW).unwrap();
        assert_eq!(books.cancel(&lease, NOW).unwrap().state, LeaseState::Cancelled);
        assert!(!books.hand_out(&lease));
        assert!(!books.hand_out("no such"));
        assert_eq!(settled(&books), [(0, 300), (0, 300)]);
    }

    #[test]
    fn nonsense_settles_nothing() {
        let books = memory(HIERARCHY);
        let lease = books.reserve(&who("acme", "a"), &[charge(5)], NOW).unwrap();
        for (unit, amount) in [
            ("usd_micros", -1),
            ("usd_micros", MAX_INTEGER + 1),
            ("usd_micros", i64::MAX),
            ("tokens", 1),
        ] {
            let actual = BTreeMap::from([(unit.to_owned(), amount)]);
            assert!(matches!(books.settle(&lease, actual, NOW), Err(KernelError::Invalid(_))));
        }
        assert_eq!(books.open_leases(), 1);
        assert_eq!(settled(&books), [(5, 0), (5, 0)]);
        assert!(books.settle("no such", BTreeMap::new(), NOW).is_err());
    }

    #[test]
    fn no_amount_fills_more_than_its_account() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(
            SqliteStore::open(
                &folder.path().join("kernel.sqlite"),
                &PrivateKey::from_seed(&[2; 32]),
                None,
            )
            .unwrap(),
        );
        let books = opened(&trusting(), store.clone());
        let refused = books.reserve(&who("acme", "a"), &[charge(MAX_INTEGER + 1)], NOW);
        assert!(matches!(refused, Err(Refused::Exceeded(_))));
        let leases: Vec<_> =
            (0..2).map(|_| books.reserve(&who("acme", "a"), &[charge(1)], NOW).unwrap()).collect();
        // As many settlements before as an account can hold.
        for account in books.totals().keys() {
            store.overrun(account, i64::MAX - MAX_INTEGER).unwrap();
        }
        for lease in &leases {
            let actual = BTreeMap::from([("usd_micros".to_owned(), MAX_INTEGER)]);
            assert!(books.settle(lease, actual, NOW).unwrap().overrun);
        }
        for account in books.totals().keys() {
            assert_eq!(store.drawn(account).unwrap(), i64::MAX);
        }
        let refused = books.reserve(&who("acme", "b"), &[charge(1)], NOW);
        assert!(matches!(refused, Err(Refused::Exceeded(_))));
        books.reserve(&who("other", "a"), &[charge(1)], NOW).unwrap();
        books.close().unwrap();
    }

    #[test]
    fn what_nobody_caps_is_refused() {
        let books = memory(HIERARCHY);
        let tokens = Charge { unit: "tokens".into(), ..charge(1) };
        assert!(matches!(books.reserve(&who("a", "b"), &[tokens], NOW), Err(Refused::Uncapped(_))));
        assert!(matches!(
            books.reserve(&who("a", "b"), &[charge(-1)], NOW),
            Err(Refused::Uncapped(_))
        ));
    }

    #[test]
    fn a_limit_by_session_asks_for_one() {
        let text = HIERARCHY.replace("\"agent\"", "\"session\"");
        let books = memory(&text);
        assert!(matches!(books.reserve(&who("a", "b"), &[charge(1)], NOW), Err(Refused::Scope(_))));
        let inside = Who { session: Some("s"), ..who("a", "b") };
        books.reserve(&inside, &[charge(1)], NOW).unwrap();
    }

    #[test]
    fn windows_begin_anew() {
        let books = memory(HIERARCHY);
        books.reserve(&who("acme", "a"), &[charge(600)], NOW).unwrap();
        assert!(books.reserve(&who("acme", "a"), &[charge(1)], later(3_599_000)).is_err());
        books.reserve(&who("acme", "a"), &[charge(1)], later(3_600_000)).unwrap();
    }

    #[test]
    fn a_crash_loses_headroom_and_a_clean_close_does_not() {
        let store = Arc::new(MemoryStore::default());
        let spend = |amount| {
            let books = opened(HIERARCHY, store.clone());
            let lease = books.reserve(&who("acme", "a"), &[charge(amount)], NOW)?;
            books.settle(&lease, BTreeMap::new(), NOW).unwrap();
            Ok::<_, Refused>(books)
        };
        // Blocks of 50: a crash after 10 leaves 550.
        spend(10).unwrap();
        assert!(matches!(spend(551), Err(Refused::Exceeded(_))));
        let store = Arc::new(MemoryStore::default());
        for _ in 0..60 {
            let books = opened(HIERARCHY, store.clone());
            books.reserve(&who("acme", "a"), &[charge(10)], NOW).unwrap();
            books.close().unwrap();
            assert!(
                books.reserve(&who("acme", "a"), &[charge(1)], NOW).is_err(),
                "closed is closed"
            );
        }
        let books = opened(HIERARCHY, store);
        assert!(matches!(
            books.reserve(&who("acme", "a"), &[charge(1)], NOW),
            Err(Refused::Exceeded(_))
        ));
    }

    #[test]
    fn a_store_that_fails_refuses() {
        let store = Arc::new(MemoryStore::default());
        let books = opened(HIERARCHY, store.clone());
        store.break_down(true);
        assert!(matches!(books.reserve(&who("a", "b"), &[charge(1)], NOW), Err(Refused::Store(_))));
        store.break_down(false);
        books.reserve(&who("a", "b"), &[charge(1)], NOW).unwrap();
        assert_eq!(books.open_leases(), 1);
    }

    fn bounded(entries: usize) -> Books {
        let bounds = Bounds { entries, ..BOUNDS };
        let budgets = Budgets::from_text(HIERARCHY).unwrap();
        Books::new(budgets, Arc::new(MemoryStore::default()), bounds, NOW).unwrap()
    }

    #[test]
    fn leases_are_bounded_and_an_agent_takes_no_more_than_it_leaves() {
        let books = bounded(8);
        let reserve = |agent| books.reserve(&who("t", agent), &[charge(1)], NOW);
        let held: Vec<_> = (0..4).map(|_| reserve("a").unwrap()).collect();
        for _ in 0..100 {
            assert!(matches!(reserve("a"), Err(Refused::Full)));
        }
        let other = reserve("b").unwrap();
        books.cancel(&other, NOW).unwrap();
        books.cancel(&held[0], NOW).unwrap();
        reserve("a").unwrap();
        assert!(matches!(reserve("a"), Err(Refused::Full)));
        // What ran out of time is not held any more.
        for _ in 0..4 {
            books.reserve(&who("t", "a"), &[charge(1)], later(BOUNDS.lease_ms)).unwrap();
        }
    }

    #[test]
    fn ended_leases_leave_no_times_behind() {
        let books = memory(HIERARCHY);
        let open = books.reserve(&who("t", "a"), &[charge(1)], NOW).unwrap();
        for _ in 0..10_000 {
            let lease = books.reserve(&who("t", "a"), &[charge(1)], NOW).unwrap();
            books.cancel(&lease, NOW).unwrap();
        }
        assert!(lock(&books.pages).expiry.len() < 2_000);
        let late = later(BOUNDS.lease_ms);
        books.reserve(&who("t", "a"), &[charge(1)], late).unwrap();
        assert!(matches!(books.cancel(&open, late), Err(KernelError::LeaseConflict(_))));
    }

    const RATE: &str = r#"
        [[rate]]
        name = "calls"
        scope = "agent"
        limit = 60
        per = "1m"
        burst = 5
    "#;

    #[test]
    fn a_rate_lets_its_burst_pass_and_then_one_at_a_time() {
        let books = memory(RATE);
        let count = |at: i64, tries: usize| {
            (0..tries).filter(|_| books.reserve(&who("t", "a"), &[], later(at)).is_ok()).count()
        };
        // It starts without its burst, and a request that seems to come before the start is the first.
        assert_eq!(count(-1, 10), 1);
        assert_eq!(count(0, 10), 0);
        assert_eq!(count(1_000, 10), 1);
        assert_eq!(count(1_999, 10), 0);
        assert_eq!(count(60_000, 10), 5);
        assert_eq!(count(61_000, 10), 1);
        assert_eq!(
            (0..1_000)
                .filter(|ms| books.reserve(&who("t", "b"), &[], later(100_000 + ms * 10)).is_ok())
                .count(),
            5 + 9
        );
    }

    #[test]
    fn a_refusal_by_a_budget_costs_no_rate() {
        let books = memory(&format!("{HIERARCHY}{RATE}"));
        for _ in 0..100 {
            assert!(books.reserve(&who("t", "a"), &[charge(10_000)], later(60_000)).is_err());
        }
        books.reserve(&who("t", "a"), &[charge(1)], later(60_000)).unwrap();
    }

    #[test]
    fn wrong_budgets_are_refused() {
        for (text, part) in [
            ("[[limit]]\nbudget = 'b'", "missing field"),
            ("[[limit]]\nbudget='b'\nunit='u'\nscope='tenant'\nwindow='1d'\ncap=-1", "positive"),
            ("[[limit]]\nbudget='b'\nunit='u'\nscope='planet'\nwindow='1d'\ncap=1", "planet"),
            ("[[limit]]\nbudget='b'\nunit='u'\nscope='tenant'\nwindow='1x'\ncap=1", "1x"),
            ("[[limit]]\nbudget='b'\nunit='u'\nscope='tenant'\nwindow='1d'\ncap=1.5", "1.5"),
            (
                "[[limit]]\nbudget='b'\nunit='u'\nscope='tenant'\nwindow='1d'\ncap=1\noverrun=0",
                "`overrun`",
            ),
            ("[[rate]]\nname='r'\nscope='agent'\nlimit=0\nper='1m'", "positive"),
            ("[[rate]]\nname='r'\nscope='agent'\nlimit=1\nper='forever'", "positive"),
            ("[[rats]]\n", "rats"),
        ] {
            let error = Budgets::from_text(text).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        let twice = format!("{HIERARCHY}{HIERARCHY}");
        assert!(Budgets::from_text(&twice).unwrap_err().to_string().contains("twice"));
    }

    /// Many threads, random amounts and endings: no account ever exceeds its cap, and in the end what is
    /// settled is what the outcomes said.
    fn race(books: &Books, reservations: usize, seed: u64) -> usize {
        let threads = 8;
        let granted = std::sync::atomic::AtomicUsize::new(0);
        let charged = Mutex::new(BTreeMap::<String, i64>::new());
        std::thread::scope(|scope| {
            for thread in 0..threads {
                let (granted, charged) = (&granted, &charged);
                scope.spawn(move || {
                    let mut state = seed ^ (thread as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
                    let mut next = move |bound: u64| {
                        state ^= state << 13;
                        state ^= state >> 7;
                        state ^= state << 17;
                        (state % bound) as i64
                    };
                    for _ in 0..reservations / threads {
                        let agent = ["a", "b", "c"][next(3) as usize];
                        let amount = next(40);
                        let Ok(lease) = books.reserve(&who("acme", agent), &[charge(amount)], NOW)
                        else {
                            continue;
                        };
                        granted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        let outcome = match next(4) {
                            0 => books.cancel(&lease, NOW),
                            1 => books.abandon(&lease, NOW),
                            _ => {
                                let actual = next(amount as u64 + 1);
                                books.settle(
                                    &lease,
                                    BTreeMap::from([("usd_micros".to_owned(), actual)]),
                                    NOW,
                                )
                            }
                        };
                        let spent = outcome.unwrap().charged[0].amount;
                        *lock(charged).entry(format!("acme/{agent}")).or_default() += spent;
                    }
                });
            }
        });
        let charged = charged.into_inner().unwrap();
        let total: i64 = charged.values().sum();
        for (key, (drawn, reserved, settled)) in books.totals() {
            assert_eq!(reserved, 0, "{key:?}");
            assert!(settled <= drawn, "{key:?}: {settled} settled of {drawn} drawn");
            let expected = if key.scope == "acme" {
                total
            } else {
                charged.get(&key.scope).copied().unwrap_or(0)
            };
            assert_eq!(settled, expected, "{key:?}");
            let durable = books.store.drawn(&key).unwrap();
            let cap = if key.scope == "acme" { 20_000 } else { 9_000 };
            assert!(
                drawn == durable && durable <= cap,
                "{key:?}: {drawn} drawn, {durable} durable, cap {cap}"
            );
        }
        granted.into_inner()
    }

    const RACED: &str = r#"
        [[limit]]
        budget = "refunds"
        unit = "usd_micros"
        scope = "tenant"
        window = "forever"
        cap = 20000
        [[limit]]
        budget = "refunds"
        unit = "usd_micros"
        scope = "agent"
        window = "1d"
        cap = 9000
        block = 70
    "#;

    #[test]
    fn racing_reservations_never_exceed_a_cap() {
        let books = memory(RACED);
        let wanted =
            std::env::var("SIFT_RACES").ok().and_then(|n| n.parse().ok()).unwrap_or(50_000);
        let granted = race(&books, wanted, 1);
        assert!(granted > 1_000, "{granted} granted");
    }

    #[test]
    fn racing_reservations_on_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(
            &folder.path().join("kernel.sqlite"),
            &PrivateKey::from_seed(&[2; 32]),
            None,
        )
        .unwrap();
        let books = opened(RACED, Arc::new(store));
        let wanted =
            std::env::var("SIFT_FILE_RACES").ok().and_then(|n| n.parse().ok()).unwrap_or(2_000);
        assert!(race(&books, wanted, 2) > 100);
    }

    #[test]
    fn a_hundred_at_once_and_exactly_fifty_pass() {
        let text =
            RACED.replace("20000", "5000000").replace("9000", "5000000").replace("block = 70", "");
        let books = memory(&text);
        let passed: usize = std::thread::scope(|scope| {
            let all: Vec<_> = (0..100)
                .map(|_| {
                    scope.spawn(|| books.reserve(&who("t", "a"), &[charge(100_000)], NOW).is_ok())
                })
                .collect();
            all.into_iter().map(|one| usize::from(one.join().unwrap())).sum()
        });
        assert_eq!(passed, 50);
    }
}
