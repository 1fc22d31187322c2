//! Approvals: asked for, signed by people, used once.

use std::collections::HashSet;
use std::sync::Arc;

use sift_ledger::hex;
use sift_ledger::keys::{PublicKey, Purpose};
use sift_ledger::receipt::{self, Fields};
use sift_policy::{ApprovalRule, Approver};
use zeroize::Zeroizing;

use super::admit::Caller;
use super::answer::{broken, refuse, Refusal};
use super::Kernel;
use crate::approval::{seal_label, ApprovalRecord, ApprovalState, Sealed, Signed, Verdict};
use crate::error::{KernelError, Result, StoreError};
use crate::request::ActionRequest;
use crate::seal;
use crate::store::Waits;
use crate::sync::lock;
use crate::wire::random;

/// An approval that may be used, and the people who gave it.
pub(super) struct Approved {
    pub(super) id: String,
    pub(super) by: Vec<Approver>,
}

impl Kernel {
    /// Asks people for an approval, or finds the one that is asked for already.
    pub(super) fn ask(
        &self,
        request: &ActionRequest,
        caller: &Caller,
        rule: &ApprovalRule,
    ) -> std::result::Result<String, Refusal> {
        let now = caller.now.wall;
        let unavailable = |_| broken("store_unavailable");
        let mut waiting = lock(&self.waiting);
        let own = self.store.waiting(&request.tenant, &request.agent, now).map_err(unavailable)?;
        // An action that is asked for again waits for the same people. Each is known by a digest of its own.
        let same = |one: &&Waits| {
            one.rule == *rule.name && one.action == self.blind(&one.id, None, &caller.action)
        };
        if let Some(one) = own.iter().find(same) {
            return Ok(one.id.clone());
        }
        let bounds = &self.config.approval;
        if waiting.len() >= bounds.pending {
            self.expire(&mut waiting, now).map_err(unavailable)?;
        }
        if waiting.len() >= bounds.pending || own.len() >= bounds.pending_per_agent {
            return Err(refuse("approvals_full"));
        }
        let id = hex(&random::<16>().map_err(|_| broken("no_randomness"))?);
        let label = seal_label(&self.config.audience, &id);
        let opening = self.openings.opening(&id, None, &caller.action);
        let copy = Zeroizing::new([opening.as_slice(), &caller.canonical].concat());
        let keys = self.keys();
        let mut sealed = Vec::new();
        for key in keys.of(Purpose::Approver) {
            if self.may_sign(key, &rule.group, &request.tenant, caller.key.as_deref(), now) {
                let bytes = seal::seal(&key.to_bytes(), &label, &copy)
                    .map_err(|_| broken("approval_not_sealed"))?;
                sealed.push(Sealed { approver: key.id.clone(), bytes });
            }
        }
        let approval = ApprovalRecord {
            id: id.clone(),
            action: receipt::blind_action(&opening, &caller.action).to_vec(),
            tenant: request.tenant.clone(),
            agent: request.agent.clone(),
            session: request.session.clone(),
            requester: caller.key.as_ref().map(|key| key.id.clone()).unwrap_or_default(),
            tool: request.tool.clone(),
            rule: rule.name.to_string(),
            m: rule.m,
            group: rule.group.to_string(),
            created_ms: now,
            expires_ms: now.saturating_add(bounds.seconds.saturating_mul(1_000)),
            state: ApprovalState::Pending,
            sealed,
            signatures: Vec::new(),
        };
        self.store.add_approval(&approval).map_err(unavailable)?;
        waiting.insert(id.clone());
        Ok(id)
    }

    /// Whether a key may sign for an action: of the group, of the tenant, valid, not revoked, and not of whoever
    /// asks.
    pub(super) fn may_sign(
        &self,
        key: &PublicKey,
        group: &str,
        tenant: &str,
        requester: Option<&PublicKey>,
        now_ms: i64,
    ) -> bool {
        key.groups.iter().any(|one| one == group)
            && key.tenant.as_ref().is_none_or(|one| one == tenant)
            && key.check_time(now_ms).is_ok()
            && self.revocations.find(tenant, "", None, Some(&key.id)).is_none()
            && requester
                .is_none_or(|one| one.to_bytes() != key.to_bytes() && person(one) != person(key))
    }

