//! Permits, handed out when their receipts are durable.

use std::sync::Arc;
use std::time::Duration;

use super::answer::{Authorization, Durable, Prepared, Record};
use super::record::not_recorded;
use super::Kernel;
use crate::error::Result;
use crate::ledger::Placed;
use crate::permit::{self, LONGER};

impl Kernel {
    /// Waits until the receipt of an answer is durable, and hands out the permit.
    ///
    /// Args: the answer of [`Self::authorize`].
    ///
    /// Returns nothing for an answer without receipt, and a receipt without permit for an action that was denied or
    /// cancelled. From here on the action may happen, so that cancelling it charges its reservation.
    ///
    /// Errors: `Unavailable` when the ledger fails or takes longer than `log.wait_ms`. The reservation is then
    /// left to expire, since the receipt may be found in the log later.
    pub fn durable(&self, answer: &Authorization) -> Result<Option<Durable>> {
        self.check_usable()?;
        let Some(record) = &answer.record else { return Ok(None) };
        let placed = if record.waits() {
            self.prepare(record);
            Some(self.wait(record)?)
        } else {
            None
        };
        Ok(Some(self.hand_out(record, placed)))
    }

    /// Waits until the receipt of an answer is durable and keeps the permit back, so that [`Self::cancel`] still
    /// gives the reservation back: for whoever has something else to look at before the action.
    ///
    /// Returns and errors as for [`Self::durable`], without a permit.
    pub fn recorded(&self, answer: &Authorization) -> Result<Option<Durable>> {
        self.check_usable()?;
        let Some(record) = &answer.record else { return Ok(None) };
        let placed = self.wait(record)?;
        let (receipt, opening) = (Arc::clone(record.receipt.bytes()), record.opening);
        Ok(Some(Durable { receipt, opening, permit: None, placed: Some(placed) }))
    }

    fn wait(&self, record: &Record) -> Result<Placed> {
        record.pending.wait(Duration::from_millis(self.config.log.wait_ms)).map_err(not_recorded)
    }

    /// Calls back, once, when [`Self::durable`] would not wait, whatever it will say. On the thread that commits
    /// receipts or on this one; the callback must be quick.
    ///
    /// Returns whether there is a receipt; without one nothing is called.
    pub fn when_durable(
        &self,
        answer: &Authorization,
        told: impl FnOnce() + Send + 'static,
    ) -> bool {
        let Some(record) = &answer.record else { return false };
        if record.waits() {
            self.prepare(record);
            record.pending.tell(Box::new(move |_| told()));
        } else {
            told();
        }
        true
    }

    /// Makes the permit while the disk works on the receipt. It stays here until that is durable.
    fn prepare(&self, record: &Record) {
        if let Some(prepared) = &record.permit {
            self.permit(record, prepared);
        }
    }

    fn permit<'a>(&self, record: &Record, prepared: &'a Prepared) -> &'a Arc<Vec<u8>> {
        prepared.made.get_or_init(|| {
            let receipt = record.receipt.bytes();
            let signed = match &prepared.statement {
                Some(statement) => self.signer.sign_receipt(receipt, statement),
                None => {
                    let mut copy = Vec::with_capacity(receipt.len() + LONGER);
                    copy.extend_from_slice(receipt);
                    copy
                }
            };
            Arc::new(permit::of_receipt(signed, &prepared.secret))
        })
    }

    fn hand_out(&self, record: &Record, placed: Option<Placed>) -> Durable {
        let permit = match &record.permit {
            None => None,
            // Revoked meanwhile: it stays here, and its reservation is charged when its time is over.
            Some(prepared) if self.revoked(prepared) => None,
            Some(prepared) => {
                let made = self.permit(record, prepared);
                self.books.hand_out(prepared.lease()).then(|| Arc::clone(made))
            }
        };
        let (receipt, opening) = (Arc::clone(record.receipt.bytes()), record.opening);
        Durable { receipt, opening, permit, placed }
    }

    fn revoked(&self, prepared: &Prepared) -> bool {
        let (tenant, agent) = (prepared.tenant(), prepared.agent());
        self.revocations.find(tenant, agent, prepared.session(), prepared.key_id()).is_some()
    }

    /// The proof that a receipt is in the log, a `.tlog-proof`.
    ///
    /// Errors: `Unavailable` when there is no such receipt or the log cannot be read.
    pub fn proof(&self, index: u64) -> Result<String> {
        self.check_usable()?;
        self.ledger.proof(index).map_err(not_recorded)
    }
}
