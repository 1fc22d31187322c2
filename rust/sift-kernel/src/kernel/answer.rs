//! What a kernel answers: the decision, and what its receipt and its permit are made of.

use std::sync::{Arc, OnceLock};

use sift_ledger::log::Entry;

use crate::ledger::{Pending, Placed};
use crate::names::Names;

/// What was decided about an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It may be done, once the permit is there.
    Allow,
    /// People must approve it first.
    Escalate,
    /// It may not be done.
    Deny,
}

impl Decision {
    /// As it is shown.
    pub fn word(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Escalate => "escalate",
            Self::Deny => "deny",
        }
    }
}

/// How the check itself went. Anything but `Ok` comes with a denial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Everything was checked.
    Ok,
    /// Something could not be checked.
    Error,
}

impl Status {
    /// As it is shown.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
        }
    }
}

/// The answer to a request.
#[derive(Clone)]
pub struct Authorization {
    /// What was decided.
    pub decision: Decision,
    /// Why, as a stable code.
    pub reason: String,
    /// A text for a user, if the policy has one.
    pub message: Option<String>,
    /// Policies, limits or rates that decided.
    pub rule_ids: Vec<String>,
    /// How the check went.
    pub status: Status,
    /// Hash of the policy that was asked.
    pub policy_hash: [u8; 32],
    /// The reservation of an action that is allowed.
    pub lease: Option<String>,
    /// The approval that is asked for, or was used.
    pub approval: Option<String>,
    /// Name of the request.
    pub request_id: String,
    /// Policies in shadow mode that would have changed the decision.
    pub shadow: Vec<String>,
    /// Sources that reached the arguments.
    pub taint: Vec<String>,
    pub(super) record: Option<Record>,
}

/// The receipt on its way, and what its permit is made of.
#[derive(Clone)]
pub(super) struct Record {
    pub(super) receipt: Entry,
    pub(super) opening: [u8; 32],
    pub(super) pending: Arc<dyn Pending>,
    pub(super) permit: Option<Arc<Prepared>>,
    pub(super) wait: bool,
}

/// A permit that is not handed out yet, and maybe never.
pub(super) struct Prepared {
    /// Tenant, agent, lease, session, the key that proved who asks.
    pub(super) names: Names<5>,
    pub(super) secret: [u8; 32],
    /// The statement, where the log alone signs the receipt: a permit is signed by itself.
    pub(super) statement: Option<Vec<u8>>,
    pub(super) made: OnceLock<Arc<Vec<u8>>>,
}

impl Prepared {
    pub(super) fn tenant(&self) -> &str {
        self.names.get(0).unwrap_or_default()
    }

    pub(super) fn agent(&self) -> &str {
        self.names.get(1).unwrap_or_default()
    }

    pub(super) fn lease(&self) -> &str {
        self.names.get(2).unwrap_or_default()
    }

    pub(super) fn session(&self) -> Option<&str> {
        self.names.get(3)
    }

    pub(super) fn key_id(&self) -> Option<&str> {
        self.names.get(4)
    }
}

impl Record {
    /// A denial's receipt is waited for in any case: nothing is gained by not doing so.
    pub(super) fn waits(&self) -> bool {
        self.wait || self.permit.is_none()
    }
}

/// What is handed out once a receipt is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Durable {
    /// The receipt: a DSSE envelope, as it lies in the log.
    pub receipt: Arc<Vec<u8>>,
    /// What its digests are checked with, together with the action. It is in no receipt: who reads the ledger and has
    /// it can try out arguments.
    pub opening: [u8; 32],
    /// The permit, if the action is allowed and was not cancelled: a DSSE envelope.
    pub permit: Option<Arc<Vec<u8>>>,
    /// Where the receipt lies; nothing when the permit was not to wait for that.
    pub placed: Option<Placed>,
}

impl Authorization {
    pub(super) fn refused(refusal: Refusal, request_id: &str, policy_hash: [u8; 32]) -> Self {
        Self {
            decision: Decision::Deny,
            reason: refusal.reason,
            message: None,
            rule_ids: refusal.rules,
            status: refusal.status,
            policy_hash,
            lease: None,
            approval: None,
            request_id: request_id.to_owned(),
            shadow: Vec::new(),
            taint: Vec::new(),
            record: None,
        }
    }

    /// The denial of a kernel that cannot be reached; one behind a socket fills in what it said.
    pub(crate) fn unavailable(request_id: &str) -> Self {
        Self::refused(broken("kernel_unavailable"), request_id, [0; 32])
    }

    /// Whether there is a receipt: none is written for callers that did not prove who they are.
    pub fn has_receipt(&self) -> bool {
        self.record.is_some()
    }
}

/// A denial before the policy was asked, or after it.
pub(super) struct Refusal {
    pub(super) reason: String,
    pub(super) status: Status,
    pub(super) rules: Vec<String>,
}

pub(super) fn refuse(reason: &str) -> Refusal {
    Refusal { reason: reason.to_owned(), status: Status::Ok, rules: Vec::new() }
}

pub(super) fn broken(reason: &str) -> Refusal {
    Refusal { status: Status::Error, ..refuse(reason) }
}
