//! Any bytes as request JSON: a parsed document is within the limits, parses again to the same value from its own
//! notation, and a decision on it is total.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sift_policy::json::{parse, JsonLimits};
use sift_policy::{Effect, OwnedRequest, Policy};
use std::sync::LazyLock;

static POLICY: LazyLock<Policy> = LazyLock::new(|| {
    let manifest = r#"
version = 1
[tool.t]
risk = "low"
reversible = true
exports = false
charges = [{ budget = "b", unit = "u", argument = "/n", times = 3 }]
[tool.t.args]
type = "object"
required = ["n"]
[tool.t.args.properties]
n = { type = "integer" }
s = { type = "string", pattern = "^a+b*$" }
l = { type = "array", items = { type = "string" }, uniqueItems = true }
o = { type = "object", properties = { x = { type = "boolean" } } }
f = { type = "object" }
"#;
    let cedar = r#"
@id("p") permit (principal, action, resource) when { context.args.n > 0 };
@id("f") forbid (principal, action, resource) when { context.args.n * 7 > 70 };
"#;
    Policy::from_texts(manifest, &[("p", cedar)]).expect("the policy of this target loads")
});

fuzz_target!(|text: &[u8]| {
    let limits = JsonLimits::default();
    let Ok(value) = parse(text, &limits) else { return };
    assert!(value.check_limits(&limits).is_ok());
    let written = value.to_serde().to_string();
    // Floats may be written longer than they were read; the limit of bytes is the only one that may then fail.
    if written.len() <= limits.bytes {
        assert_eq!(parse(written.as_bytes(), &limits).as_ref(), Ok(&value));
    }
    let amount = value.pointer("/n").and_then(sift_policy::json::Value::as_int);
    let request = OwnedRequest {
        tenant: "t".to_owned(),
        agent: "a".to_owned(),
        role: "r".to_owned(),
        tool: "t".to_owned(),
        args: value,
        now_ms: 0,
        session: None,
        conversation: None,
        model: None,
        model_version: None,
        elevation: None,
        findings: Vec::new(),
        taint: Vec::new(),
        approved_by: Vec::new(),
        estimate: std::collections::BTreeMap::new(),
    };
    let outcome = request.decide(&POLICY);
    if outcome.effect == Effect::Allow {
        assert!(matches!(amount, Some(1..=10)));
    }
});
