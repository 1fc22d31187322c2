//! A request in owned parts: what a test case, a recorded decision or another language hands in.

use crate::explain::Explanation;
use crate::json::{parse, JsonLimits, Object, Value};
use crate::policy::Policy;
use crate::request::{Approver, ArgumentFinding, Outcome, Reason, Request, Taint};
use crate::tally::deny;
use serde::Deserialize;
use std::collections::BTreeMap;

/// A [`Request`] that owns its parts and names its tool. Unknown keys are refused.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnedRequest {
    /// Tenant of the agent.
    pub tenant: String,
    /// Agent within the tenant.
    pub agent: String,
    /// Role the agent acts in.
    pub role: String,
    /// Name of the tool.
    pub tool: String,
    /// Arguments of the call.
    #[serde(deserialize_with = "args", default = "no_args")]
    pub args: Value,
    /// Milliseconds since 1970, UTC.
    #[serde(default)]
    pub now_ms: i64,
    /// Session, if there is one.
    pub session: Option<String>,
    /// Conversation, if there is one.
    pub conversation: Option<String>,
    /// Model that asks, if known.
    pub model: Option<String>,
    /// Version of the model, if known.
    pub model_version: Option<String>,
    /// Verified elevation, by its name.
    pub elevation: Option<String>,
    /// What the content scan found in the arguments.
    #[serde(default)]
    pub findings: Vec<ArgumentFinding>,
    /// Arguments that repeat what a document or tool result brought in.
    #[serde(default)]
    pub taint: Vec<Taint>,
    /// Verified approvers.
    #[serde(default)]
    pub approved_by: Vec<Approver>,
    /// Expected cost by unit.
    #[serde(default)]
    pub estimate: BTreeMap<String, i64>,
}

fn no_args() -> Value {
    Value::Object(Object::default())
}

fn args<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    Value::from_serde(&value).map_err(serde::de::Error::custom)
}

pub(crate) fn from_json<T: serde::de::DeserializeOwned>(
    text: &[u8],
    limits: &JsonLimits,
) -> Result<T, String> {
    // What the strict parser takes, the other one reads in the same way.
    parse(text, limits).map_err(|error| error.to_string())?;
    serde_json::from_slice(text).map_err(|error| match error.classify() {
        // The message of a wrong type quotes the value; its place is enough.
        serde_json::error::Category::Data if !error.to_string().starts_with("unknown field") => {
            format!(
                "the request is not of the documented form at line {} column {}",
                error.line(),
                error.column()
            )
        }
        _ => error.to_string(),
    })
}

impl OwnedRequest {
    /// Reads a request from JSON, as strictly as any.
    ///
    /// # Errors
    /// What is refused; names keys of this form, never a value.
    pub fn from_json(text: &[u8], limits: &JsonLimits) -> Result<Self, String> {
        from_json(text, limits)
    }

    /// The decision with what was near; a tool that is not in the manifest is denied.
    pub fn explain(&self, policy: &Policy) -> Explanation {
        self.with(policy, |request| policy.explain(request))
            .unwrap_or_else(|| Explanation { outcome: deny(Reason::UnknownTool), near: Vec::new() })
    }

    /// Calls `f` with the borrowed form; `None` when the policy does not have the tool.
    pub fn with<T>(&self, policy: &Policy, f: impl FnOnce(&Request<'_>) -> T) -> Option<T> {
        let estimate: Vec<_> =
            self.estimate.iter().map(|(unit, amount)| (unit.as_str(), *amount)).collect();
        Some(f(&Request {
            tenant: &self.tenant,
            agent: &self.agent,
            role: &self.role,
            tool: policy.tool(&self.tool)?,
            args: &self.args,
            session: self.session.as_deref(),
            conversation: self.conversation.as_deref(),
            model: self.model.as_deref(),
            model_version: self.model_version.as_deref(),
            now_ms: self.now_ms,
            findings: &self.findings,
            taint: &self.taint,
            approved_by: &self.approved_by,
            elevation: self.elevation.as_deref(),
            estimate: &estimate,
        }))
    }

    /// The decision; a tool that is not in the manifest is denied.
    pub fn decide(&self, policy: &Policy) -> Outcome {
        self.with(policy, |request| policy.decide(request))
            .unwrap_or_else(|| deny(Reason::UnknownTool))
    }
}
