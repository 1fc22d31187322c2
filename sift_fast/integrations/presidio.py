"""Microsoft Presidio: a recognizer for those who keep it, and engines with its face for those who do not.

`entity_recognizer` gives Presidio's own `AnalyzerEngine` one recognizer for everything a `Scanner` finds; it needs
presidio-analyzer. The classes below need nothing of Presidio: they have its signatures and its results, and a
program moves by changing its imports. `encrypt` and `decrypt` need the package cryptography.

>>> engine = AnonymizerEngine()
>>> engine.anonymize("call 555-0100", [RecognizerResult("PHONE_NUMBER", 5, 13, 0.7)]).text
'call <PHONE_NUMBER>'
"""

from __future__ import annotations

import enum
import json
import logging
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from sift_fast import ConfigError, Scanner

if TYPE_CHECKING:
    from sift_fast import Explanation

__all__ = [
    "AnalysisExplanation",
    "AnalyzerEngine",
    "AnonymizerEngine",
    "ConflictResolutionStrategy",
    "DeanonymizeEngine",
    "EngineResult",
    "InvalidParamError",
    "OperatorConfig",
    "OperatorResult",
    "RecognizerResult",
    "entity_recognizer",
]

_logger = logging.getLogger("sift_fast.integrations.presidio")

#: What the recognizer is called in `recognition_metadata`.
_NAME = "SiftRecognizer"
#: Injections and leaks are for a guard; Presidio has nothing of the kind.
_CATEGORIES = frozenset({"pii", "secret"})
#: Rule sets where no scanner is given: who comes from Presidio looks for personal data.
_RULES = ["secrets", "pii"]
_LANGUAGE = "the language is not supported; name it in `supported_languages` of the engine"


class InvalidParamError(ConfigError):
    """A parameter of an operator, or a result to be anonymized, is wrong."""


class ConflictResolutionStrategy(enum.Enum):
    """What becomes of results that overlap.

    `MERGE_SIMILAR_OR_CONTAINED` merges those of one type and drops those inside another; what overlaps in part stays
    and is replaced twice. `REMOVE_INTERSECTIONS` trims the lower score of those as well.
    """

    MERGE_SIMILAR_OR_CONTAINED = "merge_similar_or_contained"
    REMOVE_INTERSECTIONS = "remove_intersections"


class AnalysisExplanation:
    """Why something was found: the rule and its score. Holds no text."""

    def __init__(self, recognizer: str, original_score: float, pattern_name: str | None = None) -> None:
        self.recognizer = recognizer
        self.original_score = original_score
        self.score = original_score
        self.pattern_name = pattern_name
        self.pattern: str | None = None
        self.validation_result: bool | None = None
        self.textual_explanation: str | None = None
        self.score_context_improvement = 0.0
        self.supportive_context_word = ""
        self.regex_flags: int | None = None

    def set_improved_score(self, score: float) -> None:
        """Note a score that context has raised."""
        self.score = score
        self.score_context_improvement = score - self.original_score

    def set_supportive_context_word(self, word: str) -> None:
        """Note the word that did it."""
        self.supportive_context_word = word

    def append_textual_explanation_line(self, text: str) -> None:
        """Add a line for people."""
        known = self.textual_explanation
        self.textual_explanation = text if known is None else f"{known}\n{text}"

    def to_dict(self) -> dict[str, Any]:
        """All fields, in a dict of its own."""
        return dict(vars(self))

    def __repr__(self) -> str:
        return f"AnalysisExplanation({self.recognizer!r}, {self.original_score!r}, {self.pattern_name!r})"


