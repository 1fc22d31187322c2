"""Coroutines that wait for receipts: one descriptor wakes an event loop for all that a commit has made durable."""

from __future__ import annotations

import asyncio
import os
from itertools import count
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from sift_fast import _core
from sift_fast.errors import StateUnavailable

if TYPE_CHECKING:
    from sift_fast import Authorization

__all__ = ["MOST_SECONDS", "until_durable"]

#: Most seconds that `durable` waits for the disk; the kernel's own `log.wait_ms` may be less where it blocks.
MOST_SECONDS = 30.0


class _Waits:
    """Who waits in one event loop. It holds the loop by nothing but those who wait, so that both go together."""

    __slots__ = ("__weakref__", "_numbers", "_timed", "_waiting", "_waker")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._waker = _core._Waker()
        #: By number, and with it in the order of their time: the future, and when it is too late for it.
        self._waiting: dict[int, tuple[asyncio.Future[None], float]] = {}
        self._numbers = count()
        #: Whether the one timer for all runs. Its handle is not kept, since that would hold the loop.
        self._timed = False
        os.set_blocking(self._waker.fileno(), False)
        loop.add_reader(self._waker.fileno(), self._ready)

    async def until_durable(self, auth: Authorization) -> None:
        loop = asyncio.get_running_loop()
        number, future = next(self._numbers), loop.create_future()
        self._waiting[number] = (future, loop.time() + MOST_SECONDS)
        try:
            if self._waker.when(auth, number):
                if not self._timed:
                    self._timed = True
                    loop.call_later(MOST_SECONDS, self._expire, loop)
                await future
        finally:
            self._waiting.pop(number, None)

    def _ready(self) -> None:
        for number in self._waker.take():
            future, _ = self._waiting.get(number, (None, 0.0))
            if future is not None and not future.done():
                future.set_result(None)

    def _expire(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timed, now = False, loop.time()
        for future, until in self._waiting.values():
            if until > now:
                self._timed = True
                loop.call_at(until, self._expire, loop)
                return
            if not future.done():
                future.set_exception(StateUnavailable("the receipt was not durable in time; it may still become so"))


_LOOPS: WeakKeyDictionary[Any, _Waits] = WeakKeyDictionary()


async def until_durable(auth: Authorization) -> None:
    """Wait until a receipt is durable or lost.

    Args:
        auth: what the kernel answered.

    Raises:
        StateUnavailable: it took longer than `MOST_SECONDS`; the receipt may still become durable.
    """
    loop = asyncio.get_running_loop()
    waits = _LOOPS.get(loop)
    if waits is None:
        waits = _LOOPS[loop] = _Waits(loop)
    await waits.until_durable(auth)
