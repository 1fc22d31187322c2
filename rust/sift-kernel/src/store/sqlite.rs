//! The store on one SQLite file: write-ahead log, every commit flushed, every row with a tag (`rows`).
//!
//! An auditor reads it with `sqlite3 FILE`; the tables have the names of the trait's words. SQLite commits a
//! transaction in some milliseconds where a flush is honest, which is why nothing on the way of an ordinary
//! authorization waits for one: budgets are drawn in blocks.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, Row};
use sift_ledger::hex;
use sift_ledger::keys::PrivateKey;

use super::rows::{row, Fault, Reader, RowKey, Sum, Table, Writer};
use super::{AccountKey, Before, Mark, Noted, Store, Undo, Waits};
use crate::approval::{ApprovalRecord, ApprovalState, Sealed, Signed, Verdict};
use crate::error::StoreError;
use crate::revocation::{Subject, SubjectKind};
use crate::sync::lock;
use crate::wire::random;

/// Says that a file is ours (`SIFT` in ASCII), and which tables it has.
const APPLICATION: i64 = 0x5349_4654;
const VERSION: i64 = 3;

const TABLES: [Table; 8] = [
    Table {
        name: "account",
        key: &["limit_name", "scope", "window_ms"],
        columns: "limit_name text not null, scope text not null, window_ms integer not null, \
                  drawn integer not null",
    },
    Table {
        name: "revocation",
        key: &["kind", "tenant", "agent", "name"],
        columns:
            "kind text not null, tenant text not null, agent text not null, name text not null, \
                  at_ms integer not null",
    },
    Table {
        name: "approval",
        key: &["id"],
        columns:
            "id text not null, action blob not null, tenant text not null, agent text not null, \
                  session text, requester text not null, tool text not null, rule text not null, \
                  m integer not null, approver_group text not null, created_ms integer not null, \
                  expires_ms integer not null, state text not null",
    },
    Table {
        name: "approval_copy",
        key: &["approval", "approver"],
        columns: "approval text not null, approver text not null, sealed blob not null",
    },
    Table {
        name: "approval_signature",
        key: &["approval", "approver"],
        columns: "approval text not null, approver text not null, name text not null, \
                  verdict text not null, at_ms integer not null, signature blob not null",
    },
    Table {
        name: "elevation",
        key: &["id"],
        columns: "id text not null, agent text not null, expires_ms integer not null, \
                  signed blob not null",
    },
    Table {
        name: "observed",
        key: &["tenant", "conversation"],
        columns: "tenant text not null, conversation text not null, at_ms integer not null",
    },
    Table {
        name: "undo",
        key: &["trace", "tenant", "agent", "request"],
        columns: "trace text not null, tenant text not null, agent text not null, \
                  request text not null, place integer not null, tool text not null, \
                  args blob not null, until_ms integer not null, taken integer not null",
    },
];

/// Besides the tables of rows: how they are found, and the one row that says how the last kernel left them.
const REST: &str = "
create index approval_state on approval (state, created_ms);
create index approval_agent on approval (tenant, agent, state, expires_ms);
create index undo_until on undo (until_ms);
create table kernel (
    one integer primary key check (one = 1), phase text not null, wall_ms integer not null,
    issued_ms integer not null, steady_ms integer not null, boot text not null,
    tree_size integer not null, id text not null, generation integer not null, sum blob not null,
    tag blob not null) strict;
";

/// Name of the table with that one row.
const KERNEL: &str = "kernel";

fn schema() -> String {
    TABLES.iter().map(Table::sql).chain([REST.to_owned()]).collect()
}

/// How the last kernel left a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Fresh,
    Open,
    Closed,
}

const PHASES: [(Phase, &str); 3] =
    [(Phase::Fresh, "fresh"), (Phase::Open, "open"), (Phase::Closed, "closed")];

/// What the row of table `kernel` says. It is read once: nobody else writes it.
#[derive(Clone, Debug)]
struct Head {
    phase: Phase,
    noted: Noted,
    issued_ms: i64,
    id: String,
    generation: u64,
    sum: Sum,
}

impl Head {
    fn row(&self) -> Vec<Value> {
        let Noted { wall_ms, steady_ms, boot, tree_size } = &self.noted;
        let phase = PHASES.iter().find(|(phase, _)| *phase == self.phase);
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        row![
            1_i64,
            phase.map_or("", |(_, word)| word),
            *wall_ms,
            self.issued_ms,
            *steady_ms,
            boot,
            number(*tree_size),
            self.id,
            number(self.generation),
            self.sum.0.to_be_bytes().to_vec(),
        ]
    }

    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        let phase: String = row.get("phase")?;
        let known = PHASES.iter().find(|(_, word)| *word == phase);
        let number = |name: &str| Ok::<_, rusqlite::Error>(row.get::<_, i64>(name)?.unsigned_abs());
        Ok(Self {
            phase: known.map(|(phase, _)| *phase).ok_or_else(|| unknown(&phase))?,
            noted: Noted {
                wall_ms: row.get("wall_ms")?,
                steady_ms: row.get("steady_ms")?,
                boot: row.get("boot")?,
                tree_size: number("tree_size")?,
            },
            issued_ms: row.get("issued_ms")?,
            id: row.get("id")?,
            generation: number("generation")?,
            sum: Sum(u128::from_be_bytes(row.get("sum")?)),
        })
    }

    /// Puts it where the one before it was.
    fn write(&self, connection: &Connection, key: &RowKey) -> rusqlite::Result<()> {
        let mut row = self.row();
        row.push(Value::Blob(key.tag(KERNEL, &row).to_vec()));
        connection
            .prepare_cached(
                "insert or replace into kernel values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute(rusqlite::params_from_iter(row))
            .map(drop)
    }
}

