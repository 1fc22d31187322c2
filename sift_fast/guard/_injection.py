"""The injection classifier as a guardrail.

Rules and n-grams take microseconds, so they run beside the scan. With an encoder, or as somebody else's, it waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from sift_fast.errors import ConfigError, LimitExceeded
from sift_fast.guard._checks import Call, Check
from sift_fast.guard.verdict import Opinion, Signal, Stage

if TYPE_CHECKING:
    from sift_fast.classifier import InjectionClassifier
    from sift_fast.guard.config import ClassifierConfig, GuardConfig

__all__ = ["Injection", "asking", "builtin", "is_quick", "thresholds_of"]

#: Characters that the first tiers read in the event loop.
_INLINE = 4_096
#: The threshold of a classifier that names none.
_USUAL = 0.5

# What the classifier is made of where it needs no thread: these tiers read a kilobyte in microseconds.
_QUICK = {"rules", "ngrams", "rule_weight"}


class Injection(Check):
    """Scores of the classifier above its threshold.

    Args:
        name: its name.
        table: its settings.
        classifier: rules and n-grams.
        thresholds: by stage.
    """

    def __init__(
        self, name: str, table: ClassifierConfig, classifier: InjectionClassifier, thresholds: Mapping[Stage, float]
    ) -> None:
        super().__init__(name, table)
        self._classifier = classifier
        self._most = table.max_chars
        self.thresholds = thresholds

    def run(self, call: Call) -> Signal | None:
        """Judges the whole text by its worst window.

        Raises:
            LimitExceeded: a part of it was not read.
        """
        if len(call.text) > self._most:
            raise LimitExceeded(f"guardrail `{self.name}` reads at most {self._most} characters")
        seen = self._classifier.assess(call.text)
        if seen.score < self.thresholds[call.stage]:
            if seen.incomplete:
                raise LimitExceeded(f"guardrail `{self.name}` left a part of the text unread")
            return None
        return Signal("classifier.injection", seen.score, rules=seen.rule_ids)


def asking(classifier: Any, thresholds: Mapping[Stage, float]) -> Callable[[str, Stage], Any]:
    """What asks a classifier of this package that has an encoder: texts that wait together are judged together.

    Its answer is a score of 0 below the threshold of the stage.
    """

    async def ask(text: str, stage: Stage) -> Opinion:
        if len(text) <= _INLINE:
            seen = await classifier.assess_async(text)
        else:
            seen = await asyncio.to_thread(classifier.assess, text)
        if seen.score >= thresholds[stage]:
            return Opinion(seen.score, "classifier.injection")
        if seen.incomplete:
            raise LimitExceeded("the classifier left a part of the text unread")
        return Opinion(0.0)

    return ask


def thresholds_of(table: ClassifierConfig, config: GuardConfig, classifier: Any) -> dict[Stage, float]:
    """From which score on a text is an attack, by stage: as the table says, the calibration, or the classifier.

    Raises:
        ConfigError: the calibration cannot be read, is of another version, or has no threshold for a stage.
    """
    if table.min_score:
        return dict.fromkeys(table.stages, table.min_score)
    if table.calibration is None:
        return dict.fromkeys(table.stages, getattr(classifier, "threshold", _USUAL))
    from sift_fast.classifier import Calibration

    try:
        calibration = Calibration.load(config.path(table.calibration))
    except OSError as error:
        reason = (error.strerror or "not readable").lower()
        raise ConfigError(f"the calibration cannot be read: {reason}") from None
    calibration.check(classifier.versions)
    return {stage: calibration.threshold(stage) for stage in table.stages}


def is_quick(classifier: Any) -> bool:
    """Whether a classifier is this package's and has no tier that needs a thread."""
    from sift_fast.classifier import InjectionClassifier

    return isinstance(classifier, InjectionClassifier) and set(classifier.versions) <= _QUICK


def builtin(table: ClassifierConfig, config: GuardConfig) -> InjectionClassifier:
    """The classifier of this package, with an encoder if the table names one.

    Raises:
        ConfigError: the encoder cannot be loaded.
    """
    from sift_fast.classifier import InjectionClassifier

    if table.encoder is None:
        return InjectionClassifier()
    try:
        return InjectionClassifier(
            model=config.path(table.encoder),
            model_sha256=table.encoder_sha256 or None,
            timeout_ms=float(table.timeout_ms),
        )
    except OSError as error:
        reason = (error.strerror or "not readable").lower()
        raise ConfigError(f"the encoder cannot be read: {reason}") from None
