"""Escalation records: what waits for a person, who works on it, until when, and what came of it.

Kept in SQLite by the standard library, so that any process, and `sift-fast escalations`, can work on them. A record
names the verdict and holds no text: what it is about is known by a hash, under a key that lies in the same file. An
approval lets that text or action pass, once, until the record expires.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import sqlite3
import stat
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from sift_fast._clock import now_ms as clock
from sift_fast.errors import ConfigError, LeaseConflict, StateUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sift_fast.guard.verdict import RequestContext

__all__ = ["Desk", "Record"]

_TABLES = """
CREATE TABLE IF NOT EXISTS record (
    id TEXT PRIMARY KEY, opened_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL, owner TEXT NOT NULL,
    tenant TEXT NOT NULL, role TEXT NOT NULL, stage TEXT NOT NULL, decision TEXT NOT NULL, reason TEXT NOT NULL,
    rules TEXT NOT NULL, policy_version TEXT NOT NULL, trace_id TEXT,
    outcome TEXT NOT NULL DEFAULT 'open', decided_ms INTEGER, decided_by TEXT, note TEXT, approval TEXT,
    same TEXT, used_ms INTEGER
);
CREATE INDEX IF NOT EXISTS open_records ON record (outcome, opened_ms);
CREATE INDEX IF NOT EXISTS same_records ON record (same, opened_ms);
CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS audit (
    at_ms INTEGER NOT NULL, record TEXT NOT NULL, action TEXT NOT NULL, actor TEXT NOT NULL, note TEXT NOT NULL,
    told INTEGER NOT NULL DEFAULT 0
);
"""
# What files of earlier versions lack; nobody is told anew what was done before.
_LATER = (
    ("record", "approval", "ALTER TABLE record ADD COLUMN approval TEXT"),
    ("record", "same", "ALTER TABLE record ADD COLUMN same TEXT"),
    ("record", "used_ms", "ALTER TABLE record ADD COLUMN used_ms INTEGER"),
    ("audit", "told", "ALTER TABLE audit ADD COLUMN told INTEGER NOT NULL DEFAULT 1"),
)
_SELECT = (
    "SELECT id, opened_ms, expires_ms, owner, tenant, role, stage, decision, reason, rules, policy_version, trace_id, "
    "outcome, decided_ms, decided_by, note, approval, used_ms FROM record"
)
#: Records that are opened between two looks for old ones.
_ROUND = 64


class Record(NamedTuple):
    """One escalation. `outcome`: `open`, `approved`, `rejected` or `expired`. Times are milliseconds since 1970.

    `approval` is the kernel's, for an action that waits for signatures: then they decide, and this record follows.
    `used_ms` is when what was approved went on.
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
    used_ms: int | None


