//! Work per byte on texts made to be dear, counted and not timed: bytes read by the confirm automata and
//! hits, per byte of text. A rule that breaks a bound here is quadratic on somebody's input.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests: a panic is the report"
)]

use std::sync::Arc;

use sift_rules::format::Rng;
use sift_rules::RuleSet;
use sift_scan::verify::fill;
use sift_scan::{Options, Scanner, Work};
use sift_testkit::{replace_plan, PlanSink};

const SIZE: usize = 1 << 20;

fn scanner() -> Arc<Scanner> {
    let rules = Arc::new(RuleSet::select(&["default"], &[]).unwrap());
    Arc::new(Scanner::new(rules, Options::default()).unwrap())
}

fn repeated(unit: &str) -> Vec<u8> {
    unit.bytes().cycle().take(SIZE).collect()
}

fn texts(scanner: &Scanner) -> Vec<(&'static str, Vec<u8>)> {
    let mut rng = Rng::new(3);
    let base64: Vec<u8> =
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".to_vec();
    let rules = scanner.rules();
    let rule = &rules.rules()[rules.find("secret.github.token").unwrap()];
    let token = fill(rule, "{secret} ", &mut rng, 0).unwrap().text;
    // A chain in which each token begins inside the body of the one before: once quadratic.
    let jwt = &rules.rules()[rules.find("secret.jwt.token").unwrap()];
    let chain = fill(jwt, "_{secret}", &mut rng, 0).unwrap().text;
    let random = (0..SIZE).map(|_| base64[rng.below(64)]).collect();
    vec![
        ("key=", repeated("key=")),
        ("a", repeated("a")),
        ("one token", repeated(&token)),
        ("a chain of tokens", repeated(&chain)),
        ("random base64", random),
        ("-----BEGIN", repeated("-----BEGIN")),
        ("password: ", repeated("password: ")),
        ("secret = \"", repeated("secret = \"")),
        ("spaces", repeated("token =          ")),
        ("url", repeated("https://a:")),
        ("eyJ", repeated("eyJhbGci.")),
        ("dropped values", repeated("password='${x}a1b2c3' ")),
        ("nested words", repeated("secret_token_key=secret=a1:")),
        ("provider words", repeated("datadog_key datadog key = ")),
        // Each name an anchor, each sign a place where a value may begin: once quadratic.
        ("names behind signs", repeated("key-a1_")),
        ("providers behind signs", repeated("datadog-token-a1=")),
        ("bearer", repeated("authorization: bearer x.y-z ")),
    ]
}

/// Bytes the confirm automata may read for a byte of text, and hits per byte. The highest seen are 1.0
/// and 0.05; the bounds leave room for rules to come and none for a square.
const MAX_STEPS: u64 = 40;
const MAX_HITS: u64 = 4;

fn check(name: &str, mode: &str, size: usize, work: Work) {
    println!(
        "{mode} {name}: {:.1} steps, {:.2} hits a byte",
        work.steps as f64 / size as f64,
        work.hits as f64 / size as f64
    );
    assert!(work.steps / (size as u64) <= MAX_STEPS, "{mode} of {name} reads too much");
    assert!(work.hits / (size as u64) <= MAX_HITS, "{mode} of {name} has too many hits");
}

#[test]
fn work_per_byte_is_bounded() {
    let scanner = scanner();
    for (name, text) in texts(&scanner) {
        check(name, "scan", SIZE, scanner.scan(&text).unwrap().work);
    }
}

#[test]
fn work_per_byte_is_bounded_in_streams_and_memory_too() {
    let scanner = scanner();
    let plan = replace_plan(scanner.rules());
    for (name, text) in texts(&scanner) {
        let mut stream = scanner.stream(false).unwrap();
        let mut sink = PlanSink::new(&plan);
        let mut most = 0;
        for piece in text.chunks(64) {
            stream.feed(piece, &|_| false, &mut sink).unwrap();
            most = most.max(stream.memory());
        }
        stream.finish(&|_| false, &mut sink).unwrap();
        check(name, "stream", SIZE, stream.work());
        println!("stream {name}: {most} bytes");
        assert!(most <= 64 * 1024, "{name} makes a stream hold {most} bytes");
    }
}

/// Digits and the signs between them, under the rules of all countries: nearly every place begins a number of
/// many. 190 to 280 bytes were read for each byte when the telephone numbers of 23 countries, which are written
/// alike, were looked for one by one.
#[test]
fn numbers_of_all_countries_are_bounded() {
    const BYTES: usize = 16 << 10;
    let rules = Arc::new(RuleSet::select(&["pii-all"], &[]).unwrap());
    let scanner = Arc::new(Scanner::new(rules, Options::default()).unwrap());
    let plan = replace_plan(scanner.rules());
    let mut rng = Rng::new(7);
    let groups = ["1", "12", "123", "1234", "-", " ", ".", "/"];
    let mut texts: Vec<(String, String)> =
        ["1 ", "1.", "1-", "1/2/", "(1) ", "+1 (0)", "0123456789"]
            .map(|unit| (unit.to_owned(), unit.repeat(BYTES / unit.len())))
            .into();
    texts.push(("groups".to_owned(), (0..BYTES).map(|_| groups[rng.below(8)]).collect()));
    for letters in ["0123456789", "0123456789 ", "0123456789 .-/()+:"] {
        let text = (0..BYTES).map(|_| char::from(letters.as_bytes()[rng.below(letters.len())]));
        texts.push((format!("of {letters}"), text.collect()));
    }
    for (name, text) in texts {
        let size = text.len();
        check(&name, "scan", size, scanner.scan(text.as_bytes()).unwrap().work);
        let mut stream = scanner.stream(false).unwrap();
        let mut sink = PlanSink::new(&plan);
        for piece in text.as_bytes().chunks(64) {
            stream.feed(piece, &|_| false, &mut sink).unwrap();
        }
        stream.finish(&|_| false, &mut sink).unwrap();
        check(&name, "stream", size, stream.work());
    }
}
