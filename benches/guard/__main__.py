"""Latency that the guard adds, in microseconds: `python -m benches.guard [--turns N]`.

A turn is an input of 500 characters and an answer of 1,000, both clean, in one of 50 conversations. What is timed is
the guard alone, awaited in an event loop as a service would. Expected answers are asserted: a fast wrong run fails.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Callable

from sift_fast import _core
from sift_fast.guard import Guard, RequestContext

TEXT = (
    "Could you tell me how the forecast for tomorrow is made, and which of the models for wind and rain it is based "
    "on? I have read about the stations on the coast, but not about the ones in the hills. "
)
PROMPT = (
    "You are the helper of the weather service. Answer questions about forecasts, stations and instruments, and leave "
    "all questions about contracts, prices and deliveries to the colleagues of the sales department."
)


def quantiles(times: list[float]) -> str:
    """P50, P95 and P99 of a list of nanoseconds, in microseconds."""
    ordered = sorted(times)
    parts = (ordered[int(part * len(ordered))] / 1_000 for part in (0.5, 0.95, 0.99))
    return "  ".join(f"{name} {value:8.1f}" for name, value in zip(("P50", "P95", "P99"), parts, strict=True))


async def turns(guard: Guard, asked: str, answer: str, count: int, decision: str) -> list[float]:
    """Time whole turns."""
    times = []
    for number in range(count):
        context = RequestContext(tenant="acme", role="support", conversation=f"c{number % 50}")
        begun = time.perf_counter_ns()
        one = await guard.check_input(asked, context)
        two = await guard.check_output(answer, context)
        times.append(time.perf_counter_ns() - begun)
        assert one.decision == decision, one
        assert two.decision == "allow", two
    return times[count // 10 :]


async def first_token(guard: Guard, count: int) -> list[float]:
    """Time the work until the first piece of a stream comes out."""
    pieces = [TEXT[at : at + 4] for at in range(0, len(TEXT), 4)]
    times = []
    for number in range(count):
        stream = guard.stream_output((), RequestContext(conversation=f"s{number % 50}"))
        begun = time.perf_counter_ns()
        for piece in pieces:
            if stream.feed(piece):
                break
        times.append(time.perf_counter_ns() - begun)
    return times[count // 10 :]


def per_kib(work: Callable[[str], object], text: str, count: int) -> float:
    """Microseconds per KiB of a call, the median of several rounds."""
    rounds = []
    for _ in range(9):
        begun = time.perf_counter_ns()
        for _ in range(count):
            work(text)
        rounds.append((time.perf_counter_ns() - begun) / count / 1_000 / (len(text) / 1_024))
    return sorted(rounds)[4]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=5_000)
    count = parser.parse_args().turns
    asked, answer = (TEXT * 3)[:500], (TEXT * 6)[:1_000]
    print("added per turn, microseconds")
    for preset in ("chat", "rag", "agent", "strict", "monitor-only"):
        guard = Guard({"version": 1, "preset": preset, "guardrails": {"prompt_leak": {"prompt": PROMPT}}})
        print(f"  {preset:14} clean      {quantiles(asyncio.run(turns(guard, asked, answer, count, 'allow')))}")
    guard = Guard({"version": 1, "preset": "chat", "guardrails": {"prompt_leak": {"prompt": PROMPT}}})
    secret = _core.generate("secret.github.token", 5, 1, ["secrets"])[0]
    dirty = f"{asked[:400]} {secret} or joe.miller@gmail.com"
    print(f"  {'chat':14} redacted   {quantiles(asyncio.run(turns(guard, dirty, answer, count, 'redact')))}")
    print(f"  {'chat':14} 1st piece  {quantiles(asyncio.run(first_token(guard, count)))}")
    print("fingerprints, microseconds per KiB")
    document = (TEXT * 200)[: 32 << 10]
    prints = _core._Fingerprints(20_000)
    print(f"  take in        {per_kib(lambda text: prints.add(text, 'document:1'), document, 20):8.2f}")
    print(f"  look up        {per_kib(prints.sources_of, document, 20):8.2f}")
    short = "https://example.org/path/to/thing"
    begun = time.perf_counter_ns()
    for _ in range(10_000):
        prints.sources_of(short)
    print(f"  one argument   {(time.perf_counter_ns() - begun) / 10_000 / 1_000:8.2f} us")


if __name__ == "__main__":
    main()
