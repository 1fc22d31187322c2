//! How actions end: settled, cancelled, or nobody knows.

use std::collections::BTreeMap;

use sift_ledger::jcs::Value as Json;
use sift_ledger::receipt::{self, Class, Fields};

use super::record::charge;
use super::Kernel;
use crate::budget::{About, Ending, LeaseState, Outcome};
use crate::clock::Now;
use crate::error::Result;
use crate::sync::lock;

impl Kernel {
    /// The action happened and cost this much.
    ///
    /// Args: the lease; what it cost by unit; a unit that is not named cost what was reserved.
    ///
    /// Errors: `LeaseConflict` when it ended otherwise, is not known, or a user behind a socket asked for it and
    /// another one ends it; `Invalid` for a unit that was not reserved or an amount that is negative or above
    /// 2^53 - 1, and then it has not ended; `Unavailable` when an overrun or the receipt cannot be written: it has
    /// ended all the same, and to say so again tries again.
    pub fn settle(&self, lease: &str, actual: BTreeMap<String, i64>) -> Result<Outcome> {
        self.end_for(None, lease, Ending::Settle(actual))
    }

    /// The action did not happen: its reservation is given back, and its permit is never handed out. Once that
    /// was, somebody may use it: then it is as for [`Self::abandon`].
    ///
    /// Errors: as for [`Self::settle`].
    pub fn cancel(&self, lease: &str) -> Result<Outcome> {
        self.end_for(None, lease, Ending::Cancel)
    }

    /// The action was broken off, so that nobody knows whether it happened: it is charged in full.
    ///
    /// Errors: as for [`Self::settle`].
    pub fn abandon(&self, lease: &str) -> Result<Outcome> {
        self.end_for(None, lease, Ending::Abandon)
    }

    pub(crate) fn end_for(
        &self,
        peer: Option<u32>,
        lease: &str,
        ending: Ending,
    ) -> Result<Outcome> {
        self.check_usable()?;
        let now = self.now()?;
        let (outcome, about) = self.books.end(lease, ending, peer, now)?;
        if outcome.state == LeaseState::Cancelled {
            lock(&self.seeds).remove(lease);
        }
        if let Some(about) = about {
            if let Err(error) = self.record_end(lease, &about, &outcome, now) {
                self.books.give_about(lease, Some(about));
                return Err(error);
            }
        }
        Ok(outcome)
    }

    /// A receipt of how an action ended, or is said to have. Nobody waits for it, and the log alone signs it.
    fn record_end(&self, lease: &str, about: &About, outcome: &Outcome, now: Now) -> Result<()> {
        let charges: Vec<receipt::Charge<'_>> = outcome.charged.iter().map(charge).collect();
        let details = [("barred", Json::Bool(true)), ("overrun", Json::Bool(true))];
        self.append(&Fields {
            event: match outcome.state {
                LeaseState::Cancelled => "cancellation",
                _ => "settlement",
            },
            request_id: about.request_id(),
            action_hash: self.blind(about.request_id(), Some(lease), &about.action),
            tenant: about.tenant(),
            role: about.role(),
            agent: about.agent(),
            session: about.session(),
            conversation: about.conversation(),
            tool: about.tool(),
            decision: outcome.state.word(),
            reason: outcome.state.word(),
            lease: Some(lease),
            charges: &charges,
            decided_at: now.wall,
            class: Class::Batched,
            details: match outcome {
                Outcome { barred: true, .. } => &details,
                Outcome { overrun: true, .. } => details.get(1..).unwrap_or_default(),
                _ => &[],
            },
            ..Fields::default()
        })?;
        Ok(())
    }
}
