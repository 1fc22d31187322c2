//! Everything that is found as it stands is found in every encoding, at the whole units it was written in.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests: a panic is the report"
)]

use std::sync::Arc;

use sift_rules::format::Rng;
use sift_rules::RuleSet;
use sift_scan::verify::{fill, Example};
use sift_scan::{Finding, Options, Outcome, Scanner, Sink};
use sift_testkit::encodings::{Encoded, Way, WAYS};
use sift_testkit::{cut_points, random_cuts, Bench};
use sift_text::decode::{Encodings, MIN_TEXT, STRIDE};

fn scanner(sets: &[&str]) -> Arc<Scanner> {
    let rules = Arc::new(RuleSet::select(sets, &[]).unwrap());
    let options = Options { decode: Encodings::ALL, ..Options::default() };
    Arc::new(Scanner::new(rules, options).unwrap())
}

/// One example of each rule that is found as it stands: text, secret, rule.
fn examples(scanner: &Scanner) -> Vec<(String, Finding)> {
    let mut all = Vec::new();
    let mut rng = Rng::new(11);
    for (number, rule) in scanner.rules().rules().iter().enumerate() {
        let Some(template) = rule.examples.first() else { continue };
        let Example { text, .. } = fill(rule, template, &mut rng, 0).unwrap();
        // Longer ones are in two windows.
        if !text.is_ascii() || text.len() > 240 {
            continue;
        }
        let found = scanner.scan(text.as_bytes()).unwrap().findings;
        if let Some(found) =
            found.into_iter().find(|it| it.rule == number as u32 && it.decoded.is_empty())
        {
            all.push((text, found));
        }
    }
    all
}

/// What stands around an encoded text: at the beginning of a line, as some rules want it.
const BEFORE: &str = "take this:\n";

/// Whether the finding is there, at its units. Another rule may win the place: tag characters are a finding of
/// their own.
fn is_found(scanner: &Scanner, finding: &Finding, encoded: &Encoded, ways: &[Way]) -> bool {
    let text = [BEFORE.as_bytes(), &encoded.text, b"\nand go on"].concat();
    let (start, end) = encoded.span(finding.start, finding.end);
    let span = (start + BEFORE.len(), end + BEFORE.len());
    let expected: Vec<&str> = ways.iter().flat_map(|way| way.decoded).copied().collect();
    let lines = scanner.explain(&text).unwrap();
    lines.iter().any(|it| {
        let names: Vec<&str> = it.decoded.iter().map(|it| it.as_str()).collect();
        let kept = matches!(it.outcome, Outcome::Found | Outcome::Overlapped);
        it.rule == finding.rule && (it.start, it.end) == span && names == expected && kept
    })
}

/// Rules whose examples begin or end with bytes that no decoder takes for text, or with signs alone.
const ODD: [&str; 6] = [
    "leak.sql.injection",
    "leak.terminal.escape",
    "leak.terminal.hyperlink",
    "injection.indirect.hidden-comment",
    "injection.turn.instruction-template",
    "secret.private-key.ssh2",
];

#[test]
fn every_finding_is_found_in_every_encoding() {
    let scanner = scanner(&["default", "pii"]);
    let examples = examples(&scanner);
    assert!(examples.len() > 500, "{}", examples.len());
    let mut missed = Vec::new();
    for way in WAYS {
        let mut tried = 0;
        for (text, finding) in &examples {
            let encoded = (way.write)(text.as_bytes());
            let id = scanner.rules().rules()[finding.rule as usize].id.as_str();
            let odd = ODD.contains(&id) || way.printable && text.contains(char::is_control);
            if encoded.text.len() > STRIDE || text.len() < MIN_TEXT || odd {
                continue;
            }
            tried += 1;
            if !is_found(&scanner, finding, &encoded, &[way]) {
                missed.push((way.name, id));
            }
        }
        assert!(tried > 300, "{}: {tried}", way.name);
    }
    assert_eq!(missed, []);
}

#[test]
fn every_finding_is_found_in_two_encodings() {
    let scanner = scanner(&["default", "pii"]);
    let examples = examples(&scanner);
    let (mut missed, mut tried) = (Vec::new(), 0);
    for (number, (text, finding)) in examples.iter().enumerate() {
        let id = scanner.rules().rules()[finding.rule as usize].id.as_str();
        for (at, inner) in WAYS.iter().enumerate() {
            let outer = WAYS[(number + at) % WAYS.len()];
            let once = (inner.write)(text.as_bytes());
            // Characters are no bytes: not every way writes them.
            let lines = |text: &[u8]| text.iter().any(u8::is_ascii_control);
            let odd = ODD.contains(&id)
                || inner.printable && lines(text.as_bytes())
                || outer.printable && lines(&once.text);
            if !once.text.is_ascii() || text.len() < MIN_TEXT || odd {
                continue;
            }
            let twice = once.again(outer);
            if twice.text.len() > STRIDE || once.text.len() > STRIDE {
                continue;
            }
            tried += 1;
            // Of one alphabet in another, the finding may name what it touches only.
            if !is_found(&scanner, finding, &twice, &[outer, *inner]) {
                missed.push((outer.name, inner.name, id));
            }
        }
    }
    println!("{tried} tried, {} missed", missed.len());
    assert_eq!(missed, []);
}

