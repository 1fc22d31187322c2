"""What one more rule set costs: the throughput of a scanner without it and with it, as a share of the time without.

No rival takes part: the two engines are ours, on the same bytes, in turns.
"""

from __future__ import annotations

from typing import Any

from benches.context import Context
from benches.definition import Definition
from benches.models import Record, throughput
from benches.models.common import corpus_label, label, settings_notes
from benches.table import Table, figure, size


def run(definition: Definition, context: Context) -> dict[str, Any]:
    """Every corpus and piece size, as `throughput` measures them."""
    return throughput.run(definition, context)


def share(cell: dict[str, Any]) -> float:
    """Time that the set adds, in percent of the time without it."""
    without, with_it = (cell["engines"][name]["thread_ns"]["median"] for name in ("sift_fast", "sift_fast_pii"))
    return float(100 * (with_it / without - 1))


def tables(record: Record) -> list[Table]:
    """One row per corpus."""
    names = ("sift_fast", "sift_fast_pii")
    rows = [
        [
            f"{corpus_label(cell)}, {size(cell['input']['piece_bytes'])}",
            *(figure(cell["engines"][name]["mb_per_s"]) for name in names),
            *(str(cell["engines"][name]["count"]) for name in names),
            f"{share(cell):.1f}",
        ]
        for cell in record["cells"]
    ]
    columns = ["corpus, piece", *(f"{label(name)}, MB/s" for name in names)]
    columns += [*(f"{label(name)}, findings" for name in names), "added, %"]
    return [Table("", columns, rows, settings_notes(record, names))]


def losses(record: Record) -> list[str]:
    """None: there is no rival."""
    del record
    return []
