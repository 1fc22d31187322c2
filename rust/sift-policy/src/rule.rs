//! One policy of a file: its annotations, its scope and its conditions.

use crate::compile::{Conditions, Name};
use crate::manifest::{is_word, ApprovalRule, Manifest};
use crate::request::Request;
use cedar_policy::pst::{
    ActionConstraint, EntityOrSlot, PrincipalConstraint, ResourceConstraint, Template,
};
use cedar_policy::{PolicyId, PolicySet};
use std::sync::atomic::AtomicU64;
use std::sync::Arc;

/// Annotations that mean something here or to a reader; any other is refused, for it may be a misspelt one.
const ANNOTATIONS: [&str; 7] = ["id", "reason", "message", "approval", "shadow", "doc", "owner"];

/// One policy of a file.
pub(crate) struct Rule {
    pub(crate) id: Arc<str>,
    pub(crate) policy_id: PolicyId,
    pub(crate) forbid: bool,
    pub(crate) reason: Option<Arc<str>>,
    pub(crate) message: Option<Arc<str>>,
    pub(crate) approval: Option<ApprovalRule>,
    pub(crate) shadow: Option<Counters>,
    /// The policy alone, so that its result is its own.
    pub(crate) alone: PolicySet,
    /// What it demands of the principal, as Cedar prints it.
    pub(crate) principal: Box<str>,
    /// Which principals and tools it can speak of.
    pub(crate) scope: Scope,
    pub(crate) conditions: Conditions,
}

#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) evaluated: AtomicU64,
    pub(crate) satisfied: AtomicU64,
    pub(crate) errors: AtomicU64,
    pub(crate) would_change: AtomicU64,
}

/// Principals and tools that a policy can speak of; for all others it is false, and without an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scope {
    pub(crate) principal: Principals,
    pub(crate) tools: Tools,
}

/// Where a principal must be. Several demands hold together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Principals {
    pub(crate) agent: Option<Box<str>>,
    pub(crate) role: Option<Box<str>>,
    pub(crate) tenant: Option<Box<str>>,
    /// No request can fulfil it.
    pub(crate) never: bool,
}

/// Tools by their place in the manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tools {
    All,
    /// Sorted.
    Some(Vec<usize>),
}

impl Principals {
    pub(crate) fn includes(&self, request: &Request<'_>) -> bool {
        let meets = |demand: &Option<Box<str>>, name: &str| {
            demand.as_ref().is_none_or(|demand| **demand == *name)
        };
        !self.never
            && meets(&self.agent, request.agent)
            && meets(&self.role, request.role)
            && meets(&self.tenant, request.tenant)
    }

    fn covers(&self, other: &Self) -> bool {
        let covers =
            |wide: &Option<Box<str>>, narrow: &Option<Box<str>>| wide.is_none() || wide == narrow;
        !self.never
            && covers(&self.agent, &other.agent)
            && covers(&self.role, &other.role)
            && covers(&self.tenant, &other.tenant)
    }

    fn demand(&mut self, name: &Name) {
        let mut put = |slot: fn(&mut Self) -> &mut Option<Box<str>>, value: &str| {
            if slot(self).get_or_insert_with(|| value.into()).as_ref() != value {
                self.never = true;
            }
        };
        match name {
            Name::Agent(tenant, agent) => {
                put(|this| &mut this.tenant, tenant);
                put(|this| &mut this.agent, agent);
            }
            Name::TenantRole(tenant, role) => {
                put(|this| &mut this.tenant, tenant);
                put(|this| &mut this.role, role);
            }
            Name::Role(role) => put(|this| &mut this.role, role),
            Name::Tenant(tenant) => put(|this| &mut this.tenant, tenant),
            Name::Tool(_) | Name::Action(_) | Name::Nobody => self.never = true,
        }
    }
}

impl Tools {
    fn meet(&mut self, other: impl Fn(usize) -> bool, all: usize) {
        let kept = match self {
            Tools::All => (0..all).filter(|tool| other(*tool)).collect(),
            Tools::Some(tools) => tools.iter().copied().filter(|tool| other(*tool)).collect(),
        };
        *self = Tools::Some(kept);
    }

    pub(crate) fn is_none(&self) -> bool {
        matches!(self, Tools::Some(tools) if tools.is_empty())
    }

    pub(crate) fn contains(&self, tool: usize) -> bool {
        match self {
            Tools::All => true,
            Tools::Some(tools) => tools.binary_search(&tool).is_ok(),
        }
    }
}

