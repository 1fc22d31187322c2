"""`sift-fast calibrate`: thresholds for a chosen false-positive rate from the user's own logs, and what they cost.

Logs are JSON lines with `text`, and optionally `stage`, `label` (1 or `attack`; harmless without one) and a score of a
guardrail of your own. No text is shown: an example is a place in a file and a hash under a key of this run.
"""

from __future__ import annotations

import hashlib
import json
import math
import secrets
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict, Unpack

import click

from sift_fast.cli._output import check_target, opened, say
from sift_fast.cli._text import complain, printable, table
from sift_fast.cli.app import CLEAN, FINDINGS
from sift_fast.errors import ConfigError

if TYPE_CHECKING:
    from sift_fast.classifier import Assessment, Calibration, Independence, Interval

EPILOG = """\b
Examples:
  sift-fast calibrate prompts.jsonl --rate 0.001 --per-day 200000 -o calibration.json
  sift-fast calibrate week.jsonl --compare calibration.json --model-version 2025-06
  sift-fast calibrate scored.jsonl --score-field toxicity -o toxicity.json

\b
Exit codes: 0 written or unchanged, 1 moved beyond the tolerance or stale, 2 error."""

#: Longest line of a log that is read, in characters.
LINE = 64 << 20
BINS = 5


class Options(TypedDict):
    """What the command is given, besides logs."""

    rate: float
    per_day: int | None
    output: str | None
    score_field: str | None
    model: str | None
    model_version: str | None
    compare: str | None
    tolerance: float
    examples: int
    format: str


class Row(NamedTuple):
    """One line of a log: where it stands, what it is and what it scored."""

    place: str
    stage: str
    attack: bool
    text: str
    score: float | None


@click.command(epilog=EPILOG)
@click.argument("logs", nargs=-1, required=True, metavar="LOG...", type=click.Path(exists=True, dir_okay=False))
@click.option(
    "--rate",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.001,
    show_default=True,
    help="Share of harmless texts that may be flagged.",
)
@click.option("--per-day", type=click.IntRange(1), help="Texts a day, to say how many would be flagged wrongly.")
@click.option("-o", "--output", type=click.Path(), help="Where the calibration is written.")
@click.option("--score-field", metavar="NAME", help="Calibrate this number, 0 to 1, instead of the classifier.")
@click.option(
    "--model", type=click.Path(exists=True, file_okay=False), help="Folder of an encoder, the classifier's third tier."
)
@click.option("--model-version", metavar="NAME", help="Version of the model that is protected.")
@click.option("--compare", type=click.Path(exists=True, dir_okay=False), help="Hold an earlier calibration against.")
@click.option(
    "--tolerance",
    type=click.FloatRange(0, 1),
    default=0.01,
    show_default=True,
    help="How far shares may move before --compare fails.",
)
@click.option(
    "--examples", type=click.IntRange(0, 1000), default=5, show_default=True, help="Highest harmless texts named."
)
@click.option(
    "--format", type=click.Choice(["text", "json"]), default="text", show_default=True, help="Form of the report."
)
def calibrate(logs: tuple[str, ...], **options: Unpack[Options]) -> int:
    """Choose thresholds from your own logs.

    Says for each stage: the threshold, how often harmless texts are above it with the interval that the number of
    texts allows, what that is a day, and what was caught if there are labelled attacks. With --compare: whether an
    earlier calibration still holds.
    """
    from sift_fast.classifier import Calibration, InjectionClassifier

    check_target(options["output"])
    rows = [row for path in logs for row in _read(path, options["score_field"])]
    if not rows:
        raise ConfigError("the logs hold no texts: each line is a JSON object with `text`")
    assessed: list[Assessment] = []
    if options["score_field"] is not None and options["model"] is not None:
        raise ConfigError("--model goes with the classifier, and --score-field does without it: name one of them")
    if options["score_field"] is None:
        classifier = InjectionClassifier(model=options["model"])
        versions = classifier.versions
        assessed = classifier.assess_batch(row.text for row in rows)
        scores = [item.score for item in assessed]
    else:
        versions = {"score": options["score_field"]}
        scores = [row.score or 0.0 for row in rows]
    judged = [(row.stage, row.attack, score) for row, score in zip(rows, scores, strict=True)]
    made = Calibration.fit(judged, options["rate"], versions, options["model_version"])

    report: dict[str, Any] = {"stages": _stages(made, options["per_day"])}
    if any(row.attack for row in rows):
        report["reliability"] = _reliability(judged)
        if assessed:
            report["tiers"] = _tiers([item for item, row in zip(assessed, rows, strict=True) if row.attack])
    report["highest"] = _highest(rows, scores, options["examples"])
    moved: list[str] = []
    if options["compare"]:
        before = Calibration.load(options["compare"])
        moved = _moved(before, judged, versions, options)
        report["moved"] = moved
    say(json.dumps(report, indent=2) + "\n" if options["format"] == "json" else _text(report))
    for sentence in moved:
        complain(sentence)
    if options["output"]:
        with opened(options["output"]) as stream:
            stream.write(made.to_json().encode())
    return FINDINGS if moved else CLEAN


