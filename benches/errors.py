"""What can go wrong in a benchmark run, as exceptions the command line turns into one sentence."""

from __future__ import annotations


class BenchError(Exception):
    """The run cannot go on, or its result cannot be trusted."""


class EngineMissing(BenchError):
    """A rival is not installed: it is left out and the tables say so."""


class WrongCount(BenchError):
    """An engine of ours found another number of findings than expected: its time means nothing."""
