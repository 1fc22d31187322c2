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

from sift_fast.integrations.openai_agents_events import Answer

if TYPE_CHECKING:
    from sift_fast.guard import Guard, RequestContext

__all__ = ["GuardedModel"]


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
        answer = Answer(self._guard, self._asking())
        response.output = [await answer.item(item, number) for number, item in enumerate(response.output)]
        return response

    async def stream_response(self, *arguments: Any, **more: Any) -> AsyncIterator[Any]:
        """The events of an answer, each when it was checked.

        Raises:
            OutputGuardrailTripwireTriggered: the answer is stopped; what was held back is not shown.
        """
        answer = Answer(self._guard, self._asking())
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
