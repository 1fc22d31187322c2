"""The clocks: interleaved repetitions of whole passes, and single calls timed one by one."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benches.summary import mad, median

#: One repetition repeats its pass until it lasts about this long: well above the scheduler's tick noise.
ENOUGH_NS = 20_000_000


@dataclass(frozen=True)
class Sample:
    """One repetition: nanoseconds per pass, by three clocks."""

    wall: float
    thread: float
    process: float


@dataclass(frozen=True)
class Series:
    """All repetitions of one engine in one cell."""

    samples: tuple[Sample, ...]
    passes: int

    @property
    def thread(self) -> float:
        """Median thread CPU nanoseconds of one pass."""
        return median([sample.thread for sample in self.samples])

    @property
    def wall(self) -> float:
        """Median wall-clock nanoseconds of one pass."""
        return median([sample.wall for sample in self.samples])

    @property
    def process(self) -> float:
        """Median CPU nanoseconds of the whole process during one pass."""
        return median([sample.process for sample in self.samples])

    def as_record(self) -> dict[str, Any]:
        """All samples and their summary, for the JSON record."""
        threads = [sample.thread for sample in self.samples]
        walls = [sample.wall for sample in self.samples]
        return {
            "passes_per_repetition": self.passes,
            "thread_ns": {"median": median(threads), "mad": mad(threads), "all": [round(t) for t in threads]},
            "wall_ns": {"median": median(walls), "mad": mad(walls), "all": [round(w) for w in walls]},
            "process_ns": {"median": self.process},
        }


def settle() -> None:
    """Collect garbage and exempt what is alive, so that no engine pays for another one's objects.

    The collector itself stays on: making garbage is part of an engine's price.
    """
    gc.collect()
    gc.freeze()


def _sample(job: Callable[[], object], passes: int) -> Sample:
    wall, thread, process = time.perf_counter_ns(), time.thread_time_ns(), time.process_time_ns()
    for _ in range(passes):
        job()
    thread = time.thread_time_ns() - thread
    process = time.process_time_ns() - process
    wall = time.perf_counter_ns() - wall
    return Sample(wall / passes, thread / passes, process / passes)


def interleave(jobs: Mapping[str, Callable[[], object]], repeats: int, enough_ns: int = ENOUGH_NS) -> dict[str, Series]:
    """Run every job `repeats` times in turns (A B C, B C A, C A B, ...) and return its times.

    Turns rotate so that no engine always runs right after the same other one. One untimed pass of
    each comes first; it also says how many passes make one repetition long enough to time.
    """
    passes: dict[str, int] = {}
    for name, job in jobs.items():
        job()
        passes[name] = max(1, round(enough_ns / max(_sample(job, 1).wall, 1)))
    settle()
    samples: dict[str, list[Sample]] = {name: [] for name in jobs}
    names = list(jobs)
    for turn in range(repeats):
        shift = turn % len(names)
        for name in names[shift:] + names[:shift]:
            samples[name].append(_sample(jobs[name], passes[name]))
    return {name: Series(tuple(samples[name]), passes[name]) for name in names}


def every(call: Callable[[Any], object], inputs: Iterable[Any]) -> Callable[[], None]:
    """A pass: `call` on each input. The loop is the same for every engine and costs about 20 ns a turn."""
    kept = list(inputs)

    def one_pass() -> None:
        for item in kept:
            call(item)

    return one_pass


def timer_overhead_ns(calls: int = 20_001) -> float:
    """What `single_calls` measures when nothing is called: the median of two adjacent readings."""
    clock = time.perf_counter_ns
    seen = []
    for _ in range(calls):
        start = clock()
        stop = clock()
        seen.append(stop - start)
    return median(seen)


def single_calls(
    call: Callable[[Any], object],
    inputs: Sequence[Any],
    count: int,
    before: Callable[[], object] | None = None,
) -> list[int]:
    """Time `count` single calls over `inputs` in turn: raw nanoseconds, timer overhead included.

    Freeing what the call returned is inside the timed part. `before` runs untimed ahead of each
    call (to empty the caches, for instance).
    """
    clock = time.perf_counter_ns
    seen: list[int] = []
    done = 0
    while done < count:
        for item in inputs:
            if before is not None:
                before()
            start = clock()
            call(item)
            stop = clock()
            seen.append(stop - start)
            done += 1
            if done == count:
                break
    return seen
