"""One `feed`: pieces of a few words into long-lived streams, each call timed by itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from benches.context import Context, engine_records
from benches.definition import Definition
from benches.engines.base import StreamEngine
from benches.models import Record
from benches.models.common import against, label, pairs, settings_notes
from benches.summary import spread
from benches.table import Table, figure, times
from benches.timing import settle, timer_overhead_ns


def run(definition: Definition, context: Context) -> dict[str, Any]:
    """One stream per document, fed in pieces of `characters`; engines in turns, document by document."""
    streams = context.streams(definition)
    kind = definition.options["kind"]
    cells = []
    for corpus in definition.corpora:
        documents = context.corpora.get(corpus).documents
        for characters in definition.options["characters"]:
            context.say(f"{definition.name}: {corpus}, pieces of {characters} characters")
            overhead = timer_overhead_ns()
            # A call of `lambda: ...` wraps each feed here, for every engine alike; it is measured and subtracted.
            wrapper = _wrapper_ns(overhead)
            wanted = int(definition.options["feeds"])
            seen: dict[str, list[float]] = {name: [] for name in streams}
            settle()
            names = list(streams)
            for turn, document in enumerate(documents):
                shift = turn % len(names)
                for name in names[shift:] + names[:shift]:
                    if len(seen[name]) < wanted:
                        seen[name] += _feeds(streams[name], kind, document, characters)
                if all(len(values) >= wanted for values in seen.values()):
                    break
            cells.append(
                {
                    "input": {"corpus": corpus, "synthetic": context.corpora.synthetic, "characters": characters},
                    "timer_overhead_ns": overhead,
                    "wrapper_ns": wrapper,
                    "engines": {
                        name: {"ns": spread([max(0.0, value - overhead - wrapper) for value in values])}
                        for name, values in seen.items()
                    },
                }
            )
    return {"engines": engine_records(streams.values()), "cells": cells}


def _feeds(engine: StreamEngine, kind: str, document: str, characters: int) -> list[float]:
    feeder = engine.feeder(kind)
    clock = time.perf_counter_ns
    seen: list[float] = []
    for start in range(0, len(document), characters):
        call: Callable[[], int] = feeder(document[start : start + characters])
        begin = clock()
        call()
        seen.append(clock() - begin)
    return seen


def _wrapper_ns(overhead: float) -> float:
    def prepare(chunk: str) -> Callable[[], int]:
        return lambda: len(chunk)

    clock = time.perf_counter_ns
    seen = []
    for _ in range(5_001):
        call = prepare("x")
        begin = clock()
        call()
        seen.append(clock() - begin - overhead)
    return max(0.0, sorted(seen)[len(seen) // 2])


def tables(record: Record) -> list[Table]:
    """P50 / P95 / P99 in microseconds."""
    names = list(record["engines"])
    columns = ["corpus, piece", *(f"{label(name)}, us P50/P95/P99" for name in names)]
    compared = pairs(record, record["cells"][0])
    columns += [f"{against(ours, rival)}, P50" for ours, rival in compared]
    rows = []
    for cell in record["cells"]:
        given = cell["input"]
        row = [f"{given['corpus']}{' (synthetic)' if given['synthetic'] else ''}, {given['characters']} characters"]
        for name in names:
            quantiles = cell["engines"][name]["ns"]
            row.append(" / ".join(figure(quantiles[q] / 1e3) for q in ("p50", "p95", "p99")))
        row += [times(_ratio(cell, ours, rival)) for ours, rival in compared]
        rows.append(row)
    notes = ["A new stream per document. Rivals look for one kind of datum, we for the whole set."]
    return [Table("", columns, rows, notes + settings_notes(record, names))]


def _ratio(cell: dict[str, Any], ours: str, rival: str) -> float:
    mine = cell["engines"][ours]["ns"]["p50"]
    return float(cell["engines"][rival]["ns"]["p50"] / mine) if mine else float("inf")


def losses(record: Record) -> list[str]:
    """Piece sizes at which a rival's median feed is shorter."""
    return [
        f"a feed of {cell['input']['characters']} characters takes {label(ours)} "
        f"{times(1 / _ratio(cell, ours, rival))} as long as {label(rival)}"
        for cell in record["cells"]
        for ours, rival in pairs(record, cell)
        if _ratio(cell, ours, rival) < 1
    ]
