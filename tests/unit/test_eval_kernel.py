"""The benchmark of the action kernel (benches/kernel): its world, its answers, its page."""

from __future__ import annotations

import importlib
from functools import partial
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.usefixtures("on_the_path")


@pytest.fixture(scope="module")
def modules(on_the_path):
    names = ("__main__", "contenders", "keep", "native", "observe", "report", "world")
    return {name: importlib.import_module(f"benches.kernel.{name}") for name in names}


class Clock:
    """A clock that goes on when somebody works, and by a little at each look."""

    def __init__(self):
        self.ns = 10**18

    def look(self):
        self.ns += 1
        return self.ns

    def work(self, microseconds):
        self.ns += microseconds * 1_000


@pytest.fixture
def clock(modules, monkeypatch):
    clock = Clock()
    monkeypatch.setattr(modules["__main__"].time, "perf_counter_ns", clock.look)
    return clock


def test_a_run_measures_what_is_right(modules, tmp_path):
    result = modules["__main__"].run(tmp_path, rounds=1, budget_ms=0.1, each=2)
    assert list(result["decide"]) == ["1000", "10"]
    assert result["decide"]["1000"][0]["name"].startswith("sift_fast")
    assert [row["receipts"] for row in result["durable"]] == ["batched", "signed"]
    scanned = [row["name"] for row in result["authorize"] if "scanned" in row["name"]]
    assert len(scanned) == 2
    page = modules["report"].page({"kernel": result}, {"kernel": "a test"})
    assert all(row["checks"] in page for row in result["authorize"])


def test_the_time_of_a_call_is_the_calls_and_in_microseconds(modules, clock):
    contenders, world = modules["contenders"], modules["world"]
    took = {ask.name: number for number, ask in enumerate(world.ASKS, start=3)}

    def contender(name, times):
        def call(ask):
            clock.work(times * took[ask.name])
            return ask.allowed

        # What is not the call costs time as well, which must not count.
        def prepare(ask):
            clock.work(1_000_000)
            return ask

        return contenders.Contender(name, "nothing", prepare, call, partial(clock.work, 5_000_000))

    rows = modules["__main__"].measure([contender("quick", 1), contender("slow", 100)], 4, 0.01)
    assert [row["calls"] for row in rows] == [48, 48]
    for row, times in zip(rows, (1, 100), strict=True):
        apart = {name: figures["p50"] for name, figures in row["by_request"].items()}
        assert apart == {name: times * number for name, number in took.items()}
        # Of three requests that take 3, 4 and 5 the middle one is the median.
        assert (row["p50"], row["p99"]) == (times * 4, times * 5)


def test_quantiles_are_those_of_the_times(modules):
    quantiles = modules["__main__"].quantiles
    assert quantiles([number * 1_000 for number in range(100, 0, -1)]) == {"p50": 51.0, "p95": 96.0, "p99": 100.0}
    assert quantiles([7_250]) == {"p50": 7.25, "p95": 7.25, "p99": 7.25}


def test_what_observing_takes_is_counted_by_size_and_without_the_clock(modules, monkeypatch):
    observe = modules["observe"]
    clock = Clock()
    monkeypatch.setattr(observe.time, "thread_time_ns", clock.look)
    monkeypatch.setattr(
        observe.sf.Kernel, "observe", lambda _kernel, text, **_names: clock.work(len(text) // 1_024 * 6)
    )
    assert observe.measure(5) == [{"kib": 1, "us_a_kib": 6.0}, {"kib": 16, "us_a_kib": 6.0}]


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


def test_what_the_rust_programs_say_is_read(modules):
    native = modules["native"]
    said = """1,001 policies; state in somewhere
authorize, session MAC, receipt signed       P50      9.4 us   P95     17.6 us   P99     71.7 us
durable permit, 32 callers, receipt signed   P50   1704.3 us   P95  15988.6 us   P99  23310.6 us
                                             7641 a second, 81 us of processor time each
the log alone, 32 callers                    P50    552.5 us   P95    694.1 us   P99    886.0 us
                                             17 us of processor time each
"""
    assert native.times(said) == [
        {"name": "authorize, session MAC, receipt signed", "p50": 9.4, "p95": 17.6, "p99": 71.7},
        {
            "name": "durable permit, 32 callers, receipt signed",
            "p50": 1704.3,
            "p95": 15988.6,
            "p99": 23310.6,
            "per_second": 7641,
            "processor_us": 81,
        },
        {"name": "the log alone, 32 callers", "p50": 552.5, "p95": 694.1, "p99": 886.0, "processor_us": 17},
    ]
    said = (
        "durable, signed   32 callers,  64 on their way each:    63389 receipts/s, 25.1 us of one core each, wait P50 "
        "1.00 P95 2.00 P99 3.00 ms\nverified, batched  tree of 200000: 1000000 receipts of 3000 bytes with proof, "
        "11.7 us of one core each: 11.7 s a million (12.0 by the clock)\n"
    )
    durable, verified = native.ledger(said)
    assert (durable["receipts"], durable["per_second"], durable["processor_us"]) == ("signed", 63389, 25.1)
    assert (verified["receipts"], verified["seconds_a_million"]) == ("batched", 11.7)


def test_the_newest_record_of_a_name_is_taken(modules, tmp_path):
    keep = modules["keep"]
    assert keep.newest("kernel", tmp_path) is None
    for at, name in (("2026-01-02T00", "kernel"), ("2026-01-10T00", "kernel"), ("2026-02-01T00", "kernel-socket")):
        keep.keep({"benchmark": name, "at": at}, tmp_path)
    newest = keep.newest("kernel", tmp_path)
    assert newest is not None
    assert newest.name == "2026-01-10-kernel.json"


def test_the_page_is_made_from_the_newest_records(modules):
    report = modules["report"]
    assert report.PAGE.read_text(encoding="utf-8") == report.made(), "type `python -m benches.kernel --page`"
