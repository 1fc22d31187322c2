"""The examples in the documentation run, those of the stub among them."""

from __future__ import annotations

import ast
import doctest
import re
from pathlib import Path

import pytest

import sift_fast
from sift_fast import _core, errors, kernel, redact, scanner, types, vault
from sift_fast.integrations import presidio

OPTIONS = doctest.NORMALIZE_WHITESPACE
SOURCE = Path(__file__).parents[2] / "rust"
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


def test_every_reason_of_a_decision_is_on_its_page():
    """`Authorization.reason` promises it."""
    forms = (
        r'\b(?:refuse|broken|with)\(\s*"([a-z_]+)"',
        r'Reason::\w+ => "([a-z_]+)"',
        r'SubjectKind::\w+ => "([a-z]+_revoked)"',
        r'\breason = "([a-z_]+)"\.to_owned',
    )
    grants = SOURCE / "sift-kernel" / "src" / "session.rs"
    codes: set[str] = set()
    for path in [*(SOURCE / "sift-kernel" / "src").rglob("*.rs"), *(SOURCE / "sift-policy" / "src").rglob("*.rs")]:
        text = path.read_text(encoding="utf-8").partition("#[cfg(test)]\nmod tests")[0]
        for form in (*forms, r'Err\("([a-z_]+)"\)') if path == grants else forms:
            codes |= set(re.findall(form, text))
    # One of each form, so that a form that finds nothing any more is noticed.
    assert {"replayed", "sql_ambiguous", "key_revoked", "peer_not_allowed", "session_tool", "books_full"} <= codes
    page = (SOURCE.parent / "docs" / "kernel.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z_]+)`", page))
    assert sorted(codes - named) == []
    # And nothing that was given up since: what looks like a code, in a row of codes, is one.
    rows = page.partition("## The order of checks")[2].partition("## Files of a folder")[0]
    others = {"scan_args", "status"}
    assert sorted(set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", rows)) - codes - others) == []


def test_there_are_examples():
    assert len(list(of_stub())) >= 6
    assert sum(doctest.testmod(module).attempted for module in MODULES) >= 8
