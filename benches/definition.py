"""Definitions: what is measured, on what, against whom, and why. One TOML file each."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from benches import HERE
from benches.corpora import NAMES
from benches.errors import BenchError

FOLDER = HERE / "definitions"


@dataclass(frozen=True)
class Definition:
    """One benchmark.

    `pairs` are the comparisons that are quoted: our engine first, the rival second. Everything that
    only one model understands is in `options`; `quick` overrides any field or option.
    """

    name: str
    model: str
    analysis: str
    engines: tuple[str, ...]
    corpora: tuple[str, ...] = NAMES
    piece_bytes: tuple[int, ...] = (4096,)
    sample_bytes: int = 1 << 20
    repeats: int = 11
    rules: tuple[str, ...] = ("secrets",)
    pairs: tuple[tuple[str, str], ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    quick: Mapping[str, Any] = field(default_factory=dict)

    def for_run(self, quick: bool, only_engines: Sequence[str]) -> Definition:
        """This definition with its `quick` overrides applied and the engines that were asked for."""
        chosen = self
        if quick:
            known = {item.name for item in fields(self)}
            direct = {key: _frozen(value) for key, value in self.quick.items() if key in known}
            options = {key: value for key, value in self.quick.items() if key not in known}
            chosen = replace(self, **direct, options={**self.options, **options})
        if only_engines:
            chosen = replace(chosen, engines=tuple(name for name in chosen.engines if name in only_engines))
        return chosen


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value


def load(path: Path) -> Definition:
    """Read one definition; an unknown or missing key is an error that names the file."""
    with path.open("rb") as file:
        table = tomllib.load(file)
    known = {item.name for item in fields(Definition)}
    unknown = sorted(set(table) - known)
    if unknown:
        raise BenchError(f"`{path.name}` has unknown keys: {', '.join(unknown)}")
    try:
        definition = Definition(**{key: _frozen(value) for key, value in table.items()})
    except TypeError as error:
        raise BenchError(f"`{path.name}` is incomplete: {error}") from error
    if definition.name != path.stem:
        raise BenchError(f"`{path.name}` calls itself `{definition.name}`; name and file must agree")
    return definition


def load_all(folder: Path = FOLDER) -> list[Definition]:
    """All definitions, by name."""
    return [load(path) for path in sorted(folder.glob("*.toml"))]


def select(definitions: Sequence[Definition], wanted: Sequence[str]) -> list[Definition]:
    """Those whose name matches one of `wanted` (shell patterns); all when nothing is wanted."""
    if not wanted:
        return list(definitions)
    chosen = []
    for pattern in wanted:
        matching = [item for item in definitions if fnmatch(item.name, pattern)]
        if not matching:
            names = ", ".join(item.name for item in definitions)
            raise BenchError(f"no benchmark is called `{pattern}`; there are {names}")
        chosen += [item for item in matching if item not in chosen]
    return chosen
