"""What it costs to tell the kernel what came into a conversation.

    python -m benches.kernel.observe

Texts are made from a seed and differ each time: a memory that knows a text already is quicker than any that must take
it in. Processor time of this thread, so that other work on the machine counts little, without what the clock itself
takes (0.2 to 0.9 us a look).
"""

from __future__ import annotations

import random
import statistics
import string
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import sift_fast as sf
from benches.kernel import world

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


def main() -> None:
    """Prints microseconds a KiB."""
    chosen = random.Random(7)
    with tempfile.TemporaryDirectory() as folder:
        world.write(Path(folder, "kernel"), "batched")
        with sf.Kernel.open(Path(folder, "kernel")) as kernel:
            for size in (1 << 10, 16 << 10):
                texts = [_text(chosen, size) for _ in range(ROUNDS)]
                clock = statistics.median(_took(int) for _ in range(ROUNDS))
                times = []
                for number, text in enumerate(texts):
                    name = f"c{number // 10}"
                    tell = partial(kernel.observe, text, tenant="acme5", conversation=name, source="web")
                    times.append((_took(tell) - clock) / (size / 1_024))
                print(f"observe, {size >> 10:>2} KiB: {statistics.median(times):.2f} us a KiB")


if __name__ == "__main__":
    main()
