"""LangChain agents (langchain 1.x): a guard around the user's turn, every model call and every tool call.

    agent = create_agent(model, tools, middleware=[SiftMiddleware(Guard.open("sift.toml"), context)])

A blocked turn ends the run with the message for the user; a blocked tool call becomes an error that the model reads,
and the tool is not called. Who streams an agent (`stream_mode="messages"`) gets an answer when it is checked, in one
piece.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from langchain.agents.middleware import AgentMiddleware, hook_config
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langgraph.constants import TAG_NOSTREAM

from sift_fast.guard._json import render
from sift_fast.guard.verdict import REMOVED

if TYPE_CHECKING:
    from sift_fast.guard import Guard, RequestContext, Verdict

__all__ = ["SiftMiddleware"]

#: On a turn that has placeholders already: taken out once more, they would count as something that the user wrote.
_MARK = "sift_fast.redacted"
#: Parts that are no text.
_BYTES = {"image", "image_url", "audio", "input_audio", "video", "file", "media"}


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

    def _context(self, runtime: Any) -> RequestContext:
        return self._given(runtime) if callable(self._given) else self._given

    @hook_config(can_jump_to=["end"])  # type: ignore[untyped-decorator]
    def before_agent(self, state: Any, runtime: Any) -> dict[str, Any] | None:
        """Check the user's turn."""
        edited = []
        for message in _new_turns(state):
            verdict = self._guard.check_input_sync(_text(message), self._context(runtime))
            if not verdict.allowed:
                return _end(message, verdict)
            edited += _turn(message, verdict)
        return {"messages": edited} if edited else None

    @hook_config(can_jump_to=["end"])  # type: ignore[untyped-decorator]
    async def abefore_agent(self, state: Any, runtime: Any) -> dict[str, Any] | None:
        """Check the user's turn."""
        edited = []
        for message in _new_turns(state):
            verdict = await self._guard.check_input(_text(message), self._context(runtime))
            if not verdict.allowed:
                return _end(message, verdict)
            edited += _turn(message, verdict)
        return {"messages": edited} if edited else None

    def wrap_model_call(self, request: Any, handler: Callable[[Any], Any]) -> Any:
        """Redact what is sent again, and check the answer."""
        context = self._context(request.runtime)
        response = handler(self._rescrubbed(request, context))
        for at, message in enumerate(response.result):
            if _said(message):
                verdict = self._guard.check_output_sync(_text(message), context)
                response.result[at] = _answer(message, verdict)
        return response

    async def awrap_model_call(self, request: Any, handler: Callable[[Any], Awaitable[Any]]) -> Any:
        """Redact what is sent again, and check the answer."""
        context = self._context(request.runtime)
        response = await handler(self._rescrubbed(request, context))
        for at, message in enumerate(response.result):
            if _said(message):
                verdict = await self._guard.check_output(_text(message), context)
                response.result[at] = _answer(message, verdict)
        return response

    def wrap_tool_call(self, request: Any, handler: Callable[[Any], Any]) -> Any:
        """Check the arguments, call the tool, check its result."""
        context, call = self._context(request.runtime), request.tool_call
        verdict = self._guard.check_tool_input_sync(call["name"], call["args"], context)
        if not verdict.allowed:
            return _refused(call, verdict)
        result = handler(request.override(tool_call={**call, "args": verdict.value}))
        for message in _results(result):
            _result(message, self._guard.check_tool_output_sync(call["name"], _text(message), context))
        return result

    async def awrap_tool_call(self, request: Any, handler: Callable[[Any], Awaitable[Any]]) -> Any:
        """Check the arguments, call the tool, check its result."""
        context, call = self._context(request.runtime), request.tool_call
        verdict = await self._guard.check_tool_input(call["name"], call["args"], context)
        if not verdict.allowed:
            return _refused(call, verdict)
        result = await handler(request.override(tool_call={**call, "args": verdict.value}))
        for message in _results(result):
            _result(message, await self._guard.check_tool_output(call["name"], _text(message), context))
        return result

    def _rescrubbed(self, request: Any, context: RequestContext) -> Any:
        # Answers in the state hold what was put back for the user: the model gets placeholders again.
        messages = []
        for message in request.messages:
            if isinstance(message, HumanMessage | AIMessage) and _text(message) and not _is_marked(message):
                # What a user said earlier may have been refused, or never asked about.
                again = self._guard.reread if isinstance(message, HumanMessage) else self._guard.rescrub
                message = _with_text(message, again(_text(message), context))  # noqa: PLW2901 -- the same one, edited
            messages.append(message)
        return request.override(messages=messages, model=_unheard(request.model))


