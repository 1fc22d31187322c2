"""Runs a probe of ``benches/child.py`` in a fresh process and reads its one line of JSON."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

from benches import HERE, ROOT
from benches.errors import BenchError, EngineMissing

#: What a child prints when the engine is not installed; anything else on a failure is an error.
MISSING = "engine missing: "


def probe(arguments: Sequence[str]) -> dict[str, Any]:
    """Run `python -m benches.child *arguments`."""
    return _run(["-m", "benches.child", *arguments], arguments)


def startup_probe(engine: str, rules: Sequence[str]) -> dict[str, Any]:
    """Start `engine` in a new interpreter; `process_ns` is the wall time of the whole process."""
    return _run(["-P", str(HERE / "startup_probe.py"), engine, ",".join(rules)], ["startup", engine])


def _run(command: Sequence[str], called: Sequence[str]) -> dict[str, Any]:
    start = time.perf_counter_ns()
    done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False)
    elapsed = time.perf_counter_ns() - start
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        if reason.startswith(MISSING):
            raise EngineMissing(reason.removeprefix(MISSING))
        raise BenchError(f"the probe `{called[0]}` failed for {', '.join(called[1:2])}: {reason}")
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return {**result, "process_ns": elapsed}
