//! Any payload in an encoding: its bytes are found, and a span of them maps to exactly the units that they
//! were written in.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sift_text::decode::{windows, Limits, Map, MIN_TEXT, STRIDE};

/// How a byte is written, and how many bytes a unit holds.
const WAYS: [(fn(u8) -> String, &str); 5] = [
    (|byte| format!("%{byte:02x}"), ""),
    (|byte| format!("\\x{byte:02X}"), ""),
    (|byte| format!("{byte:02x}"), ""),
    (|byte| format!("{byte:02x}"), " "),
    (|byte| format!("0x{byte:02x}"), ", "),
];

fuzz_target!(|input: (u8, &str, u16, u16, &[u8])| {
    let (way, before, start, end, payload) = input;
    let (write, separator) = WAYS[usize::from(way) % WAYS.len()];
    // Text in the sense of the filter, and not so long that windows cut it.
    let is_text = |byte: &u8| matches!(byte, b' '..=b'~');
    let payload: Vec<u8> = payload.iter().copied().filter(is_text).take(STRIDE / 8).collect();
    if payload.len() < MIN_TEXT {
        return;
    }
    // A backslash or a digit in front would be part of the encoding.
    let mut text = format!("{before}~").into_bytes();
    let mut units = Vec::new();
    for (at, &byte) in payload.iter().enumerate() {
        if at > 0 {
            text.extend_from_slice(separator.as_bytes());
        }
        let from = text.len();
        text.extend_from_slice(write(byte).as_bytes());
        units.push((from, text.len()));
    }
    let (limits, mut found) = (Limits::default(), Vec::new());
    windows(&text, &limits, &mut found);
    let (mut decoded, mut map) = (Vec::new(), Map::default());
    let start = usize::from(start) % payload.len();
    let end = start + 1 + usize::from(end) % (payload.len() - start);
    let exact = found.iter().any(|window| {
        window.decode(&text, &limits, &mut decoded);
        window.map(&text, &mut map);
        // What stood before may hold the payload too, so look from the end.
        decoded.ends_with(&payload) && {
            let at = decoded.len() - payload.len();
            map.span(at + start, at + end) == (units[start].0, units[end - 1].1)
        }
    });
    assert!(exact);
});