class RecognizerResult:
    """One result of an analysis: entity type, half-open span in code points, score."""

    RECOGNIZER_NAME_KEY = "recognizer_name"
    RECOGNIZER_IDENTIFIER_KEY = "recognizer_identifier"
    IS_SCORE_ENHANCED_BY_CONTEXT_KEY = "is_score_enhanced_by_context"

    def __init__(
        self,
        entity_type: str,
        start: int,
        end: int,
        score: float,
        analysis_explanation: Any = None,
        recognition_metadata: dict[str, Any] | None = None,
    ) -> None:
        self.entity_type = entity_type
        self.start = start
        self.end = end
        self.score = score
        self.analysis_explanation = analysis_explanation
        self.recognition_metadata = recognition_metadata

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """A result from its four fields."""
        return cls(data["entity_type"], data["start"], data["end"], data["score"])

    def to_dict(self) -> dict[str, Any]:
        """All fields."""
        return dict(vars(self))

    def append_analysis_explanation_text(self, text: str) -> None:
        """Add a line to the explanation, if there is one."""
        if self.analysis_explanation is not None:
            self.analysis_explanation.append_textual_explanation_line(text)

    def intersects(self, other: Any) -> int:
        """How many characters are in both."""
        return max(0, int(min(self.end, other.end) - max(self.start, other.start)))

    def contained_in(self, other: Any) -> bool:
        """Whether all of this is in the other."""
        return bool(other.start <= self.start and self.end <= other.end)

    def contains(self, other: Any) -> bool:
        """Whether all of the other is in this."""
        return bool(self.start <= other.start and other.end <= self.end)

    def equal_indices(self, other: Any) -> bool:
        """Whether both have the same span."""
        return (self.start, self.end) == (other.start, other.end)

    def has_conflict(self, other: Any) -> bool:
        """Whether this gives way to the other."""
        return self.score <= other.score if self.equal_indices(other) else self.contained_in(other)

    def _key(self) -> tuple[Any, ...]:
        return (self.start, self.end, self.score, self.entity_type)

    def __eq__(self, other: object) -> bool:
        try:
            return self._key() == (other.start, other.end, other.score, other.entity_type)  # type: ignore[attr-defined]
        except AttributeError:
            return NotImplemented

    def __hash__(self) -> int:
        return hash(self._key())

    def __gt__(self, other: Any) -> bool:
        return (self.start, self.end) > (other.start, other.end)

    def __repr__(self) -> str:
        return f"type: {self.entity_type}, start: {self.start}, end: {self.end}, score: {self.score}"


class _Recognizer:
    """What `get_recognizers` shows of a scanner."""

    def __init__(self, entities: list[str], language: str) -> None:
        self.name = _NAME
        self.id = _NAME
        self.supported_entities = entities
        self.supported_language = language

    def get_supported_entities(self) -> list[str]:
        return self.supported_entities

    def get_supported_language(self) -> str:
        return self.supported_language

    def to_dict(self) -> dict[str, Any]:
        return dict(vars(self))


