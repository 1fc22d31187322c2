"""LangChain agents (langchain 1.x): a guard around the user's turn, every model call and every tool call.

    agent = create_agent(model, tools, middleware=[SiftMiddleware(Guard.open("sift.toml"), context)])

A blocked turn ends the run with the message for the user; a blocked tool call becomes an error that the model reads,
and the tool is not called. Who streams an agent (`stream_mode="messages"`) gets an answer when it is checked, in one
piece. Structured answers are checked as what they are; one that cannot be edited is stopped.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Generator, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from langchain.agents.middleware import AgentMiddleware, hook_config
from langchain_core.messages import (
    AIMessage,
    FunctionMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
    convert_to_messages,
)
from langgraph.constants import TAG_NOSTREAM

from sift_fast.guard._json import render
from sift_fast.guard.protocols.openai import OPAQUE, UNKNOWN
from sift_fast.guard.verdict import REMOVED

if TYPE_CHECKING:
    from sift_fast.guard import Guard, RequestContext, Verdict

__all__ = ["SiftMiddleware"]

#: Questions to a guard, by the name of its method, and what is made of the answers: the same with a loop and without.
_Steps: TypeAlias = Generator[tuple[Any, ...], Any, Any]

#: Parts that are no text, but for what stands under some names.
_BYTES = {"image", "image_url", "audio", "input_audio", "video", "file", "media"}
_TEXTS = {"text", "title", "caption", "context", "name", "filename"}
#: Parts that are calls: their arguments are checked when the tool is called.
_CALLS = {"tool_use", "tool_call", "tool_call_chunk", "server_tool_call", "function_call", "invalid_tool_call"}
_RAW_CALLS = {"tool_calls", "function_call"}
#: Strings up to this many characters beside the texts say nothing.
_SHORT = 7
_MOST_KNOWN = 100_000
_SPACE = re.compile(r"\s")


class SiftMiddleware(AgentMiddleware):  # type: ignore[misc]
    """A guard as middleware.

    Args:
        guard: decides.
        context: who asks: a `RequestContext`, or a function of LangGraph's runtime.
    """

    def __init__(self, guard: Guard, context: RequestContext | Callable[[Any], RequestContext]) -> None:
        super().__init__()
        self._guard = guard
        self._given = context
        self._known = _Known()

    def _context(self, runtime: Any) -> RequestContext:
        return self._given(runtime) if callable(self._given) else self._given

    def _drive(self, steps: _Steps) -> Any:
        answer = None
        while True:
            try:
                name, *arguments = steps.send(answer)
            except StopIteration as end:
                return end.value
            answer = getattr(self._guard, f"{name}_sync")(*arguments)

    async def _adrive(self, steps: _Steps) -> Any:
        answer = None
        while True:
            try:
                name, *arguments = steps.send(answer)
            except StopIteration as end:
                return end.value
            answer = await getattr(self._guard, name)(*arguments)

    @hook_config(can_jump_to=["end"])  # type: ignore[untyped-decorator]
    def before_agent(self, state: Any, runtime: Any) -> dict[str, Any] | None:
        """Check the user's turn."""
        return self._drive(self._turns(state, self._context(runtime)))  # type: ignore[no-any-return]

    @hook_config(can_jump_to=["end"])  # type: ignore[untyped-decorator]
    async def abefore_agent(self, state: Any, runtime: Any) -> dict[str, Any] | None:
        """Check the user's turn."""
        return await self._adrive(self._turns(state, self._context(runtime)))  # type: ignore[no-any-return]

    def wrap_model_call(self, request: Any, handler: Callable[[Any], Any]) -> Any:
        """Redact what is sent again, and check the answer."""
        context = self._context(request.runtime)
        response = handler(self._drive(self._sent(request, context)))
        return self._drive(self._answered(response, context))

    async def awrap_model_call(self, request: Any, handler: Callable[[Any], Awaitable[Any]]) -> Any:
        """Redact what is sent again, and check the answer."""
        context = self._context(request.runtime)
        response = await handler(await self._adrive(self._sent(request, context)))
        return await self._adrive(self._answered(response, context))

    def wrap_tool_call(self, request: Any, handler: Callable[[Any], Any]) -> Any:
        """Check the arguments, call the tool, check its result."""
        context, call = self._context(request.runtime), request.tool_call
        verdict = self._guard.check_tool_input_sync(call["name"], call["args"], context)
        if not verdict.allowed:
            return self._refused(call, verdict, context)
        result = handler(request.override(tool_call={**call, "args": verdict.value}))
        return self._drive(self._returned(result, call["name"], context))

    async def awrap_tool_call(self, request: Any, handler: Callable[[Any], Awaitable[Any]]) -> Any:
        """Check the arguments, call the tool, check its result."""
        context, call = self._context(request.runtime), request.tool_call
        verdict = await self._guard.check_tool_input(call["name"], call["args"], context)
        if not verdict.allowed:
            return self._refused(call, verdict, context)
        result = await handler(request.override(tool_call={**call, "args": verdict.value}))
        return await self._adrive(self._returned(result, call["name"], context))

    # --- what is asked ---------------------------------------------------------------------------------------------

    def _turns(self, state: Any, context: RequestContext) -> _Steps:
        """The user's turns that are new."""
        edited = []
        for message in _new_turns(state["messages"]):
            text = _text(message)
            verdict = yield "check_input", text, context
            if not verdict.allowed:
                return _end(message, verdict)
            if verdict.text != text:
                edited.append(_with_text(message, verdict.text or ""))
                # Taken out once more, its placeholders would count as something that the user wrote.
                self._known.add(context, "turn", verdict.text or "")
        return {"messages": edited} if edited else None

    def _sent(self, request: Any, context: RequestContext) -> _Steps:
        """What goes to the model once more. Answers in the state hold what was put back for the user: the model gets
        placeholders again. What a user said earlier may have been refused, or never asked about; a result that came
        with the history is none that this guard has seen.
        """
        messages, names = [], {}
        for message in request.messages:
            names.update({call["id"]: call["name"] for call in getattr(message, "tool_calls", None) or ()})
            text, sent = _text(message), message
            if isinstance(message, SystemMessage):
                pass
            elif isinstance(message, AIMessage):
                said = dict.fromkeys([*_texts(message), *_beside(message)])
                sent = _mapped_message(message, {each: self._guard.rescrub(each, context) for each in said})
            elif not text:
                pass
            elif isinstance(message, ToolMessage | FunctionMessage):
                if not self._known.has(context, "tool", text):
                    name = names.get(getattr(message, "tool_call_id", None)) or message.name or UNKNOWN
                    verdict = yield "check_tool_output", name, text, context
                    sent = _with_text(message, (verdict.text or "") if verdict.allowed else verdict.message)
                    self._known.add(context, "tool", _text(sent))
            elif not self._known.has(context, "turn", text):
                sent = _with_text(message, self._guard.reread(text, context))
            messages.append(sent)
        return request.override(messages=messages, model=_unheard(request.model))

    def _answered(self, response: Any, context: RequestContext) -> _Steps:
        """The model's answer, its thoughts, and what was read from it."""
        for at, message in enumerate(response.result):
            if not isinstance(message, AIMessage):
                continue
            stopped, changed = yield from self._said(message, context)
            if stopped is not None:
                return _stop(response, stopped.message, message.id)
            response.result[at] = _mapped_message(message, changed)
        if response.structured_response is None:
            return response
        return (yield from self._structured(response, context))

    def _structured(self, response: Any, context: RequestContext) -> _Steps:
        structured = response.structured_response
        text = _dumped(structured)
        verdict = yield "check_output", text, context
        if not verdict.allowed:
            return _stop(response, verdict.message, None)
        if verdict.text != text:
            try:
                response.structured_response = _rebuilt(structured, verdict.text)
            except Exception:  # noqa: BLE001 -- whatever a class of others makes of it, it does not go on as it was
                return _stop(response, self._guard.config.answers.block, None)
        shown = {message.tool_call_id for message in response.result if isinstance(message, ToolMessage)}
        for at, message in enumerate(response.result):
            if verdict.text != text:
                response.result[at] = _with_structured(message, shown, json.loads(verdict.text))
            if isinstance(message, ToolMessage):
                self._known.add(context, "tool", _text(response.result[at]))
        return response

    def _said(self, message: Any, context: RequestContext) -> _Steps:
        """The verdict that stops an answer, if one does, and what becomes of each of its strings."""
        changed: dict[str, str] = {}
        whole = "\n".join(_texts(message))
        for text in dict.fromkeys([whole, *_beside(message)]):
            if text:
                verdict = yield "check_output", text, context
                if not verdict.allowed:
                    return verdict, changed
                changed[text] = verdict.text or ""
        return None, changed

    def _returned(self, result: Any, tool: str, context: RequestContext) -> _Steps:
        """What a tool returned: a message, or a command with messages in its update."""
        result, messages = _results(result)
        for message in messages:
            text = _text(message)
            if not text:
                continue
            verdict = yield "check_tool_output", tool, text, context
            shown = (verdict.text or "") if verdict.allowed else verdict.message
            if shown != text:
                message.content = _with_text(message, shown).content
            if not verdict.allowed and isinstance(message, ToolMessage):
                message.status = "error"
            if (not verdict.allowed or verdict.decision == "redact") and isinstance(message, ToolMessage):
                # What stands beside the text is the same result, unread.
                message.artifact = None
            self._known.add(context, "tool", _text(message))
        return result

    def _refused(self, call: Any, verdict: Verdict, context: RequestContext) -> Any:
        self._known.add(context, "tool", verdict.message)
        return ToolMessage(content=verdict.message, tool_call_id=call["id"], name=call["name"], status="error")


