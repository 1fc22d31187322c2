"""OpenAI Agents SDK, streamed runs: a model whose answers are checked while they arrive.

    model = GuardedModel(model, Guard.open("sift.toml"), context)
    result = Runner.run_streamed(Agent(..., model=model), question)   # each text in its events was checked

The SDK runs output guardrails behind the last event of an answer, when it has been shown. Here an event with a text
goes out when its text was checked: secrets and personal data are taken out, and an answer that is stopped ends the run
with `OutputGuardrailTripwireTriggered`. Turns and tools are checked by `sift_guardrails`, as they are without a stream;
in the events, the model's calls stand as it made them.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

import agents

from sift_fast.guard.protocols.openai import CALLS, Blocked, check_item, scrub
from sift_fast.integrations.openai_agents import _info

if TYPE_CHECKING:
    from sift_fast.guard import Guard, RequestContext, Verdict
    from sift_fast.guard._stream import OutputStream

__all__ = ["GuardedModel"]

#: Item, list of parts, number in it.
Key = tuple[int, str, int]

#: Lists of parts of an item, and under which number an event names one.
_LISTS = {"summary": "summary_index", "content": "content_index"}
#: Items whose texts stand in parts.
_WITH_PARTS = {"message", "reasoning"}
#: Events with which an answer ends.
_ENDS = {"response.completed", "response.incomplete", "response.failed"}
#: What a part says its text under.
_WORDS = ("text", "refusal", "transcript", "code")
#: Events that bring a piece of a call's arguments, or of a sound.
_NO_TEXT = re.compile(r"response\.(?:\w*(?:arguments|_input|diff)|audio|output_audio)\.(?:delta|done)")


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
            # The service's own instructions are nobody's who is shown an answer.
            update = {"output": items, "instructions": None}
            if "output_text" in (getattr(event.response, "model_extra", None) or {}):
                # A convenience of some servers: the texts once more.
                update["output_text"] = None
            response = event.response.model_copy(update=update)
            return [*out, event.model_copy(update={"response": response})]
        if _NO_TEXT.fullmatch(kind):
            return [event]
        # Texts of an item that has no parts: what is said, or the code that is run.
        return await self._of_part(event, kind, (at, kind.rpartition(".")[0], 0))

    async def _of_part(self, event: Any, kind: str, key: Key) -> list[Any]:
        if kind.endswith(".delta") and isinstance(getattr(event, "delta", None), str):
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
        kind = item.get("type") if isinstance(item, dict) else getattr(item, "type", None)
        if isinstance(item, dict) or (kind not in _WITH_PARTS and kind not in CALLS):
            return await self._dumped(item)
        update = {}
        for name in _LISTS:
            parts = getattr(item, name, None)
            if isinstance(parts, list):
                update[name] = [await self._part(part, (at, name, number)) for number, part in enumerate(parts)]
        return item.model_copy(update=update) if update else item

    async def _dumped(self, item: Any) -> Any:
        """An item of another sort as the gate would show it."""
        given = item if isinstance(item, dict) else item.model_dump(mode="json", exclude_unset=True)
        try:
            shown = given if given.get("type") in CALLS else await check_item(self._guard, given, self._context)
        except Blocked as blocked:
            _require(blocked.verdict)
            raise
        if shown == given:
            return item
        return shown if isinstance(item, dict) else type(item).model_validate(shown)

    def _clean(self, beside: Any) -> Any:
        """What stands beside a text, without secrets and personal data."""
        if isinstance(beside, list):
            return [self._clean(each) for each in beside]
        if hasattr(beside, "model_dump"):
            given = beside.model_dump(mode="json", exclude_unset=True)
            shown = scrub(self._guard, given, self._context)
            return beside if shown == given else type(beside).model_validate(shown)
        return scrub(self._guard, beside, self._context)

    async def _part(self, part: Any, key: Key) -> Any:
        """A part, or an event that ends one, with the text that was shown of it."""
        update: dict[str, Any] = {"logprobs": []} if getattr(part, "logprobs", None) else {}
        for word in _WORDS:
            said = getattr(part, word, None)
            if isinstance(said, str):
                pieces = self._pieces.get(key)
                update[word] = await self._checked(said) if pieces is None else pieces.shown
        for beside in ("annotation", "annotations"):
            if getattr(part, beside, None):
                # Where a text was edited they name places in another one.
                edited = any(update.get(word, said) != said for word in _WORDS if (said := getattr(part, word, None)))
                update[beside] = [] if edited and beside == "annotations" else self._clean(getattr(part, beside))
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
