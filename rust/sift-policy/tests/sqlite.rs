//! What the SQL check lets through, run on `SQLite` itself: random predicates, right and wrong ones, show and delete no
//! rows of another tenant.
#![allow(clippy::unwrap_used, reason = "a test may stop at what it does not expect")]

mod support;

use rusqlite::Connection;
use support::predicates::{allows, policy, Random, Words};

const WORDS: Words = Words {
    operators: 29..45,
    sure: &["id = 1", "tenant_id = 'acme'", "tenant_id = ?", "exists (select 1)"],
    pieces: &[
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
    ],
};

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

#[test]
fn what_is_let_through_keeps_to_its_tenant() {
    let policy = policy("sqlite");
    let connection = orders();
    let (mut read, mut deleted) = (0, 0);
    for seed in 0..60_000 {
        let mut random = Random(seed);
        let mut condition = WORDS.any(&mut random);
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
