//! Cost of one decision with 1,000 policies, by engine: `cargo run --release -p sift-policy --example decide`.
//!
//! 50 tools, 20 roles and 10 tenants share 1,000 policies, one in five a forbid; the request is allowed. Expected answer:
//! `allow` by every engine. Prints the median and the 99th percentile of batches in nanoseconds a decision.

use sift_policy::json::{parse, JsonLimits};
use sift_policy::{Effect, Engine, Policy, Request};
use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Instant;

fn texts(tools: usize, policies: usize) -> (String, String) {
    let mut manifest = String::from("version = 1\n");
    for tool in 0..tools {
        let _ = write!(
            manifest,
            r#"
[tool.t{tool}]
risk = "medium"
reversible = true
exports = false
charges = [{{ budget = "spend", unit = "usd_micros", argument = "/amount", times = 10_000 }}]
[tool.t{tool}.args]
type = "object"
required = ["amount", "currency", "account"]
[tool.t{tool}.args.properties]
amount = {{ type = "integer", minimum = 1 }}
currency = {{ type = "string", enum = ["EUR", "USD", "GBP"] }}
account = {{ type = "string", maxLength = 64 }}
memo = {{ type = "string", maxLength = 200 }}
urgent = {{ type = "boolean" }}
tags = {{ type = "array", maxItems = 8, items = {{ type = "string" }} }}
"#
        );
    }
    let mut cedar = String::new();
    for policy in 0..policies {
        let (tool, role, tenant) = (policy % tools, policy % 20, policy % 10);
        let _ = match policy % 5 {
            0 => writeln!(
                cedar,
                "@id(\"f{policy}\") forbid (principal in Tenant::\"acme{tenant}\", action == Action::\"t{tool}\", \
                 resource) when {{ context.args.amount > 1000000 || context.findings.categories.contains(\"secret\") }};"
            ),
            _ => writeln!(
                cedar,
                "@id(\"p{policy}\") permit (principal in Role::\"acme{tenant}/role{role}\", action == Action::\"t{tool}\", \
                 resource) when {{ context.args.amount <= {} && [\"EUR\", \"USD\"].contains(context.args.currency) \
                 && context.args.account like \"acct-*\" }};",
                500 + policy
            ),
        };
    }
    (manifest, cedar)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    #[expect(clippy::print_stdout, reason = "the report is this program's purpose")]
    fn report(line: &str) {
        println!("{line}");
    }
    let (manifest, cedar) = texts(50, 1000);
    let started = Instant::now();
    let policy = Policy::from_texts(&manifest, &[("p.cedar", &cedar)])?;
    report(&format!(
        "load: {} ms, left to Cedar: {}",
        started.elapsed().as_millis(),
        policy.left_to_cedar().count()
    ));
    let text = br#"{"amount": 120, "currency": "EUR", "account": "acct-2231", "memo": "second order", "urgent": false,
                    "tags": ["returned", "web"]}"#;
    let limits = JsonLimits::default();
    let args = parse(text, &limits)?;
    let tool = policy.tool("t1").ok_or("no tool t1")?;
    let request = Request {
        tenant: "acme1",
        agent: "bot",
        role: "role1",
        tool,
        args: &args,
        session: Some("session-1"),
        conversation: Some("conversation-1"),
        model: None,
        model_version: None,
        now_ms: 1_795_000_000_000,
        findings: &[],
        taint: &[],
        approved_by: &[],
        elevation: None,
        estimate: &[],
    };
    let measure = |name: &str, rounds: usize, batch: usize, call: &mut dyn FnMut()| {
        let mut times: Vec<_> = (0..rounds)
            .map(|_| {
                let started = Instant::now();
                (0..batch).for_each(|_| call());
                started.elapsed().as_nanos() / batch as u128
            })
            .collect();
        times.sort_unstable();
        let at = |share: usize| times.get(times.len() * share / 100).copied().unwrap_or_default();
        report(&format!("{name}: P50 {} ns, P99 {} ns", at(50), at(99)));
    };
    for (engine, rounds, batch) in
        [(Engine::Compiled, 5000, 16), (Engine::Sliced, 2000, 2), (Engine::Whole, 100, 1)]
    {
        if policy.decide_by(engine, &request).effect != Effect::Allow {
            return Err(format!("{engine:?} does not allow").into());
        }
        measure(&format!("decide, {engine:?}"), rounds, batch, &mut || {
            black_box(policy.decide_by(engine, black_box(&request)));
        });
    }
    measure("check_args", 5000, 64, &mut || {
        black_box(tool.check_args(black_box(&args)).is_ok());
    });
    measure("parse JSON", 5000, 64, &mut || {
        black_box(parse(black_box(text), &limits).is_ok());
    });
    Ok(())
}