def _read(path: str, score_field: str | None) -> Iterator[Row]:
    with open(path, encoding="utf-8", errors="surrogateescape") as lines:
        number = 0
        while line := lines.readline(LINE + 1):
            number += 1
            place = f"{printable(path)}:{number}"
            if len(line) > LINE:
                raise ConfigError(f"{place} is longer than {LINE} characters: cut the log differently")
            if line.strip():
                yield _row(place, line, score_field)


def _row(place: str, line: str, score_field: str | None) -> Row:
    # The error of the parser holds the line: it is not chained.
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        raise ConfigError(f"{place} is no JSON") from None
    if not isinstance(record, dict):
        raise ConfigError(f"{place} is no JSON object")
    text, stage, label = record.get("text", ""), record.get("stage", "all"), record.get("label", 0)
    if not isinstance(text, str) or (score_field is None and "text" not in record):
        raise ConfigError(f"{place} has no `text`")
    if not isinstance(stage, str) or not stage.isidentifier():
        raise ConfigError(f"{place}: `stage` is no name")
    if label not in (0, 1, "attack", "benign"):
        raise ConfigError(f'{place}: `label` is 0, 1, "attack" or "benign"')
    score = None
    if score_field is not None:
        score = record.get(score_field)
        if isinstance(score, bool) or not isinstance(score, int | float) or not 0 <= score <= 1:
            raise ConfigError(f"{place}: `{printable(score_field)}` is no number from 0 to 1")
    return Row(place, stage, label in (1, "attack"), text, score)


def _shown(interval: Interval) -> dict[str, Any]:
    return {
        "hits": interval.hits,
        "count": interval.count,
        "share": interval.share,
        "low": interval.low,
        "high": interval.high,
    }


def _stages(made: Calibration, per_day: int | None) -> list[dict[str, Any]]:
    found = []
    total = next((item.wrong.count for item in made.stages if item.stage == "all"), 0)
    for item in made.stages:
        row = {
            "stage": item.stage,
            "threshold": item.threshold,
            "wrong": _shown(item.wrong),
            "caught": _shown(item.caught) if item.caught.count else None,
            "enough": item.enough,
        }
        if per_day:
            # A stage has the share of the day's texts that it has of the log.
            texts = per_day * (item.wrong.count / total if total else 1.0)
            row["wrong_per_day"] = [texts * item.wrong.low, texts * item.wrong.share, texts * item.wrong.high]
        found.append(row)
    return found


def _reliability(judged: Sequence[tuple[str, bool, float]]) -> list[dict[str, Any]]:
    """Of the texts whose score lies in a band, the share of attacks."""
    from sift_fast.classifier import Interval

    found = []
    for number in range(BINS):
        low, high = number / BINS, (number + 1) / BINS
        inside = [attack for _, attack, score in judged if low <= score and (score < high or number == BINS - 1)]
        found.append({"low": low, "high": high, "attacks": _shown(Interval(sum(inside), len(inside)))})
    return found


def _tiers(attacks: Sequence[Assessment]) -> dict[str, Any]:
    """What each tier caught by itself, and how far they miss the same. The encoder is counted where it decided."""
    from sift_fast.classifier import Independence

    misses = {
        "rules": [not item.rule_ids for item in attacks],
        "ngrams": [not ("ngrams" in item.tiers and "encoder" not in item.tiers) for item in attacks],
    }
    if any(item.asked != "none" for item in attacks):
        misses["encoder"] = ["encoder" not in item.tiers for item in attacks]
    return independence(Independence(misses))


