//! What the results of the policies come to.

use crate::facts::Facts;
use crate::manifest::ApprovalRule;
use crate::request::{Approver, Effect, Evaluation, Outcome, Reason, Request};
use crate::rule::Rule;

pub(crate) fn deny(reason: Reason) -> Outcome {
    Outcome {
        effect: Effect::Deny,
        reason,
        message: None,
        rule_ids: Vec::new(),
        charges: Vec::new(),
        shadow: Vec::new(),
        fulfilled: None,
    }
}

/// Results of the policies in force, and what they come to.
#[derive(Clone, Default)]
pub(crate) struct Tally<'p> {
    forbids: Vec<&'p Rule>,
    errors: Vec<&'p Rule>,
    /// Forbids that an approval lifts, and that are not lifted.
    required: Vec<(&'p Rule, &'p ApprovalRule)>,
    permits: Vec<&'p Rule>,
    /// Permits that hold once approved.
    offers: Vec<(&'p Rule, &'p ApprovalRule)>,
    /// What approvals lifted.
    lifted: Vec<(&'p Rule, &'p ApprovalRule)>,
}

impl<'p> Tally<'p> {
    pub(crate) fn add(&mut self, rule: &'p Rule, result: Evaluation, request: &Request<'_>) {
        let approval =
            rule.approval.as_ref().map(|approval| (approval, fulfils(request, approval)));
        match (result, rule.forbid, approval) {
            (Evaluation::NotSatisfied, ..) | (Evaluation::Error, false, _) => {}
            (Evaluation::Error, true, _) => self.errors.push(rule),
            (Evaluation::Satisfied, true, None) => self.forbids.push(rule),
            (Evaluation::Satisfied, true, Some((approval, false))) => {
                self.required.push((rule, approval))
            }
            (Evaluation::Satisfied, true, Some((approval, true))) => {
                self.lifted.push((rule, approval))
            }
            (Evaluation::Satisfied, false, None) => self.permits.push(rule),
            (Evaluation::Satisfied, false, Some((approval, false))) => {
                self.offers.push((rule, approval))
            }
            (Evaluation::Satisfied, false, Some((approval, true))) => {
                self.permits.push(rule);
                self.lifted.push((rule, approval));
            }
        }
    }

    pub(crate) fn outcome(&self, facts: &Facts<'_>) -> Outcome {
        let (tool, request) = (facts.tool, facts.request);
        let refusing: Vec<_> = self.forbids.iter().chain(&self.errors).copied().collect();
        // Of several the first by id speaks, so that the order of evaluation does not show.
        let speaks = |rules: &[&'p Rule]| rules.iter().copied().min_by_key(|rule| &rule.id);
        if let Some(first) = speaks(&self.forbids).or_else(|| speaks(&self.errors)) {
            let otherwise =
                if self.forbids.is_empty() { Reason::PolicyError } else { Reason::Forbidden };
            return decided(Effect::Deny, otherwise, Some(first), &refusing);
        }
        if self.permits.is_empty() && self.offers.is_empty() {
            return deny(Reason::NoPermit);
        }
        let Some(charges) = tool.charge(request.args, request.estimate) else {
            return deny(Reason::InvalidCharge);
        };
        let by_tool = tool.approval.as_ref().map(|approval| (approval, fulfils(request, approval)));
        // Of several approvals that are all needed the hardest is asked for first; of several offers the easiest.
        let hardest = self.required.iter().map(|(rule, approval)| (Some(*rule), *approval));
        let by_manifest =
            by_tool.filter(|(_, fulfilled)| !fulfilled).map(|(approval, _)| (None, approval));
        let required = hardest.chain(by_manifest).max_by_key(|(rule, approval)| {
            (approval.m, std::cmp::Reverse((&approval.name, rule.map(|rule| &rule.id))))
        });
        let offer = self
            .offers
            .iter()
            .min_by_key(|(rule, approval)| (approval.m, &approval.name, &rule.id));
        let wanted = required.or(match self.permits.is_empty() {
            true => offer.map(|(rule, approval)| (Some(*rule), *approval)),
            false => None,
        });
        let mut deciding = self.permits.clone();
        let mut outcome = match wanted {
            Some((rule, approval)) => {
                deciding.extend(self.offers.iter().map(|(rule, _)| *rule));
                deciding.extend(self.required.iter().map(|(rule, _)| *rule));
                decided(
                    Effect::Escalate(approval.clone()),
                    Reason::ApprovalRequired,
                    rule,
                    &deciding,
                )
            }
            None => {
                deciding.extend(self.lifted.iter().map(|(rule, _)| *rule));
                decided(Effect::Allow, Reason::Allowed, None, &deciding)
            }
        };
        if by_tool.is_some() {
            outcome.rule_ids.push(format!("tool:{}", tool.name).into());
        }
        outcome.charges = charges;
        if outcome.effect == Effect::Allow {
            let lifted = self.lifted.iter().map(|(_, approval)| *approval);
            let fulfilled = lifted
                .chain(by_tool.map(|(approval, _)| approval))
                .max_by_key(|rule| (rule.m, &rule.name));
            outcome.fulfilled = fulfilled.cloned();
        }
        outcome
    }
}

fn decided(effect: Effect, otherwise: Reason, by: Option<&Rule>, deciding: &[&Rule]) -> Outcome {
    let mut rule_ids: Vec<_> = deciding.iter().map(|rule| rule.id.clone()).collect();
    rule_ids.sort_unstable();
    rule_ids.dedup();
    Outcome {
        effect,
        reason: by.and_then(|rule| rule.reason.clone()).map_or(otherwise, Reason::Policy),
        message: by.and_then(|rule| rule.message.clone()),
        rule_ids,
        charges: Vec::new(),
        shadow: Vec::new(),
        fulfilled: None,
    }
}

/// Whether enough different members of the group approved; whoever asks does not count.
fn fulfils(request: &Request<'_>, rule: &ApprovalRule) -> bool {
    let member = |approver: &&Approver| {
        approver.name != request.agent && approver.groups.iter().any(|group| **group == *rule.group)
    };
    let mut names: Vec<_> =
        request.approved_by.iter().filter(member).map(|approver| &approver.name).collect();
    names.sort_unstable();
    names.dedup();
    names.len() >= rule.m as usize
}
