//! A match at every offset of a text, behind and before padding of several kinds.
//!
//! This is the shape in which Vectorscan up to 5.4.12 misses matches on x86: the same expression on
//! the same bytes, found at most offsets and lost at some, depending on where it falls in a vector.

mod common;

use std::collections::BTreeSet;

use common::{beyond, ends, show, skip, Automaton};
use sift_hs::{Database, Flags, Pattern, Platform, ScratchPool};

/// Expression, flags, texts that hold a match.
const CASES: &[(&str, Flags, &[&str])] = &[
    (
        r"curl.*\|\s*python",
        Flags::DOTALL,
        &["curl|python", "curl x | python", "curl -s http://host/a \\\n -o - | \n python3"],
    ),
    (r"curl.*\|\s*python", Flags::NONE, &["curl|python", "curl x |\n\t python"]),
    (r"(?:xb|1b)[yz]*", Flags::NONE, &["xb", "1b", "xbyzzy", "0\nyz1b", "1b1bz"]),
    (r"(?:xb|1b)[yz]*", Flags::CASELESS, &["XB", "1Bz", "xByZ"]),
    (r"[a-f0-9]{32}", Flags::NONE, &["0123456789abcdef0123456789abcdef"]),
    (r"\bkey\s{0,3}=\s{0,3}[^\s]{8,24}\b", Flags::NONE, &["key=abcd1234", "key = 00000000x"]),
    (r"[^\s@]{1,16}@[a-z]{2,12}\.(?:org|com)", Flags::NONE, &["a@bc.org", "some.name@host.com"]),
    (r"^begin[ -]end$", Flags::MULTILINE, &["begin end", "\nbegin-end\n"]),
    (r"ab.{0,40}cd", Flags::DOTALL, &["abcd", "ab 0000000000000000000000 cd"]),
    (r"(?:foo|bar|quux)[0-9]+z", Flags::NONE, &["foo1z", "quux00000000000000000000z"]),
    (r"\d{3}-\d{2}-\d{4}", Flags::NONE, &["123-45-6789"]),
    (r"a", Flags::NONE, &["a"]),
    (r"zq", Flags::CASELESS, &["Zq"]),
];

const PADS: &[u8] = b"a x0z-\n\x00\xff";

#[test]
fn a_match_at_every_offset() {
    if skip("a_match_at_every_offset") {
        return;
    }
    let mut scans = 0;
    for platform in [Platform::Generic, Platform::Native] {
        for &(expression, flags, samples) in CASES {
            let database =
                Database::compile(&[Pattern { expression, id: 1, flags }], platform).unwrap();
            let pool = ScratchPool::new(&[&database]).unwrap();
            let mut scratch = pool.get().unwrap();
            let automaton = Automaton::new(expression, flags).unwrap();
            for sample in samples {
                let alone: Vec<u64> = automaton.ends(sample.as_bytes()).into_iter().collect();
                assert!(!alone.is_empty(), "`{expression}` does not match its own sample");
                for &pad in PADS {
                    for tail in [0, 1, 15, 40] {
                        for offset in 0..=100 {
                            let mut text = vec![pad; offset];
                            text.extend_from_slice(sample.as_bytes());
                            text.resize(text.len() + tail, pad);
                            let expected: BTreeSet<_> =
                                automaton.ends(&text).into_iter().map(|end| (1, end)).collect();
                            let found = ends(&database, &mut scratch, &text);
                            assert!(
                                found == expected,
                                "`{expression}` {flags:?} {platform:?} on \"{}\": missed {} \
                                 invented {}",
                                show(&text),
                                beyond(&expected, &found),
                                beyond(&found, &expected),
                            );
                            scans += 1;
                        }
                    }
                }
            }
        }
    }
    assert!(scans > 100_000, "only {scans} scans");
}

/// All patterns in one database: literals share their stage, and other engines are chosen than for
/// one pattern alone.
#[test]
fn all_cases_in_one_set() {
    if skip("all_cases_in_one_set") {
        return;
    }
    let patterns: Vec<Pattern<'_>> = (0..)
        .zip(CASES)
        .map(|(id, &(expression, flags, _))| Pattern { expression, id, flags })
        .collect();
    let automata: Vec<_> =
        CASES.iter().map(|&(text, flags, _)| Automaton::new(text, flags).unwrap()).collect();
    for platform in [Platform::Generic, Platform::Native] {
        let database = Database::compile(&patterns, platform).unwrap();
        let pool = ScratchPool::new(&[&database]).unwrap();
        let mut scratch = pool.get().unwrap();
        for sample in CASES.iter().flat_map(|(_, _, samples)| samples.iter()) {
            for &pad in PADS {
                for offset in (0..=100).step_by(3) {
                    let mut text = vec![pad; offset];
                    text.extend_from_slice(sample.as_bytes());
                    text.resize(text.len() + 9, pad);
                    let mut expected = BTreeSet::new();
                    for (id, automaton) in (0..).zip(&automata) {
                        expected.extend(automaton.ends(&text).into_iter().map(|end| (id, end)));
                    }
                    let found = ends(&database, &mut scratch, &text);
                    assert!(
                        found == expected,
                        "{platform:?} on \"{}\": missed {} invented {}",
                        show(&text),
                        beyond(&expected, &found),
                        beyond(&found, &expected),
                    );
                }
            }
        }
    }
}
