"""What `make demo` shows fits a terminal of 80 columns: nothing is cut, nothing that is to be copied is broken."""

from __future__ import annotations

import importlib
import io
from pathlib import Path

import pytest
from rich.console import Console

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def narrow():
    return Console(width=80, file=io.StringIO(), highlight=False)


@pytest.fixture
def demo(monkeypatch, narrow):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    module = importlib.import_module("demo")
    monkeypatch.setattr(module, "console", narrow)
    return module


def test_the_redacted_sample_is_whole(demo, narrow, scanner):
    demo.show_sample(scanner)
    shown = narrow.file.getvalue()
    for line in scanner.redact(demo.sample()).text.splitlines():
        assert f"{line}\n" in shown


def test_the_table_of_the_agent_is_whole(demo, narrow):
    answers = demo.agent_scene.show(narrow)
    shown = narrow.file.getvalue()
    assert "\N{HORIZONTAL ELLIPSIS}" not in shown
    # What the scene is told for: each act, what became of it and why.
    assert [(auth.decision, auth.reason) for auth in answers] == [
        ("deny", "secret_in_arguments"),
        ("deny", "no_permit"),
        ("allow", "allowed"),
        ("deny", "replayed"),
        ("escalate", "approval_required"),
        ("allow", "allowed"),
        ("deny", "budget_exceeded"),
    ]
    assert all(auth.status == "ok" for auth in answers)
    mail, *others = answers
    assert mail.taint == ("web:help-page",)
    assert mail.rule_ids == ("exports.no-secrets",)
    assert answers[-1].rule_ids == ("limit:refunds/usd_micros/conversation/1d",)
    assert not any(auth.taint for auth in others)
    assert answers[4].approval == answers[5].approval
    assert answers[4].approval is not None
    assert [auth.lease is not None for auth in answers] == [auth.decision == "allow" for auth in answers]
    # A replay has no receipt: its caller may be anybody.
    assert "6 receipts verified" in shown
    assert "0 of them wrong" in shown
    assert "a copy with one bit changed: altered: " in shown
