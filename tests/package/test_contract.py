"""Who may import whom inside `sift_fast`, read from the source: no module is loaded for it.

A module may use the layers below its own. Leaves use everything below and never one another. Packages
other than the standard library are imported by leaves, by the classifier and by the exporters alone, so
that the engine works, and loads quickly, without them.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

#: The lowest layer first. A module that is in none has no place in the design: give it one here.
LAYERS = (
    {"errors", "types", "_clock", "_json", "_pieces"},
    {"_core"},
    {"redact", "receipts", "_waits"},
    {"_documents"},
    {"scanner", "vault"},
    # Looks into arguments with a scanner and gives receipts.
    {"kernel"},
    {"classifier"},
    # Makes the classifier that its configuration names; another one comes through the protocol.
    {"stream", "guard", "monitor"},
    # The package itself: its `__init__` gives the names of all of the above.
    {"sift_fast"},
    {"batch", "integrations", "server", "cli", "capi"},
)
LEAVES = LAYERS[-1]
#: Where a third-party package may be imported: the first part of a module's path, or more of it.
DOORS = (*sorted(LEAVES), "classifier", "monitor.export")


def layer(module: str) -> int | None:
    """The layer of a part of the package, None when it has none."""
    return next((number for number, names in enumerate(LAYERS) if module in names), None)


def imports(source: str, module: str) -> list[tuple[int, str]]:
    """Line and full name of every import in a file, those for type checkers left out."""
    tree = ast.parse(source)
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for statement in node.body
        for inner in ast.walk(statement)
    }
    found = []
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = module.split(".")[: -node.level]
                base = ".".join([*package, *([base] if base else [])])
            # `from sift_fast import x` may take the module x.
            if base == "sift_fast":
                found += [(node.lineno, f"sift_fast.{alias.name}") for alias in node.names]
            else:
                found.append((node.lineno, base))
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in {"importlib.import_module", "__import__"}:
            argument = node.args[0] if node.args else None
            if isinstance(argument, ast.Constant):
                found.append((node.lineno, str(argument.value)))
    return found


def complaints(source: str, module: str) -> list[str]:
    """What a file imports that it may not.

    Args:
        source: The text of the file.
        module: Its full name, with `__init__` for a package's own file.
    """
    parts = module.split(".")
    own = "sift_fast" if parts[1] == "__init__" else parts[1]
    rank = layer(own)
    if rank is None:
        return [f"{module} has no layer"]
    found = []
    for line, name in imports(source, module):
        root = name.split(".")[0]
        if root == "sift_fast":
            below = name.split(".")[1] if "." in name else "sift_fast"
            # A name that is no module comes from the package itself.
            other = layer(below)
            if other is None:
                other, below = layer("sift_fast"), "sift_fast"
            assert other is not None
            if below != own and other >= rank:
                found.append(f"{module}:{line} imports {name}, which is not below it")
        elif root not in sys.stdlib_module_names and not any(
            module == f"sift_fast.{door}" or module.startswith(f"sift_fast.{door}.") for door in DOORS
        ):
            found.append(f"{module}:{line} imports {root}; third-party packages belong into the leaves")
    return found


def modules(root: Path) -> dict[str, str]:
    """The full name and the text of every file of the package."""
    return {
        ".".join(path.relative_to(root).with_suffix("").parts): path.read_text(encoding="utf-8")
        for path in sorted((root / "sift_fast").rglob("*.py"))
    }


def test_the_package_keeps_the_contract(root):
    files = modules(root)
    assert {"sift_fast.__init__", "sift_fast.errors", "sift_fast.cli.app"} <= set(files)
    assert [complaint for name, source in files.items() for complaint in complaints(source, name)] == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        pytest.param("sift_fast.errors", "from sift_fast import _core", id="upwards"),
        pytest.param("sift_fast.scanner", "from . import stream", id="upwards, relative"),
        pytest.param("sift_fast.scanner", "def f():\n    from .stream import Stream", id="upwards, inside a function"),
        pytest.param("sift_fast.scanner", "import sift_fast", id="the package itself"),
        pytest.param("sift_fast.scanner", "from sift_fast import Limits", id="a name of the package itself"),
        pytest.param("sift_fast.__init__", "from sift_fast.cli import main", id="a leaf"),
        pytest.param("sift_fast.cli.scan", "from sift_fast.server import app", id="leaf to leaf"),
        pytest.param("sift_fast.scanner", "import numpy as np", id="third party"),
        pytest.param(
            "sift_fast.scanner", "import importlib\nimportlib.import_module('rich')", id="third party, by name"
        ),
        pytest.param("sift_fast.monitor.counters", "import prometheus_client", id="third party, outside the door"),
        pytest.param("sift_fast.misc", "", id="no layer"),
    ],
)
def test_a_breach_is_seen(module, source):
    assert len(complaints(source, module)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("sift_fast.stream", "from sift_fast.scanner import Scanner\nimport json"),
        ("sift_fast.cli.scan", "import click\nimport sift_fast\nfrom sift_fast.cli.app import CLEAN"),
        ("sift_fast.scanner", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import numpy"),
        ("sift_fast.monitor.export.otlp", "import opentelemetry"),
        ("sift_fast.__init__", "from .scanner import Scanner\nfrom ._core import build_info"),
    ],
)
def test_what_is_allowed(module, source):
    assert complaints(source, module) == []
