"""Requests and answers of OpenAI's and Anthropic's APIs, read and rewritten by a guard. Knows no web framework."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Container, Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sift_fast.guard.guard import Guard
    from sift_fast.guard.verdict import RequestContext, Stage, Verdict

__all__ = [
    "CALLS",
    "OPAQUE",
    "PARTS",
    "UNKNOWN",
    "Blocked",
    "call_names",
    "check_answer",
    "check_call",
    "check_item",
    "check_request",
    "check_strings",
    "check_text",
    "check_tool_call",
    "earlier",
    "every_string",
    "last_said",
    "scrub",
]

#: Keys whose strings are no text: names of the protocol, ids, signatures, bytes.
OPAQUE = frozenset(
    {
        "b64_json", "call_id", "container_id", "encrypted_content", "encrypted_index", "file_data", "file_id", "format",
        "id", "item_id", "model", "object", "partial_image_b64", "role", "service_tier", "signature", "status",
        "system_fingerprint", "tool_use_id", "type",
    }
)  # fmt: skip
#: Items of a response that its client acts on, and where their arguments stand.
CALLS = {
    "function_call": "arguments",
    "custom_tool_call": "input",
    "local_shell_call": "action",
    "shell_call": "action",
    "computer_call": "action",
    "apply_patch_call": "operation",
}
#: Where an item of a response has its parts.
PARTS = ("summary", "content")
#: A result whose call is nowhere in the request: no list of tools has it.
UNKNOWN = "unknown tool"
#: Keys of a message that are no texts.
_SAID = {"tool_calls", "function_call"}
#: Texts of earlier turns up to this many characters are read in the event loop, longer ones on a thread.
_INLINE = 4_096
#: Strings up to this many characters beside the texts are too short to hold a secret.
_SHORT = 7
#: What the service itself says.
_OWN = {"system", "developer"}
_OTHERS = _OWN | {"assistant", "tool", "function"}
#: Keys of a request that are texts read elsewhere, or the service's own.
_READ = {
    "messages", "input", "prompt", "suffix", "model", "system", "instructions", "tools", "functions", "tool_choice",
    "function_call", "response_format", "text", "stop", "stop_sequences", "previous_response_id", "conversation",
    "reasoning", "thinking", "service_tier", "user", "safety_identifier", "prompt_cache_key", "include", "modalities",
}  # fmt: skip
#: Texts that a request brings besides its turns.
_MATERIAL = {"prediction", "documents"}


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

    What the user said last is checked as new; his earlier turns are read again, and those that would not go on are
    taken out. What the service itself says (`system`, `developer`, `instructions`, `tools`) is left alone.

    Args:
        guard: decides.
        body: of `chat/completions`, `responses`, `completions` or `messages`.
        context: who asks.

    Raises:
        Blocked: something in it does not go on.
    """
    body = dict(body)
    for key in ("messages", "input", "prompt", "suffix"):
        given = body.get(key)
        if isinstance(given, str):
            body[key] = _require(await guard.check_input(given, context)).text
        elif isinstance(given, list):
            last = last_said(given)
            # With `previous_response_id` the call is not in the request: it was in the answer before.
            names = {**guard.called(context), **call_names(given)}
            turns = []
            for at, item in enumerate(given):
                turns.append(await _item(guard, item, context, names, new=at >= last))
                # A history is long, and others wait for this loop.
                await asyncio.sleep(0)
            body[key] = turns
        elif isinstance(given, Mapping) and key == "prompt":
            # A template of the provider's: the values that are put into it are the user's.
            body[key] = {**given, "variables": await _every(guard, given.get("variables"), context)}
        elif given is not None:
            raise ValueError(f"`{key}` is neither text nor a list")
    for key, value in body.items():
        if key in _MATERIAL:
            body[key] = await _every(guard, value, context)
        elif key not in _READ and isinstance(value, str | Mapping | list):
            body[key] = scrub(guard, value, context, stage="input", key=key)
    return body


