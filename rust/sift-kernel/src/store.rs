//! What must outlive the process: a trait, one implementation in memory, one on SQLite.
//!
//! Every method is one transaction: when it returns, what it did is durable, and when it fails, it did
//! nothing. The kernel holds its own copies in memory; the store is asked at start, and told at each change.

mod memory;
mod rows;
mod sqlite;

use std::sync::atomic::AtomicU64;
use std::sync::Arc;

pub use memory::MemoryStore;
pub use sqlite::SqliteStore;

use crate::approval::{ApprovalRecord, ApprovalState, Signed};
use crate::error::StoreError;
use crate::revocation::Subject;

/// Which account of which budget: limit, value of its scope, start of its window. Unique as text.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountKey {
    /// `budget/unit/scope/window`: the limit.
    pub limit: String,
    /// The tenant, agent, ... that is counted; empty for the global one.
    pub scope: String,
    /// Start of the window, milliseconds since 1970; 0 for one that never ends.
    pub window_ms: i64,
}

/// A compensation: what undoes an action, as it was stored with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undo {
    /// Whose action is undone: trace and request are names that callers choose.
    pub tenant: String,
    /// Which agent's.
    pub agent: String,
    /// The action that is undone.
    pub request_id: String,
    /// Its place in the trace, ascending.
    pub order: i64,
    /// The tool that undoes it.
    pub tool: String,
    /// Its arguments, canonical JSON.
    pub args: Vec<u8>,
}

/// An approval that waits, as far as it says what it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waits {
    /// Its name.
    pub id: String,
    /// See [`ApprovalRecord::action`].
    pub action: Vec<u8>,
    /// The rule that asks for it.
    pub rule: String,
}

/// Which steps of a trace are meant. Everybody chooses the names of traces, so that one may hold steps of several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace<'a> {
    /// As the requests had it.
    pub id: &'a str,
    /// Whose; where nobody is named, all steps must be of one tenant.
    pub tenant: Option<&'a str>,
    /// Of which agent; any of the tenant, when nobody is named.
    pub agent: Option<&'a str>,
}

/// What a kernel notes of its surroundings now and then, for the one after it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Noted {
    /// The wall clock, milliseconds since 1970.
    pub wall_ms: i64,
    /// The steady clock of the same moment, milliseconds.
    pub steady_ms: i64,
    /// Which run of the machine the steady clock counts in.
    pub boot: String,
    /// How many entries of the ledger were durable.
    pub tree_size: u64,
}

impl Noted {
    /// What is known after this note: the later wall clock, with the steady one of its moment.
    pub(crate) fn followed_by(&self, next: &Self) -> Self {
        if next.wall_ms >= self.wall_ms {
            return next.clone();
        }
        Self { tree_size: next.tree_size, ..self.clone() }
    }
}

/// How the last kernel left a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Before {
    /// There was none.
    None,
    /// It stopped, and has accepted nothing since.
    Closed {
        /// What it noted then.
        noted: Noted,
        /// The latest time at which a request that was accepted had been issued, milliseconds since 1970.
        issued_ms: i64,
    },
    /// It crashed; this is the latest that it noted.
    Crashed(Noted),
}

/// Which store, and how often it was changed. Receipts carry it, so that a store that is put back is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark<'a> {
    /// A random name, made with the store.
    pub id: &'a str,
    /// How many changes it has seen.
    pub generation: u64,
}

/// Durable state of one kernel.
pub trait Store: Send + Sync {
    /// Takes up to `wanted` units of an account out of what `cap` still leaves.
    ///
    /// Returns what was granted, 0 to `wanted`; the sum over all times never exceeds `cap`.
    fn draw(&self, account: &AccountKey, wanted: i64, cap: i64) -> Result<i64, StoreError>;
    /// Adds what was spent beyond a reservation, not negative, whatever the cap is; up to `i64::MAX`.
    fn overrun(&self, account: &AccountKey, amount: i64) -> Result<(), StoreError>;
    /// What an account has drawn.
    fn drawn(&self, account: &AccountKey) -> Result<i64, StoreError>;
    /// Accounts of a limit that have drawn something.
    fn accounts(&self, limit: &str) -> Result<Vec<AccountKey>, StoreError>;
    /// Gives back what was drawn and not used, on a clean close.
    fn give_back(&self, unused: &[(AccountKey, i64)]) -> Result<(), StoreError>;
    /// Forgets the accounts of windows that began before this moment, the endless ones excepted.
    fn forget_windows(&self, limit: &str, before_ms: i64) -> Result<(), StoreError>;

