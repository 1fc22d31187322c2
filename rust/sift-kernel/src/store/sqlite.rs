//! The store on one SQLite file: write-ahead log, every commit flushed.
//!
//! An auditor reads it with `sqlite3 FILE`; the tables have the names of the trait's words. SQLite commits a
//! transaction in some milliseconds where a flush is honest, which is why nothing on the way of an ordinary
//! authorization waits for one: budgets are drawn in blocks.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Mutex;

use rusqlite::{params, Connection, OpenFlags, OptionalExtension, Row};

use super::{AccountKey, Before, Store, Undo};
use crate::approval::{ApprovalRecord, ApprovalState, Sealed, Signed, Verdict};
use crate::error::StoreError;
use crate::revocation::{Subject, SubjectKind};
use crate::sync::lock;

/// Says that a file is ours (`SIFT` in ASCII), and which tables it has.
const APPLICATION: i64 = 0x5349_4654;
const VERSION: i64 = 1;

const TABLES: &str = "
create table account (
    limit_name text not null, scope text not null, window_ms integer not null,
    drawn integer not null,
    primary key (limit_name, scope, window_ms)) strict, without rowid;
create table revocation (
    kind text not null, name text not null, tenant text not null, at_ms integer not null,
    primary key (kind, tenant, name)) strict, without rowid;
create table approval (
    id text primary key, action blob not null, tenant text not null, agent text not null,
    session text, requester text not null, tool text not null, rule text not null, m integer not null,
    approver_group text not null, created_ms integer not null, expires_ms integer not null,
    state text not null) strict, without rowid;
create index approval_state on approval (state, created_ms);
create table approval_copy (
    approval text not null, approver text not null, sealed blob not null,
    primary key (approval, approver)) strict, without rowid;
create table approval_signature (
    approval text not null, approver text not null, name text not null, verdict text not null,
    at_ms integer not null, signature blob not null,
    primary key (approval, approver)) strict, without rowid;
create table elevation (
    id text primary key, expires_ms integer not null, signed blob not null) strict, without rowid;
create table undo (
    trace text not null, request text not null, place integer not null, tool text not null,
    args blob not null,
    primary key (trace, request)) strict, without rowid;
create table kernel (
    one integer primary key check (one = 1), phase text not null, wall_ms integer not null,
    issued_ms integer not null) strict;
insert into kernel values (1, 'fresh', 0, 0);
";

/// See the module.
#[derive(Debug)]
pub struct SqliteStore {
    connection: Mutex<Connection>,
}

fn failed(what: &'static str) -> impl Fn(rusqlite::Error) -> StoreError {
    // The message of SQLite names tables and causes; values are bound and never in it.
    move |error| StoreError { what, reason: error.to_string() }
}

fn damaged(what: &'static str, reason: impl Into<String>) -> StoreError {
    StoreError { what, reason: reason.into() }
}

