"""The examples in the documentation run, those of the stub among them."""

from __future__ import annotations

import ast
import doctest
from pathlib import Path

import pytest

import sift_fast
from sift_fast import _core, errors, kernel, redact, scanner, types, vault
from sift_fast.integrations import presidio

OPTIONS = doctest.NORMALIZE_WHITESPACE
MODULES = [sift_fast, errors, kernel, presidio, redact, scanner, types, vault]


def of_stub():
    """Every docstring of the stub with an example: its place and itself."""
    path = Path(sift_fast.__file__).with_name("_core.pyi")
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            text = ast.get_docstring(node)
            if text and ">>>" in text:
                yield pytest.param(text, node.lineno, id=node.name)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_modules(module):
    assert doctest.testmod(module, optionflags=OPTIONS).failed == 0


@pytest.mark.parametrize(("text", "line"), list(of_stub()))
def test_stub(text, line):
    names = {name: getattr(_core, name) for name in _core.__all__}
    test = doctest.DocTestParser().get_doctest(text, names, "_core.pyi", "_core.pyi", line)
    runner = doctest.DocTestRunner(optionflags=OPTIONS)
    runner.run(test)
    assert runner.summarize().failed == 0


def test_there_are_examples():
    assert len(list(of_stub())) >= 6
    assert sum(doctest.testmod(module).attempted for module in MODULES) >= 8
