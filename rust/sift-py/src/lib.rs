//! `sift_fast._core`: the engine as a Python module, and the only crate that knows Python.
//!
//! Everything that crosses is listed here. Each file is one area; `door` is the one way out of the
//! interpreter, `errors` the one way an error comes back, `text` the one way a text comes in.
#![allow(
    unsafe_code,
    reason = "texts are read where Python keeps them: `text` (pinned memory) and `arrow` (C data interface)"
)]

mod arrow;
mod batch;
mod cost;
mod door;
mod errors;
mod files;
mod findings;
#[cfg(feature = "kernel")]
mod kernel;
#[cfg(feature = "kernel")]
mod ledger;
mod ngram;
#[cfg(feature = "kernel")]
mod policy;
mod prompt;
#[cfg(feature = "kernel")]
mod receipts;
mod redact;
mod rules;
mod scanner;
mod stream;
mod taint;
mod text;
mod topic;
mod vault;
#[cfg(feature = "kernel")]
mod waker;

// Python aligns its objects to 16 bytes, whatever is in them: a searcher of `memchr`, which holds vectors of
// 32 bytes, made streams crash.
const _: () = {
    assert!(align_of::<scanner::Scanner>() <= 16);
    assert!(align_of::<stream::Stream>() <= 16);
    assert!(align_of::<redact::Redaction>() <= 16);
    assert!(align_of::<redact::Document>() <= 16);
    assert!(align_of::<vault::Vault>() <= 16);
    assert!(align_of::<vault::Restorer>() <= 16);
    assert!(align_of::<batch::Batch>() <= 16);
    assert!(align_of::<findings::Findings>() <= 16);
    assert!(align_of::<files::FileScan>() <= 16);
    assert!(align_of::<ngram::NgramScorer>() <= 16);
    assert!(align_of::<taint::Fingerprints>() <= 16);
    assert!(align_of::<topic::TopicModel>() <= 16);
    assert!(align_of::<prompt::PromptRuns>() <= 16);
    assert!(align_of::<prompt::PromptStream>() <= 16);
};

/// The native half of sift_fast. Use the package, not this module.
#[pyo3::pymodule(gil_used = true)]
mod _core {
    #[pymodule_export]
    use crate::batch::Batch;
    #[pymodule_export]
    use crate::cost::rules_cost;
    #[pymodule_export]
    use crate::files::{FileFinding, FileReport, FileScan};
    #[pymodule_export]
    use crate::findings::{restore_finding, restore_findings, Explanation, Finding, Findings};
    #[cfg(feature = "kernel")]
    #[pymodule_export]
    use crate::kernel::{
        kernel_socket, sign_elevation, sign_grant, sign_request, trusted_credential, verify_permit,
        ActionRequest, Approval, ApprovalSignature, Authorization, Credential, Kernel,
        KernelServer, Permit, PermitRegister, Session, SignedElevation, SignedGrant, SigningKey,
    };
    #[cfg(feature = "kernel")]
    #[pymodule_export]
    use crate::ledger::Ledger;
    #[pymodule_export]
    use crate::ngram::NgramScorer;
    #[cfg(feature = "kernel")]
    #[pymodule_export]
    use crate::policy::{import_tools, PolicySet};
    #[pymodule_export]
    use crate::prompt::{PromptRuns, PromptStream};
    #[cfg(feature = "kernel")]
    #[pymodule_export]
    use crate::receipts::{audit_ledger, blinded_action, opening_of, Keys, Verifier};
    #[pymodule_export]
    use crate::redact::{check_mask, Document, Item, Redaction};
    #[pymodule_export]
    use crate::rules::{
        build_info, check_rules, examples, generate, rule_sets, rule_table, withdrawn_rules, Rule,
        Rules,
    };
    #[pymodule_export]
    use crate::scanner::Scanner;
    #[pymodule_export]
    use crate::stream::Stream;
    #[pymodule_export]
    use crate::taint::Fingerprints;
    #[pymodule_export]
    use crate::topic::TopicModel;
    #[pymodule_export]
    use crate::vault::{decrypt, Key, Restorer, Vault};
    #[cfg(feature = "kernel")]
    #[pymodule_export]
    use crate::waker::Waker;

    /// Refuses where nothing is tested, and makes `isinstance(x, collections.abc.Sequence)` true for what has
    /// all of its methods.
    #[pymodule_init]
    fn init(module: &pyo3::Bound<'_, pyo3::types::PyModule>) -> pyo3::PyResult<()> {
        let py = module.py();
        crate::door::check_interpreter(py)?;
        pyo3::types::PySequence::register::<Findings>(py)?;
        pyo3::types::PySequence::register::<Rules>(py)
    }
}
