//! The pipeline `view -> match -> confirm -> check -> select -> resolve`, for whole texts and streams.
//!
//! Build a [`Scanner`] once and share it between threads. It answers for a whole text with
//! [`Scanner::scan`], hands the pieces of a redaction to a [`Sink`] with [`Scanner::redact`], and does
//! the same for a text that arrives in pieces with [`Scanner::stream`]. Offsets are bytes; the Python
//! crate converts them. How a stream can be exact is argued in DESIGN.md §1 to §3.
//!
//! ```
//! use std::sync::Arc;
//! use sift_rules::RuleSet;
//! use sift_scan::{Options, Scanner};
//!
//! let rules = RuleSet::select(&["secrets"], &[])?;
//! let scanner = Scanner::new(Arc::new(rules), Options::default())?;
//! assert!(scanner.scan(b"nothing to see here")?.findings.is_empty());
//! # Ok::<(), sift_scan::ScanError>(())
//! ```

mod builtin;
mod cache;
mod candidate;
mod confirm;
mod decoded;
mod error;
mod hold;
mod limits;
mod machine;
mod marks;
mod matcher;
mod provider;
mod resolve;
mod runs;
mod scanner;
mod stream;
mod undecided;
mod veils;
pub mod verify;

use sift_text::decode::Chain;

pub use builtin::{engine_version, EngineKind};
pub use error::ScanError;
pub use limits::{Incomplete, Limits};
pub use resolve::Sink;
pub use scanner::{Explained, Options, Outcome, Scan, Scanner, Work};
#[cfg(feature = "faults")]
pub use stream::Fault;
pub use stream::Stream;

/// One confirmed span.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Finding {
    /// Position in [`sift_rules::RuleSet::rules`].
    pub rule: u32,
    /// First byte in the original text.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
    /// Between 0 and 1.
    pub score: f32,
    /// How it was encoded, from the outermost encoding to the innermost; none if it stands there as it is.
    pub decoded: Chain,
}

/// Findings at or above this score are edited.
pub const EDIT_SCORE: f32 = 0.5;
