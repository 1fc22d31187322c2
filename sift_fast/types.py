"""Public types: limits, words with a fixed meaning, and what the functions of this package accept."""

from __future__ import annotations

from typing import Any, Literal, Protocol, TypeAlias, final

__all__ = [
    "ArrowArray",
    "ArrowStream",
    "BytesLike",
    "Category",
    "EncodingName",
    "EngineName",
    "IncompleteName",
    "Limits",
    "Outcome",
    "RuleSetName",
    "Severity",
    "Text",
    "Tier",
    "Unit",
    "Value",
    "ViewName",
]

Category: TypeAlias = Literal["secret", "pii", "injection", "leak", "content"]
Severity: TypeAlias = Literal["low", "medium", "high", "critical"]
Tier: TypeAlias = Literal["specific", "family", "generic"]
RuleSetName: TypeAlias = Literal[
    "default",
    "injection",
    "leak",
    "pii",
    "pii-all",
    "pii-au",
    "pii-be",
    "pii-br",
    "pii-ca",
    "pii-cn",
    "pii-de",
    "pii-es",
    "pii-fi",
    "pii-fr",
    "pii-gb",
    "pii-il",
    "pii-in",
    "pii-it",
    "pii-jp",
    "pii-kr",
    "pii-ng",
    "pii-nl",
    "pii-nz",
    "pii-ph",
    "pii-pl",
    "pii-se",
    "pii-sg",
    "pii-th",
    "pii-tr",
    "pii-us",
    "pii-za",
    "secrets",
]
EngineName: TypeAlias = Literal["hyperscan", "automata"]
Unit: TypeAlias = Literal["codepoint", "byte"]
ViewName: TypeAlias = Literal["identity", "folded"]
Outcome: TypeAlias = Literal["found", "dropped", "overlapped"]
IncompleteName: TypeAlias = Literal["findings", "finding_bytes", "time", "hits", "decode", "decode_bytes"]
EncodingName: TypeAlias = Literal[
    "base64",
    "hex",
    "utf16",
    "gzip",
    "zlib",
    "percent",
    "entity",
    "escape",
    "tag",
    "selector",
    "invisible",
    "styled",
    "lookalike",
    "spaced",
    "leet",
    "reversed",
    "rot13",
]

BytesLike: TypeAlias = bytes | bytearray | memoryview
Text: TypeAlias = str | BytesLike


class ArrowArray(Protocol):
    """What can export one Arrow array through the C data interface."""

    def __arrow_c_array__(self, requested_schema: Any = None) -> tuple[Any, Any]:
        """The schema and the array, each in a capsule."""
        ...


class ArrowStream(Protocol):
    """What can export a stream of Arrow arrays, such as a chunked column."""

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """The stream in a capsule."""
        ...


class Value:
    """A frozen record: set once, equal by its fields.

    What `dataclasses` would make, without the 10 ms that importing it costs.
    """

    __slots__: tuple[str, ...] = ()

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"`{name}` cannot be set: a {type(self).__name__} does not change")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"`{name}` cannot be deleted: a {type(self).__name__} does not change")

    def _fields(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in self.__slots__)

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self._fields() == other._fields()

    def __hash__(self) -> int:
        return hash((type(self), self._fields()))

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__slots__)
        return f"{type(self).__name__}({fields})"

    def __getstate__(self) -> tuple[Any, ...]:
        return self._fields()

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        for name, value in zip(self.__slots__, state, strict=True):
            object.__setattr__(self, name, value)


@final
class Limits(Value):
    """Bounds on one scan. A limit that is hit is named in `incomplete`, or is an error; it is never silent.

    They are checked where they are used: `Scanner` raises `ConfigError` for one that is no positive integer.

    Args:
        findings: most findings a scan or a stream reports. A stream edits all others too; `Scanner.redact` edits
            and reports everything, whatever stands here.
        finding_bytes: most bytes one finding reports. An edit covers all of it all the same, to its end.
        text_bytes: most bytes of one text; a longer one raises `LimitExceeded`. Below 4 GiB. Not for streams,
            which keep only what is undecided and may go on for ever.
        time_ms: milliseconds one scan may take, None for no bound. Redaction raises `LimitExceeded` instead
            of giving out a text that was read in part. Not for streams, which have no clock.

    Example:
        >>> Limits(text_bytes=1_000_000, time_ms=50)
        Limits(findings=100000, finding_bytes=16384, text_bytes=1000000, time_ms=50)
    """

    __slots__ = ("findings", "finding_bytes", "text_bytes", "time_ms")  # noqa: RUF023 -- the order of `repr`

    findings: int
    finding_bytes: int
    text_bytes: int
    time_ms: int | None

    def __init__(
        self,
        *,
        findings: int = 100_000,
        finding_bytes: int = 16 * 1024,
        text_bytes: int = 2**32 - 1,
        time_ms: int | None = None,
    ) -> None:
        object.__setattr__(self, "findings", findings)
        object.__setattr__(self, "finding_bytes", finding_bytes)
        object.__setattr__(self, "text_bytes", text_bytes)
        object.__setattr__(self, "time_ms", time_ms)
