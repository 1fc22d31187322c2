//! What the SQL check lets through, run on a server that reads MySQL's dialect, in its several modes: random predicates,
//! right and wrong ones, show and delete no rows of another tenant.
//!
//! The server is MariaDB's, started here on a socket in a folder of its own. Without one the test says so and looks at
//! nothing, unless `SIFT_SERVERS=1` says that there must be one; `scripts/rust-test.sh` installs it where it may.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop at what it does not expect")]

mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::Duration;

use support::predicates::{allows, policy, Random, Words};
use tempfile::TempDir;

/// What a server can be told to read otherwise.
const MODES: [&str; 6] = [
    "",
    "ansi",
    "high_not_precedence",
    "no_backslash_escapes,pipes_as_concat",
    "traditional",
    "oracle",
];

const WORDS: Words = Words {
    operators: 29..52,
    sure: &["id = 1", "tenant_id = 'acme'", "exists (select 1)"],
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
        "'0'",
        "null",
        "true",
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
        "!",
        "=",
        "<=>",
        "<>",
        "!=",
        "<",
        ">=",
        "+",
        "-",
        "*",
        "/",
        "%",
        "div",
        "mod",
        "||",
        "&&",
        "xor",
        "|",
        "&",
        "^",
        "<<",
        "~",
        "is",
        "is not",
        "is null",
        "is true",
        "is not unknown",
        "in (1, 'acme')",
        "not in (2)",
        "in (select 1)",
        "between 0 and",
        "between",
        "not between 1 and",
        "like",
        "not like",
        "rlike",
        "regexp",
        "sounds like",
        "collate utf8mb4_bin",
        "exists (select 1)",
        "case when 1 then 1 else 0 end",
        "cast(1 as char)",
        "binary",
        "interval 1 day",
        "abs(id)",
    ],
};

/// A condition, behind or before the tenant's predicate or not.
fn predicate(random: &mut Random) -> String {
    let condition = WORDS.any(random);
    match random.below(3) {
        0 => condition,
        1 => format!("{condition} and tenant_id = 'acme'"),
        _ => format!("tenant_id = 'acme' and {condition}"),
    }
}

/// A program of the server, wherever the system has it.
fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/usr/local/sbin".into()])
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

struct Server {
    process: Child,
    socket: PathBuf,
    client: PathBuf,
    // Removed after the process is gone.
    _folder: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    /// `None` where there is none to start.
    fn start() -> Option<Server> {
        let found = ["mariadbd", "mariadb-install-db", "mariadb"].map(program);
        let [Some(daemon), Some(install), Some(client)] = found else {
            let without =
                "no MariaDB server is installed (Debian: mariadb-server-core mariadb-client-core)";
            assert!(std::env::var_os("SIFT_SERVERS").is_none(), "{without}");
            eprintln!("skipped: {without}");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let (data, socket) = (folder.path().join("data"), folder.path().join("s"));
        // It refuses to be root unless told so.
        let user = (fs::metadata(folder.path()).unwrap().uid() == 0).then_some("--user=root");
        let made = Command::new(install)
            .args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"])
            .args(user)
            .arg(option("--datadir", &data))
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let process = Command::new(daemon)
            .args(["--no-defaults", "--skip-networking", "--skip-grant-tables", "--skip-log-bin"])
            .args(user)
            .args([option("--datadir", &data), option("--socket", &socket)])
            .arg(option("--pid-file", &folder.path().join("pid")))
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut server = Server { process, socket, client, _folder: folder };
        for _ in 0..600 {
            if server.run("select 1;").status.success() {
                return Some(server);
            }
            assert!(server.process.try_wait().unwrap().is_none(), "the server ended at its start");
            sleep(Duration::from_millis(100));
        }
        panic!("the server did not start");
    }

    /// Runs statements; of one that the server refuses it goes on with the next.
    fn run(&self, statements: &str) -> Output {
        use std::io::Write as _;
        let mut client = Command::new(&self.client)
            .args(["--no-defaults", "--batch", "--skip-column-names", "--force"])
            .arg(option("--socket", &self.socket))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = client.stdin.take().unwrap();
        std::thread::scope(|scope| {
            // Written beside the reading: both pipes are short.
            scope.spawn(move || input.write_all(statements.as_bytes()));
            client.wait_with_output().unwrap()
        })
    }
}

fn option(name: &str, path: &Path) -> String {
    format!("{name}={}", path.display())
}

const ORDERS: &str = "create database shop; use shop;
create table orders (id int, tenant_id varchar(20) collate utf8mb4_bin, note varchar(20)) engine = innodb;
insert into orders values (1, 'acme', 'one'), (2, 'acme', null), (1, 'other', 'one'), (3, 'other', 'acme'),
    (0, 'third', 'o'), (4, null, null), (5, '0', '1'), (6, '1acme', 'acme');
";

#[test]
fn what_is_let_through_keeps_to_its_tenant_on_a_server_of_mysqls_dialect() {
    let Some(server) = Server::start() else { return };
    assert!(server.run(ORDERS).status.success());
    // What a statement shows that is not let through, so that the rows below are looked at.
    let other = server.run("use shop; select tenant_id from orders where id = 1;").stdout;
    assert_eq!(String::from_utf8_lossy(&other), "acme\nother\n");
    let policy = policy("mysql");
    // What is let through, by number; after each select its rows, after each delete how many of others are left.
    let mut statements = BTreeMap::new();
    for seed in 0..20_000 {
        let condition = predicate(&mut Random(seed));
        for sql in [
            format!("select tenant_id from orders o where {condition}"),
            format!("delete from orders where {condition}"),
        ] {
            if allows(&policy, &sql, &[]) {
                statements.insert(statements.len(), sql);
            }
        }
    }
    for mode in MODES {
        let mut script = format!("use shop; set sql_mode = '{mode}';\n");
        for (number, sql) in &statements {
            let _ = writeln!(script, "select '# {number}';");
            let _ = if sql.starts_with("select") {
                writeln!(script, "{sql};")
            } else {
                let left = "select count(*) from orders where (tenant_id <=> 'acme') = 0";
                writeln!(script, "start transaction; {sql}; {left}; rollback;")
            };
        }
        let output = server.run(&script);
        let (mut rows, mut kept, mut now) = (0, 0, "");
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            if let Some(number) = line.strip_prefix("# ") {
                now = &statements[&number.parse::<usize>().unwrap()];
            } else if now.starts_with("select") {
                assert_eq!(line, "acme", "{mode}: {now}");
                rows += 1;
            } else {
                assert_eq!(line, "6", "{mode}: {now}");
                kept += 1;
            }
        }
        // Enough of both to have tried something; what the server itself refuses shows nothing.
        assert!(rows > 500 && kept > 150, "{mode}: {rows} {kept} of {}", statements.len());
    }
}
