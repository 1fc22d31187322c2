"""Streams of OpenAI's `responses`: items with parts, each said in pieces, then whole, and in the end once more.

What was shown of a text in pieces is what every later event says of it. An item that calls a tool comes out whole.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sift_fast.guard.protocols.openai import (
    CALLS,
    OPAQUE,
    PARTS,
    alone,
    calls_of,
    check_item,
    check_strings,
    check_text,
    together,
)
from sift_fast.guard.protocols.sse import Events, Text

if TYPE_CHECKING:
    from sift_fast.guard._actions import Held
    from sift_fast.guard.guard import Guard
    from sift_fast.guard.verdict import RequestContext

__all__ = ["ResponseEvents"]

Documents = list[dict[str, Any]]
#: Item, list of parts, number in it.
Key = tuple[int, str, int]
#: Where the parts of an item stand, and under which number an event names one.
_LISTS = {"summary_index": "summary", "content_index": "content"}
#: What a finished part says its text under.
_WORDS = ("text", "refusal", "transcript", "code")
#: What a response says again of what the service asked.
_OWN = {"model", "object", "status", "service_tier"}
#: Pieces of an item, by its type.
_PIECE = re.compile(r"response\.(\w+?_call)_\w+\.(?:delta|done)")
#: Events whose piece is a sound.
_SOUND = {"response.audio.delta", "response.output_audio.delta"}


class ResponseEvents(Events):
    """Events with a `delta` are pieces of a text; all others are checked as they stand."""

    repeats = True

    def __init__(self, guard: Guard, context: RequestContext, asked: Mapping[str, Any] | None = None) -> None:
        super().__init__(guard, context, asked)
        self._shell: dict[str, Any] = {}
        self._number: int | None = None
        #: Items that wait for their end; those whose beginning went out; parts whose beginning went out.
        self._held: dict[int, dict[str, Any]] = {}
        self._open: dict[int, dict[str, Any]] = {}
        self._parts: dict[Key, dict[str, Any]] = {}
        #: Finished parts as they went out.
        self._shown: dict[Key, dict[str, Any]] = {}
        #: The last delta of each text, without its piece.
        self._told: dict[Key, dict[str, Any]] = {}
        #: Finished items as they came and as they went out.
        self._items: dict[int, tuple[dict[str, Any], dict[str, Any]]] = {}
        self._next = 0
        #: Ids and tools of its calls.
        self._calls: list[tuple[str, str]] = []

    def _texts_of(self, document: dict[str, Any]) -> tuple[str, ...]:
        kind = str(document.get("type"))
        if isinstance(document.get("response"), dict):
            return ("response",)
        if kind.startswith("response.output_item."):
            return ("item",)
        if "part" in document:
            return ("part",)
        if isinstance(document.get("delta"), str):
            return ("delta", "logprobs")
        return (*_WORDS, "logprobs") if kind.endswith(".done") else ()

    async def _document(self, document: dict[str, Any]) -> Documents:
        if self._number is None and isinstance(document.get("sequence_number"), int):
            self._number = document["sequence_number"]
        if sum(isinstance(document.get(key), dict | str) for key in ("response", "item", "part", "delta")) > 1:
            raise ValueError("an event says two things")
        piece = _PIECE.fullmatch(str(document.get("type")))
        if piece is not None and piece[1] in CALLS and document.get("output_index") not in self._held:
            raise ValueError("a call has pieces and no beginning")
        document = dict(document)
        # They spell what is taken out.
        if document.get("logprobs"):
            document["logprobs"] = []
        return [self._numbered(each) for each in await self._answered(document)]

    async def _answered(self, document: dict[str, Any]) -> Documents:
        kind, at = str(document.get("type", "")), document.get("output_index", -1)
        if isinstance(document.get("response"), dict):
            return await self._response(document)
        if kind == "response.output_item.added":
            return await self._added(at, document)
        if at in self._held and kind != "response.output_item.done":
            # Its pieces come again with the whole.
            return []
        if kind == "response.output_item.done":
            return await self._done(at, document)
        if "part" in document:
            return await self._part(document, ended=kind.endswith(".done"))
        if isinstance(document.get("delta"), str):
            return await self._delta(document)
        if "delta" in document:
            # Pieces that are no text come again with the whole.
            return []
        if kind.endswith(".done") and (word := _word(document)):
            text = self._text(_key(document))
            out = await self._rest(_key(document))
            others = [each for each in _WORDS if isinstance(document.get(each), str) and each != word]
            more = {each: await check_text(self._guard, document[each], self._context) for each in others}
            return [*out, {**document, **more, word: await self._same(text, document[word])}]
        return [document]

    # --- texts ------------------------------------------------------------------------------------------------------

    async def _delta(self, document: dict[str, Any]) -> Documents:
        if document["type"] in _SOUND:
            base64.b64decode(document["delta"], validate=True)
            return [document]
        key = _key(document)
        self._keep([document["delta"]] * 2)
        told = {name: value for name, value in document.items() if name not in {"delta", "sequence_number"}}
        self._told[key] = told
        text = await self._text(key).feed(document["delta"])
        return [{**document, "delta": text}] if text else []

    async def _rest(self, key: Key) -> Documents:
        """What was held of a text, at its end."""
        text = self._texts.get(key)
        rest = await text.finish() if text is not None else ""
        return [{**self._told[key], "delta": rest}] if rest else []

    async def _same(self, text: Text | None, whole: str) -> str:
        """A text that is said once more, as it was shown; one that was never said in pieces is checked."""
        if text is not None and text.ended and text.raw == whole:
            return text.shown
        return await check_text(self._guard, whole, self._context)

    async def _part(self, document: dict[str, Any], *, ended: bool) -> Documents:
        key = _key(document)
        out = await self._rest(key) if ended else []
        shown = {**document, "part": await self._filled(key, document["part"])}
        if ended:
            self._parts.pop(key, None)
            self._shown[key] = shown["part"]
        else:
            self._parts[key] = shown
        return [*out, shown]

    async def _filled(self, key: Key, part: dict[str, Any]) -> dict[str, Any]:
        word = _word(part)
        if word is None:
            return await check_strings(self._guard, part, self._context)
        rest = {name: value for name, value in part.items() if name != word}
        out = await check_strings(self._guard, rest, self._context)
        out[word] = await self._same(self._texts.get(key), part[word]) if part[word] else ""
        if out.get("logprobs"):
            out["logprobs"] = []
        if out[word] != part[word] and out.get("annotations"):
            # They name places in another text.
            out["annotations"] = []
        return out

    # --- items ------------------------------------------------------------------------------------------------------

    async def _added(self, at: int, document: dict[str, Any]) -> Documents:
        item = document["item"]
        if item.get("type") in CALLS:
            self._keep(document)
            self._held[at] = document
            return []
        shown = {**document, "item": await self._item(at, item)}
        self._open[at] = shown
        self._next = at + 1
        return [shown]

    async def _done(self, at: int, document: dict[str, Any]) -> Documents:
        out = [piece for key in list(self._texts) if key[0] == at for piece in await self._rest(key)]
        if at not in self._items:
            self._calls += calls_of(document["item"])
            alone(self._guard, self._calls, self._context)
        self._keep(document["item"])
        item = await self._item(at, document["item"])
        self._items[at] = (document["item"], item)
        self._open.pop(at, None)
        if at in self._held:
            out += self._whole(at, self._held.pop(at), item)
        return [*out, {**document, "item": item}]

    def _whole(self, at: int, added: dict[str, Any], item: dict[str, Any]) -> Documents:
        """A held item from its beginning, now that it is checked."""
        self._next = at + 1
        stem, word = {
            "function_call": ("function_call_arguments", "arguments"),
            "custom_tool_call": ("custom_tool_call_input", "input"),
        }.get(str(item.get("type")), ("", ""))
        if not word:
            return [{**added, "item": {**item, "status": "in_progress"}}]
        event = {"type": f"response.{stem}.delta", "output_index": at, "item_id": item.get("id")}
        return [
            {**added, "item": {**item, **added["item"], word: ""}},
            {**event, "delta": item.get(word, "")},
            {**event, "type": f"response.{stem}.done", "name": item.get("name"), word: item.get(word, "")},
        ]

    async def _item(self, at: int, item: dict[str, Any], held: Held | None = None) -> dict[str, Any]:
        """An item as it may be shown."""
        if at in self._items and self._items[at][0] == item:
            return self._items[at][1]
        if item.get("type") in CALLS:
            return await check_item(self._guard, item, self._context, held)
        rest = {name: value for name, value in item.items() if not isinstance(value, list) or name not in PARTS}
        out = await check_strings(self._guard, rest, self._context)
        for name in PARTS:
            if name not in rest and name in item:
                out[name] = [await self._filled((at, name, number), part) for number, part in enumerate(item[name])]
        return out

    async def _response(self, document: dict[str, Any]) -> Documents:
        response = {
            key: value if key in _OWN else await self._beside(value, "response", key)
            for key, value in document["response"].items()
            if key not in {"id", "output"}
        }
        response |= {key: document["response"][key] for key in ("id", "output") if key in document["response"]}
        out: Documents = []
        if response.get("status") not in {"in_progress", "queued"}:
            out = [piece for key in list(self._texts) for piece in await self._rest(key)]
        if isinstance(response.get("output"), list):
            async with together(self._guard) as held:
                response["output"] = [await self._item(at, item, held) for at, item in enumerate(response["output"])]
        said = self._asked.get("instructions")
        if "instructions" in response and document["response"]["instructions"] != said:
            # The service's own, which whoever asked need not know.
            response["instructions"] = None
        elif "instructions" in response:
            response["instructions"] = said
        if isinstance(response.get("output_text"), str):
            # A convenience of some servers: the texts once more.
            del response["output_text"]
        self._shell = response
        return [*out, {**document, "response": response}]

    # --- the end ----------------------------------------------------------------------------------------------------

    async def _end(self) -> Documents:
        self._held.clear()
        return [self._numbered(piece) for key in list(self._texts) for piece in await self._rest(key)]

    def _closing(self, message: str, *, failed: bool) -> Documents:
        if not self._shell:
            return [self._numbered(self._error(message))]
        out: Documents = []
        for key, begun in self._parts.items():
            out += self._close_part(key, begun, self._texts[key].shown if key in self._texts else "")
        for at, begun in self._open.items():
            item = {**begun["item"], "status": "incomplete"}
            for name in PARTS:
                if name in item:
                    item[name] = [part for key, part in sorted(self._shown.items()) if key[:2] == (at, name)]
            out.append(self._close_item(at, item))
        out += self._said(self._next, message)
        status = "failed" if failed else "incomplete"
        response = {
            **self._shell,
            "status": status,
            "output": [item for _, (_, item) in sorted(self._items.items())],
            "incomplete_details": None if failed else {"reason": "content_filter"},
            "error": {"code": "server_error", "message": message} if failed else None,
        }
        out.append({"type": f"response.{status}", "response": response})
        return [self._numbered(each) for each in out]

    def _close_part(self, key: Key, begun: dict[str, Any], text: str) -> Documents:
        word = _word(begun["part"]) or "text"
        part = self._shown[key] = {**begun["part"], word: text}
        told = {name: value for name, value in begun.items() if name not in {"part", "type"}}
        said = "output_text" if part.get("type") == "output_text" else str(part.get("type"))
        stem = begun["type"].removesuffix(".added")
        return [
            {**told, "type": _SAID.get(said, f"response.{said}.done"), word: text},
            {**told, "type": f"{stem}.done", "part": part},
        ]

    def _close_item(self, at: int, item: dict[str, Any]) -> dict[str, Any]:
        self._items[at] = ({}, item)
        return {"type": "response.output_item.done", "output_index": at, "item": item}

    def _said(self, at: int, message: str) -> Documents:
        """A message of the guard's own, event by event."""
        place = {"output_index": at, "item_id": f"msg_sift_{at}"}
        inner = {**place, "content_index": 0}
        item = {"id": place["item_id"], "type": "message", "role": "assistant", "status": "in_progress", "content": []}
        part = {"type": "output_text", "text": "", "annotations": []}
        full = {**part, "text": message}
        return [
            {"type": "response.output_item.added", "output_index": at, "item": item},
            {"type": "response.content_part.added", **inner, "part": part},
            {"type": "response.output_text.delta", **inner, "delta": message, "logprobs": []},
            {"type": "response.output_text.done", **inner, "text": message, "logprobs": []},
            {"type": "response.content_part.done", **inner, "part": full},
            self._close_item(at, {**item, "status": "completed", "content": [full]}),
        ]

    def _error(self, message: str) -> dict[str, Any]:
        return {"type": "error", "code": "guardrail_unavailable", "message": message, "param": None}

    def _numbered(self, document: dict[str, Any]) -> dict[str, Any]:
        """With the next number: some events are left out, others come in."""
        if self._number is None:
            return document
        self._number += 1
        return {**document, "sequence_number": self._number - 1}


#: Where a part's own event of its end has another name than the part.
_SAID = {
    "summary_text": "response.reasoning_summary_text.done",
    "reasoning_text": "response.reasoning_text.done",
}


def _key(document: dict[str, Any]) -> Key:
    """Which text an event is about: item, list of parts, number in it; other texts of an item by the event's name."""
    for index, name in _LISTS.items():
        if isinstance(document.get(index), int):
            return document.get("output_index", -1), name, document[index]
    return document.get("output_index", -1), str(document.get("type")).rpartition(".")[0], 0


def _word(part: dict[str, Any]) -> str | None:
    return next((word for word in _WORDS if isinstance(part.get(word), str) and word not in OPAQUE), None)
