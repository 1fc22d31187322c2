"""Records: one JSON file per benchmark and day in ``benches/record/``, raw enough to judge and to redraw."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benches import HERE
from benches.definition import Definition
from benches.errors import BenchError

FOLDER = HERE / "record"

#: Raised when the meaning of a field changes; the report refuses records of another version.
VERSION = 1


def make(
    definition: Definition,
    results: Mapping[str, Any],
    *,
    date: str,
    command: str,
    machine: Mapping[str, Any],
    quick: bool,
    missing: Mapping[str, str],
    build: Mapping[str, Any],
) -> dict[str, Any]:
    """Everything about one run of one definition. No text of a corpus, no folder of the machine."""
    described = asdict(definition)
    described.pop("quick")
    return {
        "version": VERSION,
        "name": definition.name,
        "date": date,
        "command": command,
        "quick": quick,
        "build": dict(build),
        "machine": dict(machine),
        "missing": dict(missing),
        "definition": described,
        **results,
    }


def path_of(record: Mapping[str, Any], folder: Path = FOLDER) -> Path:
    """Where a record belongs: a later run of the same day replaces the earlier one."""
    return folder / f"{record['date'][:10]}-{record['name']}.json"


def write(record: Mapping[str, Any], folder: Path = FOLDER) -> Path:
    """Write a record whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    path = path_of(record, folder)
    draft = path.with_suffix(".json.part")
    draft.write_text(json.dumps(_rounded(record), indent=1) + "\n", encoding="utf-8")
    draft.replace(path)
    return path


def _rounded(value: Any) -> Any:
    """Six significant digits: more is noise and makes differences unreadable."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, Mapping):
        return {str(key): _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return value


def newest(folder: Path = FOLDER) -> dict[str, dict[str, Any]]:
    """The newest record of each benchmark, by its name."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.glob("*.json")):
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if "version" not in record:
            # Of an evaluation with a page of its own, such as the kernel's.
            continue
        if record["version"] != VERSION:
            raise BenchError(f"`{path.name}` is a record of another version; delete it or run the benchmark again")
        known = found.get(record["name"])
        if known is None or known["date"] <= record["date"]:
            found[record["name"]] = record
    return found
