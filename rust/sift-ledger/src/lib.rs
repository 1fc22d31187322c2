//! Receipts and the log that keeps them: what happened, signed, and provable without asking us.
//!
//! A receipt is an in-toto Statement in a DSSE envelope ([`receipt`], [`dsse`]). Envelopes are the leaves of an
//! RFC 6962 Merkle tree ([`merkle`]), kept as C2SP tlog-tiles with signed checkpoints ([`tiles`], [`note`],
//! [`log`]). Public keys come from `keys.toml` ([`keys`]). [`audit`] reads a whole ledger and says what was done
//! to it. Nothing here reads a clock or knows what a policy is.

pub mod audit;
pub mod dsse;
pub mod jcs;
pub mod keys;
pub mod log;
pub mod merkle;
pub mod note;
pub mod receipt;
pub mod storage;
pub mod tiles;

mod entry;
mod head;
mod journal;
mod kept;
mod recovery;
mod signal;
mod signing;
mod text;
mod tree;
mod writer;

pub use text::{from_hex_32, hex};
