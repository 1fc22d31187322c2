//! What a reviewer asks of a policy: explanation, lint, test cases, replay, a draft from tool definitions.
#![allow(clippy::unwrap_used, reason = "a test may stop at what it does not expect")]

mod support;

use sift_policy::{draft_manifest, replay, run_cases, Policy, Recorded};
use support::{case, policy, MANIFEST};

const CEDAR: &str = r#"
@id("small")
permit (principal in Role::"support", action == Action::"refund", resource)
when { context.args.cents <= 5000 && context.args has reason }
unless { context.time.weekday > 5 };

@id("large") @approval("2-of-finance")
permit (principal in Role::"acme/lead", action == Action::"refund", resource)
when { context.args.cents <= 100000 };

@id("text")
permit (principal in Role::"support", action == Action::"refund", resource)
when { context.now.toTime() > duration("1s") && context.args.cents * 9223372036854775807 > 0 };

@id("mail")
permit (principal in Role::"support", action == Action::"send_mail", resource)
when { context.args.to like "*@acme.example" };
"#;

#[test]
fn a_default_deny_names_the_nearest_permits_and_what_failed_first() {
    let policy = policy(CEDAR);
    let explain = |args: &str| {
        let mut case = case("refund", args);
        case.now_ms = 1_795_262_400_000; // a Saturday
        case.with(&policy, |request| policy.explain(request))
    };
    let explained = explain(r#"{"cents": 2, "reason": "hidden-value", "note": null}"#);
    let near: Vec<_> = explained
        .near
        .iter()
        .map(|n| (&*n.rule_id, n.failed.as_str(), n.error, n.failures, n.conditions))
        .collect();
    assert_eq!(
        near,
        [
            ("small", "unless { context.time.weekday > 5 }", false, 1, 4),
            ("text", "(context.args.cents * 9223372036854775807) > 0", true, 1, 3),
            ("large", "principal in Role::\"acme/lead\"", false, 1, 2),
        ]
    );
    let explained = explain(r#"{"cents": 9000}"#);
    let small = explained.near.iter().find(|near| &*near.rule_id == "small").unwrap();
    assert_eq!((small.failed.as_str(), small.failures), ("context.args.cents <= 5000", 3));
    assert!(!format!("{explained:?}").contains("hidden"));
    let mut allowed = case("refund", r#"{"cents": 2, "reason": "x"}"#);
    allowed.now_ms = 1_795_000_000_000;
    assert!(allowed.with(&policy, |request| policy.explain(request)).near.is_empty());
}

fn lints(manifest: &str, cedar: &str) -> Vec<(String, String)> {
    let policy = Policy::from_texts(manifest, &[("p", cedar)]).unwrap();
    policy.lint().into_iter().map(|lint| (lint.code.to_owned(), lint.subject.to_string())).collect()
}

/// The codes that a condition of a permit for refunds gets.
fn of_condition(condition: &str) -> Vec<String> {
    let rule = format!(
        "@id(\"one\") permit (principal in Role::\"ops\", action == Action::\"refund\", resource) {condition};"
    );
    let found = lints(MANIFEST, &rule);
    found.into_iter().filter(|(_, subject)| subject == "one").map(|(code, _)| code).collect()
}

#[test]
fn a_condition_that_cannot_hold_is_found() {
    for never in [
        "when { false }",
        "when { context.args.cents > 5 && context.args.cents < 3 }",
        "when { context.args.cents > 5 } when { 3 > context.args.cents }",
        "when { context.args.cents <= 5 } unless { context.args.cents < 6 }",
        "when { context.args.cents > 9223372036854775807 }",
        "when { context.args.cents == 4 && context.args.cents == 5 }",
        "when { context.args.cents < 9 && !(context.args.cents < 9) }",
        "when { context.args.cents != context.args.cents }",
        "when { principal.tenant == \"a\" && principal.tenant == \"b\" }",
        "unless { true || context.args.cents < 3 }",
        "when { context.args.cents < 10 && (1 > 2 || (context.args.cents > 3 && context.args.cents < 2)) }",
    ] {
        let found = of_condition(never);
        assert!(found.contains(&"unreachable".to_owned()), "{never}: {found:?}");
    }
    for may in [
        "when { context.args.cents > 2 && context.args.cents < 4 }",
        "when { context.args.cents >= 5 && context.args.cents <= 5 }",
        "when { context.args.cents < 3 || context.args.cents > 5 }",
        "when { context.args.cents < 3 } unless { context.args.cents > 5 }",
        "when { context.args.cents == 4 && principal.tenant == \"a\" }",
    ] {
        let found = of_condition(may);
        assert!(!found.contains(&"unreachable".to_owned()), "{may}: {found:?}");
    }
}

#[test]
fn a_mention_of_an_argument_is_no_limit() {
    for open in [
        "",
        "when { true }",
        "when { context.args.cents == context.args.cents }",
        "when { context.args.cents <= context.args.cents }",
        "when { context.args.cents > 0 }",
        "when { context.args.cents != 7 }",
        "when { context.args has reason }",
        "when { context.args.cents < 5 || context.args.cents > 3 }",
        "when { context.args.cents < 5 || principal.tenant == \"a\" }",
        "unless { context.args.cents == 7 }",
        "unless { context.args.cents < 5 }",
        "unless { [1, 2].contains(context.args.cents) }",
    ] {
        let found = of_condition(open);
        assert!(found.contains(&"no_argument_limit".to_owned()), "{open}: {found:?}");
    }
    for limited in [
        "when { context.args.cents < 5 }",
        "when { 5 >= context.args.cents }",
        "when { context.args.cents == 7 }",
        "unless { context.args.cents > 5 }",
        "unless { context.args.cents != 5 }",
        "when { [1, 2].contains(context.args.cents) }",
        "when { context.args.cents < 5 || (context.args.cents == 9 && principal.tenant == \"a\") }",
        "when { context.args.cents * 2 < 5 }",
        "when { context.args has reason && context.args.reason like \"order *\" }",
    ] {
        let found = of_condition(limited);
        assert!(!found.contains(&"no_argument_limit".to_owned()), "{limited}: {found:?}");
    }
}

#[test]
fn a_permit_that_a_forbid_never_lets_through_is_found() {
    let permit = r#"@id("p") permit (principal in Role::"ops", action == Action::"refund", resource)
        when { context.args.cents > 100 && context.args.cents < 1000 };"#;
    let with = |condition: &str| {
        let forbid = format!(
            "@id(\"f\") forbid (principal, action in Action::\"payment\", resource) {condition};"
        );
        lints(MANIFEST, &format!("{permit}{forbid}"))
    };
    let shadowed = ("shadowed".to_owned(), "p".to_owned());
    for hides in [
        "",
        "when { true }",
        "unless { false }",
        "when { context.args.cents > 10 }",
        "when { context.args.cents > 100 && 1000 > context.args.cents }",
        "unless { context.args.cents <= 100 }",
    ] {
        assert!(with(hides).contains(&shadowed), "{hides}: {:?}", with(hides));
    }
    for lets in [
        "when { context.args.cents > 101 }",
        "when { context.args.cents > 10 && principal.tenant == \"a\" }",
        "unless { context.args.cents < 500 }",
        "when { false }",
    ] {
        assert!(!with(lets).contains(&shadowed), "{lets}: {:?}", with(lets));
    }
}

#[test]
fn odd_rules_and_tools_are_found() {
    let found = lints(
        MANIFEST,
        r#"
        @id("any") permit (principal in Role::"ops", action == Action::"refund", resource);
        @id("asks") @approval("1-of-leads") permit (principal in Role::"ops", action == Action::"reverse_refund", resource);
        @id("wide") permit (principal in Role::"a", action in Action::"payment", resource);
        @id("narrow") permit (principal in Role::"t/a", action == Action::"refund", resource) when { context.args.cents < 5 };
        @id("never") permit (principal in Role::"t/a", action == Action::"refund", resource == Tool::"send_mail");
        @id("no") forbid (principal in Tenant::"evil", action, resource);
        @id("unheard") permit (principal == Agent::"evil/bot", action == Action::"refund", resource) when { context.args.cents < 5 };
        @id("twin.a") forbid (principal, action, resource) when { context.findings.categories.contains("leak") };
        @id("twin.b") forbid (principal, action, resource) when { context.findings.categories.contains("leak") };
        @id("slow") forbid (principal, action, resource) when { context.now.toTime() > duration("23h") };
        "#,
    );
    for expected in [
        ("no_argument_limit", "any"),
        ("no_argument_limit", "wide"),
        ("redundant", "narrow"),
        ("unreachable", "never"),
        ("shadowed", "unheard"),
        ("redundant", "twin.b"),
        ("not_compiled", "slow"),
        ("not_declared", "tool:draft"),
        ("no_permit", "tool:send_mail"),
        ("not_visible", "tool:refund"),
    ] {
        assert!(
            found.iter().any(|(code, subject)| (code.as_str(), subject.as_str()) == expected),
            "{expected:?}: {found:?}"
        );
    }
    for subject in ["asks", "no", "twin.a"] {
        assert!(!found.iter().any(|(_, other)| other == subject), "{subject}: {found:?}");
    }
    assert!(
        !found.iter().any(|(code, subject)| code == "redundant" && subject == "never"),
        "{found:?}"
    );
}

#[test]
fn sql_tools_without_limits_and_unscanned_exports_are_found() {
    let manifest = r#"
version = 1
[tool.query]
kind = "sql"
risk = "low"
reversible = true
exports = true
scan_args = false
charges = []
args = { type = "object", properties = { sql = { type = "string" } } }
sql = { statement = "/sql", dialect = "mysql", tables = ["t"], allow = ["update"] }
"#;
    let found: Vec<_> = lints(manifest, "").into_iter().map(|(code, _)| code).collect();
    assert_eq!(found, ["exports_unscanned", "no_tenant", "unbounded_writes", "no_permit"]);
}

const CASES: &str = r#"
[defaults]
tenant = "acme"
agent = "bot"
role = "support"
tool = "refund"

[[case]]
name = "small"
now = 2026-11-20T10:00:00+02:00
expect = "allow"
rules = ["small"]
request = { args = { cents = 100, reason = "broken" } }

[[case]]
name = "weekend"
now = 2026-11-21T00:00:00Z
expect = "deny"
reason = "no_permit"
request = { args = { cents = 100, reason = "broken" } }

[[case]]
name = "large"
expect = "escalate"
approval = "2-of-finance"
request = { role = "lead", args = { cents = 9000 } }

[[case]]
name = "large, approved"
expect = "allow"
[case.request]
role = "lead"
args = { cents = 9000 }
approved_by = [{ name = "ann", groups = ["finance"] }, { name = "joe", groups = ["finance"] }]

[[case]]
name = "no such tool"
expect = "deny"
reason = "unknown_tool"
request = { tool = "drop_database" }
"#;

#[test]
fn cases_hold_or_say_what_differs() {
    let policy = policy(CEDAR);
    for result in run_cases(&policy, CASES).unwrap() {
        assert!(result.differences.is_empty(), "{result:?}");
    }
    let wrong =
        CASES.replacen("expect = \"allow\"", "expect = \"deny\"\nreason = \"no_permit\"", 1);
    let wrong = wrong.replacen("rules = [\"small\"]", "rules = [\"x\"]", 1);
    let result = &run_cases(&policy, &wrong).unwrap()[0];
    assert_eq!(
        result.differences,
        [
            "the decision is allow, expected deny",
            "the reason is allowed, expected no_permit",
            "the list of deciding rules is small, expected x",
        ]
    );
    for (text, part) in [
        ("", "no [[case]]"),
        ("[[case]]\nname = \"a\"\nexpect = \"maybe\"\nrequest = {}", "expect"),
        ("[[case]]\nname = \"a\"\nexpect = \"deny\"\nrequest = {}", "tenant"),
        ("[[case]]\nname = \"a\"\nexpct = \"deny\"\nrequest = {}", "expct"),
    ] {
        let error = run_cases(&policy, text).unwrap_err();
        assert!(error.contains(part), "{error}");
    }
    let local = CASES.replacen("2026-11-20T10:00:00+02:00", "2026-11-20T10:00:00", 1);
    assert!(run_cases(&policy, &local).unwrap_err().contains("offset"));
}

#[test]
fn recorded_decisions_are_replayed() {
    let recorded: Recorded = serde_json::from_str(
        r#"{"request_id": "r1", "decision": "allow", "reason": "allowed", "rule_ids": ["small"], "request":
            {"tenant": "acme", "agent": "bot", "role": "support", "tool": "refund", "now_ms": 1795000000000,
             "args": {"cents": 100, "reason": "x"}}}"#,
    )
    .unwrap();
    assert_eq!(replay(&policy(CEDAR), &recorded), None);
    let stricter = CEDAR.replace("<= 5000", "<= 50");
    let difference = replay(&policy(&stricter), &recorded).unwrap();
    assert_eq!(difference.after, ("deny".to_owned(), "no_permit".to_owned()));
    assert_eq!(difference.request_id, "r1");
    let renamed = CEDAR.replace("@id(\"small\")", "@id(\"little\")");
    assert_eq!(replay(&policy(&renamed), &recorded).unwrap().rule_ids, ["little"]);
    assert!(serde_json::from_str::<Recorded>(
        r#"{"request_id": "r1", "request": {"args": {"a": 18446744073709551615}}}"#
    )
    .is_err());
}

#[test]
fn a_draft_of_tool_definitions_loads_and_denies() {
    let schema = r#"{"type": "object", "properties": {"q": {"type": "string", "description": "it's '''quoted'''"}}}"#;
    let plain = r#"{"type": "object", "properties": {"q": {"type": "string"}}}"#;
    for definitions in [
        format!(
            r#"{{"tools": [{{"name": "search", "description": "Find \"it\".", "inputSchema": {schema},
            "annotations": {{"readOnlyHint": true}}}}]}}"#
        ),
        format!(
            r#"{{"jsonrpc": "2.0", "id": 1, "result": {{"tools": [{{"name": "search", "inputSchema": {plain}}}]}}}}"#
        ),
        format!(
            r#"[{{"type": "function", "function": {{"name": "search", "parameters": {plain}}}}}]"#
        ),
        format!(r#"[{{"type": "function", "name": "search", "parameters": {schema}}}]"#),
    ] {
        let draft = draft_manifest(&definitions).unwrap();
        let policy = Policy::from_texts(
            &draft,
            &[("p", "@id(\"p\") permit (principal, action, resource);")],
        )
        .unwrap();
        let outcome = case("search", r#"{"q": "x"}"#).decide(&policy);
        assert_eq!(outcome.reason.code(), "tool_not_declared", "{draft}");
        let missing = &policy.tool("search").unwrap().undeclared;
        assert_eq!(*missing, ["charges", "exports", "reversible", "risk"], "{draft}");
    }
    for (definitions, part) in [
        ("{", "JSON"),
        ("{}", "neither"),
        ("[]", "no tool"),
        ("[{}]", "no name"),
        (r#"[{"name": "a b"}]"#, "letters"),
        (r#"[{"name": "a"}, {"name": "a"}]"#, "twice"),
    ] {
        let error = draft_manifest(definitions).unwrap_err();
        assert!(error.contains(part), "{error}");
    }
}
