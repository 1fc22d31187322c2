"""`InjectionClassifier`: the tiers, how they are put together, and what one text got.

Tier 1 are the rules of the set `injection`; tier 2 is the n-gram scorer. Both read every text: together they take
some microseconds for a kilobyte. Tier 3 is an encoder, if one was given: it is asked about texts of which the first
two are not sure (`Band`). The answers are added as log-odds, none of them negative, so each can only raise the score.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, final

from sift_fast import _core
from sift_fast.errors import ConfigError
from sift_fast.scanner import _INLINE, Scanner
from sift_fast.types import Value

if TYPE_CHECKING:
    from sift_fast.classifier.calibration import Calibration
    from sift_fast.classifier.encoder import Judgement
    from sift_fast.classifier.tier3 import Asked, EncoderTier, ModelStatus
    from sift_fast.types import Text

TierName: TypeAlias = Literal["rules", "ngrams", "encoder"]
_Row: TypeAlias = tuple[float, int, int, tuple[str, ...], bool]

#: Names the folder of the encoder for `InjectionClassifier.default(model=True)`.
MODEL_VARIABLE = "SIFT_FAST_INJECTION_MODEL"

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
        tiers: which tiers are above the threshold by themselves, or all that were asked if only their sum is. The
            encoder is one of them if the others were not above without it.
        start: begin of the window that the n-grams judged worst, in code points of `str` and bytes of the rest.
        end: its end.
        decoded: how that window is encoded, outermost first; empty for plain text.
        rule_ids: rules that matched.
        incomplete: what was left unread: limits of the scan, `decode` for encodings that lie too deep, `encoder` for
            suspicious parts that the encoder should have read and did not: too many, too late, or it failed.
        asked: how the encoder stands to this text: `none`, `unasked`, `answered`, `cached`, `late`, `failed`.
    """

    __slots__ = ("score", "flagged", "tiers", "start", "end", "decoded", "rule_ids", "incomplete", "asked")  # noqa: RUF023 -- order of arguments

    score: float
    flagged: bool
    tiers: tuple[TierName, ...]
    start: int
    end: int
    decoded: tuple[str, ...]
    rule_ids: tuple[str, ...]
    incomplete: tuple[str, ...]
    asked: Asked

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
        asked: Asked = "none",
    ) -> None:
        values = (score, flagged, tiers, start, end, decoded, rule_ids, incomplete, asked)
        for name, value in zip(self.__slots__, values, strict=True):
            object.__setattr__(self, name, value)


