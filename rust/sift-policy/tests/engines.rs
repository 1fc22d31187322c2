//! The compiled decision, the sliced one and Cedar's authorizer over everything agree on random policies and requests,
//! errors included; and what must hold of every policy set: a forbid never allows, order means nothing.
#![allow(clippy::unwrap_used, reason = "a test may stop at what it does not expect")]

#[path = "support/generate.rs"]
mod generate;

use cedar_policy::{Authorizer, Context, Entities, EntityUid, PolicySet, Schema};
use generate::{call, rule, Call, Source, MANIFEST};
use sift_policy::json::{parse, JsonLimits, Value};
use sift_policy::{Effect, Engine, Outcome, Policy, Reason};
use std::str::FromStr;

/// Random bytes: xorshift64*, Vigna 2016.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..length)
        .map(|_| {
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 56) as u8
        })
        .collect()
}

/// Policies of a seed that the validator takes.
fn rules(seed: u64, count: usize, approvals: bool) -> Vec<String> {
    let bytes = noise(seed, 4096);
    let mut source = Source::new(&bytes);
    let taken = |rule: &String| Policy::from_texts(MANIFEST, &[("r", rule)]).is_ok();
    (0..count).map(|id| rule(&mut source, id, approvals)).filter(taken).collect()
}

fn load(rules: &[String]) -> Policy {
    Policy::from_texts(MANIFEST, &[("r", &rules.concat())]).unwrap()
}

fn decide(policy: &Policy, call: &Call, args: &Value, engine: Engine) -> Outcome {
    call.with(policy, args, |request| policy.decide_by(engine, request)).unwrap()
}

fn calls(seed: u64, count: usize) -> Vec<(Call, Value)> {
    (0..count as u64)
        .map(|number| {
            let bytes = noise(seed * 1000 + number, 64);
            let call = call(&mut Source::new(&bytes));
            let args = parse(call.args.as_bytes(), &JsonLimits::default()).unwrap();
            (call, args)
        })
        .collect()
}

#[test]
fn the_engines_agree() {
    let (mut allowed, mut denied, mut failed, mut escalated, mut left, mut all) =
        (0, 0, 0, 0, 0, 0);
    for seed in 1..=40 {
        let rules = rules(seed, 12, true);
        let policy = load(&rules);
        all += rules.len();
        left += policy.left_to_cedar().count();
        for (call, args) in calls(seed, 80) {
            let compiled = decide(&policy, &call, &args, Engine::Compiled);
            for engine in [Engine::Sliced, Engine::Whole] {
                let mut other = decide(&policy, &call, &args, engine);
                // Only candidates are asked about in shadow mode; the whole set reports the others as not satisfied.
                let shadow = |outcome: &Outcome| {
                    let mut shadow = outcome.shadow.clone();
                    shadow.retain(|s| s.result != sift_policy::Evaluation::NotSatisfied);
                    shadow
                };
                assert_eq!(
                    shadow(&compiled),
                    shadow(&other),
                    "{engine:?} {call:?}\n{}",
                    rules.concat()
                );
                other.shadow.clone_from(&compiled.shadow);
                assert_eq!(compiled, other, "{engine:?} {call:?}\n{}", rules.concat());
            }
            match compiled.effect {
                Effect::Allow => allowed += 1,
                Effect::Deny => denied += 1,
                Effect::Escalate(_) => escalated += 1,
            }
            failed += usize::from(compiled.reason == Reason::PolicyError);
        }
    }
    // The comparison means nothing where one outcome hardly occurs.
    for count in [allowed, denied, failed, escalated] {
        assert!(
            count > 100,
            "allowed {allowed}, denied {denied}, failed {failed}, escalated {escalated}"
        );
    }
    assert!(left > 0 && left * 2 < all, "{left} of {all} policies are left to Cedar");
}