class AnalyzerEngine:
    """Presidio's `AnalyzerEngine` over a `Scanner`, without models: names, places and dates in words are not found.

    Results overlap as Presidio's do: all types that a place may be are given. Context words are those of the rules,
    looked for in front of a place; `context=` is read as if it stood in front of the text.

    Args:
        registry: must be None, as `nlp_engine`, `app_tracer` and `context_aware_enhancer`: who needs them keeps
            Presidio's engine and adds `entity_recognizer` to it.
        nlp_engine: see `registry`.
        app_tracer: see `registry`.
        log_decision_process: must be False.
        default_score_threshold: results below are dropped.
        supported_languages: codes that `analyze` accepts; the rules are the same for all. None for `["en"]`.
        context_aware_enhancer: see `registry`.
        scanner: what to look for; None for `Scanner(["secrets", "pii"])`; regions are sets of their own.

    Raises:
        ConfigError: one of these does not hold.
    """

    def __init__(
        self,
        registry: None = None,
        nlp_engine: None = None,
        app_tracer: None = None,
        log_decision_process: bool = False,
        default_score_threshold: float = 0,
        supported_languages: Sequence[str] | None = None,
        context_aware_enhancer: None = None,
        *,
        scanner: Scanner | None = None,
    ) -> None:
        refused = {
            "registry": registry,
            "nlp_engine": nlp_engine,
            "app_tracer": app_tracer,
            "log_decision_process": log_decision_process or None,
            "context_aware_enhancer": context_aware_enhancer,
        }
        for name, value in refused.items():
            if value is not None:
                raise ConfigError(
                    f"`{name}` needs Presidio's own AnalyzerEngine: keep it, and add `entity_recognizer()` to it"
                )
        self.scanner = Scanner(_RULES) if scanner is None else scanner
        self.default_score_threshold = default_score_threshold
        self.supported_languages = list(supported_languages or ["en"])
        self._entities = _entities(self.scanner)

    def get_supported_entities(self, language: str | None = None) -> list[str]:
        """Entity types that can be found; the same for every language."""
        del language
        return list(self._entities)

    def get_recognizers(self, language: str | None = None) -> list[Any]:
        """One recognizer for each language, to be looked at."""
        if language and language not in self.supported_languages:
            raise ValueError(f"no matching recognizers were found: {_LANGUAGE}")
        languages = [language] if language else self.supported_languages
        return [_Recognizer(list(self._entities), code) for code in languages]

    def analyze(
        self,
        text: str,
        language: str,
        entities: Sequence[str] | None = None,
        correlation_id: str | None = None,
        score_threshold: float | None = None,
        return_decision_process: bool = False,
        ad_hoc_recognizers: Sequence[Any] | None = None,
        context: Sequence[str] | None = None,
        allow_list: Sequence[str] | None = None,
        allow_list_match: str = "exact",
        regex_flags: int = re.DOTALL | re.MULTILINE | re.IGNORECASE,
        nlp_artifacts: Any = None,
    ) -> list[RecognizerResult]:
        """Find what the scanner finds.

        Args:
            text: `str`.
            language: one of the supported languages.
            entities: only these entity types; None for all.
            correlation_id: not used.
            score_threshold: results below are dropped; None for the engine's.
            return_decision_process: give results an `analysis_explanation`.
            ad_hoc_recognizers: Presidio's recognizers, asked for this text only.
            context: words that are taken to stand in front of the text.
            allow_list: values that are no results.
            allow_list_match: `exact` or `regex`.
            regex_flags: for `regex`.
            nlp_artifacts: handed to `ad_hoc_recognizers`.

        Returns:
            Results, the highest score first.

        Raises:
            TypeError: `text` is no `str`, or `context` is a string and not a list of words.
            ValueError: nothing serves the language or the entities, or `allow_list_match` or the patterns of
                `allow_list` are wrong.
            LimitExceeded: the text is longer than `Limits.text_bytes`.
        """
        del correlation_id
        if not isinstance(text, str):
            raise TypeError("`text` is a str")
        wanted = self._wanted(language, entities, ad_hoc_recognizers or ())
        results = _explained(self.scanner, text, wanted, context)
        for recognizer in ad_hoc_recognizers or ():
            if recognizer.supported_language == language:
                found = recognizer.analyze(text=text, entities=list(wanted), nlp_artifacts=nlp_artifacts)
                results.extend(_taken(recognizer, found or ()))
        threshold = self.default_score_threshold if score_threshold is None else score_threshold
        results = _without_duplicates([result for result in results if result.score >= threshold])
        if allow_list:
            results = _without_allowed(results, text, allow_list, allow_list_match, regex_flags)
        if not return_decision_process:
            for result in results:
                result.analysis_explanation = None
        return results

    def _wanted(self, language: str, entities: Sequence[str] | None, more: Sequence[Any]) -> set[str]:
        if language not in self.supported_languages:
            raise ValueError(f"no matching recognizers were found to serve the request: {_LANGUAGE}")
        known = {*self._entities, *(entity for recognizer in more for entity in recognizer.supported_entities)}
        if not entities:
            return known
        unknown = set(entities) - known
        if unknown:
            _logger.warning("entity types that no rule has are not looked for: %s", ", ".join(sorted(unknown)))
        if not known & set(entities):
            raise ValueError("no matching recognizers were found to serve the request: no rule has these entity types")
        return known & set(entities)


def _entities(scanner: Scanner) -> list[str]:
    return sorted({rule.entity_type for rule in scanner.rules if rule.category in _CATEGORIES})


