//! What is looked at when a kernel starts, before anything is changed: whether store, ledger, clock, keys and budgets
//! belong together.

use sift_ledger::keys::{Keyring, Purpose};
use sift_ledger::receipt::Statement;
use sift_policy::Policy;

use crate::budget::Budgets;
use crate::clock::Clock;
use crate::error::{KernelError, Result};
use crate::ledger::Ledger;
use crate::store::{Before, Mark};

/// How often the wall clock is noted in the store, milliseconds.
pub(crate) const CLOCK_INTERVAL: i64 = 60_000;

/// Whether store and ledger belong together: without the store's part revocations, used approvals and spent
/// budgets would be forgotten, and nobody would notice.
pub(crate) fn check_ledger(before: &Before, size: Option<u64>) -> Result<()> {
    let Some(size) = size else { return Ok(()) };
    let wrong = |what: &str| Err(KernelError::Unavailable(what.to_owned()));
    match before {
        Before::None if size > 0 => wrong(
            "the store (`kernel.sqlite`) is new and the ledger is not: put the store back that belongs to the \
             ledger, or begin with a new state folder, a new `origin` and new keys",
        ),
        Before::Closed { noted, .. } | Before::Crashed(noted) if size < noted.tree_size => wrong(
            "the ledger is shorter than the store (`kernel.sqlite`) knows: put the ledger back that belongs to it",
        ),
        Before::Closed { noted, .. } if size > noted.tree_size => wrong(
            "the store (`kernel.sqlite`) is older than the ledger: put the one back that belongs to it",
        ),
        _ => Ok(()),
    }
}

/// Most receipts that are asked for the state of the store: they are queued in the order in which the store was
/// changed, but for what threads do between the two.
const TAIL: u64 = 32;

/// Whether the store is the one that the newest receipts were made with, and knows of all that they know of.
pub(crate) fn check_store(ledger: &dyn Ledger, mark: Mark<'_>) -> Result<()> {
    let wrong = |what: &str| Err(KernelError::Unavailable(what.to_owned()));
    for entry in ledger.tail(TAIL).map_err(|error| KernelError::Unavailable(error.to_string()))? {
        let Ok(statement) = Statement::of(&entry) else {
            return wrong("the ledger ends with what is no receipt: it is not that of a kernel");
        };
        let seen = statement.text("store").and_then(|seen| seen.rsplit_once(':'));
        let Some((id, generation)) = seen else { continue };
        if id != mark.id {
            return wrong(
                "the store (`kernel.sqlite`) is not the one that the ledger was written with: put that one back",
            );
        }
        if generation.parse().is_ok_and(|seen: u64| seen > mark.generation) {
            return wrong(
                "the store (`kernel.sqlite`) is older than the ledger: put the one back that belongs to it",
            );
        }
    }
    Ok(())
}

/// Up to which time of issue requests may have been accepted before, milliseconds since 1970. Nonces are not
/// durable, so those are refused.
///
/// Errors: a clock that is behind what the store knows.
pub(crate) fn accept_after(before: &Before, clock: &dyn Clock, skew_ms: i64) -> Result<i64> {
    // The steady clock first, and last where it is noted: whatever comes between two readings, no more time seems to
    // have passed than has.
    let (steady, wall) = (clock.steady_ms(), clock.wall_ms());
    let noted = match before {
        // Nothing that was issued before the first start was meant for it.
        Before::None => return Ok(wall.saturating_sub(1)),
        Before::Closed { noted, .. } | Before::Crashed(noted) => noted,
    };
    let elapsed = steady.saturating_sub(noted.steady_ms);
    let same_run = !noted.boot.is_empty() && noted.boot == clock.boot() && elapsed >= 0;
    // In the same run of the machine the steady clock tells what time it must be at least, but for what a daemon
    // may slew.
    let expected = if same_run {
        noted.wall_ms.saturating_add(elapsed).saturating_sub(elapsed / 1_000 + 1)
    } else {
        noted.wall_ms
    };
    if wall < expected.saturating_sub(skew_ms) {
        return Err(KernelError::Unavailable(
            "the clock is behind the last time that the store knows: set it right".to_owned(),
        ));
    }
    Ok(match before {
        Before::Closed { issued_ms, .. } => *issued_ms,
        // Before now, and issued `skew` later at most. In another run of the machine it may have gone on for an
        // interval after the note, and the clock of now may be behind that.
        _ if same_run => wall.max(expected).saturating_add(skew_ms),
        _ => wall.max(noted.wall_ms.saturating_add(CLOCK_INTERVAL)).saturating_add(skew_ms),
    })
}

/// Whether the keys of agents and people say whose they are.
pub(crate) fn check_keys(keys: &Keyring) -> Result<()> {
    let wrong = |message: String| Err(KernelError::Config(format!("keys.toml: {message}")));
    for key in keys.of(Purpose::Agent) {
        if key.tenant.is_none() || key.agent.is_none() || key.roles.is_empty() {
            return wrong(format!(
                "agent key `{}` needs a `tenant`, an `agent` and at least one role",
                key.id
            ));
        }
    }
    // Without it nobody knows that an agent's key and an approver's are of one person.
    for key in keys.of(Purpose::Agent).chain(keys.of(Purpose::Approver)) {
        if !key.name.as_deref().is_some_and(crate::request::is_label) {
            return wrong(format!("key `{}` needs a `name`: the person behind it", key.id));
        }
    }
    Ok(())
}

/// What a tool charges must be capped somewhere: an uncapped budget is none.
pub(crate) fn check_charges(policy: &Policy, budgets: &Budgets) -> Result<()> {
    for tool in policy.tools() {
        for charge in &tool.charges {
            if !budgets.caps(&charge.budget, &charge.unit) {
                return Err(KernelError::Config(format!(
                    "budgets.toml: tool `{}` charges `{}` in `{}`, which no limit caps",
                    tool.name, charge.budget, charge.unit
                )));
            }
        }
    }
    Ok(())
}
