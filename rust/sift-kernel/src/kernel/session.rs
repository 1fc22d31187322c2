//! Sessions that are open, and who opened them.

use std::sync::Arc;

use sift_ledger::keys::{PublicKey, Purpose};

use super::Kernel;
use crate::error::{KernelError, Result};
use crate::session::{Session, SignedGrant};
use crate::sync::write;

pub(super) struct OpenSession {
    pub(super) signed: SignedGrant,
    pub(super) session: Session,
    /// The user behind a socket who opened it; this process otherwise.
    pub(super) peer: Option<u32>,
}

impl Kernel {
    /// Opens a session.
    ///
    /// Args: a grant that the agent's key has signed.
    ///
    /// Errors: `Signature` for a key that is not known, not valid, revoked, or of another agent, and a signature
    /// that does not verify; `Invalid` for a grant that gives what the key does not have, is over, lasts too
    /// long, or names a session that is open with another grant; `Limit` for too many sessions.
    pub fn open_session(&self, signed: &SignedGrant) -> Result<Session> {
        self.open_session_for(None, signed)
    }

    /// As [`Self::open_session`], for a user behind a socket: nobody else there can use the session, or open it
    /// again with the same grant (`Signature`).
    pub fn open_session_for(&self, peer: Option<u32>, signed: &SignedGrant) -> Result<Session> {
        self.check_usable()?;
        let now = self.now()?;
        let grant = &signed.grant;
        grant.check()?;
        if signed.audience != self.config.audience {
            return Err(KernelError::Invalid("the grant is for another kernel".to_owned()));
        }
        let keys = self.keys();
        let bad = |error: sift_ledger::keys::KeyError| KernelError::Signature(error.to_string());
        let key = keys.get(&signed.key_id, Purpose::Agent).map_err(bad)?;
        key.check_time(now.wall).map_err(bad)?;
        key.verify(&signed.preimage(), &signed.signature).map_err(bad)?;
        if key.tenant.as_ref() != Some(&grant.tenant) || key.agent.as_ref() != Some(&grant.agent) {
            return Err(KernelError::Signature(
                "the key is of another agent than the grant".to_owned(),
            ));
        }
        if self
            .revocations
            .find(&grant.tenant, &grant.agent, Some(&grant.session), Some(&signed.key_id))
            .is_some()
        {
            return Err(KernelError::Signature(
                "tenant, agent, session or key is revoked".to_owned(),
            ));
        }
        if !grant.roles.iter().all(|role| roles(key).contains(role)) {
            return Err(KernelError::Invalid(
                "the grant names a role that the key does not have".to_owned(),
            ));
        }
        let longest = self.config.session.seconds.saturating_mul(1_000);
        if grant.expires_at_ms <= now.wall
            || grant.expires_at_ms.saturating_sub(now.wall.max(grant.not_before_ms)) > longest
        {
            return Err(KernelError::Invalid(
                "the grant is over, or lasts longer than it may".to_owned(),
            ));
        }
        let name = session_key(&grant.tenant, &grant.agent, &grant.session);
        let mut sessions = write(&self.sessions);
        if let Some(open) = sessions.get(&name) {
            if open.signed == *signed && open.peer == peer {
                return Ok(open.session.clone());
            }
            if open.signed == *signed {
                return Err(KernelError::Signature(
                    "another user has opened the session: a grant is for the one who shows it first"
                        .to_owned(),
                ));
            }
            return Err(KernelError::Invalid("the session is open with another grant".to_owned()));
        }
        if sessions.len() >= self.config.session.open {
            sessions.retain(|_, open| open.signed.grant.expires_at_ms > now.wall);
        }
        // As for nonces: whoever holds as much as is left gets no more. Less than half cannot be that much.
        let left = self.config.session.open.saturating_sub(sessions.len());
        if left <= sessions.len() {
            let own = |open: &&Arc<OpenSession>| {
                let other = &open.signed.grant;
                other.tenant == grant.tenant && other.agent == grant.agent
            };
            if sessions.values().filter(own).count() >= left {
                return Err(KernelError::Limit(
                    "this agent has as many sessions open as it may".to_owned(),
                ));
            }
        }
        let session = Session::open(&grant.session, &self.config.audience)?;
        let open = OpenSession { signed: signed.clone(), session: session.clone(), peer };
        sessions.insert(name, Arc::new(open));
        Ok(session)
    }
}

/// What an open session is known by: who opens one chooses its name. None of the three holds a `/`.
pub(super) fn session_key(tenant: &str, agent: &str, session: &str) -> String {
    [tenant, "/", agent, "/", session].concat()
}

/// Roles that an agent's key may act in.
pub(super) fn roles(key: &PublicKey) -> &[String] {
    &key.roles
}
