//! Errors of building a scanner and of scanning.

use sift_rules::RuleError;

/// Why there is no scanner, or no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScanError {
    /// A rule document is wrong.
    #[error(transparent)]
    Rule(#[from] RuleError),
    /// A rule cannot be given to the engine.
    #[error("rule `{rule}` cannot be compiled: {reason}")]
    Compile {
        /// The rule id.
        rule: String,
        /// What the engine says.
        reason: String,
    },
    /// An option is wrong.
    #[error("{0}")]
    Option(String),
    /// The text is longer than the limit.
    #[error("the text has {bytes} bytes, more than the limit of {limit}: raise `text_bytes` or split it")]
    TooLong {
        /// Length of the text.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// A limit was hit where an incomplete answer would be unsafe.
    #[error("the limit `{0}` was hit, so the text cannot be redacted safely: raise the limit or split the text")]
    Limit(&'static str),
    /// A stream was used after it had ended or failed.
    #[error("the stream {0}")]
    Stream(&'static str),
    /// The engine failed.
    #[error("the engine failed: {0}")]
    Engine(String),
}
