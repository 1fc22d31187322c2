//! What a decision is asked about, and what it answers.

use crate::json::Value;
use crate::manifest::{ApprovalRule, Tool};
use serde::Deserialize;
use std::fmt;
use std::sync::Arc;

/// One action somebody asks for. Everything but `args` comes from the kernel, never from the caller's word.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Tenant of the agent. Names hold no `/` and no control character, and at most 256 bytes.
    pub tenant: &'a str,
    /// Agent within the tenant.
    pub agent: &'a str,
    /// Role the agent acts in.
    pub role: &'a str,
    /// Declaration of the tool, from the same policy.
    pub tool: &'a Tool,
    /// Arguments of the call.
    pub args: &'a Value,
    /// Session, if there is one.
    pub session: Option<&'a str>,
    /// Conversation, if there is one.
    pub conversation: Option<&'a str>,
    /// Model that asks, if known.
    pub model: Option<&'a str>,
    /// Version of the model, if known.
    pub model_version: Option<&'a str>,
    /// Milliseconds since 1970, UTC.
    pub now_ms: i64,
    /// What the content scan found in the arguments.
    pub findings: &'a [ArgumentFinding],
    /// Arguments that repeat what a document or tool result brought in.
    pub taint: &'a [Taint],
    /// Verified approvers of exactly this action.
    pub approved_by: &'a [Approver],
    /// Verified elevation, by its name.
    pub elevation: Option<&'a str>,
    /// Expected cost by unit, such as `usd_micros`.
    pub estimate: &'a [(&'a str, i64)],
}

/// A finding in an argument.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArgumentFinding {
    /// JSON pointer of the argument.
    pub argument: String,
    /// `secret`, `pii`, `injection`, `leak`, `content`.
    pub category: String,
    /// Such as `GITHUB_TOKEN`.
    pub entity_type: String,
    /// From 0 to 1.
    pub score: f64,
}

/// Where the content of an argument came from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Taint {
    /// JSON pointer of the argument.
    pub argument: String,
    /// Source label, such as `web`.
    pub source: String,
}

/// Somebody who approved.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approver {
    /// Name in the keyring.
    pub name: String,
    /// Groups the keyring lists for the name.
    pub groups: Vec<String>,
}

/// What was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// The action may go on to budgets.
    Allow,
    /// The action needs these approvals first.
    Escalate(ApprovalRule),
    /// The action is refused.
    Deny,
}

/// Stable code of a decision; `Display` is the code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// A permit holds and nothing forbids.
    Allowed,
    /// A permit holds, approvals are missing.
    ApprovalRequired,
    /// No permit holds.
    NoPermit,
    /// A forbid holds.
    Forbidden,
    /// A forbid could not be evaluated.
    PolicyError,
    /// The code in the `@reason` of the policy that decided.
    Policy(Arc<str>),
    /// The tool is not part of this policy.
    UnknownTool,
    /// The tool's manifest entry lacks a declaration.
    ToolNotDeclared,
    /// A name in the request is empty, too long, or has a character that names may not have.
    InvalidName,
    /// The arguments do not fit the tool's schema.
    InvalidArguments,
    /// What the call would charge cannot be computed, or is negative.
    InvalidCharge,
    /// A rule of `kind = "sql"`.
    Sql(crate::sql::SqlReason),
    /// A rule of `kind = "http"`.
    Http(crate::http::HttpReason),
    /// The clock is outside the years 0 to 9999.
    InvalidTime,
}

impl Reason {
    /// The code, such as `no_permit`.
    pub fn code(&self) -> &str {
        match self {
            Reason::Policy(code) => code,
            Reason::Sql(reason) => reason.code(),
            Reason::Http(reason) => reason.code(),
            Reason::Allowed => "allowed",
            Reason::ApprovalRequired => "approval_required",
            Reason::NoPermit => "no_permit",
            Reason::Forbidden => "forbidden",
            Reason::PolicyError => "policy_error",
            Reason::UnknownTool => "unknown_tool",
            Reason::ToolNotDeclared => "tool_not_declared",
            Reason::InvalidName => "invalid_name",
            Reason::InvalidArguments => "invalid_arguments",
            Reason::InvalidCharge => "invalid_charge",
            Reason::InvalidTime => "invalid_time",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// The answer to a [`Request`].
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// What was decided.
    pub effect: Effect,
    /// Why, as a stable code.
    pub reason: Reason,
    /// A text that may be shown to a user, from `@message`.
    pub message: Option<Arc<str>>,
    /// Policies that decided, sorted; `tool:NAME` stands for the manifest entry.
    pub rule_ids: Vec<Arc<str>>,
    /// What the call costs; empty when denied.
    pub charges: Vec<ChargeAmount>,
    /// What the policies in shadow mode would have said.
    pub shadow: Vec<ShadowResult>,
    /// The approval rule that the request's approvers fulfil, when one was needed.
    pub fulfilled: Option<ApprovalRule>,
}

impl Outcome {
    /// As JSON, for reports. Holds nothing of the arguments but the amounts charged.
    pub fn to_json(&self) -> serde_json::Value {
        let approval = |rule: &ApprovalRule| rule.name.to_string();
        let wanted = match &self.effect {
            Effect::Escalate(rule) => Some(approval(rule)),
            _ => None,
        };
        let charges: Vec<_> = self
            .charges
            .iter()
            .map(|charge| {
                serde_json::json!({"budget": &*charge.budget, "unit": &*charge.unit, "amount": charge.amount})
            })
            .collect();
        let shadow: Vec<_> = self
            .shadow
            .iter()
            .map(|shadow| {
                let result = match shadow.result {
                    Evaluation::Satisfied => "satisfied",
                    Evaluation::NotSatisfied => "not_satisfied",
                    Evaluation::Error => "error",
                };
                serde_json::json!({
                    "rule_id": &*shadow.rule_id, "result": result, "would_change": shadow.would_change,
                })
            })
            .collect();
        serde_json::json!({
            "decision": crate::cases::effect_name(&self.effect),
            "reason": self.reason.code(),
            "message": self.message.as_deref(),
            "rule_ids": self.rule_ids.iter().map(|id| &**id).collect::<Vec<_>>(),
            "approval": wanted,
            "fulfilled": self.fulfilled.as_ref().map(approval),
            "charges": charges,
            "shadow": shadow,
        })
    }
}

/// An amount against a budget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChargeAmount {
    /// Budget of `budgets.toml`.
    pub budget: Arc<str>,
    /// Unit, such as `usd_micros` or `calls`.
    pub unit: Arc<str>,
    /// How many; never negative.
    pub amount: i64,
}

/// What one shadow policy would have done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShadowResult {
    /// Its `@id`.
    pub rule_id: Arc<str>,
    /// Whether it matched, did not, or failed.
    pub result: Evaluation,
    /// Whether the decision would have been another one, had it been in force.
    pub would_change: bool,
}

/// Result of one policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evaluation {
    /// Scope and conditions hold.
    Satisfied,
    /// They do not.
    NotSatisfied,
    /// An evaluation error, such as an integer overflow.
    Error,
}