async def _every(guard: Guard, value: Any, context: RequestContext, key: str = "") -> Any:
    """Containers with every string checked as what a user says, but for names of the protocol."""
    if isinstance(value, str):
        if key in OPAQUE or len(value) <= _SHORT:
            return value
        return _require(await guard.check_input(value, context)).text
    if isinstance(value, Mapping):
        return {name: await _every(guard, inner, context, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [await _every(guard, inner, context) for inner in value]
    return value


def last_said(turns: list[Any]) -> int:
    """Where what the user said last begins: nothing but turns of his follow one another there."""
    last = max((at for at, item in enumerate(turns) if _is_user(item)), default=-1)
    while last > 0 and _is_user(turns[last - 1]):
        last -= 1
    return last


def call_names(turns: Iterable[Any]) -> dict[str, str]:
    """Names of the tools behind the ids of calls: a result names its call alone.

    Args:
        turns: of a request of any of the APIs; its calls are in earlier ones.

    Example:
        >>> call_names([{"tool_calls": [{"id": "call_1", "function": {"name": "search"}}]}])
        {'call_1': 'search'}
    """
    names: dict[str, str] = {}
    for turn in turns:
        if not isinstance(turn, Mapping):
            continue
        if turn.get("type") in CALLS:
            names[str(turn.get("call_id"))] = str(turn.get("name") or turn["type"])
        parts = turn.get("content")
        for part in parts if isinstance(parts, list) else ():
            if isinstance(part, Mapping) and part.get("type") == "tool_use":
                names[str(part.get("id"))] = str(part.get("name"))
        for call in turn.get("tool_calls") or ():
            called = call.get("function") or call.get("custom") or {}
            names[str(call.get("id"))] = str(called.get("name"))
    return names


def _is_user(item: Any) -> bool:
    """Whether a turn is a user's: whatever is nobody else's, for a server may take a role it does not know for his."""
    if not isinstance(item, Mapping):
        return isinstance(item, str)
    if item.get("role") is None:
        return item.get("type") in {None, "message"}
    return item["role"] not in _OTHERS


async def _item(guard: Guard, item: Any, context: RequestContext, names: Mapping[str, str], *, new: bool) -> Any:
    if isinstance(item, str):
        return await _text(guard, item, context, new=new)
    if not isinstance(item, Mapping):
        # Numbers of tokens would be text that nobody has read.
        raise ValueError("a turn is neither text nor an object")  # noqa: TRY004 -- one handler for what is no request
    role, kind = item.get("role"), str(item.get("type") or "")
    if role in _OWN:
        return item
    if role in {"tool", "function"}:
        name = names.get(str(item.get("tool_call_id"))) or str(item.get("name") or UNKNOWN)
        return {**item, "content": await _result(guard, name, item.get("content"), context)}
    if kind.endswith("_output"):
        name = names.get(str(item.get("call_id")), UNKNOWN)
        return {**item, "output": await _result(guard, name, item.get("output"), context)}
    if role is None and not _is_user(item):
        # What the model did and thought, sent again.
        return scrub(guard, item, context, stage="input")
    return await _turn(guard, item, context, names, new=new and role != "assistant")


async def _turn(
    guard: Guard, turn: Mapping[str, Any], context: RequestContext, names: Mapping[str, str], *, new: bool
) -> dict[str, Any]:
    role, content = turn.get("role"), turn.get("content")
    # Tool calls hold what was put back for the tool.
    rest = {key: value for key, value in turn.items() if key != "content"}
    out: dict[str, Any] = scrub(guard, rest, context, stage="input")
    if isinstance(content, str):
        out["content"] = await _text(guard, content, context, new=new, said=role != "assistant")
    elif isinstance(content, list):
        out["content"] = [await _part(guard, part, context, names, new=new, role=role) for part in content]
    elif content is None and "content" in turn:
        out["content"] = None
    elif content is not None:
        raise ValueError("a turn's content is neither text nor parts")
    return out


async def _part(
    guard: Guard, part: Any, context: RequestContext, names: Mapping[str, str], *, new: bool, role: Any
) -> Any:
    if isinstance(part, str):
        return await _text(guard, part, context, new=new, said=role != "assistant")
    if not isinstance(part, Mapping):
        raise ValueError("a part of a turn is no object")  # noqa: TRY004 -- one handler for what is no request
    out = dict(part)
    if part.get("type") == "tool_result":
        name = names.get(str(part.get("tool_use_id")), UNKNOWN)
        out["content"] = await _result(guard, name, part.get("content"), context)
        return out
    for key, value in part.items():
        if key in {"text", "data", "title", "context"} and isinstance(value, str) and _is_text(part):
            out[key] = await _text(guard, value, context, new=new, said=role != "assistant")
        elif key in {"source", "content"} and isinstance(value, Mapping):
            out[key] = await _part(guard, value, context, names, new=new, role=role)
        elif key == "content" and isinstance(value, list):
            out[key] = [await _part(guard, inner, context, names, new=new, role=role) for inner in value]
        else:
            out[key] = scrub(guard, value, context, stage="input", key=key)
    return out


def _is_text(part: Mapping[str, Any]) -> bool:
    """Whether `data` of a part is text; it may be a picture."""
    return "data" not in part or part.get("type") == "text"


async def _text(guard: Guard, text: str, context: RequestContext, *, new: bool, said: bool = True) -> str:
    if not new:
        return await earlier(guard, text, context, said=said)
    return _require(await guard.check_input(text, context)).text or ""


async def earlier(guard: Guard, text: str, context: RequestContext, *, said: bool) -> str:
    """A text of an earlier turn, as a model may read it once more.

    Args:
        guard: decides.
        text: the text.
        context: who asks.
        said: whether a user said it, and not the model.

    Raises:
        LimitExceeded: it cannot be read.
    """
    again = guard.reread if said else guard.rescrub
    return await asyncio.to_thread(again, text, context) if len(text) > _INLINE else again(text, context)


async def _result(guard: Guard, tool: str, content: Any, context: RequestContext) -> Any:
    if content is None:
        return None
    verdict = _require(await guard.check_tool_output(tool, content, context))
    return verdict.text if isinstance(content, str) else verdict.value


def scrub(guard: Guard, value: Any, context: RequestContext, *, stage: Stage = "output", key: str = "") -> Any:
    """Containers with secrets and personal data taken out of their strings, but for names of the protocol. Nothing is
    decided: it is for what stands beside the texts, and for what was decided before.

    Args:
        guard: its scanner reads.
        value: containers as JSON has.
        context: who asks.
        stage: whose operators apply.
        key: under which it stood.
    """
    if isinstance(value, str):
        if key in OPAQUE or len(value) <= _SHORT:
            return value
        return guard.rescrub(value, context, stage=stage)
    if isinstance(value, Mapping):
        return {name: scrub(guard, inner, context, stage=stage, key=name) for name, inner in value.items()}
    if isinstance(value, list):
        # A name of the protocol is one string, never a list of them.
        return [scrub(guard, inner, context, stage=stage) for inner in value]
    return value


async def check_answer(guard: Guard, body: dict[str, Any], context: RequestContext) -> dict[str, Any]:
    """A whole answer of a model, its texts checked and its tool calls too.

    Args:
        guard: decides.
        body: as the model's API answers.
        context: who asked.

    Raises:
        Blocked: something in it does not go on.
    """
    known = [key for key in ("choices", "output", "content") if isinstance(body.get(key), list)]
    if not known:
        # No answer of an API that is known: every string of it may be one.
        return await every_string(guard, body, context)  # type: ignore[no-any-return]
    out: dict[str, Any] = scrub(guard, {key: value for key, value in body.items() if key not in known}, context)
    if "choices" in known:
        out["choices"] = [await _choice(guard, choice, context) for choice in body["choices"]]
    if "output" in known:
        out["output"] = [await check_item(guard, item, context) for item in body["output"]]
        # A convenience of some servers: the texts once more.
        out.pop("output_text", None)
    if "content" in known:
        out["content"] = [await _block(guard, block, context) for block in body["content"]]
    return out


async def every_string(guard: Guard, value: Any, context: RequestContext, key: str = "") -> Any:
    """Containers with every string checked as an answer, but for names of the protocol.

    Raises:
        Blocked: one of them does not go on.
    """
    if isinstance(value, str):
        return value if key in OPAQUE or len(value) <= _SHORT else await check_text(guard, value, context)
    if isinstance(value, Mapping):
        return {name: await every_string(guard, inner, context, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [await every_string(guard, inner, context) for inner in value]
    return value


async def _choice(guard: Guard, choice: Any, context: RequestContext) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in choice.items():
        # An answer that is not streamed has a message; some servers send a delta all the same.
        if key in {"message", "delta"} and isinstance(value, dict):
            out[key] = await _message(guard, value, context)
        elif key in {"text", "message", "delta"}:
            out[key] = await every_string(guard, value, context)
        elif key == "logprobs":
            out[key] = value
        else:
            out[key] = scrub(guard, value, context, key=key)
    if any(out.get(key) != choice.get(key) for key in ("text", "message", "delta")):
        # They would spell what was taken out.
        out.pop("logprobs", None)
    return out


async def _message(guard: Guard, message: dict[str, Any], context: RequestContext) -> dict[str, Any]:
    out = await check_strings(guard, message, context, _SAID)
    if isinstance(message.get("tool_calls"), list):
        out["tool_calls"] = [await check_tool_call(guard, call, context) for call in message["tool_calls"]]
    if isinstance(message.get("function_call"), dict):
        call = await check_tool_call(guard, {"function": message["function_call"]}, context)
        out["function_call"] = call["function"]
    return out


async def _block(guard: Guard, block: Any, context: RequestContext) -> dict[str, Any]:
    if block.get("type") != "tool_use":
        return await check_strings(guard, block, context)
    return {**block, "input": await check_call(guard, str(block.get("name")), block.get("input"), context)}


async def check_strings(
    guard: Guard, part: Mapping[str, Any], context: RequestContext, but: Container[str] = ()
) -> dict[str, Any]:
    """A part of an answer whose strings are texts of it.

    Args:
        guard: decides.
        part: a message or a block.
        context: who asked.
        but: keys that are left out here.

    Raises:
        Blocked: one of them does not go on.
    """
    out = dict(part)
    for key, value in part.items():
        if key in but or key in OPAQUE:
            continue
        if isinstance(value, str):
            out[key] = await check_text(guard, value, context)
        elif isinstance(value, dict) and key == "audio":
            out[key] = await check_strings(guard, value, context)
        else:
            out[key] = scrub(guard, value, context)
    if out.get("text") != part.get("text") or out.get("refusal") != part.get("refusal"):
        # They would spell what was taken out, and name places in another text.
        out.pop("logprobs", None)
        if out.get("annotations"):
            out["annotations"] = []
    return out


async def check_tool_call(guard: Guard, call: Mapping[str, Any], context: RequestContext) -> dict[str, Any]:
    """A tool call of a chat completion: a function with arguments, or a tool of its own that takes a text.

    Raises:
        Blocked: it does not go on.
    """
    if isinstance(call.get("custom"), Mapping):
        custom = call["custom"]
        given = {"input": custom.get("input", "")}
        checked = await check_call(guard, str(custom.get("name")), given, context)
        return {**call, "custom": {**custom, "input": checked["input"]}}
    function = call.get("function") or {}
    arguments = await check_call(guard, str(function.get("name")), function.get("arguments", ""), context)
    return {**call, "function": {**function, "arguments": arguments}}


async def check_text(guard: Guard, text: str, context: RequestContext) -> str:
    """A whole text of an answer, as it may be shown.

    Raises:
        Blocked: it does not go on.
    """
    return (_require(await guard.check_output(text, context)).text or "") if text else ""


async def check_item(guard: Guard, item: Any, context: RequestContext) -> dict[str, Any]:
    """An item of a response, as it may be shown.

    Raises:
        Blocked: it does not go on.
    """
    kind = str(item.get("type"))
    key = CALLS.get(kind)
    if key is not None:
        name, given = str(item.get("name") or kind), item.get(key)
        guard.note_call(str(item.get("call_id") or item.get("id") or ""), name, context)
        if key == "input":
            # A tool that takes a text.
            return {**item, key: (await check_call(guard, name, {key: given}, context))[key]}
        return {**item, key: await check_call(guard, name, given, context)}
    out: dict[str, Any] = scrub(guard, {name: value for name, value in item.items() if name not in PARTS}, context)
    for name in PARTS:
        if isinstance(item.get(name), list):
            out[name] = [await check_strings(guard, part, context) for part in item[name]]
    return out


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
