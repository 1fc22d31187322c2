"""Events in a transparency log: what the guard decided can be proved later, and neither changed nor left out.

The folder holds `keys.toml` (public), `log.key` (private, its owner's only) and the log itself under `ledger/`, to be
audited with `sift-fast verify --ledger FOLDER/ledger --keys FOLDER/keys.toml`. An event is a receipt of class
`batched`: it is signed through the checkpoint that includes it. One process writes a folder.
"""

from __future__ import annotations

import json
import os
import secrets
import time
import weakref
from typing import TYPE_CHECKING, Any

from sift_fast import _core
from sift_fast.errors import ConfigError, StateUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from sift_fast.guard.escalation import Desk
    from sift_fast.guard.events import Recorder

__all__ = ["LedgerSink", "carry"]

#: How long events gather for one commit: what a crash can lose, and what keeps the disk from being flushed for each.
_INTERVAL_US = 20_000
_QUEUE_BYTES = 16 << 20
_BACK_PRESSURE_S = 1.0
_STEP_S = 0.005
_KEY_ID = "guard-log"
#: How often it is looked for what people decided, and whether the disk still takes something.
_ROUND_S = 0.5
#: Entries of a tile, bytes of a hash (c2sp.org/tlog-tiles).
_TILE, _HASH = 256, 32
#: Tiles that are looked at each time: the newest, and of all others so many in turn.
_NEWEST, _TURN = 4, 64


class LedgerSink:
    """Appends events to a transparency log.

    Verdicts do not wait for the disk: an event is there after the next commit, 20 ms later at most. A full queue makes
    them wait for a second; then, and when a write failed, they fail, and so does the text.

    Args:
        folder: made with a key of its own if it is not there.
        origin: name of the log where it is new; empty for a random one. No other log may ever have it.

    Raises:
        ConfigError: the folder cannot be written, its files are none of a ledger, or another process writes it.
        StateUnavailable: the log is damaged.
    """

    def __init__(self, folder: str, origin: str = "") -> None:
        key, public = os.path.join(folder, "log.key"), os.path.join(folder, "keys.toml")
        try:
            os.makedirs(folder, mode=0o700, exist_ok=True)
            if not os.path.exists(key):
                _make_key(key, public, origin or f"guard/{secrets.token_hex(8)}")
            name = _origin(public)
        except OSError as error:
            raise ConfigError(f"events: the ledger cannot be opened: {(error.strerror or 'error').lower()}") from None
        self._engine = _core.build_info()["version"]
        self._log = _core._Ledger(
            os.path.join(folder, "ledger"), name, key, _core.Keys.load(public), _INTERVAL_US, _QUEUE_BYTES
        )
        self._files = _Files(folder)
        #: Whether a write failed: then nothing is taken any more, until the configuration is loaded again.
        self.failed = False

    def write(self, event: dict[str, Any]) -> None:
        """Put one event in line.

        Raises:
            StateUnavailable: a write failed, the queue stays full, or the process is a forked child.
        """
        document = json.dumps(event, ensure_ascii=True, separators=(",", ":")).encode()
        waited = 0.0
        while waited < _BACK_PRESSURE_S and self.full:
            time.sleep(_STEP_S)
            waited += _STEP_S
        try:
            self._log.append(
                event=event["type"],
                id=event["id"],
                tenant=event.get("tenant", ""),
                role=event.get("role", ""),
                tool=event.get("tool") or "",
                decision=event["decision"],
                reason=event["reason"],
                rules=[rule for part in event.get("guardrails", ()) for rule in part["rules"]],
                policy_version=event.get("policy_version"),
                engine=self._engine,
                at_ms=event["time_ms"],
                document=document,
            )
        except StateUnavailable:
            self.failed = True
            raise

    @property
    def full(self) -> bool:
        """Whether the next event may have to wait."""
        try:
            return self._log.full
        except StateUnavailable:
            # It is closed, or another process's: the write will say so.
            return False

    @property
    def lag(self) -> int:
        """Bytes of events that wait for a commit."""
        try:
            return self._log.queued
        except StateUnavailable:
            return 0

    def look(self) -> None:
        """See whether the disk still takes something, so that a guard without events notices too."""
        try:
            self._log.flush(5_000)
            there = self._files.stay(self._log.size)
        except (OSError, StateUnavailable):
            there = False
        # A folder that was deleted takes what is written to its open files, and nobody can audit it.
        self.failed = self.failed or not there

    def flush(self, timeout_s: float = 5.0) -> None:
        """Wait until everything so far is on the disk and can be audited.

        Raises:
            StateUnavailable: it is not.
        """
        self._log.flush(int(timeout_s * 1_000))

    def close(self) -> None:
        """Write out what waits and let go of the folder."""
        self._log.close()


