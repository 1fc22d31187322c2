//! What is decided about somebody who is known: steps 6 to 10 of an authorization.

use std::sync::Arc;

use sift_policy::{Effect, Policy, Request};

use super::admit::Caller;
use super::answer::{broken, refuse, Authorization, Decision, Refusal, Status};
use super::session::roles;
use super::Kernel;
use crate::approval::ApprovalState;
use crate::budget::{Charge, Ending, Refused, Who};
use crate::clock::Now;
use crate::request::{ActionRequest, Credential};
use crate::seeds::Seed;
use crate::sync::lock;

/// What is found out on the way and stands in the receipt.
#[derive(Default)]
pub(super) struct Case {
    pub(super) request_id: String,
    pub(super) message: Option<String>,
    pub(super) shadow: Vec<String>,
    pub(super) taint: Vec<String>,
    pub(super) approvers: Vec<String>,
    pub(super) elevation: Option<String>,
    pub(super) charges: Vec<Charge>,
    pub(super) risk: Option<&'static str>,
}

struct Granted {
    reason: String,
    rules: Vec<String>,
    lease: Option<String>,
    approval: Option<String>,
}

impl Kernel {
    /// Steps 6 to 10: what is decided about somebody who is known, with a receipt whatever it is.
    pub(super) fn judge(
        &self,
        request: &ActionRequest,
        credential: &Credential,
        approval: Option<&str>,
        caller: &Caller,
        policy: &Policy,
    ) -> Authorization {
        let mut case = Case { request_id: credential.stamp.request_id.clone(), ..Case::default() };
        let verdict = self.decide(request, approval, caller, policy, &mut case);
        let stamp = &credential.stamp;
        let mut answer = match verdict {
            Ok(granted) => Authorization {
                decision: if granted.lease.is_some() {
                    Decision::Allow
                } else {
                    Decision::Escalate
                },
                reason: granted.reason,
                message: case.message.take(),
                rule_ids: granted.rules,
                lease: granted.lease,
                approval: granted.approval,
                ..Authorization::refused(refuse(""), &stamp.request_id, *policy.hash())
            },
            Err(refusal) => Authorization {
                message: case.message.take(),
                ..Authorization::refused(refusal, &stamp.request_id, *policy.hash())
            },
        };
        answer.shadow = std::mem::take(&mut case.shadow);
        answer.taint = std::mem::take(&mut case.taint);
        match self.record(request, credential, caller, &case, &answer) {
            Ok(record) => answer.record = Some(record),
            Err(_) => {
                // What nobody can prove afterwards must not happen.
                if let Some(lease) = &answer.lease {
                    self.drop_lease(lease, caller.now);
                }
                let refusal = broken("ledger_unavailable");
                return Authorization::refused(refusal, &stamp.request_id, *policy.hash());
            }
        }
        answer
    }

