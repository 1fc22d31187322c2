//! A store that forgets: for tests of what the kernel does with one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Mutex;

use super::{AccountKey, Before, Store, Undo};
use crate::approval::{ApprovalRecord, ApprovalState, Signed};
use crate::error::StoreError;
use crate::revocation::Subject;
use crate::sync::lock;

#[derive(Debug, Default)]
struct State {
    drawn: BTreeMap<AccountKey, i64>,
    revoked: BTreeSet<Subject>,
    approvals: BTreeMap<String, ApprovalRecord>,
    elevations: BTreeMap<String, (i64, Vec<u8>)>,
    undos: BTreeMap<String, BTreeMap<(i64, String), Undo>>,
    clock: i64,
    issued: i64,
    phase: Phase,
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

    fn forget_approvals(&self, before_ms: i64) -> Result<(), StoreError> {
        self.state("forget approvals", |state| {
            state.approvals.retain(|_, approval| approval.expires_ms >= before_ms);
        })
    }

    fn add_elevation(&self, id: &str, expires_ms: i64, signed: &[u8]) -> Result<(), StoreError> {
        self.state("add an elevation", |state| {
            state.elevations.insert(id.to_owned(), (expires_ms, signed.to_vec()));
        })
    }

    fn elevations(&self, now_ms: i64) -> Result<Vec<Vec<u8>>, StoreError> {
        self.state("read elevations", |state| {
            state
                .elevations
                .values()
                .filter(|(expires, _)| *expires > now_ms)
                .map(|(_, signed)| signed.clone())
                .collect()
        })
    }

    fn add_undo(&self, trace_id: &str, undo: &Undo) -> Result<(), StoreError> {
        self.state("remember how to undo an action", |state| {
            state
                .undos
                .entry(trace_id.to_owned())
                .or_default()
                .insert((undo.order, undo.request_id.clone()), undo.clone());
        })
    }

    fn undos(&self, trace_id: &str) -> Result<Vec<Undo>, StoreError> {
        self.state("read how to undo a trace", |state| {
            state.undos.get(trace_id).map(|all| all.values().cloned().collect()).unwrap_or_default()
        })
    }

    fn take_undo(&self, trace_id: &str, request_id: &str) -> Result<bool, StoreError> {
        self.state("take an undo", |state| {
            let Some(all) = state.undos.get_mut(trace_id) else { return false };
            let before = all.len();
            all.retain(|(_, id), _| id != request_id);
            all.len() < before
        })
    }

    fn begin(&self) -> Result<Before, StoreError> {
        self.state("begin", |state| {
            let before = match state.phase {
                Phase::Fresh => Before::None,
                Phase::Open => Before::Crashed(state.clock),
                Phase::Closed => Before::Closed { at_ms: state.clock, issued_ms: state.issued },
            };
            state.phase = Phase::Open;
            before
        })
    }

    fn note_clock(&self, wall_ms: i64) -> Result<(), StoreError> {
        self.state("note the clock", |state| state.clock = state.clock.max(wall_ms))
    }

    fn finish(&self, wall_ms: i64, issued_ms: i64) -> Result<(), StoreError> {
        self.state("finish", |state| {
            state.clock = state.clock.max(wall_ms);
            state.issued = issued_ms;
            state.phase = Phase::Closed;
        })
    }
}
