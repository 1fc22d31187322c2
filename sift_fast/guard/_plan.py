"""A configuration made ready: the checks of every stage, for one combination of overrides."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from sift_fast.errors import ConfigError
from sift_fast.guard import _checks
from sift_fast.guard import config as tables
from sift_fast.guard._injection import Injection, builtin, is_quick, thresholds_of
from sift_fast.guard._slow import make_classifier
from sift_fast.guard.verdict import STAGES, RequestContext, Stage
from sift_fast.redact import Keep, Mask, Pseudonym, Remove, Replace

if TYPE_CHECKING:
    from sift_fast.guard._slow import Slow
    from sift_fast.guard._taint import Provenance
    from sift_fast.guard.verdict import Classifier
    from sift_fast.redact import Operator
    from sift_fast.scanner import Scanner

__all__ = ["Plan", "StagePlan", "Stuff"]

#: Characters that a scan with its edits, and one with a classifier, read within a millisecond whatever they are:
#: nothing but numbers, keys, or encoded text. Plain text of ten times the length takes no longer, but nobody knows
#: that before.
_INLINE = 8 * 1024
_INLINE_SCORED = 4 * 1024
#: Kinds that read parts of a text, wherever in it they stand.
_JOINED = {"classifier", "links", "prompt_leak"}


class Stuff:
    """What checks are made from and what all callers share."""

    def __init__(
        self,
        config: tables.GuardConfig,
        scanner: Scanner,
        owners: Mapping[str, tuple[str, str]],
        make_slow: Callable[[str, tables.GuardrailConfig], Slow],
        classifier: Classifier | None = None,
        models: Mapping[str, Any] | None = None,
    ) -> None:
        self.config = config
        self.scanner = scanner
        self.owners = owners
        self.make_slow = make_slow
        self.classifier = classifier
        self.models = models or {}
        self.cache: dict[Any, Any] = {}

    def once(self, key: Any, make: Callable[[], Any]) -> Any:
        """Something that is made once for all plans."""
        if key not in self.cache:
            self.cache[key] = make()
        return self.cache[key]


class StagePlan:
    """The checks of one stage, in the order in which they run: the cheap ones first."""

    __slots__ = (
        "_rules", "_scanner", "again", "always", "before", "found", "inline", "joined", "keyed", "operators",
        "pseudonyms", "readers", "rescrubs", "slow",
    )  # fmt: skip

    def __init__(self, checks: Iterable[_checks.Check], scanner: Scanner, *, enforced: bool = True) -> None:
        every = list(checks)
        self._scanner = scanner
        self._rules = {rule.id: rule for rule in scanner.rules}
        self.slow: tuple[Any, ...] = tuple(check for check in every if check.slow)
        fast = [check for check in every if not check.slow]
        #: Asked only where the scan found something.
        self.found = tuple(check for check in fast if check.needs_findings)
        #: Asked before the scan.
        self.before = tuple(check for check in fast if isinstance(check, _checks.Length))
        self.always = tuple(check for check in fast if not check.needs_findings and check not in self.before)
        #: Cannot do their work where the scan fails or leaves something out.
        self.readers = (*self.found, *(check for check in self.always if check.reads_findings))
        #: Asked about earlier turns that are sent again: what counts turns has counted them.
        self.again = tuple(check for check in self.always if not check.adds_up)
        #: Asked about the parts of a text together.
        self.joined = (*self.found, *(check for check in self.always if check.table.kind in _JOINED or check.joins))
        # Where nothing is enforced nothing is edited, in streams and in earlier turns either.
        self.rescrubs = tuple(
            check
            for check in self.found
            if enforced and isinstance(check, _checks.ScanCheck) and check.rescrubs and _edits(check)
        )
        self.operators = _operators(self.rescrubs, scanner, pseudonym=True)
        #: The same for a request without a conversation, where nothing can be put back.
        self.keyed = _operators(self.rescrubs, scanner, pseudonym=False)
        #: Texts of more characters are read on a thread, so that the event loop is not held up for a millisecond.
        self.inline = _INLINE_SCORED if any(isinstance(check, Injection) or check.joins for check in fast) else _INLINE
        self.pseudonyms = any(check.table.operator == "pseudonym" for check in self.rescrubs)  # type: ignore[attr-defined]

    def takes(self, finding: Any) -> bool:
        """Whether a finding is taken out by the scanner."""
        return any(check.wants(finding) for check in self.rescrubs)

    def hidden(self, text: str, findings: Iterable[Any]) -> Sequence[_checks.Hidden]:
        """What a scan gave up for other findings, where those stay in the text: one that nobody here reads, or that is
        only noted, must not stand before one that stops it. What is taken out takes what it overlaps with it.
        """
        if all(map(self.takes, findings)):
            return ()
        return _checks.hidden_in(self._scanner, text, self._rules)

    @property
    def checks(self) -> tuple[Any, ...]:
        """All of them."""
        return (*self.before, *self.always, *self.found, *self.slow)


def _edits(check: _checks.Check) -> bool:
    return check.table.mode == "enforce" and check.table.on_violation in {"redact", "escalate", "block"}


def _operators(checks: Iterable[_checks.ScanCheck], scanner: Scanner, *, pseudonym: bool) -> dict[str, Operator]:
    """What the scanner does with each entity type: what is nobody's stays."""
    out: dict[str, Operator] = {"default": Keep()}
    for check in checks:
        name = check.table.operator  # type: ignore[attr-defined]
        operator: Operator
        if name == "mask":
            operator = Mask(keep_last=4)
        elif name == "remove":
            operator = Remove()
        elif name == "pseudonym" and pseudonym:
            operator = Pseudonym()
        else:
            operator = Replace()
        mine = {rule.entity_type for rule in scanner.rules if rule.category == check.category}
        if check.table.kind == "secrets" and not check.table.entities:  # type: ignore[attr-defined]
            # Most entity types are secrets: as the default they need no entries of their own.
            out["default"] = operator
            others = {rule.entity_type for rule in scanner.rules if rule.category == "pii"} - mine
            kept = others | {entity for entity in mine if not check.covers(entity)}
            for entity in kept:
                out.setdefault(entity, Keep())
        else:
            out.update({entity: operator for entity in mine if check.covers(entity)})
    # Operators are read again for every text that is edited: what the default says is not said twice.
    return {entity: each for entity, each in out.items() if entity == "default" or each != out["default"]}


