"""`InjectionClassifier`: the tiers, how they are put together, and what one text got.

Tier 1 are the rules of the set `injection`; tier 2 is the n-gram scorer. Both read every text: together they take
some microseconds for a kilobyte. Their answers are added as log-odds, so each can only raise the score.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, final

from sift_fast import _core
from sift_fast.errors import ConfigError
from sift_fast.scanner import _INLINE, Scanner
from sift_fast.types import Value

if TYPE_CHECKING:
    from sift_fast.classifier.calibration import Calibration
    from sift_fast.types import Text

TierName: TypeAlias = Literal["rules", "ngrams"]

# Log-odds that a rule of score 1 adds. Chosen on the calibration and development splits of
# models/injection-ngram/README.md.
RULE_WEIGHT = 6.0

# Log-odds above which a text is an attack unless a calibration says otherwise: 1 in 1,000 harmless texts of the
# calibration split is above (`models/injection-ngram/evaluate.py`).
DEFAULT_LOGIT = 1.0


@final
class Assessment(Value):
    """What the classifier found in one text. Holds no text.

    Attributes:
        score: 0 to 1; an order, not a probability: see docs/injection.md.
        flagged: whether `score` is above the threshold.
        tiers: which tiers are above the threshold by themselves, or both if only their sum is.
        start: begin of the window that the n-grams judged worst, in code points of `str` and bytes of the rest.
        end: its end.
        decoded: how that window is encoded, outermost first; empty for plain text.
        rule_ids: rules that matched.
        incomplete: what was left unread: limits of the scan, `decode` for encodings that lie too deep.
    """

    __slots__ = ("score", "flagged", "tiers", "start", "end", "decoded", "rule_ids", "incomplete")  # noqa: RUF023 -- order of arguments

    score: float
    flagged: bool
    tiers: tuple[TierName, ...]
    start: int
    end: int
    decoded: tuple[str, ...]
    rule_ids: tuple[str, ...]
    incomplete: tuple[str, ...]

    def __init__(
        self,
        score: float,
        flagged: bool,
        tiers: tuple[TierName, ...],
        start: int,
        end: int,
        decoded: tuple[str, ...],
        rule_ids: tuple[str, ...],
        incomplete: tuple[str, ...],
    ) -> None:
        values = (score, flagged, tiers, start, end, decoded, rule_ids, incomplete)
        for name, value in zip(self.__slots__, values, strict=True):
            object.__setattr__(self, name, value)


class InjectionClassifier:
    """Scores texts for prompt injections; shared by threads.

    Args:
        calibration: thresholds for your own traffic; None for the threshold that is shipped.
        stage: which of its thresholds is meant: `input`, `retrieval`, `tool_input`, `tool_output`, `output`, or `all`.

    Raises:
        ConfigError: the calibration was made with other weights or other rules, or has no such stage.

    Example:
        >>> InjectionClassifier().score("nothing to see here") < 0.5
        True
    """

    __slots__ = ("_ngrams", "_scanner", "_threshold_logit")

    def __init__(self, *, calibration: Calibration | None = None, stage: str = "all") -> None:
        self._ngrams = _core.NgramScorer()
        self._scanner = Scanner(["injection"])
        self._threshold_logit = DEFAULT_LOGIT
        if calibration is not None:
            calibration.check(self.versions)
            self._threshold_logit = _logit(calibration.threshold(stage))

    @classmethod
    def default(cls, *, model: bool = False) -> InjectionClassifier:
        """The classifier as it is shipped.

        Args:
            model: must be False: there is no encoder model yet.

        Raises:
            ConfigError: `model` is True.
        """
        if model:
            raise ConfigError("`model=True` needs an encoder model, which this version does not have: leave it out")
        return cls()

    @property
    def threshold(self) -> float:
        """Scores above are attacks."""
        return _sigmoid(self._threshold_logit)

    @property
    def versions(self) -> dict[str, str]:
        """What a calibration depends on: hashes of the rules and of the weights, and how they are added."""
        return {
            "rules": self._scanner.hash,
            "ngrams": self._ngrams.hash,
            "rule_weight": f"{RULE_WEIGHT:g}",
        }

    def score(self, text: Text) -> float:
        """How much a text is like an attack.

        Args:
            text: of any length; the time is linear in it.

        Returns:
            0 to 1, to be compared with `threshold`.

        Raises:
            LimitExceeded: the text is longer than `Limits.text_bytes`.
            TypeError: it is no text.
        """
        found = self._scanner.scan(text)
        logit = self._ngrams.score(text)[0]
        if found:
            logit += RULE_WEIGHT * max(finding.score for finding in found)
        return _sigmoid(logit)

    def assess(self, text: Text) -> Assessment:
        """As `score`, with what it is made of.

        Raises:
            LimitExceeded: the text is longer than `Limits.text_bytes`.
            TypeError: it is no text.
        """
        return self._assessment(self._scanner.scan(text), self._ngrams.score(text))

    def score_batch(self, texts: Iterable[Text], threads: int | None = None) -> list[float]:
        """`score` of many texts, on threads.

        Args:
            texts: all `str`, or all of binary types.
            threads: how many; None for one for each core.

        Returns:
            Scores, in order.

        Raises:
            ConfigError: `threads` is out of range.
            LimitExceeded: a text is longer than `Limits.text_bytes`.
            TypeError: something in it is no text, or `str` and binary types are mixed.
        """
        return [assessment.score for assessment in self.assess_batch(texts, threads)]

    def assess_batch(self, texts: Iterable[Text], threads: int | None = None) -> list[Assessment]:
        """`assess` of many texts, on threads. Arguments and errors as for `score_batch`."""
        if isinstance(texts, str | bytes | bytearray | memoryview):
            raise TypeError("assess_batch takes many texts: for a single one use `assess`")
        # Texts of two kinds in one batch are told from one another by the scanner, which refuses them.
        held: list[Any] = list(texts)
        batch = self._scanner.scan_batch(held, threads=threads)
        rows = self._ngrams.score_batch(held, threads)
        return [self._assessment(batch[number], row) for number, row in enumerate(rows)]

    async def score_async(self, text: Text) -> float:
        """`score` without keeping the event loop from other work: texts above 64 KiB are read on a thread.

        Raises:
            LimitExceeded: the text is longer than `Limits.text_bytes`.
            TypeError: it is no text.
        """
        length = len(text) if isinstance(text, (str, bytes, bytearray)) else getattr(text, "nbytes", 0)
        if length <= _INLINE:
            return self.score(text)
        import asyncio

        # The thread may start after the caller has gone on and written to its buffer.
        if isinstance(text, bytearray) or (isinstance(text, memoryview) and not text.readonly):
            text = bytes(text)
        return await asyncio.to_thread(self.score, text)

    def _assessment(self, found: _core.Findings, row: tuple[float, int, int, tuple[str, ...], bool]) -> Assessment:
        ngrams, start, end, decoded, unread = row
        rules = RULE_WEIGHT * max((finding.score for finding in found), default=0.0)
        total, limit = ngrams + rules, self._threshold_logit
        tiers: tuple[TierName, ...] = ()
        if total > limit:
            alone: list[tuple[TierName, float]] = [("rules", rules + _SILENT), ("ngrams", ngrams)]
            tiers = tuple(name for name, logit in alone if logit > limit) or ("rules", "ngrams")
        return Assessment(
            _sigmoid(total),
            total > limit,
            tiers,
            start,
            end,
            decoded,
            tuple(dict.fromkeys(finding.rule_id for finding in found)),
            (*found.incomplete, *(("decode",) if unread else ())),
        )

    def __repr__(self) -> str:
        return f"InjectionClassifier(threshold={self.threshold:.4f})"


# What the n-grams say of a text without any feature of attacks: rules by themselves stand before this.
_SILENT = -2.0


def _sigmoid(logit: float) -> float:
    return 1.0 / (1.0 + math.exp(-logit)) if logit >= 0 else math.exp(logit) / (1.0 + math.exp(logit))


def _logit(score: float) -> float:
    score = min(max(score, 1e-12), 1 - 1e-12)
    return math.log(score / (1 - score))
