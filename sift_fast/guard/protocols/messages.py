"""Streams of Anthropic's `messages`: blocks, one after the other, each with a beginning, deltas and an end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sift_fast.guard.protocols.openai import OPAQUE, alone, calls_of, check_answer, check_call, check_strings
from sift_fast.guard.protocols.sse import Events

if TYPE_CHECKING:
    from sift_fast.guard.guard import Guard
    from sift_fast.guard.verdict import RequestContext

__all__ = ["MessageEvents"]

Documents = list[dict[str, Any]]
#: Keys that hold texts, by the type of an event.
_TEXTS = {
    "content_block_delta": ("delta",),
    "content_block_start": ("content_block",),
    "message_start": ("message",),
}


class MessageEvents(Events):
    """Texts and thoughts pass as they grow; a block with an `input` comes out whole."""

    def __init__(self, guard: Guard, context: RequestContext, asked: Mapping[str, Any] | None = None) -> None:
        super().__init__(guard, context, asked)
        #: Blocks whose beginning went out, and those that are held with their input.
        self._open: dict[int, None] = {}
        self._held: dict[int, tuple[dict[str, Any], list[str]]] = {}
        #: The number of the next block that goes out: clients count on it that none is left out.
        self._next = 0
        self._begun = False
        #: Ids and tools of its calls.
        self._calls: list[tuple[str, str]] = []
        self._usage: dict[str, Any] = {"output_tokens": 0}

    def _texts_of(self, document: dict[str, Any]) -> tuple[str, ...]:
        return _TEXTS.get(str(document.get("type")), ())

    async def _document(self, document: dict[str, Any]) -> Documents:
        kind = document.get("type")
        if kind == "content_block_delta":
            return await self._delta(document)
        if kind == "content_block_start":
            return await self._start(document)
        if kind == "content_block_stop":
            index = int(document["index"])
            if index in self._held:
                return [*await self._call(index), document]
            out = await self._rest(index)
            self._open.pop(index, None)
            return [*out, document]
        if kind == "message_start":
            self._begun = True
            message = await check_answer(self._guard, document["message"], self._context)
            return [{**document, "message": message}]
        if kind == "message_delta" and isinstance(document.get("usage"), dict):
            self._usage = document["usage"]
        return [document]

    async def _start(self, document: dict[str, Any]) -> Documents:
        index, block = int(document["index"]), dict(document["content_block"])
        if "input" in block:
            self._keep(block)
            self._held[index] = (document, [])
            return []
        out: Documents = []
        for key, value in block.items():
            if isinstance(value, str) and key not in OPAQUE:
                text = await self._text((index, key)).feed(value)
                block[key] = ""
                if text:
                    out.append(self._piece(index, key, text))
            else:
                block |= await check_strings(self._guard, {key: value}, self._context)
        self._open[index] = None
        self._next = index + 1
        return [{**document, "content_block": block}, *out]

    async def _delta(self, document: dict[str, Any]) -> Documents:
        index, delta = int(document["index"]), dict(document["delta"])
        if delta.get("type") == "input_json_delta":
            piece = delta["partial_json"]
            self._keep(piece)
            self._held[index][1].append(piece)
            return []
        shown, out = {}, []
        for key, value in delta.items():
            if isinstance(value, str) and key not in OPAQUE:
                text = await self._text((index, key)).feed(value)
                if text:
                    shown[key] = text
            elif key != "type":
                # What stands behind a text, as a signature does, comes behind it.
                out += await self._rest(index) if key == "signature" else []
                shown[key] = await self._beside(value, str(index), key)
        return [*out, {**document, "delta": {"type": delta.get("type"), **shown}}] if shown else out

    async def _rest(self, index: int) -> Documents:
        out = []
        for (at, key), text in self._texts.items():
            if at == index:
                rest = await text.finish()
                if rest:
                    out.append(self._piece(index, key, rest))
        return out

    async def _call(self, index: int) -> Documents:
        """A block with an input, checked."""
        document, pieces = self._held.pop(index)
        held = document["content_block"]
        self._calls += calls_of({"content": [held]})
        alone(self._guard, self._calls, self._context)
        block = {**self._scrub({key: value for key, value in held.items() if key != "input"}), "input": held["input"]}
        document = {**document, "content_block": block}
        arguments: Any = "".join(pieces) or block["input"]
        if block.get("type") == "tool_use":
            arguments = await check_call(self._guard, str(block.get("name")), arguments, self._context)
        else:
            # The provider's own tools have run by now: only what can be read of them is the guard's.
            arguments = self._scrub(arguments)
        self._next = index + 1
        if not isinstance(arguments, str):
            return [{**document, "content_block": {**block, "input": arguments}}]
        # An input that came in pieces is what they say, whatever stood at the beginning.
        document = {**document, "content_block": {**block, "input": {}}}
        delta = {"type": "input_json_delta", "partial_json": arguments}
        return [document, {"type": "content_block_delta", "index": index, "delta": delta}]

    async def _end(self) -> Documents:
        self._held.clear()
        return [piece for index in list(self._open) for piece in await self._rest(index)]

    def _piece(self, index: int, key: str, text: str) -> dict[str, Any]:
        return {"type": "content_block_delta", "index": index, "delta": {"type": f"{key}_delta", key: text}}

    def _closing(self, message: str, *, failed: bool) -> Documents:
        if not self._begun:
            return [self._error(message)]
        out: Documents = [{"type": "content_block_stop", "index": index} for index in self._open]
        block = {"type": "text", "text": ""}
        out += [
            {"type": "content_block_start", "index": self._next, "content_block": block},
            self._piece(self._next, "text", message),
            {"type": "content_block_stop", "index": self._next},
        ]
        if failed:
            return [*out, self._error(message)]
        delta = {"stop_reason": "refusal", "stop_sequence": None}
        return [*out, {"type": "message_delta", "delta": delta, "usage": self._usage}, {"type": "message_stop"}]

    def _error(self, message: str) -> dict[str, Any]:
        return {"type": "error", "error": {"type": "api_error", "message": message}}