#[derive(Debug)]
struct Inner {
    connection: Connection,
    head: Head,
}

/// See the module.
#[derive(Debug)]
pub struct SqliteStore {
    inner: Mutex<Inner>,
    key: RowKey,
    id: String,
    generation: AtomicU64,
    /// How long the ledger is.
    tree_size: OnceLock<Arc<AtomicU64>>,
}

fn failed(what: &'static str) -> impl Fn(rusqlite::Error) -> StoreError {
    move |error| Fault::Sqlite(error).during(what)
}

fn damaged(what: &'static str, reason: impl Into<String>) -> StoreError {
    StoreError { what, reason: reason.into() }
}

const OPEN: &str = "open its file";

/// A file of ours, with all its tables, and nothing in them but what the kernel wrote.
///
/// Args: keys that may have written it, the one that is to write it first.
fn check(connection: &mut Connection, keys: &[RowKey]) -> Result<Head, StoreError> {
    let opening = failed(OPEN);
    let sound: String = connection
        .pragma_query_value(None, "integrity_check", |row| row.get(0))
        .map_err(&opening)?;
    // A table that is declared another way is read another way.
    let declared = |connection: &Connection| -> rusqlite::Result<Vec<(String, Option<String>)>> {
        connection
            .prepare("select name, sql from sqlite_schema order by type, name")?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect()
    };
    let model = Connection::open_in_memory().map_err(&opening)?;
    model.execute_batch(&schema()).map_err(&opening)?;
    let same = declared(&model).map_err(&opening)? == declared(connection).map_err(&opening)?;
    if sound != "ok" || !same {
        return Err(damaged(OPEN, "the file is damaged: restore state and ledger from a backup"));
    }
    let read = |key: &RowKey| -> Result<Head, Fault> {
        let reader = Reader { connection, key };
        let mut head = reader.rows(KERNEL, "one = 1", &[], Head::from_row)?;
        head.pop().ok_or(Fault::Changed(KERNEL))
    };
    let mut found = None;
    for key in keys {
        match read(key) {
            Ok(head) => {
                found = Some((key, head));
                break;
            }
            Err(Fault::Changed(_)) => {}
            Err(error) => return Err(error.during(OPEN)),
        }
    }
    let (Some((written, mut head)), Some(next)) = (found, keys.first()) else {
        return Err(damaged(
            OPEN,
            "kernel.sqlite was changed, or the log's key was, without the one before it (`retiring_log_key` of \
             kernel.toml): restore state and ledger from a backup, or name that key",
        ));
    };
    let sum = Sum::over(connection, &TABLES, written).map_err(|error| error.during(OPEN))?;
    if sum != head.sum {
        return Err(damaged(
            OPEN,
            "rows of kernel.sqlite are missing, or older ones were put back: restore state and ledger from a backup",
        ));
    }
    if std::ptr::eq(written, next) {
        return Ok(head);
    }
    // Under the new key before anything else is written: all of it, or nothing.
    let transaction = connection.transaction().map_err(&opening)?;
    let reader = Reader { connection: &transaction, key: written };
    let mut writer = Writer { reader, sum: head.sum };
    for table in &TABLES {
        writer.renew(table, next).map_err(|error| error.during(OPEN))?;
    }
    head.sum = writer.sum;
    head.write(&transaction, next).map_err(&opening)?;
    transaction.commit().map_err(&opening)?;
    Ok(head)
}

impl SqliteStore {
    /// Opens a file, or makes it, readable for its owner alone.
    ///
    /// Args: the file; the log's private key, which the tags of rows are made with; the one before it, where the log's
    /// key changes.
    ///
    /// Errors: it cannot be opened, is of another program or version, is damaged, changed or read-only.
    pub fn open(
        path: &Path,
        key: &PrivateKey,
        retiring: Option<&PrivateKey>,
    ) -> Result<Self, StoreError> {
        let opening = failed(OPEN);
        let keys =
            std::iter::once(key).chain(retiring).map(RowKey::of).collect::<Result<Vec<_>, _>>()?;
        OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(0o600)
            .open(path)
            .map_err(|error| damaged(OPEN, error.to_string()))?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let mut connection = Connection::open_with_flags(path, flags).map_err(&opening)?;
        connection
            .execute_batch(
                "pragma journal_mode = wal; pragma synchronous = full; pragma trusted_schema = off;",
            )
            .map_err(&opening)?;
        let number = |connection: &Connection, name: &str| -> Result<i64, StoreError> {
            connection.pragma_query_value(None, name, |row| row.get(0)).map_err(&opening)
        };
        let versions =
            (number(&connection, "application_id")?, number(&connection, "user_version")?);
        let own = RowKey::of(key)?;
        let head = match versions {
            (0, 0) => {
                let id = random::<8>().map_err(|error| damaged(OPEN, error.to_string()))?;
                let head = Head {
                    phase: Phase::Fresh,
                    noted: Noted::default(),
                    issued_ms: 0,
                    id: hex(&id),
                    generation: 0,
                    sum: Sum::default(),
                };
                let transaction = connection.transaction().map_err(&opening)?;
                transaction.execute_batch(&schema()).map_err(&opening)?;
                head.write(&transaction, &own).map_err(&opening)?;
                transaction.pragma_update(None, "application_id", APPLICATION).map_err(&opening)?;
                transaction.pragma_update(None, "user_version", VERSION).map_err(&opening)?;
                transaction.commit().map_err(&opening)?;
                head
            }
            (APPLICATION, VERSION) => check(&mut connection, &keys)?,
            (APPLICATION, other) => {
                return Err(damaged(
                    OPEN,
                    format!(
                        "it is of version {other}, this is {VERSION}: open it with the release that wrote it, or \
                         begin with a new state folder, a new `origin` and new keys"
                    ),
                ));
            }
            _ => return Err(damaged(OPEN, "it is the file of another program")),
        };
        Ok(Self {
            id: head.id.clone(),
            generation: AtomicU64::new(head.generation),
            inner: Mutex::new(Inner { connection, head }),
            key: own,
            tree_size: OnceLock::new(),
        })
    }

