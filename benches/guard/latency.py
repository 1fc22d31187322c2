"""Latency that the guard adds to a turn, in microseconds.

A turn is an input of 500 characters and an answer of 1,000, both clean, in one of 50 conversations. What is timed is
the guard alone, awaited in an event loop as a service would. Expected answers are asserted: a fast wrong run fails.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
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
    """All of it: rows of quantiles by name, and microseconds per KiB of fingerprints."""
    asked, answer = (TEXT * 3)[:500], (TEXT * 6)[:1_000]
    leak = {"prompt_leak": {"prompt": PROMPT}}
    rows: dict[str, dict[str, float]] = {}
    for preset in ("chat", "rag", "agent", "strict", "monitor-only"):
        guard = Guard({"version": 1, "preset": preset, "guardrails": leak})
        rows[f"{preset}, clean"] = quantiles(asyncio.run(turns(guard, asked, answer, count, "allow")))
    scored = Guard({"version": 1, "preset": "chat", "guardrails": {**leak, "classifier": {"block_at": 0.98}}})
    rows["chat and classifier, clean"] = quantiles(asyncio.run(turns(scored, asked, answer, count, "allow")))
    guard = Guard({"version": 1, "preset": "chat", "guardrails": leak})
    secret = _core.generate("secret.github.token", 5, 1, ["secrets"])[0]
    dirty = f"{asked[:400]} {secret} or joe.miller@gmail.com"
    rows["chat, redacted"] = quantiles(asyncio.run(turns(guard, dirty, answer, count, "redact")))
    rows["chat, first piece of a stream"] = quantiles(asyncio.run(first_token(guard, count)))
    rows.update(calls(count // 10))
    document = (TEXT * 200)[: 32 << 10]
    prints = _core._Fingerprints(20_000)
    fingerprints = {
        "take in": per_kib(lambda text: prints.add(text, "document:1"), document, 20),
        "look up": per_kib(prints.sources_of, document, 20),
        "one argument": argument(prints),
    }
    return {"turns": count, "rows": rows, "fingerprints": fingerprints}


def calls(count: int) -> dict[str, dict[str, float]]:
    """A tool call: through the guardrails, and through the kernel besides, its receipt on the disk."""
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
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
            rows[f"agent, {name}"] = quantiles(asyncio.run(_calls(guard, count)))
            guard.close()
    return rows


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