def _explained(
    scanner: Scanner, text: str, entities: Iterable[str], context: Sequence[str] | None = None
) -> list[RecognizerResult]:
    """Everything that a place may be, before overlaps are resolved."""
    if isinstance(context, str):
        # Its letters would stand in front of the text as words.
        raise TypeError("`context` is a list of words, not a string")
    wanted = frozenset(entities)
    before = " ".join(context) + " " if context else ""
    results = []
    for line in scanner.explain(before + text):
        rule = scanner.rules[line.rule_id]
        if line.outcome == "dropped" or rule.category not in _CATEGORIES or rule.entity_type not in wanted:
            continue
        if line.start >= len(before):
            results.append(_result(line, rule.entity_type, rule.score, len(before)))
    return results


def _result(line: Explanation, entity: str, score: float, before: int) -> RecognizerResult:
    explanation = AnalysisExplanation(_NAME, score, line.rule_id)
    explanation.set_improved_score(line.score)
    metadata = {
        RecognizerResult.RECOGNIZER_NAME_KEY: _NAME,
        RecognizerResult.RECOGNIZER_IDENTIFIER_KEY: line.rule_id,
        # Context has been looked at: nobody is to add to the score again.
        RecognizerResult.IS_SCORE_ENHANCED_BY_CONTEXT_KEY: True,
    }
    return RecognizerResult(entity, line.start - before, line.end - before, line.score, explanation, metadata)


def _taken(recognizer: Any, found: Iterable[Any]) -> Iterable[RecognizerResult]:
    for result in found:
        metadata = dict(getattr(result, "recognition_metadata", None) or {})
        metadata.setdefault(RecognizerResult.RECOGNIZER_NAME_KEY, recognizer.name)
        metadata.setdefault(RecognizerResult.RECOGNIZER_IDENTIFIER_KEY, recognizer.id)
        explanation = getattr(result, "analysis_explanation", None)
        yield RecognizerResult(result.entity_type, result.start, result.end, result.score, explanation, metadata)


def _without_duplicates(results: Iterable[RecognizerResult]) -> list[RecognizerResult]:
    """Without what lies in a result of the same type that scores as much, or scores nothing."""
    ordered = sorted(set(results), key=lambda r: (r.entity_type, r.start, r.start - r.end, -r.score))
    kept: list[RecognizerResult] = []
    # Those of one type that may still hold what comes.
    open_: list[RecognizerResult] = []
    for result in ordered:
        open_ = [o for o in open_ if o.entity_type == result.entity_type and o.end >= result.start]
        if result.score == 0 or any(result.contained_in(o) and result.score <= o.score for o in open_):
            continue
        kept.append(result)
        open_.append(result)
    return sorted(kept, key=lambda r: (-r.score, r.start, r.start - r.end))


def _without_allowed(
    results: list[RecognizerResult], text: str, allow_list: Sequence[str], match: str, flags: int
) -> list[RecognizerResult]:
    if match == "exact":
        allowed = set(allow_list)
        return [result for result in results if text[result.start : result.end] not in allowed]
    if match != "regex":
        raise ValueError('`allow_list_match` is "exact" or "regex"')
    # An empty pattern would allow everything.
    terms = [term for term in allow_list if term]
    if not terms:
        return results
    try:
        pattern = re.compile("|".join(terms), flags)
    except re.error:
        # The error holds the pattern, and what is allowed may be personal data.
        pattern = None
    if pattern is None:
        raise ValueError("`allow_list` holds a pattern that is no regular expression")
    return [result for result in results if not pattern.search(text[result.start : result.end])]