def independence(found: Independence) -> dict[str, Any]:
    """An independence report as plain data."""
    return {
        "names": list(found.names),
        "joint_miss": [[_shown(cell) for cell in line] for line in found.joint],
        "all_miss": _shown(found.all_miss),
        "effective_layers": found.effective,
    }


def _highest(rows: Sequence[Row], scores: Sequence[float], most: int) -> list[dict[str, Any]]:
    """The harmless texts with the highest scores: where they stand, and a hash under a key that is not kept."""
    key = secrets.token_bytes(32)
    ordered = sorted(
        ((score, row) for row, score in zip(rows, scores, strict=True) if not row.attack),
        key=lambda pair: (-pair[0], pair[1].place),
    )

    def digest(text: str) -> str:
        return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), key=key, digest_size=8).hexdigest()

    return [{"place": row.place, "score": score, "hash": digest(row.text)} for score, row in ordered[:most]]


def _moved(
    before: Calibration, judged: Sequence[tuple[str, bool, float]], versions: dict[str, str], options: Options
) -> list[str]:
    """What no longer holds of an earlier calibration, in sentences."""
    from sift_fast.classifier import Interval

    found = []
    if before.is_stale(options["model_version"]):
        found.append("the calibration is stale: it was made for another version of the protected model")
    changed = sorted(name for name in versions if before.versions.get(name) != versions[name])
    if changed:
        found.append(f"the calibration was made with other {' and '.join(changed)}: write a new one")
    for item in before.stages:
        own = [(attack, score > item.threshold) for stage, attack, score in judged if item.stage in ("all", stage)]
        wrong = Interval(sum(hit for attack, hit in own if not attack), sum(not attack for attack, _ in own))
        caught = Interval(sum(hit for attack, hit in own if attack), sum(attack for attack, _ in own))
        if wrong.count and wrong.share - item.wrong.share > options["tolerance"]:
            found.append(
                f"stage {item.stage}: {wrong.share:.2%} of harmless texts are flagged, {item.wrong.share:.2%} before"
            )
        if caught.count and item.caught.count and item.caught.share - caught.share > options["tolerance"]:
            found.append(
                f"stage {item.stage}: {caught.share:.2%} of attacks are caught, {item.caught.share:.2%} before"
            )
    return found


def _share(cell: dict[str, Any] | None) -> str:
    if not cell or not cell["count"]:
        return "-"
    return f"{cell['share']:.2%} ({cell['low']:.2%} to {cell['high']:.2%}) of {cell['count']:,}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or math.isclose(value, 0) else f"{value:.1f}"


def _text(report: dict[str, Any]) -> str:
    """The report for people."""
    daily = any("wrong_per_day" in row for row in report["stages"])
    header = ["stage", "threshold", "harmless flagged", "attacks caught"] + (["wrong a day"] if daily else [])
    lines = []
    for row in report["stages"]:
        line = [row["stage"], f"{row['threshold']:.4f}", _share(row["wrong"]), _share(row["caught"])]
        if daily:
            low, middle, high = row["wrong_per_day"]
            line.append(f"{_number(middle)} ({_number(low)} to {_number(high)})")
        lines.append(line)
    out = table(header, lines)
    short = [row["stage"] for row in report["stages"] if not row["enough"]]
    if short:
        out += f"\ntoo few harmless texts for this rate: {', '.join(short)}; the upper bound is what is known\n"
    if "reliability" in report:
        bands = [[f"{row['low']:.1f} to {row['high']:.1f}", _share(row["attacks"])] for row in report["reliability"]]
        out += "\n" + table(["score", "attacks among them"], bands)
    if "tiers" in report:
        tiers = report["tiers"]
        names, matrix = tiers["names"], tiers["joint_miss"]
        cells = [[name, *(f"{cell['share']:.2%}" for cell in line)] for name, line in zip(names, matrix, strict=True)]
        out += "\n" + table(["missed by both", *names], cells, right=frozenset(range(1, len(names) + 1)))
        effective = tiers["effective_layers"]
        out += "effective layers: " + ("not known, too few misses" if effective is None else f"{effective:.2f}") + "\n"
    if report["highest"]:
        cells = [[row["place"], f"{row['score']:.4f}", row["hash"]] for row in report["highest"]]
        out += "\n" + table(["highest harmless texts", "score", "hash"], cells)
    return out
