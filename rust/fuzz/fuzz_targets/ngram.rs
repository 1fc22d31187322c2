//! Any bytes: the score is finite, its place is inside the text, and a used scorer says what a fresh one
//! says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sift_ngram::{Model, Scorer};

thread_local! {
    static USED: std::cell::RefCell<Scorer> = std::cell::RefCell::default();
}

fuzz_target!(|text: &[u8]| {
    let Ok(model) = Model::builtin() else { panic!("the built-in weights are refused") };
    let score = Scorer::default().score(model, text);
    assert!(score.logit.is_finite());
    assert!(score.start <= score.end && score.end <= text.len());
    USED.with_borrow_mut(|used| assert_eq!(used.score(model, text), score));
});