    /// Adds a revocation.
    fn revoke(&self, subject: &Subject, at_ms: i64) -> Result<(), StoreError>;
    /// Takes one back.
    fn reinstate(&self, subject: &Subject) -> Result<(), StoreError>;
    /// All of them.
    fn revoked(&self) -> Result<Vec<Subject>, StoreError>;

    /// Adds an approval that waits.
    fn add_approval(&self, approval: &ApprovalRecord) -> Result<(), StoreError>;
    /// Adds a signature and moves to a state, if the approval is still pending; false if it is not.
    fn sign_approval(
        &self,
        id: &str,
        signature: &Signed,
        then: ApprovalState,
    ) -> Result<bool, StoreError>;
    /// Moves an approval from one state to another; false when it was not in the first. The atomic step
    /// behind single use.
    fn move_approval(
        &self,
        id: &str,
        from: ApprovalState,
        to: ApprovalState,
    ) -> Result<bool, StoreError>;
    /// One approval.
    fn approval(&self, id: &str) -> Result<Option<ApprovalRecord>, StoreError>;
    /// Those in a state.
    fn approvals(&self, state: ApprovalState) -> Result<Vec<ApprovalRecord>, StoreError>;
    /// Those of an agent that wait and have not expired.
    fn waiting(&self, tenant: &str, agent: &str, now_ms: i64) -> Result<Vec<Waits>, StoreError>;
    /// Forgets those that ended before this moment.
    fn forget_approvals(&self, before_ms: i64) -> Result<(), StoreError>;

    /// Adds an elevation, as it was signed, for the agent whose session it widens.
    fn add_elevation(
        &self,
        id: &str,
        agent: &str,
        expires_ms: i64,
        signed: &[u8],
    ) -> Result<(), StoreError>;
    /// Agents and elevations that have not expired.
    fn elevations(&self, now_ms: i64) -> Result<Vec<(String, Vec<u8>)>, StoreError>;

    /// Remembers what undoes an action, until a moment. One that is remembered under the same names stays; false
    /// when that is another one.
    fn add_undo(&self, trace_id: &str, undo: &Undo, until_ms: i64) -> Result<bool, StoreError>;
    /// What undoes the actions of a trace, in the order in which they were done: of what is there, or of what was
    /// taken.
    fn undos(&self, trace_id: &str, taken: bool) -> Result<Vec<Undo>, StoreError>;
    /// Takes one, or puts it back; false when somebody else did.
    fn move_undo(&self, trace_id: &str, undo: &Undo, taken: bool) -> Result<bool, StoreError>;
    /// Forgets those whose time is over.
    fn forget_undos(&self, now_ms: i64) -> Result<(), StoreError>;

    /// Notes that something came into a conversation of a tenant.
    fn observe(&self, tenant: &str, conversation: &str, at_ms: i64) -> Result<(), StoreError>;
    /// Tenants and conversations into which something came.
    fn observed(&self) -> Result<Vec<(String, String)>, StoreError>;
    /// Forgets those into which nothing came since this moment.
    fn forget_observed(&self, before_ms: i64) -> Result<(), StoreError>;

    /// Which store this is, and how often it was changed until now.
    fn mark(&self) -> Mark<'_>;
    /// Where to see how many entries of the ledger are durable: every change from here on notes it.
    fn follow(&self, tree_size: Arc<AtomicU64>);

    /// How the last kernel left this store.
    fn before(&self) -> Result<Before, StoreError>;
    /// Notes that a kernel works with it.
    fn begin(&self) -> Result<(), StoreError>;
    /// Notes clocks and ledger; the wall clock never goes back.
    fn note(&self, noted: &Noted) -> Result<(), StoreError>;
    /// Notes that the kernel has stopped cleanly, and the latest time at which a request that was accepted had
    /// been issued.
    fn finish(&self, noted: &Noted, issued_ms: i64) -> Result<(), StoreError>;
}