class Plan:
    """The stages for one combination of overrides.

    Raises:
        ConfigError: a guardrail's settings contradict one another.
    """

    def __init__(self, stuff: Stuff, guardrails: Mapping[str, tables.GuardrailConfig]) -> None:
        self.acl: _checks.Acl | None = None
        self.tools: _checks.Tools | None = None
        stages: dict[Stage, list[_checks.Check]] = {stage: [] for stage in STAGES}
        for name, table in guardrails.items():
            if not table.enabled:
                continue
            check = _make(stuff, name, table)
            if isinstance(check, _checks.Acl):
                self.acl = check
                continue
            if isinstance(check, _checks.Tools):
                self.tools = check
            for stage in table.stages:
                stages[stage].append(check)
            examples = _examples(stuff, name, table)
            if examples is not None:
                for stage in set(table.stages) & set(examples.table.examples_at):  # type: ignore[attr-defined]
                    stages[stage].append(examples)
        provenance = [check for check in stages["tool_input"] if check.table.kind == "provenance"]
        #: Kept apart: every stage tells it what came in.
        self.provenance: Provenance | None = provenance[0] if provenance else None  # type: ignore[assignment]
        self.grounds = any(check.table.kind == "grounding" for check in stages["output"])
        enforced = stuff.config.mode == "enforce"
        self.stages = {stage: StagePlan(checks, stuff.scanner, enforced=enforced) for stage, checks in stages.items()}


def _examples(stuff: Stuff, name: str, table: tables.GuardrailConfig) -> _checks.Check | None:
    """The second check of topics that have examples: it reads texts in which no phrase was found as well."""
    if not isinstance(table, tables.TopicsConfig) or not any(topic.examples for topic in table.deny.values()):
        return None
    from sift_fast.guard._topics import TopicExamples, learn

    return TopicExamples(name, table, stuff.once(("topics", name), lambda: learn(table)))