    fn expire(
        &self,
        waiting: &mut HashSet<String>,
        now_ms: i64,
    ) -> std::result::Result<(), StoreError> {
        for approval in self.store.approvals(ApprovalState::Pending)? {
            if approval.expires_ms <= now_ms {
                self.store.move_approval(
                    &approval.id,
                    ApprovalState::Pending,
                    ApprovalState::Expired,
                )?;
                waiting.remove(&approval.id);
            }
        }
        Ok(())
    }

    /// The people who approved exactly this action, if they are enough and still may.
    pub(super) fn approved(
        &self,
        id: &str,
        request: &ActionRequest,
        caller: &Caller,
    ) -> std::result::Result<Approved, Refusal> {
        let record = self
            .store
            .approval(id)
            .map_err(|_| broken("store_unavailable"))?
            .ok_or_else(|| refuse("approval_unknown"))?;
        if record.action != self.blind(&record.id, None, &caller.action)
            || record.tenant != request.tenant
            || record.agent != request.agent
        {
            return Err(refuse("approval_of_another_action"));
        }
        if caller.now.wall >= record.expires_ms {
            return Err(refuse("approval_expired"));
        }
        match record.state {
            ApprovalState::Approved => {}
            ApprovalState::Pending => return Err(refuse("approval_pending")),
            ApprovalState::Rejected => return Err(refuse("approval_rejected")),
            ApprovalState::Expired => return Err(refuse("approval_expired")),
            ApprovalState::Consumed => return Err(refuse("approval_used")),
        }
        // Verified again with the keys of now: one that was revoked since does not count, and neither does one
        // that somebody wrote into the file.
        let keys = self.keys();
        let mut by: Vec<Approver> = Vec::new();
        for signed in &record.signatures {
            let Ok(key) = keys.get(&signed.approver, Purpose::Approver) else { continue };
            let bytes = record.preimage(&self.config.audience, &record.action, signed.verdict);
            if signed.verdict != Verdict::Approve
                || !self.may_sign(
                    key,
                    &record.group,
                    &request.tenant,
                    caller.key.as_deref(),
                    caller.now.wall,
                )
                || key.verify(&bytes, &signed.signature).is_err()
                || by.iter().any(|one| one.name == person(key))
            {
                continue;
            }
            by.push(Approver { name: person(key).to_owned(), groups: key.groups.clone() });
        }
        if by.len() < record.m as usize {
            return Err(refuse("approval_not_enough"));
        }
        Ok(Approved { id: record.id, by })
    }

    /// Approvals that wait, the oldest first.
    ///
    /// Errors: `Unavailable` for a store that fails.
    pub fn pending(&self) -> Result<Vec<ApprovalRecord>> {
        self.check_usable()?;
        let now = self.now()?.wall;
        let mut pending = self.store.approvals(ApprovalState::Pending)?;
        pending.retain(|one| now < one.expires_ms);
        Ok(pending)
    }

    /// One approval, wherever it stands.
    ///
    /// Errors: `Unavailable` for a store that fails.
    pub fn approval(&self, id: &str) -> Result<Option<ApprovalRecord>> {
        self.check_usable()?;
        Ok(self.store.approval(id)?)
    }

