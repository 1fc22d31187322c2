//! What the tests of this crate share: a small manifest, and requests on it.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]

pub mod predicates;

use sift_policy::json::{parse, JsonLimits, Value};
use sift_policy::{Approver, ArgumentFinding, Outcome, Policy, Request, Taint};

pub const MANIFEST: &str = r#"
version = 1

[tool.refund]
action = "payment"
risk = "high"
reversible = true
exports = false
charges = [
    { budget = "refunds", unit = "usd_micros", argument = "/cents", times = 10_000 },
    { budget = "calls", unit = "calls", amount = 1 },
]
undo = "reverse_refund"
[tool.refund.args]
type = "object"
required = ["cents"]
[tool.refund.args.properties]
cents = { type = "integer" }
reason = { type = "string" }
tags = { type = "array", items = { type = "string" } }
order = { type = "object", properties = { id = { type = "string" }, rush = { type = "boolean" } } }
note = { type = ["string", "null"] }
rate = { type = "number" }
free = { type = "object" }

[tool.reverse_refund]
action = "payment"
risk = "medium"
reversible = false
exports = false
charges = []
args = { type = "object", required = ["cents"], properties = { cents = { type = "integer" } } }

[tool.send_mail]
risk = "medium"
reversible = false
exports = true
charges = [{ budget = "spend", unit = "usd_micros", estimate = true }]
args = '''
{"type": "object", "required": ["to", "body"], "properties": {
    "to": {"type": "string", "x-personal-data": "EMAIL_ADDRESS"},
    "body": {"type": "string"},
    "cc": {"type": "array", "items": {"type": "string", "x-personal-data": "EMAIL_ADDRESS"}}}}
'''

[tool.draft]
risk = "low"
args = { type = "object" }
"#;

/// A request in owned parts.
pub struct Case {
    pub tenant: &'static str,
    pub agent: &'static str,
    pub role: &'static str,
    pub tool: &'static str,
    pub args: Value,
    pub now_ms: i64,
    pub findings: Vec<ArgumentFinding>,
    pub taint: Vec<Taint>,
    pub approved_by: Vec<Approver>,
    pub estimate: Vec<(&'static str, i64)>,
}

pub fn json(text: &str) -> Value {
    parse(text.as_bytes(), &JsonLimits::default()).unwrap()
}

pub fn case(tool: &'static str, args: &str) -> Case {
    Case {
        tenant: "acme",
        agent: "bot",
        role: "support",
        tool,
        args: json(args),
        now_ms: 1_795_000_000_000,
        findings: Vec::new(),
        taint: Vec::new(),
        approved_by: Vec::new(),
        estimate: Vec::new(),
    }
}

impl Case {
    pub fn with<T>(&self, policy: &Policy, f: impl FnOnce(&Request<'_>) -> T) -> T {
        f(&Request {
            tenant: self.tenant,
            agent: self.agent,
            role: self.role,
            tool: policy.tool(self.tool).unwrap(),
            args: &self.args,
            session: Some("s1"),
            conversation: None,
            model: Some("m"),
            model_version: None,
            now_ms: self.now_ms,
            findings: &self.findings,
            taint: &self.taint,
            approved_by: &self.approved_by,
            elevation: None,
            estimate: &self.estimate,
        })
    }

    pub fn decide(&self, policy: &Policy) -> Outcome {
        self.with(policy, |request| policy.decide(request))
    }

    pub fn approved(mut self, names: &[&str], group: &str) -> Self {
        for name in names {
            self.approved_by
                .push(Approver { name: (*name).to_owned(), groups: vec![group.to_owned()] });
        }
        self
    }
}

pub fn policy(cedar: &str) -> Policy {
    Policy::from_texts(MANIFEST, &[("p.cedar", cedar)]).unwrap()
}

pub fn ids(outcome: &Outcome) -> Vec<&str> {
    outcome.rule_ids.iter().map(|id| &**id).collect()
}