/// A text of examples, encoded once or twice or not at all, cut off, glued together and with noise between.
fn mixture(examples: &[(String, Finding)], rng: &mut Rng) -> String {
    const NOISE: [&str; 30] = [
        " ",
        "\n",
        "a",
        "=",
        "%",
        "%3D",
        "%2",
        "&",
        "&lt;",
        "&#",
        "\\",
        "\\n",
        "\\\"",
        "\\u00",
        "\\x",
        "\u{200b}",
        "\u{ff21}",
        "\u{ff0e}",
        "p\u{430}ss",
        "41 42 ",
        "0x",
        "H4sI",
        "the lazy dog ",
        "QUJD",
        "4242\u{a0}4242\u{2011}",
        "\u{2013}42424242",
        "219\u{202f}09\u{2007}",
        "9998",
        "&nbsp;4",
        "2\\u20114",
    ];
    const COMMON: [&str; 8] = [
        "see [it](https://site.example/a%20b/c?x=1%2C2) and ",
        "\"caf\\u00e9\": \"d\\u00e9j\\u00e0\", ",
        "key=%20",
        "Tom &amp; Jerry&#39;s &lt;b&gt; ",
        "p\u{430}ssword ",
        "so\u{200b}ft ",
        "in plain words that say nothing of note, ",
        "%25%34%31",
    ];
    let mut text = String::new();
    for _ in 0..1 + rng.below(5) {
        match rng.below(4) {
            0 => (0..rng.below(12)).for_each(|_| text += NOISE[rng.below(NOISE.len())]),
            2 if rng.below(6) == 0 => {
                let key = private_key(600 + rng.below(5000), rng);
                let from = if rng.below(3) == 0 { rng.below(key.len()) } else { 0 };
                let tail = (WAYS[rng.below(WAYS.len())].write)(&key.as_bytes()[from..]).text;
                text += &key[..from];
                text += &String::from_utf8(tail).unwrap();
            }
            // Windows that follow one another for longer than one of them is.
            1 if rng.below(4) == 0 => {
                (0..rng.below(200)).for_each(|_| text += COMMON[rng.below(COMMON.len())]);
            }
            _ => {
                let (example, _) = &examples[rng.below(examples.len())];
                let mut encoded = Encoded { text: example.as_bytes().to_vec(), units: Vec::new() };
                for _ in 0..rng.below(3) {
                    let from = if rng.below(3) == 0 { rng.below(encoded.text.len()) } else { 0 };
                    let way = WAYS[rng.below(WAYS.len())];
                    let mut inner = encoded.text.clone();
                    if !inner.is_ascii() {
                        break;
                    }
                    let tail = (way.write)(&inner[from..]).text;
                    inner.truncate(from);
                    inner.extend(tail);
                    encoded.text = inner;
                }
                let part = String::from_utf8(encoded.text).unwrap();
                let skip = if rng.below(4) == 0 { rng.below(part.len()) } else { 0 };
                text.extend(part.chars().skip(skip));
            }
        }
    }
    text
}

#[test]
fn every_cut_gives_the_whole() {
    let sets = ["secrets", "pii"];
    let examples = examples(&scanner(&sets));
    let bench = Bench::decoding(RuleSet::select(&sets, &[]).unwrap(), Encodings::ALL).unwrap();
    let mut rng = Rng::new(17);
    let texts: usize = std::env::var("SIFT_SPLIT_TEXTS").map_or(150, |n| n.parse().unwrap());
    let mut found = 0;
    for number in 0..texts {
        let text = mixture(&examples, &mut rng);
        let characters = number % 2 == 0;
        let points = cut_points(text.as_bytes(), characters);
        let whole = bench.whole(text.as_bytes(), characters).unwrap();
        found += whole.findings.iter().filter(|it| !it.decoded.is_empty()).count();
        let mut cuts = vec![points.clone(), Vec::new()];
        cuts.extend((0..12).map(|_| random_cuts(&points, &mut rng)));
        cuts.extend((0..12).map(|_| vec![points[rng.below(points.len())]]));
        for cut in cuts {
            let streamed = bench.streamed(text.as_bytes(), characters, &cut, |_| {}).unwrap();
            assert!(streamed == whole, "text {number} of seed 17 differs at one of its cuts");
        }
    }
    assert!(found > texts / 2, "{found}");
}

