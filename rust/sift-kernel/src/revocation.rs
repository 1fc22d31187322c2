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
    /// The tenant of an agent or a session; empty for an agent of that name in every tenant, and for all other kinds.
    pub tenant: String,
    /// The agent of a session; empty for all other kinds.
    pub agent: String,
}

impl Subject {
    /// Everything of a tenant.
    pub fn tenant(name: &str) -> Self {
        Self::new(SubjectKind::Tenant, name, "", "")
    }

    /// One agent of a tenant; of every tenant, where that is empty.
    pub fn agent(tenant: &str, name: &str) -> Self {
        Self::new(SubjectKind::Agent, name, tenant, "")
    }

    /// One session of an agent of a tenant: who opens a session chooses its name, so that others may have the same.
    pub fn session(tenant: &str, agent: &str, name: &str) -> Self {
        Self::new(SubjectKind::Session, name, tenant, agent)
    }

    /// One key, by its id.
    pub fn key(id: &str) -> Self {
        Self::new(SubjectKind::Key, id, "", "")
    }

    fn new(kind: SubjectKind, name: &str, tenant: &str, agent: &str) -> Self {
        Self { kind, name: name.to_owned(), tenant: tenant.to_owned(), agent: agent.to_owned() }
    }

    /// Errors: a name that nothing can have, a tenant or an agent of something that has none, or a session without.
    pub(crate) fn check(&self) -> Result<()> {
        let Self { kind, name, tenant, agent } = self;
        let fits = match kind {
            SubjectKind::Tenant => is_name(name) && tenant.is_empty() && agent.is_empty(),
            SubjectKind::Agent => {
                is_name(name) && (tenant.is_empty() || is_name(tenant)) && agent.is_empty()
            }
            SubjectKind::Session => is_name(name) && is_name(tenant) && is_name(agent),
            // The ids of keys are no names of requests: they may hold a slash.
            SubjectKind::Key => is_label(name) && tenant.is_empty() && agent.is_empty(),
        };
        if fits {
            return Ok(());
        }
        Err(KernelError::Invalid(format!(
            "no {} can have this name, tenant or agent, so nothing would be revoked: look at how it is written",
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
        if all.contains(&Subject::tenant(tenant)) {
            return Some(SubjectKind::Tenant);
        }
        if all.contains(&Subject::agent(tenant, agent)) || all.contains(&Subject::agent("", agent))
        {
            return Some(SubjectKind::Agent);
        }
        if session.is_some_and(|name| all.contains(&Subject::session(tenant, agent, name))) {
            return Some(SubjectKind::Session);
        }
        key.is_some_and(|id| all.contains(&Subject::key(id))).then_some(SubjectKind::Key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_found_and_nothing_else() {
        for subject in [
            Subject::tenant("acme"),
            Subject::agent("acme", "bot"),
            Subject::agent("", "bot"),
            Subject::session("acme", "bot", "s1"),
            Subject::key("k1"),
        ] {
            let revoked = Revocations::new(Vec::new());
            assert_eq!(revoked.find("acme", "bot", Some("s1"), Some("k1")), None);
            revoked.add(subject.clone());
            let found = revoked.find("acme", "bot", Some("s1"), Some("k1"));
            assert_eq!(found, Some(subject.kind));
            assert_eq!(revoked.find("other", "else", Some("s2"), Some("k2")), None);
            revoked.remove(&subject);
            assert_eq!(revoked.find("acme", "bot", Some("s1"), Some("k1")), None);
        }
    }

    #[test]
    fn what_nothing_can_be_called_is_refused() {
        for (subject, fits) in [
            (Subject::key("team/bot-1"), true),
            (Subject::key("k\n"), false),
            (Subject::agent("acme", "bot"), true),
            (Subject::agent("", "bot"), true),
            (Subject::agent("", "acme/bot"), false),
            (Subject::agent("a/b", "bot"), false),
            (Subject { tenant: "acme".to_owned(), ..Subject::tenant("acme") }, false),
            (Subject { agent: "bot".to_owned(), ..Subject::agent("acme", "bot") }, false),
            (Subject::session("acme", "bot", "s1"), true),
            (Subject::session("acme", "bot", ""), false),
            (Subject::session("acme", "", "s1"), false),
            (Subject::session("", "bot", "s1"), false),
        ] {
            assert_eq!(subject.check().is_ok(), fits, "{subject:?}");
        }
    }

    #[test]
    fn an_agent_of_another_tenant_goes_on() {
        let revoked = Revocations::new(vec![Subject::agent("acme", "bot")]);
        assert_eq!(revoked.find("other", "bot", None, None), None);
    }

    #[test]
    fn a_session_of_the_same_name_goes_on_elsewhere() {
        let revoked = Revocations::new(vec![Subject::session("acme", "bot", "s1")]);
        for (tenant, agent) in [("other", "bot"), ("acme", "else")] {
            assert_eq!(revoked.find(tenant, agent, Some("s1"), None), None);
        }
    }
}