def _unheard(model: Any) -> Any:
    """The model, its answers shown to who streams the agent only as they leave this middleware: not token by token."""
    tags = [*(getattr(model, "tags", None) or ()), TAG_NOSTREAM]
    return model.model_copy(update={"tags": tags}) if hasattr(model, "tags") else model.with_config(tags=tags)


def _new_turns(state: Any) -> list[Any]:
    """What the user said since somebody else did."""
    out: list[Any] = []
    for message in reversed(state["messages"]):
        if not isinstance(message, HumanMessage):
            break
        out.append(message)
    return out[::-1]


def _is_marked(message: Any) -> bool:
    return _MARK in message.response_metadata


def _end(message: Any, verdict: Verdict) -> dict[str, Any]:
    """The end of a run; the turn that was refused does not stay in the state, to be sent with the next one."""
    removed = message.model_copy(update={"content": REMOVED})
    return {"jump_to": "end", "messages": [removed, AIMessage(content=verdict.message)]}


def _turn(message: Any, verdict: Verdict) -> list[Any]:
    """A turn in the place of what was said, if it is another."""
    if verdict.text == _text(message):
        return []
    edited = _with_text(message, verdict.text or "")
    return [edited.model_copy(update={"response_metadata": {**message.response_metadata, _MARK: True}})]


def _said(message: Any) -> bool:
    return isinstance(message, AIMessage) and bool(_text(message))


def _answer(message: Any, verdict: Verdict) -> Any:
    if not verdict.allowed:
        # Its tool calls go with it: nothing of a blocked answer has an effect.
        return AIMessage(content=verdict.message, id=message.id)
    return message if verdict.text == _text(message) else _with_text(message, verdict.text or "")


def _refused(call: Any, verdict: Verdict) -> Any:
    return ToolMessage(content=verdict.message, tool_call_id=call["id"], name=call["name"], status="error")


def _results(result: Any) -> list[Any]:
    """The tool messages of a result, those in a command's update among them."""
    if isinstance(result, ToolMessage):
        return [result]
    update = getattr(result, "update", None)
    messages = update.get("messages") or () if isinstance(update, dict) else ()
    return [message for message in messages if isinstance(message, ToolMessage)]


def _result(message: Any, verdict: Verdict) -> None:
    if verdict.allowed:
        if verdict.text != _text(message):
            message.content = verdict.text
    else:
        message.content, message.status = verdict.message, "error"
    if not verdict.allowed or verdict.decision == "redact":
        # What stands beside the text is the same result, unread.
        message.artifact = None


def _text(message: Any) -> str:
    """The text of a message, its parts one below the other."""
    content = message.content
    if isinstance(content, str):
        return content
    parts = [_part(part, said=isinstance(message, AIMessage)) for part in content]
    return "\n".join(part for part in parts if part)


def _part(part: Any, *, said: bool) -> str:
    """The text of a part: a document or a search result that a user or a tool brings is one as a whole."""
    if isinstance(part, str):
        return part
    text = part.get("text")
    if isinstance(text, str) or said or part.get("type") in _BYTES:
        return text or ""
    return render(part)


def _with_text(message: Any, text: str) -> Any:
    """A message with another text; parts that are no text stay."""
    if text == _text(message):
        return message
    content: Any = text
    if not isinstance(message.content, str):
        said = isinstance(message, AIMessage)
        rest = [part for part in message.content if isinstance(part, dict) and not _part(part, said=said)]
        content = [{"type": "text", "text": text}, *rest]
    return message.model_copy(update={"content": content})
