"""Coroutines that wait for receipts which never come, or come for nobody."""

from __future__ import annotations

import asyncio
import os
from types import SimpleNamespace

import pytest

import sift_fast as sf
from sift_fast import _waits


class Waker:
    """A kernel that says of nothing that it is durable, until it is told to."""

    def __init__(self):
        self.watched, self.bell = os.pipe()
        self.asked: list[int] = []
        self.told: list[int] = []

    def fileno(self):
        return self.watched

    def when(self, _auth, number):
        self.asked.append(number)
        return True

    def tell(self, *numbers):
        self.told += numbers
        os.write(self.bell, b"x")

    def take(self):
        os.read(self.watched, 16)
        told, self.told = self.told, []
        return told


@pytest.fixture
def waker(monkeypatch):
    one = Waker()
    monkeypatch.setattr(_waits, "_core", SimpleNamespace(_Waker=lambda: one))
    yield one
    os.close(one.watched)
    os.close(one.bell)


def test_a_receipt_that_does_not_come_in_time_is_an_error(waker, monkeypatch):
    monkeypatch.setattr(_waits, "MOST_SECONDS", 0.05)

    async def both():
        first = asyncio.ensure_future(_waits.until_durable(None))
        await asyncio.sleep(0.03)
        second = asyncio.ensure_future(_waits.until_durable(None))
        done = await asyncio.gather(first, second, return_exceptions=True)
        # The timer of those two has ended, and the next one has a timer, too.
        return [*done, *await asyncio.gather(_waits.until_durable(None), return_exceptions=True)]

    found = asyncio.run(both())
    assert [type(one) for one in found] == [sf.StateUnavailable] * 3
    assert waker.asked == [0, 1, 2]


def test_one_wake_serves_all_that_are_ready_and_no_other(waker):
    async def three():
        tasks = [asyncio.ensure_future(_waits.until_durable(None)) for _ in range(3)]
        await asyncio.sleep(0)
        waker.tell(2, 0, 7)
        await asyncio.sleep(0.01)
        early = [task.done() for task in tasks]
        waker.tell(1)
        await asyncio.gather(*tasks)
        return early

    assert asyncio.run(three()) == [True, False, True]
