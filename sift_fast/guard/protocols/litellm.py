"""What LiteLLM asks of a guardrail, in its own process and over HTTP: texts and tool calls of a request or an answer.

It gives the text of a stream from its beginning each time; what goes back is the redacted text and how many of its last
characters may still change.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from sift_fast.guard._stream import OutputStream
from sift_fast.guard.protocols.openai import Blocked, Calls, check_tool_call, earlier, last_said, together
from sift_fast.guard.verdict import Verdict

if TYPE_CHECKING:
    from sift_fast.guard.guard import Guard
    from sift_fast.guard.verdict import RequestContext

__all__ = ["LiteLlmGuard"]

#: Calls of which it is remembered that their decision is on record.
_TOLD = 10_000


class LiteLlmGuard:
    """A guard as LiteLLM asks it.

    Args:
        guard: decides.
    """

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._told: OrderedDict[tuple[str | None, str], None] = OrderedDict()

    async def asked(self, texts: list[str], messages: Any, context: RequestContext) -> list[str]:
        """Texts of a request. The last one is the new turn; what the service says itself is left alone where roles
        are known.

        Raises:
            Blocked: one of them does not go on.
        """
        known = [message for message in messages or () if isinstance(message, Mapping)]
        turns = _by_text(known)
        last = last_said([turn for _, turn, _ in turns])
        if [text for _, _, text in turns] != texts:
            # Nobody says whose a text is: the last one is new, and none of the others is trusted.
            turns, last = [(0, {"role": "user"}, text) for text in texts], len(texts) - 1
        calls, passed = Calls({}), 0
        out = []
        for at, (number, turn, text) in enumerate(turns):
            role = turn.get("role")
            # Turns of nothing but calls have no text.
            for made in known[passed:number]:
                calls.made(made)
            passed = max(passed, number)
            if role in {"system", "developer"}:
                out.append(text)
            elif role in {"tool", "function"}:
                name = calls.tool(turn.get("tool_call_id"), turn.get("name"))
                out.append(_text(await self._guard.check_tool_output(name, text, context)))
            elif role != "assistant" and at >= last:
                out.append(_text(await self._guard.check_input(text, context)))
            else:
                out.append(await earlier(self._guard, text, context, said=role != "assistant"))
        return out

    async def answered(self, texts: Iterable[str], context: RequestContext) -> tuple[list[str], list[int]]:
        """Texts of an answer as far as it has come, and of each how many characters at its end may still change.

        Raises:
            Blocked: one of them does not go on.
        """
        shown, held = [], []
        for text in texts:
            stream = OutputStream(self._guard, self._guard._state, None, context, say=False, quiet=True)
            sure = stream.feed(text)
            whole = sure + await stream.finish_async()
            verdict = stream.verdict
            assert verdict is not None  # noqa: S101 -- there is one once a stream is finished
            if self._is_news(verdict, context):
                stream.record()
            if not verdict.allowed:
                raise Blocked(verdict)
            shown.append(whole)
            held.append(len(whole) - len(sure))
        return shown, held

    async def calls(
        self, calls: Iterable[Mapping[str, Any]], context: RequestContext, *, edit: bool = True
    ) -> list[dict[str, Any]]:
        """Tool calls of an answer: all of them go on, or none.

        Args:
            calls: they.
            context: who asked.
            edit: whether there is a place for calls that were edited.

        Raises:
            Blocked: one of them does not go on, or not as it is where that is not what is asked.
        """
        async with together(self._guard) as held:
            given = list(calls)
            out = [await check_tool_call(self._guard, call, context, held) for call in given]
            if not edit and out != given:
                raise Blocked(self._guard.refuse("tool_input", "tools.arguments", context))
            return out

    def _is_news(self, verdict: Verdict, context: RequestContext) -> bool:
        """Whether this was not decided for the same call before: the beginning of a stream comes again and again."""
        key = (context.trace_id, verdict.decision)
        if verdict.decision == "allow" or (context.trace_id is not None and key in self._told):
            return False
        self._told[key] = None
        if len(self._told) > _TOLD:
            self._told.popitem(last=False)
        return True


def _by_text(messages: list[Mapping[str, Any]]) -> list[tuple[int, Mapping[str, Any], str]]:
    """The message of each text, and how many stand before it: LiteLLM makes one of every part that has one."""
    out: list[tuple[int, Mapping[str, Any], str]] = []
    for number, message in enumerate(messages):
        content = message.get("content")
        parts = [{"text": content}] if isinstance(content, str) else content
        for part in parts if isinstance(parts, list) else ():
            text = part.get("text") if isinstance(part, Mapping) else None
            if isinstance(text, str):
                out.append((number, message, text))
    return out


def _text(verdict: Verdict) -> str:
    if not verdict.allowed or verdict.text is None:
        raise Blocked(verdict)
    return verdict.text
