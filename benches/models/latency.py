"""Latency: every call timed by itself, with warm caches. P50, P95 and P99 in microseconds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benches.context import Context, engine_records
from benches.corpora import Pieces
from benches.definition import Definition
from benches.engines.base import Runner
from benches.models import Record
from benches.models.common import against, corpus_label, label, pairs, settings_notes
from benches.summary import spread
from benches.table import Table, figure, size, times
from benches.timing import settle, single_calls, timer_overhead_ns


def run(definition: Definition, context: Context) -> dict[str, Any]:
    """Blocks of calls in turns (A B A B), so that a busy moment of the machine hits all engines."""
    return measure(definition, context, before=None)


def measure(definition: Definition, context: Context, before: Callable[[], object] | None) -> dict[str, Any]:
    """The body of this model and of `cold`, which empties the caches `before` each call."""
    runners = context.runners(definition)
    calls = int(definition.options["calls"])
    blocks = int(definition.options.get("blocks", 10))
    cells = []
    for corpus in definition.corpora:
        for piece_bytes in definition.piece_bytes:
            pieces = context.corpora.pieces(corpus, piece_bytes, definition.sample_bytes)
            if definition.options.get("only_non_ascii"):
                pieces = pieces.non_ascii()
            context.say(f"{definition.name}: {corpus}, single calls of {size(piece_bytes)}")
            counts = context.check_counts(runners, definition, pieces)
            overhead = timer_overhead_ns()
            # Long calls need fewer repetitions: about the same time is spent in every cell.
            least = int(definition.options.get("least_calls", blocks))
            wanted = max(least, min(calls, calls * 4096 // piece_bytes)) if before is None else calls
            if definition.options.get("fresh_strings"):
                seen = _fresh(runners, pieces, blocks)
            else:
                seen = _blocks(runners, pieces, wanted, blocks, before)
            cells.append(
                {
                    "input": pieces.as_record(),
                    "timer_overhead_ns": overhead,
                    "engines": {
                        name: {**counts[name], "ns": spread([max(0.0, raw - overhead) for raw in raws])}
                        for name, raws in seen.items()
                    },
                }
            )
    return {"engines": engine_records(runners.values()), "cells": cells}


def _blocks(
    runners: dict[str, Runner], pieces: Pieces, calls: int, blocks: int, before: Callable[[], object] | None
) -> dict[str, list[int]]:
    inputs = {name: runner.prepare(pieces.texts) for name, runner in runners.items()}
    names = list(runners)
    seen: dict[str, list[int]] = {name: [] for name in names}
    each = max(1, calls // blocks)
    settle()
    for block in range(blocks):
        shift = block % len(names)
        for name in names[shift:] + names[:shift]:
            # Another part of the corpus in each block, the same part for every engine.
            start = block * each % len(inputs[name])
            turned = inputs[name][start:] + inputs[name][:start]
            if before is None:
                single_calls(runners[name].scan, turned, min(each, 20))
            seen[name] += single_calls(runners[name].scan, turned, each, before)
    return seen


def _fresh(runners: dict[str, Runner], pieces: Pieces, blocks: int) -> dict[str, list[int]]:
    """Every call gets a string that nobody has looked at.

    CPython keeps the UTF-8 of a non-ASCII string once it was asked for, so a second scan of the same
    object is cheaper than the first. A service sees each text once.
    """
    names = list(runners)
    seen: dict[str, list[int]] = {name: [] for name in names}
    for block in range(blocks):
        shift = block % len(names)
        for name in names[shift:] + names[:shift]:
            new = [text.encode().decode() for text in pieces.texts]
            single_calls(runners[name].scan, new[:20], 20)
            seen[name] += single_calls(runners[name].scan, new[20:], len(new) - 20)
    return seen


def tables(record: Record) -> list[Table]:
    """P50 / P95 / P99 per engine, and the ratio of P50."""
    cells = record["cells"]
    names = [name for name in record["definition"]["engines"] if any(name in cell["engines"] for cell in cells)]
    compared = pairs(record, cells[0])
    columns = ["corpus, call", *(f"{label(name)}, us P50/P95/P99" for name in names)]
    columns += [f"{against(ours, rival)}, P50" for ours, rival in compared]
    rows = []
    for cell in cells:
        engines = cell["engines"]
        row = [f"{corpus_label(cell)}, {size(cell['input']['piece_bytes'])}"]
        for name in names:
            quantiles = engines.get(name, {}).get("ns")
            row.append(" / ".join(figure(quantiles[q] / 1e3) for q in ("p50", "p95", "p99")) if quantiles else "n/a")
        row += [times(ratio(cell, ours, rival)) for ours, rival in compared]
        rows.append(row)
    notes = settings_notes(record, names)
    if record["definition"]["options"].get("show_counts"):
        notes.append(f"Findings: {'; '.join(_counts(cell, names) for cell in cells)}.")
    return [Table("", columns, rows, notes)]


def _counts(cell: dict[str, Any], names: list[str]) -> str:
    """What each engine found in a cell; ours are the expected ones where they have been verified."""
    found = [
        f"{label(name)} {engine['count']}{' (as expected)' if engine.get('expected') == 'verified' else ''}"
        for name, engine in ((name, cell["engines"][name]) for name in names if name in cell["engines"])
    ]
    return f"{corpus_label(cell)}, {size(cell['input']['piece_bytes'])}: {', '.join(found)}"


def ratio(cell: dict[str, Any], ours: str, rival: str, q: str = "p50") -> float:
    """How many times as long the rival's call takes, at a quantile."""
    mine = cell["engines"][ours]["ns"][q]
    return float(cell["engines"][rival]["ns"][q] / mine) if mine else float("inf")


def losses(record: Record) -> list[str]:
    """Cells in which the rival's call is shorter, at the median or in the tail."""
    return [
        f"at {q.upper()} a call of {label(ours)} on {size(cell['input']['piece_bytes'])} of {corpus_label(cell)} takes "
        f"{times(1 / ratio(cell, ours, rival, q))} as long as that of {label(rival)} (`{record['definition']['name']}`)"
        for cell in record["cells"]
        for ours, rival in pairs(record, cell)
        for q in ("p50", "p95", "p99")
        if ratio(cell, ours, rival, q) < 1
    ]
