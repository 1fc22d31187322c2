"""What every engine looks like to the models: one way to scan, to count, to stream."""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from benches.errors import EngineMissing


def identity(texts: Sequence[str]) -> list[Any]:
    """Inputs as they are."""
    return list(texts)


@dataclass(frozen=True)
class Runner:
    """One engine, built and ready.

    `scan` is the engine's own function, not a wrapper: what is timed is what its user calls.
    `count` and `read` take what `scan` returned; `read` looks at the rule, start and end of every
    finding, as a caller that acts on findings does.
    """

    name: str
    version: str
    settings: str
    scan: Callable[[Any], Any]
    count: Callable[[Any], int]
    read: Callable[[Any], int]
    prepare: Callable[[Sequence[str]], list[Any]] = identity
    #: Scans many texts on `threads` threads and returns the number of findings.
    batch: Callable[[Sequence[str], int], int] | None = None
    #: Gives back the text without what was found in it, as its users redact.
    redact: Callable[[str], str] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    def as_record(self) -> dict[str, Any]:
        """What a record says about the engine."""
        return {"version": self.version, "settings": self.settings, "facts": dict(self.facts)}

    def total(self, inputs: Sequence[Any]) -> int:
        """Findings in all `inputs`."""
        return sum(self.count(self.scan(item)) for item in inputs)


class StreamEngine(Protocol):
    """A filter that reads pieces and gives out pieces."""

    name: str
    version: str
    settings: str
    #: True when the pieces given out add up to the whole text; False when a consumer of pieces
    #: never gets the held tail (it is told in another event).
    complete: bool

    def covers(self, kind: str) -> bool:
        """Whether the engine has a rule for this kind of datum, built in or given in the definition."""
        ...

    def whole(self, kind: str, text: str) -> str:
        """The engine's own answer for the text in one piece."""
        ...

    def run(self, kind: str, chunks: Sequence[str]) -> list[str]:
        """Feed `chunks` into a new stream; what came out after each, and after the end."""
        ...

    def feeder(self, kind: str) -> Callable[[str], Callable[[], int]]:
        """A new stream as a function that prepares one piece and returns the call to time.

        The returned call feeds the piece and returns the number of characters given out.
        """
        ...


def require(module: str, package: str) -> Any:
    """Import a rival, or say what to install."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise EngineMissing(f"`{module}` cannot be imported ({error}); pip install {package}") from error


def version_of(package: str) -> str:
    """The installed version of a distribution."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
