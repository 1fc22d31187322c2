//! The kill switch: tenants, agents, sessions and keys whose next request is refused.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::RwLock;

use crate::error::{KernelError, Result};
use crate::request::{is_label, is_name};
use crate::sync::{read, write};

/// What can be revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SubjectKind {
    /// Everything of a tenant.
    Tenant,
    /// One agent of a tenant.
    Agent,
    /// One session.
    Session,
    /// One key, by its id.
    Key,
}

impl SubjectKind {
    /// As it is stored and shown.
    pub fn word(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Agent => "agent",
            Self::Session => "session",
            Self::Key => "key",
        }
    }

    /// The other way round.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Tenant, Self::Agent, Self::Session, Self::Key]
            .into_iter()
            .find(|kind| kind.word() == word)
    }
}

/// One thing that is revoked.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subject {
    /// What it is.
    pub kind: SubjectKind,
    /// Its name or id.
    pub name: String,
    /// The tenant of an agent; empty for an agent of that name in every tenant, and for all other kinds.
    pub tenant: String,
}

impl Subject {
    /// Errors: a name that nothing can have, or a tenant of something that is not an agent.
    pub(crate) fn check(&self) -> Result<()> {
        let tenant =
            self.tenant.is_empty() || self.kind == SubjectKind::Agent && is_name(&self.tenant);
        // The ids of keys are no names of requests: they may hold a slash.
        let name = match self.kind {
            SubjectKind::Key => is_label(&self.name),
            _ => is_name(&self.name),
        };
        if name && tenant {
            return Ok(());
        }
        Err(KernelError::Invalid(format!(
            "no {} can have this name or tenant, so nothing would be revoked: look at how it is written",
            self.kind.word()
        )))
    }
}

/// What is revoked, in memory.
#[derive(Debug, Default)]
pub(crate) struct Revocations {
    some: AtomicBool,
    all: RwLock<HashSet<Subject>>,
}

impl Revocations {
    pub(crate) fn new(subjects: Vec<Subject>) -> Self {
        let some = AtomicBool::new(!subjects.is_empty());
        Self { some, all: RwLock::new(subjects.into_iter().collect()) }
    }

    pub(crate) fn add(&self, subject: Subject) {
        write(&self.all).insert(subject);
        self.some.store(true, Ordering::SeqCst);
    }

    pub(crate) fn remove(&self, subject: &Subject) {
        write(&self.all).remove(subject);
    }

    /// Which of these is revoked, the widest first.
    pub(crate) fn find(
        &self,
        tenant: &str,
        agent: &str,
        session: Option<&str>,
        key: Option<&str>,
    ) -> Option<SubjectKind> {
        if !self.some.load(Ordering::SeqCst) {
            return None;
        }
        let all = read(&self.all);
        let holds = |kind, name: &str, tenant: &str| {
            all.contains(&Subject { kind, name: name.to_owned(), tenant: tenant.to_owned() })
        };
        if holds(SubjectKind::Tenant, tenant, "") {
            return Some(SubjectKind::Tenant);
        }
        if holds(SubjectKind::Agent, agent, tenant) || holds(SubjectKind::Agent, agent, "") {
            return Some(SubjectKind::Agent);
        }
        if session.is_some_and(|session| holds(SubjectKind::Session, session, "")) {
            return Some(SubjectKind::Session);
        }
        key.is_some_and(|key| holds(SubjectKind::Key, key, "")).then_some(SubjectKind::Key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(kind: SubjectKind, name: &str, tenant: &str) -> Subject {
        Subject { kind, name: name.to_owned(), tenant: tenant.to_owned() }
    }

    #[test]
    fn each_kind_is_found_and_nothing_else() {
        for (kind, name, tenant) in [
            (SubjectKind::Tenant, "acme", ""),
            (SubjectKind::Agent, "bot", "acme"),
            (SubjectKind::Agent, "bot", ""),
            (SubjectKind::Session, "s1", ""),
            (SubjectKind::Key, "k1", ""),
        ] {
            let revoked = Revocations::new(Vec::new());
            assert_eq!(revoked.find("acme", "bot", Some("s1"), Some("k1")), None);
            revoked.add(subject(kind, name, tenant));
            assert_eq!(revoked.find("acme", "bot", Some("s1"), Some("k1")), Some(kind));
            assert_eq!(revoked.find("other", "else", Some("s2"), Some("k2")), None);
            revoked.remove(&subject(kind, name, tenant));
            assert_eq!(revoked.find("acme", "bot", Some("s1"), Some("k1")), None);
        }
    }

    #[test]
    fn what_nothing_can_be_called_is_refused() {
        for (kind, name, tenant, fits) in [
            (SubjectKind::Key, "team/bot-1", "", true),
            (SubjectKind::Key, "k\n", "", false),
            (SubjectKind::Agent, "bot", "acme", true),
            (SubjectKind::Agent, "acme/bot", "", false),
            (SubjectKind::Agent, "bot", "a/b", false),
            (SubjectKind::Tenant, "acme", "acme", false),
            (SubjectKind::Session, "", "", false),
        ] {
            assert_eq!(subject(kind, name, tenant).check().is_ok(), fits, "{kind:?} {name:?}");
        }
    }

    #[test]
    fn an_agent_of_another_tenant_goes_on() {
        let revoked = Revocations::new(vec![subject(SubjectKind::Agent, "bot", "acme")]);
        assert_eq!(revoked.find("other", "bot", None, None), None);
    }
}
