"""`Scanner`: the native scanner, and on top of it what needs a coroutine."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable
from typing import TYPE_CHECKING, Any, Literal, NoReturn, SupportsIndex, TypeVar, overload

from sift_fast import _core
from sift_fast._documents import redact_json
from sift_fast._pieces import through

if TYPE_CHECKING:
    from sift_fast.redact import JsonRedaction, Operators
    from sift_fast.types import BytesLike, Text

__all__ = ["Scanner"]

_Json = TypeVar("_Json")

# Texts up to this many units are scanned in the event loop: 64 KiB take some 100 us, and handing them to a thread
# and back takes 50 to 100 us on an idle machine, more on a busy one.
_INLINE = 64 * 1024


class Scanner(_core.Scanner):
    """Rules compiled once, for any number of texts, from any thread, before and after a fork.

    Args:
        rules: names of rule sets, or one name. `default` is `secrets`, `injection` and `leak`; personal data is
            found only when asked for: `pii` for what is sure anywhere (addresses, cards), `pii-us` and other regions
            for that and what is a region's own, `pii-all`. `sift_fast.types.RuleSetName` has all names.
        rule_files: paths of TOML documents with rules of your own; compiled here, then cached for the user.
        entities: only these entity types; None for all.
        exclude: entity types and rule ids that are not looked for.
        min_score: findings below are dropped, 0 to 1.
        decode: True, the default, reads what is written in base64, hex, escapes, invisible or look-alike characters
            as well, and for injection rules spaced letters and digits for letters; False does not; names of encodings
            (`sift_fast.types.EncodingName`) choose: `"reversed"` and `"rot13"` are read only when they are named. What
            is inside counts too: gzip inside base64 needs `"base64"` and `"gzip"`.
        allow_list: values, `str` or `bytes`, that are never findings.
        limits: bounds on one scan; None for `Limits()`.
        engine: `"hyperscan"` or `"automata"` to insist on one; None for the best there is.

    Raises:
        RuleError: a rule set or a rule document is wrong.
        ConfigError: an argument is wrong; a misspelt entity type is, for it would find nothing.

    Example:
        >>> scanner = Scanner(["default", "pii"], min_score=0.5)
        >>> bool(scanner.scan("nothing to see here"))
        False
        >>> scanner.redact("write to ann@acme.com").text
        'write to <EMAIL_ADDRESS>'
    """

    # `scan` and its siblings are native methods: a Python frame around them would cost as much as they do.
    __slots__ = ()

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> NoReturn:
        # Also of `scanner.scan`, which takes its scanner along.
        raise TypeError(
            "a Scanner cannot be pickled: make one in each process, in milliseconds, or before a fork, which keeps it"
        )

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
        if isinstance(text, (str, bytes, bytearray)):
            length = len(text)
        else:
            # What is no text either is told so by `scan`.
            length = getattr(text, "nbytes", 0)
        if length <= _INLINE:
            return self.scan(text)
        import asyncio

        # The thread may start after the caller has gone on and written to its buffer.
        if isinstance(text, bytearray) or (isinstance(text, memoryview) and not text.readonly):
            text = bytes(text)
        return await asyncio.to_thread(self.scan, text)

    def redact_json(
        self,
        value: _Json,
        operators: Operators | None = None,
        vault: _core.Vault | None = None,
        *,
        numbers: Literal["zero", "text"] = "zero",
        min_score: float = 0.5,
    ) -> JsonRedaction[_Json]:
        """Redact a JSON document, text or Python containers, and keep it one.

        Each string is redacted by itself, with the key that names it as context: `{"password": "..."}` is found as
        `password = ...` would be. Strings that hold JSON, as the arguments of a tool call do, are walked as well. In
        text everything that is not edited stays as it is written. Keys are redacted like strings; two that become
        one get a number. Containers come back as dicts, lists and tuples, without classes of their own.

        Args:
            value: JSON as `str` or a binary type, or dicts, lists, tuples, strings, numbers, booleans and None.
            operators: as for `redact`.
            vault: as for `redact`.
            numbers: what a number becomes that something is found in: 0, or the text that the operator gives,
                which is no number.
            min_score: as for `redact`.

        Returns:
            The document, and what was edited.

        Raises:
            ConfigError: the text is no JSON, or as for `redact`.
            LimitExceeded: more than 200 containers in one another, JSON in strings more than 8 deep, or as for
                `redact`.
            TypeError: there is something in it that JSON does not have.

        Example:
            >>> Scanner().redact_json('{"clean": [1.50, true]}').value
            '{"clean": [1.50, true]}'
        """
        return redact_json(self, value, operators, vault, numbers=numbers, min_score=min_score)

    @overload
    def redact_stream(
        self,
        source: AsyncIterable[str] | Iterable[str],
        operators: Operators | None = None,
        vault: _core.Vault | None = None,
        *,
        min_score: float = 0.5,
    ) -> AsyncIterator[str]: ...
    @overload
    def redact_stream(
        self,
        source: AsyncIterable[BytesLike] | Iterable[BytesLike],
        operators: Operators | None = None,
        vault: _core.Vault | None = None,
        *,
        min_score: float = 0.5,
    ) -> AsyncIterator[bytes]: ...
    def redact_stream(
        self,
        source: AsyncIterable[Any] | Iterable[Any],
        operators: Operators | None = None,
        vault: _core.Vault | None = None,
        *,
        min_score: float = 0.5,
    ) -> AsyncIterator[Any]:
        """Redact a text that arrives in pieces, such as a model's answer.

        The pieces that come out, joined, are `redact(the pieces that went in, joined).text`. What could still
        become a finding is held back until that is decided. When the consumer stops early, the task is cancelled
        or the source raises, what is held is discarded, never given out; a generator, and an asynchronous source
        with an `aclose`, is closed.

        Args:
            source: pieces, all `str` or all `bytes`; asynchronous or not.
            operators: as for `redact`.
            vault: as for `redact`.
            min_score: as for `redact`.

        Returns:
            An asynchronous iterator of pieces that are not empty.

        Raises:
            ConfigError: operators or `min_score` are not usable; raised by this call, not by the iteration.

        Example:
            >>> import asyncio
            >>> async def answer():
            ...     return [piece async for piece in Scanner().redact_stream(["clean ", "text"])]
            >>> "".join(asyncio.run(answer()))
            'clean text'
        """
        # Left early for whatever reason, the stream is aborted: what it holds was never certain to be clean.
        stream = self.stream(operators, vault, min_score=min_score)
        return through(stream, source, stream)
