"""What a model gets besides its definition: texts, expected counts, and a place to say where it is."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from benches import fakes, synthetic
from benches.corpora import Corpora, Pieces
from benches.definition import Definition
from benches.engines import open_runner, open_stream
from benches.engines.base import Runner, StreamEngine
from benches.errors import BenchError, EngineMissing, WrongCount
from benches.expected import Expected

Found = TypeVar("Found", Runner, StreamEngine)


@dataclass
class Context:
    """One run of the command line."""

    corpora: Corpora
    expected: Expected
    quick: bool
    say: Callable[[str], None]
    missing: dict[str, str] = field(default_factory=dict)
    _runners: dict[tuple[str, tuple[str, ...]], Runner] = field(default_factory=dict)

    def runners(self, definition: Definition) -> dict[str, Runner]:
        """The engines of a definition that are installed; the others are noted in `missing`."""
        found: dict[str, Runner] = {}
        for name in definition.engines:
            key = (name, definition.rules)
            try:
                if key not in self._runners:
                    self._runners[key] = open_runner(name, definition.rules)
                found[name] = self._runners[key]
            except EngineMissing as error:
                self._miss(name, error)
        return _some(found, definition)

    def streams(self, definition: Definition) -> dict[str, StreamEngine]:
        """The same for stream engines."""
        found: dict[str, StreamEngine] = {}
        for name in definition.engines:
            try:
                found[name] = open_stream(name, definition.rules)
            except EngineMissing as error:
                self._miss(name, error)
        return _some(found, definition)

    def _miss(self, name: str, error: EngineMissing) -> None:
        if name not in self.missing:
            self.missing[name] = str(error)
            self.say(f"{name} is left out: {error}")

    def check_counts(
        self, runners: dict[str, Runner], definition: Definition, pieces: Pieces
    ) -> dict[str, dict[str, object]]:
        """Count every engine's findings once; ours must be the expected ones."""
        counted: dict[str, dict[str, object]] = {}
        for name, runner in runners.items():
            count = runner.total(runner.prepare(pieces.texts))
            counted[name] = {"count": count}
            rules = {
                "sift_fast": definition.rules,
                "sift_fast_decoding": definition.rules,
                "sift_fast_default": ("default",),
                "sift_fast_pii": (*definition.rules, "pii"),
                "sift_fast_shared": definition.rules,
                "sift_fast_presidio": ("pii-all",),
            }.get(name)
            if rules is None and name.startswith("sift_fast"):
                raise BenchError(f"`{definition.name}`: nobody would check what {name} finds")
            if rules is not None:
                _find_canaries(runner, rules, pieces)
                facts = runner.facts
                counted[name]["expected"] = self.expected.check(
                    pieces, rules, count, str(facts["hash"]), facts["entities"], decode=bool(facts["decode"])
                )
        return counted


#: Words before the planted value of a canary that is as long as a piece.
_FILLER = 4096


def _find_canaries(runner: Runner, rules: Sequence[str], pieces: Pieces) -> None:
    """Real text may hold no finding at all, and then an engine that finds nothing, or only near the beginning of a
    text, would pass: planted data has to be found in short texts, and at the end of one as long as a piece.
    """
    source = random.Random(3)
    # A choice of entities leaves out most secrets; what every scanner of personal data finds is always among them.
    personal = runner.facts["entities"] or set(rules) <= set(fakes.PERSONAL_SETS)
    kinds = [] if personal else list(fakes.SECRETS)
    if not set(rules).isdisjoint(fakes.PERSONAL_SETS):
        kinds += fakes.PERSONAL
    values = [fakes.make(kind, source).value for kind in kinds]
    canaries = [f"{synthetic.filler(source, 60)} {value} {synthetic.filler(source, 60)}" for value in values]
    words = synthetic.filler(source, _FILLER)
    for value in values:
        before = pieces.piece_bytes - len(value) - 1
        canaries.append(f"{(words * (before // _FILLER + 1))[: max(before, 0)]} {value}")
    if runner.total(runner.prepare(canaries)) != len(canaries):
        raise WrongCount(f"{runner.name} misses planted data: its times mean nothing")


def _some(found: dict[str, Found], definition: Definition) -> dict[str, Found]:
    if not found:
        raise BenchError(f"`{definition.name}`: none of its engines ({', '.join(definition.engines)}) can run")
    return found


def engine_records(runners: Iterable[Runner | StreamEngine]) -> dict[str, dict[str, object]]:
    """Versions and settings, for the record."""
    records: dict[str, dict[str, object]] = {}
    for runner in runners:
        if isinstance(runner, Runner):
            records[runner.name] = runner.as_record()
        else:
            records[runner.name] = {"version": runner.version, "settings": runner.settings}
    return records