    /// One transaction, and the row of table `kernel` with it.
    fn run<T>(
        &self,
        what: &'static str,
        work: impl FnOnce(&mut Writer<'_>, &mut Head) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        let mut inner = lock(&self.inner);
        let Inner { connection, head } = &mut *inner;
        let transaction = connection
            .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
            .map_err(failed(what))?;
        let reader = Reader { connection: &transaction, key: &self.key };
        let mut writer = Writer { reader, sum: head.sum };
        let mut next = head.clone();
        let done = work(&mut writer, &mut next).map_err(|error| error.during(what))?;
        // Every change is counted, and says how long the ledger was: neither can be put back alone.
        let size = self.tree_size.get().map_or(0, |size| size.load(Ordering::SeqCst));
        next.noted.tree_size = next.noted.tree_size.max(size);
        next.generation = next.generation.saturating_add(1);
        next.sum = writer.sum;
        next.write(&transaction, &self.key).map_err(failed(what))?;
        transaction.commit().map_err(failed(what))?;
        self.generation.store(next.generation, Ordering::SeqCst);
        *head = next;
        Ok(done)
    }

    fn look<T>(
        &self,
        what: &'static str,
        work: impl FnOnce(Reader<'_>) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        let inner = lock(&self.inner);
        work(Reader { connection: &inner.connection, key: &self.key })
            .map_err(|error| error.during(what))
    }
}

/// A word in the file that this version does not know.
fn unknown(word: &str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(
        0,
        rusqlite::types::Type::Text,
        format!("`{word}` is no word of this version").into(),
    )
}

fn read_signature(row: &Row<'_>) -> rusqlite::Result<Signed> {
    let verdict: String = row.get("verdict")?;
    Ok(Signed {
        approver: row.get("approver")?,
        name: row.get("name")?,
        verdict: Verdict::from_word(&verdict).ok_or_else(|| unknown(&verdict))?,
        at_ms: row.get("at_ms")?,
        signature: row.get("signature")?,
    })
}

fn read_approval(row: &Row<'_>) -> rusqlite::Result<ApprovalRecord> {
    let state: String = row.get("state")?;
    Ok(ApprovalRecord {
        id: row.get("id")?,
        action: row.get("action")?,
        tenant: row.get("tenant")?,
        agent: row.get("agent")?,
        session: row.get("session")?,
        requester: row.get("requester")?,
        tool: row.get("tool")?,
        rule: row.get("rule")?,
        m: row.get("m")?,
        group: row.get("approver_group")?,
        created_ms: row.get("created_ms")?,
        expires_ms: row.get("expires_ms")?,
        state: ApprovalState::from_word(&state).ok_or_else(|| unknown(&state))?,
        sealed: Vec::new(),
        signatures: Vec::new(),
    })
}

/// Approvals with their copies and signatures.
///
/// Args: where to read; the rest of the query and its values, as for [`Reader::rows`].
fn read_approvals(
    reader: Reader<'_>,
    rest: &str,
    values: &[&dyn rusqlite::ToSql],
) -> Result<Vec<ApprovalRecord>, Fault> {
    let mut found = reader.rows("approval", rest, values, read_approval)?;
    for approval in &mut found {
        let id = approval.id.clone();
        approval.sealed =
            reader.rows("approval_copy", "approval = ? order by approver", &[&id], |row| {
                Ok(Sealed { approver: row.get("approver")?, bytes: row.get("sealed")? })
            })?;
        approval.signatures = reader.rows(
            "approval_signature",
            "approval = ? order by at_ms, approver",
            &[&id],
            read_signature,
        )?;
    }
    Ok(found)
}

/// Which row an account is.
const ACCOUNT: &str = "limit_name = ? and scope = ? and window_ms = ?";

fn read_drawn(reader: Reader<'_>, account: &AccountKey) -> Result<Option<i64>, Fault> {
    let AccountKey { limit, scope, window_ms } = account;
    let found =
        reader.rows("account", ACCOUNT, &[limit, scope, window_ms], |row| row.get("drawn"))?;
    Ok(found.first().copied())
}

/// Sets what an account has drawn.
fn set_drawn(writer: &mut Writer<'_>, account: &AccountKey, drawn: i64) -> Result<(), Fault> {
    let AccountKey { limit, scope, window_ms } = account;
    writer.take("account", ACCOUNT, &[limit, scope, window_ms])?;
    writer.put("account", row![limit, scope, *window_ms, drawn])
}

/// Moves an approval from one state to another; false when it was not in the first.
fn move_state(
    writer: &mut Writer<'_>,
    id: &str,
    from: ApprovalState,
    to: ApprovalState,
) -> Result<bool, Fault> {
    let taken = writer.take("approval", "id = ? and state = ?", &[&id, &from.word()])?;
    let Some(mut approval) = taken.into_iter().next() else { return Ok(false) };
    // Its last column.
    approval.pop();
    approval.extend(row![to.word()]);
    writer.put("approval", approval)?;
    Ok(true)
}

impl Store for SqliteStore {
    fn draw(&self, account: &AccountKey, wanted: i64, cap: i64) -> Result<i64, StoreError> {
        self.run("draw from a budget", |writer, _| {
            let drawn = read_drawn(writer.reader, account)?.unwrap_or(0);
            let granted = wanted.min(cap.saturating_sub(drawn)).max(0);
            if granted > 0 {
                set_drawn(writer, account, drawn.saturating_add(granted))?;
            }
            Ok(granted)
        })
    }

    fn overrun(&self, account: &AccountKey, amount: i64) -> Result<(), StoreError> {
        self.run("charge an overrun", |writer, _| {
            // Full is full.
            let drawn = read_drawn(writer.reader, account)?.unwrap_or(0).saturating_add(amount);
            set_drawn(writer, account, drawn)
        })
    }

    fn drawn(&self, account: &AccountKey) -> Result<i64, StoreError> {
        self.look("read a budget", |reader| Ok(read_drawn(reader, account)?.unwrap_or(0)))
    }

    fn accounts(&self, limit: &str) -> Result<Vec<AccountKey>, StoreError> {
        self.look("read the accounts of a budget", |reader| {
            let rest = "limit_name = ? and drawn > 0 order by scope, window_ms";
            reader.rows("account", rest, &[&limit], |row| {
                let (scope, window_ms) = (row.get("scope")?, row.get("window_ms")?);
                Ok(AccountKey { limit: limit.to_owned(), scope, window_ms })
            })
        })
    }

    fn give_back(&self, unused: &[(AccountKey, i64)]) -> Result<(), StoreError> {
        self.run("close the budgets", |writer, _| {
            for (account, amount) in unused {
                if let Some(drawn) = read_drawn(writer.reader, account)? {
                    set_drawn(writer, account, drawn.saturating_sub(*amount))?;
                }
            }
            Ok(())
        })
    }

    fn forget_windows(&self, limit: &str, before_ms: i64) -> Result<(), StoreError> {
        self.run("forget old windows", |writer, _| {
            let old = "limit_name = ? and window_ms != 0 and window_ms < ?";
            writer.take("account", old, &[&limit, &before_ms]).map(drop)
        })
    }

    fn revoke(&self, subject: &Subject, at_ms: i64) -> Result<(), StoreError> {
        let Subject { kind, name, tenant, agent } = subject;
        self.run("revoke", |writer, _| {
            // The newest says when.
            writer.take("revocation", REVOCATION, &[&kind.word(), name, tenant, agent])?;
            writer.put("revocation", row![kind.word(), tenant, agent, name, at_ms])
        })
    }

    fn reinstate(&self, subject: &Subject) -> Result<(), StoreError> {
        let Subject { kind, name, tenant, agent } = subject;
        self.run("reinstate", |writer, _| {
            writer.take("revocation", REVOCATION, &[&kind.word(), name, tenant, agent]).map(drop)
        })
    }

    fn revoked(&self) -> Result<Vec<Subject>, StoreError> {
        self.look("read revocations", |reader| {
            reader.rows("revocation", "true", &[], |row| {
                let kind: String = row.get("kind")?;
                Ok(Subject {
                    kind: SubjectKind::from_word(&kind).ok_or_else(|| unknown(&kind))?,
                    name: row.get("name")?,
                    tenant: row.get("tenant")?,
                    agent: row.get("agent")?,
                })
            })
        })
    }

    fn add_approval(&self, approval: &ApprovalRecord) -> Result<(), StoreError> {
        self.run("add an approval", |writer, _| {
            let ApprovalRecord { id, action, tenant, agent, session, requester, .. } = approval;
            let ApprovalRecord { tool, rule, m, group, created_ms, expires_ms, .. } = approval;
            let state = approval.state.word();
            let (created_ms, expires_ms) = (*created_ms, *expires_ms);
            writer.put(
                "approval",
                row![
                    id, action, tenant, agent, session, requester, tool, rule, *m, group,
                    created_ms, expires_ms, state
                ],
            )?;
            for Sealed { approver, bytes } in &approval.sealed {
                writer.put("approval_copy", row![id, approver, bytes])?;
            }
            Ok(())
        })
    }

    fn sign_approval(
        &self,
        id: &str,
        signature: &Signed,
        then: ApprovalState,
    ) -> Result<bool, StoreError> {
        self.run("sign an approval", |writer, _| {
            if !move_state(writer, id, ApprovalState::Pending, then)? {
                return Ok(false);
            }
            let Signed { approver, name, verdict, at_ms, signature } = signature;
            writer.put(
                "approval_signature",
                row![id, approver, name, verdict.word(), *at_ms, signature],
            )?;
            Ok(true)
        })
    }

    fn move_approval(
        &self,
        id: &str,
        from: ApprovalState,
        to: ApprovalState,
    ) -> Result<bool, StoreError> {
        self.run("move an approval", |writer, _| move_state(writer, id, from, to))
    }

    fn approval(&self, id: &str) -> Result<Option<ApprovalRecord>, StoreError> {
        self.look("read an approval", |reader| Ok(read_approvals(reader, "id = ?", &[&id])?.pop()))
    }

    fn approvals(&self, state: ApprovalState) -> Result<Vec<ApprovalRecord>, StoreError> {
        self.look("read approvals", |reader| {
            read_approvals(reader, "state = ? order by created_ms, id", &[&state.word()])
        })
    }

    fn waiting(&self, tenant: &str, agent: &str, now_ms: i64) -> Result<Vec<Waits>, StoreError> {
        self.look("look for approvals", |reader| {
            let rest = "tenant = ? and agent = ? and state = ? and expires_ms > ?
                        order by created_ms, id";
            let values = [&tenant as &dyn rusqlite::ToSql, &agent, &"pending", &now_ms];
            reader.rows("approval", rest, &values, |row| {
                Ok(Waits { id: row.get("id")?, action: row.get("action")?, rule: row.get("rule")? })
            })
        })
    }

    fn forget_approvals(&self, before_ms: i64) -> Result<(), StoreError> {
        self.run("forget approvals", |writer, _| {
            let of = "approval in (select id from approval where expires_ms < ?)";
            writer.take("approval_copy", of, &[&before_ms])?;
            writer.take("approval_signature", of, &[&before_ms])?;
            writer.take("approval", "expires_ms < ?", &[&before_ms]).map(drop)
        })
    }

    fn add_elevation(
        &self,
        id: &str,
        agent: &str,
        expires_ms: i64,
        signed: &[u8],
    ) -> Result<(), StoreError> {
        self.run("add an elevation", |writer, _| {
            let held = writer.reader.rows("elevation", "id = ?", &[&id], |_| Ok(()))?;
            if held.is_empty() {
                writer.put("elevation", row![id, agent, expires_ms, signed])?;
            }
            Ok(())
        })
    }

    fn elevations(&self, now_ms: i64) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        self.look("read elevations", |reader| {
            reader.rows("elevation", "expires_ms > ? order by id", &[&now_ms], |row| {
                Ok((row.get("agent")?, row.get("signed")?))
            })
        })
    }

    fn add_undo(&self, trace_id: &str, undo: &Undo, until_ms: i64) -> Result<bool, StoreError> {
        let Undo { tenant, agent, request_id, order, tool, args } = undo;
        self.run("remember how to undo an action", |writer, _| {
            let which = [&trace_id as &dyn rusqlite::ToSql, tenant, agent, request_id];
            let held = writer.reader.rows("undo", UNDO, &which, |row| {
                Ok((row.get::<_, String>("tool")?, row.get::<_, Vec<u8>>("args")?))
            })?;
            if let Some((held_tool, held_args)) = held.first() {
                return Ok((held_tool, held_args) == (tool, args));
            }
            writer.put(
                "undo",
                row![trace_id, tenant, agent, request_id, *order, tool, args, until_ms, false],
            )?;
            Ok(true)
        })
    }

    fn undos(&self, trace_id: &str, taken: bool) -> Result<Vec<Undo>, StoreError> {
        self.look("read how to undo a trace", |reader| {
            let rest = "trace = ? and taken = ? order by place, request";
            reader.rows("undo", rest, &[&trace_id, &taken], |row| {
                Ok(Undo {
                    tenant: row.get("tenant")?,
                    agent: row.get("agent")?,
                    request_id: row.get("request")?,
                    order: row.get("place")?,
                    tool: row.get("tool")?,
                    args: row.get("args")?,
                })
            })
        })
    }

    fn move_undo(&self, trace_id: &str, undo: &Undo, taken: bool) -> Result<bool, StoreError> {
        let Undo { tenant, agent, request_id, .. } = undo;
        self.run("take an undo", |writer, _| {
            let which = [&trace_id as &dyn rusqlite::ToSql, tenant, agent, request_id, &taken];
            let found = writer.take("undo", &format!("{UNDO} and taken != ?"), &which)?;
            let Some(mut held) = found.into_iter().next() else { return Ok(false) };
            // Its last column.
            held.pop();
            held.extend(row![taken]);
            writer.put("undo", held)?;
            Ok(true)
        })
    }

    fn forget_undos(&self, now_ms: i64) -> Result<(), StoreError> {
        self.run("forget undos", |writer, _| {
            writer.take("undo", "until_ms <= ?", &[&now_ms]).map(drop)
        })
    }

    fn observe(&self, tenant: &str, conversation: &str, at_ms: i64) -> Result<(), StoreError> {
        self.run("note what was observed", |writer, _| {
            let which = "tenant = ? and conversation = ?";
            writer.take("observed", which, &[&tenant, &conversation])?;
            writer.put("observed", row![tenant, conversation, at_ms])
        })
    }

    fn observed(&self) -> Result<Vec<(String, String)>, StoreError> {
        self.look("read what was observed", |reader| {
            reader.rows("observed", "true", &[], |row| {
                Ok((row.get("tenant")?, row.get("conversation")?))
            })
        })
    }

    fn forget_observed(&self, before_ms: i64) -> Result<(), StoreError> {
        self.run("forget what was observed", |writer, _| {
            writer.take("observed", "at_ms < ?", &[&before_ms]).map(drop)
        })
    }

    fn mark(&self) -> Mark<'_> {
        Mark { id: &self.id, generation: self.generation.load(Ordering::SeqCst) }
    }

