"""The shape of an answer: JSON that fits a schema, and how often it is asked for again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sift_fast.errors import ConfigError
from sift_fast.guard._checks import Call, Check
from sift_fast.guard._json import Schema
from sift_fast.guard.config import read_text
from sift_fast.guard.verdict import Signal

if TYPE_CHECKING:
    from sift_fast.guard.config import GuardConfig, SchemaConfig

__all__ = ["AnswerSchema"]


class AnswerSchema(Check):
    """Answers that do not fit are blocked with `schema.retry` while there are retries, then go to a person."""

    def __init__(self, name: str, table: SchemaConfig, config: GuardConfig) -> None:
        super().__init__(name, table)
        document: Any = table.schema
        if table.schema_file:
            try:
                document = json.loads(read_text(config.path(table.schema_file)))
            except ValueError:
                raise ConfigError(f"guardrail `{name}`: `schema_file` is no JSON") from None
        self._schema = Schema(document, f"guardrail `{name}`: schema")
        self._retries = table.retries

    def run(self, call: Call) -> Signal | None:
        """Reads the answer as JSON, in a code block or not."""
        text = call.text.strip()
        if text.startswith("```") and text.endswith("```"):
            text = text[3:-3].removeprefix("json").strip()
        try:
            value = json.loads(text)
            wrong = self._schema.error(value)
        except (ValueError, RecursionError):
            wrong = "no JSON"
        memory = call.memory
        if wrong is None:
            if memory is not None:
                memory.retries = 0
            return None
        if memory is not None and memory.retries >= self._retries:
            memory.retries = 0
            return Signal("schema.failed", decision="escalate")
        if memory is not None:
            memory.retries += 1
        return Signal("schema.retry")
