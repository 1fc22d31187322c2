"""What it costs to tell the kernel what came into a conversation.

    python -m benches.kernel.observe [--record]

Texts are made from a seed and differ each time: a memory that knows a text already is quicker than any that must take
it in. Processor time of this thread, so that other work on the machine counts little, without what the clock itself
takes (0.2 to 0.9 us a look).
"""

from __future__ import annotations

import argparse
import random
import statistics
import string
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import sift_fast as sf
from benches.kernel import keep, report, world

ROUNDS = 400


def _took(work: Callable[[], object]) -> float:
    began = time.thread_time_ns()
    work()
    return (time.thread_time_ns() - began) / 1_000


def _text(chosen: random.Random, size: int) -> str:
    """Words, numbers and an address now and then, of about `size` bytes."""
    parts: list[str] = []
    length = 0
    while length < size:
        kind = chosen.random()
        word = "".join(chosen.choices(string.ascii_lowercase, k=chosen.randint(2, 9)))
        if kind < 0.04:
            word = str(chosen.randint(1_000, 10**9))
        elif kind < 0.05:
            word = f"{word}@{word}.example"
        parts.append(word)
        length += len(word) + 1
    return " ".join(parts)[:size]


def measure(rounds: int) -> list[dict[str, float]]:
    """Microseconds of processor time a KiB, by size of the text in KiB.

    Args:
        rounds: texts of each size.
    """
    rows = []
    chosen = random.Random(7)
    with tempfile.TemporaryDirectory() as folder:
        world.write(Path(folder, "kernel"), "batched")
        with sf.Kernel.open(Path(folder, "kernel")) as kernel:
            for size in (1 << 10, 16 << 10):
                texts = [_text(chosen, size) for _ in range(rounds)]
                clock = statistics.median(_took(int) for _ in range(rounds))
                times = []
                for number, text in enumerate(texts):
                    name = f"c{number // 10}"
                    tell = partial(kernel.observe, text, tenant="acme5", conversation=name, source="web")
                    times.append((_took(tell) - clock) / (size / 1_024))
                rows.append({"kib": size >> 10, "us_a_kib": round(statistics.median(times), 2)})
    return rows


def main() -> None:
    """Print microseconds a KiB, and keep them when asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", action="store_true", help="keep the result")
    chosen = parser.parse_args()
    record = keep.begun("observe")
    record["rows"] = measure(ROUNDS)
    for row in record["rows"]:
        print(f"observe, {row['kib']:>2} KiB: {row['us_a_kib']:.2f} us a KiB")
    if chosen.record:
        print(keep.keep(record))
        report.write()


if __name__ == "__main__":
    main()