class InjectionClassifier:
    """Scores texts for prompt injections; shared by threads.

    Args:
        calibration: thresholds for your own traffic; None for the threshold that is shipped.
        stage: which of its thresholds is meant: `input`, `retrieval`, `tool_input`, `tool_output`, `output`, or `all`.
        model: folder of an encoder (docs/injection.md), the third tier; None for rules and n-grams alone.
        model_sha256: expected hash of the folder's manifest, in hexadecimal digits; None takes the folder's word.
        timeout_ms: how long a text waits for the encoder before the verdict is given without it.
        threads: how many batches the encoder computes at a time, one core each.
        queue: most texts that wait for the encoder.

    Raises:
        ConfigError: the calibration was made with other weights or other rules, or has no such stage; the encoder
            cannot be loaded, or onnxruntime is missing.

    Example:
        >>> InjectionClassifier().score("nothing to see here") < 0.5
        True
    """

    __slots__ = ("_encoder", "_ngrams", "_scanner", "_threshold_logit")

    def __init__(
        self,
        *,
        calibration: Calibration | None = None,
        stage: str = "all",
        model: str | os.PathLike[str] | None = None,
        model_sha256: str | None = None,
        timeout_ms: float = 1_000.0,
        threads: int = 1,
        queue: int = 256,
    ) -> None:
        self._ngrams = _core.NgramScorer()
        self._scanner = Scanner(["injection"])
        self._threshold_logit = DEFAULT_LOGIT
        self._encoder: EncoderTier | None = None
        if model is not None:
            # onnxruntime takes a tenth of a second to load, and threads of its own are not everybody's wish.
            from sift_fast.classifier.encoder import Encoder
            from sift_fast.classifier.tier3 import EncoderTier

            encoder = Encoder.open(model, ngrams=self._ngrams, sha256=model_sha256)
            self._threshold_logit = encoder.band.threshold
            key = f"{self._scanner.hash}\0{self._ngrams.hash}"
            self._encoder = EncoderTier(encoder, key=key, timeout_ms=timeout_ms, threads=threads, queue=queue)
        if calibration is not None:
            calibration.check(self.versions)
            self._threshold_logit = _logit(calibration.threshold(stage))

    @classmethod
    def default(cls, *, model: bool = False) -> InjectionClassifier:
        """The classifier as it is shipped.

        Args:
            model: whether to ask an encoder, too: the one whose folder the environment variable
                `SIFT_FAST_INJECTION_MODEL` names. Its weights are not in the wheel.

        Raises:
            ConfigError: `model` is True and the variable is not set, or the encoder cannot be loaded.
        """
        if not model:
            return cls()
        folder = os.environ.get(MODEL_VARIABLE)
        if not folder:
            raise ConfigError(f"`model=True` needs an encoder: name its folder in {MODEL_VARIABLE}, or pass `model=`")
        return cls(model=folder)

    @property
    def threshold(self) -> float:
        """Scores above are attacks."""
        return _sigmoid(self._threshold_logit)

    @property
    def versions(self) -> dict[str, str]:
        """What a calibration depends on: hashes of the rules and of the weights, and how they are added."""
        versions = {
            "rules": self._scanner.hash,
            "ngrams": self._ngrams.hash,
            "rule_weight": f"{RULE_WEIGHT:g}",
        }
        if self._encoder is not None:
            # The manifest holds the hashes of model and vocabulary, and the band.
            versions["encoder"] = self._encoder.encoder.hash
        return versions

    @property
    def status(self) -> ModelStatus:
        """How the encoder does; `state` is `none` if there is none."""
        from sift_fast.classifier.tier3 import ModelStatus

        return ModelStatus("none", None, 0, 0, 0, 0, 0, 0) if self._encoder is None else self._encoder.status

    def close(self) -> None:
        """End the threads of the encoder; texts that wait for it get their verdict without it."""
        if self._encoder is not None:
            self._encoder.close()

    def score(self, text: Text) -> float:
        """How much a text is like an attack.

        Args:
            text: of any length; the time is linear in it.

        Returns:
            0 to 1, to be compared with `threshold`. An encoder that is late or fails adds nothing: `assess` says so.

        Raises:
            LimitExceeded: the text is longer than `Limits.text_bytes`.
            TypeError: it is no text.
        """
        found = self._scanner.scan(text)
        logit = self._ngrams.score(text)[0] + _of_rules(found)
        tier = self._asked(logit)
        return _sigmoid(logit if tier is None else logit + self._added(tier.ask(_decoded(text))[1]))

    def assess(self, text: Text) -> Assessment:
        """As `score`, with what it is made of.

        Raises:
            LimitExceeded: the text is longer than `Limits.text_bytes`.
            TypeError: it is no text.
        """
        found, row = self._scanner.scan(text), self._ngrams.score(text)
        tier = self._asked(row[0] + _of_rules(found))
        return self._assessment(found, row, None if tier is None else tier.ask(_decoded(text)))

    async def assess_async(self, text: Text) -> Assessment:
        """`assess` without keeping the event loop from other work.

        Texts above 64 KiB are read on a thread; the encoder's answer is waited for as a task does, and a task that is
        cancelled takes its text out of the queue. Texts of tasks that wait together are judged together.

        Raises:
            LimitExceeded: the text is longer than `Limits.text_bytes`.
            TypeError: it is no text.
        """
        found, row, text = await self._read_async(text)
        tier = self._asked(row[0] + _of_rules(found))
        return self._assessment(found, row, None if tier is None else await tier.ask_async(_decoded(text)))

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
        out = []
        for number, row in enumerate(rows):
            found = batch[number]
            tier = self._asked(row[0] + _of_rules(found))
            out.append(self._assessment(found, row, None if tier is None else tier.ask_now(_decoded(held[number]))))
        return out

    async def score_async(self, text: Text) -> float:
        """`score` without keeping the event loop from other work: as `assess_async`.

        Raises:
            LimitExceeded: the text is longer than `Limits.text_bytes`.
            TypeError: it is no text.
        """
        found, row, text = await self._read_async(text)
        logit = row[0] + _of_rules(found)
        tier = self._asked(logit)
        return _sigmoid(logit if tier is None else logit + self._added((await tier.ask_async(_decoded(text)))[1]))

    async def _read_async(self, text: Text) -> tuple[_core.Findings, _Row, Text]:
        """What the first two tiers say, and the text as it was then."""
        length = len(text) if isinstance(text, (str, bytes, bytearray)) else getattr(text, "nbytes", 0)
        # A thread may start after the caller has gone on and written to its buffer, and so may the encoder.
        if isinstance(text, bytearray) or (isinstance(text, memoryview) and not text.readonly):
            text = bytes(text)
        if length <= _INLINE:
            return self._scanner.scan(text), self._ngrams.score(text), text
        import asyncio

        return await asyncio.to_thread(lambda: (self._scanner.scan(text), self._ngrams.score(text), text))

    def _asked(self, logit: float) -> EncoderTier | None:
        """The encoder, if it is to be asked about a text with these log-odds."""
        return self._encoder if self._encoder is not None and self._encoder.encoder.band.holds(logit) else None

    def _added(self, judgement: Judgement | None) -> float:
        """What the encoder's answer adds; no answer adds nothing."""
        if self._encoder is None or judgement is None or judgement.logit is None:
            return 0.0
        return self._encoder.encoder.band.added(judgement.logit)

    def _assessment(
        self, found: _core.Findings, row: _Row, answer: tuple[Asked, Judgement | None] | None
    ) -> Assessment:
        ngrams, start, end, decoded, unread = row
        rules = _of_rules(found)
        asked, judgement = answer or ("none" if self._encoder is None else "unasked", None)
        encoder = self._added(judgement)
        before, limit = ngrams + rules, self._threshold_logit
        total = before + encoder
        tiers: tuple[TierName, ...] = ()
        if total > limit:
            alone: list[tuple[TierName, float]] = [("rules", rules + _SILENT), ("ngrams", ngrams)]
            tiers = tuple(name for name, logit in alone if logit > limit)
            if before <= limit:
                tiers = ("ngrams", "encoder") if not rules else ("rules", "ngrams", "encoder")
            tiers = tiers or ("rules", "ngrams")
        missed = asked in {"late", "failed"} or (judgement is not None and judgement.unread)
        return Assessment(
            _sigmoid(total),
            total > limit,
            tiers,
            start,
            end,
            decoded,
            tuple(dict.fromkeys(finding.rule_id for finding in found)),
            (*found.incomplete, *(("decode",) if unread else ()), *(("encoder",) if missed else ())),
            asked,
        )

    def __repr__(self) -> str:
        encoder = "" if self._encoder is None else f", model='{self._encoder.encoder.hash[:12]}'"
        return f"InjectionClassifier(threshold={self.threshold:.4f}{encoder})"


# What the n-grams say of a text without any feature of attacks: rules by themselves stand before this.
_SILENT = -2.0


def _of_rules(found: _core.Findings) -> float:
    """What the rules say, as log-odds."""
    return RULE_WEIGHT * max((finding.score for finding in found), default=0.0)


def _decoded(text: Text) -> str:
    """A text as the encoder reads it."""
    return text if isinstance(text, str) else bytes(text).decode("utf-8", "replace")


def _sigmoid(logit: float) -> float:
    return 1.0 / (1.0 + math.exp(-logit)) if logit >= 0 else math.exp(logit) / (1.0 + math.exp(logit))


def _logit(score: float) -> float:
    score = min(max(score, 1e-12), 1 - 1e-12)
    return math.log(score / (1 - score))