/// The request in Cedar's JSON form, written here from scratch.
fn oracle(policy: &Policy, rules: &str, call: &Call) -> (bool, bool) {
    let (schema, _) = Schema::from_cedarschema_str(policy.schema()).unwrap();
    let tool = policy.tool(call.tool).unwrap();
    let agent =
        serde_json::json!({"type": "Agent", "id": format!("{}/{}", call.tenant, call.agent)});
    let action: EntityUid = EntityUid::from_str(&format!("Action::\"{}\"", call.tool)).unwrap();
    let entities = serde_json::json!([
        {"uid": agent, "attrs": {"name": call.agent, "tenant": call.tenant, "role": call.role}, "parents": [
            {"type": "Role", "id": call.role},
            {"type": "Role", "id": format!("{}/{}", call.tenant, call.role)},
            {"type": "Tenant", "id": call.tenant}]},
        {"uid": {"type": "Tool", "id": call.tool}, "parents": [], "attrs": {
            "risk": tool.risk.tier(), "reversible": tool.reversible, "exports": tool.exports, "kind": "function",
            "returns_personal_data": false}},
    ]);
    let entities = Entities::from_json_value(entities, Some(&schema)).unwrap();
    let distinct = |values: Vec<String>| {
        let mut values = values;
        values.sort_unstable();
        values.dedup();
        values
    };
    let minutes = call.now_ms.div_euclid(60_000);
    let seconds = call.now_ms.div_euclid(1000);
    let date = std::process::Command::new("date")
        .args(["-u", "-d", &format!("@{seconds}"), "+%Y-%m-%dT%H:%M:%S"])
        .output()
        .unwrap();
    let date = String::from_utf8(date.stdout).unwrap();
    let now = format!("{}.{:03}Z", date.trim(), call.now_ms.rem_euclid(1000));
    let list = |values: Vec<String>| serde_json::json!(distinct(values));
    let mut context = serde_json::json!({
        "args": serde_json::from_str::<serde_json::Value>(&call.args).unwrap(),
        "now": {"__extn": {"fn": "datetime", "arg": now}},
        "time": {"hour": minutes.rem_euclid(1440) / 60, "minute": minutes.rem_euclid(60),
                 "weekday": (minutes.div_euclid(1440) + 3).rem_euclid(7) + 1},
        "findings": {
            "categories": list(call.findings.iter().map(|f| f.category.clone()).collect()),
            "entity_types": list(call.findings.iter().map(|f| f.entity_type.clone()).collect()),
            "arguments": list(call.findings.iter().map(|f| f.argument.clone()).collect()),
            "at": list(call.findings.iter().map(|f| format!("{}@{}", f.category, f.argument)).collect()),
        },
        "taint": {
            "sources": list(call.taint.iter().map(|t| t.source.clone()).collect()),
            "arguments": list(call.taint.iter().map(|t| t.argument.clone()).collect()),
            "at": list(call.taint.iter().map(|t| format!("{}@{}", t.source, t.argument)).collect()),
        },
        "approvals": {
            "count": distinct(call.approved_by.iter().map(|a| a.name.clone()).collect()).len(),
            "approvers": list(call.approved_by.iter().map(|a| a.name.clone()).collect()),
            "groups": list(call.approved_by.iter().flat_map(|a| a.groups.clone()).collect()),
        },
        "estimate": {},
        "model": "m",
    });
    if let Some(session) = call.session {
        context["session"] = session.into();
    }
    let context = Context::from_json_value(context, Some((&schema, &action))).unwrap();
    let uid = |ty: &str, id: &str| {
        EntityUid::from_json(serde_json::json!({"type": ty, "id": id})).unwrap()
    };
    let principal = uid("Agent", &format!("{}/{}", call.tenant, call.agent));
    let request = cedar_policy::Request::new(
        principal,
        action,
        uid("Tool", call.tool),
        context,
        Some(&schema),
    )
    .unwrap();
    let set = PolicySet::from_str(rules).unwrap();
    let response = Authorizer::new().is_authorized(&request, &set, &entities);
    let failed = response.diagnostics().errors().any(|error| match error {
        cedar_policy::AuthorizationError::PolicyEvaluationError(error) => {
            let policy = set.policy(error.policy_id()).unwrap();
            policy.effect() == cedar_policy::Effect::Forbid
        }
    });
    (response.decision() == cedar_policy::Decision::Allow, failed)
}

#[test]
fn the_decision_is_cedars_but_for_errors_in_a_forbid() {
    let (mut allowed, mut failures) = (0, 0);
    for seed in 101..=125 {
        let rules = rules(seed, 12, false);
        let policy = load(&rules);
        for (call, args) in calls(seed, 60) {
            let (allow, failed) = oracle(&policy, &rules.concat(), &call);
            let outcome = decide(&policy, &call, &args, Engine::Compiled);
            let expected = if allow && !failed { Effect::Allow } else { Effect::Deny };
            assert_eq!(outcome.effect, expected, "{call:?}\n{}", rules.concat());
            allowed += usize::from(allow);
            failures += usize::from(allow && failed);
        }
    }
    assert!(
        allowed > 50 && failures > 5,
        "allowed {allowed}, of them with an error in a forbid {failures}"
    );
}

fn severity(outcome: &Outcome) -> u8 {
    match outcome.effect {
        Effect::Allow => 0,
        Effect::Escalate(_) => 1,
        Effect::Deny => 2,
    }
}

#[test]
fn adding_a_forbid_never_loosens_and_order_means_nothing() {
    let mut tightened = 0;
    for seed in 201..=240 {
        let rules = rules(seed, 10, true);
        let bytes = noise(seed + 7_000, 512);
        let extra = rule(&mut Source::new(&bytes), 99, true).replacen("permit", "forbid", 1);
        let mut more = rules.clone();
        more.push(extra);
        let Ok(with) = Policy::from_texts(MANIFEST, &[("r", &more.concat())]) else { continue };
        let without = load(&rules);
        let reversed: Vec<_> = rules.iter().rev().cloned().collect();
        let (left, right) = reversed.split_at(reversed.len() / 2);
        let split =
            Policy::from_texts(MANIFEST, &[("a", &right.concat()), ("b", &left.concat())]).unwrap();
        for (call, args) in calls(seed, 40) {
            let before = decide(&without, &call, &args, Engine::Compiled);
            let after = decide(&with, &call, &args, Engine::Compiled);
            assert!(severity(&after) >= severity(&before), "{call:?}\n{}", more.concat());
            tightened += usize::from(severity(&after) > severity(&before));
            assert_eq!(
                before,
                decide(&split, &call, &args, Engine::Compiled),
                "{call:?}\n{}",
                rules.concat()
            );
        }
    }
    assert!(tightened > 20, "{tightened}");
}
