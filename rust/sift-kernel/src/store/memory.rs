//! A store that forgets: for tests of what the kernel does with one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::{AccountKey, Before, Mark, Noted, Store, Undo, Waits};
use crate::approval::{ApprovalRecord, ApprovalState, Signed};
use crate::error::StoreError;
use crate::revocation::Subject;
use crate::sync::lock;

#[derive(Debug, Default)]
struct State {
    drawn: BTreeMap<AccountKey, i64>,
    revoked: BTreeSet<Subject>,
    approvals: BTreeMap<String, ApprovalRecord>,
    elevations: BTreeMap<String, (i64, String, Vec<u8>)>,
    undos: BTreeMap<String, Vec<Kept>>,
    observed: BTreeMap<(String, String), i64>,
    noted: Noted,
    issued: i64,
    phase: Phase,
}

#[derive(Debug)]
struct Kept {
    undo: Undo,
    until_ms: i64,
    taken: bool,
}

impl Kept {
    fn is(&self, other: &Undo) -> bool {
        let names =
            |undo: &Undo| (undo.tenant.clone(), undo.agent.clone(), undo.request_id.clone());
        names(&self.undo) == names(other)
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Fresh,
    Open,
    Closed,
}

/// See the module.
#[derive(Debug, Default)]
pub struct MemoryStore {
    state: Mutex<State>,
    broken: AtomicBool,
    /// How often it was asked or told something: no less than how often it was changed.
    calls: AtomicU64,
}

impl MemoryStore {
    /// From now on every call fails (or works again): a full disk, in tests.
    pub fn break_down(&self, broken: bool) {
        self.broken.store(broken, Ordering::SeqCst);
    }

    fn state<T>(
        &self,
        what: &'static str,
        work: impl FnOnce(&mut State) -> T,
    ) -> Result<T, StoreError> {
        if self.broken.load(Ordering::SeqCst) {
            return Err(StoreError { what, reason: "it was told to".to_owned() });
        }
        self.calls.fetch_add(1, Ordering::SeqCst);
        Ok(work(&mut lock(&self.state)))
    }
}

impl Store for MemoryStore {
    fn draw(&self, account: &AccountKey, wanted: i64, cap: i64) -> Result<i64, StoreError> {
        self.state("draw from a budget", |state| {
            let drawn = state.drawn.entry(account.clone()).or_default();
            let granted = wanted.min(cap.saturating_sub(*drawn)).max(0);
            *drawn = drawn.saturating_add(granted);
            granted
        })
    }

    fn overrun(&self, account: &AccountKey, amount: i64) -> Result<(), StoreError> {
        self.state("charge an overrun", |state| {
            let drawn = state.drawn.entry(account.clone()).or_default();
            *drawn = drawn.saturating_add(amount);
        })
    }

    fn drawn(&self, account: &AccountKey) -> Result<i64, StoreError> {
        self.state("read a budget", |state| state.drawn.get(account).copied().unwrap_or(0))
    }

    fn accounts(&self, limit: &str) -> Result<Vec<AccountKey>, StoreError> {
        self.state("read the accounts of a budget", |state| {
            let drawn = state.drawn.iter().filter(|(key, drawn)| key.limit == limit && **drawn > 0);
            drawn.map(|(key, _)| key.clone()).collect()
        })
    }

    fn give_back(&self, unused: &[(AccountKey, i64)]) -> Result<(), StoreError> {
        self.state("close the budgets", |state| {
            for (account, amount) in unused {
                if let Some(drawn) = state.drawn.get_mut(account) {
                    *drawn = drawn.saturating_sub(*amount);
                }
            }
        })
    }

    fn forget_windows(&self, limit: &str, before_ms: i64) -> Result<(), StoreError> {
        self.state("forget old windows", |state| {
            state.drawn.retain(|key, _| {
                key.limit != limit || key.window_ms == 0 || key.window_ms >= before_ms
            });
        })
    }

    fn revoke(&self, subject: &Subject, _at_ms: i64) -> Result<(), StoreError> {
        self.state("revoke", |state| {
            state.revoked.insert(subject.clone());
        })
    }

    fn reinstate(&self, subject: &Subject) -> Result<(), StoreError> {
        self.state("reinstate", |state| {
            state.revoked.remove(subject);
        })
    }

    fn revoked(&self) -> Result<Vec<Subject>, StoreError> {
        self.state("read revocations", |state| state.revoked.iter().cloned().collect())
    }

    fn add_approval(&self, approval: &ApprovalRecord) -> Result<(), StoreError> {
        self.state("add an approval", |state| {
            state.approvals.insert(approval.id.clone(), approval.clone());
        })
    }

    fn sign_approval(
        &self,
        id: &str,
        signature: &Signed,
        then: ApprovalState,
    ) -> Result<bool, StoreError> {
        self.state("sign an approval", |state| match state.approvals.get_mut(id) {
            Some(approval) if approval.state == ApprovalState::Pending => {
                approval.signatures.push(signature.clone());
                approval.state = then;
                true
            }
            _ => false,
        })
    }

    fn move_approval(
        &self,
        id: &str,
        from: ApprovalState,
        to: ApprovalState,
    ) -> Result<bool, StoreError> {
        self.state("move an approval", |state| match state.approvals.get_mut(id) {
            Some(approval) if approval.state == from => {
                approval.state = to;
                true
            }
            _ => false,
        })
    }

