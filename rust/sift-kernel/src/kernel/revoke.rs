//! The kill switch: tenants, agents, sessions and keys that are refused from now on.

use sift_ledger::hex;
use sift_ledger::jcs::Value as Json;
use sift_ledger::receipt::Fields;

use super::Kernel;
use crate::approval::digest;
use crate::error::Result;
use crate::revocation::{Subject, SubjectKind};
use crate::sync::lock;
use crate::wire::random;

impl Kernel {
    /// Refuses everything of a tenant, agent, session or key from the next request on.
    ///
    /// Errors: `Invalid` for a name that nothing can have; `Unavailable` when it or its receipt cannot be made
    /// durable, and it holds in this process all the same.
    pub fn revoke(&self, subject: &Subject) -> Result<()> {
        self.check_usable()?;
        subject.check()?;
        let _one = lock(&self.switch);
        self.revocations.add(subject.clone());
        self.store.revoke(subject, self.clock.wall_ms())?;
        self.record_revocation("revocation", subject)
    }

    /// Takes a revocation back. An agent is let at the limits again that it was barred from by what it settled.
    ///
    /// Errors: `Unavailable` when it or its receipt cannot be made durable; the revocation stays then.
    pub fn reinstate(&self, subject: &Subject) -> Result<()> {
        self.check_usable()?;
        subject.check()?;
        // Of two that race, memory and store must remember the same.
        let _one = lock(&self.switch);
        self.record_revocation("reinstatement", subject)?;
        self.store.reinstate(subject)?;
        if subject.kind == SubjectKind::Agent {
            self.books.forgive(&subject.tenant, &subject.name)?;
        }
        self.revocations.remove(subject);
        Ok(())
    }

    fn record_revocation(&self, event: &str, subject: &Subject) -> Result<()> {
        let Subject { kind, name, tenant, agent } = subject;
        let text = |value: &str| Json::Str(value.to_owned());
        let named = |wanted| if *kind == wanted { name.as_str() } else { "" };
        self.record_event(&Fields {
            event,
            request_id: &hex(&random::<16>()?),
            action_hash: digest(
                format!("{event}\0{}\0{tenant}\0{agent}\0{name}", kind.word()).as_bytes(),
            ),
            tenant: match kind {
                SubjectKind::Tenant => name,
                _ => tenant,
            },
            agent: match kind {
                SubjectKind::Agent => name,
                _ => agent,
            },
            session: Some(named(SubjectKind::Session)).filter(|name| !name.is_empty()),
            decision: event,
            reason: kind.word(),
            decided_at: self.clock.wall_ms(),
            details: &[("kind", text(kind.word())), ("name", text(name))],
            ..Fields::default()
        })
    }
}