class _Known:
    """Texts that are checked already, as keyed hashes. Nothing in a message may say so: clients write messages."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._all: OrderedDict[bytes, None] = OrderedDict()

    def add(self, context: RequestContext, sort: str, text: str) -> None:
        """Note a text, the oldest given up."""
        self._all[self._hash(context, sort, text)] = None
        while len(self._all) > _MOST_KNOWN:
            self._all.popitem(last=False)

    def has(self, context: RequestContext, sort: str, text: str) -> bool:
        """Whether it was noted for who asks."""
        return self._hash(context, sort, text) in self._all

    def _hash(self, context: RequestContext, sort: str, text: str) -> bytes:
        who = (context.tenant, context.role, context.user, context.conversation, sort, text)
        return hashlib.blake2b(json.dumps(who).encode(), digest_size=16, key=self._key).digest()


def _unheard(model: Any) -> Any:
    """The model, its answers shown to who streams the agent only as they leave this middleware: not token by token."""
    tags = [*(getattr(model, "tags", None) or ()), TAG_NOSTREAM]
    return model.model_copy(update={"tags": tags}) if hasattr(model, "tags") else model.with_config(tags=tags)


# --- messages ---------------------------------------------------------------------------------------------------------


def _is_turn(message: Any) -> bool:
    """Whether a message is a user's: whatever is nobody else's."""
    return not isinstance(message, AIMessage | SystemMessage | ToolMessage | FunctionMessage | RemoveMessage)


def _new_turns(messages: list[Any]) -> list[Any]:
    """What the user said last, up to where somebody else spoke."""
    last = max((at for at, message in enumerate(messages) if _is_turn(message)), default=-1)
    if any(isinstance(message, AIMessage) and message.tool_calls for message in messages[last + 1 :]):
        # The agent goes on with what it did: the turn was new when it began.
        return []
    first = last
    while first > 0 and _is_turn(messages[first - 1]):
        first -= 1
    return messages[first : last + 1] if last >= 0 else []


def _end(message: Any, verdict: Verdict) -> dict[str, Any]:
    """The end of a run; the turn that was refused does not stay in the state, to be sent with the next one."""
    removed = message.model_copy(update={"content": REMOVED, "name": None})
    return {"jump_to": "end", "messages": [removed, AIMessage(content=verdict.message)]}


def _stop(response: Any, text: str, number: str | None) -> Any:
    """An answer in the place of one that is stopped. Calls go with it: nothing of it has an effect."""
    response.result[:] = [AIMessage(content=text, id=number)]
    response.structured_response = None
    return response


def _results(result: Any) -> tuple[Any, list[Any]]:
    """A tool's result, and the messages in it."""
    if isinstance(result, ToolMessage):
        return result, [result]
    update = getattr(result, "update", None)
    if not isinstance(update, dict) or not update.get("messages"):
        return result, []
    given = update["messages"]
    messages = convert_to_messages(given if isinstance(given, list | tuple) else [given])
    return dataclasses.replace(result, update={**update, "messages": messages}), messages


