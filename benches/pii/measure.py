"""Runs our rules over cases and corpora and counts. No text leaves this module: cases are lines, findings counts."""

from __future__ import annotations

import importlib
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benches import ROOT
from benches.engines.sift_fast import module
from benches.errors import BenchError
from benches.pii.cases import Anonymizer, Recognizer, Validator
from benches.secrets.texts import Corpora, Text, size

#: Every rule for personal data: what cases are run with.
ALL = "pii-all"

#: The sets that clean text is scanned with.
SETS = ("pii", ALL)

#: What is edited by default.
EDITED = 0.5

#: A value of nothing else is number-shaped; a plus sign or a bracket is how telephone numbers are written.
NUMBER = frozenset("0123456789 \t-./()+\u00a0\u2007\u2009\u200a\u202f\u2010\u2011\u2012\u2013\u2014\u2212")

#: Checks that cost more than a pass over the value, by the beginning of their names.
EXPENSIVE = {"phone": "numbering plans", "iban": "MOD 97-10", "lei": "MOD 97-10", "bitcoin": "SHA-256 twice, Bech32"}

#: Why a candidate is dropped ahead of the check that judges its value: options, entropy, and what stands around it.
GATES = frozenset({"kept", "format", "not_selected", "entropy", "part"})

#: Explaining a text holds all its candidates: pieces bound the memory. A candidate across a cut is not counted.
PIECE = 1 << 16


class Scanners:
    """One scanner for each entity and least score, made when it is asked for."""

    def __init__(self) -> None:
        self._sf = module()
        self._made: dict[tuple[str, float], Any] = {}
        self.entities = frozenset(rule.entity_type for rule in self._sf.Scanner(rules=[ALL]).rules)

    def spans(self, entity: str, text: str, least: float = 0.0) -> list[tuple[int, int]] | None:
        """Where the entity was found in a text with a score of `least` or more, in text order.

        None when no rule of ours has the entity.
        """
        if entity not in self.entities:
            return None
        key = entity, least
        if key not in self._made:
            self._made[key] = self._sf.Scanner(rules=[ALL], entities=[entity], min_score=least)
        return [(found.start, found.end) for found in self._made[key].scan(text)]


def on_recognizers(cases: Sequence[Recognizer], scanners: Scanners) -> dict[str, Any]:
    """Passed by entity, and the line, entity and kind of each failure.

    A case is passed if the findings of its entity alone are exactly its spans, or as many as it says where it
    names none. `edited` counts those that are if only what redaction edits counts as found.
    """
    failed: list[dict[str, Any]] = []
    entities: dict[str, Counter[str]] = {}
    left: Counter[str] = Counter()
    for case in cases:
        if case.left_out:
            left[case.left_out] += 1
            continue
        counts = entities.setdefault(case.entity, Counter())
        counts["cases"] += 1
        counts["edited"] += _why(case, scanners.spans(case.entity, case.text, EDITED)) is None
        why = _why(case, scanners.spans(case.entity, case.text))
        if why is None:
            counts["passed"] += 1
        else:
            failed.append({"case": case.number, "entity": case.entity, "why": why})
    return _summed(entities, failed, left)


def _why(case: Recognizer, found: Sequence[tuple[int, int]] | None) -> str | None:
    if found is None:
        return "no rule for the entity"
    if case.spans is not None and tuple(sorted(found)) == case.spans:
        return None
    if len(found) != case.count:
        return f"{len(found)} found, {case.count} expected"
    return None if case.spans is None else "another span"


def on_validators(cases: Sequence[Validator], entities: Mapping[str, str], scanners: Scanners) -> dict[str, Any]:
    """The same for validators.

    A case is passed if the whole value is a finding of its recognizer's entity, unless it is expected to be refused.
    """
    failed: list[dict[str, Any]] = []
    counted: dict[str, Counter[str]] = {}
    left: Counter[str] = Counter()
    for case in cases:
        entity = entities.get(case.recognizer)
        if case.left_out or entity is None:
            left[case.left_out or "no recognizer case tells the entity"] += 1
            continue
        # GSTIN's helper judges the tax number inside.
        if case.call == "_validate_pan_format":
            entity = "IN_PAN"
        counts = counted.setdefault(entity, Counter())
        counts["cases"] += 1
        found = scanners.spans(entity, case.text)
        sure = scanners.spans(entity, case.text, EDITED) or []
        counts["edited"] += ((0, len(case.text)) in sure) == (case.expected is not False)
        if found is None:
            failed.append({"case": case.number, "entity": entity, "why": "no rule for the entity"})
        elif ((0, len(case.text)) in found) != (case.expected is not False):
            why = "passed, expected to be refused" if case.expected is False else "refused, expected to pass"
            failed.append({"case": case.number, "entity": entity, "why": why})
        else:
            counts["passed"] += 1
    return _summed(counted, failed, left)


def entities_of(cases: Sequence[Recognizer]) -> dict[str, str]:
    """Which entity a recognizer finds, as its own cases say."""
    return {case.recognizer: case.entity for case in cases}


def on_anonymizers(cases: Sequence[Anonymizer]) -> dict[str, Any]:
    """The same for the anonymizer, through the engine that has Presidio's face.

    A case is passed if text and items are the expected ones; items may be listed from either end.
    """
    try:
        presidio = importlib.import_module("sift_fast.integrations.presidio")
    except ImportError:
        return {"missing": "this build has no `sift_fast.integrations.presidio`"}
    failed = []
    for case in cases:
        why = _anonymized(presidio, case.row)
        if why is not None:
            failed.append({"case": case.number, "entity": "", "why": why})
    passed = len(cases) - len(failed)
    return _summed({"": Counter(cases=len(cases), passed=passed, edited=passed)}, failed, Counter())


