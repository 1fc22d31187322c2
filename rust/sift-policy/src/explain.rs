//! Why a request was decided as it was: for a default deny the nearest permits and what they lacked.

use crate::facts::Facts;
use crate::policy::Policy;
use crate::request::{Outcome, Reason, Request};
use crate::rule::Rule;
use crate::stack::deep;
use std::sync::Arc;

/// Permits an explanation lists.
const MAX_NEAR: usize = 5;

/// A decision and what was near to another one.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// The decision.
    pub outcome: Outcome,
    /// For a default deny: permits for this tool, the nearest first.
    pub near: Vec<NearMiss>,
}

/// A permit that did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NearMiss {
    /// Its `@id`.
    pub rule_id: Arc<str>,
    /// The first condition that failed, as Cedar prints it. Text of the policy, never of the request.
    pub failed: String,
    /// Whether it failed with an evaluation error.
    pub error: bool,
    /// How many conditions failed.
    pub failures: usize,
    /// How many there are, the principal's included.
    pub conditions: usize,
}

impl Explanation {
    /// As JSON, for reports.
    pub fn to_json(&self) -> serde_json::Value {
        let near: Vec<_> = self
            .near
            .iter()
            .map(|near| {
                serde_json::json!({
                    "rule_id": &*near.rule_id, "failed": near.failed, "error": near.error,
                    "failures": near.failures, "conditions": near.conditions,
                })
            })
            .collect();
        let mut shown = self.outcome.to_json();
        shown["near"] = near.into();
        shown
    }
}

impl Policy {
    /// Decides and explains. Costs more than a decision: it evaluates every condition of every permit for the tool.
    pub fn explain(&self, request: &Request<'_>) -> Explanation {
        let outcome = self.decide(request);
        let mut near = Vec::new();
        if outcome.reason == Reason::NoPermit {
            if let Ok(facts) = self.facts(request) {
                near = deep(|| self.near(&facts)).unwrap_or_default();
            }
        }
        Explanation { outcome, near }
    }

    fn near(&self, facts: &Facts<'_>) -> Vec<NearMiss> {
        let cedar = self.cedar(facts);
        let speaks = |rule: &&Rule| {
            !rule.forbid && rule.shadow.is_none() && rule.scope.tools.contains(facts.tool.ordinal)
        };
        let mut near: Vec<_> = self
            .rules()
            .iter()
            .filter(speaks)
            .map(|rule| {
                let mut first = None;
                let mut failures = 0;
                let mut fail = |text: String, error: bool| {
                    failures += 1;
                    first.get_or_insert((text, error));
                };
                if !rule.scope.principal.includes(facts.request) {
                    fail(rule.principal.to_string(), false);
                }
                for conjunct in rule.conditions.conjuncts() {
                    let result = conjunct.evaluate(facts).or_else(|stop| match (stop, &cedar) {
                        (crate::compile::Stop::AskCedar, Some((request, entities))) => {
                            conjunct.ask(request, entities)
                        }
                        _ => Err(stop),
                    });
                    match result {
                        Ok(true) => {}
                        Ok(false) => fail(conjunct.shown(), false),
                        Err(_) => fail(conjunct.shown(), true),
                    }
                }
                let (failed, error) = first.unwrap_or_default();
                let conditions = rule.conditions.conjuncts().len() + 1;
                NearMiss { rule_id: rule.id.clone(), failed, error, failures, conditions }
            })
            .collect();
        near.sort_by(|a, b| {
            (a.failures, b.conditions, &a.rule_id).cmp(&(b.failures, a.conditions, &b.rule_id))
        });
        near.truncate(MAX_NEAR);
        near
    }
}