class _Files:
    """What of a ledger must stay where it is: its keys and folders, and every tile that is complete.

    Args:
        folder: of the ledger, open already.
    """

    def __init__(self, folder: str) -> None:
        self._log = os.path.join(folder, "ledger")
        #: Public keys are added to it while the guard runs: it may be another file, but not none.
        self._public = os.path.join(folder, "keys.toml")
        self._fixed = {path: os.stat(path).st_ino for path in (os.path.join(folder, "log.key"), self._log)}
        #: Bytes of complete tiles of entries, as they were when they were first seen; those of hashes are all alike.
        self._tiles: list[int] = []
        self._next = 0

    def stay(self, size: int) -> bool:
        """Whether they are as they were: the fixed ones, the newest tiles, and some of the older ones in turn.

        Args:
            size: entries of the log that are on the disk, published.

        Raises:
            OSError: one of them is gone.
        """
        if any(os.stat(path).st_ino != inode for path, inode in self._fixed.items()):
            return False
        checkpoint = os.path.join(self._log, "checkpoint")
        if not os.stat(self._public).st_size or (size and not os.stat(checkpoint).st_size):
            return False
        whole = size // _TILE
        known = len(self._tiles)
        self._tiles += [os.stat(self._tile("entries", number)).st_size for number in range(known, whole)]
        turn = range(self._next, min(self._next + _TURN, whole))
        self._next = turn.stop if turn.stop < whole else 0
        return all(
            os.stat(self._tile("entries", number)).st_size == self._tiles[number]
            and os.stat(self._tile("0", number)).st_size == _TILE * _HASH
            for number in (*range(max(0, known - _NEWEST), whole), *turn)
        )

    def _tile(self, level: str, number: int) -> str:
        """Where a complete tile lies: its number in groups of three digits (c2sp.org/tlog-tiles)."""
        parts = [f"{number % 1_000:03}"]
        while number := number // 1_000:
            parts.insert(0, f"x{number % 1_000:03}")
        return os.path.join(self._log, "tile", level, *parts)


def _make_key(key: str, public: str, origin: str) -> None:
    made = _core.SigningKey.generate(_KEY_ID, "")
    made.save(key)
    rows = {"id": _KEY_ID, "purpose": "log", "algorithm": "ed25519", "public": made.public, "name": origin}
    # A JSON string is one of TOML as well.
    text = "".join(f"{name} = {json.dumps(value)}\n" for name, value in rows.items())
    with open(public, "x", encoding="utf-8") as file:
        file.write(f"[[key]]\n{text}")


def _origin(public: str) -> str:
    import tomllib

    with open(public, "rb") as file:
        try:
            entries = tomllib.load(file)["key"]
            return next(str(entry["name"]) for entry in reversed(entries) if entry["purpose"] == "log")
        except (tomllib.TOMLDecodeError, KeyError, TypeError, StopIteration):
            raise ConfigError("events: `keys.toml` of the ledger names no log") from None


def carry(desk: Desk, recorder: Callable[[], Recorder | None]) -> None:
    """Write an event for everything that people did, in this process or another, until the guard is gone.

    Args:
        desk: where it stands.
        recorder: what writes events now; None when the guard is gone.
    """
    while True:
        current = recorder()
        if current is None:
            return
        try:
            for place, at_ms, record, action, actor, tenant in desk.untold():
                current.override(place, at_ms, record, action, actor, tenant)
                desk.tell(place)
        except Exception:  # noqa: BLE001, S110 -- it stays untold, and the next round tries again
            pass
        current.look()
        del current
        time.sleep(_ROUND_S)


def recorder_of(guard: Any) -> Callable[[], Recorder | None]:
    """What `carry` asks: it must not keep a guard alive that nobody uses any more."""
    kept = weakref.ref(guard)

    def recorder() -> Recorder | None:
        alive = kept()
        return None if alive is None else alive._state.recorder

    return recorder