    /// Takes what an approver says.
    ///
    /// Args: the approval; the id of the approver's key; what is said; the signature over
    /// [`ApprovalRecord::preimage`].
    ///
    /// Returns where the approval stands now.
    ///
    /// Errors: `Invalid` for an approval that is not known or not pending, `Signature` for a key that may not
    /// sign this or has, and a signature that does not verify; `Unavailable` for a store that fails.
    pub fn sign_approval(
        &self,
        id: &str,
        key_id: &str,
        verdict: Verdict,
        signature: &[u8],
    ) -> Result<ApprovalState> {
        self.check_usable()?;
        let now = self.now()?.wall;
        // One at a time: how many have signed is counted before it is written.
        let mut waiting = lock(&self.waiting);
        let gone = || {
            KernelError::Invalid("the approval is not known, or does not wait any more".to_owned())
        };
        let record = self.store.approval(id)?.ok_or_else(gone)?;
        if record.state != ApprovalState::Pending {
            return Err(gone());
        }
        if now >= record.expires_ms {
            self.store.move_approval(id, ApprovalState::Pending, ApprovalState::Expired)?;
            return Err(KernelError::Invalid("the approval has expired".to_owned()));
        }
        let keys = self.keys();
        let bad = |error: sift_ledger::keys::KeyError| KernelError::Signature(error.to_string());
        let key = keys.get(key_id, Purpose::Approver).map_err(bad)?;
        // Without a key it was this process that asked (`trust_process`), which is nobody in particular.
        let requester = match record.requester.as_str() {
            "" => None,
            id => Some(keys.get(id, Purpose::Agent).map(Arc::as_ref).map_err(|_| {
                KernelError::Signature(
                    "the key that asked is not known any more, so nobody can tell whose it was: let the action be \
                     asked for again"
                        .to_owned(),
                )
            })?),
        };
        if !self.may_sign(key, &record.group, &record.tenant, requester, now) {
            return Err(KernelError::Signature(
                "the key may not sign this: wrong group or tenant, not valid, revoked, or of whoever asks".to_owned(),
            ));
        }
        key.verify(&record.preimage(&self.config.audience, &record.action, verdict), signature)
            .map_err(bad)?;
        if record.signatures.iter().any(|one| one.name == person(key)) {
            return Err(KernelError::Signature("this person has signed already".to_owned()));
        }
        let then = match verdict {
            Verdict::Reject => ApprovalState::Rejected,
            Verdict::Approve if record.signatures.len() + 1 >= record.m as usize => {
                ApprovalState::Approved
            }
            Verdict::Approve => ApprovalState::Pending,
        };
        let signed = Signed {
            approver: key.id.clone(),
            name: person(key).to_owned(),
            verdict,
            at_ms: now,
            signature: signature.to_vec(),
        };
        // First the receipt: a signature that counts and that nobody can prove must not be.
        self.record_approval(&record, &signed, then)?;
        if !self.store.sign_approval(id, &signed, then)? {
            return Err(gone());
        }
        if then != ApprovalState::Pending {
            waiting.remove(id);
        }
        Ok(then)
    }

    /// A receipt of what an approver said.
    fn record_approval(
        &self,
        record: &ApprovalRecord,
        signed: &Signed,
        then: ApprovalState,
    ) -> Result<()> {
        let policy = self.policy();
        let action = record.action.as_slice().try_into().map_err(|_| {
            KernelError::Unavailable(
                "the approval in the store has no digest of an action".to_owned(),
            )
        })?;
        self.record_event(&Fields {
            event: "approval",
            request_id: &record.id,
            action_hash: action,
            tenant: &record.tenant,
            agent: &record.agent,
            tool: &record.tool,
            session: record.session.as_deref(),
            decision: then.word(),
            reason: signed.verdict.word(),
            rule_ids: &[&record.rule],
            policy_hash: Some(*policy.hash()),
            approval: Some(&record.id),
            approvers: &[&signed.name],
            decided_at: signed.at_ms,
            expires_at: Some(record.expires_ms),
            ..Fields::default()
        })
    }
}

/// The person behind an approver's key: two keys of one person are one approval.
pub(super) fn person(key: &PublicKey) -> &str {
    // Every key has one (`check_keys`); those without would be one person.
    key.name.as_deref().unwrap_or_default()
}
