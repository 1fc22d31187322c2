"""Start-up: import, a ready scanner, and the first scan, each in a new process."""

from __future__ import annotations

from typing import Any

from benches.context import Context
from benches.definition import Definition
from benches.errors import BenchError, EngineMissing
from benches.machine import versions
from benches.models import Record
from benches.models.common import against, label, pairs
from benches.processes import startup_probe
from benches.summary import spread
from benches.table import Table, figure, times

PARTS = ("import_ns", "build_ns", "first_scan_ns", "process_ns")


def run(definition: Definition, context: Context) -> dict[str, Any]:
    """`processes` new processes of each engine, in turns. One untimed of each first: disk caches."""
    rules = definition.rules
    rounds = int(definition.options["processes"])
    names = []
    for name in definition.engines:
        try:
            startup_probe(name, rules)
            names.append(name)
        except EngineMissing as error:
            context.missing[name] = str(error)
            context.say(f"{name} is left out: {error}")
    if not names:
        raise BenchError(f"`{definition.name}`: none of its engines can run")
    seen: dict[str, dict[str, list[float]]] = {name: {part: [] for part in PARTS} for name in names}
    context.say(f"{definition.name}: {rounds} processes each of {', '.join(names)}")
    for turn in range(rounds):
        shift = turn % len(names)
        for name in names[shift:] + names[:shift]:
            result = startup_probe(name, rules)
            for part in PARTS:
                seen[name][part].append(result[part])
    engines = {name: {part: spread(values) for part, values in parts.items()} for name, parts in seen.items()}
    described = {name: {"version": "", "settings": f"rules={list(definition.rules)}"} for name in names}
    return {"engines": described, "versions": versions(), "cells": [{"input": {}, "engines": engines}]}


def tables(record: Record) -> list[Table]:
    """Medians and P95 in milliseconds."""
    (cell,) = record["cells"]
    columns = ["engine", "import, ms", "ready scanner, ms", "P95", "first scan, ms", "whole process, ms"]
    rows = []
    for name in record["definition"]["engines"]:
        if name in cell["engines"]:
            parts = cell["engines"][name]
            rows.append(
                [
                    label(name),
                    *(
                        figure(parts[part][q] / 1e6)
                        for part, q in (
                            ("import_ns", "p50"),
                            ("build_ns", "p50"),
                            ("build_ns", "p95"),
                            ("first_scan_ns", "p50"),
                            ("process_ns", "p50"),
                        )
                    ),
                ]
            )
    for ours, rival in pairs(record, cell):
        row = [against(ours, rival)]
        row += [times(ratio(cell, ours, rival, part)) for part in ("import_ns", "build_ns")]
        row += ["", times(ratio(cell, ours, rival, "first_scan_ns")), times(ratio(cell, ours, rival, "process_ns"))]
        rows.append(row)
    notes = [
        "Medians over new processes, files in the page cache. The whole process includes the interpreter. "
        "kingfisher loads compiled rules from its disk cache; on its first start on a machine it compiles them."
    ]
    return [Table("", columns, rows, notes)]


def ratio(cell: dict[str, Any], ours: str, rival: str, part: str) -> float:
    """How many times as long the rival takes."""
    return float(cell["engines"][rival][part]["p50"] / max(cell["engines"][ours][part]["p50"], 1.0))


def losses(record: Record) -> list[str]:
    """Parts that a rival does faster."""
    words = {"import_ns": "importing", "build_ns": "a ready scanner"}
    (cell,) = record["cells"]
    return [
        f"{what} takes {label(ours)} {times(1 / ratio(cell, ours, rival, part))} as long as {label(rival)}"
        for ours, rival in pairs(record, cell)
        for part, what in words.items()
        if ratio(cell, ours, rival, part) < 1
    ]
