//! What the SQL check lets through, run on `SQLite` itself: random predicates, right and wrong ones, show and delete no
//! rows of another tenant.
#![allow(clippy::unwrap_used, reason = "a test may stop at what it does not expect")]

mod support;

use rusqlite::Connection;
use sift_policy::Policy;
use support::json;

const MANIFEST: &str = r#"
version = 1
[tool.query]
kind = "sql"
risk = "medium"
reversible = false
exports = false
charges = []
args = { type = "object", required = ["sql", "list"], properties = { sql = { type = "string" }, list = { type = "array" } } }
sql = { statement = "/sql", parameters = "/list", dialect = "sqlite", allow = ["select", "delete"], tables = ["orders"], tenant_column = "tenant_id", keys = ["id"] }
"#;

/// Words and marks that statements are made of; read alike, or refused.
const PIECES: [&str; 62] = [
    "tenant_id = 'acme'",
    "tenant_id = 'acme'",
    "'acme' = tenant_id",
    "tenant_id = 'other'",
    "tenant_id",
    "o.tenant_id = 'acme'",
    "id",
    "note",
    "id = 1",
    "id in (1, 2)",
    "note like 'o%'",
    "note is null",
    "0",
    "1",
    "'acme'",
    "?",
    "?",
    "tenant_id = ?",
    "(",
    "(",
    ")",
    ")",
    "and",
    "and",
    "and",
    "or",
    "or",
    "not",
    "not",
    "=",
    "==",
    "<>",
    "<",
    ">=",
    "+",
    "-",
    "*",
    "%",
    "||",
    "|",
    "&",
    "<<",
    "~",
    "->>",
    "is",
    "is not",
    "is null",
    "is true",
    "isnull",
    "notnull",
    "in (1, 'acme')",
    "in (select 1)",
    "between 0 and",
    "between",
    "like",
    "glob",
    "escape '!'",
    "collate nocase",
    "exists (select 1)",
    "case when 1 then 1 else 0 end",
    "cast(1 as text)",
    "abs(id)",
];

/// Linear congruential generator of Knuth's MMIX: a failure is found again by its seed.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % n
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }

    /// A condition as it may be written, with or without its parentheses.
    fn condition(&mut self, depth: usize) -> String {
        let kind = if depth == 0 { self.below(2) } else { self.below(8) };
        let mut sub = || self.condition(depth - 1);
        match kind {
            0 => self.pick(&PIECES[..12]).to_owned(),
            1 => self
                .pick(&["id = 1", "tenant_id = 'acme'", "tenant_id = ?", "exists (select 1)"])
                .to_owned(),
            2 | 3 => format!("{} and {}", sub(), sub()),
            4 => format!("{} or {}", sub(), sub()),
            5 => format!("not {}", sub()),
            6 => format!("({})", sub()),
            _ => {
                let (left, right) = (sub(), sub());
                format!("{left} {} {right}", self.pick(&PIECES[29..45]))
            }
        }
    }
}

fn orders() -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    connection
        .execute_batch(
            "create table orders (id, tenant_id, note);
             insert into orders values (1, 'acme', 'one'), (2, 'acme', null), (1, 'other', 'one'),
                 (3, 'other', 'acme'), (0, 'third', 'o'), (4, null, null);",
        )
        .unwrap();
    connection
}

fn allows(policy: &Policy, sql: &str, list: &[&str]) -> bool {
    let mut case = support::case("query", "{}");
    case.args = json(&serde_json::json!({ "sql": sql, "list": list }).to_string());
    case.decide(policy).reason.to_string() == "allowed"
}

#[test]
fn what_is_let_through_keeps_to_its_tenant() {
    let policy =
        Policy::from_texts(MANIFEST, &[("p", "@id(\"p\") permit (principal, action, resource);")])
            .unwrap();
    let connection = orders();
    let (mut read, mut deleted) = (0, 0);
    for seed in 0..60_000 {
        let mut random = Random(seed);
        let mut condition = if random.below(2) == 0 {
            random.condition(3)
        } else {
            let pieces: Vec<_> = (0..1 + random.below(9)).map(|_| random.pick(&PIECES)).collect();
            pieces.join(" ")
        };
        if random.below(2) == 0 {
            condition = format!("tenant_id = 'acme' and {condition}");
        }
        let marks = condition.matches('?').count();
        let list: Vec<_> = (0..marks).map(|_| random.pick(&["acme", "acme", "other"])).collect();
        let select = format!("select tenant_id from orders o where {condition}");
        if allows(&policy, &select, &list) {
            // What `SQLite` itself refuses to run shows nothing.
            let Ok(mut statement) = connection.prepare(&select) else { continue };
            let rows = statement.query_map(rusqlite::params_from_iter(&list), |row| {
                row.get::<_, Option<String>>(0)
            });
            for tenant in rows.unwrap().map_while(Result::ok) {
                assert_eq!(tenant.as_deref(), Some("acme"), "{seed}: {select} {list:?}");
            }
            read += 1;
        }
        let delete = format!("delete from orders where {condition}");
        if allows(&policy, &delete, &list) {
            let others = "select count(*) from orders where tenant_id is not 'acme'";
            let copy = orders();
            if copy.execute(&delete, rusqlite::params_from_iter(&list)).is_ok() {
                let left: i64 = copy.query_row(others, [], |row| row.get(0)).unwrap();
                assert_eq!(left, 4, "{seed}: {delete} {list:?}");
                deleted += 1;
            }
        }
    }
    // Enough of both to have tried something.
    assert!(read > 2000 && deleted > 500, "{read} {deleted}");
}