# --- what users and tools say -----------------------------------------------------------------------------------------


def _text(message: Any) -> str:
    """All of a message that a model reads as text, its parts one below the other."""
    if isinstance(message, AIMessage):
        return "\n".join(_texts(message))
    content = message.content
    parts = [content] if isinstance(content, str) else [_part(part) for part in content]
    if _is_turn(message) and message.name and len(message.name) > _SHORT:
        parts.append(message.name)
    return "\n".join(part for part in parts if part)


def _part(part: Any) -> str:
    """The text of a part: a document or a search result is one as a whole."""
    if isinstance(part, str):
        return part
    text = part.get("text")
    said = text if isinstance(text, str) else ""
    beside = _spoken({key: value for key, value in part.items() if key != "text" or not said}, _is_bytes(part))
    return "\n".join(each for each in (said, render(beside) if beside else "") if each)


def _is_bytes(part: Any) -> bool:
    return part.get("type") in _BYTES


def _spoken(value: Any, bare: bool) -> Any:
    """What of a part is text: without names of the protocol, and bytes where it holds some; None for nothing."""
    if isinstance(value, Mapping):
        out = {}
        for key, inner in value.items():
            quiet = key in OPAQUE or (bare and key not in _TEXTS)
            # What has a space in it is no name, and no bytes.
            if isinstance(inner, str) and quiet and _SPACE.search(inner) is None:
                continue
            if (said := _spoken(inner, bare)) is not None:
                out[key] = said
        return out or None
    if isinstance(value, list):
        return [said for inner in value if (said := _spoken(inner, bare)) is not None] or None
    return value if isinstance(value, str) else None


