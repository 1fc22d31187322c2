//! What must outlive the process: a trait, one implementation in memory, one on SQLite.
//!
//! Every method is one transaction: when it returns, what it did is durable, and when it fails, it did
//! nothing. The kernel holds its own copies in memory; the store is asked at start, and told at each change.

mod memory;
mod sqlite;

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
    /// The action that is undone.
    pub request_id: String,
    /// Its place in the trace, ascending.
    pub order: i64,
    /// The tool that undoes it.
    pub tool: String,
    /// Its arguments, canonical JSON.
    pub args: Vec<u8>,
}

/// How the last kernel left a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// There was none.
    None,
    /// It stopped, and has accepted nothing since.
    Closed {
        /// When, milliseconds since 1970.
        at_ms: i64,
        /// The latest time at which a request that was accepted had been issued, milliseconds since 1970.
        issued_ms: i64,
    },
    /// It crashed; this is the latest time it noted.
    Crashed(i64),
}

/// Durable state of one kernel.
pub trait Store: Send + Sync {
    /// Takes up to `wanted` units of an account out of what `cap` still leaves.
    ///
    /// Returns what was granted, 0 to `wanted`; the sum over all times never exceeds `cap`.
    fn draw(&self, account: &AccountKey, wanted: i64, cap: i64) -> Result<i64, StoreError>;
    /// Adds what was spent beyond a reservation, whatever the cap is.
    fn overrun(&self, account: &AccountKey, amount: i64) -> Result<(), StoreError>;
    /// What an account has drawn.
    fn drawn(&self, account: &AccountKey) -> Result<i64, StoreError>;
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
    /// Forgets those that ended before this moment.
    fn forget_approvals(&self, before_ms: i64) -> Result<(), StoreError>;

    /// Adds an elevation, as it was signed.
    fn add_elevation(&self, id: &str, expires_ms: i64, signed: &[u8]) -> Result<(), StoreError>;
    /// Those that have not expired.
    fn elevations(&self, now_ms: i64) -> Result<Vec<Vec<u8>>, StoreError>;

    /// Remembers what undoes an action.
    fn add_undo(&self, trace_id: &str, undo: &Undo) -> Result<(), StoreError>;
    /// What undoes the actions of a trace, in the order in which they were done.
    fn undos(&self, trace_id: &str) -> Result<Vec<Undo>, StoreError>;
    /// Takes one out; false when somebody else did.
    fn take_undo(&self, trace_id: &str, request_id: &str) -> Result<bool, StoreError>;

    /// Notes that a kernel works with this store, and says how the last one left it.
    fn begin(&self) -> Result<Before, StoreError>;
    /// Notes the latest wall clock, milliseconds since 1970; it never goes back.
    fn note_clock(&self, wall_ms: i64) -> Result<(), StoreError>;
    /// Notes that the kernel has stopped cleanly: the time, and the latest time at which a request that was
    /// accepted had been issued.
    fn finish(&self, wall_ms: i64, issued_ms: i64) -> Result<(), StoreError>;
}
