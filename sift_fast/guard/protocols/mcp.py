"""Messages of the Model Context Protocol, read and rewritten by a guard. Knows no transport.

What a server says about itself is text that a model reads: tool descriptions are scanned, and pinned by hash, so that a
tool that changes after it was approved disappears. Calls and results are checked like those of any tool.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from sift_fast.errors import LimitExceeded
from sift_fast.guard.protocols.openai import every_string, scrub
from sift_fast.guard.verdict import RequestContext

if TYPE_CHECKING:
    from sift_fast.guard.guard import Guard

__all__ = ["McpGuard", "pin_of", "unseen"]

#: Strings up to this many characters say nothing to a model.
_SHORT = 7
#: What stands beside a result and is no text.
_FLAGS = (True, False, "complete")


def pin_of(tool: Mapping[str, Any]) -> str:
    """The hash of a tool's definition, all a model is shown of it: SHA-256, 64 hexadecimal digits."""
    return hashlib.sha256(json.dumps(tool, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def unseen(pins: Mapping[str, str]) -> dict[str, str]:
    """Why tools that are pinned are not offered yet: they may have changed since, which only a list of them shows.

    Args:
        pins: hashes by tool name, from an earlier run.
    """
    return dict.fromkeys(pins, "its definition was not shown yet: list the tools first")


class McpGuard:
    """A guard for one connection.

    Args:
        guard: decides.
        context: on whose behalf the client calls.
        pins: hashes by tool name; those that are missing are added when a tool is first seen.
        learn: whether a tool without a pin is let through and pinned; False drops it.
        save: called with all pins, on a thread, when there are new ones.
        dropped: names of tools that are not offered, with the reason; shared by the connections to one server, and
            `unseen(pins)` at first.
    """

    def __init__(
        self,
        guard: Guard,
        context: RequestContext,
        *,
        pins: dict[str, str] | None = None,
        learn: bool = True,
        save: Callable[[dict[str, str]], None] | None = None,
        dropped: dict[str, str] | None = None,
    ) -> None:
        self._guard = guard
        self._save = save
        self._context = context
        self.pins = {} if pins is None else pins
        self._learn = learn
        self.dropped = unseen(self.pins) if dropped is None else dropped
        #: What a server says about itself brings nothing into the conversation that a call could repeat.
        self._aside = RequestContext(context.tenant, context.role, context.user)

    async def call(self, params: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any] | None]:
        """A `tools/call` before it reaches the server.

        Returns:
            The parameters as they may go on, and None; or, for a call that does not, the result in its place.
        """
        name, arguments = params.get("name"), params.get("arguments") or {}
        if not isinstance(name, str) or not isinstance(arguments, dict):
            return dict(params), _refusal("the tool call has no name or no arguments")
        if name in self.dropped or (not self._learn and name not in self.pins):
            return dict(params), _refusal(f"the tool is not offered: {self.dropped.get(name, 'it is not pinned')}")
        rest = {key: value for key, value in params.items() if key not in {"name", "arguments"}}
        if "task" in params or not self.sends(rest):
            # What a task ends with comes later, and nobody would know whose result it is.
            return dict(params), _refusal("the tool call is refused by a guard: it is a task, or holds a secret")
        verdict = await self._guard.check_tool_input(name, arguments, self._context)
        if not verdict.allowed:
            return dict(params), _refusal(verdict.message)
        return {**params, "arguments": verdict.value}, None

    async def result(self, method: str, params: Mapping[str, Any], result: dict[str, Any]) -> dict[str, Any]:
        """A result of the server before it reaches the client.

        Args:
            method: what was asked.
            params: with which parameters.
            result: the answer.

        Returns:
            The result as it may go on.
        """
        if method == "tools/list":
            known = len(self.pins)
            offered = [tool for tool in _items(result, "tools") if await self._offered(tool)]
            if self._save is not None and len(self.pins) != known:
                # Before anybody sees them: what is not on disk would be taken for new after a crash.
                await asyncio.to_thread(self._save, dict(self.pins))
            return {**await self._rest(method, result, "tools", context=self._aside), "tools": offered}
        if method == "tools/call":
            return await self._tool_result(str(params.get("name")), result)
        source = f"{method}:{params.get('uri') or params.get('name') or ''}"
        if method == "resources/read":
            contents = [await self._document(source, item) for item in _items(result, "contents")]
            kept = [item for item in contents if item is not None]
            return {**await self._rest(source, result, "contents"), "contents": kept}
        if method == "prompts/get":
            messages = [await self._message(source, item) for item in _items(result, "messages")]
            kept = [item for item in messages if item is not None]
            return {**await self._rest(source, result, "messages"), "messages": kept}
        return await self.told(method, result)  # type: ignore[no-any-return]

    async def _rest(
        self, source: str, value: Mapping[str, Any], *but: str, context: RequestContext | None = None
    ) -> dict[str, Any]:
        """What stands beside the texts that are checked as what they are: a model may be shown it all the same."""
        others = {key: inner for key, inner in value.items() if key not in but}
        return await self.told(source, others, context=context or self._context)  # type: ignore[no-any-return]

    async def told(self, method: str, value: Any, *, context: RequestContext | None = None) -> Any:
        """What a server says beside the results of tools: about itself, of its progress, in errors. A string of it
        that may not be read is empty in what goes on.
        """
        if isinstance(value, str) and len(value) > _SHORT:
            return await self._read(f"mcp:{method}", value, context or self._aside) or ""
        if isinstance(value, dict):
            out = {}
            for key, inner in value.items():
                # A name that may not be read as it is goes with what it names.
                if await self.told(method, key, context=context) == key:
                    opaque = _is_opaque(value, key)
                    out[key] = inner if opaque else await self.told(method, inner, context=context)
            return out
        if isinstance(value, list):
            return [await self.told(method, inner, context=context) for inner in value]
        return value

    def sends(self, value: Any) -> bool:
        """Whether what a client sends beside the arguments of tools may go to the server: it holds no secret."""
        try:
            return bool(scrub(self._guard, value, self._context, stage="tool_input") == value)
        except LimitExceeded:
            return False

    async def asked(self, method: str, params: Mapping[str, Any]) -> dict[str, Any] | None:
        """What a server asks of the client, such as `sampling/createMessage`, as it may go on; None if not."""
        text = json.dumps(params, ensure_ascii=False)
        read = await self._read(f"mcp:{method}", text, self._context)
        # Its parts cannot be edited one by one: it goes on as it is, or not at all.
        return dict(params) if read == text else None

    async def said(self, value: Any) -> Any:
        """What a client answers a server, such as the message of a model that was sampled.

        Raises:
            Blocked: a string of it does not go on.
        """
        # A server is no user: what was taken out for the model is not put back for it.
        return await every_string(self._guard, value, self._aside)

    async def _offered(self, tool: Any) -> bool:
        name = tool.get("name") if isinstance(tool, dict) else None
        if not isinstance(name, str):
            return False
        pin = pin_of(tool)
        known = self.pins.get(name)
        if known is None and not self._learn:
            self.dropped[name] = "it is not pinned"
        elif known is not None and known != pin:
            self.dropped[name] = "its definition has changed since it was pinned"
        else:
            text = json.dumps(tool, ensure_ascii=False)
            if await self._read(f"mcp:{name}", text, self._aside) == text:
                self.dropped.pop(name, None)
                self.pins[name] = pin
                return True
            self.dropped[name] = "its description reads like an attack"
        return False

    async def _read(self, source: str, text: str, context: RequestContext) -> str | None:
        """A text that the server puts before the model, as it may be read; None if it may not."""
        document = {"text": text, "metadata": self._own(), "id": source}
        verdict = await self._guard.check_retrieval([document], context)
        return verdict.documents[0].text if verdict.allowed and verdict.documents else None

    def _own(self) -> dict[str, Any]:
        """Metadata of a document of this caller, whatever the configuration calls it."""
        try:
            condition = self._guard.retrieval_condition(self._context)
        except Exception:  # noqa: BLE001 -- without access control there is nothing to say
            return {}
        return {key: values[0] for key, values in condition}

    async def _tool_result(self, name: str, result: dict[str, Any]) -> dict[str, Any]:
        source = f"tools/call:{name}"
        # Where fields are hidden, or say whose a result is, what has no fields is not shown.
        typed = self._guard.reads_fields(name, self._context)
        if typed:
            out = {key: result[key] for key in ("isError", "resultType") if result.get(key) in _FLAGS}
        else:
            out = await self._rest(source, result, "structuredContent", "content")
        if result.get("structuredContent") is not None:
            verdict = await self._guard.check_tool_output(name, result["structuredContent"], self._context)
            if not verdict.allowed:
                return _refusal(verdict.message)
            out["structuredContent"] = verdict.value if verdict.text is None else verdict.text
        content = []
        for item in _items(result, "content"):
            text = _text_of(item)
            if text is None and typed:
                return _refusal(self._guard.config.answers.block)
            if text is None:
                content.append(await self.told(source, item, context=self._context))
                continue
            verdict = await self._guard.check_tool_output(name, text, self._context)
            if not verdict.allowed:
                return _refusal(verdict.message)
            shown = verdict.text or ""
            content.append({"type": "text", "text": shown} if typed else await self._beside(source, item, shown))
        out["content"] = content
        return out

    async def _document(self, source: str, item: Any) -> Any:
        text = _text_of(item)
        if text is None:
            return await self.told(source, item, context=self._context)
        read = await self._read(source, text, self._context)
        return None if read is None else await self._beside(source, item, read)

    async def _beside(self, source: str, item: dict[str, Any], text: str) -> dict[str, Any]:
        """A part with another text, what stands beside the text read as well."""
        if isinstance(item.get("resource"), dict):
            inner = await self._beside(source, item["resource"], text)
            return {**await self._rest(source, item, "resource"), "resource": inner}
        return {**await self._rest(source, item, "text"), "text": text}

    async def _message(self, source: str, item: Any) -> Any:
        if not isinstance(item, dict):
            return None
        content = item.get("content")
        if isinstance(content, str):
            shown: Any = await self._read(source, content, self._context)
        elif isinstance(content, list):
            parts = [await self._document(source, part) for part in content]
            shown = [part for part in parts if part is not None]
        else:
            shown = await self._document(source, content)
        return None if shown is None else {**await self._rest(source, item, "content"), "content": shown}


def _items(result: Mapping[str, Any], key: str) -> list[Any]:
    """A list of a result.

    Raises:
        ValueError: it is something else.
    """
    items = result.get(key)
    if items is None:
        return []
    if not isinstance(items, list):
        raise ValueError(f"`{key}` of a result is no list")  # noqa: TRY004 -- one handler for all that is no result
    return items


def _is_opaque(part: Mapping[str, Any], key: str) -> bool:
    """Whether something is bytes, or read again by the server alone."""
    if key == "data":
        return part.get("type") in {"image", "audio"}
    return key == "nextCursor" or (key == "blob" and "uri" in part)


def _text_of(item: Any) -> str | None:
    """The text of a part, or of the resource in it; None if it has none."""
    if not isinstance(item, dict):
        return None
    if isinstance(item.get("resource"), dict):
        return _text_of(item["resource"])
    text = item.get("text")
    return text if isinstance(text, str) else None


def _refusal(message: str) -> dict[str, Any]:
    """A result that the model reads as an error, and can go on from."""
    # Newer versions of the protocol want to know that nothing follows; older ones ignore what they do not know.
    return {"content": [{"type": "text", "text": message}], "isError": True, "resultType": "complete"}
