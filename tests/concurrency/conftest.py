"""A scanner and fake secrets for the tests of threads, processes and signals."""

from __future__ import annotations

import threading

import pytest

import sift_fast as sf
from sift_fast import _core


@pytest.fixture(scope="session")
def scanner() -> sf.Scanner:
    return sf.Scanner()


@pytest.fixture(scope="session")
def tokens() -> list[str]:
    """Fake GitHub tokens, the same in every run."""
    return _core.generate("secret.github.token", 7, 40, ["secrets"])


@pytest.fixture(scope="session")
def at_once():
    """Gives what `work(number)` returns in threads that start together."""

    def run_all(count, work):
        barrier = threading.Barrier(count)
        results = [None] * count

        def run(number):
            barrier.wait()
            results[number] = work(number)

        threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return results

    return run_all
