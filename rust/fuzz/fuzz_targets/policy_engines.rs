//! Policies and requests made of bytes: compiled, sliced and whole evaluation agree, errors included.
#![no_main]

#[path = "../../sift-policy/tests/support/generate.rs"]
mod generate;

use generate::{call, rule, Source, MANIFEST};
use libfuzzer_sys::fuzz_target;
use sift_policy::json::{parse, JsonLimits};
use sift_policy::{Engine, Policy};

fuzz_target!(|bytes: &[u8]| {
    let mut source = Source::new(bytes);
    let rules: Vec<_> = (0..4)
        .map(|id| rule(&mut source, id, true))
        .filter(|rule| Policy::from_texts(MANIFEST, &[("r", rule)]).is_ok())
        .collect();
    let Ok(policy) = Policy::from_texts(MANIFEST, &[("r", &rules.concat())]) else { return };
    for _ in 0..4 {
        let call = call(&mut source);
        let args = parse(call.args.as_bytes(), &JsonLimits::default()).expect("arguments made here are JSON");
        let decide = |engine| {
            call.with(&policy, &args, |request| {
                let mut outcome = policy.decide_by(engine, request);
                // The whole set also reports shadow policies that are no candidates.
                outcome.shadow.retain(|shadow| shadow.result != sift_policy::Evaluation::NotSatisfied);
                outcome
            })
        };
        let compiled = decide(Engine::Compiled);
        assert_eq!(compiled, decide(Engine::Sliced), "{}", rules.concat());
        assert_eq!(compiled, decide(Engine::Whole), "{}", rules.concat());
    }
});
