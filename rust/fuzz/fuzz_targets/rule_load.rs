//! Any text as a rule document: loads or says why not, and what loads can scan and stream.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use sift_rules::RuleSet;
use sift_scan::{EngineKind, Options, Scanner};

fuzz_target!(|document: &str| {
    let Ok(rules) = RuleSet::from_document("fuzz", document) else { return };
    sift_rules::lint::lint(&rules);
    let options = Options { engine: Some(EngineKind::Automata), ..Options::default() };
    let Ok(scanner) = Scanner::new(Arc::new(rules), options) else { return };
    let scanner = Arc::new(scanner);
    scanner.scan(document.as_bytes()).unwrap();
    if let Ok(mut stream) = scanner.stream(true) {
        let mut sink = Nothing;
        stream.feed(document.as_bytes(), &|_| true, &mut sink).unwrap();
        stream.finish(&|_| true, &mut sink).unwrap();
    }
});

struct Nothing;

impl sift_scan::Sink for Nothing {
    fn text(&mut self, _: &[u8]) {}
    fn edit(&mut self, _: u32, _: Option<&[u8]>) {}
    fn finding(&mut self, _: sift_scan::Finding) {}
}
