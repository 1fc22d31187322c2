"""The examples in the documents on redaction, the vault and Presidio run."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest

import sift_fast as sf

DOCS = Path(__file__).parents[2] / "docs"
RULE = r"""
[[rule]]
id = "pii.test.email"
title = "E-mail address"
entity = "EMAIL_ADDRESS"
severity = "low"
score = 0.9
pattern = '''\b([a-z]{1,20}@[a-z]{1,20}\.example)\b'''
examples = ['ann@site.example']
negatives = ['ann at site.example']
"""


@pytest.mark.parametrize(("name", "least"), [("redaction.md", 10), ("vault.md", 10), ("migrate-presidio.md", 5)])
def test_documents(name, least, tmp_path):
    (tmp_path / "email.toml").write_text(RULE, encoding="utf-8")
    scanner = sf.Scanner([], rule_files=[tmp_path / "email.toml"])
    names = {"sf": sf, "scanner": scanner, "key": bytes(range(32)), "path": tmp_path / "vault"}
    # Code fences end where examples do.
    text = (DOCS / name).read_text(encoding="utf-8").replace("```", "")
    test = doctest.DocTestParser().get_doctest(text, names, name, name, 0)
    assert len(test.examples) >= least
    runner = doctest.DocTestRunner()
    runner.run(test)
    assert runner.summarize().failed == 0
