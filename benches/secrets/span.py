"""Where the secret of a case is, and whether a finding covers it and nothing else.

The cases do not say where their secret is, so it is taken only from forms that leave no doubt:

- *template* cases put one secret into many syntaxes. It is the longest text that several cases of a type
  share, bounded on both sides by more than one kind of neighbour (so it is neither cut short nor too long);
- *literal* cases that are one bare value, or one `name = value` line. A "bare value" that holds the name of its
  type (`acme-SECRET-...` of `source.acme.1`) is name and value in one, and where the value begins is in doubt.

All others are not located and do not count.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from difflib import SequenceMatcher
from itertools import combinations

from benches.secrets.cases import Case

#: Code points, half open.
Span = tuple[int, int]

SHORTEST = 8
QUOTES = "\"'`"

_VALUE = r"[A-Za-z0-9_\-.+/~]{8,}={0,2}"
_BARE = re.compile(rf"\s*({_VALUE})\s*")
_ASSIGNED = re.compile(
    rf"\s*(?:export\s+)?[\"'`]?[A-Za-z_][\w.\-]*[\"'`]?\s*(?:=|:|:=|=>)\s*(?P<quote>[\"'`]?)(?P<value>{_VALUE})(?P=quote)[;,]?\s*"
)
_LEADING, _TRAILING = " \t\r\n\"'`=:>({[,;\\", " \t\r\n\"'`,;)}]<\\"


def locate(cases: Sequence[Case]) -> dict[int, Span]:
    """The span of the secret of each positive case for which it is beyond doubt, by the case's position."""
    found: dict[int, Span] = {}
    groups: dict[tuple[str, str], list[int]] = defaultdict(list)
    for at, case in enumerate(cases):
        if not case.positive:
            continue
        if case.kind == "template":
            groups[case.source, case.rule_id].append(at)
        elif (span := literal(case.text)) is not None and not _named(case, span):
            found[at] = span
    for members in groups.values():
        secrets = shared([cases[at].text for at in members])
        for at in members:
            text = cases[at].text
            held = [secret for secret in secrets if text.count(secret) == 1]
            if held:
                best = max(held, key=len)
                found[at] = (text.index(best), text.index(best) + len(best))
    return found


def _named(case: Case, span: Span) -> bool:
    """Whether the value holds a word of four letters and more of the name of its type."""
    value = case.text[span[0] : span[1]].lower()
    return any(word in value for word in re.findall(r"[a-z]{4,}", case.rule_id.lower().partition(".")[2]))


def literal(text: str) -> Span | None:
    """The value of a text that is nothing but a value, or one assignment."""
    if "\n" in text.strip():
        return None
    bare = _BARE.fullmatch(text)
    if bare is not None and "//" not in text:
        return bare.span(1)
    assigned = _ASSIGNED.fullmatch(text)
    if assigned is not None and "//" not in assigned["value"]:
        return assigned.span("value")
    return None


def shared(texts: Sequence[str]) -> list[str]:
    """Values that stand in several of the texts between different neighbours."""
    candidates = set()
    for one, other in combinations(dict.fromkeys(texts), 2):
        match = SequenceMatcher(None, one, other, autojunk=False).find_longest_match()
        candidates.add(one[match.a : match.a + match.size].lstrip(_LEADING).rstrip(_TRAILING))
    return [
        value
        for value in candidates
        if len(value) >= SHORTEST and not any(c.isspace() for c in value) and _bounded(value, texts)
    ]


def _bounded(value: str, texts: Sequence[str]) -> bool:
    before, after = set(), set()
    for text in texts:
        start = text.find(value)
        if start >= 0:
            end = start + len(value)
            before.add(text[start - 1 : start])
            after.add(text[end : end + 1])
    return len(before) > 1 and len(after) > 1


def is_right(text: str, secret: Span, found: Span) -> bool:
    """Whether a finding covers the secret and at most the quote on each side of it."""
    (start, end), (first, last) = secret, found
    return (
        first <= start
        and end <= last
        and (first == start or (first == start - 1 and text[first] in QUOTES))
        and (last == end or (last == end + 1 and text[end] in QUOTES))
    )
