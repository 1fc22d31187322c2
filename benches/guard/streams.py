"""Many streams at once on one core: memory of each, what a piece takes, and whether one starves.

Each stream is an answer of a conversation of its own. Two runs: `flat out` gives every stream its next piece as soon
as it may, in turns, and shows throughput and fairness; `paced` gives pieces by the clock, as models do, and shows how
late they come out. In both a hundredth of the streams is heavy: 16,000 characters of nothing but numbers at a time.
The process is bound to one core. What came out is compared with what went in.
"""

from __future__ import annotations

import asyncio
import gc
import os
import time
from array import array
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from benches.guard.latency import PARTS, PROMPT, TEXT
from sift_fast.guard import Guard, RequestContext

__all__ = ["measure"]

_PIECE = 16
_HEAVY_PIECE = 16_000
_HEAVY_PIECES = 3


def measure(streams: int, *, pieces: int = 300, pace_s: float = 0.5, paced_pieces: int = 12) -> dict[str, Any]:
    """Both runs, and memory at two lengths of the answers.

    Args:
        streams: how many at once.
        pieces: pieces of 16 characters of each answer, flat out.
        pace_s: seconds between pieces of one stream when paced.
        paced_pieces: pieces of each answer when paced.
    """
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        guard = Guard({"version": 1, "preset": "agent", "guardrails": {"prompt_leak": {"prompt": PROMPT}, "links": {}}})
        asyncio.run(_Run(guard, min(streams, 50), pieces, None).run())
        flat = asyncio.run(_Run(guard, streams, pieces, None).run())
        paced = asyncio.run(_Run(guard, streams, paced_pieces, pace_s).run())
    finally:
        os.sched_setaffinity(0, cores)
    return {"streams": streams, "flat_out": flat, "paced": {**paced, "pace_s": pace_s}}


class _Run:
    """One run of all streams."""

    def __init__(self, guard: Guard, streams: int, pieces: int, pace_s: float | None) -> None:
        self._guard = guard
        self._streams = streams
        self._pieces = pieces
        self._pace = pace_s
        # Compact, and made before the run: what is measured is the memory of the streams.
        self._work = array("f", bytes(4 * streams * pieces))
        self._late = array("f", bytes(4 * streams * pieces if pace_s else 0))
        self._done = 0
        self._progress = [0] * streams
        self._ends = [0.0] * streams
        self._begun = 0.0
        self._halves: list[list[int]] = []
        self._left = 0
        self._rss: list[int] = []
        self._heavy = max(1, streams // 100)

    async def run(self) -> dict[str, Any]:
        """Run them to their end."""
        gc.collect()
        before = _rss()
        light = self._streams - self._heavy
        self._begun, cpu = time.perf_counter(), time.process_time()
        tasks = [asyncio.ensure_future(self._stream(number)) for number in range(self._streams)]
        watch = asyncio.ensure_future(self._watch(light * self._pieces))
        await asyncio.gather(*tasks)
        took, cpu = time.perf_counter() - self._begun, time.process_time() - cpu
        watch.cancel()
        for number in range(self._streams):
            self._guard.forget("acme", f"s{number}")
        ends = sorted(self._ends[self._heavy :])
        out: dict[str, Any] = {
            "heavy": self._heavy,
            "pieces": self._pieces,
            "seconds": took,
            "pieces_per_s": self._done / took,
            "pieces_per_cpu_s": self._done / cpu,
            "work_us": _quantiles(self._work[: self._done]),
            "memory_per_stream_bytes": [round((rss - before) / self._streams) for rss in self._rss],
        }
        if self._pace is None:
            halves = self._halves[0] if self._halves else []
            out["fairness"] = _jain(halves)
            out["slowest_end_to_fastest"] = ends[-1] / ends[0]
        else:
            out["late_us"] = _quantiles(self._late[: self._done])
        return out

    async def _watch(self, total: int) -> None:
        """Memory when three tenths and when nine tenths of the pieces are through, and how far everybody is at half."""
        marks = [0.3, 0.5, 0.9]
        while marks:
            await asyncio.sleep(0.005)
            done = sum(self._progress[self._heavy :])
            while marks and done >= marks[0] * total:
                if marks.pop(0) == 0.5:
                    self._halves.append(list(self._progress[self._heavy :]))
                else:
                    self._rss.append(_rss())

    async def _stream(self, number: int) -> None:
        heavy = number < self._heavy
        context = RequestContext(tenant="acme", conversation=f"s{number}")
        source = self._numbers(number) if heavy else self._answer(number)
        stream = self._guard.stream_output(source, context)
        text = "" if heavy else _text(number, self._pieces)
        at = 0
        async for piece in stream:
            assert heavy or text.startswith(piece, at)
            at += len(piece)
        self._ends[number] = time.perf_counter() - self._begun
        assert stream.verdict is not None
        if not heavy:
            assert stream.verdict.decision == "allow", stream.verdict
            assert at == len(text)

    async def _answer(self, number: int) -> AsyncIterator[str]:
        text = _text(number, self._pieces)
        for place in range(self._pieces):
            if self._pace is None:
                await asyncio.sleep(0)
            else:
                # Streams begin at different times, as conversations do.
                due = self._begun + (place + 1 + number / self._streams) * self._pace
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                self._late[self._done] = (time.perf_counter() - due) * 1e6
            given = time.thread_time_ns()
            yield text[place * _PIECE : (place + 1) * _PIECE]
            # The guard asks for the next piece when it is done with this one.
            self._work[self._done] = (time.thread_time_ns() - given) / 1_000
            self._done += 1
            self._progress[number] += 1

    async def _numbers(self, number: int) -> AsyncIterator[str]:
        for _ in range(_HEAVY_PIECES):
            await asyncio.sleep(0 if self._pace is None else self._pace)
            yield ("1234 5678 9012 3456 " * _HEAVY_PIECE)[:_HEAVY_PIECE]
        self._progress[number] += 1


def _text(number: int, pieces: int) -> str:
    shift = number % len(TEXT)
    return (TEXT[shift:] + TEXT * (pieces * _PIECE // len(TEXT) + 1))[: pieces * _PIECE]


def _rss() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _quantiles(values: Sequence[float]) -> dict[str, float]:
    ordered = sorted(values)
    out = {name: ordered[min(len(ordered) - 1, int(part * len(ordered)))] for name, part in PARTS}
    return {**out, "max": ordered[-1]}


def _jain(shares: list[int]) -> float:
    """Jain's index of fairness: 1 when all have got the same, 1/n when one has got everything."""
    total = sum(shares)
    return total * total / (len(shares) * sum(share * share for share in shares)) if total else 0.0
