"""`Scanner`: the native scanner, and on top of it what needs a coroutine."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable
from typing import Any, TypeVar, overload

from sift_fast import _core
from sift_fast.redact import Operators
from sift_fast.stream import redact_stream
from sift_fast.types import BytesLike, Text

__all__ = ["Scanner"]

# Texts up to this many units are scanned in the event loop: 64 KiB take some 100 us, and handing them to a thread
# and back takes 50 to 100 us on an idle machine, more on a busy one.
_INLINE = 64 * 1024

_StrOrBytes = TypeVar("_StrOrBytes", str, bytes)


class Scanner(_core.Scanner):
    """Rules compiled once, for any number of texts and threads.

    Everything about a scanner is in the documentation of its arguments and methods; see `sift_fast._core.Scanner`.

    Example:
        >>> scanner = Scanner()
        >>> bool(scanner.scan("nothing to see here"))
        False
    """

    # `scan` and its siblings are native methods: a Python frame around them would cost as much as they do.
    __slots__ = ()

    async def scan_async(self, text: Text) -> _core.Findings:
        """Find everything in a text without keeping the event loop from other work.

        A text of up to 64 KiB is scanned at once, a longer one on a thread of the loop's default executor.
        Cancelling the task gives up waiting; the thread ends on its own.

        Args:
            text: as for `scan`. A mutable buffer is copied before anything else runs.

        Returns:
            As `scan`.

        Raises:
            LimitExceeded: the text is longer than `Limits.text_bytes`.
            TypeError: it is no text.

        Example:
            >>> import asyncio
            >>> len(asyncio.run(Scanner().scan_async("nothing to see here")))
            0
        """
        length = text.nbytes if isinstance(text, memoryview) else len(text)
        if length <= _INLINE:
            return self.scan(text)
        import asyncio

        # The thread may start after the caller has gone on and written to its buffer.
        if isinstance(text, bytearray) or (isinstance(text, memoryview) and not text.readonly):
            text = bytes(text)
        return await asyncio.to_thread(self.scan, text)

    @overload
    def redact_stream(
        self, source: AsyncIterable[str] | Iterable[str], operators: Operators | None = None, vault: None = None
    ) -> AsyncIterator[str]: ...
    @overload
    def redact_stream(
        self,
        source: AsyncIterable[BytesLike] | Iterable[BytesLike],
        operators: Operators | None = None,
        vault: None = None,
    ) -> AsyncIterator[bytes]: ...
    def redact_stream(
        self, source: AsyncIterable[Any] | Iterable[Any], operators: Operators | None = None, vault: None = None
    ) -> AsyncIterator[Any]:
        """Redact a text that arrives in pieces, such as a model's answer.

        The pieces that come out, joined, are `redact(the pieces that went in, joined).text`. What could still
        become a finding is held back until that is decided. When the consumer stops early, the task is cancelled
        or the source raises, what is held is discarded, never given out; an asynchronous source with an `aclose`
        is closed.

        Args:
            source: pieces, all `str` or all `bytes`; asynchronous or not.
            operators: as for `redact`.
            vault: must be None until there are vaults.

        Returns:
            An asynchronous iterator of pieces that are not empty.

        Raises:
            ConfigError: operators are not usable; raised by this call, not by the iteration.

        Example:
            >>> import asyncio
            >>> async def answer():
            ...     return [piece async for piece in Scanner().redact_stream(["clean ", "text"])]
            >>> "".join(asyncio.run(answer()))
            'clean text'
        """
        return redact_stream(self.stream(operators, vault), source)
