"""The record of what was decided: event schema 1, written as JSON lines and into a transparency log, off the path.

An event says who, where, what and why, never what was read. Every verdict other than `allow` is recorded; allow events
are sampled, and each says by how much. `docs/guard-events.md` tells the fields.
"""

from __future__ import annotations

import json
import os
import queue
import random
import secrets
import stat
import threading
from typing import TYPE_CHECKING, Any, Protocol

from sift_fast._clock import now_ms
from sift_fast.errors import ConfigError, StateUnavailable
from sift_fast.guard.verdict import is_id

if TYPE_CHECKING:
    from sift_fast.guard.verdict import RequestContext, Verdict

__all__ = ["SCHEMA_VERSION", "EventSink", "JsonLines", "Recorder", "make_event"]

SCHEMA_VERSION = 1
_BACK_PRESSURE_S = 1.0


class EventSink(Protocol):
    """Where events go. `write` may be called from any thread; an exception blocks the text it is about."""

    def write(self, event: dict[str, Any]) -> None:
        """Take one event."""
        ...


def make_event(verdict: Verdict, context: RequestContext, *, tenant: bool, sampled: float) -> dict[str, Any]:
    """A verdict as an event: no text, no user, no offsets."""
    event: dict[str, Any] = {
        "schema": SCHEMA_VERSION,
        "type": "verdict",
        "id": f"evt_{secrets.token_hex(8)}",
        "time_ms": now_ms(),
        "stage": verdict.stage,
        "decision": verdict.decision,
        "status": verdict.status,
        "reason": verdict.reason,
        "policy_id": verdict.policy_id,
        "policy_version": verdict.policy_version,
        "latency_us": round(verdict.latency_us, 1),
        "guardrails": [
            {
                "name": result.guardrail,
                "decision": result.decision,
                "enforced": result.enforced,
                "reason": result.reason,
                "score": round(result.score, 3),
                "status": result.status,
                "rules": list(result.rules),
            }
            for result in verdict.results
        ],
        "role": context.role,
        "trace_id": context.trace_id,
        "model": context.model if not context.model or is_id(context.model) else "other",
        "escalation": verdict.escalation,
        "receipt": verdict.receipt,
        "dropped": verdict.dropped,
        "sampled": sampled,
    }
    if verdict.tool:
        event["tool"] = verdict.tool
    if tenant:
        event["tenant"] = context.tenant
    return event


class JsonLines:
    """Appends events to a file, one JSON document a line, in the order in which they came.

    A thread writes what waits and flushes it to the disk once for all. A full queue makes verdicts wait for a second;
    then, and when the disk fails, they fail, and so does the text.

    Args:
        path: the file; made for its owner only.
        most: most events that wait.

    Raises:
        ConfigError: the file cannot be opened.
    """

    def __init__(self, path: str, most: int = 10_000) -> None:
        try:
            self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._mend()
        except OSError as error:
            reason = (error.strerror or "not writable").lower()
            raise ConfigError(f"events: `{os.path.basename(path)}` cannot be opened: {reason}") from None
        self._path = os.path.abspath(path)
        self._queue: queue.Queue[bytes | threading.Event] = queue.Queue(most)
        #: Whether the disk failed: then nothing is taken any more, until the configuration is loaded again.
        self.failed = False
        self._thread = threading.Thread(target=self._work, name="sift-events", daemon=True)
        self._thread.start()
        self._owner = os.getpid()

    def write(self, event: dict[str, Any]) -> None:
        """Queue one event.

        Raises:
            StateUnavailable: the disk failed, the queue stays full, or the process is a forked child.
        """
        if self.failed or os.getpid() != self._owner:
            raise StateUnavailable("events cannot be written: the file failed or belongs to another process")
        try:
            self._queue.put(json.dumps(event, separators=(",", ":")).encode() + b"\n", timeout=_BACK_PRESSURE_S)
        except queue.Full:
            raise StateUnavailable("events cannot be written: the queue is full") from None

    def _mend(self) -> None:
        """End a line that a crash or a full disk left open: the next event would be lost with it."""
        opened = os.fstat(self._file)
        if stat.S_ISREG(opened.st_mode) and opened.st_size and os.pread(self._file, 1, opened.st_size - 1) != b"\n":
            os.write(self._file, b"\n")

    @property
    def moved(self) -> bool:
        """Whether the file is no longer where it was: rotated, if it still has a name, else gone."""
        try:
            there, mine = os.stat(self._path), os.fstat(self._file)
        except OSError:
            return True
        return (there.st_dev, there.st_ino) != (mine.st_dev, mine.st_ino)

    def look(self) -> None:
        """See whether the file still has a name: what is written to one that was deleted is on nobody's record."""
        try:
            named = os.fstat(self._file).st_nlink > 0
        except OSError:
            named = False
        self.failed = self.failed or not named

    @property
    def full(self) -> bool:
        """Whether the next event has to wait."""
        return self._queue.full()

    @property
    def lag(self) -> int:
        """Events that wait."""
        return self._queue.qsize()

    def flush(self, timeout_s: float = 5.0) -> None:
        """Wait until everything queued so far is on the disk.

        Raises:
            StateUnavailable: it is not.
        """
        done = threading.Event()
        self._queue.put(done)
        if not done.wait(timeout_s) or self.failed:
            raise StateUnavailable("events are not on the disk")

    def _work(self) -> None:
        while True:
            batch = [self._queue.get()]
            try:
                while len(batch) < 1_000:
                    batch.append(self._queue.get_nowait())
            except queue.Empty:
                pass
            data = b"".join(item for item in batch if isinstance(item, bytes))
            try:
                view = memoryview(data)
                while view:
                    view = view[os.write(self._file, view) :]
                if data:
                    os.fdatasync(self._file)
                    self.look()
            except OSError:
                self.failed = True
            for item in batch:
                if isinstance(item, threading.Event):
                    item.set()


