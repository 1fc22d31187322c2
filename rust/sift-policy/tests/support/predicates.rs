//! Random SQL conditions on a table of orders, right and wrong ones, and the policy that reads them: for the tests that
//! run on a server what the check lets through.

use std::ops::Range;

use serde_json::json;
use sift_policy::Policy;

/// Linear congruential generator of Knuth's MMIX: a failure is found again by its seed.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, n: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % n
    }

    pub fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}

/// What the conditions of a dialect are made of.
pub struct Words {
    /// Words and marks; read alike, or refused. The first dozen are operands.
    pub pieces: &'static [&'static str],
    /// Which of them stand between two operands.
    pub operators: Range<usize>,
    /// Conditions that are read alike.
    pub sure: &'static [&'static str],
}

impl Words {
    /// A condition, or any pieces.
    pub fn any(&self, random: &mut Random) -> String {
        if random.below(2) == 0 {
            return self.condition(random, 3);
        }
        let pieces: Vec<_> = (0..1 + random.below(9)).map(|_| random.pick(self.pieces)).collect();
        pieces.join(" ")
    }

    /// A condition as it may be written, with or without its parentheses.
    fn condition(&self, random: &mut Random, depth: usize) -> String {
        let kind = if depth == 0 { random.below(2) } else { random.below(8) };
        let mut sub = || self.condition(random, depth - 1);
        match kind {
            0 => random.pick(&self.pieces[..12]).to_owned(),
            1 => random.pick(self.sure).to_owned(),
            2 | 3 => format!("{} and {}", sub(), sub()),
            4 => format!("{} or {}", sub(), sub()),
            5 => format!("not {}", sub()),
            6 => format!("({})", sub()),
            _ => {
                let (left, right) = (sub(), sub());
                format!("{left} {} {right}", random.pick(&self.pieces[self.operators.clone()]))
            }
        }
    }
}

/// A policy that permits every statement on orders that the check of the dialect lets through.
pub fn policy(dialect: &str) -> Policy {
    let manifest = format!(
        r#"
version = 1
[tool.query]
kind = "sql"
risk = "medium"
reversible = false
exports = false
charges = []
args = {{ type = "object", required = ["sql", "list"], properties = {{ sql = {{ type = "string" }}, list = {{ type = "array" }} }} }}
sql = {{ statement = "/sql", parameters = "/list", dialect = "{dialect}", allow = ["select", "delete"], tables = ["orders"], tenant_column = "tenant_id", keys = ["id"] }}
"#
    );
    let permit = "@id(\"p\") permit (principal, action, resource);";
    Policy::from_texts(&manifest, &[("p", permit)]).unwrap()
}

pub fn allows(policy: &Policy, sql: &str, list: &[&str]) -> bool {
    let mut case = super::case("query", "{}");
    case.args = super::json(&json!({ "sql": sql, "list": list }).to_string());
    case.decide(policy).reason.to_string() == "allowed"
}
