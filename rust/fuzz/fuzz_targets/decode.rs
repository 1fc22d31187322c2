//! Any bytes in any pieces: the windows of a stream are those of the whole, what they say is bounded, and all
//! of it maps back into them. The first bytes say where to cut.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sift_rules::format::Rng;
use sift_testkit::{cut_points, random_cuts};
use sift_text::decode::{windows, Finder, Limits, Nesting, Window};

fuzz_target!(|input: (u64, &[u8])| {
    let (seed, text) = input;
    let limits = Limits::default();
    let mut whole = Vec::new();
    windows(text, &limits, &mut whole);

    let cuts = random_cuts(&cut_points(text, false), &mut Rng::new(seed));
    let (mut finder, mut buffer, mut dropped, mut from) = (Finder::new(&limits), Vec::new(), 0, 0);
    let (mut pieces, mut found) = (Vec::new(), Vec::new());
    for to in cuts.into_iter().chain([text.len()]) {
        buffer.extend_from_slice(&text[from..to]);
        from = to;
        finder.advance(&buffer, to == text.len(), &mut found);
        pieces.extend(found.drain(..).map(|window| Window {
            start: window.start + dropped,
            literal: window.literal + dropped,
            end: window.end + dropped,
            ..window
        }));
        let keep = finder.held(buffer.len()).buffer;
        finder.dropped(keep);
        buffer.drain(..keep);
        dropped += keep;
    }

    let mut nesting = Nesting::default();
    for window in &whole {
        let mut first = 0;
        let outcome = nesting.visit(text, *window, &limits, &mut |level, decoded| {
            if level.depth() == 1 {
                first = decoded.len();
            }
            let (start, end) = level.span(0, decoded.len());
            assert!(window.start <= start && start <= end && end <= window.end);
        });
        let size = (window.end - window.start).max(first);
        assert!(outcome.decoded <= first + limits.work * size);
    }
    whole.sort();
    pieces.sort();
    assert_eq!(pieces, whole);
});
