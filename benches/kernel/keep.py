"""Records of the kernel's benchmarks: `benches/record/kernel/DATE-NAME.json`, one of each name and day."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benches import ROOT, machine

RECORDS = ROOT / "benches" / "record" / "kernel"


def begun(name: str) -> dict[str, Any]:
    """What a record begins with: which benchmark, on which machine, when.

    Args:
        name: of the benchmark.
    """
    return {"benchmark": name, "machine": machine.describe(), "at": machine.now()}


def keep(result: dict[str, Any], folder: Path = RECORDS) -> Path:
    """Write a record; a later one of the same day replaces it.

    Args:
        result: what was measured, beginning as `begun` says.
        folder: where records are.
    """
    path = folder / f"{result['at'][:10]}-{result['benchmark']}.json"
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return path


def newest(name: str, folder: Path = RECORDS) -> Path | None:
    """The newest record of a benchmark, if there is one.

    Args:
        name: of the benchmark.
        folder: where records are.
    """
    return max(folder.glob(f"????-??-??-{name}.json"), default=None)