def _anonymized(presidio: Any, row: Mapping[str, Any]) -> str | None:
    sf = module()
    operators = {
        entity: presidio.OperatorConfig(config["operator"], config.get("params"))
        for entity, config in (row["operators"] or {}).items()
    }
    try:
        done = presidio.AnonymizerEngine().anonymize(
            row["text"],
            [presidio.RecognizerResult.from_json(result) for result in row["results"]],
            operators,
            presidio.ConflictResolutionStrategy(row["conflict_resolution"]),
            row["merge_entities_with_spaces"],
        )
    except (sf.SiftError, ValueError, TypeError, KeyError) as error:
        # The message may quote the text.
        return f"raised {type(error).__name__}"
    if done.text != row["expected_text"]:
        return "another text"
    expected = row["expected_items"]
    items = [{name: getattr(item, name) for name in ITEM} for item in done.items]
    if expected is not None and _by_place(items) != _by_place(expected):
        return "other items"
    return None


#: What an item of an anonymized text says.
ITEM = ("start", "end", "entity_type", "text", "operator")


def _by_place(items: Sequence[Mapping[str, Any]]) -> list[tuple[Any, ...]]:
    return sorted(tuple(item.get(name) for name in ITEM) for item in items)


def _summed(
    entities: Mapping[str, Mapping[str, int]], failed: Sequence[Mapping[str, Any]], left: Mapping[str, int]
) -> dict[str, Any]:
    cases = sum(counts["cases"] for counts in entities.values())
    if not cases:
        raise BenchError("every case of a file is left out, so it can measure nothing")
    return {
        "cases": cases,
        "passed": cases - len(failed),
        "edited": sum(counts["edited"] for counts in entities.values()),
        "entities": {
            name: {"cases": counts["cases"], "passed": counts["passed"]} for name, counts in sorted(entities.items())
        },
        "failed": list(failed),
        "left_out": dict(sorted(left.items())),
    }


def on_corpora(corpora: Corpora) -> dict[str, Any]:
    """What each set finds in clean text with a score that is edited, by rule, number-shaped or not."""
    sf = module()
    answer: dict[str, Any] = {}
    for rules in SETS:
        scanner = sf.Scanner(rules=[rules])
        answer[rules] = {}
        for name, texts in corpora.items():
            numbers: Counter[tuple[str, str]] = Counter()
            others: Counter[tuple[str, str]] = Counter()
            for item in texts:
                for found in scanner.scan(item.text):
                    if found.score >= EDITED:
                        value = item.text[found.start : found.end]
                        into = numbers if NUMBER.issuperset(value) else others
                        into[found.entity_type, found.rule_id] += 1
            answer[rules][name] = {"numbers": _rows(numbers), "others": _rows(others)}
    return answer


def _rows(found: Mapping[tuple[str, str], int]) -> list[dict[str, Any]]:
    return [
        {"entity": entity, "rule": rule, "count": count}
        for (entity, rule), count in sorted(found.items(), key=lambda item: (-item[1], item[0]))
    ]


def calls(corpora: Corpora) -> dict[str, Any]:
    """How often each rule's candidates come up, and reach the check that judges their value, in clean text."""
    sf = module()
    scanner = sf.Scanner(rules=[ALL])
    known = {rule.id: rule for rule in scanner.rules}
    members = {rules: {rule.id for rule in sf.Scanner(rules=[rules]).rules} for rules in SETS}
    checks = _checks(sorted({rule.source for rule in known.values()}))
    rules: dict[str, dict[str, Any]] = {}
    for name, texts in corpora.items():
        candidates: Counter[str] = Counter()
        judged: Counter[str] = Counter()
        for text in _pieces(texts):
            for item in scanner.explain(text):
                candidates[item.rule_id] += 1
                judged[item.rule_id] += not (item.outcome == "dropped" and item.reason in GATES)
        for rule, number in candidates.items():
            entry = rules.setdefault(
                rule,
                {
                    "entity": known[rule].entity_type,
                    "validator": _validator(checks[rule]),
                    "sets": [name for name in SETS if rule in members[name]],
                    "corpora": {},
                },
            )
            entry["corpora"][name] = {"candidates": number, "judged": judged[rule]}
    return {"rules": dict(sorted(rules.items()))}


def _pieces(texts: Sequence[Text]) -> Iterator[str]:
    for item in texts:
        for start in range(0, len(item.text), PIECE):
            yield item.text[start : start + PIECE]


def _checks(sources: Sequence[str]) -> dict[str, list[str]]:
    """Rule id to the names of its checks, from the documents that the wheel was made of."""
    found: dict[str, list[str]] = {}
    for source in sources:
        path = ROOT / "rust" / "sift-rules" / "data" / source
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise BenchError(f"cannot read the rule document `{source}`: {type(error).__name__}") from error
        for rule in [*table.get("rule", []), *table.get("family", [])]:
            for provider in rule.get("provider", [None]):
                name = rule["id"] if provider is None else f"{rule['id']}.{provider['id']}"
                found[name] = rule.get("checks", [])
    return found


def _validator(checks: Sequence[str]) -> str | None:
    """The expensive check of a rule, if it has one."""
    return next((check for check in checks if any(check.startswith(word) for word in EXPENSIVE)), None)


def per_mb(count: float, texts: Sequence[Text]) -> float:
    """A count as so many per 10^6 bytes of the texts."""
    return count / (size(texts) / 1e6)
