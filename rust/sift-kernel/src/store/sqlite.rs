//! The store on one SQLite file: write-ahead log, every commit flushed.
//!
//! An auditor reads it with `sqlite3 FILE`; the tables have the names of the trait's words. SQLite commits a
//! transaction in some milliseconds where a flush is honest, which is why nothing on the way of an ordinary
//! authorization waits for one: budgets are drawn in blocks.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use rusqlite::{params, Connection, OpenFlags, OptionalExtension, Row};

use super::{AccountKey, Before, Mark, Noted, Store, Undo, Waits};
use crate::approval::{ApprovalRecord, ApprovalState, Sealed, Signed, Verdict};
use crate::error::StoreError;
use crate::revocation::{Subject, SubjectKind};
use crate::sync::lock;

/// Says that a file is ours (`SIFT` in ASCII), and which tables it has.
const APPLICATION: i64 = 0x5349_4654;
const VERSION: i64 = 2;

const TABLES: &str = "
create table account (
    limit_name text not null, scope text not null, window_ms integer not null,
    drawn integer not null,
    primary key (limit_name, scope, window_ms)) strict, without rowid;
create table revocation (
    kind text not null, name text not null, tenant text not null, agent text not null, at_ms integer not null,
    primary key (kind, tenant, agent, name)) strict, without rowid;
create table approval (
    id text primary key, action blob not null, tenant text not null, agent text not null,
    session text, requester text not null, tool text not null, rule text not null, m integer not null,
    approver_group text not null, created_ms integer not null, expires_ms integer not null,
    state text not null) strict, without rowid;
create index approval_state on approval (state, created_ms);
create index approval_agent on approval (tenant, agent, state, expires_ms);
create table approval_copy (
    approval text not null, approver text not null, sealed blob not null,
    primary key (approval, approver)) strict, without rowid;
create table approval_signature (
    approval text not null, approver text not null, name text not null, verdict text not null,
    at_ms integer not null, signature blob not null,
    primary key (approval, approver)) strict, without rowid;
create table elevation (
    id text primary key, agent text not null, expires_ms integer not null, signed blob not null)
    strict, without rowid;
create table undo (
    tenant text not null, agent text not null, trace text not null, request text not null,
    place integer not null, tool text not null, args blob not null, until_ms integer not null,
    taken integer not null,
    primary key (trace, tenant, agent, request)) strict, without rowid;
create index undo_until on undo (until_ms);
create table kernel (
    one integer primary key check (one = 1), phase text not null, wall_ms integer not null,
    issued_ms integer not null, steady_ms integer not null, boot text not null,
    tree_size integer not null, id text not null, generation integer not null) strict;
insert into kernel values (1, 'fresh', 0, 0, 0, '', 0, lower(hex(randomblob(8))), 0);
";

/// See the module.
#[derive(Debug)]
pub struct SqliteStore {
    connection: Mutex<Connection>,
    id: String,
    generation: AtomicU64,
    /// How long the ledger is.
    tree_size: OnceLock<Arc<AtomicU64>>,
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
        let (id, generation): (String, i64) = connection
            .query_row("select id, generation from kernel", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .map_err(failed(WHAT))?;
        Ok(Self {
            connection: Mutex::new(connection),
            id,
            generation: AtomicU64::new(u64::try_from(generation).unwrap_or_default()),
            tree_size: OnceLock::new(),
        })
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
        // Every change is counted, and says how long the ledger was: neither can be put back alone.
        let size = self.tree_size.get().map_or(0, |size| size.load(Ordering::SeqCst));
        let size = i64::try_from(size).unwrap_or(i64::MAX);
        let generation: i64 = transaction
            .prepare_cached(
                "update kernel set generation = generation + 1, tree_size = max(tree_size, ?)
                 returning generation",
            )
            .and_then(|mut counted| counted.query_row([size], |row| row.get(0)))
            .map_err(failed(what))?;
        transaction.commit().map_err(failed(what))?;
        self.generation.store(u64::try_from(generation).unwrap_or(u64::MAX), Ordering::SeqCst);
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
                    // Full is full: beyond what the column holds SQLite would make a float of it, and refuse that.
                    "insert into account values (?, ?, ?, ?)
                     on conflict do update set
                         drawn = min(drawn, 9223372036854775807 - excluded.drawn) + excluded.drawn",
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

    fn accounts(&self, limit: &str) -> Result<Vec<AccountKey>, StoreError> {
        self.look("read the accounts of a budget", |connection| {
            connection
                .prepare_cached(
                    "select scope, window_ms from account where limit_name = ? and drawn > 0
                     order by scope, window_ms",
                )?
                .query_map([limit], |row| {
                    let (scope, window_ms) = (row.get(0)?, row.get(1)?);
                    Ok(AccountKey { limit: limit.to_owned(), scope, window_ms })
                })?
                .collect()
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
                    "insert into revocation (kind, name, tenant, agent, at_ms) values (?, ?, ?, ?, ?)
                     on conflict do nothing",
                )?
                .execute(params![
                    subject.kind.word(),
                    subject.name,
                    subject.tenant,
                    subject.agent,
                    at_ms
                ])
                .map(drop)
        })
    }

