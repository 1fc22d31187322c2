"""Cases that users write for `sift-fast rules test`: a text, what must be found in it, what must not.

TOML, one `[[case]]` each, or JSON lines, one object a line, with the same keys. What is wrong with a case is told
by file, number, name, rule and place. The text is never part of a message: a case holds a secret.
"""

from __future__ import annotations

import json
import os
import stat
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sift_fast.errors import ConfigError

if TYPE_CHECKING:
    import sift_fast

KEYS = {"name", "text", "expect", "absent"}
EXPECTATION_KEYS = {"rule", "start", "end"}

#: Cases are written by hand; anything larger is a mistake.
MAX_BYTES = 16 << 20


@dataclass(frozen=True)
class Expectation:
    """A finding that must be there; without a span, anywhere."""

    rule: str
    start: int | None = None
    end: int | None = None

    def holds(self, rule: str, start: int, end: int) -> bool:
        """Whether a finding is this one."""
        return self.rule == rule and self.start in (None, start) and self.end in (None, end)

    def __str__(self) -> str:
        if self.start is None:
            return f"`{self.rule}`"
        return f"`{self.rule}` at {self.start} to {self.end}"


@dataclass(frozen=True)
class Case:
    """One case; `expect` is None when only `absent` is given, and then other findings are no fault."""

    file: str
    number: int
    name: str | None
    text: str
    expect: tuple[Expectation, ...] | None
    absent: tuple[str, ...]

    @property
    def place(self) -> str:
        """How messages name it."""
        return f"{self.file}: case {self.number}" + (f" ({self.name})" if self.name else "")


def is_cases(path: str) -> bool:
    """Whether a file holds cases and not rules: JSON lines, or TOML with `[[case]]`.

    Raises:
        ConfigError: it holds both.
        OSError: it cannot be read.
    """
    if path.endswith((".jsonl", ".ndjson")):
        return True
    try:
        table = tomllib.loads(_read(path))
    except tomllib.TOMLDecodeError:
        # The loader of rule documents says what is wrong, and in which line.
        return False
    if "case" in table and ("rule" in table or "family" in table):
        raise ConfigError(f"`{path}` holds rules and cases: put the cases in a file of their own")
    return "case" in table


def read(path: str) -> list[Case]:
    """The cases of a file.

    Raises:
        ConfigError: the file or a case is of another form, or there is no case in it.
        OSError: it cannot be read.
    """
    text = _read(path)
    if path.endswith((".jsonl", ".ndjson")):
        rows: list[Any] = []
        for line, content in enumerate(text.split("\n"), 1):
            if content.strip():
                try:
                    rows.append(json.loads(content))
                except (ValueError, RecursionError):
                    raise ConfigError(f"`{path}`: line {line} is not JSON") from None
    else:
        table = tomllib.loads(text)
        if set(table) != {"case"} or not isinstance(table["case"], list):
            raise ConfigError(f"`{path}` may hold `[[case]]` and nothing else")
        rows = table["case"]
    if not rows:
        raise ConfigError(f"`{path}` holds no case")
    return [_case(path, number, row) for number, row in enumerate(rows, 1)]


def _read(path: str) -> str:
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise ConfigError(f"`{path}` is not a regular file")
    if status.st_size > MAX_BYTES:
        raise ConfigError(f"`{path}` has more than {MAX_BYTES} bytes: split it")
    with open(path, "rb") as stream:
        data = stream.read()
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"`{path}` is not UTF-8 at byte {error.start}") from None


class _WrongCase(Exception):
    """Why a case is of another form: the rest of a sentence that begins with its number."""


def _case(path: str, number: int, row: object) -> Case:
    try:
        name, text, expect, absent = _fields(row)
        wanted = None if expect is None else tuple(_expectation(item, len(text)) for item in expect)
    except _WrongCase as error:
        raise ConfigError(f"`{path}`: case {number} {error}") from None
    return Case(path, number, name, text, wanted, absent)


