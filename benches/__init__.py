"""The benchmarks: sift_fast beside its rivals, on the same bytes, in the same run.

Run from the root of the repository, in an environment that has the wheel and the rivals::

    python -m benches --quick            # everything, small samples
    python -m benches throughput latency # two definitions
    python -m benches report             # rewrite the tables of README.md from benches/record

How it measures and what could favour us: ``benches/README.md``.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent

# N.B. `python -m benches` puts the repository root first on sys.path, where the *source* folder
# `sift_fast/` would hide the installed wheel. What is measured must be the wheel: root goes last.
sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != ROOT] + [str(ROOT)]
