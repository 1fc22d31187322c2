"""Thresholds for a chosen false-positive rate, from texts that are known to be harmless, and what they are worth.

A threshold is a statement about traffic: "of texts like these, at most one in a thousand is flagged". It holds for
the rules and weights it was made with, and for the traffic it was made from; `Calibration` remembers both.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, final

from sift_fast.errors import ConfigError
from sift_fast.types import Value

FORMAT = "sift-fast-calibration/1"
#: Stages of a guard; `all` is every text, whatever its stage.
STAGES = ("input", "retrieval", "tool_input", "tool_output", "output")


@final
class Interval(Value):
    """A share that was counted, and what it may be: the exact interval of Clopper and Pearson (1934), 95 %.

    Args:
        hits: how often it happened.
        count: of how many.

    Example:
        >>> Interval(0, 100).share, round(Interval(0, 100).high, 3)
        (0.0, 0.036)
    """

    __slots__ = ("hits", "count")  # noqa: RUF023 -- order of arguments

    hits: int
    count: int

    def __init__(self, hits: int, count: int) -> None:
        object.__setattr__(self, "hits", hits)
        object.__setattr__(self, "count", count)

    @property
    def share(self) -> float:
        """What was counted, 0 to 1; 0 of nothing."""
        return self.hits / self.count if self.count else 0.0

    @property
    def low(self) -> float:
        """The least that it may be."""
        if not self.hits:
            return 0.0
        return _solve(lambda share: 1 - _at_most(self.hits - 1, self.count, share), 0.025)

    @property
    def high(self) -> float:
        """The most that it may be."""
        if self.hits >= self.count:
            return 1.0
        return _solve(lambda share: 1 - _at_most(self.hits, self.count, share), 0.975)


def _at_most(hits: int, count: int, share: float) -> float:
    """The chance of at most `hits` of `count`, each with the chance `share`."""
    if share <= 0:
        return 1.0
    if share >= 1:
        return float(hits >= count)
    log, rest = math.log(share), math.log1p(-share)
    total = math.lgamma(count + 1)
    terms = (
        total - math.lgamma(k + 1) - math.lgamma(count - k + 1) + k * log + (count - k) * rest for k in range(hits + 1)
    )
    return min(1.0, math.fsum(math.exp(term) for term in terms))


def _solve(rising: Any, value: float) -> float:
    """Where a rising function on [0, 1] has this value."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < value else (low, middle)
    return (low + high) / 2


@final
class StageThreshold(Value):
    """The threshold of one stage.

    Attributes:
        stage: which texts it is for.
        threshold: scores above are flagged.
        wrong: harmless texts above it, of all harmless ones that were seen.
        caught: attacks above it, of all attacks that were seen.
        enough: whether there were enough harmless texts for the rate that was asked for: 3 divided by it, below which
            not even "none was flagged" says that the rate is kept (95 %, the rule of three).
    """

    __slots__ = ("stage", "threshold", "wrong", "caught", "enough")  # noqa: RUF023 -- order of arguments

    stage: str
    threshold: float
    wrong: Interval
    caught: Interval
    enough: bool

    def __init__(self, stage: str, threshold: float, wrong: Interval, caught: Interval, enough: bool) -> None:
        for name, value in zip(self.__slots__, (stage, threshold, wrong, caught, enough), strict=True):
            object.__setattr__(self, name, value)


def threshold_for(scores: Sequence[float], rate: float) -> float:
    """The lowest threshold above which at most `rate` of these scores lie.

    Args:
        scores: of harmless texts.
        rate: 0 to 1.

    Returns:
        A number between two scores, or the highest of them if none may be above.

    Raises:
        ConfigError: there are no scores.

    Example:
        >>> threshold_for([0.1, 0.2, 0.3, 0.9], 0.25)
        0.6
    """
    if not scores:
        raise ConfigError("a threshold needs scores of harmless texts: there are none")
    ordered = sorted(scores, reverse=True)
    allowed = int(len(ordered) * rate + 1e-9)
    if allowed >= len(ordered):
        return 0.0
    below = ordered[allowed]
    # None may be above: the highest itself, for what lies beyond it is not known.
    above = ordered[allowed - 1] if allowed else below
    # Several texts with one score are above together or not at all.
    return (below + above) / 2