def entity_recognizer(
    scanner: Scanner | None = None, *, language: str = "en", name: str = _NAME, entities: Sequence[str] | None = None
) -> Any:
    """A recognizer for Presidio's own `AnalyzerEngine`: one native pass for everything a scanner finds.

    Args:
        scanner: what to look for; None for `Scanner(["secrets", "pii"])`; regions are sets of their own.
        language: the code it is registered for.
        name: what it is called in `recognition_metadata`.
        entities: entity types it answers for; None for all of the scanner's.

    Returns:
        A `presidio_analyzer.EntityRecognizer`, for `registry.add_recognizer`.

    Raises:
        ConfigError: presidio-analyzer is not installed.
    """
    try:
        import presidio_analyzer as presidio  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        presidio = None
    if presidio is None:
        raise ConfigError("presidio-analyzer is not installed: `pip install presidio-analyzer`")
    result_of, explanation_of = presidio.RecognizerResult, presidio.AnalysisExplanation
    used = Scanner(_RULES) if scanner is None else scanner
    known = _entities(used)

    class SiftRecognizer(presidio.EntityRecognizer):  # type: ignore[misc,unused-ignore]
        """A scanner with the face of a recognizer."""

        def load(self) -> None:
            """There is nothing to load."""

        def analyze(self, text: str, entities: list[str], nlp_artifacts: Any = None) -> list[Any]:
            """As `EntityRecognizer.analyze`; the artifacts are not needed."""
            del nlp_artifacts
            wanted = set(entities or self.supported_entities) & set(self.supported_entities)
            results = []
            for found in _explained(used, text, wanted):
                why = explanation_of(recognizer=self.name, original_score=found.score, pattern_name=None)
                why.textual_explanation = found.analysis_explanation.pattern_name
                metadata = {
                    result_of.RECOGNIZER_NAME_KEY: self.name,
                    result_of.RECOGNIZER_IDENTIFIER_KEY: self.id,
                    result_of.IS_SCORE_ENHANCED_BY_CONTEXT_KEY: True,
                }
                results.append(result_of(found.entity_type, found.start, found.end, found.score, why, metadata))
            return results

    return SiftRecognizer(
        supported_entities=known if entities is None else list(entities), name=name, supported_language=language
    )


class OperatorConfig:
    """An operator by name, with its parameters. Shown without them: a key may be among them."""

    def __init__(self, operator_name: str, params: dict[str, Any] | None = None) -> None:
        if not operator_name:
            raise InvalidParamError("an operator config must name its operator")
        self.operator_name = operator_name
        self.params = params or {}

    @classmethod
    def from_json(cls, params: Mapping[str, Any]) -> Self:
        """An operator from `{"type": name, parameter: value, ...}`."""
        rest = {name: value for name, value in params.items() if name != "type"}
        return cls(params.get("type", ""), rest)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, OperatorConfig):
            return NotImplemented
        return (self.operator_name, self.params) == (other.operator_name, other.params)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"OperatorConfig({self.operator_name!r})"


class OperatorResult:
    """One replacement, in the text that came out. Shown without its text."""

    def __init__(
        self,
        start: int,
        end: int,
        entity_type: str,
        text: str | None = None,
        operator: str | None = None,
        score: float | None = None,
    ) -> None:
        self.start = start
        self.end = end
        self.entity_type = entity_type
        self.text = text
        self.operator = operator
        self.score = score

    @classmethod
    def from_json(cls, json: Mapping[str, Any]) -> Self:
        """A result from its fields."""
        score = json.get("score")
        return cls(
            json["start"],
            json["end"],
            json["entity_type"],
            json.get("text"),
            json.get("operator"),
            None if score is None else float(score),
        )

    def to_dict(self) -> dict[str, Any]:
        """All fields, the text among them."""
        return dict(vars(self))

    def _key(self) -> tuple[Any, ...]:
        return (self.start, self.end, self.entity_type, self.operator, self.text)

    def __eq__(self, other: object) -> bool:
        return self._key() == other._key() if isinstance(other, OperatorResult) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        return f"OperatorResult({self.start}, {self.end}, {self.entity_type!r}, operator={self.operator!r})"


class EngineResult:
    """A text that came out, and what was replaced in it, the last first. Shown without text."""

    def __init__(self, text: str | None = None, items: list[OperatorResult] | None = None) -> None:
        self.text = text
        self.items = [] if items is None else items

    def to_json(self) -> str:
        """All fields, the text among them."""
        return json.dumps(self, default=vars)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, EngineResult):
            return NotImplemented
        return (self.text, self.items) == (other.text, other.items)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"EngineResult({len(self.items)} items)"


