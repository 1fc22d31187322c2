"""The same rules in Python's `re`: throughput, with the number of patterns that `re` does not take."""

from __future__ import annotations

from typing import Any

from benches.context import Context
from benches.definition import Definition
from benches.models import Record, throughput
from benches.table import Table


def run(definition: Definition, context: Context) -> dict[str, Any]:
    """As throughput, on a sample: `re` needs about a second for what we do in a millisecond."""
    return throughput.run(definition, context)


def tables(record: Record) -> list[Table]:
    """As throughput, and what `re` could not take."""
    (table,) = throughput.tables(record)
    notes = list(table.notes)
    for name in ("re", "re_gated"):
        facts = record["engines"].get(name, {}).get("facts")
        if facts:
            untaken = ", ".join(facts["untaken"]) or "none"
            notes.append(
                f"`{name}`: {facts['patterns']} patterns taken, {len(facts['untaken'])} not ({untaken}); "
                f"{facts['gated_patterns']} behind a literal."
            )
    return [Table(table.title, table.columns, table.rows, notes)]


def losses(record: Record) -> list[str]:
    """As throughput."""
    return throughput.losses(record)
