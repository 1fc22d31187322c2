"""Streams of OpenAI's `chat/completions` and `completions`: choices, each with texts and tool calls that grow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from sift_fast.guard.protocols.openai import OPAQUE, alone, calls_of, check_tool_call, is_name, together
from sift_fast.guard.protocols.sse import Events

if TYPE_CHECKING:
    from sift_fast.guard._actions import Held
    from sift_fast.guard.guard import Guard
    from sift_fast.guard.verdict import RequestContext

__all__ = ["ChatEvents"]

Documents = list[dict[str, Any]]
#: How what is left of a text is put into a delta.
_Shape = Callable[[Any], dict[str, Any]]
#: Bytes that the end of a choice takes, about.
_CHOICE = 500
_PARTED = (str, dict, list)
#: What an event that is made here says of the answer that it is of.
_SHELL = {"id", "object", "created", "model", "system_fingerprint", "service_tier"}
_READ = {"delta", "text", "message", "logprobs"}


class ChatEvents(Events):
    """Every string of a delta is a text of its own, whatever a provider calls it, but for roles and ids.

    Log-probabilities spell the answer token by token, what was taken out too: they do not go on.
    """

    named = False

    def __init__(self, guard: Guard, context: RequestContext, asked: Mapping[str, Any] | None = None) -> None:
        super().__init__(guard, context, asked)
        self._shell: dict[str, Any] = {}
        self._shapes: dict[tuple[Any, ...], _Shape] = {}
        self._calls: dict[int, dict[int, dict[str, Any]]] = {}
        #: Choices, and whether they have a `text` in place of a delta.
        self._flat: dict[int, bool] = {}
        self._ended: set[int] = set()
        #: What may go out of the event that is being read.
        self._ready: Documents = []
        self._current = 0

    def _texts_of(self, document: dict[str, Any]) -> tuple[str, ...]:  # noqa: ARG002 -- it is the same in each
        return ("choices",)

    async def _document(self, document: dict[str, Any]) -> Documents:
        choices = document.get("choices")
        rest = {key: value for key, value in document.items() if key != "choices"}
        if not isinstance(choices, list) or not choices:
            return [{**rest, "choices": []} if "choices" in document else rest]
        self._shell = {key: value for key, value in rest.items() if key in _SHELL}
        before: Documents = []
        kept = []
        self._ready = []
        # Calls go out in one piece of the stream, or none of them does.
        async with together(self._guard) as held:
            for choice in choices:
                index = self._current = int(choice.get("index", 0))
                if index in self._ended:
                    continue
                more, keep = await self._choice(index, choice, held)
                before += more
                kept.append(keep)
        return [*before, {**rest, "choices": kept}] if kept else before

    async def _choice(self, index: int, choice: dict[str, Any], held: Held) -> tuple[Documents, dict[str, Any]]:
        if index not in self._flat:
            # Each is ended by name, whether or not it said anything.
            self._keep("", _CHOICE)
        flat = self._flat.setdefault(index, "delta" not in choice and "text" in choice)
        delta = {"text": choice["text"]} if flat else dict(choice.get("delta") or {})
        # A `message` in a piece of a stream is no part of the API: it would be the answer once more, unread.
        out = await self._beside({key: value for key, value in choice.items() if key not in _READ}, f"choice {index}")
        for call in delta.pop("tool_calls", None) or ():
            self._hold(index, int(call.get("index", 0)), call)
        if isinstance(delta.get("function_call"), dict):
            self._hold(index, -1, {"function": delta.pop("function_call")})
        shown = {key: await self._piece((index, key), value) for key, value in delta.items()}
        if choice.get("finish_reason") is None:
            return [], {**out, **(shown if flat else {"delta": shown})}
        self._ended.add(index)
        before = [self._chunk(index, shown)] if any(shown.values()) else []
        self._ready += before
        before += await self._rest(index, held)
        return before, {**out, **({"text": ""} if flat else {"delta": {}})}

    def _sort(self, key: Any) -> Any:
        return key[0], key[1], key[-1]

    async def _piece(self, path: tuple[Any, ...], value: Any, put: _Shape | None = None) -> Any:
        """What may be shown of a part of a delta, however deep: each of its strings is a piece of one text."""
        key = path[-1]
        put = put or (lambda part: {key: part})
        if isinstance(value, str):
            if key in OPAQUE and is_name(key, value):
                return value
            self._shapes[path] = put
            return await self._text(path).feed(value)
        if isinstance(value, dict):
            told = {name: inner for name, inner in value.items() if name in OPAQUE or not isinstance(inner, _PARTED)}
            return {
                name: await self._piece((*path, name), inner, lambda part, name=name: put({**told, name: part}))  # type: ignore[misc]
                for name, inner in value.items()
            }
        if isinstance(value, list):
            out = []
            for at, item in enumerate(value):
                number = item.get("index", at) if isinstance(item, dict) else at
                out.append(await self._piece((*path, str(number)), item, lambda part: put([part])))
            return out
        return value

    def _hold(self, index: int, number: int, call: dict[str, Any]) -> None:
        held = self._calls.setdefault(index, {}).setdefault(number, {})
        for key, value in call.items():
            # `custom` is a tool that takes a text.
            if key in {"function", "custom"} and isinstance(value, dict):
                inner = held.setdefault(key, {})
                for name, part in value.items():
                    self._keep(part)
                    if isinstance(part, str):
                        inner[name] = inner.get(name, "") + part
                    else:
                        inner[name] = part
            elif key != "index" and value is not None:
                self._keep(value)
                held[key] = value

    async def _rest(self, index: int, held: Held | None = None) -> Documents:
        """What a choice still has: text that was held, then its tool calls."""
        out: Documents = []
        for path, shape in self._shapes.items():
            if path[0] == index:
                text = await self._text(path).finish()
                if text:
                    out.append(self._chunk(index, shape(text)))
        # If a call stops the answer, the text in front of it was still said.
        self._ready += out
        calls = []
        alone(self._guard, calls_of({"tool_calls": list(self._calls.get(index, {}).values())}), self._context)
        for number, made in sorted(self._calls.pop(index, {}).items()):
            call = await check_tool_call(self._guard, made, self._context, held)
            if number < 0:
                out.append(self._chunk(index, {"function_call": call["function"]}))
            else:
                calls.append({"index": number, **call})
        return [*out, self._chunk(index, {"tool_calls": calls})] if calls else out

    async def _end(self) -> Documents:
        out = []
        for index in self._flat:
            if index not in self._ended:
                self._current = index
                self._ended.add(index)
                self._calls.pop(index, None)
                out += await self._rest(index)
        return out

    def _chunk(self, index: int, delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
        choice: dict[str, Any] = {"index": index}
        if self._flat.get(index):
            choice["text"] = delta.get("text", "")
        else:
            choice["delta"] = delta
        return {**self._shell, "choices": [{**choice, "finish_reason": reason}]}

    def _closing(self, message: str, *, failed: bool) -> Documents:  # noqa: ARG002 -- the reason is the same
        key = "text" if self._flat.get(self._current) else "content"
        out = [*self._ready, self._chunk(self._current, {key: message}, "content_filter")]
        left = [index for index in self._flat if index not in self._ended and index != self._current]
        return [*out, *(self._chunk(index, {}, "content_filter") for index in left)]

    def _error(self, message: str) -> dict[str, Any]:
        return {"error": {"message": message, "type": "guardrail", "code": "guardrail_unavailable"}}
