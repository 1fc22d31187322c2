//! The one interface to a kernel, in this process or behind a socket: the same operations, the same answers.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sift_ledger::keys::Keyring;
use sift_policy::json::Value;
use sift_policy::{Policy, ShadowCounters};

use crate::approval::{ApprovalRecord, ApprovalState, Verdict};
use crate::budget::{Ending, LeaseState, Outcome};
use crate::config::check_places;
use crate::error::{KernelError, Result};
use crate::kernel::{ArgumentScanner, Authorization, Durable, Kernel, TaintSource};
use crate::request::{ActionRequest, Credential};
use crate::revocation::Subject;
use crate::session::{Session, SignedElevation, SignedGrant};
use crate::socket::Slot;
use crate::store::{AccountKey, Trace, Undo};
use crate::taint::{TaintBounds, TaintMemory};

/// The answer to a request, and where its receipt comes from.
pub struct Answer {
    /// What was decided.
    pub authorization: Authorization,
    /// What the other process keeps for it; nothing in this one, and for answers without receipt.
    pub(crate) slot: Option<Arc<Slot>>,
}

impl Deref for Answer {
    type Target = Authorization;

    fn deref(&self) -> &Authorization {
        &self.authorization
    }
}

/// `(drawn, reserved, settled)` of accounts.
pub type Totals = BTreeMap<AccountKey, (i64, i64, i64)>;

