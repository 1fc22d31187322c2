"""Public types: limits, words with a fixed meaning, and what the functions of this package accept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

from sift_fast.errors import ConfigError

__all__ = [
    "ArrowArray",
    "ArrowStream",
    "BytesLike",
    "Category",
    "EngineName",
    "IncompleteName",
    "Limits",
    "Outcome",
    "RuleSetName",
    "Severity",
    "Text",
    "Tier",
    "Unit",
    "ViewName",
]

Category: TypeAlias = Literal["secret", "pii", "injection", "leak", "content"]
Severity: TypeAlias = Literal["low", "medium", "high", "critical"]
Tier: TypeAlias = Literal["specific", "family", "generic"]
RuleSetName: TypeAlias = Literal["default", "injection", "leak", "secrets"]
EngineName: TypeAlias = Literal["hyperscan", "automata"]
Unit: TypeAlias = Literal["codepoint", "byte"]
ViewName: TypeAlias = Literal["identity", "folded"]
Outcome: TypeAlias = Literal["found", "dropped", "overlapped"]
IncompleteName: TypeAlias = Literal["findings", "finding_bytes", "time", "hits"]

BytesLike: TypeAlias = bytes | bytearray | memoryview
Text: TypeAlias = str | BytesLike


@runtime_checkable
class ArrowArray(Protocol):
    """What can export one Arrow array through the C data interface."""

    def __arrow_c_array__(self, requested_schema: Any = None) -> tuple[Any, Any]:
        """The schema and the array, each in a capsule."""
        ...


@runtime_checkable
class ArrowStream(Protocol):
    """What can export a stream of Arrow arrays, such as a chunked column."""

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """The stream in a capsule."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds on one scan. A limit that is hit is named in `incomplete`, or an error; it is never silent.

    Args:
        findings: most findings a scan reports.
        finding_bytes: most bytes one finding reports. An edit covers all of it all the same, to its end.
        text_bytes: most bytes of one text; a longer one raises `LimitExceeded`. At most 4 GiB - 1.
        time_ms: milliseconds one scan may take, None for no bound. Redaction raises `LimitExceeded` instead
            of giving out a text that was read in part; streams have no clock.

    Raises:
        ConfigError: a bound is not a positive integer.

    Example:
        >>> Limits(text_bytes=1_000_000, time_ms=50)
        Limits(findings=100000, finding_bytes=16384, text_bytes=1000000, time_ms=50)
    """

    findings: int = 100_000
    finding_bytes: int = 16 * 1024
    text_bytes: int = 2**32 - 1
    time_ms: int | None = None

    def __post_init__(self) -> None:
        for name in ("findings", "finding_bytes", "text_bytes", "time_ms"):
            value = getattr(self, name)
            if value is None and name == "time_ms":
                continue
            # `True` is an integer to Python and a mistake here.
            if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value < 2**63:
                raise ConfigError(f"`{name}` of the limits must be a positive integer")
        if self.text_bytes >= 2**32:
            raise ConfigError("`text_bytes` of the limits must be below 4 GiB: the engine counts in 32 bits")
