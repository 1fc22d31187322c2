"""The examples in the documents on Python, redaction, the vault and Presidio run as they stand, with the shipped rules."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize(
    ("name", "least"), [("python.md", 25), ("redaction.md", 13), ("vault.md", 14), ("migrate-presidio.md", 5)]
)
def test_documents(name, least, tmp_path, monkeypatch):
    # No name is given from outside: a page sets up what it uses.
    monkeypatch.chdir(tmp_path)
    # Code fences end where examples do.
    text = (DOCS / name).read_text(encoding="utf-8").replace("```", "")
    test = doctest.DocTestParser().get_doctest(text, {}, name, name, 0)
    assert len(test.examples) >= least
    runner = doctest.DocTestRunner()
    runner.run(test)
    assert runner.summarize().failed == 0
