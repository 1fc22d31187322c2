"""Hold-back: the characters that a stream has taken and not yet given out, after every single character."""

from __future__ import annotations

from typing import Any

from benches.context import Context, engine_records
from benches.definition import Definition
from benches.engines.base import StreamEngine
from benches.engines.sift_fast import held_after_each
from benches.models import Record
from benches.models.common import label, settings_notes
from benches.summary import spread
from benches.table import Table, figure


def run(definition: Definition, context: Context) -> dict[str, Any]:
    """Ours by `stream.held` over the corpus; rivals by characters in less characters out, on a sample."""
    streams = context.streams(definition)
    cells = []
    for corpus in definition.corpora:
        documents = context.corpora.get(corpus).documents
        context.say(f"{definition.name}: {corpus}, one character at a time")
        engines: dict[str, Any] = {}
        for name, engine in streams.items():
            limit = int(definition.options["characters" if name == "sift_fast" else "rival_characters"])
            if name == "sift_fast":
                held = held_after_each(definition.rules, _until(documents, limit))
            else:
                held = _in_less_out(engine, definition.options["kind"], _until(documents, limit))
            engines[name] = {"characters": len(held), "held": spread(held)}
        cells.append(
            {
                "input": {"corpus": corpus, "synthetic": context.corpora.synthetic, "documents": len(documents)},
                "engines": engines,
            }
        )
    return {"engines": engine_records(streams.values()), "cells": cells}


def _until(documents: tuple[str, ...], limit: int) -> list[str]:
    """Documents until `limit` characters, evenly picked so that all sources of a corpus take part."""
    total = sum(map(len, documents))
    step = max(1, total // limit)
    return list(documents[::step])


def _in_less_out(engine: StreamEngine, kind: str, documents: list[str]) -> list[int]:
    held = []
    for document in documents:
        if engine.whole(kind, document) != document:
            continue  # an edit changes the length: the difference would not be the hold-back
        feeder = engine.feeder(kind)
        inside = 0
        for character in document:
            inside += 1 - feeder(character)()
            held.append(inside)
    return held


def tables(record: Record) -> list[Table]:
    """P50, P90, P99 and the longest, in characters."""
    rows = []
    for cell in record["cells"]:
        for name, got in cell["engines"].items():
            held = got["held"]
            rows.append(
                [
                    f"{cell['input']['corpus']}{' (synthetic)' if cell['input']['synthetic'] else ''}, {label(name)}",
                    *(figure(held[q]) for q in ("p50", "p90", "p99", "p100")),
                    f"{got['characters']:,}",
                ]
            )
    columns = ["corpus, filter", "P50", "P90", "P99", "longest", "characters fed"]
    notes = [
        "Characters held after each character of the corpus; rivals have one kind of datum each, we the whole set."
    ]
    return [Table("", columns, rows, notes + settings_notes(record, list(record["engines"])))]


def losses(record: Record) -> list[str]:
    """Quantiles at which a rival holds less."""
    found = []
    for cell in record["cells"]:
        ours = cell["engines"].get("sift_fast")
        for name, got in cell["engines"].items():
            found += [
                f"on {cell['input']['corpus']} we hold {figure(ours['held'][q])} characters at {q.upper()}, "
                f"{label(name)} {figure(got['held'][q])}"
                for q in ("p50", "p99")
                if ours and name != "sift_fast" and ours["held"][q] > got["held"][q]
            ]
    return found
