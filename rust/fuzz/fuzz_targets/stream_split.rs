//! A text and cuts: the stream gives what the whole gives, with decoders and without. The first bytes say where to cut.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use sift_rules::format::Rng;
use sift_rules::RuleSet;
use sift_testkit::{cut_points, random_cuts, Bench};
use sift_text::decode::Encodings;

fn bench(decode: bool) -> &'static Bench {
    static BENCHES: [OnceLock<Bench>; 2] = [const { OnceLock::new() }; 2];
    BENCHES[usize::from(decode)].get_or_init(|| {
        let encodings = if decode { Encodings::ALL } else { Encodings::default() };
        Bench::decoding(RuleSet::select(&["default", "pii-all"], &[]).unwrap(), encodings).unwrap()
    })
}

fuzz_target!(|input: (u64, bool, bool, &[u8])| {
    let (seed, characters, decode, bytes) = input;
    let owned;
    let text = if characters {
        owned = String::from_utf8_lossy(bytes).into_owned();
        owned.as_bytes()
    } else {
        bytes
    };
    let cuts = random_cuts(&cut_points(text, characters), &mut Rng::new(seed));
    let whole = bench(decode).whole(text, characters).unwrap();
    let streamed = bench(decode).streamed(text, characters, &cuts, |_| {}).unwrap();
    assert!(whole == streamed);
});