@final
class Independence(Value):
    """How far layers miss the same attacks.

    Two layers that each miss 1 in 100 miss 1 in 10,000 together if they are independent, and 1 in 100 if they are
    not: which of the two is seen only here.

    Attributes:
        names: the layers.
        joint: for each pair, attacks that both miss, of all; on the diagonal what the layer itself misses.
        all_miss: attacks that every layer misses.
        effective: how many independent layers, each as good as the geometric mean of these, would miss as many:
            log(share that all miss) / mean of log(share that one misses). As many as there are layers if they are
            independent, 1 if they miss the same; None if some layer, or all together, miss nothing.
    """

    __slots__ = ("names", "joint", "all_miss", "effective")  # noqa: RUF023 -- order of arguments

    names: tuple[str, ...]
    joint: tuple[tuple[Interval, ...], ...]
    all_miss: Interval
    effective: float | None

    def __init__(self, misses: Mapping[str, Sequence[bool]]) -> None:
        """`misses`: for each layer, whether it missed each attack, in one order."""
        names = tuple(misses)
        columns = [list(misses[name]) for name in names]
        count = len(columns[0]) if columns else 0
        if any(len(column) != count for column in columns):
            raise ConfigError("every layer must be asked about the same attacks")
        joint = tuple(tuple(Interval(sum(map(_both, a, b)), count) for b in columns) for a in columns)
        together = Interval(sum(map(all, zip(*columns, strict=True))), count)
        shares = [joint[number][number].share for number in range(len(names))]
        effective = None
        if together.hits and all(0 < share < 1 for share in shares):
            effective = math.log(together.share) / (sum(map(math.log, shares)) / len(shares))
        for name, value in zip(self.__slots__, (names, joint, together, effective), strict=True):
            object.__setattr__(self, name, value)


def _both(a: bool, b: bool) -> bool:
    return a and b