    /// Grant, tool, schema, contents, policy, approval, budget.
    fn decide(
        &self,
        request: &ActionRequest,
        approval: Option<&str>,
        caller: &Caller,
        policy: &Policy,
        case: &mut Case,
    ) -> std::result::Result<Granted, Refusal> {
        let now = caller.now;
        if let Some(key) = &caller.key {
            if !roles(key).contains(&request.role) {
                return Err(refuse("role_not_granted"));
            }
        }
        let elevation = self.elevation(request, caller, now.wall);
        if let Some(open) = &caller.session {
            open.signed.grant.allows(request, elevation.as_ref(), now.wall).map_err(refuse)?;
        }
        let tool = policy.tool(&request.tool).ok_or_else(|| refuse("unknown_tool"))?;
        case.risk = Some(tool.risk.as_str());
        let findings = if tool.scan_args {
            // Before the contents are looked at: what does not fit the schema is not worth a scan.
            tool.check_args(&request.args).map_err(|_| refuse("invalid_arguments"))?;
            let scanner = self.scanner.as_ref().ok_or_else(|| broken("scanner_missing"))?;
            scanner.scan(&request.args).map_err(|_| broken("scan_failed"))?
        } else {
            Vec::new()
        };
        let taint = match (&self.taint, &request.conversation) {
            // What came in before this start is not known any more, and that is not nothing.
            (Some(_), Some(conversation)) if self.observed.lost(&request.tenant, conversation) => {
                return Err(broken("taint_unknown"));
            }
            (Some(source), Some(conversation)) => source
                .taint(&request.tenant, conversation, &request.args)
                .map_err(|_| broken("taint_unknown"))?,
            // To leave the conversation out is not a way out.
            (Some(source), None)
                if tool.exports
                    && (source.observed(&request.tenant)
                        || self.observed.lost_any(&request.tenant)) =>
            {
                return Err(broken("taint_unknown"));
            }
            _ => Vec::new(),
        };
        case.taint = taint.iter().map(|taint| taint.source.clone()).collect();
        case.taint.sort_unstable();
        case.taint.dedup();
        let approved = match approval {
            None => None,
            Some(id) => Some(self.approved(id, request, caller)?),
        };
        case.elevation = elevation.map(|elevation| elevation.id);
        let estimate: Vec<(&str, i64)> =
            request.estimate.iter().map(|(unit, amount)| (unit.as_str(), *amount)).collect();
        let asked = Request {
            tenant: &request.tenant,
            agent: &request.agent,
            role: &request.role,
            tool,
            args: &request.args,
            session: request.session.as_deref(),
            conversation: request.conversation.as_deref(),
            model: request.model.as_deref(),
            model_version: request.model_version.as_deref(),
            now_ms: now.wall,
            findings: &findings,
            taint: &taint,
            approved_by: approved.as_ref().map_or(&[], |approved| approved.by.as_slice()),
            elevation: case.elevation.as_deref(),
            estimate: &estimate,
        };
        let outcome = policy.decide(&asked);
        if let Some(decisions) = &self.decisions {
            decisions.add(&case.request_id, &asked, &outcome);
        }
        case.message = outcome.message.as_deref().map(str::to_owned);
        case.shadow = outcome
            .shadow
            .iter()
            .filter(|shadow| shadow.would_change)
            .map(|shadow| shadow.rule_id.to_string())
            .collect();
        let rules: Vec<String> = outcome.rule_ids.iter().map(ToString::to_string).collect();
        let reason = outcome.reason.to_string();
        match &outcome.effect {
            Effect::Deny => return Err(Refusal { reason, status: Status::Ok, rules }),
            Effect::Escalate(rule) => {
                let asked = self.ask(request, caller, rule)?;
                return Ok(Granted { reason, rules, lease: None, approval: Some(asked) });
            }
            Effect::Allow => {}
        }
        let charges: Vec<Charge> = outcome
            .charges
            .iter()
            .map(|charge| Charge {
                budget: Arc::clone(&charge.budget),
                unit: Arc::clone(&charge.unit),
                amount: charge.amount,
            })
            .collect();
        let who = Who {
            tenant: &request.tenant,
            role: &request.role,
            agent: &request.agent,
            session: request.session.as_deref(),
            conversation: request.conversation.as_deref(),
            tool: &request.tool,
            request_id: &case.request_id,
            action: caller.action,
            peer: caller.peer,
        };
        let lease = self.books.reserve(&who, &charges, now).map_err(budget_refusal)?;
        case.charges = charges;
        if let (Some(undo), Some(trace_id)) = (&tool.undo, &request.trace_id) {
            let seed = Seed {
                trace_id: trace_id.clone(),
                tenant: request.tenant.clone(),
                agent: request.agent.clone(),
                request_id: case.request_id.clone(),
                tool: undo.tool.clone(),
                args: undo.args.clone(),
                call: request.args.clone(),
                bytes: caller.canonical.len(),
            };
            if !self.keep_seed(&lease, seed, now) {
                self.drop_lease(&lease, now);
                return Err(broken("books_full"));
            }
        }
        // Last of all, since it cannot be undone.
        let used = match approved.filter(|_| outcome.fulfilled.is_some()) {
            None => None,
            Some(approved) => {
                let taken = self.store.move_approval(
                    &approved.id,
                    ApprovalState::Approved,
                    ApprovalState::Consumed,
                );
                if !matches!(taken, Ok(true)) {
                    self.drop_lease(&lease, now);
                    return Err(match taken {
                        Ok(_) => refuse("approval_used"),
                        Err(_) => broken("store_unavailable"),
                    });
                }
                case.approvers = approved.by.into_iter().map(|one| one.name).collect();
                Some(approved.id)
            }
        };
        Ok(Granted { reason, rules, lease: Some(lease), approval: used })
    }

    /// Gives a reservation back that nobody was told of.
    fn drop_lease(&self, lease: &str, now: Now) {
        let _ = self.books.end(lease, Ending::Cancel, None, now);
        lock(&self.seeds).remove(lease);
    }
}

fn budget_refusal(refused: Refused) -> Refusal {
    let with = |reason: &str, rule: String| Refusal { rules: vec![rule], ..refuse(reason) };
    match refused {
        Refused::Exceeded(limit) => with("budget_exceeded", format!("limit:{limit}")),
        Refused::Barred(limit) => with("budget_overrun", format!("limit:{limit}")),
        Refused::Rate(rate) => with("rate_exceeded", format!("rate:{rate}")),
        Refused::Uncapped(budget) => with("budget_undeclared", format!("budget:{budget}")),
        Refused::Scope(limit) => with("budget_scope_missing", format!("limit:{limit}")),
        Refused::Full => broken("books_full"),
        Refused::Store(_) => broken("store_unavailable"),
    }
}
