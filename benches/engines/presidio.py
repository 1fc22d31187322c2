"""Microsoft Presidio with its pattern recognizers alone: no model, no tokens.

Its own `NoOpNlpEngine` stands in for spaCy, which spares it the tokens that its context words need; that is in
its favour. `runner` looks for the entities that our rule sets have too, `runner_defaults` for all that its English
configuration has.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from benches.engines.base import Runner, require, version_of
from benches.engines.sift_fast import module

PACKAGE = "presidio-analyzer presidio-anonymizer"

#: Recognizers that read what a model says.
MODELS = ("SpacyRecognizer", "StanzaRecognizer", "TransformersRecognizer")


def _engine() -> tuple[Any, list[str]]:
    analyzer = require("presidio_analyzer", PACKAGE)
    engines = require("presidio_analyzer.nlp_engine", PACKAGE)
    # Its e-mail recognizer would fetch the list of public suffixes; the one that comes with the package will do.
    suffixes = require("tldextract.tldextract", PACKAGE)
    suffixes.TLD_EXTRACTOR = suffixes.TLDExtract(suffix_list_urls=(), cache_dir=None)
    # It warns once for each recognizer of another language.
    logging.getLogger("presidio-analyzer").setLevel(logging.ERROR)
    registry = analyzer.RecognizerRegistry(supported_languages=["en"])
    registry.load_predefined_recognizers(languages=["en"])
    for name in MODELS:
        registry.remove_recognizer(name)
    nothing = engines.NoOpNlpEngine(models=[{"lang_code": "en", "model_name": "none"}])
    nothing.load()
    engine = analyzer.AnalyzerEngine(registry=registry, nlp_engine=nothing, supported_languages=["en"])
    return engine, sorted(engine.get_supported_entities("en"))


def entities() -> list[str]:
    """What its pattern recognizers look for in English."""
    return _engine()[1]


def _read(found: Any) -> int:
    seen = 0
    for item in found:
        _ = item.entity_type, item.start, item.end
        seen += 1
    return seen


def _runner(name: str, only: Sequence[str] | None) -> Runner:
    engine, known = _engine()
    entities = known if only is None else [entity for entity in known if entity in only]
    anonymizer = require("presidio_anonymizer", PACKAGE).AnonymizerEngine()

    def scan(text: str) -> Any:
        return engine.analyze(text, "en", entities=entities)

    def redact(text: str) -> str:
        return str(anonymizer.anonymize(text, scan(text)).text)

    what = "all entities" if only is None else "the entities that both have"
    return Runner(
        name=name,
        version=version_of("presidio-analyzer"),
        settings=f"its English pattern recognizers, no model, {what} ({', '.join(entities)})",
        scan=scan,
        count=len,
        read=_read,
        redact=redact,
        facts={"entities": entities},
    )


def runner(rules: Sequence[str]) -> Runner:
    """The entities that our sets have too."""
    return _runner("presidio", sorted({rule.entity_type for rule in module().Scanner(rules=list(rules)).rules}))


def runner_defaults(rules: Sequence[str]) -> Runner:
    """Everything it looks for in English."""
    del rules
    return _runner("presidio_defaults", None)
