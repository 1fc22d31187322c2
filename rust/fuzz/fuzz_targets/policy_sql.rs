//! Any text as an SQL statement, in each dialect: the check answers, and an allowed write names a table that is listed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sift_policy::json::{Object, Value};
use sift_policy::{Effect, OwnedRequest, Policy};
use std::sync::LazyLock;

static POLICIES: LazyLock<Vec<Policy>> = LazyLock::new(|| {
    ["postgres", "mysql", "sqlite"]
        .iter()
        .map(|dialect| {
            let manifest = format!(
                r#"
version = 1
[tool.q]
kind = "sql"
risk = "low"
reversible = true
exports = false
charges = []
args = {{ type = "object", required = ["sql"], properties = {{ sql = {{ type = "string" }} }} }}
sql = {{ statement = "/sql", dialect = "{dialect}", tables = ["orders"], tenant_column = "tenant_id", keys = ["id"], allow = ["select", "insert", "update", "delete"], max_affected = 5 }}
"#
            );
            let cedar = "@id(\"p\") permit (principal, action, resource);";
            Policy::from_texts(&manifest, &[("p", cedar)]).expect("the policy of this target loads")
        })
        .collect()
});

fuzz_target!(|sql: &str| {
    for policy in POLICIES.iter() {
        let args = Object::from_members(vec![("sql".into(), Value::Str(sql.into()))]).expect("one member");
        let request = OwnedRequest {
            tenant: "acme".to_owned(),
            agent: "a".to_owned(),
            role: "r".to_owned(),
            tool: "q".to_owned(),
            args: Value::Object(args),
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
        if request.decide(policy).effect == Effect::Allow {
            // Whoever reads or writes the table names the tenant, as a constant.
            let lower = sql.to_lowercase();
            assert!(!lower.contains("orders") || lower.contains("'acme'"), "{sql}");
            assert!(!lower.contains("drop ") || lower.contains('\'') || lower.contains('"') || lower.contains('`'));
        }
    }
});
