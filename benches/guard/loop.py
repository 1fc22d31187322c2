"""How long one call of the guard keeps the event loop from everybody else.

Every step that the loop runs is timed: the processor time of its thread, which other work on the machine does not
change, and the clock, which it does. A call is one whole check, awaited as a service would; texts are plain ones and
the worst that are known: nothing but numbers, keys, encoded text. Expected answers are asserted.
"""

from __future__ import annotations

import asyncio
import base64
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Self

from benches.guard.latency import TEXT
from sift_fast.guard import Guard, RequestContext

Check = Callable[[Guard, RequestContext], Awaitable[Any]]

LONG = 90_000


class Steps:
    """Times every step of the event loop while it is entered."""

    def __init__(self) -> None:
        self.cpu_us: list[float] = []
        self.wall_us: list[float] = []
        self._run: Any = None

    def __enter__(self) -> Self:
        run = self._run = asyncio.Handle._run

        def timed(handle: asyncio.Handle) -> None:
            cpu, wall = time.thread_time_ns(), time.perf_counter_ns()
            run(handle)
            self.cpu_us.append((time.thread_time_ns() - cpu) / 1_000)
            self.wall_us.append((time.perf_counter_ns() - wall) / 1_000)

        asyncio.Handle._run = timed  # type: ignore[method-assign]
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.Handle._run = self._run  # type: ignore[method-assign]


def texts() -> dict[str, str]:
    """What is read: a short plain text, and long ones of every sort."""
    plain = (TEXT * (LONG // len(TEXT) + 1))[:LONG]
    encoded = base64.b64encode(base64.b64encode(plain.encode())).decode()
    return {
        "500 characters": plain[:500],
        "4,000 characters": plain[:4_000],
        "90,000 characters": plain,
        "90,000, numbers": ("4111 1111 1111 1112 " * LONG)[:LONG],
        "90,000, encoded twice": encoded[:LONG],
        "90,000, percent signs": "".join(f"%{ord(letter):02x}" for letter in plain)[:LONG],
        "90,000, words before values": ("password: see below; api_key = none yet " * LONG)[:LONG],
    }


def checks() -> dict[str, Check]:
    """Every stage with every text."""
    out: dict[str, Check] = {}
    for name, text in texts().items():
        out[f"input, {name}"] = lambda guard, context, text=text: guard.check_input(text, context)
        out[f"output, {name}"] = lambda guard, context, text=text: guard.check_output(text, context)
        out[f"tool result, {name}"] = lambda guard, context, text=text: guard.check_tool_output(
            "lookup", {"rows": [text[at : at + 500] for at in range(0, len(text), 500)]}, context
        )
        out[f"stream in one piece, {name}"] = lambda guard, context, text=text: _streamed(guard, context, text)
    documents = [{"text": (TEXT * 30)[:4_000], "metadata": {"tenant": "acme"}, "id": str(n)} for n in range(20)]
    out["retrieval, 20 documents of 4,000"] = lambda guard, context: guard.check_retrieval(documents, context)
    out["tool call"] = lambda guard, context: guard.check_tool_input("lookup", {"customer": "17"}, context)
    out["escalation, record on disk"] = lambda guard, context: guard.check_input("about the merger", context)
    return out


async def _streamed(guard: Guard, context: RequestContext, text: str) -> Any:
    stream = guard.stream_output([text], context)
    async for _ in stream:
        pass
    return stream.verdict


def measure(rounds: int) -> dict[str, Any]:
    """The longest step of each call: the median over the rounds, and the worst, microseconds of processor time."""
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        guard = Guard(
            {
                "version": 1,
                "preset": "agent",
                "tools": {"lookup": {}},
                "guardrails": {"words": {"words": ["merger"], "on_violation": "escalate"}},
                "events": {"file": str(Path(folder) / "events.jsonl"), "ledger": str(Path(folder) / "audit")},
                "escalation": {"file": str(Path(folder) / "desk.sqlite")},
            }
        )
        for name, check in checks().items():
            cpu, wall = asyncio.run(_longest(guard, check, rounds))
            rows[name] = {
                "cpu_median": sorted(cpu)[len(cpu) // 2],
                "cpu_max": max(cpu),
                "wall_median": sorted(wall)[len(wall) // 2],
            }
        guard.close()
    return {"rounds": rounds, "rows": rows}


async def _longest(guard: Guard, check: Check, rounds: int) -> tuple[list[float], list[float]]:
    cpu, wall = [], []
    for number in range(rounds + 1):
        # A conversation of its own: what it would remember makes no later call longer.
        context = RequestContext(tenant="acme", role="support", conversation=f"c{number}")
        with Steps() as steps:
            verdict = await asyncio.ensure_future(check(guard, context))
        assert verdict.status == "ok", verdict
        guard.forget("acme", f"c{number}")
        # The first one meets what is made once, in threads and in memory.
        if number:
            cpu.append(max(steps.cpu_us))
            wall.append(max(steps.wall_us))
    return cpu, wall
