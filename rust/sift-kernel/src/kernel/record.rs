//! Receipts on their way into the ledger.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use sift_ledger::dsse::{self, MAX_ENVELOPE};
use sift_ledger::hex;
use sift_ledger::jcs::Value as Json;
use sift_ledger::keys::PrivateKey;
use sift_ledger::log::Entry;
use sift_ledger::receipt::{self, Class, Fields, ReceiptError};

use super::admit::Caller;
use super::answer::{Authorization, Prepared, Record};
use super::decide::Case;
use super::Kernel;
use crate::budget::Charge;
use crate::config::{ReceiptClass, Release};
use crate::error::{KernelError, Result};
use crate::ledger::{LedgerError, Pending};
use crate::names::Names;
use crate::opening::opening_of;
use crate::permit::LONGER;
use crate::request::{ActionRequest, Credential};
use crate::store::Mark;

/// Most bytes that a permit has and its receipt has not: a signature with the name of its key, the secret.
const PERMIT_BYTES: usize = 1_024;

/// The version that receipts name.
const ENGINE: &str = concat!("sift-kernel ", env!("CARGO_PKG_VERSION"));

/// The receipt key. What it signs may be signed by another thread, so that no answer waits for it.
#[derive(Clone)]
pub(super) struct Signer {
    pub(super) key_id: Arc<str>,
    pub(super) key: Arc<PrivateKey>,
}

impl Signer {
    fn sign(&self, statement: &[u8]) -> Vec<u8> {
        dsse::seal(receipt::PAYLOAD_TYPE, statement, Some((&self.key_id, &self.key)))
    }

    /// As [`Self::sign`], from the receipt of the same statement without a signature.
    pub(super) fn sign_receipt(&self, receipt: &[u8], statement: &[u8]) -> Vec<u8> {
        let signer = (&*self.key_id, &*self.key);
        dsse::sign_sealed(receipt, receipt::PAYLOAD_TYPE, statement, signer, LONGER)
    }

    /// A receipt that is signed by who waits for it, or by the thread that commits it.
    fn later(&self, statement: Vec<u8>) -> Entry {
        let length = dsse::sealed_length(receipt::PAYLOAD_TYPE, &statement, &self.key_id);
        let signer = self.clone();
        Entry::later(length, move || signer.sign(&statement))
    }
}

/// A receipt in the ledger's queue.
pub(super) struct Queued {
    receipt: Entry,
    /// Where the log alone signs the receipt.
    statement: Option<Vec<u8>>,
    /// Tells when it is durable.
    pending: Arc<dyn Pending>,
}

impl Kernel {
    /// Puts a receipt into the ledger's queue, with the state of the store that it was made in.
    pub(super) fn append(&self, fields: &Fields<'_>) -> Result<Queued> {
        if !self.validity.holds(fields.decided_at) {
            return Err(KernelError::Unavailable(
                "the kernel's receipt or log key may not sign now: keys.toml says when, so renew it".to_owned(),
            ));
        }
        let Mark { id, generation } = self.store.mark();
        let store = format!("{id}:{generation}");
        let fields = Fields { store: Some(&store), engine: ENGINE, ..*fields };
        let unavailable = |error: ReceiptError| KernelError::Unavailable(error.to_string());
        let statement = receipt::statement(&fields).map_err(unavailable)?;
        let (receipt, statement) = match fields.class {
            Class::Signed => (self.signer.later(statement), None),
            Class::Batched => {
                let entry = dsse::seal(receipt::PAYLOAD_TYPE, &statement, None);
                (Entry::from(entry), Some(statement))
            }
        };
        // A permit is somewhat longer, and must be read too.
        if receipt.len() > MAX_ENVELOPE - PERMIT_BYTES {
            return Err(unavailable(ReceiptError::TooLong));
        }
        let pending = self.ledger.append(receipt.clone()).map_err(not_recorded)?;
        Ok(Queued { receipt, statement, pending })
    }

    /// What a receipt of this name and lease says of an action.
    pub(super) fn blind(&self, name: &str, lease: Option<&str>, action: &[u8; 32]) -> [u8; 32] {
        receipt::blind_action(&self.openings.opening(name, lease, action), action)
    }

