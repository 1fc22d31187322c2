"""Types are true: the API passes mypy strict, and the stub says what the built module has."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(importlib.util.find_spec("mypy") is None, reason="mypy is not installed")

HERE = Path(__file__).parent
CONFIGURATION = """
[mypy]
strict = true
warn_unreachable = true
cache_dir = {cache}

[mypy-pyarrow.*]
ignore_missing_imports = true
"""


@pytest.fixture
def configuration(tmp_path):
    path = tmp_path / "mypy.ini"
    path.write_text(CONFIGURATION.format(cache=tmp_path / "cache"), encoding="utf-8")
    return path


def run(tmp_path, *words):
    # Away from the source tree: what is looked at is what is installed.
    return subprocess.run([sys.executable, "-m", *map(str, words)], cwd=tmp_path, capture_output=True, text=True)


@pytest.mark.timeout(600)
def test_the_api_passes_strict(tmp_path, configuration):
    done = run(tmp_path, "mypy", "--config-file", configuration, HERE / "api.py")
    assert done.returncode == 0, done.stdout


@pytest.mark.timeout(600)
def test_the_stub_is_the_module(tmp_path, configuration):
    done = run(tmp_path, "mypy.stubtest", "sift_fast._core", "--mypy-config-file", configuration)
    assert done.returncode == 0, done.stdout + done.stderr


def test_everything_native_is_documented():
    """A class, method or property of the stub without a docstring is one that nobody can use."""
    import ast

    import sift_fast

    stub = Path(sift_fast.__file__).with_name("_core.pyi")
    missing = []

    def look(body, path):
        for node in body:
            if not isinstance(node, ast.ClassDef | ast.FunctionDef) or node.name.startswith("_"):
                continue
            # The first of several overloads speaks for all.
            if ast.get_docstring(node) is None and (path, node.name) not in documented:
                missing.append(f"{path}{node.name}")
            documented.add((path, node.name))
            if isinstance(node, ast.ClassDef):
                look(node.body, f"{node.name}.")

    documented: set[tuple[str, str]] = set()
    tree = ast.parse(stub.read_text(encoding="utf-8"))
    look(tree.body, "")
    assert missing == []
    assert len(documented) > 100
