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
    demo.agent_scene.show(narrow)
    shown = narrow.file.getvalue()
    assert "\N{HORIZONTAL ELLIPSIS}" not in shown
    assert "receipts verified" in shown