impl Scope {
    /// Whether every request that the other can speak of is one of this.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        let tools = match (&self.tools, &other.tools) {
            (Tools::All, _) => true,
            (Tools::Some(_), Tools::All) => false,
            (wide, Tools::Some(tools)) => tools.iter().all(|tool| wide.contains(*tool)),
        };
        tools && self.principal.covers(&other.principal)
    }

    fn read(body: &Template, conditions: &Conditions, manifest: &Manifest) -> Self {
        let mut principal = Principals::default();
        let mut tools = Tools::All;
        let name = |target: &EntityOrSlot| match target {
            EntityOrSlot::Entity(uid) => Name::new(&uid.ty.to_string(), &uid.eid),
            EntityOrSlot::Slot(_) => None,
        };
        // What cannot be read as one of our entities demands nothing here: the policy is then evaluated in full.
        match &body.principal {
            PrincipalConstraint::Eq(target) => match name(target) {
                Some(agent @ Name::Agent(..)) => principal.demand(&agent),
                Some(_) => principal.never = true,
                None => {}
            },
            PrincipalConstraint::In(target) | PrincipalConstraint::IsIn(_, target) => {
                if let Some(name) = name(target) {
                    principal.demand(&name);
                }
            }
            PrincipalConstraint::Any | PrincipalConstraint::Is(_) => {}
        }
        if let Some(name) = conditions.leading_principal() {
            principal.demand(name);
        }
        let all = manifest.tools.len();
        let is = |tool: usize, id: &str, group: bool| {
            manifest
                .tools
                .get(tool)
                .is_some_and(|tool| *tool.name == *id || (group && *tool.action == *id))
        };
        match &body.action {
            ActionConstraint::Any => {}
            ActionConstraint::Eq(uid) => tools.meet(|tool| is(tool, &uid.eid, false), all),
            ActionConstraint::In(uids) => {
                tools.meet(|tool| uids.iter().any(|uid| is(tool, &uid.eid, true)), all);
            }
        }
        match &body.resource {
            ResourceConstraint::Eq(target)
            | ResourceConstraint::In(target)
            | ResourceConstraint::IsIn(_, target) => match name(target) {
                Some(Name::Tool(id)) => tools.meet(|tool| is(tool, &id, false), all),
                Some(_) => tools = Tools::Some(Vec::new()),
                None => {}
            },
            ResourceConstraint::Any | ResourceConstraint::Is(_) => {}
        }
        Self { principal, tools }
    }
}

impl Rule {
    pub(crate) fn read(
        policy: &cedar_policy::Policy,
        manifest: &Manifest,
    ) -> Result<(Self, cedar_policy::Policy), String> {
        if let Some((name, _)) = policy.annotations().find(|(name, _)| !ANNOTATIONS.contains(name))
        {
            return Err(format!(
                "annotation @{name} is not known; known are {}",
                ANNOTATIONS.join(", ")
            ));
        }
        let id = policy.annotation("id").filter(|id| is_word(id)).ok_or(
            "it needs an @id(\"..\") of letters, digits and `_ - .`: receipts and messages name it"
                .to_owned(),
        )?;
        let reason = policy.annotation("reason");
        if let Some(reason) = reason {
            let word =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
            if !(1..=64).contains(&reason.len()) || !reason.bytes().all(word) {
                return Err("@reason is a code of lower-case letters, digits and `_`, at most 64"
                    .to_owned());
            }
        }
        let shadow = match policy.annotation("shadow") {
            None => None,
            Some("") => Some(Counters::default()),
            Some(_) => {
                return Err(
                    "@shadow takes no value; remove the annotation to put the policy in force"
                        .to_owned(),
                )
            }
        };
        let approval = policy.annotation("approval").map(ApprovalRule::parse).transpose()?;
        let policy = policy.new_id(PolicyId::new(id));
        let alone =
            PolicySet::from_policies([policy.clone()]).map_err(|error| error.to_string())?;
        let tree = policy.to_pst().map_err(|error| error.to_string())?;
        let conditions = Conditions::compile(tree.body().clauses());
        let scope = Scope::read(tree.body(), &conditions, manifest);
        let rule = Self {
            id: id.into(),
            policy_id: policy.id().clone(),
            forbid: policy.effect() == cedar_policy::Effect::Forbid,
            reason: reason.map(Into::into),
            message: policy.annotation("message").map(Into::into),
            approval,
            shadow,
            alone,
            principal: format!("principal {}", tree.body().principal).into(),
            scope,
            conditions,
        };
        Ok((rule, policy))
    }
}
