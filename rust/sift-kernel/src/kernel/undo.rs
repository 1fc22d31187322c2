//! What undoes the actions of a trace.

use std::sync::atomic::Ordering;

use sift_policy::json::Value;

use super::{Kernel, KEPT};
use crate::clock::Now;
use crate::codec;
use crate::error::{KernelError, Result};
use crate::seeds::Seed;
use crate::store::{Trace, Undo};
use crate::sync::lock;

impl Kernel {
    /// False when there is no room, even without those whose lease is over.
    pub(super) fn keep_seed(&self, lease: &str, seed: Seed, now: Now) -> bool {
        let until = now.steady.saturating_add(self.config.lease.seconds.saturating_mul(1_000));
        let mut seeds = lock(&self.seeds);
        if !seeds.fits(&seed, self.config.lease.entries) {
            seeds.sweep(now.steady);
            if !seeds.fits(&seed, self.config.lease.entries) {
                return false;
            }
        }
        seeds.insert(lease, until, seed);
        true
    }

    /// Remembers how to undo an action that happened, or may have, if its tool and its trace say so.
    ///
    /// Args: the lease; what the tool returned, `Null` where that is not known.
    ///
    /// Returns whether there is something to remember: not without a trace, an undoing tool, or what its
    /// arguments are taken from.
    ///
    /// Errors: `Unavailable` when it cannot be made durable.
    pub fn remember_undo(&self, lease: &str, result: &Value) -> Result<bool> {
        self.check_usable()?;
        // It stays until the store has it, so that who says again how the action ended is not told that all is well.
        let Some(seed) = lock(&self.seeds).get(lease) else { return Ok(false) };
        let Some(args) = seed.arguments(result) else {
            lock(&self.seeds).remove(lease);
            return Ok(false);
        };
        let now = self.clock.wall_ms();
        let undo = Undo {
            tenant: seed.tenant.clone(),
            agent: seed.agent.clone(),
            request_id: seed.request_id.clone(),
            order: self.next_order(),
            tool: seed.tool.clone(),
            args: codec::to_json(&args)?,
        };
        if !self.store.add_undo(&seed.trace_id, &undo, now.saturating_add(KEPT))? {
            return Err(KernelError::Invalid(
                "an undo of another action is stored for a request of this name in this trace: give each \
                 request a name of its own, and undo this one by hand"
                    .to_owned(),
            ));
        }
        lock(&self.seeds).remove(lease);
        Ok(true)
    }

    /// Microseconds since 1970, later than every one before: two actions of one moment have an order too.
    fn next_order(&self) -> i64 {
        let now = self.clock.wall_ms().saturating_mul(1_000);
        let next = |last: i64| now.max(last.saturating_add(1));
        match self
            .ordered_us
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |last| Some(next(last)))
        {
            Ok(last) | Err(last) => next(last),
        }
    }

    /// What undoes the actions of a trace, the last one first.
    ///
    /// Errors: `Invalid` when no tenant is named and there are steps of several; `Unavailable` for a store that
    /// fails.
    pub fn undos(&self, trace: Trace<'_>) -> Result<Vec<Undo>> {
        self.check_usable()?;
        let mut undos = self.steps(trace, false)?;
        undos.reverse();
        Ok(undos)
    }

    fn steps(&self, trace: Trace<'_>, taken: bool) -> Result<Vec<Undo>> {
        let fits = |wanted: Option<&str>, is: &str| wanted.is_none_or(|name| name == is);
        let mut undos = self.store.undos(trace.id, taken)?;
        undos.retain(|one| fits(trace.tenant, &one.tenant) && fits(trace.agent, &one.agent));
        if undos.windows(2).any(|two| matches!(two, [a, b] if a.tenant != b.tenant)) {
            return Err(KernelError::Invalid(
                "several tenants have used this name for a trace: say whose is meant".to_owned(),
            ));
        }
        Ok(undos)
    }

    fn step(&self, trace: Trace<'_>, request_id: &str, taken: bool) -> Result<Option<Undo>> {
        let mut steps = self.steps(trace, taken)?;
        steps.retain(|one| one.request_id == request_id);
        if steps.len() > 1 {
            return Err(KernelError::Invalid(
                "several agents have used this name for a request: say whose is meant".to_owned(),
            ));
        }
        Ok(steps.pop())
    }

    /// Takes one undo out, so that nobody else runs it; false when somebody has.
    ///
    /// Errors: as for [`Self::undos`], and `Invalid` when no agent is named and several have used the name.
    pub fn take_undo(&self, trace: Trace<'_>, request_id: &str) -> Result<bool> {
        self.check_usable()?;
        match self.step(trace, request_id, false)? {
            Some(undo) => Ok(self.store.move_undo(trace.id, &undo, true)?),
            None => Ok(false),
        }
    }

    /// Puts one back that was taken and not run: as it was stored, whatever has become of it outside.
    ///
    /// Errors: as for [`Self::take_undo`].
    pub fn return_undo(&self, trace: Trace<'_>, request_id: &str) -> Result<()> {
        self.check_usable()?;
        if let Some(undo) = self.step(trace, request_id, true)? {
            self.store.move_undo(trace.id, &undo, false)?;
        }
        Ok(())
    }
}
