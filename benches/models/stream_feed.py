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
from benches.models.latency import ratio
from benches.summary import spread
from benches.table import Table, figure, times
from benches.timing import settle, timer_overhead_ns

#: Documents that one engine streams before it is the next one's turn.
BLOCK = 40


def run(definition: Definition, context: Context) -> dict[str, Any]:
    """One stream per document, fed in pieces of `characters`; engines in turns, block by block."""
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
            names = list(streams)
            warm = min(int(definition.options["warm_documents"]), len(documents) // 2)
            for document in documents[:warm]:
                for name in names:
                    _feeds(streams[name], kind, document, characters)
            settle()
            # Blocks, as in `latency`: caches are warm here, and what they are not is the matter of `cold`.
            for turn, start in enumerate(range(warm, len(documents), BLOCK)):
                shift = turn % len(names)
                for name in names[shift:] + names[:shift]:
                    if len(seen[name]) < wanted:
                        for document in documents[start : start + BLOCK]:
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
        row += [times(ratio(cell, ours, rival)) for ours, rival in compared]
        rows.append(row)
    warm = record["definition"]["options"]["warm_documents"]
    notes = [
        f"A new stream per document, after {warm} other documents that are not timed (our streams share automata "
        "that are built as text needs them). Rivals look for one kind of datum, we for the whole set."
    ]
    return [Table("", columns, rows, notes + settings_notes(record, names))]


def losses(record: Record) -> list[str]:
    """Piece sizes at which a rival's feed is shorter, at the median or in the tail."""
    return [
        f"at {q.upper()} a feed of {cell['input']['characters']} characters takes {label(ours)} "
        f"{times(1 / ratio(cell, ours, rival, q))} as long as {label(rival)}"
        for cell in record["cells"]
        for ours, rival in pairs(record, cell)
        for q in ("p50", "p95", "p99")
        if ratio(cell, ours, rival, q) < 1
    ]
