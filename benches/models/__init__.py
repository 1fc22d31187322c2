"""The models: each is a module with `run(definition, context)` -> results, and `tables(record)`.

Results are plain JSON; tables are made from the record alone, so that the README can be rendered again
from a file. `losses(record)` gives one sentence for each comparison that a rival wins.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, Protocol

from benches.context import Context
from benches.definition import Definition
from benches.errors import BenchError
from benches.table import Table

NAMES = (
    "throughput",
    "latency",
    "finding_cost",
    "cold",
    "startup",
    "stream_leaks",
    "stream_held",
    "stream_feed",
    "batch",
    "memory",
    "rules_re",
    "redact",
    "added",
)

Record = Mapping[str, Any]


class Model(Protocol):
    """What a module of this folder has."""

    def run(self, definition: Definition, context: Context) -> dict[str, Any]:
        """Measure; returns `{"engines": ..., "cells": ...}`."""
        ...

    def tables(self, record: Record) -> list[Table]:
        """The record for people."""
        ...

    def losses(self, record: Record) -> list[str]:
        """Where a rival wins."""
        ...


def get(name: str) -> Model:
    """The model called `name`."""
    if name not in NAMES:
        raise BenchError(f"no model is called `{name}`; there are {', '.join(NAMES)}")
    model: Model = importlib.import_module(f"benches.models.{name}")
    return model
