"""LiteLLM's built-in content filter: the guardrail of its proxy, with the patterns it ships.

`stream` drives `async_post_call_streaming_iterator_hook` with the chunks a model's answer arrives in;
`runner` is the same filter on a whole text with all its patterns on.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from benches.engines.base import Runner, StreamEngine, require, version_of

PACKAGE = "litellm fastapi"

#: Our kind -> the name of the pattern that LiteLLM ships for it.
PATTERNS = {
    "email": "email",
    "url": "url",
    "credit_card": "credit_card",
    "github": "github_token",
    "slack": "slack_token",
}

FILTER = "litellm.proxy.guardrails.guardrail_hooks.litellm_content_filter"


def _modules() -> tuple[Any, Any, Any]:
    # Without it the import fetches a price list from the network.
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    content_filter = require(f"{FILTER}.content_filter", PACKAGE)
    guardrails = require("litellm.types.guardrails", PACKAGE)
    types = require("litellm.types.utils", PACKAGE)
    return content_filter, guardrails, types


def _guardrail(content_filter: Any, guardrails: Any, names: Sequence[str]) -> Any:
    mask = guardrails.ContentFilterAction.MASK
    patterns = [
        guardrails.ContentFilterPattern(pattern_type="prebuilt", pattern_name=name, action=mask) for name in names
    ]
    return content_filter.ContentFilterGuardrail(guardrail_name="bench", patterns=patterns)


def runner(rules: Sequence[str]) -> Runner:
    """All its patterns, masking: what a proxy with everything switched on does to one message."""
    del rules
    content_filter, guardrails, _ = _modules()
    names = require(f"{FILTER}.patterns", PACKAGE).get_all_pattern_names()
    guardrail = _guardrail(content_filter, guardrails, names)

    def scan(text: str) -> list[Any]:
        detections: list[Any] = []
        guardrail._filter_single_text(text, detections)
        return detections

    return Runner(
        name="litellm_patterns",
        version=version_of("litellm"),
        settings=f"content filter, all {len(names)} shipped patterns, mask",
        scan=scan,
        count=len,
        read=len,
        facts={"patterns": len(names)},
    )


class _Stream:
    name = "litellm"
    settings = "content filter, one shipped pattern per kind, mask"
    complete = True

    def __init__(self) -> None:
        content_filter, guardrails, self._types = _modules()
        self.version = version_of("litellm")
        self._guardrails = {kind: _guardrail(content_filter, guardrails, [name]) for kind, name in PATTERNS.items()}
        self._loop = asyncio.new_event_loop()

    def covers(self, kind: str) -> bool:
        return kind in self._guardrails

    def whole(self, kind: str, text: str) -> str:
        masked = self._guardrails[kind]._filter_single_text(text)
        return str(masked)

    def _chunk(self, text: str, last: bool) -> Any:
        types = self._types
        delta = types.Delta(content=text, role="assistant")
        choice = types.StreamingChoices(index=0, delta=delta, finish_reason="stop" if last else None)
        return types.ModelResponseStream(choices=[choice])

    def run(self, kind: str, chunks: Sequence[str]) -> list[str]:
        items = [self._chunk(text, False) for text in chunks]
        items.append(self._chunk("", True))

        async def source() -> AsyncIterator[Any]:
            for item in items:
                yield item

        async def collect() -> list[str]:
            hook = self._guardrails[kind].async_post_call_streaming_iterator_hook(None, source(), {"metadata": {}})
            return [item.choices[0].delta.content or "" async for item in hook]

        return self._loop.run_until_complete(collect())

    def feeder(self, kind: str) -> Callable[[str], Callable[[], int]]:
        # The hook pulls from an iterator: the pull is driven by hand, so that one `anext` is one feed.
        pending: list[Any] = []

        async def source() -> AsyncIterator[Any]:
            while True:
                yield pending.pop()

        hook = self._guardrails[kind].async_post_call_streaming_iterator_hook(None, source(), {"metadata": {}})

        def prepare(text: str) -> Callable[[], int]:
            pending.append(self._chunk(text, False))

            def call() -> int:
                # The hook never waits for anything here, so its first step is its whole work.
                try:
                    hook.__anext__().send(None)
                except StopIteration as done:
                    return len(done.value.choices[0].delta.content or "")
                raise RuntimeError("the LiteLLM hook waited for something; its time is not comparable")

            return call

        return prepare


def stream(rules: Sequence[str]) -> StreamEngine:
    """Its shipped patterns, one guardrail per kind."""
    del rules
    return _Stream()