def _parameter(params: Mapping[str, Any], name: str, kind: type) -> Any:
    value = params.get(name)
    if value is None:
        raise InvalidParamError(f"the operator needs the parameter `{name}`")
    if not isinstance(value, kind):
        raise InvalidParamError(f"the parameter `{name}` must be of type `{kind.__name__}`")
    return value


def _replace(text: str, params: Mapping[str, Any]) -> str:
    del text
    value: object = params.get("new_value") or f"<{params['entity_type']}>"
    if not isinstance(value, str):
        raise InvalidParamError("the parameter `new_value` must be of type `str`")
    return value


def _mask(text: str, params: Mapping[str, Any]) -> str:
    char: str = _parameter(params, "masking_char", str)
    count: int = _parameter(params, "chars_to_mask", int)
    from_end = _parameter(params, "from_end", bool)
    if len(char) > 1:
        raise InvalidParamError("the parameter `masking_char` must be one character")
    count = max(0, min(len(text), count))
    kept = len(text) - count
    return text[:kept] + char * count if from_end else char * count + text[count:]


def _hash(text: str, params: Mapping[str, Any]) -> str:
    import hashlib

    kind = params.get("hash_type", "sha256")
    if kind not in {"sha256", "sha512"}:
        raise InvalidParamError('the parameter `hash_type` is "sha256" or "sha512"')
    salt = params["salt"] if "salt" in params else os.urandom(32)
    salt = salt.encode() if isinstance(salt, str) else salt
    if not isinstance(salt, bytes) or len(salt) < 16:
        raise InvalidParamError("the parameter `salt` must be 16 bytes or more; without it each value gets its own")
    return hashlib.new(kind, text.encode() + salt).hexdigest()


def _custom(text: str, params: Mapping[str, Any]) -> str:
    function = params.get("lambda")
    if not callable(function):
        raise InvalidParamError("the parameter `lambda` must be a function")
    value: object = None
    raised = ""
    try:
        value = function(text)
    except Exception as error:  # noqa: BLE001 - whatever it is, it may hold the value
        raised = type(error).__name__
    if raised:
        # Not chained: what the function raised may hold the value.
        raise InvalidParamError(f"the function of a `custom` operator raised {raised}")
    if not isinstance(value, str):
        raise InvalidParamError("the function of a `custom` operator must return `str`")
    return value


def _aes_key(params: Mapping[str, Any]) -> bytes:
    key = params.get("key")
    key = key.encode() if isinstance(key, str) else key
    if not isinstance(key, bytes) or len(key) not in {16, 24, 32}:
        raise InvalidParamError("the parameter `key` must be 128, 192 or 256 bits long")
    return key


def _cipher(key: bytes, vector: bytes) -> tuple[Any, Any]:
    try:
        from cryptography.hazmat.primitives import ciphers, padding  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        message = "`encrypt` and `decrypt` need the package cryptography: `pip install cryptography`"
        raise ConfigError(message) from None
    return ciphers.Cipher(ciphers.algorithms.AES(key), ciphers.modes.CBC(vector)), padding.PKCS7(128)


def _encrypt(text: str, params: Mapping[str, Any]) -> str:
    # Presidio's format, which has no authenticator: `sift_fast.Encrypt` has one.
    import base64

    vector = os.urandom(16)
    cipher, padding = _cipher(_aes_key(params), vector)
    padder, encryptor = padding.padder(), cipher.encryptor()
    padded = padder.update(text.encode()) + padder.finalize()
    return base64.urlsafe_b64encode(vector + encryptor.update(padded) + encryptor.finalize()).decode()


def _decrypt(text: str, params: Mapping[str, Any]) -> str:
    import base64

    key = _aes_key(params)
    try:
        sealed = base64.urlsafe_b64decode(text)
        cipher, padding = _cipher(key, sealed[:16])
        decryptor, unpadder = cipher.decryptor(), padding.unpadder()
        padded = decryptor.update(sealed[16:]) + decryptor.finalize()
        return str(unpadder.update(padded) + unpadder.finalize(), "utf-8")
    except ValueError:
        # It may hold what was decrypted: it is not chained.
        pass
    raise InvalidParamError("a value cannot be decrypted: the key is another one, or the value was changed")


