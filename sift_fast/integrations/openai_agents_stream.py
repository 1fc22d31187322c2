"""OpenAI Agents SDK, streamed runs: a model whose answers are checked while they arrive.

    model = GuardedModel(model, Guard.open("sift.toml"), context)
    result = Runner.run_streamed(Agent(..., model=model), question)   # each text in its events was checked

The SDK runs output guardrails behind the last event of an answer, when it has been shown. Here an event with a text
goes out when its text was checked: secrets and personal data are taken out, and an answer that is stopped ends the run
with `OutputGuardrailTripwireTriggered`. Turns and tools are checked by `sift_guardrails`, as they are without a stream;
in the events, the model's calls stand as it made them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

import agents

from sift_fast.integrations.openai_agents import _info

if TYPE_CHECKING:
    from sift_fast.guard import Guard, RequestContext, Verdict
    from sift_fast.guard._stream import OutputStream

__all__ = ["GuardedModel"]

#: Item, list of parts, number in it.
Key = tuple[int, str, int]

#: Lists of parts of an item, and under which number an event names one.
_LISTS = {"summary": "summary_index", "content": "content_index"}
#: Events with which an answer ends.
_ENDS = {"response.completed", "response.incomplete", "response.failed"}
#: What a part says its text under.
_WORDS = ("text", "refusal")


class GuardedModel(agents.Model):  # type: ignore[misc]
    """A model in front of which a guard stands.

    Args:
        model: the SDK's model that answers.
        guard: decides.
        context: who asks: a `RequestContext`, or a function that says so when an answer begins.
    """

    def __init__(self, model: Any, guard: Guard, context: RequestContext | Callable[[], RequestContext]) -> None:
        self._model = model
        self._guard = guard
        self._context = context

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    async def close(self) -> None:
        """Close the model."""
        await self._model.close()

    async def get_response(self, *arguments: Any, **more: Any) -> Any:
        """A whole answer, checked. Raises as `stream_response` does."""
        response = await self._model.get_response(*arguments, **more)
        answer = _Answer(self._guard, self._asking())
        response.output = [await answer.item(item, number) for number, item in enumerate(response.output)]
        return response

    async def stream_response(self, *arguments: Any, **more: Any) -> AsyncIterator[Any]:
        """The events of an answer, each when it was checked.

        Raises:
            OutputGuardrailTripwireTriggered: the answer is stopped; what was held back is not shown.
        """
        answer = _Answer(self._guard, self._asking())
        source = self._model.stream_response(*arguments, **more)
        try:
            async for event in source:
                for checked in await answer.read(event):
                    yield checked
            for checked in await answer.finished(lambda _: True):
                yield checked
        finally:
            answer.abort()
            if hasattr(source, "aclose"):
                await source.aclose()

    def _asking(self) -> RequestContext:
        return self._context() if callable(self._context) else self._context


class _Text:
    """A text that comes in pieces."""

    def __init__(self, stream: OutputStream) -> None:
        self.stream = stream
        self.shown = ""
        #: The last event that brought a piece.
        self.event: Any = None
        self.done = False


class _Answer:
    """The texts of one answer."""

    def __init__(self, guard: Guard, context: RequestContext) -> None:
        self._guard = guard
        self._context = context
        self._pieces: dict[Key, _Text] = {}
        #: Texts that came whole, as they came and as they went out.
        self._whole: dict[str, str] = {}

    async def read(self, event: Any) -> list[Any]:
        """The events that may go out in the place of one."""
        kind, at = str(event.type), getattr(event, "output_index", -1)
        for name, index in _LISTS.items():
            if hasattr(event, index):
                return await self._of_part(event, kind, (at, name, getattr(event, index)))
        if hasattr(event, "item"):
            out = await self.finished(lambda each: each[0] == at) if kind.endswith(".done") else []
            return [*out, event.model_copy(update={"item": await self.item(event.item, at)})]
        if hasattr(event, "response"):
            out = await self.finished(lambda _: kind in _ENDS)
            items = [await self.item(item, number) for number, item in enumerate(event.response.output or ())]
            response = event.response.model_copy(update={"output": items})
            return [*out, event.model_copy(update={"response": response})]
        return [event]

    async def _of_part(self, event: Any, kind: str, key: Key) -> list[Any]:
        if kind.endswith(".delta"):
            text = self._pieces.get(key)
            if text is None:
                text = self._pieces[key] = _Text(self._guard.stream_output((), self._context, say=False))
            text.event = event
            return await self._told(text, text.stream.feed(event.delta))
        out = await self.finished(lambda each: each == key) if kind.endswith(".done") else []
        if hasattr(event, "part"):
            return [*out, event.model_copy(update={"part": await self._part(event.part, key)})]
        return [*out, await self._part(event, key)]

    def abort(self) -> None:
        """Discard what is held."""
        for text in self._pieces.values():
            if not text.done:
                text.stream.abort()

    async def _told(self, text: _Text, piece: str) -> list[Any]:
        text.shown += piece
        if text.stream.is_stopped():
            # Its verdict is made at its end.
            await text.stream.finish_async()
        if text.stream.verdict is not None:
            _require(text.stream.verdict)
        # How likely each token was would spell those that were taken out.
        more: dict[str, Any] = {"logprobs": []} if hasattr(text.event, "logprobs") else {}
        return [text.event.model_copy(update={"delta": piece, **more})] if piece else []

    async def finished(self, which: Callable[[Key], bool]) -> list[Any]:
        """The rest of texts that have ended."""
        out = []
        for key, text in self._pieces.items():
            if not text.done and which(key):
                text.done = True
                out += await self._told(text, await text.stream.finish_async())
        return out

    async def item(self, item: Any, at: int) -> Any:
        """An item with its texts checked, or as they were shown."""
        update = {}
        for name in _LISTS:
            parts = getattr(item, name, None)
            if isinstance(parts, list):
                update[name] = [await self._part(part, (at, name, number)) for number, part in enumerate(parts)]
        return item.model_copy(update=update) if update else item

    async def _part(self, part: Any, key: Key) -> Any:
        """A part, or an event that ends one, with the text that was shown of it."""
        update: dict[str, Any] = {"logprobs": []} if getattr(part, "logprobs", None) else {}
        for word in _WORDS:
            said = getattr(part, word, None)
            if isinstance(said, str):
                pieces = self._pieces.get(key)
                update[word] = await self._checked(said) if pieces is None else pieces.shown
        return part.model_copy(update=update) if update else part

    async def _checked(self, text: str) -> str:
        if text and text not in self._whole:
            self._whole[text] = _require(await self._guard.check_output(text, self._context)).text or ""
        return self._whole.get(text, "")


def _require(verdict: Verdict) -> Verdict:
    if not verdict.allowed:
        raise agents.OutputGuardrailTripwireTriggered(
            agents.OutputGuardrailResult(
                guardrail=agents.OutputGuardrail(_info, name="sift_fast"),
                agent_output=None,
                agent=None,
                output=agents.GuardrailFunctionOutput(_info(verdict), tripwire_triggered=True),
            )
        )
    return verdict
