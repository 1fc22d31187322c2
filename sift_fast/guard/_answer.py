"""The shape of an answer: JSON that fits a schema or a pydantic model, and how often it is asked for again."""

from __future__ import annotations

import json
from collections.abc import Callable
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
    """Answers that do not fit are blocked with `schema.retry` while there are retries, then go to a person.

    Args:
        name: its name.
        table: its settings.
        config: the configuration, for paths.
        model: a pydantic model that was given; it comes before that of the table.

    Raises:
        ConfigError: the schema cannot be read, the model cannot be imported or is none, or there are both or neither.
    """

    def __init__(self, name: str, table: SchemaConfig, config: GuardConfig, model: Any = None) -> None:
        super().__init__(name, table)
        self._retries = table.retries
        if model is None and table.model:
            model = _imported(name, table.model)
        if model is None and not table.schema and not table.schema_file:
            raise ConfigError(
                f"guardrail `{name}`: there is neither a `schema` nor a `model`, so every answer would fit"
            )
        if model is not None and (table.schema or table.schema_file):
            raise ConfigError(f"guardrail `{name}`: an answer has a schema or a model, not both")
        self._fits: Callable[[str], bool] = _model(name, model) if model is not None else _schema(name, table, config)

    def run(self, call: Call) -> Signal | None:
        """Reads the answer as JSON, in a code block or not."""
        text = call.text.strip()
        if text.startswith("```") and text.endswith("```"):
            text = text[3:-3].removeprefix("json").strip()
        memory = call.memory
        if self._fits(text):
            if memory is not None:
                memory.retries = 0
            return None
        if memory is not None and memory.retries >= self._retries:
            memory.retries = 0
            return Signal("schema.failed", decision="escalate")
        if memory is not None:
            memory.retries += 1
        return Signal("schema.retry")


def _schema(name: str, table: SchemaConfig, config: GuardConfig) -> Callable[[str], bool]:
    document: Any = table.schema
    if table.schema_file:
        try:
            document = json.loads(read_text(config.path(table.schema_file)))
        except ValueError:
            raise ConfigError(f"guardrail `{name}`: `schema_file` is no JSON") from None
    schema = Schema(document, f"guardrail `{name}`: schema")

    def fits(text: str) -> bool:
        try:
            return schema.error(json.loads(text)) is None
        except (ValueError, RecursionError):
            return False

    return fits


def _imported(name: str, path: str) -> Any:
    import importlib

    module, separator, attribute = path.partition(":")
    try:
        if not separator:
            raise ImportError
        return getattr(importlib.import_module(module), attribute)
    except Exception as error:
        # Whatever the application's module raises: the guard is not made without its model.
        where = f"guardrail `{name}`: `model` cannot be imported: {type(error).__name__}"
        raise ConfigError(f"{where}; it is `package.module:Class`") from error


def _model(name: str, model: Any) -> Callable[[str], bool]:
    """What says whether an answer is one of a model: pydantic's own method, so that nothing is imported here."""
    validate = getattr(model, "model_validate_json", None) or getattr(model, "validate_json", None)
    if not callable(validate):
        raise ConfigError(f"guardrail `{name}`: `model` is no pydantic model and no `TypeAdapter`")

    def fits(text: str) -> bool:
        try:
            validate(text)
        except ValueError:
            # pydantic's `ValidationError` is one. Anything else that a validator raises is an error of the check.
            return False
        return True

    return fits
