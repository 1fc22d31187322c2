"""Scanners and fake secrets for the unit tests. Compiled once: a scanner does not change."""

from __future__ import annotations

import asyncio
import itertools
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import settings

import sift_fast as sf
from sift_fast import _core
from sift_fast.cli.app import cli

# No deadline: the first example of a scanner pays for what is built lazily, and machines are busy.
settings.register_profile("default", deadline=None, max_examples=150, derandomize=True)
settings.load_profile("default")


@pytest.fixture
def cancel_with_result() -> Callable[[asyncio.Task[object], int], None]:
    """Cancels a task of the running loop in the moment in which it gets what it waits for from outside, the n-th time.

    From a thread, or from a descriptor that the loop watches.

    `asyncio.wait_for` of Python 3.11 loses such a cancellation.
    """

    def arm(task: asyncio.Task[object], nth: int) -> None:
        loop = asyncio.get_running_loop()
        post, watch = loop.call_soon_threadsafe, loop.add_reader
        count = itertools.count(1)

        def both(call, *args, **more):
            if next(count) != nth:
                return post(call, *args, **more)
            return post(lambda: (call(*args), task.cancel()), **more)

        def read(call, *args):
            call(*args)
            if next(count) == nth:
                task.cancel()

        loop.call_soon_threadsafe = both
        loop.add_reader = lambda descriptor, *call: watch(descriptor, read, *call)

    return arm


@pytest.fixture(scope="session")
def scanner() -> sf.Scanner:
    return sf.Scanner()


@pytest.fixture(scope="session")
def tokens() -> list[str]:
    """Fake GitHub tokens, the same in every run."""
    return _core.generate("secret.github.token", 7, 40, ["secrets"])


@pytest.fixture(scope="session")
def token(tokens) -> str:
    return tokens[0]


@pytest.fixture
def own_rules(tmp_path):
    """A rule document with one rule, as a user would write it."""
    path = tmp_path / "own.toml"
    path.write_text(
        "[[rule]]\n"
        'id = "secret.acme.key"\n'
        'title = "Acme key"\n'
        'entity = "ACME_KEY"\n'
        'severity = "high"\n'
        "score = 0.9\n"
        "format = '\"acmekey_\" + 24 lower'\n"
        "pattern = '''\\b(acmekey_[a-z]{24})\\b'''\n"
        "examples = ['the key {secret} is ours']\n"
        "negatives = ['acmekey_short']\n",
        encoding="utf-8",
    )
    return path


@pytest.fixture(scope="module")
def on_the_path():
    """`import benches`. Last on the path, so that the installed wheel is what is measured and not the source folder."""
    root = str(Path(__file__).parents[2])
    sys.path.append(root)
    yield
    sys.path.remove(root)


@pytest.fixture(scope="session")
def write_governance():
    """Makes a governance folder as `sift-fast init` writes it, its restart rule as short as can be."""

    def write(folder: Path) -> Path:
        result = CliRunner().invoke(cli, ["init", str(folder), "--template", "support"])
        assert result.exit_code == 0, result.output
        budgets = folder / "budgets.toml"
        # One kernel serves many tests, faster than thirty mails a minute.
        budgets.write_text(budgets.read_text().replace("limit = 30\n", "limit = 60_000\n"))
        return folder

    return write
