//! Who asks: steps 1 to 5 of an authorization, which change nothing for callers who did not prove who they are.

use std::ops::Range;
use std::sync::atomic::Ordering;
use std::sync::Arc;

use sift_ledger::keys::{PublicKey, Purpose};

use super::answer::{broken, refuse, Refusal};
use super::session::{session_key, OpenSession};
use super::Kernel;
use crate::approval::digest;
use crate::clock::Now;
use crate::nonce::Reserved;
use crate::request::{is_name, preimage, ActionRequest, Credential, Proof};
use crate::revocation::SubjectKind;
use crate::sync::read;

/// A caller who proved who it is.
pub(super) struct Caller {
    pub(super) now: Now,
    /// The key that signed the request or the session's grant.
    pub(super) key: Option<Arc<PublicKey>>,
    pub(super) session: Option<Arc<OpenSession>>,
    pub(super) canonical: Vec<u8>,
    /// Where the arguments are in it.
    pub(super) args: Range<usize>,
    pub(super) action: [u8; 32],
    pub(super) peer: Option<u32>,
}

impl Kernel {
    /// Steps 1 to 5: who asks. Changes nothing but the memory of nonces, and that only for a caller who proved
    /// who it is.
    pub(super) fn admit(
        &self,
        peer: Option<u32>,
        request: &ActionRequest,
        credential: &Credential,
    ) -> std::result::Result<Caller, Refusal> {
        self.check_usable().map_err(|_| broken("kernel_unavailable"))?;
        let stamp = &credential.stamp;
        request.check(&self.limits).map_err(|_| refuse("invalid_request"))?;
        if !is_name(&stamp.request_id) {
            return Err(refuse("invalid_request"));
        }
        if stamp.audience != self.config.audience {
            return Err(refuse("wrong_audience"));
        }
        let now = self.now().map_err(|_| broken("clock_unreliable"))?;
        if !self.validity.holds(now.wall) {
            return Err(broken("kernel_key_not_valid"));
        }
        let keys = self.keys();
        // A session that is named must be open, however the request is proven.
        let session = match &request.session {
            None => None,
            Some(id) => {
                let name = session_key(&request.tenant, &request.agent, id);
                let open = read(&self.sessions).get(&name).cloned();
                Some(open.ok_or_else(|| refuse("unknown_session"))?)
            }
        };
        // Its key may have been stolen; the user of a process cannot be.
        if session.as_ref().is_some_and(|open| peer.is_some() && open.peer != peer) {
            return Err(refuse("session_of_another_peer"));
        }
        let key_id = match (&credential.proof, &session) {
            (Proof::Signature { key_id, .. }, _) => Some(key_id.as_str()),
            (Proof::Mac { session: named, .. }, Some(open)) if named == open.session.id() => {
                Some(open.signed.key_id.as_str())
            }
            (Proof::Mac { .. }, _) => return Err(refuse("unknown_session")),
            (Proof::Process, _) if self.config.trust_process => None,
            (Proof::Process, _) => return Err(refuse("process_not_trusted")),
        };
        let key = match key_id {
            None => None,
            Some(id) => {
                let key = keys.get(id, Purpose::Agent).map_err(|_| refuse("unknown_key"))?;
                key.check_time(now.wall).map_err(|_| refuse("key_not_valid"))?;
                if key.tenant.as_deref() != Some(&request.tenant)
                    || key.agent.as_deref() != Some(&request.agent)
                {
                    return Err(refuse("key_of_another_agent"));
                }
                Some(Arc::clone(key))
            }
        };
        let revoked = self.revocations.find(
            &request.tenant,
            &request.agent,
            request.session.as_deref(),
            key_id,
        );
        if let Some(kind) = revoked {
            return Err(refuse(match kind {
                SubjectKind::Tenant => "tenant_revoked",
                SubjectKind::Agent => "agent_revoked",
                SubjectKind::Session => "session_revoked",
                SubjectKind::Key => "key_revoked",
            }));
        }
        let bounds = &self.config.request;
        let lifetime = stamp.expires_at_ms.saturating_sub(stamp.issued_at_ms);
        if lifetime <= 0 || lifetime > bounds.lifetime_ms {
            return Err(refuse("lifetime_too_long"));
        }
        if stamp.issued_at_ms > now.wall.saturating_add(bounds.skew_ms) {
            return Err(refuse("issued_in_future"));
        }
        if now.wall >= stamp.expires_at_ms {
            return Err(refuse("request_expired"));
        }
        // The key of a session does not outlive the process, so its requests cannot be older.
        let outlives = !matches!(credential.proof, Proof::Mac { .. });
        if outlives && stamp.issued_at_ms <= self.accept_after_ms {
            return Err(refuse("issued_before_start"));
        }
        let (canonical, args) = request.canonical_parts().map_err(|_| refuse("invalid_request"))?;
        let action = digest(&canonical);
        match (&credential.proof, &key, &session) {
            (Proof::Signature { key_id, signature }, Some(key), _) => {
                let bytes = preimage(request, &action, stamp, ("key", key_id));
                key.verify(&bytes, signature).map_err(|_| refuse("invalid_signature"))?;
            }
            (Proof::Mac { session: id, tag }, Some(_), Some(open)) => {
                let bytes = preimage(request, &action, stamp, ("session", id));
                if !open.session.verify(&bytes, tag) {
                    return Err(refuse("invalid_mac"));
                }
            }
            (Proof::Process, None, _) => {}
            _ => return Err(refuse("unknown_key")),
        }
        match self.nonces.reserve((&request.tenant, &request.agent), &stamp.nonce, now.steady) {
            Reserved::Fresh if outlives => {
                self.issued_ms.fetch_max(stamp.issued_at_ms, Ordering::SeqCst);
            }
            Reserved::Fresh => {}
            Reserved::Seen => return Err(refuse("replayed")),
            Reserved::Full => return Err(broken("nonce_memory_full")),
        }
        self.note_clock(now);
        Ok(Caller { now, key, session, canonical, args, action, peer })
    }
}