    fn approval(&self, id: &str) -> Result<Option<ApprovalRecord>, StoreError> {
        self.state("read an approval", |state| state.approvals.get(id).cloned())
    }

    fn approvals(&self, wanted: ApprovalState) -> Result<Vec<ApprovalRecord>, StoreError> {
        self.state("read approvals", |state| {
            let mut found: Vec<_> =
                state.approvals.values().filter(|one| one.state == wanted).cloned().collect();
            found.sort_by(|a, b| (a.created_ms, &a.id).cmp(&(b.created_ms, &b.id)));
            found
        })
    }

    fn waiting(&self, tenant: &str, agent: &str, now_ms: i64) -> Result<Vec<Waits>, StoreError> {
        let own = |one: &ApprovalRecord| {
            one.tenant == tenant && one.agent == agent && one.expires_ms > now_ms
        };
        let pending = self.approvals(ApprovalState::Pending)?.into_iter().filter(own);
        Ok(pending
            .map(|ApprovalRecord { id, action, rule, .. }| Waits { id, action, rule })
            .collect())
    }

    fn forget_approvals(&self, before_ms: i64) -> Result<(), StoreError> {
        self.state("forget approvals", |state| {
            state.approvals.retain(|_, approval| approval.expires_ms >= before_ms);
        })
    }

    fn add_elevation(
        &self,
        id: &str,
        agent: &str,
        expires_ms: i64,
        signed: &[u8],
    ) -> Result<(), StoreError> {
        self.state("add an elevation", |state| {
            let row = (expires_ms, agent.to_owned(), signed.to_vec());
            state.elevations.entry(id.to_owned()).or_insert(row);
        })
    }

    fn elevations(&self, now_ms: i64) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        self.state("read elevations", |state| {
            let held = state.elevations.values().filter(|(expires, ..)| *expires > now_ms);
            held.map(|(_, agent, signed)| (agent.clone(), signed.clone())).collect()
        })
    }

    fn add_undo(&self, trace_id: &str, undo: &Undo, until_ms: i64) -> Result<bool, StoreError> {
        self.state("remember how to undo an action", |state| {
            let all = state.undos.entry(trace_id.to_owned()).or_default();
            if let Some(kept) = all.iter().find(|kept| kept.is(undo)) {
                return (&kept.undo.tool, &kept.undo.args) == (&undo.tool, &undo.args);
            }
            all.push(Kept { undo: undo.clone(), until_ms, taken: false });
            all.sort_by(|a, b| {
                (a.undo.order, &a.undo.request_id).cmp(&(b.undo.order, &b.undo.request_id))
            });
            true
        })
    }

    fn undos(&self, trace_id: &str, taken: bool) -> Result<Vec<Undo>, StoreError> {
        self.state("read how to undo a trace", |state| {
            let all = state.undos.get(trace_id).into_iter().flatten();
            all.filter(|kept| kept.taken == taken).map(|kept| kept.undo.clone()).collect()
        })
    }

    fn move_undo(&self, trace_id: &str, undo: &Undo, taken: bool) -> Result<bool, StoreError> {
        self.state("take an undo", |state| {
            let mut all = state.undos.get_mut(trace_id).into_iter().flatten();
            let found = all.find(|kept| kept.is(undo) && kept.taken != taken);
            found.map(|kept| kept.taken = taken).is_some()
        })
    }

    fn forget_undos(&self, now_ms: i64) -> Result<(), StoreError> {
        self.state("forget undos", |state| {
            state.undos.retain(|_, all| {
                all.retain(|kept| kept.until_ms > now_ms);
                !all.is_empty()
            });
        })
    }

    fn observe(&self, tenant: &str, conversation: &str, at_ms: i64) -> Result<(), StoreError> {
        self.state("note what was observed", |state| {
            state.observed.insert((tenant.to_owned(), conversation.to_owned()), at_ms);
        })
    }

    fn observed(&self) -> Result<Vec<(String, String)>, StoreError> {
        self.state("read what was observed", |state| state.observed.keys().cloned().collect())
    }

    fn forget_observed(&self, before_ms: i64) -> Result<(), StoreError> {
        self.state("forget what was observed", |state| {
            state.observed.retain(|_, at_ms| *at_ms >= before_ms);
        })
    }

    fn mark(&self) -> Mark<'_> {
        Mark { id: "memory", generation: self.calls.load(Ordering::SeqCst) }
    }

    fn follow(&self, _tree_size: Arc<AtomicU64>) {}

    fn before(&self) -> Result<Before, StoreError> {
        self.state("look at the last kernel", |state| {
            let noted = state.noted.clone();
            match state.phase {
                Phase::Fresh => Before::None,
                Phase::Open => Before::Crashed(noted),
                Phase::Closed => Before::Closed { noted, issued_ms: state.issued },
            }
        })
    }

    fn begin(&self) -> Result<(), StoreError> {
        self.state("begin", |state| state.phase = Phase::Open)
    }

    fn note(&self, noted: &Noted) -> Result<(), StoreError> {
        self.state("note the clock", |state| state.noted = state.noted.followed_by(noted))
    }

    fn finish(&self, noted: &Noted, issued_ms: i64) -> Result<(), StoreError> {
        self.state("finish", |state| {
            state.noted = state.noted.followed_by(noted);
            state.issued = issued_ms;
            state.phase = Phase::Closed;
        })
    }
}
