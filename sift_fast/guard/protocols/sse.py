"""Streams of model answers as server-sent events: framing is kept, texts pass a guard, tool calls wait for one.

A tool call reaches the client only when its arguments are complete and checked: what acts on half of them has acted.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sift_fast.errors import LimitExceeded
from sift_fast.guard.protocols.openai import Blocked, check_call

if TYPE_CHECKING:
    from sift_fast.guard.guard import Guard
    from sift_fast.guard.verdict import RequestContext

__all__ = ["ChatEvents", "HeldEvents"]

_MAX_EVENT = 4 << 20


class ChatEvents:
    """Rewrites a stream of chat completion events.

    Args:
        guard: decides.
        context: who asked.

    Attributes:
        stopped: whether nothing more of the answer comes out; the source may be closed.
    """

    def __init__(self, guard: Guard, context: RequestContext) -> None:
        self._guard = guard
        self._context = context
        self._rest = b""
        self._streams: dict[int, Any] = {}
        self._calls: dict[int, dict[int, dict[str, Any]]] = {}
        self._shell: dict[str, Any] = {}
        self._ended: set[int] = set()
        self.stopped = False

    async def feed(self, data: bytes) -> bytes:
        """Take bytes as they come from the model; returns whole events.

        Raises:
            LimitExceeded: one event is larger than 4 MiB.
        """
        self._rest += data
        if len(self._rest) > _MAX_EVENT:
            raise LimitExceeded("an event of the stream is larger than 4 MiB")
        out: list[bytes] = []
        while not self.stopped:
            cut, size = _boundary(self._rest)
            if cut < 0:
                break
            event, self._rest = self._rest[:cut], self._rest[cut + size :]
            out.append(await self._event(event))
        return b"".join(out)

    async def finish(self) -> bytes:
        """End a stream that ended without saying so: what is held is checked and given out."""
        out = [await self._end(index) for index in list(self._streams) if not self.stopped]
        return b"".join(out)

    async def _event(self, event: bytes) -> bytes:
        lines = event.replace(b"\r\n", b"\n").split(b"\n")
        data = b"\n".join(line[5:].removeprefix(b" ") for line in lines if line.startswith(b"data:"))
        if not data:
            return event + b"\n\n"
        if data.strip() == b"[DONE]":
            return await self.finish() + event + b"\n\n"
        document = json.loads(data)
        choices = document.get("choices") if isinstance(document, dict) else None
        if not isinstance(choices, list) or not choices:
            return event + b"\n\n"
        self._shell = {key: value for key, value in document.items() if key not in {"choices", "usage"}}
        before = b""
        kept = []
        for choice in choices:
            more, keep = await self._choice(choice)
            before += more
            if keep is not None:
                kept.append(keep)
        if not kept:
            return before
        return before + _encode({**document, "choices": kept})

    async def _choice(self, choice: dict[str, Any]) -> tuple[bytes, dict[str, Any] | None]:
        index = int(choice.get("index", 0))
        if index in self._ended:
            return b"", None
        delta = dict(choice.get("delta") or {})
        stream = self._streams.get(index)
        if stream is None:
            stream = self._streams[index] = self._guard.stream_output((), self._context)
        for key in ("content", "refusal", "reasoning_content"):
            if isinstance(delta.get(key), str):
                delta[key] = stream.feed(delta[key])
        for call in delta.pop("tool_calls", None) or ():
            held = self._calls.setdefault(index, {}).setdefault(int(call.get("index", 0)), {})
            _join(held, call)
        if stream.is_stopped() or choice.get("finish_reason") is not None:
            before = await self._end(index, text=delta.get("content") or "")
            if stream.is_stopped() or self.stopped:
                return before, None
            return before, {**choice, "delta": {}}
        return b"", {**choice, "delta": delta}

    async def _end(self, index: int, text: str = "") -> bytes:
        """What a choice still has: text that was held, then its tool calls, or the message for the user."""
        if index in self._ended:
            return b""
        self._ended.add(index)
        stream = self._streams[index]
        text += await stream.finish_async()
        try:
            calls = [await self._checked(number, call) for number, call in sorted(self._calls.get(index, {}).items())]
        except Blocked as blocked:
            self.stopped = True
            return self._chunk(index, {"content": blocked.verdict.message}, "content_filter")
        out = self._chunk(index, {"content": text}) if text and not stream.is_stopped() else b""
        if stream.is_stopped():
            self.stopped = True
            return self._chunk(index, {"content": text}, "content_filter")
        return out + (self._chunk(index, {"tool_calls": calls}) if calls else b"")

    async def _checked(self, number: int, call: dict[str, Any]) -> dict[str, Any]:
        function = call.get("function") or {}
        arguments = await check_call(
            self._guard, str(function.get("name")), function.get("arguments", ""), self._context
        )
        return {**call, "index": number, "function": {**function, "arguments": arguments}}

    def _chunk(self, index: int, delta: dict[str, Any], reason: str | None = None) -> bytes:
        choice = {"index": index, "delta": delta, "finish_reason": reason}
        return _encode({**self._shell, "choices": [choice]})


class HeldEvents:
    """Streams of `responses`, `messages` and `completions`: held until they are complete, then let through or not.

    Their events repeat texts in several places, so nothing is rewritten: an answer of which something would be edited
    does not go on.

    Args:
        guard: decides.
        context: who asked.
    """

    def __init__(self, guard: Guard, context: RequestContext) -> None:
        self._guard = guard
        self._context = context
        self._data = b""
        self.stopped = False

    async def feed(self, data: bytes) -> bytes:
        """Take bytes; nothing comes out before the end.

        Raises:
            LimitExceeded: the answer is larger than 4 MiB.
        """
        self._data += data
        if len(self._data) > _MAX_EVENT:
            raise LimitExceeded("a stream that must be held is larger than 4 MiB")
        return b""

    async def finish(self) -> bytes:
        """The whole stream, or an error event."""
        texts: dict[str, str] = {}
        calls: dict[str, dict[str, str]] = {}
        for event in self._data.replace(b"\r\n", b"\n").split(b"\n\n"):
            data = b"\n".join(line[5:] for line in event.split(b"\n") if line.startswith(b"data:")).strip()
            if data and data != b"[DONE]":
                _gather(json.loads(data), texts, calls)
        try:
            for text in texts.values():
                verdict = await self._guard.check_output(text, self._context)
                if verdict.decision not in {"allow", "flag"}:
                    raise Blocked(verdict)
            for call in calls.values():
                await check_call(self._guard, call.get("name", ""), call.get("arguments", ""), self._context)
        except Blocked as blocked:
            self.stopped = True
            error = {"message": blocked.verdict.message, "type": "guardrail", "code": "guardrail_blocked"}
            return b"event: error\n" + _encode({"type": "error", "error": error})
        return self._data


def _gather(event: Any, texts: dict[str, str], calls: dict[str, dict[str, str]]) -> None:
    """Join the pieces of one answer: texts by where they stand, calls by their number."""
    if not isinstance(event, dict):
        return
    kind = str(event.get("type", ""))
    place = f"{event.get('output_index', '')}/{event.get('content_index', '')}/{event.get('index', '')}"
    delta = event.get("delta")
    for begun in (event.get("content_block"), event.get("item")):
        if isinstance(begun, dict) and begun.get("type") in {"tool_use", "function_call"}:
            calls.setdefault(place, {})["name"] = str(begun.get("name"))
    piece = delta if isinstance(delta, str) else ""
    if isinstance(delta, dict):
        piece = str(delta.get("text") or delta.get("thinking") or "")
        if isinstance(delta.get("partial_json"), str):
            _append(calls.setdefault(place, {}), "arguments", delta["partial_json"])
    if "function_call_arguments" in kind:
        _append(calls.setdefault(place, {}), "arguments", piece)
    elif piece:
        _append(texts, f"{kind}{place}", piece)
    for choice in event.get("choices") or ():
        if isinstance(choice, dict) and isinstance(choice.get("text"), str):
            _append(texts, f"choice{choice.get('index')}", choice["text"])


def _append(to: dict[str, str], key: str, piece: str) -> None:
    to[key] = to.get(key, "") + piece


def _boundary(data: bytes) -> tuple[int, int]:
    found = [(at, len(mark)) for mark in (b"\n\n", b"\r\n\r\n") if (at := data.find(mark)) >= 0]
    return min(found, default=(-1, 0))


def _encode(document: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(document, separators=(",", ":")).encode() + b"\n\n"


def _join(held: dict[str, Any], call: dict[str, Any]) -> None:
    for key, value in call.items():
        if key == "function" and isinstance(value, dict):
            function = held.setdefault("function", {})
            for name, part in value.items():
                function[name] = function.get(name, "") + part if isinstance(part, str) else part
        elif key != "index" and value is not None:
            held[key] = value