    /// A receipt of something that is not an authorization, on the disk when this returns.
    pub(super) fn record_event(&self, fields: &Fields<'_>) -> Result<()> {
        let queued = self.append(&Fields { class: self.class(), ..*fields })?;
        queued
            .pending
            .wait(Duration::from_millis(self.config.log.wait_ms))
            .map_err(not_recorded)?;
        Ok(())
    }

    /// Writes the receipt of an answer into the ledger's queue.
    pub(super) fn record(
        &self,
        request: &ActionRequest,
        credential: &Credential,
        caller: &Caller,
        case: &Case,
        answer: &Authorization,
    ) -> Result<Record> {
        let stamp = &credential.stamp;
        let secret =
            self.openings.secret(&stamp.request_id, answer.lease.as_deref(), &caller.action);
        let opening = opening_of(&secret);
        let args = caller.canonical.get(caller.args.clone()).unwrap_or_default();
        let rule_ids: Vec<&str> = answer.rule_ids.iter().map(String::as_str).collect();
        let taint: Vec<&str> = answer.taint.iter().map(String::as_str).collect();
        let approvers: Vec<&str> = case.approvers.iter().map(String::as_str).collect();
        let charges: Vec<receipt::Charge<'_>> = case.charges.iter().map(charge).collect();
        let expires =
            caller.now.wall.saturating_add(self.config.permit_seconds.saturating_mul(1_000));
        let version = hex(answer.policy_hash.get(..6).unwrap_or_default());
        // Policies that would have changed the decision, were they in force.
        let shadow = answer.shadow.iter().cloned().map(Json::Str).collect();
        let details = [("shadow", Json::List(shadow))];
        let fields = Fields {
            event: "authorization",
            request_id: &stamp.request_id,
            action_hash: receipt::blind_action(&opening, &caller.action),
            args_commitment: Some(receipt::commit_arguments(&opening, args)),
            audience: Some(&self.config.audience),
            tenant: &request.tenant,
            agent: &request.agent,
            role: &request.role,
            tool: &request.tool,
            session: request.session.as_deref(),
            conversation: request.conversation.as_deref(),
            model: request.model.as_deref(),
            model_version: request.model_version.as_deref(),
            decision: answer.decision.word(),
            reason: &answer.reason,
            rule_ids: &rule_ids,
            policy_hash: Some(answer.policy_hash),
            policy_version: Some(&version),
            taint: &taint,
            lease: answer.lease.as_deref(),
            charges: &charges,
            approval: answer.approval.as_deref(),
            approvers: &approvers,
            elevation: case.elevation.as_deref(),
            issued_at: Some(stamp.issued_at_ms),
            decided_at: caller.now.wall,
            expires_at: answer.lease.as_ref().map(|_| expires),
            class: self.class(),
            details: if answer.shadow.is_empty() { &[] } else { &details },
            ..Fields::default()
        };
        let Queued { receipt, statement, pending } = self.append(&fields)?;
        let permit = answer.lease.as_ref().map(|lease| {
            Arc::new(Prepared {
                names: Names::new([
                    Some(&request.tenant),
                    Some(&request.agent),
                    Some(lease),
                    request.session.as_deref(),
                    caller.key.as_ref().map(|key| key.id.as_str()),
                ]),
                secret,
                statement,
                made: OnceLock::new(),
            })
        });
        let queued = self.config.release == Release::Queued
            || case
                .risk
                .is_some_and(|risk| self.config.queued_risks.iter().any(|queued| queued == risk));
        Ok(Record { receipt, opening, pending, permit, wait: !queued })
    }

    fn class(&self) -> Class {
        match self.config.receipts {
            ReceiptClass::Signed => Class::Signed,
            ReceiptClass::Batched => Class::Batched,
        }
    }
}

pub(super) fn charge(charge: &Charge) -> receipt::Charge<'_> {
    receipt::Charge { budget: &charge.budget, unit: &charge.unit, amount: charge.amount }
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
pub(super) fn not_recorded(error: LedgerError) -> KernelError {
    KernelError::Unavailable(error.to_string())
}
