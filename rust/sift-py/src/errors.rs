//! Errors of the core as the exceptions of `sift_fast.errors`. Python owns the classes.

use pyo3::PyErr;
use sift_redact::VaultError;
use sift_rules::RuleError;
use sift_scan::ScanError;

mod raised {
    pyo3::import_exception!(sift_fast.errors, SiftError);
    pyo3::import_exception!(sift_fast.errors, RuleError);
    pyo3::import_exception!(sift_fast.errors, ConfigError);
    pyo3::import_exception!(sift_fast.errors, LimitExceeded);
    pyo3::import_exception!(sift_fast.errors, StateUnavailable);
    #[cfg(feature = "kernel")]
    pyo3::import_exception!(sift_fast.errors, InvalidReceipt);
    #[cfg(feature = "kernel")]
    pyo3::import_exception!(sift_fast.errors, InvalidSignature);
    #[cfg(feature = "kernel")]
    pyo3::import_exception!(sift_fast.errors, LeaseConflict);
    #[cfg(feature = "kernel")]
    pyo3::import_exception!(sift_fast.errors, PolicyError);
}

/// An argument or an option that is wrong.
pub(crate) fn config(message: impl Into<String>) -> PyErr {
    raised::ConfigError::new_err(message.into())
}

/// A limit where an answer would be unsafe or impossible.
pub(crate) fn limit(message: impl Into<String>) -> PyErr {
    raised::LimitExceeded::new_err(message.into())
}

/// What fits nowhere else: a used-up stream, an engine that fails.
pub(crate) fn sift(message: impl Into<String>) -> PyErr {
    raised::SiftError::new_err(message.into())
}

/// A rule document that is wrong.
pub(crate) fn rule(error: &RuleError) -> PyErr {
    raised::RuleError::new_err(error.to_string())
}

/// Any error of a scanner.
pub(crate) fn scan(error: &ScanError) -> PyErr {
    let message = error.to_string();
    match error {
        ScanError::Rule(_) | ScanError::Compile { .. } => raised::RuleError::new_err(message),
        ScanError::Option(_) => config(message),
        ScanError::TooLong { .. } | ScanError::Limit(_) => limit(message),
        _ => sift(message),
    }
}

/// Any error of a vault.
pub(crate) fn vault(error: &VaultError) -> PyErr {
    match error {
        VaultError::Full(_) => limit(error.to_string()),
        _ => raised::StateUnavailable::new_err(error.to_string()),
    }
}

/// A policy, a manifest or a schema that is wrong.
#[cfg(feature = "kernel")]
pub(crate) fn policy(message: impl Into<String>) -> PyErr {
    raised::PolicyError::new_err(message.into())
}

/// A receipt or ledger that does not say what it should.
#[cfg(feature = "kernel")]
pub(crate) fn receipt(message: impl Into<String>) -> PyErr {
    raised::InvalidReceipt::new_err(message.into())
}

/// State that cannot be read or trusted.
#[cfg(feature = "kernel")]
pub(crate) fn unavailable(message: impl Into<String>) -> PyErr {
    raised::StateUnavailable::new_err(message.into())
}

/// Any error of the kernel.
#[cfg(feature = "kernel")]
pub(crate) fn kernel(error: &sift_kernel::KernelError) -> PyErr {
    use sift_kernel::KernelError;
    let message = error.to_string();
    match error {
        KernelError::Config(_) | KernelError::Invalid(_) => config(message),
        KernelError::Policy(_) => raised::PolicyError::new_err(message),
        KernelError::Signature(_) => raised::InvalidSignature::new_err(message),
        KernelError::LeaseConflict(_) => raised::LeaseConflict::new_err(message),
        KernelError::Limit(_) => limit(message),
        KernelError::Permit(_) => receipt(message),
        _ => unavailable(message),
    }
}