    fn follow(&self, tree_size: Arc<AtomicU64>) {
        // The first ledger stays: a store has one.
        let _ = self.tree_size.set(tree_size);
    }

    fn before(&self) -> Result<Before, StoreError> {
        let Head { phase, noted, issued_ms, .. } = lock(&self.inner).head.clone();
        Ok(match phase {
            Phase::Fresh => Before::None,
            Phase::Open => Before::Crashed(noted),
            Phase::Closed => Before::Closed { noted, issued_ms },
        })
    }

    fn begin(&self) -> Result<(), StoreError> {
        self.run("begin", |_, head| {
            head.phase = Phase::Open;
            Ok(())
        })
    }

    fn note(&self, noted: &Noted) -> Result<(), StoreError> {
        self.run("note the clock", |_, head| {
            head.noted = head.noted.followed_by(noted);
            Ok(())
        })
    }

    fn finish(&self, noted: &Noted, issued_ms: i64) -> Result<(), StoreError> {
        self.run("finish", |_, head| {
            head.noted = head.noted.followed_by(noted);
            (head.phase, head.issued_ms) = (Phase::Closed, issued_ms);
            Ok(())
        })
    }
}

/// Which row a revocation is.
const REVOCATION: &str = "kind = ? and name = ? and tenant = ? and agent = ?";

