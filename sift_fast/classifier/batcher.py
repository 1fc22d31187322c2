"""`Batcher`: questions of many callers, answered together by a few threads, with a deadline and a bounded queue.

A caller puts an item in and gets a future. A thread takes what waits, up to `batch` items, waiting `linger_ms` for
more when there is little; so under load batches are full, and alone nobody waits long. What is cancelled before its
turn is not computed. A full queue makes callers wait until their deadline, and nobody else.
"""

from __future__ import annotations

import collections
import os
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, NamedTuple, TypeVar

from sift_fast.errors import StateUnavailable

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Load(NamedTuple):
    """What a batcher has done so far."""

    #: Items that wait now.
    waiting: int
    #: Batches that were computed, and the items in them.
    batches: int
    items: int
    #: Items that failed, that were cancelled before their turn, and that found no place in the queue in time.
    failed: int
    cancelled: int
    refused: int


class Batcher(Generic[Item, Answer]):
    """Runs `work` on batches of items on its own threads; shared by threads, made anew in a forked child.

    Args:
        work: answers a batch, one answer for each item, in order.
        threads: how many batches are computed at a time.
        batch: most items of a batch.
        queue: most items that wait.
        linger_ms: how long a batch that is not full waits for more.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Item]], Sequence[Answer]],
        *,
        threads: int = 1,
        batch: int = 8,
        queue: int = 256,
        linger_ms: float = 0.5,
    ) -> None:
        self._work = work
        self._threads = threads
        self._batch = batch
        self._most = queue
        self._linger = linger_ms / 1_000
        self._reset()
        # Threads do not live on in a forked child, and a lock may be held there by one that is gone.
        known = weakref.WeakMethod(self._reset)
        os.register_at_fork(after_in_child=lambda: _call(known))

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._filled = threading.Condition(self._lock)
        self._freed = threading.Condition(self._lock)
        self._queue: collections.deque[tuple[Item, Future[Answer]]] = collections.deque()
        self._closed = False
        self._started = False
        self._counts = dict.fromkeys(("batches", "items", "failed", "cancelled", "refused"), 0)

    def submit(self, item: Item, timeout_s: float) -> Future[Answer]:
        """Put an item in.

        Args:
            item: whatever `work` takes.
            timeout_s: how long to wait for a place in the queue.

        Returns:
            Its answer, or the exception of its batch. Cancelling it takes it out of the queue.

        Raises:
            StateUnavailable: the queue stayed full, or the batcher was closed.
        """
        future: Future[Answer] = Future()
        until = time.monotonic() + timeout_s
        with self._lock:
            while len(self._queue) >= self._most and not self._closed:
                if not self._freed.wait(until - time.monotonic()) and len(self._queue) >= self._most:
                    self._counts["refused"] += 1
                    raise StateUnavailable("the encoder has too many texts waiting")
            if self._closed:
                raise StateUnavailable("the encoder was closed")
            if not self._started:
                for number in range(self._threads):
                    threading.Thread(target=self._run, name=f"sift-encoder-{number}", daemon=True).start()
                self._started = True
            self._queue.append((item, future))
            self._filled.notify()
        return future

    @property
    def full(self) -> bool:
        """Whether the next item would have to wait for a place."""
        return len(self._queue) >= self._most

    @property
    def load(self) -> Load:
        """What it has done so far."""
        with self._lock:
            return Load(len(self._queue), **self._counts)

    def close(self) -> None:
        """End the threads; what waits fails with `StateUnavailable`."""
        with self._lock:
            self._closed = True
            left = list(self._queue)
            self._queue.clear()
            self._filled.notify_all()
            self._freed.notify_all()
        for _, future in left:
            if future.set_running_or_notify_cancel():
                future.set_exception(StateUnavailable("the encoder was closed"))

    def _take(self) -> list[tuple[Item, Future[Answer]]] | None:
        """The next batch; None when closed."""
        with self._lock:
            while not self._queue and not self._closed:
                self._filled.wait()
            if self._closed:
                return None
            until = time.monotonic() + self._linger
            while len(self._queue) < self._batch and not self._closed:
                if not self._filled.wait(max(0.0, until - time.monotonic())):
                    break
            taken: list[tuple[Item, Future[Answer]]] = []
            while self._queue and len(taken) < self._batch:
                item, future = self._queue.popleft()
                if future.set_running_or_notify_cancel():
                    taken.append((item, future))
                else:
                    self._counts["cancelled"] += 1
            self._freed.notify_all()
            return taken

    def _run(self) -> None:
        while (taken := self._take()) is not None:
            if not self._answer(taken):
                # What one caller sent must not take the answer from the others of its batch.
                for single in taken if len(taken) > 1 else ():
                    self._answer([single])

    def _answer(self, taken: list[tuple[Item, Future[Answer]]]) -> bool:
        """Answer a batch; False if it failed and its items are to be asked one by one."""
        if not taken:
            return True
        try:
            answers = list(self._work([item for item, _ in taken]))
            if len(answers) != len(taken):
                raise ValueError("one answer for each item")
        except BaseException as error:  # noqa: BLE001 -- handed to who asked; a thread must not die of it
            if len(taken) > 1:
                return False
            with self._lock:
                self._counts["failed"] += 1
            taken[0][1].set_exception(error)
            return True
        with self._lock:
            self._counts["batches"] += 1
            self._counts["items"] += len(taken)
        for (_, future), answer in zip(taken, answers, strict=True):
            future.set_result(answer)
        return True


def _call(known: weakref.WeakMethod[Callable[[], None]]) -> None:
    reset = known()
    if reset is not None:
        reset()
