"""What the tests of the package share: the source tree, its scripts as modules, programs run elsewhere."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the source tree."""
    return ROOT


@pytest.fixture(scope="session")
def load_script():
    """A function that gives a file of `scripts/` as a module."""

    def load(name: str):
        spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture(scope="session")
def wheel(root: Path) -> Path:
    """The wheel that this run installed."""
    found = sorted(root.glob("dist/*.whl"))
    assert len(found) == 1, f"{len(found)} wheels in dist, and one is wanted: type `make wheel`"
    return found[0]


@pytest.fixture
def python(tmp_path: Path):
    """A function that runs code in a new interpreter, in an empty folder, and gives what it printed."""

    def run(code: str) -> str:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
        done = subprocess.run(
            [sys.executable, "-I", "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run
