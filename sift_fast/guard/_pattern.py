"""Regular expressions of schemas, searched in one step a character: what an attacker sends cannot hold them up.

`re` goes back and tries again, and `^(a+)+$` takes it seconds for thirty characters. Here all ways that an expression
can go are followed at once, after Thompson (Communications of the ACM 11(6), 1968); where one way or the other led to
is remembered, so that most characters cost one look-up. What needs more than that (look-around, references to a group)
is refused when the configuration is read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

# No public module parses an expression.
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any, TypeAlias

from sift_fast.errors import LimitExceeded

__all__ = ["Pattern"]

#: Places that an expression may have; `{n,m}` counts as often as it repeats.
_MOST_NODES = 10_000
#: Steps to new places that one search may take, each some tenths of a microsecond.
_MOST_STEPS = 200_000
#: Characters and where they lead that are remembered.
_MOST_KNOWN = 10_000

_Test: TypeAlias = Callable[[str], bool]

_CATEGORIES: dict[str, _Test] = {
    "CATEGORY_DIGIT": str.isdecimal,
    "CATEGORY_NOT_DIGIT": lambda one: not one.isdecimal(),
    "CATEGORY_SPACE": str.isspace,
    "CATEGORY_NOT_SPACE": lambda one: not one.isspace(),
    "CATEGORY_WORD": lambda one: one == "_" or one.isalnum(),
    "CATEGORY_NOT_WORD": lambda one: one != "_" and not one.isalnum(),
}


class _State:
    """Places where an expression may be at once."""

    __slots__ = ("ends", "matches", "nodes", "to")

    def __init__(self, nodes: frozenset[int], *, matches: bool, ends: bool) -> None:
        self.nodes = nodes
        #: Whether a match ends here, and whether one does if the text does.
        self.matches = matches
        self.ends = ends
        self.to: dict[str, _State] = {}


class Pattern:
    r"""An expression to search for, with what `re` has but look-around, references, boundaries of words and flags.

    Args:
        pattern: the expression, as `re` reads it.

    Raises:
        TypeError: it is no string.
        ValueError: it is none, or holds what is not supported.

    Example:
        >>> Pattern(r"^[a-z]+(-[a-z]+)*\Z").found("one-two")
        True
    """

    def __init__(self, pattern: str) -> None:
        try:
            tree = parser.parse(pattern)
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError("it is no regular expression") from error
        if tree.state.flags & ~re.UNICODE:
            raise ValueError("flags within an expression are not supported")
        #: For each place: the test of a character and the place behind it, or what leads on without one.
        self._tests: list[_Test | None] = []
        self._next: list[tuple[int, ...]] = []
        #: Places that are passed at the beginning or the end of a text only.
        self._only: dict[int, str] = {}
        self._match = self._add(None, ())
        first = self._build(tree, self._match)
        self._begin = self._closure([first], begin=True)
        #: A match may begin anywhere.
        self._again = self._closure([first])
        self._behind = [self._closure(follow) if test else frozenset() for test, follow in self._places()]
        self._states: dict[frozenset[int], _State] = {}
        self._known = 0

    def found(self, text: str) -> bool:
        """Whether it matches anywhere in a text.

        Raises:
            LimitExceeded: it would take too long.
        """
        if not text:
            return self._match in self._closure(self._begin, begin=True, end=True)
        state, steps = self._state(self._begin), 0
        for one in text:
            if state.matches:
                return True
            follows = state.to.get(one)
            if follows is None:
                steps += len(state.nodes) + 1
                if steps > _MOST_STEPS:
                    raise LimitExceeded("a text is too long for the `pattern` of a schema")
                follows = self._step(state, one)
            state = follows
        return state.matches or state.ends

    def _step(self, state: _State, one: str) -> _State:
        nodes = set(self._again)
        for node in state.nodes:
            test = self._tests[node]
            if test is not None and test(one):
                nodes |= self._behind[node]
        if self._known >= _MOST_KNOWN:
            # Others may search meanwhile: they go on with what they hold.
            self._states, self._known = {}, 0
        self._known += 1
        follows = state.to[one] = self._state(frozenset(nodes))
        return follows

    def _state(self, nodes: frozenset[int]) -> _State:
        state = self._states.get(nodes)
        if state is None:
            ends = self._match in self._closure(nodes, end=True)
            state = self._states[nodes] = _State(nodes, matches=self._match in nodes, ends=ends)
        return state

    # --- building --------------------------------------------------------------------------------------------------

    def _places(self) -> Iterator[tuple[_Test | None, tuple[int, ...]]]:
        return zip(self._tests, self._next, strict=True)

    def _add(self, test: _Test | None, follow: tuple[int, ...]) -> int:
        if len(self._tests) >= _MOST_NODES:
            raise ValueError(f"it has more than {_MOST_NODES} places, those of repetitions counted as often")
        self._tests.append(test)
        self._next.append(follow)
        return len(self._tests) - 1

    def _closure(self, nodes: Iterable[int], *, begin: bool = False, end: bool = False) -> frozenset[int]:
        """Places that are reached without a character."""
        reached, waiting = set[int](), list(nodes)
        while waiting:
            node = waiting.pop()
            if node in reached:
                continue
            reached.add(node)
            only = self._only.get(node)
            if self._tests[node] is None and (only is None or (begin if only == "begin" else end)):
                waiting += self._next[node]
        return frozenset(reached)

    def _build(self, items: Any, follow: int) -> int:
        """The place where a sequence begins that leads to another place."""
        for code, value in reversed(list(items)):
            follow = self._item(str(code), value, follow)
        return follow

    def _item(self, code: str, value: Any, follow: int) -> int:
        if code == "SUBPATTERN":
            _, added, removed, inner = value
            if added or removed:
                raise ValueError("flags within an expression are not supported")
            return self._build(inner, follow)
        if code == "BRANCH":
            return self._add(None, tuple(self._build(inner, follow) for inner in value[1]))
        if code in {"MAX_REPEAT", "MIN_REPEAT"}:
            least, most, inner = value
            return self._repeat(least, most, inner, follow)
        if code == "AT":
            where = {"AT_BEGINNING": "begin", "AT_BEGINNING_STRING": "begin", "AT_END_STRING": "end"}.get(str(value))
            if where is None:
                raise ValueError("boundaries of words are not supported")
            node = self._add(None, (follow,))
            self._only[node] = where
            return node
        return self._add(_test(code, value), (follow,))

    def _repeat(self, least: int, most: Any, inner: Any, follow: int) -> int:
        node = follow
        if most == parser.MAXREPEAT:
            node = self._add(None, ())
            self._next[node] = (self._build(inner, node), follow)
        else:
            for _ in range(most - least):
                node = self._add(None, (self._build(inner, node), follow))
        for _ in range(least):
            node = self._build(inner, node)
        return node


def _test(code: str, value: Any) -> _Test:
    """What one character is asked."""
    if code == "LITERAL":
        return chr(value).__eq__
    if code == "NOT_LITERAL":
        return chr(value).__ne__
    if code == "ANY":
        return "\n".__ne__
    if code == "CATEGORY":
        return _CATEGORIES[str(value)]
    if code == "RANGE":
        low, high = map(chr, value)
        return lambda one: low <= one <= high
    if code != "IN":
        raise ValueError("look-around, references to a group and what never goes back are not supported")
    negated = str(value[0][0]) == "NEGATE"
    tests = [_test(str(inner), item) for inner, item in value[negated:]]
    return lambda one: any(test(one) for test in tests) != negated
