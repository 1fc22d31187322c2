"""Streams of model answers as server-sent events: what all protocols share.

Events are cut, read, and written anew in one spelling, so that no client can read one differently from the guard. Texts
pass an `OutputStream` each; a tool call waits until its arguments are complete and checked, for what acts on half of
them has acted. What a protocol says in which event is in `chat`, `messages` and `responses`.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from sift_fast.errors import LimitExceeded
from sift_fast.guard._json import rough_size
from sift_fast.guard.protocols.openai import OPAQUE, Blocked, count, is_name, scrub
from sift_fast.guard.verdict import Verdict

if TYPE_CHECKING:
    from sift_fast.guard._stream import OutputStream
    from sift_fast.guard.guard import Guard
    from sift_fast.guard.verdict import RequestContext

__all__ = ["Events", "Frames", "Text", "heads"]

#: Most bytes of one event, and of the texts and arguments of one answer that must be kept.
_MOST = 4 << 20
#: What an entry takes besides what is in it, about.
_ENTRY = 4
#: Most lines of one event: each costs the same, however short it is.
_MOST_LINES = 10_000
#: Most texts of one answer: choices, parts, thoughts.
_MOST_TEXTS = 1_000
#: What ends a line. A carriage return at the end of what has come may be half of a line's end.
_LINE_END = re.compile(rb"\r\n|\n|\r(?=[^\n])")
#: Characters of a text, as it came, that are read again with the next one.
_TAIL = 2_048
#: Characters that are read in one go.
_SLICE = 8_192
#: What an event may call itself.
_KIND = re.compile(r"[A-Za-z0-9_.:-]{1,100}")
#: Lines beside the data that go on. Some clients end a line where Unicode does, so others are not spelled out.
_HEAD = re.compile(rb"event: ?[A-Za-z0-9_.:/-]{1,100}|id: ?[!-~]{0,256}|retry: ?[0-9]{1,9}|:[ -~]{0,256}")
_NOT_CHECKED = "the answer could not be checked"


class Frames:
    r"""Cuts bytes into events.

    Example:
        >>> frames = Frames()
        >>> frames.feed(b"data: a\r\n\r"), frames.feed(b"\ndata: b")
        ([], [[b'data: a']])
    """

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._lines: list[bytes] = []
        #: Bytes that wait for the end of a line, and of whole lines that wait for the end of their event.
        self._size = 0
        self._held = 0
        self._begun = False
        self._return = False

    def feed(self, data: bytes) -> list[list[bytes]]:
        """Take bytes; returns the events that are complete, each as its lines. An incomplete one never comes out.

        Raises:
            LimitExceeded: one event is larger than 4 MiB, or has very many lines.
        """
        events: list[list[bytes]] = []
        self._parts.append(data)
        self._size += len(data)
        if self._return or b"\n" in data or b"\r" in data:
            *lines, rest = _LINE_END.split(b"".join(self._parts))
            self._parts = [rest]
            self._size = len(rest)
            for line in lines:
                if not self._begun:
                    self._begun = True
                    # The one byte order mark that clients skip.
                    line = line.removeprefix(b"\xef\xbb\xbf")  # noqa: PLW2901 -- the same line
                if line:
                    self._lines.append(line)
                    self._held += len(line)
                elif self._lines:
                    events.append(self._lines)
                    self._lines, self._held = [], 0
        self._return = data.endswith(b"\r")
        if self._size + self._held > _MOST or len(self._lines) > _MOST_LINES:
            raise LimitExceeded(f"an event of the stream is larger than 4 MiB or has more than {_MOST_LINES} lines")
        return events


def heads(lines: Iterable[bytes]) -> list[bytes]:
    r"""Of an event's lines those that are no data and go on; of a comment that is not plain, that there is one.

    Example:
        >>> heads([b"id: 7", b": ping", b":\xe2\x80\xa8", b"data: {}", b"event: a b"])
        [b'id: 7', b': ping', b':']
    """
    return [line if plain else b":" for line in lines if (plain := _HEAD.fullmatch(line)) or line.startswith(b":")]


class Text:
    """One text of an answer on its way through the guard.

    Args:
        stream: what checks it.
        kept: whether what came in and went out is kept, for protocols that say it once more.
        after: the end of what came before it.

    Attributes:
        ended: whether it is complete.
        tail: the end of what came in, of it and before it: some of it may wait while the next text begins.
    """

    __slots__ = ("_begun", "_kept", "_raw", "_shown", "_stream", "ended", "tail")

    def __init__(self, stream: OutputStream, *, kept: bool, after: str = "") -> None:
        self._stream = stream
        self._kept = kept
        self._begun = False
        self._raw: list[str] = []
        self._shown: list[str] = []
        self.ended = False
        self.tail = after

    @property
    def raw(self) -> str:
        """What came in."""
        return "".join(self._raw)

    @property
    def shown(self) -> str:
        """What went out."""
        return "".join(self._shown)

    async def feed(self, piece: str) -> str:
        """Take a piece; returns what may be shown.

        Raises:
            Blocked: the answer is stopped.
            ValueError: the text was complete.
        """
        if self.ended:
            raise ValueError("a text goes on after its end")
        self._begun = self._begun or bool(piece)
        self.tail = (self.tail + piece)[-_TAIL:]
        if self._kept:
            self._raw.append(piece)
        out = []
        # In slices, however large a delta is: others wait for this loop, and any split gives the same.
        for at in range(0, len(piece), _SLICE):
            if at:
                await asyncio.sleep(0)
            out.append(self._stream.feed(piece[at : at + _SLICE]))
            if self._stream.is_stopped():
                return await self.finish()
        if self._kept:
            self._shown += out
        return "".join(out)

    async def finish(self) -> str:
        """The rest of it, once.

        Raises:
            Blocked: the answer is stopped.
        """
        if self.ended:
            return ""
        self.ended = True
        if not self._begun:
            # A text that was announced and never came.
            return ""
        out = await self._stream.finish_async()
        if self._stream.is_stopped():
            assert self._stream.verdict is not None  # noqa: S101 -- there is one once a stream is finished
            raise Blocked(self._stream.verdict)
        if self._kept:
            self._shown.append(out)
        return out

    def abort(self) -> None:
        """Discard what is held."""
        self._stream.abort()


class Events:
    """Rewrites a stream of events; the base of one class for each protocol.

    Args:
        guard: decides.
        context: who asked.
        asked: the request.

    Attributes:
        stopped: whether nothing more of the answer comes out; its source may be closed.
    """

    #: Whether the type of an event stands in a line of its own as well.
    named = True
    #: Whether a text that came in pieces is said once more as a whole.
    repeats = False

    def __init__(self, guard: Guard, context: RequestContext, asked: Mapping[str, Any] | None = None) -> None:
        self._guard = guard
        self._context = context
        self._asked = asked or {}
        self._frames = Frames()
        self._texts: dict[Any, Text] = {}
        self._kept = 0
        #: Beside the texts, by where it stands: a hash of what was said there last, and the end of all that was.
        self._aside: dict[tuple[str, ...], tuple[int, str]] = {}
        self.stopped = False

    async def feed(self, data: bytes) -> bytes:
        """Take bytes as they come from the model; returns whole events, those that end a stopped answer among them.

        What goes wrong ends the stream as its protocol says; nothing is raised.
        """
        out: list[bytes] = []
        try:
            for lines in self._frames.feed(data):
                if self.stopped:
                    break
                out.append(await self._read(lines))
        except Blocked as blocked:
            out.append(self._stop(blocked.verdict))
        except Exception:  # noqa: BLE001 -- an event that cannot be read is not passed on, nor is what follows
            out.append(self.fail())
        return b"".join(out)

    async def finish(self) -> bytes:
        """End a stream that ended without saying so: texts that are held are checked and given out, tool calls and
        incomplete events are not.
        """
        if self.stopped:
            return b""
        try:
            return self._written(await self._end())
        except Blocked as blocked:
            return self._stop(blocked.verdict)
        except Exception:  # noqa: BLE001 -- what cannot be checked is not shown
            return self.fail()

    def fail(self) -> bytes:
        """End it because the answer cannot be read or its source broke: nothing that is held comes out."""
        self.abort()
        return self._written([self._error(_NOT_CHECKED)])

    def abort(self) -> None:
        """Leave it: nobody listens any more, and what is held is discarded."""
        self.stopped = True
        for text in self._texts.values():
            text.abort()

    def _stop(self, verdict: Verdict) -> bytes:
        self.abort()
        failed = verdict.status in {"error", "timeout"}
        return self._written(self._closing(verdict.message, failed=failed), last=True)

    # --- what a protocol says ---------------------------------------------------------------------------------------

    def _texts_of(self, document: dict[str, Any]) -> tuple[str, ...]:
        """Keys of an event whose values `_document` checks."""
        raise NotImplementedError

    async def _document(self, document: dict[str, Any]) -> list[dict[str, Any]]:
        """An event's document; returns those that may go out in its place."""
        raise NotImplementedError

    async def _end(self) -> list[dict[str, Any]]:
        """What is still held when the source ended without saying so."""
        raise NotImplementedError

    def _closing(self, message: str, *, failed: bool) -> list[dict[str, Any]]:
        """The protocol's own end of an answer that is stopped."""
        raise NotImplementedError

    def _error(self, message: str) -> dict[str, Any]:
        """The protocol's own error."""
        raise NotImplementedError

    # --- what they share --------------------------------------------------------------------------------------------

    def _text(self, key: Any) -> Text:
        text = self._texts.get(key)
        if text is None:
            if len(self._texts) >= _MOST_TEXTS:
                raise LimitExceeded(f"an answer has more than {_MOST_TEXTS} texts")
            # Texts of one sort are read one behind the other.
            sort = self._sort(key)
            before = next((self._texts[other] for other in reversed(self._texts) if self._sort(other) == sort), None)
            after = before.tail if before is not None else ""
            stream = self._guard.stream_output((), self._context, say=False, after=after)
            text = Text(stream, kept=self.repeats, after=after)
            self._texts[key] = text
        return text

    def _sort(self, key: Any) -> Any:
        """What a client joins texts by."""
        return key[1]

    def _keep(self, value: Any, besides: int = _ENTRY) -> None:
        """Count what is kept of an answer until its end, and what that takes besides, in bytes or characters."""
        self._kept += besides + rough_size(value, _MOST)
        if self._kept > _MOST:
            raise LimitExceeded("an answer holds more than 4 MiB that must be kept")

    def _scrub(self, value: Any) -> Any:
        return scrub(self._guard, value, self._context)

    async def _beside(self, value: Any, *path: str) -> Any:
        """What stands beside the texts, without secrets and personal data. A client may join what comes under one name,
        event by event, as it joins the texts: so it is read together too.

        Raises:
            Blocked: together it is something that does not go on.
        """
        await self._joined(value, path)
        return self._scrub(value)

    async def _joined(self, value: Any, path: tuple[str, ...]) -> None:
        if isinstance(value, Mapping):
            for key, inner in value.items():
                await self._joined(inner, (*path, key))
        elif isinstance(value, list):
            for number, inner in enumerate(value):
                await self._joined(inner, (*path, str(number)))
        elif isinstance(value, str) and value and not (path[-1:] and path[-1] in OPAQUE and is_name(path[-1], value)):
            last, tail = self._aside.get(path, (0, ""))
            if hash(value) == last:
                # Most of what stands here says the same in each event.
                return
            if not tail and len(self._aside) >= _MOST_TEXTS:
                raise LimitExceeded(f"an answer has more than {_MOST_TEXTS} texts")
            if tail and await self._guard.lies_across(tail, value, self._context):
                raise Blocked(self._guard.refuse("output", "guard.split", self._context))
            self._aside[path] = hash(value), (tail + value)[-_TAIL:]

    async def _read(self, lines: list[bytes]) -> bytes:
        data = [line[5:].removeprefix(b" ") for line in lines if line.startswith(b"data:")]
        head = [self._scrub(line.decode()).encode() for line in heads(lines)]
        if not data:
            return b"".join(line + b"\n" for line in head) + b"\n" if head else b""
        joined = b"\n".join(data)
        if joined.strip() == b"[DONE]":
            out = await self.finish()
            return out if self.stopped else out + b"data: [DONE]\n\n"
        document = json.loads(joined.decode("utf-8"))
        if not isinstance(document, dict):
            raise ValueError("an event is no JSON object")  # noqa: TRY004 -- one handler for all that is no event
        count(document)
        # It says how long a text is, and differs in every event.
        document.pop("obfuscation", None)
        kind = document.get("type")
        if self.named:
            if not isinstance(kind, str) or not _KIND.fullmatch(kind):
                raise ValueError("an event has no type")
            head = [line for line in head if not line.startswith(b"event:")]
        # What the protocol does not know beside its texts is read as well.
        mine = self._texts_of(document)
        rest = await self._beside({key: value for key, value in document.items() if key not in mine}, str(kind or ""))
        return self._written(await self._document({**document, **rest}), head)

    def _written(self, documents: Iterable[dict[str, Any]], head: Iterable[bytes] = (), *, last: bool = False) -> bytes:
        out: list[bytes] = []
        for number, document in enumerate(documents):
            if number == 0:
                out.extend(line + b"\n" for line in head)
            if self.named and isinstance(document.get("type"), str):
                out.append(b"event: " + document["type"].encode() + b"\n")
            out.append(b"data: " + json.dumps(document, separators=(",", ":")).encode() + b"\n\n")
        if last and not self.named:
            out.append(b"data: [DONE]\n\n")
        return b"".join(out)
