"""Texts that come in pieces, asynchronous or not, on their way through what holds back some of them."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Generator, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

__all__ = ["Reader", "through"]


class Reader(Protocol):
    """What takes pieces and gives out what has become certain."""

    def feed(self, piece: Any, /) -> Any:
        """Take the next piece."""

    def finish(self) -> Any:
        """End the text and give out the rest."""


async def through(
    reader: Reader,
    source: AsyncIterable[Any] | Iterable[Any],
    held: AbstractContextManager[Any] | None = None,
) -> AsyncIterator[Any]:
    """Feed a reader with the pieces of a source and give out what is not empty of what comes back.

    Args:
        reader: a stream of a scanner, a restorer of a vault.
        source: its pieces. A generator, and one with an `aclose`, is closed however it is left.
        held: is entered for as long as pieces may come, such as a stream that is aborted when it is left early.
    """
    with nullcontext() if held is None else held:
        try:
            if isinstance(source, AsyncIterable):
                async for piece in source:
                    if out := reader.feed(piece):
                        yield out
            else:
                for piece in source:
                    if out := reader.feed(piece):
                        yield out
        finally:
            # A generator that is left early would otherwise be closed whenever it is collected. Not everything with
            # a `close`: an open file is its owner's.
            if isinstance(source, Generator):
                source.close()
            elif isinstance(source, AsyncIterable) and (close := getattr(source, "aclose", None)) is not None:
                await close()
        if out := reader.finish():
            yield out
