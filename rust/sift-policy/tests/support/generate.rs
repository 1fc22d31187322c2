//! Policies and requests from bytes: the property tests feed it random bytes, the fuzz target what it likes.
#![allow(dead_code, unreachable_pub, reason = "each user takes its part")]

use sift_policy::json::Value;
use sift_policy::{Approver, ArgumentFinding, Policy, Request, Taint};
use std::fmt::Write as _;

pub const MANIFEST: &str = r#"
version = 1
[tool.pay]
action = "money"
risk = "high"
reversible = true
exports = false
charges = []
[tool.pay.args]
type = "object"
required = ["n", "m", "flag"]
[tool.pay.args.properties]
n = { type = "integer" }
m = { type = "integer" }
flag = { type = "boolean" }
s = { type = "string" }
tags = { type = "array", items = { type = "string" } }
numbers = { type = "array", items = { type = "integer" } }
order = { type = "object", required = ["id"], properties = { id = { type = "string" }, rush = { type = "boolean" } } }
pairs = { type = "array", items = { type = "object", required = ["k"], properties = { k = { type = "integer" } } } }

[tool.pay_back]
action = "money"
risk = "low"
reversible = false
exports = true
charges = []
args = { type = "object", required = ["n"], properties = { n = { type = "integer" } } }

[tool.look]
risk = "low"
reversible = true
exports = false
charges = []
args = { type = "object", properties = { s = { type = "string" } } }
"#;

/// Choices from bytes; zero when there are none left.
pub struct Source<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Source<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub fn below(&mut self, n: usize) -> usize {
        let byte = self.bytes.get(self.at).copied().unwrap_or(0);
        self.at += 1;
        usize::from(byte) % n
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    fn chance(&mut self, of: usize) -> bool {
        self.below(of) == 0
    }
}

const NUMBERS: [i64; 10] = [0, 1, -1, 2, 100, 5000, i64::MAX, i64::MIN, i64::MAX / 2 + 1, -5000];
const STRINGS: [&str; 8] = ["", "a", "ab", "aXb", "a*b", "caf\u{e9}", "b\\\"a", "web@/s"];
const PATTERNS: [&str; 8] = ["*", "a*", "*b", "a*b", "*a*b*", "a\\*b", "", "**\u{e9}"];

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Whether expressions may use the arguments of `pay`.
fn long(s: &mut Source<'_>, depth: usize, pay: bool) -> String {
    let kind = if depth == 0 { s.below(3) } else { s.below(9) };
    let sub = |s: &mut Source<'_>| long(s, depth - 1, pay);
    match kind {
        0 => s.pick(&NUMBERS).to_string(),
        1 if pay => (s.pick(&["context.args.n", "context.args.m"])).to_owned(),
        1 | 2 => (s.pick(&[
            "resource.risk",
            "context.time.hour",
            "context.time.weekday",
            "context.approvals.count",
        ]))
        .to_owned(),
        3 => format!("({} + {})", sub(s), sub(s)),
        4 => format!("({} - {})", sub(s), sub(s)),
        5 => format!("({} * {})", sub(s), sub(s)),
        6 => format!("(-({}))", sub(s)),
        _ => format!("(if {} then {} else {})", truth(s, depth - 1, pay), sub(s), sub(s)),
    }
}

fn text(s: &mut Source<'_>, depth: usize, pay: bool) -> String {
    match s.below(if depth == 0 { 3 } else { 4 }) {
        0 => quoted(s.pick(&STRINGS)),
        1 => (s.pick(&["principal.tenant", "principal.role", "principal.name", "resource.kind"]))
            .to_owned(),
        2 if pay => "(if context.args has s then context.args.s else \"\")".to_owned(),
        2 => "(if context has session then context.session else \"none\")".to_owned(),
        _ => {
            let condition = truth(s, depth - 1, pay);
            format!(
                "(if {condition} then {} else {})",
                text(s, depth - 1, pay),
                text(s, depth - 1, pay)
            )
        }
    }
}

fn texts(s: &mut Source<'_>, pay: bool) -> String {
    match s.below(5) {
        0 => format!("[{}, {}]", quoted(s.pick(&STRINGS)), quoted(s.pick(&STRINGS))),
        1 if pay => format!(
            "(if context.args has tags then context.args.tags else [{}])",
            quoted(s.pick(&STRINGS))
        ),
        2 => format!("[{}, {}]", text(s, 0, pay), text(s, 0, pay)),
        _ => (s.pick(&[
            "context.findings.categories",
            "context.findings.at",
            "context.taint.sources",
            "context.taint.at",
            "context.approvals.groups",
            "context.approvals.approvers",
        ]))
        .to_owned(),
    }
}

