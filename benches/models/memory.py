"""Memory: resident bytes of the first scanner, of one more, of one more scanning thread, of an open stream."""

from __future__ import annotations

import json
import tempfile
from typing import Any

from benches.context import Context
from benches.definition import Definition
from benches.errors import EngineMissing
from benches.models import Record
from benches.models.common import label
from benches.processes import probe
from benches.summary import median
from benches.table import Table, figure

PARTS = ("first_bytes", "per_scanner_bytes", "per_thread_bytes", "per_stream_bytes")


def run(definition: Definition, context: Context) -> dict[str, Any]:
    """`processes` new processes for each number; medians."""
    options = definition.options
    pieces = context.corpora.pieces(definition.corpora[0], definition.piece_bytes[0], definition.sample_bytes)
    rules = json.dumps(definition.rules)
    engines: dict[str, dict[str, Any]] = {}
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        json.dump(pieces.texts, file)
        file.flush()
        commands = {
            name: ["memory", name, rules, file.name, str(options["scanners"]), str(options["threads"])]
            for name in definition.engines
        }
        for name in options["streams"]:
            commands[f"{name} stream"] = ["open_streams", name, rules, "github", str(options["open_streams"])]
        for what, command in commands.items():
            name = what.split()[0]
            context.say(f"{definition.name}: {what}")
            try:
                results = [probe(command) for _ in range(int(options["processes"]))]
            except EngineMissing as error:
                context.missing[name] = str(error)
                context.say(f"{name} is left out: {error}")
                continue
            into = engines.setdefault(name, {})
            for part in PARTS:
                if part in results[0]:
                    values = [result[part] for result in results]
                    into[part] = {"median": median(values), "all": values}
    described = {name: {"version": "", "settings": f"rules={list(definition.rules)}"} for name in engines}
    return {"engines": described, "cells": [{"input": pieces.as_record(), "engines": engines}]}


def tables(record: Record) -> list[Table]:
    """KiB."""
    (cell,) = record["cells"]
    columns = ["engine", "first scanner, KiB", "one more scanner, KiB", "one more thread, KiB", "open stream, KiB"]
    rows = []
    for name, parts in cell["engines"].items():
        row = [label(name)]
        row += [figure(parts[part]["median"] / 1024) if part in parts else "" for part in PARTS]
        rows.append(row)
    options = record["definition"]["options"]
    notes = [
        f"Growth of the resident set in new processes: first scanner with its imports and scans; then "
        f"{options['scanners']} more, {options['threads']} scanning threads less as many idle ones, and "
        f"{options['open_streams']} open streams that were each fed a few words. More scanners are made as the "
        f"first one is, with rules of their own."
    ]
    return [Table("", columns, rows, notes)]


def losses(record: Record) -> list[str]:
    """Numbers in which a rival is smaller."""
    (cell,) = record["cells"]
    words = {
        "first_bytes": "the first scanner",
        "per_scanner_bytes": "one more scanner",
        "per_thread_bytes": "one more scanning thread",
        "per_stream_bytes": "an open stream",
    }
    found = []
    ours = cell["engines"].get("sift_fast", {})
    for name, parts in cell["engines"].items():
        if name.startswith("sift_fast"):
            continue
        for part, what in words.items():
            if part in parts and part in ours and ours[part]["median"] > parts[part]["median"]:
                found.append(
                    f"{what} takes {figure(ours[part]['median'] / 1024)} KiB, that of {label(name)} "
                    f"{figure(parts[part]['median'] / 1024)} KiB"
                )
    return found
