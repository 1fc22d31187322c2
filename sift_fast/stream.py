"""Streams of pieces through a native `Stream`, without a piece too many."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable
from typing import Any

from sift_fast._core import Stream

__all__ = ["Stream", "redact_stream"]


async def redact_stream(stream: Stream, source: AsyncIterable[Any] | Iterable[Any]) -> AsyncIterator[Any]:
    """Feed a stream from a source and yield what is set free. See `Scanner.redact_stream`.

    Args:
        stream: a new stream; it is finished or aborted here.
        source: pieces, asynchronous or not.

    Yields:
        Pieces that are not empty.
    """
    # Left early for whatever reason, the stream is aborted: what it holds was never certain to be clean.
    with stream:
        if isinstance(source, AsyncIterable):
            try:
                async for piece in source:
                    if out := stream.feed(piece):
                        yield out
            finally:
                # An asynchronous generator that is left early would otherwise be closed whenever it is collected.
                close = getattr(source, "aclose", None)
                if close is not None:
                    await close()
        else:
            for piece in source:
                if out := stream.feed(piece):
                    yield out
        if out := stream.finish():
            yield out