_Operate = Callable[[str, Mapping[str, Any]], str]
_ANONYMIZERS: dict[str, _Operate] = {
    "custom": _custom,
    "encrypt": _encrypt,
    "hash": _hash,
    "keep": lambda text, _: text,
    "mask": _mask,
    "redact": lambda *_: "",
    "replace": _replace,
}
_DEANONYMIZERS: dict[str, _Operate] = {"decrypt": _decrypt, "deanonymize_keep": lambda text, _: text}


class _Engine:
    """What both engines share: operators by name, and the text put together from its end."""

    def __init__(self, operators: dict[str, _Operate]) -> None:
        self._operators = dict(operators)

    def _add(self, operator: Any) -> None:
        """An operator class of the user's, as Presidio's are: `operator_name`, `validate`, `operate`."""
        made = operator()

        def operate(text: str, params: Mapping[str, Any]) -> str:
            made.validate(params=dict(params))
            return str(made.operate(text=text, params=dict(params)))

        self._operators[made.operator_name()] = operate

    def _remove(self, operator: Any) -> None:
        name = operator().operator_name()
        if name not in self._operators:
            raise InvalidParamError("there is no such operator to be removed")
        del self._operators[name]

    def _operate(self, text: str, results: Iterable[Any], operators: Mapping[str, Any]) -> EngineResult:
        # From the end: where results overlap, the later one is replaced whole and the earlier up to where it begins.
        pieces: list[str] = []
        items: list[OperatorResult] = []
        behind, last = 0, len(text)
        for result in sorted(results, key=lambda r: (r.start, r.end), reverse=True):
            if result.start < 0 or result.start > result.end or result.end > len(text):
                raise InvalidParamError(
                    f"a result reaches from {result.start} to {result.end} in a text of {len(text)} characters"
                )
            config = operators.get(result.entity_type) or operators.get("DEFAULT")
            operate = self._operators.get(config.operator_name) if config else None
            if config is None or operate is None:
                raise InvalidParamError("a result has an operator that there is not")
            changed = operate(
                text[result.start : result.end], {**(config.params or {}), "entity_type": result.entity_type}
            )
            tail = text[min(result.end, last) : last]
            pieces += [tail, changed]
            behind += len(tail) + len(changed)
            last = result.start
            score = getattr(result, "score", None)
            items.append(OperatorResult(behind, len(changed), result.entity_type, changed, config.operator_name, score))
        pieces.append(text[:last])
        whole = "".join(reversed(pieces))
        for item in items:
            item.start = len(whole) - item.start
            item.end += item.start
        return EngineResult(whole, items)


class AnonymizerEngine(_Engine):
    """Presidio's `AnonymizerEngine`: the same operators, the same rules for results that overlap."""

    def __init__(self) -> None:
        super().__init__(_ANONYMIZERS)

    def anonymize(
        self,
        text: str,
        analyzer_results: Sequence[Any],
        operators: Mapping[str, Any] | None = None,
        conflict_resolution: Any = ConflictResolutionStrategy.MERGE_SIMILAR_OR_CONTAINED,
        merge_entities_with_spaces: bool = True,
    ) -> EngineResult:
        """Replace results in a text.

        Args:
            text: what was analyzed.
            analyzer_results: ours or Presidio's; they are not changed.
            operators: `OperatorConfig` by entity type, `DEFAULT` for the rest; None for `replace`.
            conflict_resolution: a `ConflictResolutionStrategy`, ours or Presidio's.
            merge_entities_with_spaces: make one of results of one type with only spaces between.

        Raises:
            InvalidParamError: a parameter is wrong, or a result lies outside the text.
        """
        strategy = getattr(conflict_resolution, "value", conflict_resolution)
        if strategy not in {known.value for known in ConflictResolutionStrategy}:
            raise InvalidParamError("`conflict_resolution` is none of ConflictResolutionStrategy")
        results = [RecognizerResult(r.entity_type, r.start, r.end, r.score) for r in analyzer_results]
        results.sort(key=lambda r: (r.start, r.end))
        results = _without_contained(_merged(results))
        if strategy == ConflictResolutionStrategy.REMOVE_INTERSECTIONS.value:
            results = _trimmed(results)
        if merge_entities_with_spaces:
            results = _joined(text, results)
        return self._operate(text, results, {"DEFAULT": OperatorConfig("replace"), **(operators or {})})

    def get_anonymizers(self) -> list[str]:
        """Names of the operators."""
        return list(self._operators)

    def add_anonymizer(self, anonymizer_cls: Any) -> None:
        """Add an operator: a class with `operator_name`, `validate` and `operate`."""
        self._add(anonymizer_cls)

    def remove_anonymizer(self, anonymizer_cls: Any) -> None:
        """Take one away."""
        self._remove(anonymizer_cls)