# One branch per kind.
def _make(stuff: Stuff, name: str, table: tables.GuardrailConfig) -> _checks.Check:  # noqa: C901, PLR0912
    mine = {rule: part for rule, (owner, part) in stuff.owners.items() if owner == name}
    if isinstance(table, tables.ScanConfig):
        known = {rule.id for rule in stuff.scanner.rules}
        if table.kind in {"secrets", "pii"} and any(entry in known for entry in table.exclude):
            raise ConfigError(f"guardrail `{name}`: `exclude` takes entity types here; rules are excluded in [scanner]")
        if not any(rule.category == _checks.CATEGORIES[table.kind] for rule in stuff.scanner.rules):
            raise ConfigError(
                f"guardrail `{name}`: `[scanner] rules` has no rule that it could read: add `{table.kind}`"
            )
        scan = _checks.ScanCheck(name, table, frozenset(stuff.owners))
        _check_names(name, table, scan, stuff.scanner.rules)
        return scan
    if isinstance(table, tables.WordsConfig):
        return _checks.ListCheck(name, table, frozenset(mine), "words.denied")
    if isinstance(table, tables.CodeConfig):
        return _checks.ListCheck(name, table, frozenset(mine), "code.unsafe")
    if isinstance(table, tables.TopicsConfig):
        return _checks.Topics(name, table, mine)
    if isinstance(table, tables.LengthConfig):
        return _checks.Length(name, table)
    if isinstance(table, tables.AclConfig):
        return _checks.Acl(name, table)
    if isinstance(table, tables.ToolsConfig):
        return _checks.Tools(name, table, stuff.config.tools)
    if isinstance(table, tables.ConversationConfig):
        return _checks.SplitCheck(name, table, stuff.scanner.scan)
    if isinstance(table, tables.PromptLeakConfig):
        from sift_fast._core import _PromptRuns
        from sift_fast.guard._prompt import PromptLeak

        prompt = table.prompt
        if table.prompt_file:
            prompt += "\n" + tables.read_text(stuff.config.path(table.prompt_file))
        runs = stuff.once(("prompt", name, table.words), lambda: _PromptRuns(prompt, table.words))
        if (table.prompt or table.prompt_file) and not runs:
            raise ConfigError(f"guardrail `{name}`: its prompt has fewer than {table.words} words: lower `words`")
        return PromptLeak(name, table, frozenset(mine), runs)
    if isinstance(table, tables.LinksConfig):
        return _checks.Links(name, table)
    if isinstance(table, tables.GroundingConfig):
        from sift_fast.guard._grounding import Grounding

        return Grounding(name, table)
    if isinstance(table, tables.SchemaConfig):
        from sift_fast.guard._answer import AnswerSchema

        return AnswerSchema(name, table, stuff.config, stuff.models.get(name))
    if isinstance(table, tables.ProvenanceConfig):
        from sift_fast.guard._taint import Provenance

        return Provenance(name, table, stuff.config.tools)
    if isinstance(table, tables.ClassifierConfig):
        classifier: Any = stuff.classifier
        if classifier is None:
            classifier = stuff.once(("classifier", table.encoder), lambda: builtin(table, stuff.config))
        thresholds = thresholds_of(table, stuff.config, classifier)
        if is_quick(classifier):
            return Injection(name, table, classifier, thresholds)
        return stuff.once(  # type: ignore[no-any-return]
            ("slow", name, table), lambda: make_classifier(name, table, classifier, thresholds)
        )
    return stuff.once(("slow", name, table), lambda: stuff.make_slow(name, table))  # type: ignore[no-any-return]


def _check_names(name: str, table: tables.ScanConfig, scan: _checks.ScanCheck, rules: Iterable[Any]) -> None:
    """Refuse names that no rule has: one letter too few, and what they are for is not found, or not left out.

    Raises:
        ConfigError: there is such a name, or no rule is left.
    """
    mine = [rule for rule in rules if rule.category == scan.category]
    entities = {rule.entity_type for rule in mine}
    known = entities | {rule.id for rule in mine}
    for key, given, there in (("entities", table.entities, entities), ("exclude", table.exclude, known)):
        for number, entry in enumerate(given, 1):
            if entry not in there:
                near = get_close_matches(entry, there, 1)
                hint = f"; the nearest is `{near[0]}`" if near else ""
                raise ConfigError(f"guardrail `{name}`: entry {number} of `{key}` names nothing of its rules{hint}")
    if not any(map(scan.wants_rule, mine)):
        raise ConfigError(f"guardrail `{name}`: `entities` and `exclude` leave no rule that it could read")


class Plans:
    """Plans by caller; callers with the same overrides share one."""

    _MOST = 10_000

    def __init__(self, stuff: Stuff) -> None:
        self._stuff = stuff
        self._overrides = stuff.config.override
        self._plans: dict[tuple[int, ...], Plan] = {(): Plan(stuff, stuff.config.guardrails)}
        self._callers: dict[tuple[str, str], Plan] = {}
        # A contradiction in an override is found now, not with the first request of that tenant.
        for override in self._overrides:
            self._plan(override.tenant or "", override.role or "")

    def lacking(self) -> dict[str, str]:
        """Guardrails of the file that can find nothing, and what they would need for it."""
        stages = self._plans[()].stages.values()
        return {check.name: check.lacks for stage in stages for check in stage.checks if check.lacks}

    def of(self, context: RequestContext) -> Plan:
        """The plan for a request."""
        if not self._overrides:
            return self._plans[()]
        key = (context.tenant, context.role)
        plan = self._callers.get(key)
        if plan is None:
            plan = self._plan(*key)
            if len(self._callers) < self._MOST:
                self._callers[key] = plan
        return plan

    def _plan(self, tenant: str, role: str) -> Plan:
        matching = self._stuff.config.matching(tenant, role)
        if matching not in self._plans:
            self._plans[matching] = Plan(self._stuff, self._stuff.config.guardrails_for(tenant, role))
        return self._plans[matching]
