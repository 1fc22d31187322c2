"""Cost of the action kernel from Python, beside its rivals: `python -m benches.kernel [--record]`.

Decisions with 1,000 policies, whole authorizations, and permits that are durable for 32 callers. Contenders take
turns within each round and answer the same requests; a wrong answer ends the run. `--record` keeps the raw result in
`benches/record/kernel/` and writes `docs/eval-kernel.md` from it; `--page` writes the page from the newest record.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import sift_fast as sf
from benches.kernel import keep, report
from benches.kernel.contenders import Contender, deciding, kernels
from benches.kernel.world import ALL, ASKS, FEW, request, write

CALLERS = 32


class WrongAnswerError(Exception):
    """A contender did not say what is right: its speed means nothing."""


def quantiles(times: list[int]) -> dict[str, float]:
    """P50, P95 and P99 of nanoseconds, in microseconds."""
    ordered = sorted(times)
    at = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
    return {name: round(ordered[int(share * len(ordered))] / 1_000, 2) for name, share in at}


def one_round(contender: Contender, calls: int) -> list[int]:
    """Nanoseconds of each of some calls, with the requests in turn."""
    asked = [ASKS[number % len(ASKS)] for number in range(calls)]
    prepared = [contender.prepare(ask) for ask in asked]
    times = []
    for ask, one in zip(asked, prepared, strict=True):
        begun = time.perf_counter_ns()
        allowed = contender.call(one)
        times.append(time.perf_counter_ns() - begun)
        if allowed != ask.allowed:
            raise WrongAnswerError(f"{contender.name}: `{ask.name}` must be {'allowed' if ask.allowed else 'denied'}")
    contender.after()
    return times


def measure(contenders: list[Contender], rounds: int, budget_ms: float) -> list[dict[str, Any]]:
    """Rounds of all contenders in turn, each of about so many milliseconds and of 12 calls or more."""
    calls = []
    for contender in contenders:
        one_round(contender, 6)
        took = sum(one_round(contender, 6)) / 6
        calls.append(max(12, min(3_000, int(budget_ms * 1e6 / took))) // 3 * 3)
    times: list[list[int]] = [[] for _ in contenders]
    gc.collect()
    gc.disable()
    try:
        for _ in range(rounds):
            for contender, count, kept in zip(contenders, calls, times, strict=True):
                kept.extend(one_round(contender, count))
    finally:
        gc.enable()
    # As many calls of each request in each round, so that the place in it says which one it was.
    return [
        {
            "name": contender.name,
            "checks": contender.checks,
            "calls": len(kept),
            **quantiles(kept),
            "by_request": {ask.name: quantiles(kept[place :: len(ASKS)]) for place, ask in enumerate(ASKS)},
        }
        for contender, kept in zip(contenders, times, strict=True)
    ]


async def _durable(kernel: sf.Kernel, session: sf.Session, each: int) -> tuple[list[int], float]:
    times: list[int] = []

    async def caller() -> None:
        for _ in range(each):
            asked = request(ASKS[0], session.id)
            credential = session.mac(asked)
            begun = time.perf_counter_ns()
            answer = kernel.authorize(asked, credential)
            await answer.durable()
            taken = time.perf_counter_ns() - begun
            if answer.permit is None or answer.lease is None:
                raise WrongAnswerError("a permit must be there when its receipt is durable")
            times.append(taken)
            kernel.settle(answer.lease)

    begun = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return times, time.perf_counter() - begun


def durable(folder: Path, each: int) -> list[dict[str, Any]]:
    """Permits for 32 tasks of one event loop, each asking again when it has one."""
    rows = []
    for receipts in ("batched", "signed"):
        key = write(folder / receipts, receipts)
        with sf.Kernel.open(folder / receipts) as kernel:
            grant = sf.SessionGrant(tenant="acme5", agent="bot", roles=["role17"])
            session = kernel.open_session(sf.sign_grant(grant, key))
            asyncio.run(_durable(kernel, session, each // 10 + 1))
            times, seconds = asyncio.run(_durable(kernel, session, each))
            rate = round(len(times) / seconds)
            rows.append({"receipts": receipts, "callers": CALLERS, "per_second": rate, **quantiles(times)})
    return rows


def run(folder: Path, rounds: int, budget_ms: float, each: int) -> dict[str, Any]:
    """Measure everything.

    Args:
        folder: an empty folder on the disk to measure.
        rounds: rounds of each comparison.
        budget_ms: about how long one contender takes in a round, milliseconds.
        each: durable permits of each caller.
    """
    started = keep.begun("kernel")
    decisions = {str(len(numbers)): measure(deciding(numbers), rounds, budget_ms) for numbers in (ALL, FEW)}
    with kernels(folder / "authorize") as contenders:
        actions = measure(contenders, rounds, budget_ms)
    return {
        **started,
        "rounds": rounds,
        "decide": decisions,
        "authorize": actions,
        "durable": durable(folder / "durable", each),
    }


def main() -> None:
    """Measure, show, and keep when asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20, help="rounds of each comparison (20)")
    parser.add_argument("--budget", type=float, default=60, help="milliseconds of a contender in a round (60)")
    parser.add_argument("--each", type=int, default=200, help="durable permits of each of the 32 callers (200)")
    parser.add_argument("--folder", type=Path, help="where state is written; a temporary one when absent")
    parser.add_argument("--record", action="store_true", help="keep the result and write the page")
    parser.add_argument("--page", action="store_true", help="write the page from the newest record, measure nothing")
    chosen = parser.parse_args()
    if chosen.page:
        report.write()
        return
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        result = run(Path(folder), chosen.rounds, chosen.budget, chosen.each)
    print(json.dumps(result, indent=1))
    if chosen.record:
        keep.keep(result)
        report.write()


if __name__ == "__main__":
    main()
