//! Approvals: what waits for people, what they sign, and how it is used once.
//!
//! An approval is bound to the digest of the action, which leaves out nonce and times, so the same action can be
//! asked for again when it was approved, and no other one can. What is stored and shown is a digest that nobody finds
//! the action by (`opening`). Approvers get a copy of the action, with what the digest is checked with, that is sealed
//! for their key; what they sign holds the digest of what they read.

use sha2::{Digest, Sha256};
use sift_ledger::keys::PrivateKey;
use sift_ledger::receipt::blind_action;
use zeroize::Zeroizing;

use crate::error::{KernelError, Result};
use crate::seal;
use crate::wire::Preimage;

/// Where an approval stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApprovalState {
    /// It waits for signatures.
    Pending,
    /// There are enough of them.
    Approved,
    /// Somebody said no.
    Rejected,
    /// It was not signed or used in time.
    Expired,
    /// It has allowed an action, once.
    Consumed,
}

const STATES: [(ApprovalState, &str); 5] = [
    (ApprovalState::Pending, "pending"),
    (ApprovalState::Approved, "approved"),
    (ApprovalState::Rejected, "rejected"),
    (ApprovalState::Expired, "expired"),
    (ApprovalState::Consumed, "consumed"),
];

impl ApprovalState {
    /// As it is stored and shown.
    pub fn word(self) -> &'static str {
        STATES.iter().find(|(state, _)| *state == self).map_or("", |(_, word)| word)
    }

    /// The other way round.
    pub fn from_word(word: &str) -> Option<Self> {
        STATES.iter().find(|(_, known)| *known == word).map(|(state, _)| *state)
    }
}

/// What an approver says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may be done.
    Approve,
    /// It may not.
    Reject,
}

impl Verdict {
    /// As it is signed, stored and shown.
    pub fn word(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Reject => "reject",
        }
    }

    /// The other way round.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Approve, Self::Reject].into_iter().find(|verdict| verdict.word() == word)
    }
}

/// A copy of the action for one approver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Id of the approver's key.
    pub approver: String,
    /// See `seal`.
    pub bytes: Vec<u8>,
}

/// A signature of an approver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// Id of the key.
    pub approver: String,
    /// Whose key it is: two keys of one person are one approval.
    pub name: String,
    /// What was said.
    pub verdict: Verdict,
    /// When it came, milliseconds since 1970.
    pub at_ms: i64,
    /// 64 bytes of Ed25519.
    pub signature: Vec<u8>,
}

/// One approval, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApprovalRecord {
    /// Random, 32 hexadecimal digits.
    pub id: String,
    /// What its receipts say of the action: [`sift_ledger::receipt::blind_action`], with the opening of its `id`.
    pub action: Vec<u8>,
    /// Who asks.
    pub tenant: String,
    /// Who asks.
    pub agent: String,
    /// In which session.
    pub session: Option<String>,
    /// Id of the key that asked.
    pub requester: String,
    /// For which tool.
    pub tool: String,
    /// The rule that asks for it.
    pub rule: String,
    /// How many people must approve.
    pub m: u32,
    /// Of which group.
    pub group: String,
    /// Milliseconds since 1970.
    pub created_ms: i64,
    /// Milliseconds since 1970.
    pub expires_ms: i64,
    /// Where it stands.
    pub state: ApprovalState,
    /// Copies for those who may sign.
    pub sealed: Vec<Sealed>,
    /// Who has signed.
    pub signatures: Vec<Signed>,
}

impl ApprovalRecord {
    /// What an approver signs.
    ///
    /// Args: the kernel it is for; what [`Self::action`] should be, by what was read; what is said.
    pub fn preimage(&self, audience: &str, action: &[u8], verdict: Verdict) -> Vec<u8> {
        Preimage::new("sift-approval-v2")
            .text(audience)
            .text(&self.id)
            .bytes(action)
            .text(&self.rule)
            .number(self.expires_ms)
            .text(verdict.word())
            .finish()
    }
}

impl ApprovalRecord {
    /// The action, as an approver reads it: canonical JSON.
    ///
    /// Args: the kernel it is for; the id of the approver's key; the key.
    ///
    /// Errors: `Invalid` when there is no copy for this key, or it is not the action that is to be approved.
    pub fn open(
        &self,
        audience: &str,
        key_id: &str,
        key: &PrivateKey,
    ) -> Result<Zeroizing<Vec<u8>>> {
        self.read(audience, key_id, key).map(|(action, _)| action)
    }

    /// The action, and what receipts say of it.
    fn read(
        &self,
        audience: &str,
        key_id: &str,
        key: &PrivateKey,
    ) -> Result<(Zeroizing<Vec<u8>>, [u8; 32])> {
        let copy =
            self.sealed.iter().find(|sealed| sealed.approver == key_id).ok_or_else(|| {
                KernelError::Invalid(format!("there is no copy of the action for key `{key_id}`"))
            })?;
        let copy = seal::open(&key.scalar(), &seal_label(audience, &self.id), &copy.bytes)?;
        if let Some((opening, action)) = copy.split_first_chunk::<32>() {
            let known = blind_action(opening, &digest(action));
            if known.as_slice() == self.action {
                return Ok((Zeroizing::new(action.to_vec()), known));
            }
        }
        Err(KernelError::Invalid("the copy is not the action that is to be approved".to_owned()))
    }

    /// An approver's signature, over what was read and not over what the kernel says it is.
    ///
    /// Args: as for [`Self::open`]; what is said.
    ///
    /// Errors: as for [`Self::open`].
    pub fn sign(
        &self,
        audience: &str,
        key_id: &str,
        key: &PrivateKey,
        verdict: Verdict,
    ) -> Result<[u8; 64]> {
        let (_, known) = self.read(audience, key_id, key)?;
        Ok(key.sign(&self.preimage(audience, &known, verdict)))
    }
}

/// What a sealed copy belongs to.
pub(crate) fn seal_label(audience: &str, id: &str) -> Vec<u8> {
    Preimage::new("sift-approval-copy-v2").text(audience).text(id).finish()
}

/// The digest an action is known by: SHA-256 of its canonical JSON (RFC 8785).
pub(crate) fn digest(canonical: &[u8]) -> [u8; 32] {
    Sha256::digest(canonical).into()
}
