//! Any bytes: no panic, spans inside the text and in order, and both engines agree.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use sift_rules::RuleSet;
use sift_testkit::Bench;

fn bench() -> &'static Bench {
    static BENCH: OnceLock<Bench> = OnceLock::new();
    BENCH.get_or_init(|| Bench::new(RuleSet::select(&["default", "pii-all"], &[]).unwrap()).unwrap())
}

fuzz_target!(|text: &[u8]| {
    let mut results = bench().scanners.iter().map(|s| s.scan(text).unwrap());
    let first = results.next().unwrap();
    let mut end = 0;
    for finding in &first.findings {
        assert!(finding.start >= end && finding.start < finding.end && finding.end <= text.len());
        end = finding.end;
    }
    for other in results {
        assert_eq!(other.findings, first.findings);
    }
});
