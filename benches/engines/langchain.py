"""LangChain's `PIIMiddleware`: the transformer that redacts streamed deltas of an agent's answer.

It is driven with the events a run produces (`content-block-delta`), through the middleware's public
attribute `transformers`. A consumer of deltas never gets the last 128 characters: they come only in
the `content-block-finish` snapshot. So its output is compared as a prefix.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from benches.engines.base import StreamEngine, require, version_of

PACKAGE = "langchain"

#: Kinds it detects itself, and two given to it as a pattern, the way its documentation shows.
BUILT_IN = {"email": "email", "url": "url", "credit_card": "credit_card"}
CUSTOM = {
    "github": r"gh[pousr]_[A-Za-z0-9]{36}",
    "slack": r"xox[pboa]-[0-9]{10,13}-[0-9]{10,13}-[a-zA-Z0-9]{24,32}",
}


class _Stream:
    name = "langchain"
    settings = "PIIMiddleware(kind, strategy='redact', apply_to_output=True), one middleware per kind"
    complete = False

    def __init__(self) -> None:
        module = require("langchain.agents.middleware", PACKAGE)
        self.version = version_of(PACKAGE)
        self._middleware = {
            kind: module.PIIMiddleware(name, strategy="redact", apply_to_output=True) for kind, name in BUILT_IN.items()
        }
        for kind, pattern in CUSTOM.items():
            self._middleware[kind] = module.PIIMiddleware(
                kind, detector=pattern, strategy="redact", apply_to_output=True
            )
        self._messages = require("langchain_core.messages", "langchain-core")

    def covers(self, kind: str) -> bool:
        return kind in self._middleware

    def whole(self, kind: str, text: str) -> str:
        middleware = self._middleware[kind]
        state = {"messages": [self._messages.AIMessage(text)]}
        update = middleware.after_model(state, None)
        return text if update is None else str(update["messages"][-1].content)

    def open(self, kind: str) -> Any:
        """A transformer, as a run makes one."""
        (make,) = self._middleware[kind].transformers
        return make(())

    @staticmethod
    def event(chunk: str) -> dict[str, Any]:
        """The event a model's text delta arrives in."""
        payload = {"event": "content-block-delta", "index": 0, "delta": {"type": "text-delta", "text": chunk}}
        return {"method": "messages", "params": {"data": (payload, {"run_id": "bench"})}}

    def run(self, kind: str, chunks: Sequence[str]) -> list[str]:
        transformer = self.open(kind)
        out = []
        for chunk in chunks:
            event = self.event(chunk)
            transformer.process(event)
            out.append(event["params"]["data"][0]["delta"]["text"])
        return out

    def feeder(self, kind: str) -> Callable[[str], Callable[[], int]]:
        transformer = self.open(kind)

        def prepare(chunk: str) -> Callable[[], int]:
            event = self.event(chunk)
            delta = event["params"]["data"][0]["delta"]
            process = transformer.process

            def call() -> int:
                process(event)
                return len(delta["text"])

            return call

        return prepare


def stream(rules: Sequence[str]) -> StreamEngine:
    """The middleware's own detectors."""
    del rules
    return _Stream()