fn entity(s: &mut Source<'_>) -> &'static str {
    s.pick(&[
        "Role::\"support\"",
        "Role::\"acme/support\"",
        "Role::\"acme/ops\"",
        "Tenant::\"acme\"",
        "Tenant::\"other\"",
        "Agent::\"acme/bot\"",
        "principal",
    ])
}

pub fn truth(s: &mut Source<'_>, depth: usize, pay: bool) -> String {
    let kind = if depth == 0 { s.below(5) } else { s.below(18) };
    let d = depth.saturating_sub(1);
    match kind {
        0 => (s.pick(&["true", "false"])).to_owned(),
        1 if pay => "context.args.flag".to_owned(),
        1 | 2 => (s.pick(&[
            "resource.reversible",
            "resource.exports",
            "context has model",
            "context has args",
        ]))
        .to_owned(),
        3 => format!("principal in {}", entity(s)),
        4 if pay => (s.pick(&[
            "(context.args has order && context.args.order has rush && context.args.order.rush)",
            "context has args.order.rush",
            "(context.args has order && context.args.order == {\"id\": \"a\"})",
            "(context.args has numbers && context.args.numbers.contains(context.args.n))",
            "(context.args has numbers && context.args.numbers == [1, 2])",
            "(context.args has numbers && context.args.numbers.containsAll([1, 2]))",
            "(context.args has pairs && context.args.pairs.contains({\"k\": 1}))",
            "(context.args has pairs && context.args.pairs.isEmpty())",
        ]))
        .to_owned(),
        4 => (s.pick(&[
            "resource == Tool::\"pay\"",
            "action in Action::\"money\"",
            "action == Action::\"look\"",
        ]))
        .to_owned(),
        5 | 6 => {
            let op = s.pick(&["==", "!=", "<", "<=", ">", ">="]);
            format!("({} {op} {})", long(s, d, pay), long(s, d, pay))
        }
        7 => format!("({} {} {})", text(s, d, pay), s.pick(&["==", "!="]), text(s, d, pay)),
        8 => format!("({} like {})", text(s, d, pay), format_args!("\"{}\"", s.pick(&PATTERNS))),
        9 => format!("({} && {})", truth(s, d, pay), truth(s, d, pay)),
        10 => format!("({} || {})", truth(s, d, pay), truth(s, d, pay)),
        11 => format!("(!{})", truth(s, d, pay)),
        12 => {
            format!("(if {} then {} else {})", truth(s, d, pay), truth(s, d, pay), truth(s, d, pay))
        }
        13 => format!("{}.contains({})", texts(s, pay), text(s, d, pay)),
        14 => {
            let op = s.pick(&["containsAll", "containsAny"]);
            format!("{}.{op}({})", texts(s, pay), texts(s, pay))
        }
        15 => format!("{}.isEmpty()", texts(s, pay)),
        16 => (s.pick(&[
            "context.now < datetime(\"2026-11-21T12:00:00Z\")",
            "context.now >= datetime(\"2026-11-21\")",
            "context.now.toTime() > duration(\"9h\")",
            "context.now == datetime(\"2026-11-21T12:00:00.000+0000\")",
            "principal is Agent in Role::\"support\"",
            "principal == Agent::\"acme/bot\"",
            "principal in [Role::\"ops\", Tenant::\"acme\"]",
        ]))
        .to_owned(),
        _ => format!("({} && {} && {})", truth(s, d, pay), truth(s, d, pay), truth(s, d, pay)),
    }
}

/// One policy; it may be one that the validator refuses.
pub fn rule(s: &mut Source<'_>, id: usize, approvals: bool) -> String {
    let effect = if s.below(5) < 2 { "forbid" } else { "permit" };
    let principal = match s.below(6) {
        0 => "principal == Agent::\"acme/bot\"".to_owned(),
        1 | 2 => format!(
            "principal in {}",
            s.pick(&[
                "Role::\"support\"",
                "Role::\"acme/support\"",
                "Tenant::\"acme\"",
                "Role::\"ops\""
            ])
        ),
        3 => "principal is Agent in Tenant::\"acme\"".to_owned(),
        _ => "principal".to_owned(),
    };
    let action = s.pick(&[
        "action == Action::\"pay\"",
        "action == Action::\"pay\"",
        "action == Action::\"pay\"",
        "action in Action::\"money\"",
        "action in [Action::\"look\", Action::\"pay_back\"]",
        "action",
    ]);
    let pay = action == "action == Action::\"pay\"";
    let resource = s.pick(&["resource", "resource", "resource", "resource == Tool::\"pay\""]);
    let mut rule = format!("@id(\"r{id}\")\n");
    if approvals && s.chance(4) {
        let _ = writeln!(
            rule,
            "@approval(\"{}-of-{}\")",
            1 + s.below(2),
            s.pick(&["finance", "legal"])
        );
    }
    if approvals && s.chance(6) {
        rule.push_str("@shadow\n");
    }
    let _ = write!(rule, "{effect} ({principal}, {action}, {resource})");
    // Sums and products of the arguments overflow often: errors must be as common as values.
    if pay && s.chance(3) {
        let clause = s.pick(&[
            "when { context.args.n + context.args.m != 7 }",
            "unless { context.args.n * 9223372036854775807 == 7 }",
            "when { -(context.args.n) != 7 || context.args.flag }",
            "when { context.args.flag || context.args.m * 3 - context.args.n < 7 }",
        ]);
        let _ = write!(rule, "\n{clause}");
    }
    for _ in 0..s.below(3) {
        let _ =
            write!(rule, "\n{} {{ {} }}", s.pick(&["when", "when", "unless"]), truth(s, 3, pay));
    }
    rule.push_str(";\n");
    rule
}

/// A request in owned parts.
#[derive(Debug)]
pub struct Call {
    pub tenant: &'static str,
    pub agent: &'static str,
    pub role: &'static str,
    pub tool: &'static str,
    pub args: String,
    pub session: Option<&'static str>,
    pub now_ms: i64,
    pub findings: Vec<ArgumentFinding>,
    pub taint: Vec<Taint>,
    pub approved_by: Vec<Approver>,
}

pub fn call(s: &mut Source<'_>) -> Call {
    let tool = s.pick(&["pay", "pay", "pay", "pay_back", "look"]);
    let mut members = Vec::new();
    let string = |s: &mut Source<'_>| quoted(s.pick(&STRINGS));
    match tool {
        "pay" => {
            members.push(format!("\"n\": {}", s.pick(&NUMBERS)));
            members.push(format!("\"m\": {}", s.pick(&NUMBERS)));
            members.push(format!("\"flag\": {}", s.chance(2)));
            if s.chance(2) {
                members.push(format!("\"s\": {}", string(s)));
            }
            if s.chance(2) {
                let tags: Vec<_> = (0..s.below(4)).map(|_| string(s)).collect();
                members.push(format!("\"tags\": [{}]", tags.join(", ")));
            }
            if s.chance(2) {
                let numbers: Vec<_> =
                    (0..s.below(4)).map(|_| s.pick(&NUMBERS).to_string()).collect();
                members.push(format!("\"numbers\": [{}]", numbers.join(", ")));
            }
            if s.chance(2) {
                let rush = if s.chance(2) { ", \"rush\": true" } else { "" };
                members.push(format!("\"order\": {{\"id\": {}{rush}}}", string(s)));
            }
            if s.chance(3) {
                members.push("\"pairs\": [{\"k\": 1}, {\"k\": 2}]".to_owned());
            }
        }
        "pay_back" => members.push(format!("\"n\": {}", s.pick(&NUMBERS))),
        _ => {
            if s.chance(2) {
                members.push(format!("\"s\": {}", string(s)));
            }
        }
    }
    let mut call = Call {
        tenant: s.pick(&["acme", "acme", "other"]),
        agent: s.pick(&["bot", "bot", "hand"]),
        role: s.pick(&["support", "support", "ops", "none"]),
        tool,
        args: format!("{{{}}}", members.join(", ")),
        session: (!s.chance(3)).then_some("s1"),
        now_ms: s.pick(&[1_795_262_399_999, 1_795_262_400_000, 0, -1, 4_102_444_800_000]),
        findings: Vec::new(),
        taint: Vec::new(),
        approved_by: Vec::new(),
    };
    for _ in 0..s.below(3) {
        call.findings.push(ArgumentFinding {
            argument: "/s".to_owned(),
            category: (s.pick(&["secret", "pii", "a"])).to_owned(),
            entity_type: "EMAIL_ADDRESS".to_owned(),
            score: 0.9,
        });
    }
    if s.chance(3) {
        call.taint.push(Taint { argument: "/s".to_owned(), source: "web".to_owned() });
    }
    for _ in 0..s.below(3) {
        call.approved_by.push(Approver {
            name: (s.pick(&["ann", "joe", "bot"])).to_owned(),
            groups: vec![(s.pick(&["finance", "legal"])).to_owned()],
        });
    }
    call
}

impl Call {
    pub fn with<T>(
        &self,
        policy: &Policy,
        args: &Value,
        f: impl FnOnce(&Request<'_>) -> T,
    ) -> Option<T> {
        Some(f(&Request {
            tenant: self.tenant,
            agent: self.agent,
            role: self.role,
            tool: policy.tool(self.tool)?,
            args,
            session: self.session,
            conversation: None,
            model: Some("m"),
            model_version: None,
            now_ms: self.now_ms,
            findings: &self.findings,
            taint: &self.taint,
            approved_by: &self.approved_by,
            elevation: None,
            estimate: &[],
        }))
    }
}