def _with_text(message: Any, text: str) -> Any:
    """A message of a user or a tool with another text; parts that are no text stay."""
    if text == _text(message):
        return message
    content: Any = text
    if not isinstance(message.content, str):
        bare = [part for part in message.content if isinstance(part, dict) and _is_bytes(part)]
        rest = [{key: value for key, value in part.items() if _spoken({key: value}, True) is None} for part in bare]
        content = [{"type": "text", "text": text}, *rest]
    return message.model_copy(update={"content": content, **({"name": None} if _is_turn(message) else {})})


# --- what a model says ------------------------------------------------------------------------------------------------


def _texts(message: Any) -> list[str]:
    """The texts of an answer."""
    content = message.content
    parts = [content] if isinstance(content, str) else content
    return [text for part in parts if (text := _text_of(part))]


def _text_of(part: Any) -> str | None:
    text = part if isinstance(part, str) else part.get("text")
    return text if isinstance(text, str) else None


def _beside(message: Any) -> Iterator[str]:
    """What an answer says beside its texts: thoughts, citations, what a provider adds."""
    for part in () if isinstance(message.content, str) else message.content:
        if isinstance(part, dict) and part.get("type") not in _CALLS:
            whole = _text_of(part) is None
            yield from _strings({key: value for key, value in part.items() if whole or key != "text"})
    yield from _strings({key: value for key, value in message.additional_kwargs.items() if key not in _RAW_CALLS})


def _strings(value: Any, key: str = "") -> Iterator[str]:
    if isinstance(value, str):
        if len(value) > _SHORT and (key not in OPAQUE or _SPACE.search(value) is not None):
            yield value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _strings(inner, str(name))
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)


def _mapped_message(message: Any, changed: Mapping[str, str]) -> Any:
    """An answer with each string as it may be shown; its texts by themselves or joined."""
    if all(text == other for text, other in changed.items()):
        return message
    whole, content = "\n".join(_texts(message)), message.content
    if isinstance(content, str):
        content = changed.get(content, content)
    elif changed.get(whole, whole) != whole:
        rest = [part for part in content if isinstance(part, dict) and _text_of(part) is None]
        content = [{"type": "text", "text": changed[whole]}, *_mapped(rest, changed)]
    else:
        content = _mapped(content, changed)
    # How likely each token was would spell those that were taken out.
    metadata = {key: value for key, value in message.response_metadata.items() if key != "logprobs"}
    more = _mapped(message.additional_kwargs, changed)
    return message.model_copy(update={"content": content, "additional_kwargs": more, "response_metadata": metadata})


def _mapped(value: Any, changed: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return changed.get(value, value)
    if isinstance(value, Mapping):
        return {key: _mapped(inner, changed) for key, inner in value.items()}
    return [_mapped(inner, changed) for inner in value] if isinstance(value, list) else value


def _dumped(value: Any) -> str:
    """A structured answer as JSON."""
    if hasattr(value, "model_dump_json"):
        return str(value.model_dump_json())
    fields = dataclasses.asdict(value) if _is_dataclass(value) else value
    return json.dumps(fields, default=str)


def _is_dataclass(value: Any) -> bool:
    return dataclasses.is_dataclass(value) and not isinstance(value, type)


def _rebuilt(value: Any, text: str) -> Any:
    """The same structured answer from other JSON.

    Raises:
        ValueError: it does not fit any more.
    """
    if hasattr(value, "model_validate_json"):
        return type(value).model_validate_json(text)
    made = json.loads(text)
    return type(value)(**made) if _is_dataclass(value) else made


def _with_structured(message: Any, shown: set[str], made: Any) -> Any:
    """A message of a structured answer with what became of it: the call that it was, or what confirms it."""
    if isinstance(message, ToolMessage):
        return message.model_copy(update={"content": f"Returning structured response: {json.dumps(made)}"})
    if not isinstance(message, AIMessage):
        return message
    calls = [{**call, "args": made} if call["id"] in shown else call for call in message.tool_calls]
    rest = {key: value for key, value in message.additional_kwargs.items() if key not in _RAW_CALLS}
    return message.model_copy(update={"tool_calls": calls, "additional_kwargs": rest})
