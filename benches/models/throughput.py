"""Throughput: whole passes over the pieces of a corpus, in megabytes (10^6 bytes) of thread CPU time."""

from __future__ import annotations

from typing import Any

from benches.context import Context, engine_records
from benches.definition import Definition
from benches.models import Record
from benches.models.common import against, corpus_label, label, pairs, settings_notes
from benches.table import Table, figure, size, times
from benches.timing import every, interleave


def run(definition: Definition, context: Context) -> dict[str, Any]:
    """Every corpus and piece size; all engines on the same texts, in turns."""
    runners = context.runners(definition)
    cells = []
    for corpus in definition.corpora:
        for piece_bytes in definition.piece_bytes:
            pieces = context.corpora.pieces(corpus, piece_bytes, definition.sample_bytes)
            context.say(f"{definition.name}: {corpus} in pieces of {size(piece_bytes)}")
            counts = context.check_counts(runners, definition, pieces)
            jobs = {name: every(runner.scan, runner.prepare(pieces.texts)) for name, runner in runners.items()}
            series = interleave(jobs, definition.repeats)
            engines = {
                name: {
                    **counts[name],
                    **measured.as_record(),
                    "mb_per_s": pieces.byte_count / measured.thread * 1e3,
                    "mb_per_s_wall": pieces.byte_count / measured.wall * 1e3,
                    # A rival that worked on other threads would look too fast by thread time.
                    "other_threads": measured.process > 1.25 * measured.thread,
                }
                for name, measured in series.items()
            }
            cells.append({"input": pieces.as_record(), "engines": engines})
    return {"engines": engine_records(runners.values()), "cells": cells}


def tables(record: Record) -> list[Table]:
    """One row per corpus and piece size; ratios are of CPU time in the same run."""
    cells = record["cells"]
    names = [name for name in record["definition"]["engines"] if any(name in cell["engines"] for cell in cells)]
    compared = pairs(record, cells[0])
    columns = ["corpus, piece", *(f"{label(name)}, MB/s" for name in names)]
    columns += [against(ours, rival) for ours, rival in compared]
    rows = []
    for cell in cells:
        engines = cell["engines"]
        row = [f"{corpus_label(cell)}, {size(cell['input']['piece_bytes'])}"]
        row += [figure(engines[name]["mb_per_s"]) if name in engines else "n/a" for name in names]
        row += [times(engines[ours]["mb_per_s"] / engines[rival]["mb_per_s"]) for ours, rival in compared]
        rows.append(row)
    notes = settings_notes(record, names)
    # One piece size is enough to judge the rule sets by; all counts are in the record.
    shown = [cell for cell in cells if cell["input"]["piece_bytes"] == 4096] or cells
    findings = [
        f"{corpus_label(cell)} "
        + ", ".join(f"{label(name)} {cell['engines'][name]['count']}" for name in names if name in cell["engines"])
        for cell in shown
    ]
    notes.append(f"Findings in pieces of {size(shown[0]['input']['piece_bytes'])}: {'; '.join(findings)}.")
    threaded = {name for cell in cells for name, engine in cell["engines"].items() if engine["other_threads"]}
    if threaded:
        notes.append(f"Used more CPU than their thread shows: {', '.join(label(name) for name in sorted(threaded))}.")
    return [Table("", columns, rows, notes)]


def losses(record: Record) -> list[str]:
    """Cells in which the rival scans more bytes per second."""
    found = []
    for cell in record["cells"]:
        for ours, rival in pairs(record, cell):
            ratio = cell["engines"][ours]["mb_per_s"] / cell["engines"][rival]["mb_per_s"]
            if ratio < 1:
                found.append(
                    f"{label(ours)} scans {corpus_label(cell)} in pieces of {size(cell['input']['piece_bytes'])} "
                    f"at {times(ratio)} the speed of {label(rival)}"
                )
    return found
