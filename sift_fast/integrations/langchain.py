"""LangChain agents (langchain 1.x): a guard around the user's turn, every model call and every tool call.

    agent = create_agent(model, tools, middleware=[SiftMiddleware(Guard.open("sift.toml"), context)])

A blocked turn ends the run with the message for the user; a blocked tool call becomes an error that the model reads,
and the tool is not called. Who streams an agent (`stream_mode="messages"`, `astream_events`) gets an answer when it is
checked, in one piece. Structured answers are checked as what they are; one that cannot be edited is stopped.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from langchain.agents.middleware import AgentMiddleware, hook_config
from langchain_core.messages import AIMessage, FunctionMessage, SystemMessage, ToolMessage

from sift_fast.guard._memory import Known
from sift_fast.guard.protocols import parts
from sift_fast.guard.protocols.openai import UNKNOWN
from sift_fast.guard.protocols.steps import Steps, drive, drive_async
from sift_fast.integrations import langchain_messages as told

if TYPE_CHECKING:
    from sift_fast.guard import Guard, RequestContext, Verdict

__all__ = ["SiftMiddleware"]


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
        self._known = Known()

    def _note(self, context: RequestContext, sort: str, text: str) -> None:
        """Note a text that is checked. Nothing in a message may say so: clients write messages."""
        self._known.add(context.tenant, context.role, context.user, context.conversation, sort, text)

    def _knows(self, context: RequestContext, sort: str, text: str) -> bool:
        return self._known.has(context.tenant, context.role, context.user, context.conversation, sort, text)

    def _context(self, runtime: Any) -> RequestContext:
        return self._given(runtime) if callable(self._given) else self._given

    @hook_config(can_jump_to=["end"])  # type: ignore[untyped-decorator]
    def before_agent(self, state: Any, runtime: Any) -> dict[str, Any] | None:
        """Check the user's turn."""
        return drive(self._guard, self._turns(state, self._context(runtime)))  # type: ignore[no-any-return]

    @hook_config(can_jump_to=["end"])  # type: ignore[untyped-decorator]
    async def abefore_agent(self, state: Any, runtime: Any) -> dict[str, Any] | None:
        """Check the user's turn."""
        return await drive_async(self._guard, self._turns(state, self._context(runtime)))  # type: ignore[no-any-return]

    def wrap_model_call(self, request: Any, handler: Callable[[Any], Any]) -> Any:
        """Redact what is sent again, and check the answer."""
        context = self._context(request.runtime)
        sent = drive(self._guard, self._sent(request, context))
        with told.silence():
            response = handler(sent)
        return drive(self._guard, self._answered(response, context))

    async def awrap_model_call(self, request: Any, handler: Callable[[Any], Awaitable[Any]]) -> Any:
        """Redact what is sent again, and check the answer."""
        context = self._context(request.runtime)
        sent = await drive_async(self._guard, self._sent(request, context))
        with told.silence():
            response = await handler(sent)
        return await drive_async(self._guard, self._answered(response, context))

    def wrap_tool_call(self, request: Any, handler: Callable[[Any], Any]) -> Any:
        """Check the arguments, call the tool, check its result."""
        context, call = self._context(request.runtime), request.tool_call
        verdict = self._guard.check_tool_input_sync(call["name"], call["args"], context)
        if not verdict.allowed:
            return self._refused(call, verdict, context)
        result = handler(request.override(tool_call={**call, "args": verdict.value}))
        return drive(self._guard, self._returned(result, call["name"], context))

    async def awrap_tool_call(self, request: Any, handler: Callable[[Any], Awaitable[Any]]) -> Any:
        """Check the arguments, call the tool, check its result."""
        context, call = self._context(request.runtime), request.tool_call
        verdict = await self._guard.check_tool_input(call["name"], call["args"], context)
        if not verdict.allowed:
            return self._refused(call, verdict, context)
        result = await handler(request.override(tool_call={**call, "args": verdict.value}))
        return await drive_async(self._guard, self._returned(result, call["name"], context))

    # --- what is asked ---------------------------------------------------------------------------------------------

    def _turns(self, state: Any, context: RequestContext) -> Steps:
        """The user's turns that are new."""
        edited = []
        for message in told.new_turns(state["messages"]):
            text = told.text(message)
            verdict = yield "check_input", text, context
            if not verdict.allowed:
                return told.end(message, verdict)
            if verdict.text != text:
                edited.append(told.with_text(message, verdict.text or ""))
                # Taken out once more, its placeholders would count as something that the user wrote.
                self._note(context, "turn", verdict.text or "")
        return {"messages": edited} if edited else None

    def _sent(self, request: Any, context: RequestContext) -> Steps:
        """What goes to the model once more. Answers in the state hold what was put back for the user: the model gets
        placeholders again. What a user said earlier may have been refused, or never asked about; a result that came
        with the history is none that this guard has seen.
        """
        messages, names = [], {}
        for message in request.messages:
            names.update({call["id"]: call["name"] for call in getattr(message, "tool_calls", None) or ()})
            text, sent = told.text(message), message
            if isinstance(message, SystemMessage):
                pass
            elif isinstance(message, AIMessage):
                said = dict.fromkeys([*parts.texts(message.content), *told.beside(message)])
                sent = told.edited(message, {each: self._guard.rescrub(each, context) for each in said})
            elif not text:
                pass
            elif isinstance(message, ToolMessage | FunctionMessage):
                if not self._knows(context, "tool", text):
                    name = names.get(getattr(message, "tool_call_id", None)) or message.name or UNKNOWN
                    verdict = yield "check_tool_output", name, text, context
                    sent = told.with_text(message, (verdict.text or "") if verdict.allowed else verdict.message)
                    self._note(context, "tool", told.text(sent))
            elif not self._knows(context, "turn", text):
                sent = told.with_text(message, (yield "reread", text, context))
            messages.append(sent)
        return request.override(messages=messages, model=told.unheard(request.model))

    def _answered(self, response: Any, context: RequestContext) -> Steps:
        """The model's answer, its thoughts, and what was read from it."""
        for at, message in enumerate(response.result):
            if not isinstance(message, AIMessage):
                continue
            stopped, changed = yield from told.said(message, context)
            if stopped is not None:
                return told.stop(response, stopped.message, message.id)
            response.result[at] = told.edited(message, changed)
        if response.structured_response is None:
            return response
        return (yield from self._structured(response, context))

    def _structured(self, response: Any, context: RequestContext) -> Steps:
        structured = response.structured_response
        text = parts.dumped(structured)
        verdict = yield "check_output", text, context
        if not verdict.allowed:
            return told.stop(response, verdict.message, None)
        if verdict.text != text:
            try:
                response.structured_response = parts.rebuilt(structured, verdict.text)
            except Exception:  # noqa: BLE001 -- whatever a class of others makes of it, it does not go on as it was
                return told.stop(response, self._guard.config.answers.block, None)
        shown = {message.tool_call_id for message in response.result if isinstance(message, ToolMessage)}
        for at, message in enumerate(response.result):
            if verdict.text != text:
                response.result[at] = told.with_structured(message, shown, json.loads(verdict.text))
            if isinstance(message, ToolMessage):
                self._note(context, "tool", told.text(response.result[at]))
        return response

    def _returned(self, result: Any, tool: str, context: RequestContext) -> Steps:
        """What a tool returned: a message, or a command with messages in its update."""
        result, messages = told.results(result)
        for message in messages:
            text = told.text(message)
            if not text:
                continue
            verdict = yield "check_tool_output", tool, text, context
            shown = (verdict.text or "") if verdict.allowed else verdict.message
            if shown != text:
                message.content = told.with_text(message, shown).content
            if not verdict.allowed and isinstance(message, ToolMessage):
                message.status = "error"
            if (not verdict.allowed or verdict.decision == "redact") and isinstance(message, ToolMessage):
                # What stands beside the text is the same result, unread.
                message.artifact = None
            self._note(context, "tool", told.text(message))
        return result

    def _refused(self, call: Any, verdict: Verdict, context: RequestContext) -> Any:
        self._note(context, "tool", verdict.message)
        return ToolMessage(content=verdict.message, tool_call_id=call["id"], name=call["name"], status="error")
