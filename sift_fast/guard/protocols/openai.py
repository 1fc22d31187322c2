"""Requests and answers of OpenAI's and Anthropic's APIs, read and rewritten by a guard. Knows no web framework."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sift_fast.guard.guard import Guard
    from sift_fast.guard.verdict import RequestContext, Verdict

__all__ = ["Blocked", "check_answer", "check_request"]


class Blocked(Exception):
    """A request or an answer that does not go on."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.reason)
        self.verdict = verdict


def _require(verdict: Verdict) -> Verdict:
    if not verdict.allowed:
        raise Blocked(verdict)
    return verdict


async def check_request(guard: Guard, body: dict[str, Any], context: RequestContext) -> dict[str, Any]:
    """A request for a model with every text of users and tools checked.

    The last turn is checked; earlier ones, which were when they were new, are redacted again. What the service itself
    says (`system`, `developer`, `instructions`) is left alone.

    Args:
        guard: decides.
        body: of `chat/completions`, `responses`, `completions` or `messages`.
        context: who asks.

    Raises:
        Blocked: something in it does not go on.
    """
    body = dict(body)
    for key in ("messages", "input", "prompt"):
        given = body.get(key)
        if isinstance(given, str):
            body[key] = _require(await guard.check_input(given, context)).text
        elif isinstance(given, list):
            last = max((at for at, item in enumerate(given) if _is_user(item)), default=-1)
            body[key] = [await _item(guard, item, context, new=at >= last) for at, item in enumerate(given)]
    return body


def _is_user(item: Any) -> bool:
    return isinstance(item, str) or (isinstance(item, Mapping) and item.get("role") == "user")


async def _item(guard: Guard, item: Any, context: RequestContext, *, new: bool) -> Any:
    if isinstance(item, str):
        return await _text(guard, item, context, new=new)
    if not isinstance(item, Mapping):
        return item
    out = dict(item)
    if item.get("role") == "tool":
        name = str(item.get("name") or item.get("tool_call_id") or "tool")
        out["content"] = await _result(guard, name, item.get("content"), context)
    elif item.get("type") == "function_call_output":
        out["output"] = await _result(guard, str(item.get("call_id") or "tool"), item.get("output"), context)
    elif item.get("role") in {"user", "assistant"}:
        said = item.get("role") == "user"
        content = item.get("content")
        if isinstance(content, str):
            out["content"] = await _text(guard, content, context, new=new and said)
        elif isinstance(content, list):
            out["content"] = [await _part(guard, part, context, new=new and said) for part in content]
    return out


async def _part(guard: Guard, part: Any, context: RequestContext, *, new: bool) -> Any:
    if not isinstance(part, Mapping):
        return part
    out = dict(part)
    if isinstance(part.get("text"), str):
        out["text"] = await _text(guard, part["text"], context, new=new)
    elif part.get("type") == "tool_result":
        out["content"] = await _result(guard, str(part.get("tool_use_id") or "tool"), part.get("content"), context)
    return out


async def _text(guard: Guard, text: str, context: RequestContext, *, new: bool) -> str:
    if not new:
        return guard.rescrub(text, context)
    return _require(await guard.check_input(text, context)).text or ""


async def _result(guard: Guard, tool: str, content: Any, context: RequestContext) -> Any:
    if content is None:
        return None
    verdict = _require(await guard.check_tool_output(tool, content, context))
    return verdict.text if isinstance(content, str) else verdict.value


async def check_answer(guard: Guard, body: dict[str, Any], context: RequestContext) -> dict[str, Any]:
    """A whole answer of a model, its texts checked and its tool calls too.

    Args:
        guard: decides.
        body: as the model's API answers.
        context: who asked.

    Raises:
        Blocked: something in it does not go on.
    """
    body = json.loads(json.dumps(body))
    for holder, key in _texts(body):
        holder[key] = _require(await guard.check_output(holder[key], context)).text
    for holder, key, name in _calls(body):
        holder[key] = await check_call(guard, name, holder[key], context)
    return body


async def check_call(guard: Guard, name: str, arguments: Any, context: RequestContext) -> Any:
    """The arguments of a tool call, JSON or containers, as they may go on in the form they came in.

    Raises:
        Blocked: the call does not go on, or its arguments are no JSON object.
    """
    encoded = isinstance(arguments, str)
    try:
        value = json.loads(arguments or "{}") if encoded else arguments
    except ValueError:
        value = None
    if not isinstance(value, dict):
        # The tool would be called with something that nobody has read.
        raise Blocked(_unreadable(guard))
    verdict = _require(await guard.check_tool_input(name, value, context))
    if verdict.value == value:
        return arguments
    return json.dumps(verdict.value, ensure_ascii=False) if encoded else verdict.value


def _unreadable(guard: Guard) -> Verdict:
    from sift_fast.guard.verdict import Verdict

    return Verdict("block", "tool_input", reason="tools.arguments", status="error", message=guard.config.answers.error)


def _texts(body: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    """Where an answer has text: chat, completions, responses, messages."""
    for choice in _dicts(body.get("choices")):
        message = choice.get("message")
        if isinstance(message, dict):
            for key in ("content", "refusal", "reasoning_content"):
                if isinstance(message.get(key), str):
                    yield message, key
        if isinstance(choice.get("text"), str):
            yield choice, "text"
    for item in (*_dicts(body.get("output")), {"content": body.get("content")}):
        for part in _dicts(item.get("content")):
            for key in ("text", "thinking"):
                if isinstance(part.get(key), str):
                    yield part, key


def _calls(body: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], str, str]]:
    """Where an answer calls tools, and which."""
    for choice in _dicts(body.get("choices")):
        for call in _dicts((choice.get("message") or {}).get("tool_calls")):
            function = call.get("function")
            if isinstance(function, dict):
                yield function, "arguments", str(function.get("name"))
    for item in _dicts(body.get("output")):
        if item.get("type") == "function_call":
            yield item, "arguments", str(item.get("name"))
    for part in _dicts(body.get("content")):
        if part.get("type") == "tool_use":
            yield part, "input", str(part.get("name"))


def _dicts(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, list):
        yield from (item for item in value if isinstance(item, dict))
