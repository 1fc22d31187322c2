"""`Vault`: the native vault, and on top of it files, JSON and what needs a coroutine."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, Self, TypeVar, overload

from sift_fast import _core
from sift_fast._documents import restore_json
from sift_fast._pieces import through
from sift_fast.redact import _entity_types

if TYPE_CHECKING:
    import os

    from sift_fast.types import BytesLike, Text

__all__ = ["Vault"]

_Json = TypeVar("_Json")


class Vault(_core.Vault):
    """Values that were taken out of texts, under the placeholders that stand for them there.

    A placeholder is `<EMAIL_ADDRESS_1:b7kx2m>`: entity type, number of the value, tag of the vault. Numbers are given
    in text order, the same value gets the same number. Text that only looks like a placeholder is written so that
    `restore` does not take it for one, and comes back as it was: for text in which no value was too long,
    `vault.restore(scanner.redact(text, vault=vault).text, urls=True) == text`.

    For threads of one process: a forked child gets `StateUnavailable`, since both would give out the same numbers.

    Args:
        key: 32 random bytes, as `secrets.token_bytes(32)` gives. Seals the file.
        max_entries: most values it holds. A redaction that needs one more raises `LimitExceeded` and adds nothing.
        max_bytes: most bytes of values it holds.

    Raises:
        ConfigError: `key` is something else.

    Example:
        >>> import secrets
        >>> vault = Vault(secrets.token_bytes(32))
        >>> len(vault)
        0
    """

    __slots__ = ()

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], key: bytes, *, max_entries: int = 100_000, max_bytes: int = 64 << 20
    ) -> Self:
        """Read a vault that was saved.

        Args:
            path: the file that `save` wrote.
            key: the key of that vault.
            max_entries: as for a new one.
            max_bytes: as for a new one.

        Raises:
            ConfigError: `key` is not 32 bytes.
            LimitExceeded: the file holds more than it may.
            StateUnavailable: it cannot be read, is no vault, is sealed with another key, cut short or changed.
        """
        return cls(key, max_entries=max_entries, max_bytes=max_bytes, _path=path)

    @overload
    def restore(self, text: str, entities: str | Iterable[str] | None = None, *, urls: bool = False) -> str: ...
    @overload
    def restore(self, text: BytesLike, entities: str | Iterable[str] | None = None, *, urls: bool = False) -> bytes: ...
    def restore(self, text: Text, entities: str | Iterable[str] | None = None, *, urls: bool = False) -> Any:
        """Put values back in the place of this vault's placeholders.

        Any part of a redacted text will do, in any order. Placeholders of other vaults and numbers that were never
        given out stay as they are, as do those in web addresses: a value in an address leaves with the next click,
        or with none where images are shown.

        Args:
            text: `str`, or a binary type.
            entities: only these entity types; None for all. A vault knows of no rules, so a name that an entity type
                can have and no value here has restores nothing.
            urls: inside web addresses too.

        Returns:
            `str` for `str`, `bytes` for binary types. Values from binary texts that are no UTF-8 come back into
            binary texts only.

        Raises:
            ConfigError: one of `entities` cannot be an entity type.
            StateUnavailable: the process is a forked child.
            TypeError: it is no text.

        Example:
            >>> import secrets
            >>> vault = Vault(secrets.token_bytes(32))
            >>> vault.restore("nothing to restore")
            'nothing to restore'
        """
        return super().restore(text, _entity_types(entities), urls=urls)

    def restorer(self, entities: str | Iterable[str] | None = None, *, urls: bool = False) -> _core.Restorer:
        """Begin to restore a text that arrives in pieces.

        Args:
            entities: as for `restore`.
            urls: as for `restore`.

        Raises:
            ConfigError: as for `restore`.
            StateUnavailable: the process is a forked child.
        """
        return super().restorer(_entity_types(entities), urls=urls)

    def restore_json(self, value: _Json, entities: str | Iterable[str] | None = None, *, urls: bool = False) -> _Json:
        """Put values back into a JSON document and keep it one; the other way round of `Scanner.redact_json`.

        Args:
            value: JSON as `str` or a binary type, or containers.
            entities: as for `restore`.
            urls: as for `restore`.

        Raises:
            ConfigError: the text is no JSON, or as for `restore`.
            LimitExceeded: as for `Scanner.redact_json`.
            StateUnavailable: the process is a forked child.
            TypeError: there is something in it that JSON does not have.
        """
        # Once for all strings: an iterator has its names once.
        restore = partial(super().restore, entities=_entity_types(entities), urls=urls)
        return restore_json(restore, value, self.tag)  # type: ignore[no-any-return]

    @overload
    def restore_stream(
        self,
        source: AsyncIterable[str] | Iterable[str],
        entities: str | Iterable[str] | None = None,
        *,
        urls: bool = False,
    ) -> AsyncIterator[str]: ...
    @overload
    def restore_stream(
        self,
        source: AsyncIterable[BytesLike] | Iterable[BytesLike],
        entities: str | Iterable[str] | None = None,
        *,
        urls: bool = False,
    ) -> AsyncIterator[bytes]: ...
    def restore_stream(
        self,
        source: AsyncIterable[Any] | Iterable[Any],
        entities: str | Iterable[str] | None = None,
        *,
        urls: bool = False,
    ) -> AsyncIterator[Any]:
        """Restore a text that arrives in pieces, such as a model's answer.

        Args:
            source: pieces, all `str` or all `bytes`; asynchronous or not. A generator, and one with an `aclose`,
                is closed when the consumer stops early.
            entities: as for `restore`.
            urls: as for `restore`.

        Returns:
            An asynchronous iterator of pieces that are not empty.

        Raises:
            ConfigError: as for `restore`; raised by this call.
            StateUnavailable: the process is a forked child; raised by this call.
        """
        return through(self.restorer(entities, urls=urls), source)
