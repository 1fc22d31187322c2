//! What goes wrong, as opposed to what is denied.

use std::path::PathBuf;

/// Misuse or breakage. A denial is no error: it is an `Authorization`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KernelError {
    /// A setting, a key file or a budget that is wrong; nothing was opened.
    #[error("{0}")]
    Config(String),
    /// The policy or the manifest is wrong; nothing was loaded.
    #[error("{0}")]
    Policy(String),
    /// Something that was handed in cannot be what it should be.
    #[error("{0}")]
    Invalid(String),
    /// A signature or a MAC that does not verify, or a key that may not sign this.
    #[error("{0}")]
    Signature(String),
    /// A lease that ended before, with another outcome, or is not known.
    #[error("{0}")]
    LeaseConflict(String),
    /// More than may be held at once.
    #[error("{0}")]
    Limit(String),
    /// A permit that does not allow this call.
    #[error("{0}")]
    Permit(String),
    /// State that cannot be reached or trusted.
    #[error("{0}")]
    Unavailable(String),
}

/// As the other errors of this crate.
pub type Result<T> = std::result::Result<T, KernelError>;

/// The store could not do what it was asked, and has done nothing.
#[derive(Debug, thiserror::Error)]
#[error("the store of the kernel failed to {what}: {reason}")]
pub struct StoreError {
    /// What it was asked.
    pub what: &'static str,
    /// What the system or the database says; never content.
    pub reason: String,
}

impl From<StoreError> for KernelError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<getrandom::Error> for KernelError {
    fn from(error: getrandom::Error) -> Self {
        Self::Unavailable(format!("the system gives no randomness: {error}"))
    }
}

/// A file that cannot be read or written, in one sentence.
pub(crate) fn file(path: impl Into<PathBuf>, what: &str, error: &std::io::Error) -> KernelError {
    KernelError::Config(format!("cannot {what} `{}`: {error}", path.into().display()))
}