class Recorder:
    """Decides which verdicts become events and hands them to the sinks."""

    def __init__(self, sinks: tuple[EventSink, ...], *, sample_allow: float, tenant: bool) -> None:
        self._sinks = sinks
        self._sample = sample_allow
        self._tenant = tenant
        self._random = random.Random()
        # Asked for every verdict: only those that can answer.
        self._may_fail = tuple(sink for sink in sinks if hasattr(sink, "failed"))
        self._may_fill = tuple(sink for sink in sinks if hasattr(sink, "full"))

    @property
    def writes(self) -> bool:
        """Whether there is a sink at all."""
        return bool(self._sinks)

    @property
    def full(self) -> bool:
        """Whether a sink would make the next verdict wait."""
        return bool(self._may_fill) and any(sink.full for sink in self._may_fill)

    @property
    def failed(self) -> bool:
        """Whether a sink takes nothing any more: then no verdict can be relied on to be recorded."""
        return bool(self._may_fail) and any(sink.failed for sink in self._may_fail)

    @property
    def lag(self) -> dict[str, int]:
        """What waits to be written, by the sort of sink: events of a file, bytes of a ledger."""
        return {type(sink).__name__: sink.lag for sink in self._sinks if hasattr(sink, "lag")}

    def look(self) -> None:
        """Let sinks that can see whether they still work."""
        for sink in self._sinks:
            if hasattr(sink, "look"):
                sink.look()

    def wants(self, verdict: Verdict) -> bool:
        """Whether a verdict is recorded: all but plain allows, and a sample of those."""
        if not self._sinks:
            return False
        if verdict.decision != "allow" or verdict.status != "ok" or verdict.results:
            return True
        return self._sample > 0 and self._random.random() < self._sample

    def record(self, verdict: Verdict, context: RequestContext) -> None:
        """Write one event to every sink; what a sink raises goes on."""
        plain = verdict.decision == "allow" and verdict.status == "ok" and not verdict.results
        event = make_event(verdict, context, tenant=self._tenant, sampled=self._sample if plain else 1.0)
        self.write(event)

    def override(self, place: int, at_ms: int, record: str, action: str, actor: str, tenant: str) -> None:
        """Write what a person did with an escalation record. Told twice after a crash, it has the same `id`."""
        event = {
            "schema": SCHEMA_VERSION,
            "type": "override",
            "id": f"ovr_{record}_{place}",
            "time_ms": at_ms,
            "decision": action.rpartition(".")[2],
            "reason": action,
            "escalation": record,
            "actor": actor,
        }
        if self._tenant and tenant:
            event["tenant"] = tenant
        self.write(event)

    def write(self, event: dict[str, Any]) -> None:
        """Write an event that is no verdict."""
        for sink in self._sinks:
            sink.write(event)