/// Texts that mean to cost: what is decoded is bounded by their length, and what a stream keeps by a constant.
#[test]
fn work_and_memory_are_bounded() {
    let scanner = scanner(&["secrets"]);
    let way = |name: &str| WAYS.into_iter().find(|way| way.name == name).unwrap().write;
    let words = b"the quick brown fox jumps over the lazy dog ".repeat(1500);
    let mut nested = words.clone();
    for name in ["base64", "percent", "hex"] {
        nested = way(name)(&nested[..nested.len().min(60_000)]).text;
    }
    let texts = [
        way("base64")(&words).text,
        way("hex")(&words).text,
        way("pairs")(&words).text,
        way("percent")(&words).text,
        way("UTF-16 in base64")(&words).text,
        nested,
        b"\\".repeat(60_000),
        b"%25".repeat(20_000),
        b"&amp;#37;".repeat(8_000),
        b"&#x000000000041;".repeat(4_000),
        "\u{200b}".repeat(20_000).into_bytes(),
        "a\u{430}\\x41%42".repeat(6_000).into_bytes(),
        b"QUJD\n".repeat(12_000),
        b"eJwr".repeat(15_000),
        b"H4sIAAAAAAAA".repeat(5_000),
    ];
    for (number, text) in texts.iter().enumerate() {
        let work = scanner.scan(text).unwrap().work;
        // Nine readings at most, each byte in two windows, each window at most five times its size.
        assert!(
            work.decoded <= 90 * text.len() as u64,
            "{number}: {} of {}",
            work.decoded,
            text.len()
        );
        let mut stream = scanner.stream(false).unwrap();
        let mut sink = Nothing;
        let mut most = 0;
        for piece in text.chunks(500) {
            stream.feed(piece, &|_| false, &mut sink).unwrap();
            most = most.max(stream.memory());
        }
        stream.finish(&|_| false, &mut sink).unwrap();
        assert!(most < 4 << 20, "{number}: {most}");
    }
}

/// Forgets everything.
struct Nothing;

impl Sink for Nothing {
    fn text(&mut self, _: &[u8]) {}
    fn edit(&mut self, _: u32, _: Option<&[u8]>) {}
    fn finding(&mut self, _: Finding) {}
}

/// A private key of so many bytes in lines of 64, from a seed.
fn private_key(bytes: usize, rng: &mut Rng) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::from("-----BEGIN RSA PRIVATE KEY-----\n");
    for at in 0..bytes {
        text.push(char::from(ALPHABET[rng.below(64)]));
        if at % 64 == 63 {
            text.push('\n');
        }
    }
    text + "\n-----END RSA PRIVATE KEY-----"
}

/// What is longer than a window, or than what is read behind the last unit, is covered to its end.
#[test]
fn long_secrets_are_covered_to_their_end() {
    let scanner = scanner(&["secrets"]);
    let mut rng = Rng::new(5);
    let mut left = Vec::new();
    for bytes in [700, 1700, 3300, 6400] {
        let key = private_key(bytes, &mut rng);
        let text = format!("key: {key}\nand go on");
        let found = scanner.scan(text.as_bytes()).unwrap().findings;
        let spans: Vec<_> = found.iter().map(|it| (it.start, it.end)).collect();
        assert_eq!(spans, [(5, 5 + key.len())], "as it stands");
        for way in WAYS {
            if way.printable {
                continue;
            }
            for before in [0, 1, 3, 700, 2041, 4000] {
                let plain = "in ".repeat(before / 3) + &" ".repeat(before % 3);
                let encoded = (way.write)(key.as_bytes()).text;
                let text = [plain.as_bytes(), b"\nkey: ", &encoded, b"\nand go on"].concat();
                let (start, end) = (plain.len() + 6, text.len() - 10);
                let found = scanner.scan(&text).unwrap().findings;
                // A finding ends where it is longer than the limit, which is said.
                let end = end.min(start + scanner.limits().finding_bytes);
                let covered = found.iter().any(|it| it.start <= start + 8 && it.end >= end);
                if !covered {
                    let spans: Vec<_> = found.iter().map(|it| (it.start, it.end)).collect();
                    left.push((bytes, way.name, before, (start, end), spans));
                }
            }
        }
    }
    assert_eq!(left, []);
}

/// Behind the last unit of a window the text reads as it stands, and so does the rest of a secret.
#[test]
fn what_follows_the_last_unit_is_part_of_the_secret() {
    let scanner = scanner(&["secrets"]);
    let mut rng = Rng::new(6);
    let key = private_key(1700, &mut rng);
    let heads = ["-----BEGIN%20RSA%20PRIVATE%20KEY-----", "-----BEGIN\\u0020RSA PRIVATE KEY-----"];
    for head in heads {
        let text = format!("the key: {head}{}\nand go on", &key[31..]);
        let found = scanner.scan(text.as_bytes()).unwrap().findings;
        let spans: Vec<_> = found.iter().map(|it| (it.start, it.end)).collect();
        assert_eq!(spans, [(9, text.len() - 10)], "{head}");
    }
    for length in [100, 200, 600, 1900] {
        let body: String =
            private_key(length, &mut rng)[32..32 + length].replace(['\n', '+', '/'], "x");
        let token =
            format!("eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.{body}");
        for unit in ["%3D", "%20", "\\u003d", "\\x3d", "\u{200b}"] {
            let text = format!("token{unit}{token}&x");
            let found = scanner.scan(text.as_bytes()).unwrap().findings;
            let end = text.len() - 2;
            assert!(
                found.iter().any(|it| it.end == end),
                "{unit} {length}: {end}, not {:?}",
                found.iter().map(|it| (it.start, it.end)).collect::<Vec<_>>()
            );
        }
    }
}
