"""Latency that the guard adds to a turn, in microseconds.

A turn is an input of 500 characters and an answer of 1,000, both clean, in one of 50 conversations. What is timed is
the guard alone, awaited in an event loop as a service would. Expected answers are asserted: a fast wrong run fails.

Machines that share their cores change their speed for seconds at a time. Everything is measured in rounds, in turn, and
each row is that of its quietest round, the one with the least median; the medians of all are kept beside it.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

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


def quantiles(times: list[float]) -> dict[str, float]:
    """P50, P95, P99 and mean of a list of nanoseconds, in microseconds."""
    ordered = sorted(times)
    out = {name: ordered[int(part * len(ordered))] / 1_000 for name, part in PARTS}
    return {**out, "mean": sum(ordered) / len(ordered) / 1_000}


#: What measures one round of a row: nanoseconds of each of its turns.
Row = Callable[[], Coroutine[Any, Any, list[float]]]
ROUNDS = 10
PARTS = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))


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


def measure(count: int) -> dict[str, Any]:
    """All of it: rows of quantiles by name, and microseconds per KiB of fingerprints.

    Args:
        count: turns of each row, over all rounds.
    """
    asked, answer = (TEXT * 3)[:500], (TEXT * 6)[:1_000]
    leak = {"prompt_leak": {"prompt": PROMPT}}
    each = max(count // ROUNDS, 2)

    def clean(guard: Guard) -> Row:
        return lambda: turns(guard, asked, answer, each, "allow")

    rows: dict[str, Row] = {}
    for preset in ("chat", "rag", "agent", "strict", "monitor-only"):
        rows[f"{preset}, clean"] = clean(Guard({"version": 1, "preset": preset, "guardrails": leak}))
    scored = Guard({"version": 1, "preset": "chat", "guardrails": {**leak, "classifier": {"block_at": 0.98}}})
    rows["chat and classifier, clean"] = clean(scored)
    chat = Guard({"version": 1, "preset": "chat", "guardrails": leak})
    secret = _core.generate("secret.github.token", 5, 1, ["secrets"])[0]
    dirty = f"{asked[:400]} {secret} or joe.miller@gmail.com"
    rows["chat, redacted"] = lambda: turns(chat, dirty, answer, each, "redact")
    rows["chat, first piece of a stream"] = lambda: first_token(chat, each)
    with calls(max(each // 10, 2)) as more:
        rows.update(more)
        found = [{name: quantiles(asyncio.run(row())) for name, row in rows.items()} for _ in range(ROUNDS)]
    best = {name: min((one[name] for one in found), key=lambda row: row["p50"]) for name in rows}
    document = (TEXT * 200)[: 32 << 10]
    prints = _core._Fingerprints(20_000)
    fingerprints = {
        "take in": per_kib(lambda text: prints.add(text, "document:1"), document, 20),
        "look up": per_kib(prints.sources_of, document, 20),
        "one argument": argument(prints),
    }
    medians = {name: [one[name]["p50"] for one in found] for name in rows}
    return {"turns": count, "rounds": ROUNDS, "rows": best, "medians": medians, "fingerprints": fingerprints}


@contextmanager
def calls(count: int) -> Iterator[dict[str, Row]]:
    """A tool call: through the guardrails, and through the kernel besides, its receipt on the disk."""
    rows = {}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as opened:
        governance = str(Path(folder) / "governance")
        command = [sys.executable, "-m", "sift_fast.cli", "init", governance, "--template", "support"]
        subprocess.run(command, check=True, capture_output=True, cwd=folder)
        budgets = Path(governance) / "budgets.toml"
        budgets.write_text(budgets.read_text().replace("cap = 2_000\n", "cap = 2_000_000\n"))
        key = {"agent": "support-bot", "id": "support-bot-1", "file": f"{governance}/keys/support-bot.key"}
        for name, kernel in (
            ("tool call", {}),
            ("tool call and kernel", {"folder": governance, "keys": {"acme": key}}),
        ):
            guard = Guard({"version": 1, "preset": "agent", "tools": {"read_order": {}}, "kernel": kernel})
            opened.callback(guard.close)
            rows[f"agent, {name}"] = partial(_calls, guard, count)
        yield rows


async def _calls(guard: Guard, count: int) -> list[float]:
    times = []
    for number in range(count):
        context = RequestContext(tenant="acme", role="support", conversation=f"c{number % 50}")
        begun = time.perf_counter_ns()
        verdict = await guard.check_tool_input("read_order", {"order": f"o-{number}"}, context)
        times.append(time.perf_counter_ns() - begun)
        assert verdict.decision == "allow", verdict
    return times[count // 10 :]


def argument(prints: Any, count: int = 10_000) -> float:
    """Microseconds for one argument, a link."""
    begun = time.perf_counter_ns()
    for _ in range(count):
        prints.sources_of("https://example.org/path/to/thing")
    return (time.perf_counter_ns() - begun) / count / 1_000
