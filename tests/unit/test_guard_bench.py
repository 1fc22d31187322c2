"""The benchmarks of the guard: they run, small, and their page is what the records say. No time is asserted."""

from __future__ import annotations

import importlib
import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.usefixtures("on_the_path")


def bench(name):
    return importlib.import_module(f"benches.guard.{name}")


def test_the_page_is_what_the_records_say():
    assert bench("page").write(check=True) == 0


def test_turns_calls_and_their_table():
    result = bench("latency").measure(20)
    assert set(result["rows"]) >= {"chat, clean", "agent, clean", "agent, tool call and kernel"}
    assert "chat and classifier, clean" in bench("page").turns(result)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="streams are bound to one core")
def test_streams_come_out_whole_and_get_the_same():
    cores = os.sched_getaffinity(0)
    result = bench("streams").measure(20, pieces=8, pace_s=0.01, paced_pieces=3)
    assert os.sched_getaffinity(0) == cores
    assert result["flat_out"]["fairness"] == pytest.approx(1, abs=0.2)
    assert "20 answers at once" in bench("page").streams(result)


def test_what_the_loop_does_is_timed_step_by_step():
    import asyncio

    loop = bench("loop")

    async def main():
        with loop.Steps() as steps:
            for _ in range(3):
                await asyncio.sleep(0)
        return steps

    handle = asyncio.Handle._run
    steps = asyncio.run(main())
    assert asyncio.Handle._run is handle
    assert len(steps.cpu_us) == len(steps.wall_us) == 3


def test_both_sides_must_give_the_expected_answer():
    import asyncio

    rivals = bench("rivals")
    from sift_fast.guard import RequestContext

    for code in (False, True):
        guard = rivals.ours(code=code)
        for case in rivals.cases(code=code):
            done = asyncio.run(rivals.our_turn(guard, case, RequestContext(conversation="c")))
            rivals.check(case, done, "sift_fast")
            with pytest.raises(AssertionError):
                rivals.check(case, None if case.expected != "block" else (case.asked, case.answer), "nobody")
