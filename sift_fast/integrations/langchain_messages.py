"""Messages of LangChain as a guard reads and rewrites them, and the models that say them."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from langchain_core.messages import (
    AIMessage,
    FunctionMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
    convert_to_messages,
)
from langchain_core.runnables.config import var_child_runnable_config
from langchain_core.tracers._streaming import _StreamingCallbackHandler, _V2StreamingCallbackHandler
from langgraph.constants import TAG_NOSTREAM

from sift_fast.guard.protocols import parts
from sift_fast.guard.verdict import REMOVED

if TYPE_CHECKING:
    from sift_fast.guard import RequestContext, Verdict
    from sift_fast.guard.protocols.steps import Steps

__all__ = [
    "beside",
    "edited",
    "end",
    "new_turns",
    "results",
    "said",
    "stop",
    "text",
    "unheard",
    "with_structured",
    "with_text",
]

#: Calls as a provider said them, read again by nobody.
_RAW_CALLS = {"tool_calls", "function_call"}


def _is_turn(message: Any) -> bool:
    """Whether a message is a user's: whatever is nobody else's."""
    return not isinstance(message, AIMessage | SystemMessage | ToolMessage | FunctionMessage | RemoveMessage)


def new_turns(messages: list[Any]) -> list[Any]:
    """What the user said last, up to where somebody else spoke."""
    last = max((at for at, message in enumerate(messages) if _is_turn(message)), default=-1)
    if any(isinstance(message, AIMessage) and message.tool_calls for message in messages[last + 1 :]):
        # The agent goes on with what it did: the turn was new when it began.
        return []
    first = last
    while first > 0 and _is_turn(messages[first - 1]):
        first -= 1
    return messages[first : last + 1] if last >= 0 else []


def end(message: Any, verdict: Verdict) -> dict[str, Any]:
    """The end of a run; the turn that was refused does not stay in the state, to be sent with the next one."""
    removed = message.model_copy(update={"content": REMOVED, "name": None})
    return {"jump_to": "end", "messages": [removed, AIMessage(content=verdict.message)]}


def stop(response: Any, text: str, number: str | None) -> Any:
    """An answer in the place of one that is stopped. Calls go with it: nothing of it has an effect."""
    response.result[:] = [AIMessage(content=text, id=number)]
    response.structured_response = None
    return response


def results(result: Any) -> tuple[Any, list[Any]]:
    """A tool's result, and the messages in it."""
    if isinstance(result, ToolMessage):
        return result, [result]
    update = getattr(result, "update", None)
    if not isinstance(update, dict) or not update.get("messages"):
        return result, []
    given = update["messages"]
    messages = convert_to_messages(given if isinstance(given, list | tuple) else [given])
    return dataclasses.replace(result, update={**update, "messages": messages}), messages


def text(message: Any) -> str:
    """All of a message that a model reads as text, its parts one below the other."""
    if isinstance(message, AIMessage):
        return "\n".join(parts.texts(message.content))
    return parts.said(message.content, message.name if _is_turn(message) else None)


def with_text(message: Any, shown: str) -> Any:
    """A message of a user or a tool with another text; parts that are no text stay."""
    if shown == text(message):
        return message
    name: dict[str, Any] = {"name": None} if _is_turn(message) else {}
    return message.model_copy(update={"content": parts.with_text(message.content, shown), **name})


def beside(message: Any) -> Iterator[str]:
    """What an answer says beside its texts: thoughts, citations, what a provider adds."""
    yield from parts.beside(message.content)
    yield from parts.strings({key: each for key, each in message.additional_kwargs.items() if key not in _RAW_CALLS})


def edited(message: Any, changed: Mapping[str, str]) -> Any:
    """An answer with each string as it may be shown; its texts by themselves or joined."""
    if all(given == other for given, other in changed.items()):
        return message
    # How likely each token was would spell those that were taken out.
    metadata = {key: value for key, value in message.response_metadata.items() if key != "logprobs"}
    return message.model_copy(
        update={
            "content": parts.edited(message.content, changed),
            "additional_kwargs": parts.mapped(message.additional_kwargs, changed),
            "response_metadata": metadata,
        }
    )


def with_structured(message: Any, shown: set[str], made: Any) -> Any:
    """A message of a structured answer with what became of it: the call that it was, or what confirms it."""
    if isinstance(message, ToolMessage):
        return message.model_copy(update={"content": f"Returning structured response: {json.dumps(made)}"})
    if not isinstance(message, AIMessage):
        return message
    calls = [{**call, "args": made} if call["id"] in shown else call for call in message.tool_calls]
    rest = {key: value for key, value in message.additional_kwargs.items() if key not in _RAW_CALLS}
    return message.model_copy(update={"tool_calls": calls, "additional_kwargs": rest})


def said(message: Any, context: RequestContext) -> Steps:
    """The verdict that stops an answer, if one does, and what becomes of each of its strings."""
    changed: dict[str, str] = {}
    whole = "\n".join(parts.texts(message.content))
    for each in dict.fromkeys([whole, *beside(message)]):
        if each:
            verdict = yield "check_output", each, context
            if not verdict.allowed:
                return verdict, changed
            changed[each] = verdict.text or ""
    return None, changed


def unheard(model: Any) -> Any:
    """The model, its answers shown to who streams the agent only as they leave the middleware: not token by token."""
    tags = [*(getattr(model, "tags", None) or ()), TAG_NOSTREAM]
    return model.model_copy(update={"tags": tags}) if hasattr(model, "tags") else model.with_config(tags=tags)


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """While a model answers nobody is told of it who streams the agent's events: they come from callbacks of the model,
    past every middleware. What they are told is what leaves the agent's node.
    """
    config = var_child_runnable_config.get()
    callbacks: Any = None if config is None else config.get("callbacks")
    if callbacks is None:
        yield
        return
    told = callbacks if isinstance(callbacks, list) else callbacks.handlers
    streams = [each for each in told if isinstance(each, _StreamingCallbackHandler | _V2StreamingCallbackHandler)]
    if isinstance(callbacks, list):
        callbacks = [each for each in callbacks if each not in streams]
    else:
        callbacks = callbacks.copy()
        for each in streams:
            callbacks.remove_handler(each)
    token = var_child_runnable_config.set({**config, "callbacks": callbacks})
    try:
        yield
    finally:
        var_child_runnable_config.reset(token)
