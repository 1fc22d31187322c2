"""Requests and answers of OpenAI's and Anthropic's APIs, read and rewritten by a guard. Knows no web framework."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Container, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from sift_fast._json import once
from sift_fast.errors import LimitExceeded
from sift_fast.guard._json import digits_of
from sift_fast.guard.verdict import REMOVED, Verdict, is_id

if TYPE_CHECKING:
    from sift_fast.guard._actions import Held
    from sift_fast.guard.guard import Guard
    from sift_fast.guard.verdict import RequestContext, Stage

__all__ = [
    "CALLS",
    "OPAQUE",
    "PARTS",
    "UNKNOWN",
    "Blocked",
    "Calls",
    "alone",
    "calls_of",
    "check_answer",
    "check_call",
    "check_item",
    "check_request",
    "check_split",
    "check_strings",
    "check_text",
    "check_tool_call",
    "count",
    "earlier",
    "every_string",
    "is_name",
    "is_word",
    "last_said",
    "scrub",
    "together",
    "walk",
]

#: Keys whose strings are no text: names of the protocol, ids, signatures, bytes.
OPAQUE = frozenset(
    {
        "b64_json", "call_id", "container_id", "encrypted_content", "encrypted_index", "file_id", "format", "id",
        "item_id", "model", "object", "partial_image_b64", "role", "service_tier", "signature", "status",
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
    # A person or a program says yes to it, and the provider calls.
    "mcp_approval_request": "arguments",
}
#: Where an item of a response has its parts.
PARTS = ("summary", "content")
#: A result whose call is nowhere in the request: no list of tools has it.
UNKNOWN = "unknown tool"
#: Keys of a message that are no texts.
_SAID = {"tool_calls", "function_call"}
#: Items of a request that hold what a tool of the client's returned.
_OUTPUTS = {f"{kind}_output" for kind in CALLS}
#: Items of a request that the model made, or the provider's own tools; every other one is a user's.
_MADE = {
    *CALLS, "code_interpreter_call", "compaction", "file_search_call", "image_generation_call", "item_reference",
    "mcp_call", "mcp_list_tools", "reasoning", "web_search_call",
}  # fmt: skip
#: Where such an item has what a tool brought in.
_BROUGHT = {"error", "output", "outputs", "results", "tools"}
#: Beside a text of an answer, and no text of it: where it is from, what the provider's tools were asked.
_ASIDE = {"action", "annotations", "citations", "input", "logprobs", "usage"}
#: Keys of bytes in base64, as pictures and files are sent, and of addresses.
_MEDIA = {"data", "file_data", "file_url", "image", "image_url", "url"}
_DATA_URL = re.compile(r"data:[\w.+/;=-]{0,200};base64,")
#: Shorter ones may be a key, and are read as they stand.
_LEAST_BYTES = 256
_ADDRESS = re.compile(r"https?://\S{1,8192}")
#: Keys of a part that hold what is said in it; under others a name may stand.
_TEXTS = {"content", "context", "data", "refusal", "text", "thinking", "title", "value"}
#: Strings of one request or answer that are read.
_MOST_STRINGS = 20_000
#: Texts of earlier turns up to this many characters are read in the event loop, longer ones on a thread.
_INLINE = 4_096
#: Strings up to this many characters beside the texts are too short to hold a secret.
_SHORT = 7
#: Characters of a key that may be a word of a protocol.
_WORD = 40
#: What the service itself says.
_OWN = {"system", "developer"}
_OTHERS = _OWN | {"assistant", "tool", "function"}
#: Keys of a request that are texts read elsewhere, or the service's own.
_READ = {
    "messages", "input", "prompt", "suffix", "system", "instructions", "tools", "functions", "tool_choice",
    "function_call", "response_format", "text", "reasoning", "thinking", "include", "modalities",
}  # fmt: skip
#: Keys of a request that name something, and those under which the service says when an answer ends.
_NAMES = {
    "model", "previous_response_id", "conversation", "service_tier", "user", "safety_identifier", "prompt_cache_key",
}  # fmt: skip
_STOPS = {"stop", "stop_sequences"}
#: Parts of a turn that are no words of its user.
_PAGES = {"document", "file", "input_file", "search_result"}
#: Keys of a request that hold what is asked.
_TURNS = ("messages", "input", "prompt", "suffix")


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
    count(body)
    if all(body.get(key) is None for key in _TURNS):
        # Whatever it asks, it asks in words that nobody here knows.
        raise ValueError("the request has no turns")
    calls = Calls(guard.called(context))
    for key in _TURNS:
        if key in body:
            body[key] = await _asked(guard, key, body[key], context, calls)
    for key, value in body.items():
        if key == "documents":
            body[key] = await walk(value, _reader(guard, context, new=True, source="document"))
        elif key == "prediction":
            body[key] = await walk(value, _reader(guard, context, new=True))
        elif key in _NAMES or key in _STOPS:
            body[key] = _named(guard, value, context, is_own=key in _STOPS)
        elif key not in _READ and isinstance(value, str | Mapping | list):
            body[key] = await walk(value, _reader(guard, context, new=False), key)
    return body


def _named(guard: Guard, value: Any, context: RequestContext, *, is_own: bool) -> Any:
    """Names beside the turns, without secrets; those that are no ids, without personal data too."""
    if isinstance(value, str):
        stays = is_own or is_id(value)
        if len(value) <= _SHORT or (stays and all(found.category != "secret" for found in guard.scanner.scan(value))):
            return value
        return guard.rescrub(value, context)
    if isinstance(value, Mapping):
        return {name: _named(guard, inner, context, is_own=is_own) for name, inner in value.items()}
    if isinstance(value, list):
        return [_named(guard, inner, context, is_own=is_own) for inner in value]
    return value


async def _asked(guard: Guard, key: str, given: Any, context: RequestContext, calls: Calls) -> Any:
    """What is asked under one key of a request."""
    if isinstance(given, str):
        return _require(await guard.check_input(given, context)).text
    if isinstance(given, list):
        last = last_said(given)
        turns = []
        for at, item in enumerate(given):
            turns.append(await _item(guard, item, context, calls, new=at >= last))
            # A history is long, and others wait for this loop.
            await asyncio.sleep(0)
        return turns
    if isinstance(given, Mapping) and key == "prompt":
        # A template of the provider's: the values that are put into it are the user's.
        return {**given, "variables": await walk(given.get("variables"), _reader(guard, context, new=True))}
    if given is not None:
        raise ValueError(f"`{key}` is neither text nor a list")
    return None


def count(body: Any) -> None:
    """Refuse what has more strings than are read: each costs some microseconds, however short it is.

    Args:
        body: a request, an answer, an event.

    Raises:
        LimitExceeded: it has.
    """
    count, waiting = 0, [body]
    while waiting:
        item = waiting.pop()
        if isinstance(item, Mapping):
            waiting += item.values()
        elif isinstance(item, list):
            waiting += item
        elif (isinstance(item, str) and len(item) > _SHORT) or digits_of(item) is not None:
            count += 1
    if count > _MOST_STRINGS:
        raise LimitExceeded(f"a request or an answer has more than {_MOST_STRINGS} texts")


#: Reads a string under a key; returns what may stand in its place.
Reader = Callable[[str, str], Awaitable[str]]


async def walk(value: Any, read: Reader, key: str = "") -> Any:
    """Containers with every string read, but for names of the protocol and bytes, and every number that may be
    somebody's; one that may not stand there is 0.

    Args:
        value: containers as JSON has.
        read: reads one, and says what may stand in its place.
        key: under which it stood.
    """
    digits = digits_of(value)
    if digits is not None:
        await asyncio.sleep(0)
        return value if await read(digits, key) == digits else 0
    if isinstance(value, str):
        if is_name(key, value):
            return value
        # Others wait for this loop.
        await asyncio.sleep(0)
        return await _medium(value, read) if key in _MEDIA else await read(value, key)
    if isinstance(value, Mapping):
        out: dict[str, Any] = {}
        for name, inner in value.items():
            shown = name if is_word(name) else await read(name, "name")
            # Two may be shown alike.
            out[f"{shown} {len(out)}" if shown in out else shown] = await walk(inner, read, name)
        return out
    if isinstance(value, list):
        # A name of the protocol is one string, never a list of them.
        return [await walk(inner, read) for inner in value]
    return value


def is_name(key: str, value: str) -> bool:
    """Whether a string is too short for anything, or stands where a name of the protocol does and looks like one."""
    return len(value) <= _SHORT or (key in OPAQUE and value.isascii() and len(value.split(None, 1)) == 1)


def is_word(name: Any) -> bool:
    """Whether a key is a word, as those of protocols are, and nothing that says more."""
    return not isinstance(name, str) or len(name) <= _SHORT or (len(name) <= _WORD and name.replace("_", "").isalpha())


async def _medium(value: str, read: Reader) -> str:
    """A picture, a recording, a file: bytes stay, a text in their place is read."""
    text = _decoded(value)
    if text is None:
        return await read(value, "url" if _ADDRESS.fullmatch(value) else "data")
    if "\0" in text:
        return value
    checked = await read(text, "data")
    head = _DATA_URL.match(value)
    begun = head.end() if head else 0
    return value if checked == text else value[:begun] + base64.b64encode(checked.encode()).decode()


def _decoded(value: str) -> str | None:
    """What base64 holds, zero characters for bytes that are no text; None where it is none, or too short to tell."""
    if len(value) < _LEAST_BYTES:
        return None
    head = _DATA_URL.match(value)
    try:
        return base64.b64decode(value[head.end() if head else 0 :], validate=True).decode()
    except UnicodeDecodeError:
        return "\0"
    except binascii.Error:
        return None


def _swap(value: Any, kept: dict[str, str], *, out: bool, key: str = "") -> Any:
    """Containers with bytes put aside under a mark, or put in again."""
    if isinstance(value, str):
        if key not in _MEDIA:
            return value
        if not out:
            return kept.get(value, value)
        if "\0" not in (_decoded(value) or ""):
            return value
        mark = f"bytes-{len(kept)}"
        kept[mark] = value
        return mark
    if isinstance(value, Mapping):
        return {name: _swap(inner, kept, out=out, key=name) for name, inner in value.items()}
    if isinstance(value, list):
        return [_swap(inner, kept, out=out, key=key) for inner in value]
    return value


def _reader(guard: Guard, context: RequestContext, *, new: bool, said: bool = True, source: str = "") -> Reader:
    """Reads strings of a turn, or of a source. A name or an address among them is no turn by itself."""

    async def read(text: str, key: str) -> str:
        if key == "url":
            return guard.rescrub(text, context)
        small = key not in _TEXTS and len(text.split(None, 1)) < 2
        if small:
            return await earlier(guard, text, context, said=said, source=source, wait=False)
        return await _text(guard, text, context, new=new, said=said, source=source)

    return read


def last_said(turns: list[Any]) -> int:
    """Where what the user said last begins: nothing but turns of his follow one another there."""
    last = max((at for at, item in enumerate(turns) if _is_user(item)), default=-1)
    while last > 0 and _is_user(turns[last - 1]):
        last -= 1
    return last


class Calls:
    """Which tool a result is of, while the turns of a request are read in their order: a result names its call alone.

    Args:
        known: tools by the ids of calls in earlier answers: with `previous_response_id` they are not in the request.

    Example:
        >>> calls = Calls({})
        >>> calls.made({"tool_calls": [{"id": "call_1", "function": {"name": "search"}}]})
        >>> calls.tool("call_1")
        'search'
    """

    def __init__(self, known: Mapping[str, str]) -> None:
        self._names = dict(known)
        #: Calls of this request that have no result yet.
        self._open: set[str] = set()

    def made(self, turn: Any) -> None:
        """Take the calls of a turn.

        Raises:
            ValueError: a call has the id of another tool's, and nobody could say whose the result is.
        """
        for number, name in calls_of(turn):
            if number in self._open and self._names[number] != name:
                raise ValueError("two calls have one id")
            self._names[number] = name
            self._open.add(number)

    def tool(self, number: Any, name: Any = None) -> str:
        """The tool of a result, by the id of its call, else by the name that it has itself."""
        if isinstance(number, str) and number in self._names:
            self._open.discard(number)
            return self._names[number]
        return name if isinstance(name, str) and name else UNKNOWN


def calls_of(turn: Any) -> list[tuple[str, str]]:
    """Ids and tools of the calls in a turn of any of the APIs."""
    if not isinstance(turn, Mapping):
        return []
    found: list[tuple[Any, Any]] = []
    if turn.get("type") in CALLS:
        found.append((turn.get("call_id"), turn.get("name") or turn["type"]))
    parts = turn.get("content")
    uses = [part for part in (parts if isinstance(parts, list) else ()) if isinstance(part, Mapping)]
    found += [(part.get("id"), part.get("name")) for part in uses if part.get("type") == "tool_use"]
    for call in turn.get("tool_calls") or ():
        called = call.get("function") or call.get("custom") or {}
        found.append((call.get("id"), called.get("name")))
    return [(number, str(name)) for number, name in found if isinstance(number, str) and number]


def alone(guard: Guard, calls: Iterable[tuple[str, str]], context: RequestContext) -> None:
    """Refuse an answer in which two calls have one id: nobody could say whose a result is.

    Raises:
        Blocked: two have.
    """
    ids = [number for number, _ in calls]
    if len(set(ids)) < len(ids):
        raise Blocked(_unreadable(guard, context))


def _is_user(item: Any) -> bool:
    """Whether a turn is a user's: whatever is nobody else's, for a server may take a role it does not know for his."""
    if not isinstance(item, Mapping):
        return isinstance(item, str)
    if item.get("role") is None:
        return item.get("type") not in _MADE | _OUTPUTS
    return item["role"] not in _OTHERS


async def _item(guard: Guard, item: Any, context: RequestContext, calls: Calls, *, new: bool) -> Any:
    if isinstance(item, str):
        return await _text(guard, item, context, new=new)
    if not isinstance(item, Mapping):
        # Numbers of tokens would be text that nobody has read.
        raise ValueError("a turn is neither text nor an object")  # noqa: TRY004 -- one handler for what is no request
    role, kind = item.get("role"), str(item.get("type") or "")
    if role in _OWN:
        return item
    if role in {"tool", "function"}:
        return await _returned(guard, item, "content", calls.tool(item.get("tool_call_id"), item.get("name")), context)
    if role is None and kind in _OUTPUTS:
        return await _returned(guard, item, "output", calls.tool(item.get("call_id")), context)
    calls.made(item)
    if role is None and kind in _MADE:
        # What the model did and thought, sent again, and what it was told.
        told = {key: value for key, value in item.items() if key in _BROUGHT}
        rest = {key: value for key, value in item.items() if key not in _BROUGHT}
        return {
            **await walk(rest, _reader(guard, context, new=False, said=False)),
            **await walk(told, _reader(guard, context, new=False, source=f"tool:{item.get('name') or kind}")),
        }
    return await _turn(guard, item, context, calls, new=new and role != "assistant")


async def _returned(
    guard: Guard, item: Mapping[str, Any], key: str, name: str, context: RequestContext
) -> dict[str, Any]:
    """What a tool returned, and what stands beside it."""
    rest = {other: value for other, value in item.items() if other != key}
    out: dict[str, Any] = await walk(rest, _reader(guard, context, new=False, source=f"tool:{name}"))
    if key in item:
        out[key] = await _result(guard, name, item[key], context)
    return out


async def _turn(
    guard: Guard, turn: Mapping[str, Any], context: RequestContext, calls: Calls, *, new: bool
) -> dict[str, Any]:
    content, said = turn.get("content"), turn.get("role") != "assistant"
    # Tool calls hold what was put back for the tool.
    rest = {key: value for key, value in turn.items() if key != "content"}
    # What stands beside a turn is none; where there is no content, it is what is said.
    out: dict[str, Any] = await walk(rest, _reader(guard, context, new=new and content is None, said=said))
    if isinstance(content, str):
        out["content"] = await _text(guard, content, context, new=new, said=said)
    elif isinstance(content, list):
        parts = [await _part(guard, part, context, calls, new=new, said=said) for part in content]
        out["content"] = await _joined(guard, content, parts, context, "input", new=new) if said else parts
    elif content is None and "content" in turn:
        out["content"] = None
    elif content is not None:
        raise ValueError("a turn's content is neither text nor parts")
    return out


async def _part(guard: Guard, part: Any, context: RequestContext, calls: Calls, *, new: bool, said: bool) -> Any:
    if isinstance(part, str):
        return await _text(guard, part, context, new=new, said=said)
    if not isinstance(part, Mapping):
        raise ValueError("a part of a turn is no object")  # noqa: TRY004 -- one handler for what is no request
    if part.get("type") == "tool_result":
        return await _returned(guard, part, "content", calls.tool(part.get("tool_use_id")), context)
    kind = str(part.get("type"))
    # Pages that are shown to the model, by the user or by a tool of the provider's in the model's own turn.
    source = "document" if kind in _PAGES else f"tool:{kind}" if kind.endswith("_tool_result") else ""
    return await walk(part, _reader(guard, context, new=new, said=said, source=source))


async def _text(
    guard: Guard, text: str, context: RequestContext, *, new: bool, said: bool = True, source: str = ""
) -> str:
    if not new:
        return await earlier(guard, text, context, said=said, source=source)
    return _require(await guard.check_input(text, context, source=source)).text or ""


async def earlier(
    guard: Guard, text: str, context: RequestContext, *, said: bool, source: str = "", wait: bool = True
) -> str:
    """A text of an earlier turn, as a model may read it once more.

    Args:
        guard: decides.
        text: the text.
        context: who asks.
        said: whether a user said it, and not the model.
        source: what it is from, if neither said it.
        wait: as for `Guard.reread`.

    Raises:
        LimitExceeded: it cannot be read.
        StateUnavailable: a guardrail that waits does not answer.
    """
    if said or source:
        return await guard.reread(text, context, source=source, wait=wait)
    if len(text) > _INLINE:
        return await asyncio.to_thread(guard.rescrub, text, context)
    return guard.rescrub(text, context)


async def _joined(
    guard: Guard, given: list[Any], parts: list[Any], context: RequestContext, stage: Stage, *, new: bool = False
) -> list[Any]:
    """Parts that were read one by one, read together: a model is shown them as one text.

    Args:
        guard: decides.
        given: as they came.
        parts: as they may go on by themselves.
        context: who asks.
        stage: whose guardrails read them.
        new: whether it is a turn that is new: then it does not go on where it would be removed.

    Raises:
        Blocked: it does not go on.
    """
    texts = [text for part in given if (text := _own_text(part)) is not None]
    instead = await guard.check_joined(texts, context, stage=stage, new=new)
    if instead is None:
        return parts
    if new and instead == REMOVED:
        for glue in ("", " "):
            _require(await guard.check_input(glue.join(texts), context))
    out = []
    for part in parts:
        if _own_text(part) is not None:
            out.append(instead if isinstance(part, str) else {**part, "text": instead})
            # All of it stands in the first one.
            instead = ""
        else:
            out.append(part)
    return out


def _own_text(part: Any) -> str | None:
    """The text of a part; None for one that has none, or is a page by itself."""
    if isinstance(part, str):
        return part
    text = part.get("text") if isinstance(part, Mapping) and part.get("type") not in _PAGES else None
    return text if isinstance(text, str) else None


async def _result(guard: Guard, tool: str, content: Any, context: RequestContext) -> Any:
    if content is None:
        return None
    kept: dict[str, str] = {}
    # A picture of a screen is no text, and longer than any.
    content = _swap(content, kept, out=True)
    verdict = _require(await guard.check_tool_output(tool, content, context))
    if isinstance(content, list):
        return _swap(await _joined(guard, content, verdict.value, context, "retrieval"), kept, out=False)
    return verdict.text if isinstance(content, str) else verdict.value


def scrub(guard: Guard, value: Any, context: RequestContext, *, stage: Stage = "output", key: str = "") -> Any:
    """Containers with secrets and personal data taken out of their strings, but for names of the protocol, and with 0
    for numbers that are some. Nothing is decided: it is for what stands beside the texts, and for what was decided
    before.

    Args:
        guard: its scanner reads.
        value: containers as JSON has.
        context: who asks.
        stage: whose operators apply.
        key: under which it stood.
    """
    if isinstance(value, str):
        return value if is_name(key, value) else guard.rescrub(value, context, stage=stage)
    digits = digits_of(value)
    if digits is not None:
        return value if guard.rescrub(digits, context, stage=stage) == digits else 0
    if isinstance(value, Mapping):
        out: dict[str, Any] = {}
        for name, inner in value.items():
            shown = name if is_word(name) else guard.rescrub(name, context, stage=stage)
            # Two may be shown alike.
            out[f"{shown} {len(out)}" if shown in out else shown] = scrub(guard, inner, context, stage=stage, key=name)
        return out
    if isinstance(value, list):
        # A name of the protocol is one string, never a list of them.
        return [scrub(guard, inner, context, stage=stage) for inner in value]
    return value


@contextlib.asynccontextmanager
async def together(guard: Guard) -> AsyncIterator[Held]:
    """For calls that go out together or not at all: what a kernel reserved for those that were allowed is given back
    when one of them, or what stands beside them, is stopped, or nobody waits for it any more.

    Args:
        guard: decides.

    Raises:
        Blocked: a permit is not handed out any more.
    """
    held = guard.hold()
    try:
        yield held
        stopped = await held.release()
        if stopped is not None:
            raise Blocked(stopped)
    except BaseException:
        held.give_back()
        raise


async def check_answer(
    guard: Guard, body: dict[str, Any], context: RequestContext, instructions: Any = None
) -> dict[str, Any]:
    """A whole answer of a model, its texts checked and its tool calls too. All of it goes on, or nothing.

    Args:
        guard: decides.
        body: as the model's API answers.
        context: who asked.
        instructions: what the request said under that name: whoever asked may read it again.

    Raises:
        Blocked: something in it does not go on.
    """
    async with together(guard) as held:
        return await _answer(guard, body, context, instructions, held)


async def _answer(
    guard: Guard, body: dict[str, Any], context: RequestContext, instructions: Any, held: Held
) -> dict[str, Any]:
    count(body)
    known = [key for key in ("choices", "output", "content") if isinstance(body.get(key), list)]
    if not known:
        # No answer of an API that is known: every string of it may be one.
        return await every_string(guard, body, context)  # type: ignore[no-any-return]
    out: dict[str, Any] = scrub(guard, {key: value for key, value in body.items() if key not in known}, context)
    if "instructions" in out:
        out["instructions"] = instructions if body["instructions"] == instructions else None
    alone(guard, [call for key in known if key != "choices" for call in calls_of({"content": body[key]})], context)
    alone(guard, [call for item in body["output"] for call in calls_of(item)] if "output" in known else (), context)
    if "choices" in known:
        out["choices"] = [await _choice(guard, choice, context, held) for choice in body["choices"]]
    if "output" in known:
        out["output"] = [await check_item(guard, item, context, held) for item in body["output"]]
        # A convenience of some servers: the texts once more.
        out.pop("output_text", None)
    if "content" in known:
        blocks = [await _block(guard, block, context, held) for block in body["content"]]
        await _said_whole(guard, body["content"], context)
        out["content"] = blocks
    return out


async def _said_whole(guard: Guard, parts: list[Any], context: RequestContext) -> None:
    """Read the parts of an answer together.

    Raises:
        Blocked: as `check_split` says.
    """
    await check_split(guard, [text for part in parts if (text := _own_text(part)) is not None], context)


async def check_split(guard: Guard, texts: list[str], context: RequestContext) -> None:
    """Read texts of an answer together that go on one by one.

    Args:
        guard: decides.
        texts: they, in the order in which they are read.
        context: who asked.

    Raises:
        Blocked: together they do not go on; where something lies across two of them, which no place in one is, neither.
    """
    if await guard.check_joined(texts, context, stage="output", new=True) is not None:
        for glue in ("", " "):
            _require(await guard.check_output(glue.join(texts), context))
        raise Blocked(guard.refuse("output", "guard.split", context))


async def every_string(guard: Guard, value: Any, context: RequestContext, key: str = "") -> Any:
    """Containers with every string checked as an answer, but for names of the protocol.

    Raises:
        Blocked: one of them does not go on.
    """

    async def read(text: str, _key: str) -> str:
        return await check_text(guard, text, context)

    return await walk(value, read, key)


async def _choice(guard: Guard, choice: Any, context: RequestContext, held: Held) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in choice.items():
        # An answer that is not streamed has a message; some servers send a delta all the same.
        if key in {"message", "delta"} and isinstance(value, dict):
            out[key] = await _message(guard, value, context, held)
        elif key in {"text", "message", "delta"}:
            out[key] = await every_string(guard, value, context)
        elif key == "logprobs":
            out[key] = value
        else:
            out[key] = scrub(guard, value, context, key=key)
    said = out.get("message") if isinstance(out.get("message"), dict) else out
    same = all(out.get(key) == choice.get(key) for key in ("text", "message", "delta"))
    if out.get("logprobs") is not None and not (same and _spells(out["logprobs"], said)):
        # They would spell what was taken out, or something that nobody has read.
        out.pop("logprobs")
    elif "logprobs" in out:
        out["logprobs"] = scrub(guard, out["logprobs"], context)
    return out


def _spells(logprobs: Any, said: Any) -> bool:
    """Whether the tokens of log-probabilities are those of the texts they stand beside."""
    if not isinstance(logprobs, Mapping):
        return False
    spelled = {"text": logprobs.get("tokens")} if "tokens" in logprobs else {}
    for key in ("content", "refusal"):
        tokens = logprobs.get(key)
        spelled[key] = [token["token"] for token in tokens] if tokens else None
    return all(tokens is None or "".join(tokens) == (said.get(key) or "") for key, tokens in spelled.items())


async def _message(guard: Guard, message: dict[str, Any], context: RequestContext, held: Held) -> dict[str, Any]:
    out = await check_strings(guard, message, context, _SAID)
    if isinstance(message.get("content"), list):
        await _said_whole(guard, message["content"], context)
    calls, function = message.get("tool_calls"), message.get("function_call")
    if not isinstance(calls, list | None) or not isinstance(function, dict | None):
        raise Blocked(_unreadable(guard, context))
    if calls:
        alone(guard, calls_of({"tool_calls": calls}), context)
        out["tool_calls"] = [await check_tool_call(guard, call, context, held) for call in calls]
    if function is not None:
        out["function_call"] = (await check_tool_call(guard, {"function": function}, context, held))["function"]
    return out


async def _block(guard: Guard, block: Any, context: RequestContext, held: Held) -> dict[str, Any]:
    if block.get("type") != "tool_use":
        return await check_strings(guard, block, context)
    given = await check_call(guard, str(block.get("name")), block.get("input"), context, held)
    return {**scrub(guard, {key: value for key, value in block.items() if key != "input"}, context), "input": given}


async def check_strings(
    guard: Guard, part: Mapping[str, Any], context: RequestContext, but: Container[str] = ()
) -> dict[str, Any]:
    """A part of an answer whose strings are texts of it, however deep they stand.

    Args:
        guard: decides.
        part: a message, a block, an item.
        context: who asked.
        but: keys that are left as they are.

    Raises:
        Blocked: one of them does not go on.
    """
    out = dict(part)
    for key, value in part.items():
        if key in _ASIDE:
            out[key] = scrub(guard, value, context, key=key)
        elif key not in but:
            out[key] = await every_string(guard, value, context, key)
    if out.get("text") != part.get("text") or out.get("refusal") != part.get("refusal"):
        # They would spell what was taken out, and name places in another text.
        out.pop("logprobs", None)
        if out.get("annotations"):
            out["annotations"] = []
    return out


async def check_tool_call(
    guard: Guard, call: Mapping[str, Any], context: RequestContext, held: Held | None = None
) -> dict[str, Any]:
    """A tool call of a chat completion: a function with arguments, or a tool of its own that takes a text.

    Args:
        guard: decides.
        call: it.
        context: who asked.
        held: as for `Guard.check_tool_input`.

    Raises:
        Blocked: it does not go on.
    """
    word, key = ("custom", "input") if isinstance(call.get("custom"), Mapping) else ("function", "arguments")
    if ("custom" in call and call.get("function") is not None) or call.get("type") not in {None, word}:
        # Clients would take one of the two, and nobody knows which.
        raise Blocked(_unreadable(guard, context))
    called = call.get(word) or {}
    given = called.get(key, "")
    if word == "custom":
        given = (await check_call(guard, str(called.get("name")), {key: given}, context, held))[key]
    else:
        given = await check_call(guard, str(called.get("name")), given, context, held)
    beside = scrub(guard, {name: value for name, value in call.items() if name != word}, context)
    inner = scrub(guard, {name: value for name, value in called.items() if name != key}, context)
    return {**beside, word: {**inner, key: given}}


async def check_text(guard: Guard, text: str, context: RequestContext) -> str:
    """A whole text of an answer, as it may be shown.

    Raises:
        Blocked: it does not go on.
    """
    return (_require(await guard.check_output(text, context)).text or "") if text else ""


async def check_item(guard: Guard, item: Any, context: RequestContext, held: Held | None = None) -> dict[str, Any]:
    """An item of a response, as it may be shown.

    Args:
        guard: decides.
        item: it.
        context: who asked.
        held: as for `Guard.check_tool_input`.

    Raises:
        Blocked: it does not go on.
    """
    kind = str(item.get("type"))
    key = CALLS.get(kind)
    if key is None:
        out = await check_strings(guard, item, context)
        if isinstance(item.get("content"), list):
            await _said_whole(guard, item["content"], context)
        return out
    name, given = str(item.get("name") or kind), item.get(key)
    guard.note_call(str(item.get("call_id") or item.get("id") or ""), name, context)
    beside = scrub(guard, {other: value for other, value in item.items() if other != key}, context)
    if key == "input":
        # A tool that takes a text.
        return {**beside, key: (await check_call(guard, name, {key: given}, context, held))[key]}
    return {**beside, key: await check_call(guard, name, given, context, held)}


async def check_call(guard: Guard, name: str, arguments: Any, context: RequestContext, held: Held | None = None) -> Any:
    """The arguments of a tool call, JSON or containers, as they may go on in the form they came in.

    Args:
        guard: decides.
        name: of the tool.
        arguments: they.
        context: who asked.
        held: as for `Guard.check_tool_input`.

    Raises:
        Blocked: the call does not go on, or its arguments are no JSON object whose keys stand once.
    """
    encoded = isinstance(arguments, str)
    try:
        value = json.loads(arguments or "{}", object_pairs_hook=once) if encoded else arguments
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        # The tool would be called with something that nobody has read.
        raise Blocked(_unreadable(guard, context))
    verdict = _require(await guard.check_tool_input(name, value, context, held=held))
    if verdict.value == value:
        return arguments
    return json.dumps(verdict.value, ensure_ascii=False) if encoded else verdict.value


def _unreadable(guard: Guard, context: RequestContext) -> Verdict:
    return guard.refuse("tool_input", "tools.arguments", context, status="error")
