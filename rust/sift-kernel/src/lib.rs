//! The action kernel: signs off every action of an agent before its side effect, in this order: authenticate,
//! evaluate, reserve, decide, record.
//!
//! [`Kernel::authorize`] answers in microseconds with a decision and, for what is allowed, a reservation of
//! budget. [`Kernel::durable`] waits until the receipt of that decision is on disk and hands out the permit.
//! [`Kernel::settle`] charges what the action cost. Whatever fails is a denial. `docs/kernel-states.md` says
//! what is durable when, and what a crash at each point leaves.
//!
//! Policies are `sift_policy`'s, receipts and the log `sift_ledger`'s. This crate knows nothing of scanning
//! text: an [`ArgumentScanner`] brings that in. Time, storage and the log come in through traits.

mod approval;
mod budget;
mod canonical;
mod clock;
mod codec;
mod config;
mod decisions;
mod error;
mod gate;
mod kernel;
mod ledger;
mod names;
mod nonce;
mod observed;
mod opening;
mod own;
mod permit;
mod process;
mod request;
mod revocation;
mod seal;
mod seeds;
mod session;
pub mod socket;
mod start;
mod store;
mod sync;
mod taint;
mod wire;

pub use approval::{ApprovalRecord, ApprovalState, Sealed, Signed, Verdict};
pub use budget::{
    Books, Bounds, Budgets, Charge, LeaseState, Limit, Only, Outcome, Rate, Refused, Scope, Who,
};
pub use clock::{Clock, ManualClock, SystemClock};
pub use codec::to_json;
pub use config::{
    ApprovalBounds, Config, LeaseBounds, LogBounds, Mode, ReceiptClass, Release, RequestBounds,
    SessionBounds, Window,
};
pub use error::{KernelError, Result, StoreError};
pub use gate::{Answer, Gate, Local, Totals};
pub use kernel::{
    ArgumentScanner, Authorization, Decision, Durable, Kernel, Parts, Status, TaintSource,
};
pub use ledger::{DiskLedger, Ledger, LedgerError, MemoryLedger, Pending, Placed, Told};
pub use nonce::NONCE_BYTES;
pub use opening::Openings;
pub use permit::{Permit, Register};
pub use request::{sign, ActionRequest, Credential, Proof, Stamp};
pub use revocation::{Subject, SubjectKind};
pub use session::{Elevation, Session, SessionGrant, SignedElevation, SignedGrant};
pub use store::{
    AccountKey, Before, Mark, MemoryStore, Noted, SqliteStore, Store, Trace, Undo, Waits,
};
pub use taint::{TaintBounds, TaintMemory, PASSAGE};
