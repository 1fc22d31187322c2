//! What a decision is: defaults, precedence, errors, approvals, shadow mode, charges, hostile arguments.
#![allow(clippy::unwrap_used, reason = "a test may stop at what it does not expect")]

mod support;

use sift_policy::{
    ApprovalRule, ArgumentFinding, Effect, Evaluation, Policy, PolicyError, Reason, Taint,
};
use support::{case, ids, json, policy, MANIFEST};

const PERMIT: &str = r#"
@id("permit.refund")
permit (principal in Role::"support", action == Action::"refund", resource)
when { context.args.cents <= 5000 };
"#;

fn load_error(cedar: &str) -> String {
    Policy::from_texts(MANIFEST, &[("p.cedar", cedar)]).unwrap_err().to_string()
}

#[test]
fn nothing_is_allowed_that_no_policy_permits() {
    let nothing = Policy::from_texts(MANIFEST, &[]).unwrap();
    let outcome = case("refund", r#"{"cents": 1}"#).decide(&nothing);
    assert_eq!((outcome.effect, outcome.reason), (Effect::Deny, Reason::NoPermit));
    let policy = policy(PERMIT);
    assert_eq!(case("refund", r#"{"cents": 5000}"#).decide(&policy).effect, Effect::Allow);
    assert_eq!(case("refund", r#"{"cents": 5001}"#).decide(&policy).effect, Effect::Deny);
    let mut other = case("refund", r#"{"cents": 1}"#);
    other.role = "sales";
    assert_eq!(other.decide(&policy).reason, Reason::NoPermit);
    let mut cased = case("refund", r#"{"cents": 1}"#);
    cased.role = "Support";
    assert_eq!(cased.decide(&policy).reason, Reason::NoPermit);
}

#[test]
fn a_forbid_wins_and_says_why() {
    let policy = policy(&format!(
        "{PERMIT}
        @id(\"forbid.rush\") @reason(\"no_rush\") @message(\"Rush orders are refunded by hand.\")
        forbid (principal, action in Action::\"payment\", resource)
        when {{ action == Action::\"refund\" && context.args has order && context.args.order has rush
               && context.args.order.rush }};"
    ));
    let outcome = case("refund", r#"{"cents": 5, "order": {"rush": true}}"#).decide(&policy);
    assert_eq!(outcome.effect, Effect::Deny);
    assert_eq!(outcome.reason.to_string(), "no_rush");
    assert_eq!(outcome.message.as_deref(), Some("Rush orders are refunded by hand."));
    assert_eq!(ids(&outcome), ["forbid.rush"]);
    assert!(outcome.charges.is_empty());
    let outcome = case("refund", r#"{"cents": 5, "order": {"rush": false}}"#).decide(&policy);
    assert_eq!(ids(&outcome), ["permit.refund"]);
}

#[test]
fn an_error_in_a_forbid_denies_and_an_error_in_a_permit_permits_nothing() {
    let forbid = policy(&format!(
        "{PERMIT} @id(\"forbid.sum\") forbid (principal, action == Action::\"refund\", resource)
        when {{ context.args.cents * 9223372036854775807 < 0 }};"
    ));
    let outcome = case("refund", r#"{"cents": 2}"#).decide(&forbid);
    assert_eq!(
        (outcome.effect.clone(), outcome.reason.clone()),
        (Effect::Deny, Reason::PolicyError)
    );
    assert_eq!(ids(&outcome), ["forbid.sum"]);
    assert_eq!(case("refund", r#"{"cents": 1}"#).decide(&forbid).effect, Effect::Allow);
    let permit = policy(
        "@id(\"permit.sum\") permit (principal, action == Action::\"refund\", resource)
        when { context.args.cents + 9223372036854775807 > 0 || true };",
    );
    assert_eq!(case("refund", r#"{"cents": 1}"#).decide(&permit).reason, Reason::NoPermit);
    assert_eq!(case("refund", r#"{"cents": 0}"#).decide(&permit).effect, Effect::Allow);
}

#[test]
fn a_permit_that_needs_approval_escalates_until_enough_others_approved() {
    let policy = policy(
        r#"@id("large") @approval("2-of-finance") @message("A refund this large needs two approvals.")
        permit (principal in Role::"support", action == Action::"refund", resource);"#,
    );
    let rule = ApprovalRule::parse("2-of-finance").unwrap();
    let start = || case("refund", r#"{"cents": 900000}"#);
    let outcome = start().decide(&policy);
    assert_eq!(outcome.effect, Effect::Escalate(rule.clone()));
    assert_eq!((outcome.reason, outcome.charges.len()), (Reason::ApprovalRequired, 2));
    assert_eq!(outcome.message.as_deref(), Some("A refund this large needs two approvals."));
    for (names, group) in [
        (&["ann"][..], "finance"),
        (&["ann", "ann"], "finance"),
        (&["ann", "bot"], "finance"),
        (&["ann", "joe"], "legal"),
    ] {
        let outcome = start().approved(names, group).decide(&policy);
        assert_eq!(outcome.effect, Effect::Escalate(rule.clone()), "{names:?} of {group}");
    }
    let outcome = start().approved(&["ann", "joe"], "finance").decide(&policy);
    assert_eq!((outcome.effect, outcome.fulfilled), (Effect::Allow, Some(rule)));
}

#[test]
fn a_forbid_with_approval_asks_for_it_whatever_else_permits() {
    let policy = policy(&format!(
        "{PERMIT} @id(\"four.eyes\") @approval(\"1-of-leads\")
        forbid (principal, action, resource) when {{ resource.risk >= 2 }};"
    ));
    let outcome = case("refund", r#"{"cents": 1}"#).decide(&policy);
    assert_eq!(outcome.effect, Effect::Escalate(ApprovalRule::parse("1-of-leads").unwrap()));
    assert_eq!(ids(&outcome), ["four.eyes", "permit.refund"]);
    let outcome = case("refund", r#"{"cents": 1}"#).approved(&["ann"], "leads").decide(&policy);
    assert_eq!(outcome.effect, Effect::Allow);
    // An approval permits nothing by itself.
    let outcome = case("refund", r#"{"cents": 9999}"#).approved(&["ann"], "leads").decide(&policy);
    assert_eq!(outcome.reason, Reason::NoPermit);
}

#[test]
fn the_approval_of_the_manifest_is_needed_for_every_call() {
    let manifest = MANIFEST.replace("undo = \"reverse_refund\"", "approval = \"1-of-leads\"");
    let policy = Policy::from_texts(&manifest, &[("p.cedar", PERMIT)]).unwrap();
    let outcome = case("refund", r#"{"cents": 1}"#).decide(&policy);
    assert_eq!(outcome.effect, Effect::Escalate(ApprovalRule::parse("1-of-leads").unwrap()));
    assert_eq!(ids(&outcome), ["permit.refund", "tool:refund"]);
    let outcome = case("refund", r#"{"cents": 1}"#).approved(&["ann"], "leads").decide(&policy);
    assert_eq!(outcome.effect, Effect::Allow);
}

#[test]
fn shadow_policies_decide_nothing_and_are_counted() {
    let policy = policy(&format!(
        "{PERMIT}
        @id(\"s.forbid\") @shadow forbid (principal, action == Action::\"refund\", resource)
        when {{ context.args.cents > 100 }};
        @id(\"s.permit\") @shadow permit (principal, action == Action::\"refund\", resource);
        @id(\"s.error\") @shadow forbid (principal, action == Action::\"refund\", resource)
        when {{ context.args.cents * 9223372036854775807 > 0 }};"
    ));
    let outcome = case("refund", r#"{"cents": 200}"#).decide(&policy);
    assert_eq!(outcome.effect, Effect::Allow);
    let shown: Vec<_> =
        outcome.shadow.iter().map(|s| (&*s.rule_id, s.result, s.would_change)).collect();
    assert_eq!(
        shown,
        [
            ("s.error", Evaluation::Error, true),
            ("s.forbid", Evaluation::Satisfied, true),
            ("s.permit", Evaluation::Satisfied, false),
        ]
    );
    case("refund", r#"{"cents": 9000}"#).decide(&policy);
    let counters: Vec<_> = policy
        .shadow_counters()
        .into_iter()
        .map(|c| (c.rule_id.to_string(), c.evaluated, c.satisfied, c.errors, c.would_change))
        .collect();
    assert_eq!(
        counters,
        [
            ("s.error".to_owned(), 2, 0, 2, 1),
            ("s.forbid".to_owned(), 2, 2, 0, 1),
            ("s.permit".to_owned(), 2, 2, 0, 1),
        ]
    );
}

#[test]
fn arguments_cannot_become_entities_or_extension_values() {
    let policy = policy(
        r#"@id("p") permit (principal, action == Action::"refund", resource)
        when { context.args has order && context.args.order has id && context.args.order.id == "o1" };
        @id("f") forbid (principal, action == Action::"refund", resource) when { context.args.cents > 100 };"#,
    );
    assert_eq!(
        case("refund", r#"{"cents": 1, "order": {"id": "o1"}}"#).decide(&policy).effect,
        Effect::Allow
    );
    for hostile in [
        r#"{"cents": {"__extn": {"fn": "decimal", "arg": "1.0"}}, "order": {"id": "o1"}}"#,
        r#"{"cents": "1", "order": {"id": "o1"}}"#,
        r#"{"cents": 1.0, "order": {"id": "o1"}}"#,
        r#"{"cents": 1e0, "order": {"id": "o1"}}"#,
        r#"{"cents": null, "order": {"id": "o1"}}"#,
        r#"{"order": {"id": "o1"}}"#,
        r#"{"cents": 1, "order": {"__entity": {"type": "Role", "id": "admin"}}}"#,
        r#"{"cents": 1, "order": {"id": {"__entity": {"type": "Role", "id": "admin"}}}}"#,
        r#"{"cents": 1, "order": {"id": "o1", "__entity": 1}}"#,
        r#"{"cents": 1, "order": {"id": "o1"}, "__expr": "true"}"#,
        r#"[{"cents": 1, "order": {"id": "o1"}}]"#,
        r#"null"#,
    ] {
        let outcome = case("refund", hostile).decide(&policy);
        assert_eq!(
            (outcome.effect, outcome.reason),
            (Effect::Deny, Reason::InvalidArguments),
            "{hostile}"
        );
    }
    // In a free-form object they are data like any other, and no policy sees it.
    let free =
        r#"{"cents": 1, "order": {"id": "o1"}, "free": {"__entity": {"type": "Role", "id": "x"}}}"#;
    assert_eq!(case("refund", free).decide(&policy).effect, Effect::Allow);
    let strings = r#"{"cents": 1, "order": {"id": "o1\" || true || \""}}"#;
    assert_eq!(case("refund", strings).decide(&policy).reason, Reason::NoPermit);
}

#[test]
fn names_cannot_reach_into_another_tenant() {
    let policy = policy(
        r#"@id("p") permit (principal in Role::"acme/support", action == Action::"refund", resource);
        @id("q") permit (principal == Agent::"acme/bot", action == Action::"reverse_refund", resource);"#,
    );
    assert_eq!(case("refund", r#"{"cents": 1}"#).decide(&policy).effect, Effect::Allow);
    assert_eq!(case("reverse_refund", r#"{"cents": 1}"#).decide(&policy).effect, Effect::Allow);
    for (tenant, role, agent, reason) in [
        ("evil", "support", "bot", Reason::NoPermit),
        ("evil", "acme/support", "bot", Reason::InvalidName),
        ("evil", "support", "acme/bot", Reason::InvalidName),
        ("acme/support", "support", "bot", Reason::InvalidName),
        ("", "support", "bot", Reason::InvalidName),
        ("acme", "", "bot", Reason::InvalidName),
        ("acme", "support\n", "bot", Reason::InvalidName),
    ] {
        for tool in ["refund", "reverse_refund"] {
            let mut case = case(tool, r#"{"cents": 1}"#);
            (case.tenant, case.role, case.agent) = (tenant, role, agent);
            assert_eq!(case.decide(&policy).reason, reason, "{tenant} {role} {agent}");
        }
    }
}

#[test]
fn findings_and_taint_are_context() {
    let policy = policy(
        r#"@id("p") permit (principal, action == Action::"send_mail", resource);
        @id("secret") @reason("secret_in_arguments") forbid (principal, action, resource)
        when { resource.exports && context.findings.categories.contains("secret") };
        @id("web") @reason("recipient_from_web") forbid (principal, action == Action::"send_mail", resource)
        when { context.taint.at.contains("web@/to") };"#,
    );
    let mail = || {
        let mut mail = case("send_mail", r#"{"to": "a", "body": "b"}"#);
        mail.estimate = vec![("usd_micros", 7)];
        mail
    };
    assert_eq!(mail().decide(&policy).effect, Effect::Allow);
    let mut found = mail();
    found.findings.push(ArgumentFinding {
        argument: "/body".to_owned(),
        category: "secret".to_owned(),
        entity_type: "GITHUB_TOKEN".to_owned(),
        score: 0.9,
    });
    assert_eq!(found.decide(&policy).reason.to_string(), "secret_in_arguments");
    let mut tainted = mail();
    tainted.taint.push(Taint { argument: "/body".to_owned(), source: "web".to_owned() });
    assert_eq!(tainted.decide(&policy).effect, Effect::Allow);
    tainted.taint.push(Taint { argument: "/to".to_owned(), source: "web".to_owned() });
    assert_eq!(tainted.decide(&policy).reason.to_string(), "recipient_from_web");
}

#[test]
fn charges_are_computed_or_the_call_is_denied() {
    let policy = policy(r#"@id("p") permit (principal, action, resource);"#);
    let outcome = case("refund", r#"{"cents": 12}"#).decide(&policy);
    let charges: Vec<_> =
        outcome.charges.iter().map(|c| (&*c.budget, &*c.unit, c.amount)).collect();
    assert_eq!(charges, [("refunds", "usd_micros", 120_000), ("calls", "calls", 1)]);
    for args in [r#"{"cents": -1}"#, r#"{"cents": 9223372036854775807}"#] {
        let outcome = case("refund", args).decide(&policy);
        assert_eq!(
            (outcome.effect, outcome.reason),
            (Effect::Deny, Reason::InvalidCharge),
            "{args}"
        );
    }
    let mut mail = case("send_mail", r#"{"to": "a", "body": "b"}"#);
    assert_eq!(mail.decide(&policy).reason, Reason::InvalidCharge);
    mail.estimate = vec![("usd_micros", -5)];
    assert_eq!(mail.decide(&policy).reason, Reason::InvalidCharge);
    mail.estimate = vec![("tokens", 5), ("usd_micros", 5)];
    assert_eq!(mail.decide(&policy).charges[0].amount, 5);
}

#[test]
fn a_tool_that_lacks_a_declaration_or_is_of_another_policy_is_denied() {
    let cedar = r#"@id("p") permit (principal, action, resource);"#;
    let policy = policy(cedar);
    let outcome = case("draft", "{}").decide(&policy);
    assert_eq!((outcome.effect, outcome.reason), (Effect::Deny, Reason::ToolNotDeclared));
    assert_eq!(policy.tool("draft").unwrap().undeclared, ["charges", "exports", "reversible"]);
    assert!(policy.tool("drop_database").is_none());
    let reloaded = support::policy(cedar);
    let case = case("refund", r#"{"cents": 1}"#);
    assert_eq!(case.with(&policy, |request| reloaded.decide(request)).reason, Reason::UnknownTool);
}

#[test]
fn time_is_utc_and_must_be_a_date() {
    let policy = policy(
        r#"@id("p") permit (principal, action == Action::"refund", resource) when {
            context.now < datetime("2026-11-21T12:00:00Z") && context.time.weekday == 6 && context.time.hour >= 9
            && context.time.minute == 59 };"#,
    );
    let at = |now_ms| {
        let mut case = case("refund", r#"{"cents": 1}"#);
        case.now_ms = now_ms;
        case.decide(&policy).reason
    };
    let noon = 1_795_262_400_000;
    assert_eq!(at(noon - 1), Reason::Allowed);
    assert_eq!(at(noon), Reason::NoPermit);
    assert_eq!(at(i64::MIN), Reason::InvalidTime);
    assert_eq!(at(i64::MAX), Reason::InvalidTime);
    assert_eq!(at(-62_167_219_200_001), Reason::InvalidTime);
    assert_ne!(at(-62_167_219_200_000), Reason::InvalidTime);
}

#[test]
fn what_does_not_fit_the_manifest_is_an_error_at_load() {
    for (cedar, part) in [
        (
            r#"@id("x") permit (principal, action == Action::"send_mail", resource) when { context.args.cents > 1 };"#,
            "cents",
        ),
        (r#"@id("x") permit (principal, action == Action::"refnd", resource);"#, "refnd"),
        (r#"@id("x") permit (principal in Group::"a", action, resource);"#, "Group"),
        (
            r#"@id("x") permit (principal, action == Action::"refund", resource) when { context.args.cents > "1" };"#,
            "type",
        ),
        (
            r#"@id("x") permit (principal, action == Action::"refund", resource) when { context.args.note == "" };"#,
            "note",
        ),
        (
            r#"@id("x") permit (principal, action == Action::"refund", resource) when { context.args.rate > 1 };"#,
            "rate",
        ),
        (r#"permit (principal, action, resource);"#, "@id"),
        (r#"@id("a b") permit (principal, action, resource);"#, "@id"),
        (r#"@id("x") @aproval("1-of-a") permit (principal, action, resource);"#, "@aproval"),
        (r#"@id("x") @approval("0-of-a") permit (principal, action, resource);"#, "0-of-a"),
        (r#"@id("x") @reason("Has Spaces") permit (principal, action, resource);"#, "@reason"),
        (r#"@id("x") @shadow("no") permit (principal, action, resource);"#, "@shadow"),
        (r#"@id("x") permit (principal == ?principal, action, resource);"#, "template"),
        (
            "@id(\"x\")\npermit (principal, action, resource)\nwhen { context.args.cents >>> 1 };",
            "line 3",
        ),
    ] {
        let error = load_error(cedar);
        assert!(error.contains(part), "{cedar}: {error}");
    }
    let twice = r#"@id("x") permit (principal, action, resource);"#;
    let error =
        Policy::from_texts(MANIFEST, &[("a.cedar", twice), ("b.cedar", twice)]).unwrap_err();
    assert!(
        matches!(error, PolicyError::Policy { .. }) && error.to_string().contains("twice"),
        "{error}"
    );
}

#[test]
fn a_manifest_is_read_strictly() {
    for (from, to, part) in [
        ("version = 1", "version = 2", "version is 2"),
        ("risk = \"low\"", "risk = \"none\"", "none"),
        ("risk = \"low\"", "riks = \"low\"", "riks"),
        ("undo = \"reverse_refund\"", "undo = \"nothing\"", "nothing"),
        ("undo = \"reverse_refund\"", "approval = \"two\"", "two"),
        ("action = \"payment\"", "action = \"send_mail\"", "another tool"),
        ("estimate = true", "estimate = true, amount = 1", "exactly one"),
        ("amount = 1", "amount = -1", "exactly one"),
        ("times = 10_000", "times = 0", "exactly one"),
        ("cents = { type = \"integer\" }", "cents = { type = \"integr\" }", "JSON Schema"),
        (
            "reason = { type = \"string\" }",
            "reason = { type = \"string\", pattern = \"(\" }",
            "JSON Schema",
        ),
        (
            "reason = { type = \"string\" }",
            "reason = { \"$ref\" = \"https://example.org/s\" }",
            "JSON Schema",
        ),
        ("args = { type = \"object\" }", "args = { type = \"array\" }", "object"),
        ("[tool.draft]", "[tool.\"dr aft\"]", "name"),
    ] {
        assert!(MANIFEST.contains(from), "{from}");
        let error =
            Policy::from_texts(&MANIFEST.replacen(from, to, 1), &[]).unwrap_err().to_string();
        assert!(error.contains(part), "{to}: {error}");
    }
}

#[test]
fn personal_data_is_marked_by_pointer() {
    let policy = policy("");
    let marks: Vec<_> = policy.tool("send_mail").unwrap().personal_args().to_vec();
    let shown: Vec<_> =
        marks.iter().map(|m| (m.pointer.as_str(), m.entity_type.as_str())).collect();
    assert_eq!(shown, [("/cc/*", "EMAIL_ADDRESS"), ("/to", "EMAIL_ADDRESS")]);
}

#[test]
fn an_argument_error_names_the_schema_and_never_the_value() {
    let policy = policy("");
    let tool = policy.tool("refund").unwrap();
    let error = tool.check_args(&json(r#"{"cents": "hidden-value"}"#)).unwrap_err();
    assert_eq!(error.schema_path, "/properties/cents/type");
    let error =
        tool.check_args(&json(r#"{"cents": 1, "hidden-key": "hidden-value"}"#)).unwrap_err();
    assert!(!error.to_string().contains("hidden"), "{error}");
}

#[test]
fn order_and_names_of_files_mean_nothing() {
    let forbid = r#"@id("f") forbid (principal, action == Action::"refund", resource) when { context.args.cents == 3 };"#;
    let one = Policy::from_texts(MANIFEST, &[("a", PERMIT), ("b", forbid)]).unwrap();
    let two = Policy::from_texts(MANIFEST, &[("z", forbid), ("y", PERMIT)]).unwrap();
    let three = Policy::from_texts(MANIFEST, &[("z", forbid)]).unwrap();
    assert_eq!(one.hash(), two.hash());
    assert_ne!(one.hash(), three.hash());
    for cents in 1..5 {
        let case = case("refund", &format!("{{\"cents\": {cents}}}"));
        assert_eq!(case.decide(&one), case.decide(&two));
    }
}

#[test]
fn what_no_part_of_a_schema_declares_is_refused() {
    for (schema, taken, refused) in [
        // The way generators write an optional object.
        (
            r#"{"properties": {"a": {"anyOf": [{"type": "object", "properties": {"b": {}}}, {"type": "null"}]}}}"#,
            &[r#"{"a": {"b": 1}}"#, r#"{"a": null}"#, r#"{}"#][..],
            &[r#"{"a": {"c": 1}}"#, r#"{"c": 1}"#][..],
        ),
        (
            r#"{"oneOf": [{"properties": {"a": {}}, "required": ["a"]}, {"properties": {"b": {}}, "required": ["b"]}]}"#,
            &[r#"{"a": 1}"#, r#"{"b": 1}"#],
            &[r#"{"a": 1, "c": 1}"#, r#"{"a": 1, "b": 1}"#],
        ),
        (
            r#"{"allOf": [{"properties": {"a": {}}}, {"properties": {"b": {"items": {"properties": {"x": {}}}}}}]}"#,
            &[r#"{"a": 1, "b": [{"x": 1}]}"#],
            &[r#"{"a": 1, "c": 1}"#, r#"{"b": [{"y": 1}]}"#],
        ),
        (
            r#"{"properties": {"a": {}}, "anyOf": [{"properties": {"b": {}}, "required": ["b"]}, {"required": ["a"]}]}"#,
            &[r#"{"a": 1}"#, r#"{"a": 1, "b": 1}"#],
            &[r#"{"a": 1, "c": 1}"#],
        ),
        (
            r#"{"properties": {"a": {}}, "if": {"required": ["a"]}, "then": {"properties": {"b": {}}}}"#,
            &[r#"{"a": 1, "b": 1}"#],
            &[r#"{"a": 1, "c": 1}"#],
        ),
        (
            r##"{"$ref": "#/$defs/open", "properties": {"a": {}}, "$defs": {"open": {"required": ["a"]}}}"##,
            &[r#"{"a": 1}"#],
            &[r#"{"a": 1, "c": 1}"#],
        ),
        // What says that it takes more, takes more.
        (
            r#"{"anyOf": [{"properties": {"a": {}}, "additionalProperties": true}, {"type": "null"}]}"#,
            &[r#"{"a": 1, "c": 1}"#],
            &[],
        ),
        (
            r#"{"allOf": [{"properties": {"a": {}}}], "unevaluatedProperties": {"properties": {"x": {}}}}"#,
            &[r#"{"a": 1, "c": {"x": 1}}"#],
            &[r#"{"c": {"y": 1}}"#],
        ),
    ] {
        let schema = schema.replacen('{', r#"{"type": "object", "#, 1);
        let manifest = format!(
            "version = 1\n[tool.t]\nrisk = \"low\"\nreversible = true\nexports = false\ncharges = []\n\
             args = '''{schema}'''\n"
        );
        let permit = ("p", "@id(\"p\") permit (principal, action, resource);");
        let policy = Policy::from_texts(&manifest, &[permit]).unwrap();
        for (cases, reason) in [(taken, Reason::Allowed), (refused, Reason::InvalidArguments)] {
            for args in cases {
                assert_eq!(case("t", args).decide(&policy).reason, reason, "{schema} {args}");
            }
        }
    }
}

#[test]
fn a_folder_with_what_may_be_a_policy_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let policies = folder.path().join("policy");
    std::fs::create_dir(&policies).unwrap();
    std::fs::write(folder.path().join("tools.toml"), MANIFEST).unwrap();
    std::fs::write(policies.join("permit.cedar"), PERMIT).unwrap();
    std::fs::write(policies.join(".forbid.cedar.swp"), "an editor's").unwrap();
    std::fs::create_dir(policies.join("..data")).unwrap();
    Policy::load(folder.path()).unwrap();
    for name in ["forbid.CEDAR", "forbid.cedar.txt", "forbid.cedar~", "forbid"] {
        let path = policies.join(name);
        std::fs::write(&path, "forbid (principal, action, resource);").unwrap();
        let error = Policy::load(folder.path()).unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
        std::fs::remove_file(&path).unwrap();
    }
    std::fs::create_dir(policies.join("more")).unwrap();
    assert!(matches!(Policy::load(folder.path()), Err(PolicyError::NoPolicy { .. })));
}