class Desk:
    """Where records lie.

    Args:
        path: SQLite file, made for its owner only; None for one that lasts as long as the process.
        keep_s: seconds for which a record is kept after it has expired.
        most: how many records are kept: closed ones are given up first, then blocks that nobody looked at.

    Raises:
        ConfigError: the file cannot be opened.

    Example:
        >>> Desk(None).pending()
        []
    """

    def __init__(self, path: str | None, *, keep_s: int = 2_592_000, most: int = 100_000) -> None:
        self._lock = threading.Lock()
        self._path = path
        self._keep_ms = keep_s * 1_000
        self._most = most
        self._opened = 0
        try:
            if path:
                _private(path)
            self._db = sqlite3.connect(path or ":memory:", check_same_thread=False, isolation_level=None, timeout=2)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            for table, column, statement in _LATER:
                known = [row[1] for row in self._db.execute(f"PRAGMA table_info({table})")]
                if known and column not in known:
                    self._db.execute(statement)
            self._db.executescript(_TABLES)
            self._db.execute("INSERT OR IGNORE INTO setting VALUES ('key', ?)", (secrets.token_bytes(32),))
            self._key = bytes(self._db.execute("SELECT value FROM setting WHERE name = 'key'").fetchone()[0])
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
        same: str | None = None,
        now_ms: int | None = None,
    ) -> tuple[str, bool]:
        """Open a record, or find the one that is open for the same; returns its id, and whether it is new.

        Args:
            context: who asked.
            stage: where the text passed.
            decision: what was decided.
            reason: why.
            rules: ids of the rules behind it.
            policy_version: which configuration decided.
            owner: who works on it.
            expires_s: seconds until it expires.
            approval: the kernel's, where signatures decide.
            expires_ms: when that ends, milliseconds since 1970, if that is earlier.
            same: from `print_of`: what it is about.
            now_ms: the time, for tests.

        Raises:
            StateUnavailable: it is not on the disk, or too many wait.
        """
        self._there()
        now = clock(now_ms)
        number = "esc_" + secrets.token_hex(8)
        end = min(now + expires_s * 1_000, now + expires_s * 1_000 if expires_ms is None else expires_ms)
        row = (
            number, now, end, owner, context.tenant, context.role, stage, decision, reason,
            " ".join(rules), policy_version, context.trace_id, approval, same,
        )  # fmt: skip
        with self._writing() as db:
            if same is not None:
                known = db.execute(
                    "SELECT id FROM record WHERE same = ? AND decision = ? AND outcome = 'open' AND expires_ms > ?",
                    (same, decision, now),
                ).fetchone()
                if known is not None:
                    return str(known[0]), False
            self._opened += 1
            if self._opened % _ROUND == 1:
                self._prune(db, now)
            db.execute(
                "INSERT INTO record (id, opened_ms, expires_ms, owner, tenant, role, stage, decision, reason, rules, "
                "policy_version, trace_id, approval, same) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                row,
            )
        return number, True

    @property
    def quick(self) -> bool:
        """Whether no disk is waited for."""
        return self._path is None

    def print_of(self, *parts: str | None) -> str:
        """The keyed hash of a text or an action and who asks for it: 128 bits, hexadecimal. The same for every process
        that works on the file.
        """
        said = json.dumps(parts).encode()
        return hashlib.blake2b(said, digest_size=16, key=self._key).hexdigest()

    def standing(self, same: str, *, now_ms: int | None = None) -> Record | None:
        """The last record of an escalation that still says something about the same: it is open, was rejected, or was
        approved and nothing has passed by it yet. None where there is none.

        Raises:
            StateUnavailable: the file cannot be read.
        """
        self._there()
        now = clock(now_ms)
        rows = self._do(
            _SELECT + " WHERE same = ? AND decision = 'escalate' AND approval IS NULL AND expires_ms > ? "
            "AND used_ms IS NULL ORDER BY outcome = 'approved' DESC, opened_ms DESC, rowid DESC LIMIT 1",
            (same, now),
        )
        return Record(*rows[0]) if rows else None

    def claim(self, number: str, *, now_ms: int | None = None) -> bool:
        """Let what was approved pass, once; false if somebody else was quicker, or it is no approval. A block that was
        put before people is none, whatever they said of it.

        Raises:
            StateUnavailable: it is not on the disk.
        """
        self._there()
        now = clock(now_ms)
        with self._writing() as db:
            claimed = db.execute(
                "UPDATE record SET used_ms = ? WHERE id = ? AND outcome = 'approved' AND decision = 'escalate' "
                "AND approval IS NULL AND used_ms IS NULL AND expires_ms > ?",
                (now, number, now),
            ).rowcount
            if claimed:
                self._note(db, number, "override.used", now)
        return bool(claimed)

    def put_back(self, number: str, *, now_ms: int | None = None) -> None:
        """What was approved did not go on after all: it may still pass.

        Raises:
            StateUnavailable: it is not on the disk, and the approval stays used.
        """
        with self._writing() as db:
            if db.execute("UPDATE record SET used_ms = NULL WHERE id = ? AND used_ms IS NOT NULL", (number,)).rowcount:
                self._note(db, number, "override.returned", clock(now_ms))

    def _note(self, db: sqlite3.Connection, number: str, action: str, now: int) -> None:
        """Say in the audit table what became of a person's decision."""
        db.execute(
            "INSERT INTO audit (at_ms, record, action, actor, note, told) "
            "SELECT ?, id, ?, COALESCE(decided_by, ''), '', 0 FROM record WHERE id = ?",
            (now, action, number),
        )

    def _prune(self, db: sqlite3.Connection, now: int) -> None:
        """Give up what is old, and what is too much."""
        db.execute("UPDATE record SET outcome = 'expired' WHERE outcome = 'open' AND expires_ms <= ?", (now,))
        db.execute("DELETE FROM record WHERE outcome != 'open' AND expires_ms <= ?", (now - self._keep_ms,))
        # What is over comes first; an approval by which nothing has passed is not.
        for over in (
            "outcome IN ('rejected', 'expired') OR used_ms IS NOT NULL",
            "decision = 'block'",
        ):
            left = db.execute("SELECT count(*) FROM record").fetchone()[0] + _ROUND - self._most
            if left > 0:
                db.execute(
                    f"DELETE FROM record WHERE id IN (SELECT id FROM record WHERE {over} ORDER BY opened_ms LIMIT ?)",  # noqa: S608 -- one of the two above
                    (left,),
                )
        db.execute(
            "DELETE FROM audit WHERE (told = 1 OR at_ms <= ?) AND record NOT IN (SELECT id FROM record)",
            (now - self._keep_ms,),
        )
        if db.execute("SELECT count(*) FROM record").fetchone()[0] >= max(self._most, _ROUND):
            # The next one looks again.
            self._opened -= 1
            raise StateUnavailable("escalation records cannot be written: too many wait for people")

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
        with self._writing() as db:
            changed = db.execute(
                "UPDATE record SET outcome = ?, decided_ms = ?, decided_by = ?, note = ? "
                "WHERE id = ? AND outcome = 'open'",
                (outcome, now, actor, note, number),
            ).rowcount
            if changed:
                db.execute(
                    "INSERT INTO audit (at_ms, record, action, actor, note, told) VALUES (?, ?, ?, ?, ?, 0)",
                    (now, number, f"override.{outcome}", actor, note),
                )
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

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction.

        Raises:
            StateUnavailable: it is not on the disk.
        """
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield self._db
                self._db.execute("COMMIT")
            except sqlite3.Error as error:
                self._rollback()
                raise StateUnavailable(f"escalation records cannot be written: {type(error).__name__}") from None
            except BaseException:
                self._rollback()
                raise

    def _rollback(self) -> None:
        try:
            self._db.execute("ROLLBACK")
        except sqlite3.Error:
            # There was nothing open.
            return


def _private(path: str) -> None:
    """Make a file that others may not read, or take that right from one that is there; its group keeps what it has."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
        if mode & 0o007 and os.fstat(descriptor).st_uid == os.getuid():
            os.fchmod(descriptor, mode & ~0o007)
    finally:
        os.close(descriptor)
