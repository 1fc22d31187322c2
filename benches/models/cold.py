"""Cold caches: the same single calls after 96 MB of other memory was read, as in a service that does
other work between calls. Interpreter and engine alike come back from main memory.
"""

from __future__ import annotations

from typing import Any

from benches.context import Context
from benches.definition import Definition
from benches.models import Record, latency
from benches.table import Table

#: Three times the last-level cache of common servers' slices.
EVICT_BYTES = 96 << 20


def run(definition: Definition, context: Context) -> dict[str, Any]:
    """As latency, with the caches emptied before each call."""
    # Written once so that the pages are real; `find` for a byte that is not there reads them all.
    other = bytearray(b"\x01" * EVICT_BYTES)

    def evict() -> None:
        other.find(b"\x02")

    return latency.measure(definition, context, before=evict)


def tables(record: Record) -> list[Table]:
    """As latency."""
    return latency.tables(record)


def losses(record: Record) -> list[str]:
    """As latency."""
    return latency.losses(record)
