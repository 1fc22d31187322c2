"""Escalation records: what waits for a person, who works on it, until when, and what came of it.

Kept in SQLite by the standard library, so that any process, and `sift-fast approvals`, can work on them. A record names
the verdict and holds no text.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from sift_fast._clock import now_ms as clock
from sift_fast.errors import ConfigError, LeaseConflict, StateUnavailable

if TYPE_CHECKING:
    from sift_fast.guard.verdict import RequestContext

__all__ = ["Desk", "Record"]

_TABLES = """
CREATE TABLE IF NOT EXISTS record (
    id TEXT PRIMARY KEY, opened_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL, owner TEXT NOT NULL,
    tenant TEXT NOT NULL, role TEXT NOT NULL, stage TEXT NOT NULL, decision TEXT NOT NULL, reason TEXT NOT NULL,
    rules TEXT NOT NULL, policy_version TEXT NOT NULL, trace_id TEXT,
    outcome TEXT NOT NULL DEFAULT 'open', decided_ms INTEGER, decided_by TEXT, note TEXT, approval TEXT
);
CREATE INDEX IF NOT EXISTS open_records ON record (outcome, opened_ms);
CREATE TABLE IF NOT EXISTS audit (
    at_ms INTEGER NOT NULL, record TEXT NOT NULL, action TEXT NOT NULL, actor TEXT NOT NULL, note TEXT NOT NULL,
    told INTEGER NOT NULL DEFAULT 0
);
"""
# What files of earlier versions lack; nobody is told anew what was done before.
_LATER = (
    ("record", "approval", "ALTER TABLE record ADD COLUMN approval TEXT"),
    ("audit", "told", "ALTER TABLE audit ADD COLUMN told INTEGER NOT NULL DEFAULT 1"),
)
_SELECT = (
    "SELECT id, opened_ms, expires_ms, owner, tenant, role, stage, decision, reason, rules, policy_version, trace_id, "
    "outcome, decided_ms, decided_by, note, approval FROM record"
)


class Record(NamedTuple):
    """One escalation. `outcome`: `open`, `approved`, `rejected` or `expired`. Times are milliseconds since 1970.

    `approval` is the kernel's, for an action that waits for signatures: then they decide, and this record follows.
    """

    id: str
    opened_ms: int
    expires_ms: int
    owner: str
    tenant: str
    role: str
    stage: str
    decision: str
    reason: str
    rules: str
    policy_version: str
    trace_id: str | None
    outcome: str
    decided_ms: int | None
    decided_by: str | None
    note: str | None
    approval: str | None


class Desk:
    """Where records lie.

    Args:
        path: SQLite file; None for one that lasts as long as the process.

    Raises:
        ConfigError: the file cannot be opened.

    Example:
        >>> Desk(None).pending()
        []
    """

    def __init__(self, path: str | None) -> None:
        self._lock = threading.Lock()
        self._path = path
        try:
            self._db = sqlite3.connect(path or ":memory:", check_same_thread=False, isolation_level=None, timeout=2)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            for table, column, statement in _LATER:
                known = [row[1] for row in self._db.execute(f"PRAGMA table_info({table})")]
                if known and column not in known:
                    self._db.execute(statement)
            self._db.executescript(_TABLES)
            self._inode = os.stat(path).st_ino if path else 0
        except (OSError, sqlite3.Error) as error:
            raise ConfigError(f"escalation: the file cannot be opened: {type(error).__name__}") from None

    def _there(self) -> None:
        """See whether the file is still the one that was opened: a record in a deleted one waits for nobody."""
        try:
            there = self._path is None or os.stat(self._path).st_ino == self._inode
        except OSError:
            there = False
        if not there:
            raise StateUnavailable("escalation records cannot be written: the file was moved or deleted")

    def open(
        self,
        context: RequestContext,
        *,
        stage: str,
        decision: str,
        reason: str,
        rules: tuple[str, ...],
        policy_version: str,
        owner: str,
        expires_s: int,
        approval: str | None = None,
        expires_ms: int | None = None,
        now_ms: int | None = None,
    ) -> str:
        """Open a record; returns its id.

        `approval` is the kernel's, where signatures decide, and `expires_ms` when it ends, if that is earlier.

        Raises:
            StateUnavailable: it is not on the disk.
        """
        self._there()
        now = clock(now_ms)
        number = "esc_" + secrets.token_hex(8)
        end = min(now + expires_s * 1_000, now + expires_s * 1_000 if expires_ms is None else expires_ms)
        row = (
            number, now, end, owner, context.tenant, context.role, stage, decision, reason,
            " ".join(rules), policy_version, context.trace_id, approval,
        )  # fmt: skip
        self._do(
            "INSERT INTO record (id, opened_ms, expires_ms, owner, tenant, role, stage, decision, reason, rules, "
            "policy_version, trace_id, approval) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            row,
        )
        return number

    def get(self, number: str, *, now_ms: int | None = None) -> Record | None:
        """One record, as it stands now; None if there is none."""
        self._expire(now_ms)
        rows = self._do(_SELECT + " WHERE id = ?", (number,))
        return Record(*rows[0]) if rows else None

    def pending(self, *, owner: str | None = None, now_ms: int | None = None) -> list[Record]:
        """Open records, the oldest first."""
        self._expire(now_ms)
        rows = self._do(
            _SELECT + " WHERE outcome = 'open' AND (? IS NULL OR owner = ?) ORDER BY opened_ms, id", (owner, owner)
        )
        return [Record(*row) for row in rows]

    def decide(self, number: str, *, approve: bool, actor: str, note: str = "", now_ms: int | None = None) -> Record:
        """Approve or reject a record, once; who did it is kept in the audit table.

        Raises:
            ConfigError: there is no such record, `actor` is empty, or the record waits for a kernel's approval: that
                is signed, and the record follows.
            LeaseConflict: it was decided before or has expired.
        """
        if not actor:
            raise ConfigError("a decision needs an actor")
        record = self.get(number, now_ms=now_ms)
        if record is not None and record.approval is not None:
            raise ConfigError(f"the record waits for the kernel's approval `{record.approval}`: sign that one")
        return self._decide(number, approve, actor, note, now_ms)

    def follow(self, number: str, *, approve: bool, actor: str, now_ms: int | None = None) -> None:
        """Close a record that waited for a kernel's approval, as its signatures decided; again: nothing.

        Raises:
            StateUnavailable: it is not on the disk.
        """
        try:
            self._decide(number, approve, actor, "", now_ms)
        except (LeaseConflict, ConfigError):
            # It was closed or has expired, or the file is another one: the kernel's receipts say what happened.
            return

    def _decide(self, number: str, approve: bool, actor: str, note: str, now_ms: int | None) -> Record:
        now = clock(now_ms)
        outcome = "approved" if approve else "rejected"
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                changed = self._db.execute(
                    "UPDATE record SET outcome = ?, decided_ms = ?, decided_by = ?, note = ? "
                    "WHERE id = ? AND outcome = 'open'",
                    (outcome, now, actor, note, number),
                ).rowcount
                if changed:
                    self._db.execute(
                        "INSERT INTO audit (at_ms, record, action, actor, note, told) VALUES (?, ?, ?, ?, ?, 0)",
                        (now, number, f"override.{outcome}", actor, note),
                    )
                self._db.execute("COMMIT")
            except sqlite3.Error as error:
                self._rollback()
                raise StateUnavailable(f"escalation records cannot be written: {type(error).__name__}") from None
        record = self.get(number, now_ms=now_ms)
        if record is None:
            raise ConfigError("there is no such escalation record")
        if not changed:
            raise LeaseConflict(f"the escalation record was {record.outcome} before")
        return record

    def assign(self, number: str, owner: str, actor: str) -> None:
        """Give an open record to another owner."""
        self._do("UPDATE record SET owner = ? WHERE id = ? AND outcome = 'open'", (owner, number))
        self._do(
            "INSERT INTO audit (at_ms, record, action, actor, note, told) VALUES (?, ?, 'assign', ?, ?, 0)",
            (clock(), number, actor, owner),
        )

    def untold(self, most: int = 100) -> list[tuple[int, int, str, str, str, str]]:
        """What people did and no event says yet: place, when, record, action, actor, tenant; the oldest first.

        Raises:
            StateUnavailable: the file cannot be read.
        """
        rows = self._do(
            "SELECT audit.rowid, at_ms, record, action, actor, COALESCE(record.tenant, '') FROM audit "
            "LEFT JOIN record ON record.id = audit.record WHERE told = 0 ORDER BY audit.rowid LIMIT ?",
            (most,),
        )
        return [tuple(row) for row in rows]

    def tell(self, place: int) -> None:
        """Note that an event says it.

        Raises:
            StateUnavailable: it is not on the disk.
        """
        self._do("UPDATE audit SET told = 1 WHERE rowid = ?", (place,))

    def audit(self, number: str) -> list[tuple[int, str, str, str]]:
        """What was done with a record: when, what, who, note."""
        return [
            tuple(row) for row in self._do("SELECT at_ms, action, actor, note FROM audit WHERE record = ?", (number,))
        ]

    def _expire(self, now_ms: int | None) -> None:
        now = clock(now_ms)
        self._do("UPDATE record SET outcome = 'expired' WHERE outcome = 'open' AND expires_ms <= ?", (now,))

    def _do(self, statement: str, values: tuple[Any, ...]) -> list[Any]:
        with self._lock:
            try:
                return self._db.execute(statement, values).fetchall()
            except sqlite3.Error as error:
                raise StateUnavailable(f"escalation records cannot be reached: {type(error).__name__}") from None

    def _rollback(self) -> None:
        try:
            self._db.execute("ROLLBACK")
        except sqlite3.Error:
            # There was nothing open.
            return
