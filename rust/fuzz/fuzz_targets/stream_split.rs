//! A text and cuts: the stream gives what the whole gives. The first bytes say where to cut.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use sift_rules::format::Rng;
use sift_rules::RuleSet;
use sift_testkit::{cut_points, random_cuts, Bench};

fn bench() -> &'static Bench {
    static BENCH: OnceLock<Bench> = OnceLock::new();
    BENCH.get_or_init(|| Bench::new(RuleSet::select(&["default"], &[]).unwrap()).unwrap())
}

fuzz_target!(|input: (u64, bool, &[u8])| {
    let (seed, characters, bytes) = input;
    let owned;
    let text = if characters {
        owned = String::from_utf8_lossy(bytes).into_owned();
        owned.as_bytes()
    } else {
        bytes
    };
    let cuts = random_cuts(&cut_points(text, characters), &mut Rng::new(seed));
    let whole = bench().whole(text, characters).unwrap();
    let streamed = bench().streamed(text, characters, &cuts, |_| {}).unwrap();
    assert!(whole == streamed);
});
