//! Elevations: what people add to a session for a while.

use std::sync::Arc;

use sift_ledger::jcs::Value as Json;
use sift_ledger::keys::{PublicKey, Purpose};
use sift_ledger::receipt::Fields;

use super::admit::Caller;
use super::approve::person;
use super::Kernel;
use crate::approval::digest;
use crate::error::{KernelError, Result};
use crate::request::ActionRequest;
use crate::session::{Elevation, SignedElevation};
use crate::sync::{read, write};

/// An elevation in force.
#[derive(Clone)]
pub(super) struct Held {
    pub(super) elevation: Elevation,
    /// The approver's key, which is asked at each use.
    pub(super) key_id: String,
    /// Whose session it widens: names of sessions are chosen by those who open them.
    pub(super) agent: String,
}

impl Kernel {
    /// Adds tools to a session, because a person said so: to that of the agent who has it open now.
    ///
    /// Errors: `Signature` for a key that may not, or is of whoever owns the session's; `Invalid` for an elevation
    /// that is over or too long, and a session that is not open or that several agents have; `Unavailable` for a
    /// store that fails.
    pub fn elevate(&self, signed: &SignedElevation) -> Result<()> {
        self.check_usable()?;
        let now = self.now()?;
        self.check_elevation(signed, now.wall)?;
        let elevation = &signed.elevation;
        let open: Vec<_> = read(&self.sessions)
            .values()
            .filter(|open| {
                let grant = &open.signed.grant;
                (&grant.session, &grant.tenant) == (&elevation.session, &elevation.tenant)
                    && now.wall < grant.expires_at_ms
            })
            .cloned()
            .collect();
        let open = match open.as_slice() {
            [one] => one,
            [] => {
                return Err(KernelError::Invalid(
                    "no session of this name and tenant is open: open it first".to_owned(),
                ));
            }
            // Each agent chooses its names, and the person signed for one of them.
            _ => {
                return Err(KernelError::Invalid(
                    "several agents of the tenant have a session of this name open: open one of another name"
                        .to_owned(),
                ));
            }
        };
        let held = Held {
            elevation: elevation.clone(),
            key_id: signed.key_id.clone(),
            agent: open.signed.grant.agent.clone(),
        };
        let keys = self.keys();
        let owner = keys.get(&open.signed.key_id, Purpose::Agent).ok().map(Arc::as_ref);
        if owner.is_none() || !self.may_elevate(&held, owner, now.wall) {
            return Err(KernelError::Signature(
                "the key may not widen this session: revoked, or of whoever opened it".to_owned(),
            ));
        }
        let mut elevations = write(&self.elevations);
        let same = |one: &&Held| one.elevation.id == elevation.id;
        if elevations.iter().find(same).is_some_and(|one| one.agent != held.agent) {
            return Err(KernelError::Invalid(
                "the elevation widens a session of another agent: a person must sign a new one"
                    .to_owned(),
            ));
        }
        let bytes = signed.to_json()?;
        self.record_elevation(signed, &held, now.wall)?;
        self.store.add_elevation(&elevation.id, &held.agent, elevation.expires_at_ms, &bytes)?;
        elevations.retain(|one| {
            one.elevation.expires_at_ms > now.wall && one.elevation.id != elevation.id
        });
        elevations.push(held);
        Ok(())
    }

    /// A receipt of an elevation, before it widens anything.
    fn record_elevation(&self, signed: &SignedElevation, held: &Held, now_ms: i64) -> Result<()> {
        let elevation = &signed.elevation;
        let keys = self.keys();
        let approver = keys.get(&signed.key_id, Purpose::Approver).ok();
        let text = |tool: &String| Json::Str(tool.clone());
        let tools = Json::List(elevation.tools.iter().map(text).collect());
        self.record_event(&Fields {
            event: "elevation",
            request_id: &elevation.id,
            action_hash: digest(&signed.preimage()),
            tenant: &elevation.tenant,
            agent: &held.agent,
            session: Some(&elevation.session),
            decision: "elevated",
            reason: "elevated",
            approvers: &[approver.map_or("", |key| person(key))],
            elevation: Some(&elevation.id),
            decided_at: now_ms,
            expires_at: Some(elevation.expires_at_ms),
            details: &[("tools", tools)],
            ..Fields::default()
        })
    }

    /// Whether the key behind an elevation may still sign it, and is not of whoever asks.
    fn may_elevate(&self, held: &Held, requester: Option<&PublicKey>, now_ms: i64) -> bool {
        let Some(group) = &self.config.approval.elevation_group else { return false };
        let keys = self.keys();
        keys.get(&held.key_id, Purpose::Approver)
            .is_ok_and(|key| self.may_sign(key, group, &held.elevation.tenant, requester, now_ms))
    }

    fn check_elevation(&self, signed: &SignedElevation, now_ms: i64) -> Result<()> {
        let elevation = &signed.elevation;
        elevation.check()?;
        let Some(group) = &self.config.approval.elevation_group else {
            return Err(KernelError::Signature(
                "nobody may elevate: `approval.elevation_group` of kernel.toml names no group"
                    .to_owned(),
            ));
        };
        if signed.audience != self.config.audience {
            return Err(KernelError::Invalid("the elevation is for another kernel".to_owned()));
        }
        let keys = self.keys();
        let bad = |error: sift_ledger::keys::KeyError| KernelError::Signature(error.to_string());
        let key = keys.get(&signed.key_id, Purpose::Approver).map_err(bad)?;
        key.check_time(now_ms).map_err(bad)?;
        key.verify(&signed.preimage(), &signed.signature).map_err(bad)?;
        if !key.groups.contains(group)
            || key.tenant.as_ref().is_some_and(|tenant| *tenant != elevation.tenant)
        {
            return Err(KernelError::Signature(format!(
                "the key is not of the group `{group}`, or of another tenant"
            )));
        }
        if self.revocations.find(&elevation.tenant, "", None, Some(&signed.key_id)).is_some() {
            return Err(KernelError::Signature("the tenant or the key is revoked".to_owned()));
        }
        let longest = self.config.approval.elevation_seconds.saturating_mul(1_000);
        if elevation.expires_at_ms <= now_ms
            || elevation.expires_at_ms.saturating_sub(elevation.not_before_ms) > longest
        {
            return Err(KernelError::Invalid(
                "the elevation is over, or lasts longer than it may".to_owned(),
            ));
        }
        Ok(())
    }

    pub(super) fn load_elevations(&self, now_ms: i64) -> Result<()> {
        let mut elevations = Vec::new();
        for (agent, bytes) in self.store.elevations(now_ms)? {
            // Verified again: a file that was changed adds nothing.
            if let Ok(signed) = SignedElevation::from_json(&bytes) {
                if self.check_elevation(&signed, now_ms).is_ok() {
                    let SignedElevation { elevation, key_id, .. } = signed;
                    elevations.push(Held { elevation, key_id, agent });
                }
            }
        }
        *write(&self.elevations) = elevations;
        Ok(())
    }

    pub(super) fn elevation(
        &self,
        request: &ActionRequest,
        caller: &Caller,
        now_ms: i64,
    ) -> Option<Elevation> {
        let session = request.session.as_ref()?;
        read(&self.elevations)
            .iter()
            .find(|held| {
                let one = &held.elevation;
                one.session == *session
                    && one.tenant == request.tenant
                    && held.agent == request.agent
                    && one.not_before_ms <= now_ms
                    && now_ms < one.expires_at_ms
                    && one.tools.contains(&request.tool)
                    && self.may_elevate(held, caller.key.as_deref(), now_ms)
            })
            .map(|held| held.elevation.clone())
    }
}