/// Which row an undo is.
const UNDO: &str = "trace = ? and tenant = ? and agent = ? and request = ?";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;

    fn key(seed: u8) -> PrivateKey {
        PrivateKey::from_seed(&[seed; 32])
    }

    fn undo(tenant: &str, agent: &str, args: &[u8]) -> Undo {
        Undo {
            tenant: tenant.to_owned(),
            agent: agent.to_owned(),
            request_id: "r1".to_owned(),
            order: 5,
            tool: "unbook".to_owned(),
            args: args.to_vec(),
        }
    }

    fn approval(id: &str, agent: &str, expires_ms: i64, state: ApprovalState) -> ApprovalRecord {
        ApprovalRecord {
            id: id.to_owned(),
            action: vec![1; 32],
            tenant: "acme".to_owned(),
            agent: agent.to_owned(),
            session: None,
            requester: "k".to_owned(),
            tool: "refund".to_owned(),
            rule: "r".to_owned(),
            m: 1,
            group: "finance".to_owned(),
            created_ms: 1,
            expires_ms,
            state,
            sealed: Vec::new(),
            signatures: Vec::new(),
        }
    }

    #[test]
    fn both_stores_say_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let file = SqliteStore::open(&folder.path().join("kernel.sqlite"), &key(1), None).unwrap();
        let stores: [&dyn Store; 2] = [&MemoryStore::default(), &file];
        for store in stores {
            // Undos are apart by tenant and agent, never replaced, and taken once.
            let ours = undo("acme", "bot", b"1");
            assert!(store.add_undo("t1", &ours, 100).unwrap());
            assert!(store.add_undo("t1", &Undo { order: 9, ..ours.clone() }, 100).unwrap());
            assert!(!store.add_undo("t1", &undo("acme", "bot", b"2"), 100).unwrap());
            for other in [undo("other", "bot", b"2"), undo("acme", "else", b"2")] {
                assert!(store.add_undo("t1", &other, 200).unwrap());
            }
            assert_eq!(store.undos("t1", false).unwrap().len(), 3);
            assert!(store.move_undo("t1", &ours, true).unwrap());
            assert!(!store.move_undo("t1", &ours, true).unwrap());
            assert_eq!(store.undos("t1", true).unwrap(), std::slice::from_ref(&ours));
            assert_eq!(store.undos("t1", false).unwrap().len(), 2);
            assert!(store.move_undo("t1", &ours, false).unwrap());
            assert!(!store.move_undo("t2", &ours, true).unwrap());
            store.forget_undos(100).unwrap();
            assert_eq!(store.undos("t1", false).unwrap().len(), 2);
            // An account that is full stays full.
            let account = AccountKey { limit: "l".to_owned(), scope: "s".to_owned(), window_ms: 0 };
            for (amount, drawn) in [(3, 3), (i64::MAX - 4, i64::MAX - 1), (i64::MAX, i64::MAX)] {
                store.overrun(&account, amount).unwrap();
                assert_eq!(store.drawn(&account).unwrap(), drawn);
            }
            store.give_back(&[(account.clone(), 1)]).unwrap();
            assert_eq!(store.drawn(&account).unwrap(), i64::MAX - 1);
            // Approvals that wait are found by agent.
            for (id, agent, expires, state) in [
                ("a", "bot", 100, ApprovalState::Pending),
                ("b", "bot", 100, ApprovalState::Rejected),
                ("c", "bot", 10, ApprovalState::Pending),
                ("d", "else", 100, ApprovalState::Pending),
            ] {
                store.add_approval(&approval(id, agent, expires, state)).unwrap();
            }
            let one = approval("a", "bot", 100, ApprovalState::Pending);
            let waits = Waits { id: one.id, action: one.action, rule: one.rule };
            assert_eq!(store.waiting("acme", "bot", 10).unwrap(), [waits]);
            assert_eq!(store.waiting("other", "bot", 10).unwrap(), []);
            // What was observed is known until nothing came for long.
            for (conversation, at) in [("c1", 5), ("c2", 5), ("c1", 9)] {
                store.observe("acme", conversation, at).unwrap();
            }
            let names = |names: &[&str]| -> Vec<(String, String)> {
                names.iter().map(|name| ("acme".to_owned(), (*name).to_owned())).collect()
            };
            assert_eq!(store.observed().unwrap(), names(&["c1", "c2"]));
            store.forget_observed(6).unwrap();
            assert_eq!(store.observed().unwrap(), names(&["c1"]));
            // An elevation stays with its agent.
            store.add_elevation("e", "bot", 100, b"signed").unwrap();
            store.add_elevation("e", "else", 100, b"signed").unwrap();
            assert_eq!(store.elevations(99).unwrap(), [("bot".to_owned(), b"signed".to_vec())]);
            assert!(store.elevations(100).unwrap().is_empty());
            // The later wall clock stands, with the steady one of its moment.
            let noted = |wall_ms, steady_ms, boot: &str, tree_size| Noted {
                wall_ms,
                steady_ms,
                boot: boot.to_owned(),
                tree_size,
            };
            assert_eq!(store.before().unwrap(), Before::None);
            assert_eq!(store.before().unwrap(), Before::None, "looking changes nothing");
            store.begin().unwrap();
            store.note(&noted(50, 7, "a", 3)).unwrap();
            store.note(&noted(40, 9, "b", 4)).unwrap();
            assert_eq!(store.before().unwrap(), Before::Crashed(noted(50, 7, "a", 4)));
            store.finish(&noted(60, 11, "b", 5), 55).unwrap();
            let closed = Before::Closed { noted: noted(60, 11, "b", 5), issued_ms: 55 };
            assert_eq!(store.before().unwrap(), closed);
        }
    }

    #[test]
    fn every_change_is_counted_and_says_how_long_the_ledger_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kernel.sqlite");
        let other = SqliteStore::open(&folder.path().join("other.sqlite"), &key(1), None).unwrap();
        let store = SqliteStore::open(&path, &key(1), None).unwrap();
        assert_eq!((store.mark().id.len(), store.mark().generation), (16, 0));
        assert_ne!(store.mark().id, other.mark().id);
        let id = store.mark().id.to_owned();
        store.begin().unwrap();
        assert_eq!(store.undos("t", false).unwrap(), []);
        assert_eq!(store.mark().generation, 1, "looking changes nothing");
        store.follow(Arc::new(AtomicU64::new(7)));
        store.forget_undos(1).unwrap();
        drop(store);
        let store = SqliteStore::open(&path, &key(1), None).unwrap();
        assert_eq!(store.mark(), Mark { id: &id, generation: 2 });
        let noted = Noted { tree_size: 7, ..Noted::default() };
        assert_eq!(store.before().unwrap(), Before::Crashed(noted));
    }

    const ACCOUNTS: [(&str, i64); 3] = [("acme", 7), ("other", 90), ("none", 0)];

    fn account_of(scope: &str) -> AccountKey {
        AccountKey {
            limit: "refunds/usd".to_owned(),
            scope: scope.to_owned(),
            window_ms: 1_800_000_000_000,
        }
    }

    /// A file with something in every table, and closed.
    fn filled(path: &Path) {
        let store = SqliteStore::open(path, &key(1), None).unwrap();
        store.begin().unwrap();
        for name in ["mallory", "trudy"] {
            store.revoke(&Subject::agent("acme", name), 5).unwrap();
        }
        store.revoke(&Subject::tenant("evil"), 6).unwrap();
        for (scope, amount) in ACCOUNTS {
            store.draw(&account_of(scope), amount, 1_000).unwrap();
        }
        for (id, state) in [("a", ApprovalState::Pending), ("b", ApprovalState::Pending)] {
            let sealed = vec![Sealed { approver: "ann".to_owned(), bytes: vec![7; 40] }];
            let record = ApprovalRecord { sealed, ..approval(id, "bot", 100, state) };
            store.add_approval(&record).unwrap();
        }
        let signature = Signed {
            approver: "ann".to_owned(),
            name: "Ann".to_owned(),
            verdict: Verdict::Approve,
            at_ms: 9,
            signature: vec![3; 64],
        };
        assert!(store.sign_approval("b", &signature, ApprovalState::Approved).unwrap());
        assert!(store
            .move_approval("b", ApprovalState::Approved, ApprovalState::Consumed)
            .unwrap());
        store.add_elevation("e", "bot", 100, b"signed").unwrap();
        store.add_undo("t", &undo("acme", "bot", b"1"), 100).unwrap();
        store.observe("acme", "c1", 3).unwrap();
        let noted = Noted { wall_ms: 60, steady_ms: 11, boot: "b".to_owned(), tree_size: 5 };
        store.finish(&noted, 55).unwrap();
    }

    /// Everything that a kernel asks of a store.
    fn said(store: &SqliteStore) -> Result<String, StoreError> {
        let mut revoked = store.revoked()?;
        revoked.sort();
        let drawn = ACCOUNTS.map(|(scope, _)| store.drawn(&account_of(scope)));
        let states = [
            ApprovalState::Pending,
            ApprovalState::Approved,
            ApprovalState::Rejected,
            ApprovalState::Expired,
            ApprovalState::Consumed,
        ];
        Ok(format!(
            "{revoked:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
            store.observed()?,
            drawn.into_iter().collect::<Result<Vec<_>, _>>()?,
            store.accounts("refunds/usd")?,
            states
                .into_iter()
                .map(|state| store.approvals(state))
                .collect::<Result<Vec<_>, _>>()?,
            store.waiting("acme", "bot", 1)?,
            store.elevations(1)?,
            [store.undos("t", false)?, store.undos("t", true)?],
            store.before()?,
            store.mark(),
        ))
    }

    #[test]
    fn one_bit_anywhere_in_the_file_changes_nothing_or_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kernel.sqlite");
        filled(&path);
        let known = said(&SqliteStore::open(&path, &key(1), None).unwrap()).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let bent = folder.path().join("bent.sqlite");
        let mut state = 0x5EED_u64;
        let (mut refused, mut unnoticed) = (0, 0);
        for _ in 0..3_000 {
            let place = loop {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                // Where there is something: most of a page is zeros that nobody reads.
                let place = (state >> 8) as usize % bytes.len();
                if bytes[place] != 0 {
                    break place;
                }
            };
            let mut other = bytes.clone();
            other[place] ^= 1 << (state & 7);
            std::fs::write(&bent, other).unwrap();
            for ending in ["-wal", "-shm"] {
                let _ = std::fs::remove_file(folder.path().join(format!("bent.sqlite{ending}")));
            }
            match SqliteStore::open(&bent, &key(1), None).and_then(|store| said(&store)) {
                Ok(same) => {
                    assert_eq!(same, known, "byte {place}, bit {}", state & 7);
                    unnoticed += 1;
                }
                Err(_) => refused += 1,
            }
        }
        assert!(refused > 2_000, "{refused} refused, {unnoticed} of no meaning");
    }

    /// What somebody does to the file who has SQLite and not the log's key.
    fn changed(path: &Path, sql: &str) {
        let connection = Connection::open(path).unwrap();
        connection.execute_batch(sql).unwrap();
    }

    #[test]
    fn a_row_that_is_changed_missing_old_or_of_another_table_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kernel.sqlite");
        for (sql, part) in [
            ("update revocation set name = 'mallorz' where name = 'mallory'", "`revocation`"),
            ("update account set drawn = drawn - 1 where scope = 'other'", "`account`"),
            ("update approval set state = 'approved' where id = 'b'", "`approval`"),
            ("update approval_copy set approver = 'bob'", "`approval_copy`"),
            ("update approval_signature set verdict = 'reject'", "`approval_signature`"),
            ("update elevation set agent = 'mallory'", "`elevation`"),
            ("update undo set taken = 1", "`undo`"),
            ("update observed set conversation = 'c2'", "`observed`"),
            ("delete from revocation where name = 'mallory'", "missing"),
            ("delete from account", "missing"),
            ("delete from revocation; delete from account; delete from approval", "missing"),
            ("update kernel set phase = 'fresh'", "was changed"),
            ("update kernel set generation = 1", "was changed"),
            ("update kernel set sum = zeroblob(16)", "was changed"),
            ("delete from kernel", "was changed"),
            ("create table more (x)", "damaged"),
            ("drop index undo_until", "damaged"),
            ("pragma user_version = 2", "version 2"),
        ] {
            for ending in ["", "-wal", "-shm"] {
                let _ = std::fs::remove_file(folder.path().join(format!("kernel.sqlite{ending}")));
            }
            filled(&path);
            changed(&path, sql);
            let error = SqliteStore::open(&path, &key(1), None).unwrap_err().to_string();
            assert!(error.contains(part), "{sql}: {error}");
        }
    }

    #[test]
    fn an_older_row_that_was_put_back_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kernel.sqlite");
        filled(&path);
        let kept = folder.path().join("kept.sqlite");
        std::fs::copy(&path, &kept).unwrap();
        let store = SqliteStore::open(&path, &key(1), None).unwrap();
        store.draw(&account_of("other"), 500, 1_000).unwrap();
        drop(store);
        let back = format!(
            "attach '{}' as kept; insert or replace into account select * from kept.account",
            kept.display()
        );
        changed(&path, &back);
        let error = SqliteStore::open(&path, &key(1), None).unwrap_err().to_string();
        assert!(error.contains("older ones were put back"), "{error}");
    }

    #[test]
    fn a_row_that_is_changed_under_an_open_store_is_no_answer() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kernel.sqlite");
        filled(&path);
        let store = SqliteStore::open(&path, &key(1), None).unwrap();
        changed(&path, "update approval set state = 'approved' where id = 'b'");
        changed(&path, "update account set drawn = 0");
        let moved = store.move_approval("b", ApprovalState::Approved, ApprovalState::Consumed);
        assert!(moved.unwrap_err().to_string().contains("`approval`"));
        assert!(store.approval("b").is_err());
        assert!(store.draw(&account_of("other"), 1, 1_000).is_err());
        assert!(store.drawn(&account_of("other")).is_err());
    }

    #[test]
    fn the_key_of_a_file_changes_with_the_one_before_it_and_not_without() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kernel.sqlite");
        filled(&path);
        let known = said(&SqliteStore::open(&path, &key(1), None).unwrap()).unwrap();
        let error = SqliteStore::open(&path, &key(2), None).unwrap_err().to_string();
        assert!(error.contains("retiring_log_key"), "{error}");
        assert!(SqliteStore::open(&path, &key(2), Some(&key(3))).is_err());
        // Twice: a setting that stays there does no harm.
        for _ in 0..2 {
            let store = SqliteStore::open(&path, &key(2), Some(&key(1))).unwrap();
            assert_eq!(said(&store).unwrap(), known);
        }
        assert_eq!(said(&SqliteStore::open(&path, &key(2), None).unwrap()).unwrap(), known);
        assert!(SqliteStore::open(&path, &key(1), None).is_err());
        // A row that was changed is not made good by the change.
        changed(&path, "update account set drawn = 0");
        assert!(SqliteStore::open(&path, &key(3), Some(&key(2))).is_err());
    }
}