class DeanonymizeEngine(_Engine):
    """Presidio's `DeanonymizeEngine`: `decrypt` for what `encrypt` has written, ours or Presidio's."""

    def __init__(self) -> None:
        super().__init__(_DEANONYMIZERS)

    def deanonymize(self, text: str, entities: Sequence[Any], operators: Mapping[str, Any]) -> EngineResult:
        """Put values back.

        Args:
            text: what `anonymize` gave.
            entities: the items it gave.
            operators: `OperatorConfig` by entity type, `DEFAULT` for the rest.

        Raises:
            InvalidParamError: a value cannot be decrypted, or has no operator.
        """
        return self._operate(text, entities, operators)

    def get_deanonymizers(self) -> list[str]:
        """Names of the operators."""
        return list(self._operators)

    def add_deanonymizer(self, deanonymizer_cls: Any) -> None:
        """Add an operator: a class with `operator_name`, `validate` and `operate`."""
        self._add(deanonymizer_cls)

    def remove_deanonymizer(self, deanonymizer_cls: Any) -> None:
        """Take one away."""
        self._remove(deanonymizer_cls)


def _merged(results: list[RecognizerResult]) -> list[RecognizerResult]:
    """Results of one type that overlap become one, in the place of the last of them, with the best score."""
    kept: dict[int, RecognizerResult] = {}
    last: dict[str, int] = {}
    for place, result in enumerate(results):
        known = last.get(result.entity_type)
        if known is not None and kept[known].intersects(result):
            other = kept.pop(known)
            result.start = other.start
            result.end = max(other.end, result.end)
            result.score = max(other.score, result.score)
        kept[place] = result
        last[result.entity_type] = place
    return [kept[place] for place in sorted(kept)]


def _without_contained(results: list[RecognizerResult]) -> list[RecognizerResult]:
    """Without what lies in another; of equal spans the best score stays, the last of equals."""
    best: dict[tuple[int, int], int] = {}
    for place, result in enumerate(results):
        span = (result.start, result.end)
        if span not in best or results[best[span]].score <= result.score:
            best[span] = place
    kept, reach = [], -1
    for start, end in sorted(best, key=lambda span: (span[0], -span[1])):
        # Whatever could hold it begins no later and was seen.
        if end > reach:
            kept.append(best[start, end])
            reach = end
    return [results[place] for place in sorted(kept)]


def _trimmed(results: list[RecognizerResult]) -> list[RecognizerResult]:
    """Of two that overlap, the lower score gives way; the later one if they are equal."""
    rest = sorted(results, key=lambda r: (r.start, r.end))
    at = 0
    while at < len(rest) - 1:
        one, two = rest[at], rest[at + 1]
        if one.end <= two.start:
            at += 1
            continue
        if one.score >= two.score:
            two.start = one.end
        else:
            one.end = two.start
        rest.sort(key=lambda r: (r.start, r.end))
    return [result for result in rest if result.start < result.end]


#: One line feed at the end is let pass, as Presidio does.
_SPACES = re.compile(r" +\n?\Z")


def _joined(text: str, results: list[RecognizerResult]) -> list[RecognizerResult]:
    """Neighbours of one type with spaces between become one."""
    joined: list[RecognizerResult] = []
    for result in results:
        if joined:
            last = joined[-1]
            if last.entity_type == result.entity_type and _SPACES.match(text[last.end : result.start]):
                result.start = joined.pop().start
        joined.append(result)
    return joined
