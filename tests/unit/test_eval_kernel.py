"""The benchmark of the action kernel (benches/kernel): its world, its answers, its page."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.usefixtures("on_the_path")


@pytest.fixture(scope="module")
def modules(on_the_path):
    names = ("__main__", "contenders", "report", "world")
    return {name: importlib.import_module(f"benches.kernel.{name}") for name in names}


def test_a_run_measures_what_is_right(modules, tmp_path):
    result = modules["__main__"].run(tmp_path, rounds=1, budget_ms=0.1, each=2)
    assert list(result["decide"]) == ["1000", "10"]
    assert result["decide"]["1000"][0]["name"].startswith("sift_fast")
    assert [row["receipts"] for row in result["durable"]] == ["batched", "signed"]
    page = modules["report"].page(result, "a test")
    assert all(row["checks"] in page for row in result["authorize"])


def test_a_wrong_answer_ends_the_run(modules):
    main, contenders = modules["__main__"], modules["contenders"]
    generous = contenders.Contender("generous", "nothing", lambda ask: ask, lambda _: True)
    with pytest.raises(main.WrongAnswerError, match="generous: `amount too high` must be denied"):
        main.measure([generous], 1, 0.1)


def test_the_ten_rules_answer_as_the_thousand_do(modules):
    world = modules["world"]
    for numbers in (world.ALL, world.FEW):
        ours = modules["contenders"].deciding(numbers)[0]
        assert [ours.call(ours.prepare(ask)) for ask in world.ASKS] == [ask.allowed for ask in world.ASKS]


def test_the_page_is_made_from_the_newest_record(modules):
    main, report = modules["__main__"], modules["report"]
    record = main.newest()
    page = report.page(json.loads(record.read_text(encoding="utf-8")), report.link(record.name))
    assert report.PAGE.read_text(encoding="utf-8") == page, "type `python -m benches.kernel --page`"
