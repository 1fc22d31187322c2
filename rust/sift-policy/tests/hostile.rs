//! Mutated documents, policies, manifests and statements: everything answers, and nothing is allowed by accident. The
//! fuzz targets ask the same for longer; this runs wherever the tests run.
#![allow(clippy::unwrap_used, reason = "a test may stop at what it does not expect")]

mod support;

use sift_policy::json::{parse, JsonLimits};
use sift_policy::{draft_manifest, run_cases, Effect, Engine, OwnedRequest, Policy};
use support::{case, json, MANIFEST};

/// Random numbers: xorshift64*, Vigna 2016.
struct Noise(u64);

impl Noise {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % n
    }

    /// A few edits: a piece taken out, put twice, moved in from another text, or a byte of syntax put in.
    fn mutate(&mut self, text: &str, others: &[&str]) -> String {
        let mut chars: Vec<char> = text.chars().collect();
        for _ in 0..=self.below(3) {
            let at = self.below(chars.len() + 1);
            let to = (at + self.below(12)).min(chars.len());
            let piece: Vec<char> = match self.below(4) {
                0 => Vec::new(),
                1 => chars[at..to].iter().chain(&chars[at..to]).copied().collect(),
                2 => {
                    let other: Vec<char> = others[self.below(others.len())].chars().collect();
                    let from = self.below(other.len() + 1);
                    other[from..(from + self.below(20)).min(other.len())].to_vec()
                }
                _ => {
                    let syntax = [
                        '"',
                        '\'',
                        '\\',
                        '{',
                        '}',
                        '(',
                        ')',
                        '[',
                        ']',
                        ',',
                        ':',
                        ';',
                        '-',
                        '0',
                        '\u{0}',
                        '\u{e9}',
                        '\u{1f600}',
                        '@',
                        '#',
                        '*',
                        '=',
                    ];
                    vec![syntax[self.below(syntax.len())]]
                }
            };
            chars.splice(at..to, piece);
        }
        chars.into_iter().collect()
    }
}

const CEDAR: &str = r#"@id("a") @approval("2-of-finance") permit (principal in Role::"support", action == Action::"refund", resource)
when { context.args.cents <= 5000 && context.args has tags && context.args.tags.containsAny(["a", "b"]) } unless { resource.risk > 2 };
@id("b") @reason("why") forbid (principal, action in [Action::"payment"], resource) when { if context has session then context.session like "s*" else -(3) < 4 * 5 };
"#;

#[test]
fn mutated_requests_are_parsed_strictly_and_decided() {
    let policy = support::policy(
        r#"@id("p") permit (principal, action, resource) when { resource.risk < 9 };"#,
    );
    let seeds = [
        r#"{"cents": 12, "reason": "a\u00e9\n", "tags": ["x", "y"], "order": {"id": "o", "rush": true}, "note": null, "rate": 1.5e3}"#,
        r#"[1, -0, 9223372036854775807, "\ud83d\ude00", {"a": {"b": [[]]}}]"#,
    ];
    let (mut noise, mut parsed, mut allowed) = (Noise(7), 0, 0);
    for round in 0..40_000 {
        let text = noise.mutate(seeds[round % 2], &seeds);
        let Ok(value) = parse(text.as_bytes(), &JsonLimits::default()) else { continue };
        parsed += 1;
        let again = parse(value.to_serde().to_string().as_bytes(), &JsonLimits::default());
        assert_eq!(again.as_ref(), Ok(&value), "{text}");
        let mut case = case("refund", "{}");
        case.args = value;
        if case.decide(&policy).effect == Effect::Allow {
            allowed += 1;
            assert!(
                matches!(case.args.pointer("/cents").and_then(|v| v.as_int()), Some(0..)),
                "{text}"
            );
        }
    }
    assert!(parsed > 1000 && allowed > 100, "{parsed} {allowed}");
}

#[test]
fn mutated_policies_manifests_and_cases_load_or_say_why() {
    let cases = "[[case]]\nname = \"a\"\nexpect = \"deny\"\n[case.request]\ntenant = \"t\"\nagent = \"a\"\nrole = \"support\"\ntool = \"refund\"\nargs = { cents = 1 }\n";
    let tools = r#"{"tools": [{"name": "search", "description": "d", "inputSchema": {"type": "object", "properties": {"q": {"type": "string"}}}}]}"#;
    let others = [CEDAR, MANIFEST, cases, tools];
    let mut noise = Noise(11);
    let mut loaded = 0;
    for round in 0..1_500 {
        let policy = match round % 3 {
            0 => Policy::from_texts(&noise.mutate(MANIFEST, &others), &[("p", CEDAR)]),
            _ => Policy::from_texts(MANIFEST, &[("p", &noise.mutate(CEDAR, &others))]),
        };
        if let Ok(policy) = policy {
            loaded += 1;
            policy.lint();
            let _ = run_cases(&policy, &noise.mutate(cases, &others));
            let request = OwnedRequest::from_json(
                br#"{"tenant": "t", "agent": "a", "role": "support", "tool": "refund", "args": {"cents": 1}}"#,
                &JsonLimits::default(),
            )
            .unwrap();
            assert_eq!(request.explain(&policy).outcome, request.decide(&policy));
        }
        if let Ok(draft) = draft_manifest(&noise.mutate(tools, &others)) {
            if let Err(error) = Policy::from_texts(&draft, &[]) {
                assert!(matches!(error, sift_policy::PolicyError::Tool { .. }), "{error}\n{draft}");
            }
        }
    }
    assert!(loaded > 20, "{loaded}");
}