/// What can be asked of a kernel. Everything but [`Self::authorize`], which denies, gives `Unavailable` when the
/// kernel cannot be reached; further errors are those of the methods of [`Kernel`] with the same names.
pub trait Gate: Send + Sync {
    /// Whom requests must be addressed to.
    fn audience(&self) -> &str;
    /// Whether each call goes to another process.
    fn remote(&self) -> bool;
    /// Hash of the policy in force.
    fn policy_hash(&self) -> Result<[u8; 32]>;
    /// See [`Kernel::authorize`].
    fn authorize(
        &self,
        request: &ActionRequest,
        credential: &Credential,
        approval: Option<&str>,
    ) -> Answer;
    /// See [`Kernel::durable`].
    fn durable(&self, answer: &Answer) -> Result<Option<Durable>>;
    /// See [`Kernel::recorded`].
    fn recorded(&self, answer: &Answer) -> Result<Option<Durable>>;
    /// Calls back once when [`Self::durable`] would not wait; false when there is nothing to wait for.
    fn when_durable(&self, answer: &Answer, told: Box<dyn FnOnce() + Send>) -> bool;
    /// See [`Kernel::settle`], then [`Kernel::remember_undo`] with what the tool returned.
    fn settle(&self, lease: &str, actual: BTreeMap<String, i64>, result: &Value)
        -> Result<Outcome>;
    /// See [`Kernel::cancel`]; what may have happened all the same is as for [`Self::abandon`].
    fn cancel(&self, lease: &str) -> Result<Outcome>;
    /// See [`Kernel::abandon`], then [`Kernel::remember_undo`] without a result: it may have happened.
    fn abandon(&self, lease: &str) -> Result<Outcome>;
    /// See [`Kernel::undos`].
    fn undos(&self, trace: Trace<'_>) -> Result<Vec<Undo>>;
    /// See [`Kernel::take_undo`].
    fn take_undo(&self, trace: Trace<'_>, request_id: &str) -> Result<bool>;
    /// See [`Kernel::return_undo`].
    fn return_undo(&self, trace: Trace<'_>, request_id: &str) -> Result<()>;
    /// See [`TaintMemory::observe`]; what is too long for the way to the kernel counts as [`TaintMemory::overflow`].
    fn observe(&self, tenant: &str, conversation: &str, source: &str, text: &str) -> Result<()>;
    /// See [`Kernel::open_session`].
    fn open_session(&self, signed: &SignedGrant) -> Result<Session>;
    /// See [`Kernel::elevate`].
    fn elevate(&self, signed: &SignedElevation) -> Result<()>;
    /// See [`Kernel::pending`].
    fn pending(&self) -> Result<Vec<ApprovalRecord>>;
    /// See [`Kernel::approval`].
    fn approval(&self, id: &str) -> Result<Option<ApprovalRecord>>;
    /// See [`Kernel::sign_approval`].
    fn sign_approval(
        &self,
        id: &str,
        key_id: &str,
        verdict: Verdict,
        signature: &[u8],
    ) -> Result<ApprovalState>;
    /// See [`Kernel::revoke`].
    fn revoke(&self, subject: &Subject) -> Result<()>;
    /// See [`Kernel::reinstate`].
    fn reinstate(&self, subject: &Subject) -> Result<()>;
    /// Reads policies, manifest and public keys again; all or nothing.
    fn reload(&self) -> Result<()>;
    /// See [`Kernel::proof`].
    fn proof(&self, index: u64) -> Result<String>;
    /// Accounts that the kernel has touched.
    fn totals(&self) -> Result<Totals>;
    /// What policies in shadow mode did since they were loaded.
    fn shadow_counters(&self) -> Result<Vec<ShadowCounters>>;
    /// Lets go of the kernel. In this process that closes it; behind a socket it goes on for others.
    fn close(&self) -> Result<()>;
}

/// A kernel in this process, with the folder it was read from and what it has observed.
pub struct Local {
    kernel: Kernel,
    folder: PathBuf,
    taint: Arc<TaintMemory>,
}

impl Local {
    /// Opens the kernel of a folder here, whatever its settings say about sockets.
    ///
    /// Errors: those of [`Kernel::open`].
    pub fn open(folder: &Path, scanner: Option<Arc<dyn ArgumentScanner>>) -> Result<Self> {
        let taint = Arc::new(TaintMemory::new(TaintBounds::default()));
        let sources = Arc::clone(&taint) as Arc<dyn TaintSource>;
        let kernel = Kernel::open(folder, scanner, Some(sources))?;
        Ok(Self { kernel, folder: folder.to_owned(), taint })
    }

    /// See [`TaintMemory::overflow`].
    pub(crate) fn overflow(&self, tenant: &str, conversation: &str) -> Result<()> {
        let full = self.taint.overflow(tenant, conversation);
        let noted = self.kernel.note_observed(tenant, conversation);
        full.and(noted)
    }

    /// The end of a lease, for a user behind a socket or this process; with what the tool returned, when it is
    /// settled.
    pub(crate) fn end_for(
        &self,
        peer: Option<u32>,
        lease: &str,
        ending: Ending,
        result: &Value,
    ) -> Result<Outcome> {
        let outcome = self.kernel.end_for(peer, lease, ending)?;
        if outcome.state != LeaseState::Cancelled {
            self.kernel.remember_undo(lease, result)?;
        }
        Ok(outcome)
    }

    /// The kernel itself.
    pub fn kernel(&self) -> &Kernel {
        &self.kernel
    }
}

impl Gate for Local {
    fn audience(&self) -> &str {
        &self.kernel.config().audience
    }

    fn remote(&self) -> bool {
        false
    }

    fn policy_hash(&self) -> Result<[u8; 32]> {
        Ok(*self.kernel.policy().hash())
    }

    fn authorize(
        &self,
        request: &ActionRequest,
        credential: &Credential,
        approval: Option<&str>,
    ) -> Answer {
        Answer { authorization: self.kernel.authorize(request, credential, approval), slot: None }
    }

    fn durable(&self, answer: &Answer) -> Result<Option<Durable>> {
        self.kernel.durable(&answer.authorization)
    }

    fn recorded(&self, answer: &Answer) -> Result<Option<Durable>> {
        self.kernel.recorded(&answer.authorization)
    }

    fn when_durable(&self, answer: &Answer, told: Box<dyn FnOnce() + Send>) -> bool {
        self.kernel.when_durable(&answer.authorization, told)
    }

    fn settle(
        &self,
        lease: &str,
        actual: BTreeMap<String, i64>,
        result: &Value,
    ) -> Result<Outcome> {
        self.end_for(None, lease, Ending::Settle(actual), result)
    }

    fn cancel(&self, lease: &str) -> Result<Outcome> {
        self.end_for(None, lease, Ending::Cancel, &Value::Null)
    }

    fn abandon(&self, lease: &str) -> Result<Outcome> {
        self.end_for(None, lease, Ending::Abandon, &Value::Null)
    }

    fn undos(&self, trace: Trace<'_>) -> Result<Vec<Undo>> {
        self.kernel.undos(trace)
    }

    fn take_undo(&self, trace: Trace<'_>, request_id: &str) -> Result<bool> {
        self.kernel.take_undo(trace, request_id)
    }

    fn return_undo(&self, trace: Trace<'_>, request_id: &str) -> Result<()> {
        self.kernel.return_undo(trace, request_id)
    }

    fn observe(&self, tenant: &str, conversation: &str, source: &str, text: &str) -> Result<()> {
        // Here first: what follows in this process is right, whatever the disk says.
        let known = self.taint.observe(tenant, conversation, source, text);
        let noted = self.kernel.note_observed(tenant, conversation);
        known.and(noted)
    }

    fn open_session(&self, signed: &SignedGrant) -> Result<Session> {
        self.kernel.open_session(signed)
    }

    fn elevate(&self, signed: &SignedElevation) -> Result<()> {
        self.kernel.elevate(signed)
    }

    fn pending(&self) -> Result<Vec<ApprovalRecord>> {
        self.kernel.pending()
    }

    fn approval(&self, id: &str) -> Result<Option<ApprovalRecord>> {
        self.kernel.approval(id)
    }

    fn sign_approval(
        &self,
        id: &str,
        key_id: &str,
        verdict: Verdict,
        signature: &[u8],
    ) -> Result<ApprovalState> {
        self.kernel.sign_approval(id, key_id, verdict, signature)
    }

    fn revoke(&self, subject: &Subject) -> Result<()> {
        self.kernel.revoke(subject)
    }

    fn reinstate(&self, subject: &Subject) -> Result<()> {
        self.kernel.reinstate(subject)
    }

    fn reload(&self) -> Result<()> {
        check_places(&self.folder, self.kernel.config())?;
        let keys = Keyring::load(&self.folder.join("keys.toml"))
            .map_err(|error| KernelError::Config(error.to_string()))?;
        let policy =
            Policy::load(&self.folder).map_err(|error| KernelError::Policy(error.to_string()))?;
        self.kernel.reload(policy, keys)
    }

    fn proof(&self, index: u64) -> Result<String> {
        self.kernel.proof(index)
    }

    fn totals(&self) -> Result<Totals> {
        Ok(self.kernel.books().totals())
    }

    fn shadow_counters(&self) -> Result<Vec<ShadowCounters>> {
        Ok(self.kernel.policy().shadow_counters())
    }

    fn close(&self) -> Result<()> {
        self.kernel.close()
    }
}
