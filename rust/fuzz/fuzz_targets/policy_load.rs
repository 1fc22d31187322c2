//! Any text as manifest and as policy: loading answers, and what loads lints, explains and decides.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sift_policy::{draft_manifest, run_cases, Policy};

const MANIFEST: &str = r#"
version = 1
[tool.t]
risk = "low"
reversible = true
exports = false
charges = []
args = { type = "object", properties = { n = { type = "integer" } } }
"#;
const CEDAR: &str = "@id(\"p\") permit (principal, action, resource);";

fuzz_target!(|text: &str| {
    let loaded = [
        Policy::from_texts(MANIFEST, &[("p", text)]),
        Policy::from_texts(text, &[("p", CEDAR)]),
    ];
    for policy in loaded.iter().flatten() {
        policy.lint();
        let _ = run_cases(policy, text);
        for tool in policy.tools() {
            let args = sift_policy::json::Value::Object(Default::default());
            let request = sift_policy::Request {
                tenant: "t",
                agent: "a",
                role: "r",
                tool,
                args: &args,
                session: None,
                conversation: None,
                model: None,
                model_version: None,
                now_ms: 0,
                findings: &[],
                taint: &[],
                approved_by: &[],
                elevation: None,
                estimate: &[],
            };
            assert_eq!(policy.explain(&request).outcome, policy.decide(&request));
        }
    }
    if let Ok(draft) = draft_manifest(text) {
        // A schema may still be refused; the TOML around it may not.
        if let Err(error) = Policy::from_texts(&draft, &[]) {
            assert!(matches!(error, sift_policy::PolicyError::Tool { .. }), "{error}");
        }
    }
});