def _fields(row: object) -> tuple[str | None, str, list[Any] | None, tuple[str, ...]]:
    """`name`, `text`, `expect` and `absent` of a case. Raises _WrongCase with the reason."""
    if not isinstance(row, Mapping):
        raise _WrongCase("is not a table of keys")
    unknown = sorted(set(row) - KEYS)
    if unknown:
        raise _WrongCase(f"has the unknown key `{unknown[0]}`: the keys are {', '.join(sorted(KEYS))}")
    name, text, expect, absent = row.get("name"), row.get("text"), row.get("expect"), row.get("absent", [])
    if not isinstance(text, str):
        raise _WrongCase("needs a `text`")
    if name is not None and not isinstance(name, str):
        raise _WrongCase("has a `name` that is no text")
    if not isinstance(absent, list) or not all(isinstance(rule, str) for rule in absent):
        raise _WrongCase("has an `absent` that is no list of rule ids")
    if expect is None and not absent:
        raise _WrongCase("needs `expect` (an empty list: nothing is found) or `absent`")
    if expect is not None and not isinstance(expect, list):
        raise _WrongCase("has an `expect` that is no list")
    return name, text, expect, tuple(absent)


def _expectation(item: object, length: int) -> Expectation:
    """One entry of `expect` for a text of `length` characters. Raises _WrongCase with the reason."""
    if isinstance(item, str):
        return Expectation(item)
    if not isinstance(item, Mapping) or not set(item) <= EXPECTATION_KEYS or not isinstance(item.get("rule"), str):
        raise _WrongCase("expects something that is neither a rule id nor `{ rule, start, end }`")
    if "start" not in item and "end" not in item:
        return Expectation(item["rule"])
    start, end = item.get("start"), item.get("end")
    # `type` and not `isinstance`: true is an int.
    if type(start) is not int or type(end) is not int or not 0 <= start < end <= length:
        raise _WrongCase("expects a span that is not in its text: `start` and `end` count characters from 0")
    return Expectation(item["rule"], start, end)


def resolve(scanner: sift_fast.Scanner, cases: Sequence[Case]) -> list[Case]:
    """The cases with present ids in the place of former ones.

    Raises:
        ConfigError: a case names a rule that is not among the scanner's, with what is known about it.
    """
    from sift_fast import _core

    withdrawn = {rule: (since, reason) for rule, since, reason in _core.withdrawn_rules()}

    def present(case: Case, rule: str) -> str:
        if rule in scanner.rules:
            return scanner.rules[rule].id
        if rule in withdrawn:
            since, reason = withdrawn[rule]
            raise ConfigError(f"{case.place} names `{rule}`, withdrawn in version {since} of the rules: {reason}")
        raise ConfigError(f"{case.place} names `{rule}`, which is no selected rule: see `sift-fast rules list`")

    return [
        Case(
            case.file,
            case.number,
            case.name,
            case.text,
            None
            if case.expect is None
            else tuple(Expectation(present(case, item.rule), item.start, item.end) for item in case.expect),
            tuple(present(case, rule) for rule in case.absent),
        )
        for case in cases
    ]


def faults(scanner: sift_fast.Scanner, case: Case) -> list[str]:
    """What is wrong with the answer for a case, in sentences without its text; empty when it passes."""
    found = scanner.scan(case.text)
    left = [(item.rule_id, item.start, item.end) for item in found]
    said = [f"the limit `{limit}` was hit" for limit in found.incomplete]
    said += [
        f"found `{rule}` at {start} to {end}, which must be absent" for rule, start, end in left if rule in case.absent
    ]
    # Those with a span choose first, so that one without does not take what another needs.
    for wanted in sorted(case.expect or (), key=lambda item: item.start is None):
        match = next((item for item in left if wanted.holds(*item)), None)
        if match is None:
            said.append(f"{wanted} is not found" + _because(scanner, case, wanted))
        else:
            left.remove(match)
    if case.expect is not None:
        said += [
            f"found `{rule}` at {start} to {end}, which is not expected"
            for rule, start, end in left
            if rule not in case.absent
        ]
    return said


def _because(scanner: sift_fast.Scanner, case: Case, wanted: Expectation) -> str:
    """What became of the rule's candidates in the text."""
    outcomes = [
        f"at {item.start} to {item.end} {item.outcome}" + (f" by {item.reason}" if item.reason else "")
        for item in scanner.explain(case.text)
        if item.rule_id == wanted.rule
    ]
    if not outcomes:
        return ": its pattern does not occur"
    # A text full of candidates would fill the screen.
    more = f" and {len(outcomes) - 3} more" if len(outcomes) > 3 else ""
    return f": its candidates are {', '.join(outcomes[:3])}{more}"
