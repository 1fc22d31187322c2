"""The injection classifier as a guardrail: rules and n-grams, in microseconds, so that it runs beside the scan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sift_fast.errors import ConfigError, LimitExceeded
from sift_fast.guard._checks import Call, Check
from sift_fast.guard.verdict import Signal, Stage

if TYPE_CHECKING:
    from sift_fast.classifier import InjectionClassifier
    from sift_fast.guard.config import ClassifierConfig, GuardConfig

__all__ = ["Injection", "builtin", "is_quick"]

# What the classifier is made of where it needs no thread: these tiers read a kilobyte in microseconds.
_QUICK = {"rules", "ngrams", "rule_weight"}


class Injection(Check):
    """Scores of the classifier above its threshold.

    Args:
        name: its name.
        table: its settings.
        classifiers: one for each stage, with the threshold of that stage.
    """

    def __init__(self, name: str, table: ClassifierConfig, classifiers: dict[Stage, InjectionClassifier]) -> None:
        super().__init__(name, table)
        self._classifiers = classifiers
        self._most = table.max_chars
        self._least = {stage: table.min_score or classifier.threshold for stage, classifier in classifiers.items()}

    def run(self, call: Call) -> Signal | None:
        """Judges the whole text by its worst window.

        Raises:
            LimitExceeded: a part of it was not read.
        """
        if len(call.text) > self._most:
            raise LimitExceeded(f"guardrail `{self.name}` reads at most {self._most} characters")
        seen = self._classifiers[call.stage].assess(call.text)
        if seen.score < self._least[call.stage]:
            if seen.incomplete:
                raise LimitExceeded(f"guardrail `{self.name}` left a part of the text unread")
            return None
        return Signal("classifier.injection", seen.score, rules=seen.rule_ids)


def is_quick(classifier: Any) -> bool:
    """Whether a classifier is this package's and has no tier that needs a thread."""
    from sift_fast.classifier import InjectionClassifier

    return isinstance(classifier, InjectionClassifier) and set(classifier.versions) <= _QUICK


def builtin(table: ClassifierConfig, config: GuardConfig) -> dict[Stage, InjectionClassifier]:
    """The classifiers of this package, by stage.

    Raises:
        ConfigError: the calibration cannot be read, is of another version, or has no threshold for a stage.
    """
    from sift_fast.classifier import Calibration, InjectionClassifier

    if table.calibration is None:
        one = InjectionClassifier()
        return dict.fromkeys(table.stages, one)
    try:
        calibration = Calibration.load(config.path(table.calibration))
    except OSError as error:
        reason = (error.strerror or "not readable").lower()
        raise ConfigError(f"the calibration cannot be read: {reason}") from None
    return {stage: InjectionClassifier(calibration=calibration, stage=stage) for stage in table.stages}
