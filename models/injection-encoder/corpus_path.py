"""Makes the modules of `../injection-ngram` importable: splits, generator and phrases are shared by both models."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "injection-ngram"))