@final
class Calibration(Value):
    """Thresholds by stage, and what they hold for.

    Attributes:
        rate: the share of harmless texts that may be flagged.
        stages: one threshold for each stage that had texts, `all` among them.
        versions: what the scores depend on: `InjectionClassifier.versions`, or your own guardrail's.
        model_version: the version of the model that is protected, if it was named.

    Raises:
        ConfigError: there are no stages.
    """

    __slots__ = ("rate", "stages", "versions", "model_version")  # noqa: RUF023 -- order of arguments

    rate: float
    stages: tuple[StageThreshold, ...]
    versions: Mapping[str, str]
    model_version: str | None

    def __init__(
        self,
        rate: float,
        stages: Sequence[StageThreshold],
        versions: Mapping[str, str],
        model_version: str | None = None,
    ) -> None:
        if not stages:
            raise ConfigError("a calibration has at least one stage")
        for name, value in zip(self.__slots__, (rate, tuple(stages), dict(versions), model_version), strict=True):
            object.__setattr__(self, name, value)

    def __hash__(self) -> int:
        return hash(self.digest)

    @classmethod
    def fit(
        cls,
        rows: Sequence[tuple[str, bool, float]],
        rate: float,
        versions: Mapping[str, str],
        model_version: str | None = None,
    ) -> Calibration:
        """Thresholds from rows of stage, whether it is an attack, and score.

        Args:
            rows: any number; stages without harmless texts get no threshold.
            rate: the share of harmless texts that may be flagged, between 0 and 1.
            versions: see the class.
            model_version: see the class.

        Raises:
            ConfigError: the rate is out of range, or there are no harmless texts.

        Example:
            >>> Calibration.fit([("input", False, 0.1), ("input", True, 0.9)], 0.01, {}).threshold("input")
            0.1
        """
        if not 0 < rate < 1:
            raise ConfigError("the share of harmless texts that may be flagged is above 0 and below 1")
        found = []
        for stage in ("all", *sorted({row[0] for row in rows} - {"all"})):
            own = [row for row in rows if stage in ("all", row[0])]
            harmless = [score for _, attack, score in own if not attack]
            if not harmless:
                continue
            threshold = threshold_for(harmless, rate)
            attacks = [score for _, attack, score in own if attack]
            wrong = Interval(sum(score > threshold for score in harmless), len(harmless))
            caught = Interval(sum(score > threshold for score in attacks), len(attacks))
            found.append(StageThreshold(stage, threshold, wrong, caught, len(harmless) * rate >= 3))
        if not found:
            raise ConfigError("a calibration needs harmless texts: there are none")
        return cls(rate, found, versions, model_version)

    def threshold(self, stage: str) -> float:
        """The threshold of a stage; that of `all` texts where the stage had none of its own.

        Raises:
            ConfigError: there is neither.
        """
        known = {item.stage: item.threshold for item in self.stages}
        if stage not in ("all", *STAGES) and stage not in known:
            raise ConfigError(f"`{stage}` is no stage: take one of {', '.join(('all', *STAGES))}")
        for name in (stage, "all"):
            if name in known:
                return known[name]
        raise ConfigError(f"the calibration has no threshold for `{stage}`: calibrate again")

    def check(self, versions: Mapping[str, str]) -> None:
        """Refuse a calibration of something else.

        Raises:
            ConfigError: rules, weights or how they are added have changed; names which.
        """
        changed = sorted(name for name in {*self.versions, *versions} if self.versions.get(name) != versions.get(name))
        if changed:
            raise ConfigError(
                f"the calibration was made with other {' and '.join(changed)}: run `sift-fast calibrate` again"
            )

    def is_stale(self, model_version: str | None) -> bool:
        """Whether the protected model is another one than when this was made: its traffic may be, too."""
        return model_version != self.model_version

    @property
    def digest(self) -> str:
        """SHA-256 of what is saved."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def to_json(self) -> str:
        """As text, the same for the same calibration."""
        stages = [
            {
                "stage": item.stage,
                "threshold": item.threshold,
                "wrong": [item.wrong.hits, item.wrong.count],
                "caught": [item.caught.hits, item.caught.count],
                "enough": item.enough,
            }
            for item in self.stages
        ]
        document = {
            "format": FORMAT,
            "rate": self.rate,
            "model_version": self.model_version,
            "versions": dict(sorted(self.versions.items())),
            "stages": stages,
        }
        return json.dumps(document, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Calibration:
        """Read what `to_json` wrote.

        Raises:
            ConfigError: it is something else.
        """
        try:
            document = json.loads(text)
            if document["format"] != FORMAT:
                raise ConfigError("the calibration has another format: run `sift-fast calibrate` again")
            stages = [
                StageThreshold(
                    str(item["stage"]),
                    _share(item["threshold"]),
                    _interval(item["wrong"]),
                    _interval(item["caught"]),
                    bool(item["enough"]),
                )
                for item in document["stages"]
            ]
            versions = {str(name): str(value) for name, value in document["versions"].items()}
            version = document["model_version"]
            return cls(_share(document["rate"]), stages, versions, None if version is None else str(version))
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
            # What was in the file is not repeated.
            raise ConfigError("the file is no calibration: `sift-fast calibrate` writes one") from None

    @classmethod
    def load(cls, path: str) -> Calibration:
        """Read a file.

        Raises:
            ConfigError: it is no calibration.
            OSError: it cannot be read.
        """
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return cls.from_json(file.read(1 << 20))


def _share(value: Any) -> float:
    number = float(value)
    if not 0 <= number <= 1:
        raise ValueError
    return number


def _interval(value: Any) -> Interval:
    hits, count = (int(part) for part in value)
    if not 0 <= hits <= count:
        raise ValueError
    return Interval(hits, count)