fn with_stack<T: Send>(bytes: usize, work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(bytes);
        thread.spawn_scoped(scope, work).unwrap().join().unwrap()
    })
}

#[test]
fn a_policy_has_a_bound_of_operators_and_what_is_below_it_does_no_harm() {
    let load = |condition: &str| {
        let head = "@id(\"p\") permit (principal, action == Action::\"refund\", resource) when";
        Policy::from_texts(MANIFEST, &[("p", &format!("{head} {{ {condition} }};"))])
    };
    let shapes: [fn(usize) -> String; 6] = [
        |n| vec!["context.args.cents < 5"; n].join(" && "),
        |n| vec!["context.args.cents < 5"; n].join(" || "),
        |n| format!("{}true{}", "(".repeat(n), ")".repeat(n)),
        |n| format!("context.args.cents == {}", vec!["0"; n].join(" + ")),
        |n| (0..n).fold("true".to_owned(), |inner, _| format!("if true then {inner} else false")),
        |n| format!("{}true{} || true", "[".repeat(n), "].isEmpty()".repeat(n)),
    ];
    for (number, shape) in shapes.iter().enumerate() {
        for n in [10, 50, 190] {
            if let Ok(policy) = load(&shape(n)) {
                // What a thread has left of its stack is not asked: neither of the whole set, nor of one policy.
                for (engine, kib) in [
                    (Engine::Compiled, 256),
                    (Engine::Sliced, 256),
                    (Engine::Whole, 256),
                    (Engine::Compiled, 16 << 10),
                ] {
                    let effect = with_stack(kib << 10, || {
                        case("refund", r#"{"cents": 0}"#)
                            .with(&policy, |request| policy.decide_by(engine, request))
                            .effect
                    });
                    assert_eq!(effect, Effect::Allow, "{number} {n} {engine:?} {kib}");
                }
            }
        }
        let error = load(&shape(100_000)).unwrap_err();
        assert!(matches!(error, sift_policy::PolicyError::TooLarge { .. }), "{number}");
    }
    // What is in a text or a comment is no operator.
    let text = format!(
        "context.args.cents < 5 && \"{}\" != \"\\\"((\" // {}\n",
        "(".repeat(500),
        "&&".repeat(500)
    );
    assert!(load(&text).is_ok());
}

#[test]
fn mutated_statements_are_answered_and_none_escapes_the_tenant() {
    let seeds = [
        "select o.id, count(*) from orders o left join items i on i.order_id = o.id where o.tenant_id = 'acme' and i.tenant_id = 'acme' and o.id in (1, 2) limit 5",
        "with a as (select * from orders where tenant_id = 'acme') select * from a union select * from orders where tenant_id = 'acme'",
        "update orders set total = 5 where tenant_id = 'acme' and (id = 1 or id = 2)",
        "delete from orders where tenant_id = 'acme' and id in (1, 2)",
        "insert into orders (id, tenant_id) values (1, 'acme'), (2, 'acme')",
    ];
    for dialect in ["postgres", "mysql", "sqlite"] {
        let manifest = format!(
            "version = 1\n[tool.q]\nkind = \"sql\"\nrisk = \"low\"\nreversible = true\nexports = false\ncharges = []\n\
             args = {{ type = \"object\", required = [\"sql\"], properties = {{ sql = {{ type = \"string\" }} }} }}\n\
             sql = {{ statement = \"/sql\", dialect = \"{dialect}\", tables = [\"orders\", \"items\"], tenant_column = \
             \"tenant_id\", keys = [\"id\"], allow = [\"select\", \"insert\", \"update\", \"delete\"], max_affected = 5 }}\n"
        );
        let policy = Policy::from_texts(
            &manifest,
            &[("p", "@id(\"p\") permit (principal, action, resource);")],
        )
        .unwrap();
        let mut noise = Noise(23);
        let mut allowed = 0;
        for round in 0..12_000 {
            let sql = noise.mutate(seeds[round % seeds.len()], &seeds);
            let mut case = case("q", "{}");
            case.args = json(&serde_json::json!({ "sql": sql }).to_string());
            if case.decide(&policy).effect == Effect::Allow {
                allowed += 1;
                let lower = sql.to_lowercase();
                let reads = lower.contains("from orders") || lower.contains("from items");
                assert!(!reads || lower.contains("'acme'"), "{dialect}: {sql}");
            }
        }
        assert!(allowed > 200, "{dialect}: {allowed}");
    }
}