impl SqliteStore {
    /// Opens a file, or makes it, readable for its owner alone.
    ///
    /// Errors: it cannot be opened, is of another program or a newer version, is damaged or read-only.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        const WHAT: &str = "open its file";
        OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(0o600)
            .open(path)
            .map_err(|error| damaged(WHAT, error.to_string()))?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let mut connection = Connection::open_with_flags(path, flags).map_err(failed(WHAT))?;
        connection
            .execute_batch(
                "pragma journal_mode = wal; pragma synchronous = full; pragma trusted_schema = off;",
            )
            .map_err(failed(WHAT))?;
        let number = |name: &str| -> Result<i64, StoreError> {
            connection.pragma_query_value(None, name, |row| row.get(0)).map_err(failed(WHAT))
        };
        match (number("application_id")?, number("user_version")?) {
            (0, 0) => {
                let transaction = connection.transaction().map_err(failed(WHAT))?;
                transaction.execute_batch(TABLES).map_err(failed(WHAT))?;
                transaction
                    .pragma_update(None, "application_id", APPLICATION)
                    .map_err(failed(WHAT))?;
                transaction.pragma_update(None, "user_version", VERSION).map_err(failed(WHAT))?;
                transaction.commit().map_err(failed(WHAT))?;
            }
            (APPLICATION, VERSION) => {
                let check: String = connection
                    .pragma_query_value(None, "quick_check", |row| row.get(0))
                    .map_err(failed(WHAT))?;
                if check != "ok" {
                    return Err(damaged(WHAT, "the file is damaged: restore it from a backup"));
                }
            }
            (APPLICATION, other) => {
                return Err(damaged(WHAT, format!("it is of version {other}, this is {VERSION}")));
            }
            _ => return Err(damaged(WHAT, "it is the file of another program")),
        }
        Ok(Self { connection: Mutex::new(connection) })
    }

    fn run<T>(
        &self,
        what: &'static str,
        work: impl FnOnce(&rusqlite::Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let mut connection = lock(&self.connection);
        let transaction = connection
            .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
            .map_err(failed(what))?;
        let done = work(&transaction).map_err(failed(what))?;
        transaction.commit().map_err(failed(what))?;
        Ok(done)
    }

    fn look<T>(
        &self,
        what: &'static str,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        work(&lock(&self.connection)).map_err(failed(what))
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

fn read_approval(connection: &Connection, row: &Row<'_>) -> rusqlite::Result<ApprovalRecord> {
    let state: String = row.get("state")?;
    let id: String = row.get("id")?;
    let mut copies = connection.prepare_cached(
        "select approver, sealed from approval_copy where approval = ? order by approver",
    )?;
    let sealed = copies
        .query_map([&id], |row| Ok(Sealed { approver: row.get(0)?, bytes: row.get(1)? }))?
        .collect::<rusqlite::Result<_>>()?;
    let mut signed = connection.prepare_cached(
        "select approver, name, verdict, at_ms, signature from approval_signature
         where approval = ? order by at_ms, approver",
    )?;
    let signatures = signed
        .query_map([&id], |row| {
            let verdict: String = row.get(2)?;
            Ok(Signed {
                approver: row.get(0)?,
                name: row.get(1)?,
                verdict: Verdict::from_word(&verdict).ok_or_else(|| unknown(&verdict))?,
                at_ms: row.get(3)?,
                signature: row.get(4)?,
            })
        })?
        .collect::<rusqlite::Result<_>>()?;
    Ok(ApprovalRecord {
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
        sealed,
        signatures,
        id,
    })
}

impl Store for SqliteStore {
    fn draw(&self, account: &AccountKey, wanted: i64, cap: i64) -> Result<i64, StoreError> {
        self.run("draw from a budget", |transaction| {
            let key = params![account.limit, account.scope, account.window_ms];
            let drawn: i64 = transaction
                .prepare_cached(
                    "select drawn from account where limit_name = ? and scope = ? and window_ms = ?",
                )?
                .query_row(key, |row| row.get(0))
                .optional()?
                .unwrap_or(0);
            let granted = wanted.min(cap.saturating_sub(drawn)).max(0);
            if granted > 0 {
                transaction
                    .prepare_cached(
                        "insert into account values (?, ?, ?, ?) on conflict do update set drawn = excluded.drawn",
                    )?
                    .execute(params![
                        account.limit,
                        account.scope,
                        account.window_ms,
                        drawn.saturating_add(granted)
                    ])?;
            }
            Ok(granted)
        })
    }

    fn overrun(&self, account: &AccountKey, amount: i64) -> Result<(), StoreError> {
        self.run("charge an overrun", |transaction| {
            transaction
                .prepare_cached(
                    "insert into account values (?, ?, ?, ?)
                     on conflict do update set drawn = drawn + excluded.drawn",
                )?
                .execute(params![account.limit, account.scope, account.window_ms, amount])
                .map(drop)
        })
    }

    fn drawn(&self, account: &AccountKey) -> Result<i64, StoreError> {
        self.look("read a budget", |connection| {
            Ok(connection
                .prepare_cached(
                    "select drawn from account where limit_name = ? and scope = ? and window_ms = ?",
                )?
                .query_row(params![account.limit, account.scope, account.window_ms], |row| row.get(0))
                .optional()?
                .unwrap_or(0))
        })
    }

    fn give_back(&self, unused: &[(AccountKey, i64)]) -> Result<(), StoreError> {
        self.run("close the budgets", |transaction| {
            let mut update = transaction.prepare_cached(
                "update account set drawn = drawn - ? where limit_name = ? and scope = ? and window_ms = ?",
            )?;
            for (account, amount) in unused {
                update.execute(params![amount, account.limit, account.scope, account.window_ms])?;
            }
            Ok(())
        })
    }

    fn forget_windows(&self, limit: &str, before_ms: i64) -> Result<(), StoreError> {
        self.run("forget old windows", |transaction| {
            transaction
                .prepare_cached(
                    "delete from account where limit_name = ? and window_ms != 0 and window_ms < ?",
                )?
                .execute(params![limit, before_ms])
                .map(drop)
        })
    }

    fn revoke(&self, subject: &Subject, at_ms: i64) -> Result<(), StoreError> {
        self.run("revoke", |transaction| {
            transaction
                .prepare_cached(
                    "insert into revocation (kind, name, tenant, at_ms) values (?, ?, ?, ?)
                     on conflict do nothing",
                )?
                .execute(params![subject.kind.word(), subject.name, subject.tenant, at_ms])
                .map(drop)
        })
    }

    fn reinstate(&self, subject: &Subject) -> Result<(), StoreError> {
        self.run("reinstate", |transaction| {
            transaction
                .prepare_cached(
                    "delete from revocation where kind = ? and name = ? and tenant = ?",
                )?
                .execute(params![subject.kind.word(), subject.name, subject.tenant])
                .map(drop)
        })
    }

    fn revoked(&self) -> Result<Vec<Subject>, StoreError> {
        self.look("read revocations", |connection| {
            connection
                .prepare_cached("select kind, name, tenant from revocation")?
                .query_map([], |row| {
                    let kind: String = row.get(0)?;
                    Ok(Subject {
                        kind: SubjectKind::from_word(&kind).ok_or_else(|| unknown(&kind))?,
                        name: row.get(1)?,
                        tenant: row.get(2)?,
                    })
                })?
                .collect()
        })
    }

    fn add_approval(&self, approval: &ApprovalRecord) -> Result<(), StoreError> {
        self.run("add an approval", |transaction| {
            transaction
                .prepare_cached(
                    "insert into approval values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                )?
                .execute(params![
                    approval.id,
                    approval.action,
                    approval.tenant,
                    approval.agent,
                    approval.session,
                    approval.requester,
                    approval.tool,
                    approval.rule,
                    approval.m,
                    approval.group,
                    approval.created_ms,
                    approval.expires_ms,
                    approval.state.word()
                ])?;
            let mut copy =
                transaction.prepare_cached("insert into approval_copy values (?, ?, ?)")?;
            for sealed in &approval.sealed {
                copy.execute(params![approval.id, sealed.approver, sealed.bytes])?;
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
        self.run("sign an approval", |transaction| {
            let moved = transaction
                .prepare_cached("update approval set state = ? where id = ? and state = ?")?
                .execute(params![then.word(), id, ApprovalState::Pending.word()])?;
            if moved == 0 {
                return Ok(false);
            }
            transaction
                .prepare_cached("insert into approval_signature values (?, ?, ?, ?, ?, ?)")?
                .execute(params![
                    id,
                    signature.approver,
                    signature.name,
                    signature.verdict.word(),
                    signature.at_ms,
                    signature.signature
                ])?;
            Ok(true)
        })
    }

    fn move_approval(
        &self,
        id: &str,
        from: ApprovalState,
        to: ApprovalState,
    ) -> Result<bool, StoreError> {
        self.run("move an approval", |transaction| {
            let moved = transaction
                .prepare_cached("update approval set state = ? where id = ? and state = ?")?
                .execute(params![to.word(), id, from.word()])?;
            Ok(moved == 1)
        })
    }

    fn approval(&self, id: &str) -> Result<Option<ApprovalRecord>, StoreError> {
        self.look("read an approval", |connection| {
            connection
                .prepare_cached("select * from approval where id = ?")?
                .query_row([id], |row| read_approval(connection, row))
                .optional()
        })
    }

    fn approvals(&self, state: ApprovalState) -> Result<Vec<ApprovalRecord>, StoreError> {
        self.look("read approvals", |connection| {
            connection
                .prepare_cached("select * from approval where state = ? order by created_ms, id")?
                .query_map([state.word()], |row| read_approval(connection, row))?
                .collect()
        })
    }

    fn forget_approvals(&self, before_ms: i64) -> Result<(), StoreError> {
        self.run("forget approvals", |transaction| {
            for table in ["approval_copy", "approval_signature"] {
                transaction.execute(
                    &format!(
                        "delete from {table} where approval in (select id from approval where expires_ms < ?)"
                    ),
                    [before_ms],
                )?;
            }
            transaction.execute("delete from approval where expires_ms < ?", [before_ms]).map(drop)
        })
    }

    fn add_elevation(&self, id: &str, expires_ms: i64, signed: &[u8]) -> Result<(), StoreError> {
        self.run("add an elevation", |transaction| {
            transaction
                .prepare_cached("insert or ignore into elevation values (?, ?, ?)")?
                .execute(params![id, expires_ms, signed])
                .map(drop)
        })
    }

    fn elevations(&self, now_ms: i64) -> Result<Vec<Vec<u8>>, StoreError> {
        self.look("read elevations", |connection| {
            connection
                .prepare_cached("select signed from elevation where expires_ms > ? order by id")?
                .query_map([now_ms], |row| row.get(0))?
                .collect()
        })
    }

    fn add_undo(&self, trace_id: &str, undo: &Undo) -> Result<(), StoreError> {
        self.run("remember how to undo an action", |transaction| {
            transaction
                .prepare_cached("insert or ignore into undo values (?, ?, ?, ?, ?)")?
                .execute(params![trace_id, undo.request_id, undo.order, undo.tool, undo.args])
                .map(drop)
        })
    }

    fn undos(&self, trace_id: &str) -> Result<Vec<Undo>, StoreError> {
        self.look("read how to undo a trace", |connection| {
            connection
                .prepare_cached(
                    "select request, place, tool, args from undo where trace = ? order by place, request",
                )?
                .query_map([trace_id], |row| {
                    Ok(Undo {
                        request_id: row.get(0)?,
                        order: row.get(1)?,
                        tool: row.get(2)?,
                        args: row.get(3)?,
                    })
                })?
                .collect()
        })
    }

    fn take_undo(&self, trace_id: &str, request_id: &str) -> Result<bool, StoreError> {
        self.run("take an undo", |transaction| {
            let taken = transaction
                .prepare_cached("delete from undo where trace = ? and request = ?")?
                .execute(params![trace_id, request_id])?;
            Ok(taken == 1)
        })
    }

    fn begin(&self) -> Result<Before, StoreError> {
        self.run("begin", |transaction| {
            let (phase, at_ms, issued_ms): (String, i64, i64) = transaction.query_row(
                "select phase, wall_ms, issued_ms from kernel",
                [],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )?;
            let before = match phase.as_str() {
                "fresh" => Before::None,
                "open" => Before::Crashed(at_ms),
                "closed" => Before::Closed { at_ms, issued_ms },
                other => return Err(unknown(other)),
            };
            transaction.execute("update kernel set phase = 'open'", [])?;
            Ok(before)
        })
    }

    fn note_clock(&self, wall_ms: i64) -> Result<(), StoreError> {
        self.run("note the clock", |transaction| {
            transaction
                .prepare_cached("update kernel set wall_ms = max(wall_ms, ?)")?
                .execute([wall_ms])
                .map(drop)
        })
    }

    fn finish(&self, wall_ms: i64, issued_ms: i64) -> Result<(), StoreError> {
        self.run("finish", |transaction| {
            transaction
                .execute(
                    "update kernel set phase = 'closed', wall_ms = max(wall_ms, ?), issued_ms = ?",
                    [wall_ms, issued_ms],
                )
                .map(drop)
        })
    }
}
