"""OpenAI Agents SDK: the events of a streamed answer, read and rewritten by a guard.

An event with a text goes out when its text was checked; what says a text once more says what was shown. The model's
calls stand as it made them: tools are guarded where they are called.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import agents

from sift_fast.guard.protocols.openai import CALLS, Blocked, check_item, check_split, scrub
from sift_fast.integrations.openai_agents import _info

if TYPE_CHECKING:
    from sift_fast.guard import Guard, RequestContext, Verdict
    from sift_fast.guard._stream import OutputStream

__all__ = ["Answer"]

#: Item, list of parts, number in it.
Key = tuple[int, str, int]

#: Characters of what came that are read again with the next text.
_TAIL = 2_048
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


class _Text:
    """A text that comes in pieces."""

    def __init__(self, stream: OutputStream) -> None:
        self.stream = stream
        self.shown = ""
        #: The last event that brought a piece.
        self.event: Any = None
        self.done = False


class Answer:
    """The texts of one answer."""

    def __init__(self, guard: Guard, context: RequestContext) -> None:
        self._guard = guard
        self._context = context
        self._pieces: dict[Key, _Text] = {}
        #: Texts that came whole, as they came and as they went out.
        self._whole: dict[str, str] = {}
        #: The end of what came, by list of parts: they are read one behind the other.
        self._tails: dict[str, str] = {}

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
                stream = self._guard.stream_output((), self._context, say=False, after=self._tails.get(key[1], ""))
                text = self._pieces[key] = _Text(stream)
            text.event = event
            self._tails[key[1]] = (self._tails.get(key[1], "") + event.delta)[-_TAIL:]
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
                await self._together(parts)
                update[name] = [await self._part(part, (at, name, number)) for number, part in enumerate(parts)]
        return item.model_copy(update=update) if update else item

    async def _together(self, parts: list[Any]) -> None:
        """Read the texts of parts together."""
        texts = [said for part in parts if isinstance(said := getattr(part, "text", None), str)]
        try:
            await check_split(self._guard, texts, self._context)
        except Blocked as blocked:
            _require(blocked.verdict)

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