    fn reinstate(&self, subject: &Subject) -> Result<(), StoreError> {
        self.run("reinstate", |transaction| {
            transaction
                .prepare_cached(
                    "delete from revocation where kind = ? and name = ? and tenant = ? and agent = ?",
                )?
                .execute(params![
                    subject.kind.word(),
                    subject.name,
                    subject.tenant,
                    subject.agent
                ])
                .map(drop)
        })
    }

    fn revoked(&self) -> Result<Vec<Subject>, StoreError> {
        self.look("read revocations", |connection| {
            connection
                .prepare_cached("select kind, name, tenant, agent from revocation")?
                .query_map([], |row| {
                    let kind: String = row.get(0)?;
                    Ok(Subject {
                        kind: SubjectKind::from_word(&kind).ok_or_else(|| unknown(&kind))?,
                        name: row.get(1)?,
                        tenant: row.get(2)?,
                        agent: row.get(3)?,
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

    fn waiting(&self, tenant: &str, agent: &str, now_ms: i64) -> Result<Vec<Waits>, StoreError> {
        self.look("look for approvals", |connection| {
            connection
                .prepare_cached(
                    "select id, action, rule from approval
                     where tenant = ? and agent = ? and state = ? and expires_ms > ?
                     order by created_ms, id",
                )?
                .query_map(params![tenant, agent, ApprovalState::Pending.word(), now_ms], |row| {
                    Ok(Waits { id: row.get(0)?, action: row.get(1)?, rule: row.get(2)? })
                })?
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

    fn add_elevation(
        &self,
        id: &str,
        agent: &str,
        expires_ms: i64,
        signed: &[u8],
    ) -> Result<(), StoreError> {
        self.run("add an elevation", |transaction| {
            transaction
                .prepare_cached("insert or ignore into elevation values (?, ?, ?, ?)")?
                .execute(params![id, agent, expires_ms, signed])
                .map(drop)
        })
    }

    fn elevations(&self, now_ms: i64) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        self.look("read elevations", |connection| {
            connection
                .prepare_cached(
                    "select agent, signed from elevation where expires_ms > ? order by id",
                )?
                .query_map([now_ms], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        })
    }

    fn add_undo(&self, trace_id: &str, undo: &Undo, until_ms: i64) -> Result<bool, StoreError> {
        let Undo { tenant, agent, request_id, order, tool, args } = undo;
        self.run("remember how to undo an action", |transaction| {
            transaction
                .prepare_cached("insert or ignore into undo values (?, ?, ?, ?, ?, ?, ?, ?, 0)")?
                .execute(params![
                    tenant, agent, trace_id, request_id, order, tool, args, until_ms
                ])?;
            transaction
                .prepare_cached(
                    "select tool = ? and args = ? from undo
                     where trace = ? and tenant = ? and agent = ? and request = ?",
                )?
                .query_row(params![tool, args, trace_id, tenant, agent, request_id], |row| {
                    row.get(0)
                })
        })
    }

    fn undos(&self, trace_id: &str, taken: bool) -> Result<Vec<Undo>, StoreError> {
        self.look("read how to undo a trace", |connection| {
            connection
                .prepare_cached(
                    "select tenant, agent, request, place, tool, args from undo
                     where trace = ? and taken = ? order by place, request",
                )?
                .query_map(params![trace_id, taken], |row| {
                    Ok(Undo {
                        tenant: row.get(0)?,
                        agent: row.get(1)?,
                        request_id: row.get(2)?,
                        order: row.get(3)?,
                        tool: row.get(4)?,
                        args: row.get(5)?,
                    })
                })?
                .collect()
        })
    }

    fn move_undo(&self, trace_id: &str, undo: &Undo, taken: bool) -> Result<bool, StoreError> {
        self.run("take an undo", |transaction| {
            let moved = transaction
                .prepare_cached(
                    "update undo set taken = ?1 where trace = ?2 and tenant = ?3 and agent = ?4
                     and request = ?5 and taken != ?1",
                )?
                .execute(params![taken, trace_id, undo.tenant, undo.agent, undo.request_id])?;
            Ok(moved == 1)
        })
    }

    fn forget_undos(&self, now_ms: i64) -> Result<(), StoreError> {
        self.run("forget undos", |transaction| {
            transaction
                .prepare_cached("delete from undo where until_ms <= ?")?
                .execute([now_ms])
                .map(drop)
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
        self.look("look at the last kernel", |connection| {
            connection.query_row(
                "select phase, issued_ms, wall_ms, steady_ms, boot, tree_size from kernel",
                [],
                |row| {
                    let (phase, issued_ms): (String, i64) = (row.get(0)?, row.get(1)?);
                    let size: i64 = row.get(5)?;
                    let noted = Noted {
                        wall_ms: row.get(2)?,
                        steady_ms: row.get(3)?,
                        boot: row.get(4)?,
                        tree_size: u64::try_from(size).unwrap_or_default(),
                    };
                    match phase.as_str() {
                        "fresh" => Ok(Before::None),
                        "open" => Ok(Before::Crashed(noted)),
                        "closed" => Ok(Before::Closed { noted, issued_ms }),
                        other => Err(unknown(other)),
                    }
                },
            )
        })
    }

    fn begin(&self) -> Result<(), StoreError> {
        self.run("begin", |transaction| {
            transaction.execute("update kernel set phase = 'open'", []).map(drop)
        })
    }

    fn note(&self, noted: &Noted) -> Result<(), StoreError> {
        self.run("note the clock", |transaction| note(transaction, noted))
    }

    fn finish(&self, noted: &Noted, issued_ms: i64) -> Result<(), StoreError> {
        self.run("finish", |transaction| {
            note(transaction, noted)?;
            transaction
                .execute("update kernel set phase = 'closed', issued_ms = ?", [issued_ms])
                .map(drop)
        })
    }
}

/// See [`Noted::followed_by`].
fn note(connection: &Connection, noted: &Noted) -> rusqlite::Result<()> {
    let size = i64::try_from(noted.tree_size).unwrap_or(i64::MAX);
    connection
        .prepare_cached(
            "update kernel set wall_ms = max(wall_ms, ?1), tree_size = ?4,
             steady_ms = case when ?1 >= wall_ms then ?2 else steady_ms end,
             boot = case when ?1 >= wall_ms then ?3 else boot end",
        )?
        .execute(params![noted.wall_ms, noted.steady_ms, noted.boot, size])
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;

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
        let file = SqliteStore::open(&folder.path().join("kernel.sqlite")).unwrap();
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
        let other = SqliteStore::open(&folder.path().join("other.sqlite")).unwrap();
        let store = SqliteStore::open(&path).unwrap();
        assert_eq!((store.mark().id.len(), store.mark().generation), (16, 0));
        assert_ne!(store.mark().id, other.mark().id);
        let id = store.mark().id.to_owned();
        store.begin().unwrap();
        assert_eq!(store.undos("t", false).unwrap(), []);
        assert_eq!(store.mark().generation, 1, "looking changes nothing");
        store.follow(Arc::new(AtomicU64::new(7)));
        store.forget_undos(1).unwrap();
        drop(store);
        let store = SqliteStore::open(&path).unwrap();
        assert_eq!(store.mark(), Mark { id: &id, generation: 2 });
        let noted = Noted { tree_size: 7, ..Noted::default() };
        assert_eq!(store.before().unwrap(), Before::Crashed(noted));
    }
}
