"""Measures the installed classifier on the test split and writes the tables and the plot of docs/eval-injection.md.

    python evaluate.py --data DIR --corpora DIR --folds FOLDS --model ../injection-encoder --out ../../docs

With `--model` the encoder of that folder is the third tier; without, rules and n-grams are measured alone. `--folds`
names what `train.py --folds` wrote: a text that the shipped n-grams are fitted on is scored by n-grams that are not
(`corpus.FOLDS`). Thresholds are fixed on the calibration split, harmless text of the sources that were trained with,
for each of these weights, before anything of the test split is read. Nothing of a text is printed.
"""

from __future__ import annotations

import argparse
import collections
import random
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import corpus
import evasions
import folds
import generate

from sift_fast import Scanner, _core
from sift_fast.classifier import Encoder, Independence, InjectionClassifier, Interval
from sift_fast.classifier.calibration import threshold_for
from sift_fast.classifier.cascade import RULE_WEIGHT

RATES = (0.01, 0.001)
#: Texts longer than this are cut: they are pieces of documents anyway.
LONGEST = 30_000
SEED = 77
#: The answer of an encoder that was not asked.
SILENT = float("-inf")
#: Attacks that the matrix of misses is of, and harmless texts that the encoder's threshold for it is fixed on.
ATTACKS = 2000
ALONE = 1500
#: Most texts of one family that thresholds are fixed on.
FAMILY = 1500

Scores = dict[str, list[float]]


class Tiers:
    """What each tier says of texts, and what they say together, as log-odds.

    `both` are rules and n-grams; `encoder` is its own answer, minus infinity where it is not asked; `all` is what the
    classifier says: the same as `both` without an encoder. N-grams are those that are shipped, or the ones of a fold.
    """

    def __init__(self, model: Path | None, weights: Path) -> None:
        self.scanner = Scanner(["injection"])
        self.ngrams = folds.scorers(weights)
        if self.ngrams[folds.SHIPPED].hash != _core.NgramScorer().hash:
            raise SystemExit(f"{weights} was made for other weights than those installed: run train.py again")
        self.encoder = None if model is None else Encoder.open(model)

    def score_rows(self, rows: Sequence[corpus.Row], of: Callable[[corpus.Row], str] | None = None) -> Scores:
        """Log-odds by tier, each text by the weights that did not see it, or by those that `of` names."""
        of = of or folds.of
        out: Scores = {}
        for name in sorted({of(row) for row in rows}):
            at = [number for number, row in enumerate(rows) if of(row) == name]
            for tier, values in self.score([rows[number].text for number in at], name).items():
                place = out.setdefault(tier, [SILENT] * len(rows))
                for number, value in zip(at, values, strict=True):
                    place[number] = value
        return out or {"rules": [], "n-grams": [], "both": [], "encoder": [], "all": []}

    def score(self, texts: Sequence[str], name: str) -> Scores:
        """Log-odds by tier, with the weights of this name."""
        cut = [text[:LONGEST] for text in texts]
        batch = self.scanner.scan_batch(cut)
        rules = [max((finding.score for finding in batch[number]), default=0.0) for number in range(len(cut))]
        grams = [row[0] for row in self.ngrams[name].score_batch(cut)]
        both = [g + RULE_WEIGHT * r for g, r in zip(grams, rules, strict=True)]
        answers = [SILENT] * len(cut)
        total = list(both)
        if self.encoder is not None:
            # They choose which parts of a long text the encoder reads.
            self.encoder._ngrams = self.ngrams[name]  # noqa: SLF001 -- the encoder itself is the same for all folds
            asked = [at for at, logit in enumerate(both) if self.encoder.band.holds(logit)]
            for at, answer in zip(asked, self.judged([cut[at] for at in asked]), strict=True):
                answers[at] = answer
                total[at] += self.encoder.band.added(answer)
            self.encoder._ngrams = self.ngrams[folds.SHIPPED]  # noqa: SLF001
        return {"rules": rules, "n-grams": grams, "both": both, "encoder": answers, "all": total}

    def judged(self, texts: Sequence[str]) -> list[float]:
        """What the encoder says, whatever the other tiers do."""
        out: list[float] = []
        if self.encoder is not None:
            for at in range(0, len(texts), 32):
                found = self.encoder.judge([text[:LONGEST] for text in texts[at : at + 32]])
                out += [SILENT if item.logit is None else item.logit for item in found]
        return out


def percent(interval: Interval) -> str:
    """A share with its interval."""
    return f"{100 * interval.share:.1f} ({100 * interval.low:.1f} to {100 * interval.high:.1f})"


def above(scores: Iterable[float], threshold: float) -> Interval:
    """How many are above."""
    hits = [score > threshold for score in scores]
    return Interval(sum(hits), len(hits))


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of Markdown."""
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)]) + "\n"


def plot(curves: dict[str, list[tuple[float, float]]]) -> str:
    """Recall over the false-positive rate, logarithmic from 0.01 % to 10 %, as SVG."""
    import math

    width, height, left, bottom = 640, 400, 60, 40
    colours = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e")

    def place(rate: float, recall: float) -> tuple[float, float]:
        share = (math.log10(max(rate, 1e-4)) + 4) / 3
        return left + share * (width - left - 150), (height - bottom) - recall * (height - bottom - 20)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">'
    ]
    parts.append(f'<rect width="{width}" height="{height}" fill="white"/>')
    for rate, label in ((1e-4, "0.01 %"), (1e-3, "0.1 %"), (1e-2, "1 %"), (1e-1, "10 %")):
        x, y = place(rate, 0)
        parts.append(f'<line x1="{x:.0f}" y1="{y:.0f}" x2="{x:.0f}" y2="20" stroke="#ddd"/>')
        parts.append(f'<text x="{x - 16:.0f}" y="{y + 16:.0f}">{label}</text>')
    for recall in (0, 0.25, 0.5, 0.75, 1):
        x, y = place(1e-4, recall)
        end, _ = place(0.1, recall)
        parts.append(f'<line x1="{x:.0f}" y1="{y:.0f}" x2="{end:.0f}" y2="{y:.0f}" stroke="#ddd"/>')
        parts.append(f'<text x="{x - 42:.0f}" y="{y + 4:.0f}">{100 * recall:.0f} %</text>')
    for number, (name, points) in enumerate(curves.items()):
        line = " ".join("{:.1f},{:.1f}".format(*place(*point)) for point in points)
        colour = colours[number % len(colours)]
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(f'<text x="{width - 140}" y="{40 + 18 * number}" fill="{colour}">{name}</text>')
    parts.append(f'<text x="{left + 120}" y="{height - 6}">false positives on harmless test text</text></svg>')
    return "\n".join(parts) + "\n"


def curve(attacks: list[float], harmless: list[float]) -> list[tuple[float, float]]:
    """Points of recall over the rate of false positives."""
    points = []
    for exponent in range(31):
        rate = 10 ** (-4 + exponent / 10)
        ordered = sorted(harmless, reverse=True)
        limit = ordered[min(len(ordered) - 1, int(rate * len(ordered)))]
        points.append((rate, sum(score > limit for score in attacks) / len(attacks)))
    return points


def capped(rows: Sequence[corpus.Row]) -> list[str]:
    """At most `FAMILY` texts of each family: source code and manual pages are easy and would drown the rest."""
    count: collections.Counter[str] = collections.Counter()
    out = []
    for row in sorted(rows, key=lambda row: corpus.unit_interval(row.text)):
        count[row.family] += 1
        if count[row.family] <= FAMILY:
            out.append(row.text)
    return out


def latency(texts: Sequence[Any], call: Callable[[Any], object]) -> tuple[float, float, float]:
    """Median, 95th and 99th of 100 of the best of three calls, in microseconds of the thread's processor time."""
    times = []
    for text in texts:
        best = float("inf")
        for _ in range(3):
            began = time.thread_time_ns()
            call(text)
            best = min(best, time.thread_time_ns() - began)
        times.append(best / 1000)
    cuts = statistics.quantiles(times, n=100)
    return cuts[49], cuts[94], cuts[98]


def main() -> None:  # noqa: C901, PLR0912, PLR0915 -- one report, from top to bottom
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder with train.jsonl.gz and benign_chat.jsonl.gz")
    parser.add_argument("--corpora", type=Path, help="folder of general corpora")
    parser.add_argument("--packages", action="append", default=[], help="more folders of installed Python packages")
    parser.add_argument("--model", type=Path, help="folder of the encoder")
    parser.add_argument("--folds", type=Path, required=True, help="folder that `train.py --folds` wrote")
    parser.add_argument("--out", type=Path, required=True, help="folder of the report")
    parser.add_argument("--development", action="store_true", help="the development split, on screen only")
    options = parser.parse_args()

    classifier = InjectionClassifier(model=options.model)
    tiers = Tiers(options.model, options.folds)
    scanner, encoder = tiers.scanner, tiers.encoder
    rows = corpus.collected(options.data) + corpus.local(options.packages)
    rows += corpus.corpora(options.corpora) if options.corpora else []
    rows = corpus.unique(rows)

    quiet_texts = capped([row for row in rows if row.split == corpus.CALIBRATION])
    limits = {}
    for name in tiers.ngrams:
        calibration = tiers.score(quiet_texts, name)
        limits[name] = {tier: [threshold_for(values, rate) for rate in RATES] for tier, values in calibration.items()}
    shipped = classifier._threshold_logit  # noqa: SLF001 -- the same number as `threshold`, without rounding

    wanted = corpus.DEVELOPMENT if options.development else corpus.TEST
    test = [row for row in rows if row.split == wanted]
    for name, label, text in generate.held_out_languages(SEED, 40):
        source = f"templates/{name}"
        test.append(corpus.Row(text, label, "languages_held_out", source, name, wanted, corpus.fold_of(source)))
    scores = tiers.score_rows(test)

    def flagged(found: Scores, of: Sequence[str], at: int, tier: str) -> list[bool]:
        """Whether a text is above each threshold of the weights that scored it, and the shipped one for all tiers."""
        value = found[tier][at]
        above_each = [value > limit for limit in limits[of[at]][tier]]
        return [*above_each, value > shipped] if tier == "all" else above_each

    def shares(found: Scores, of: Sequence[str], numbers: Iterable[int], tier: str) -> list[str]:
        """How many texts, and the shares of them above each threshold."""
        each = [flagged(found, of, at, tier) for at in numbers]
        return [str(len(each)), *(percent(Interval(sum(column), len(each))) for column in zip(*each, strict=True))]

    by = [folds.of(row) for row in test]

    def report(group: Callable[[corpus.Row], str], label: int, tier: str) -> list[list[str]]:
        groups = collections.defaultdict(list)
        for at, row in enumerate(test):
            if row.label == label:
                groups[group(row)].append(at)
        return [[name, *shares(scores, by, numbers, tier)] for name, numbers in sorted(groups.items())]

    out = ["# Prompt injections: what is found, and what is flagged wrongly", ""]
    out.append(
        "Generated by `make eval-injection`; do not edit. Shares in per cent, in brackets the exact 95 % interval."
    )
    out.append(
        "The shipped n-grams are fitted on these sources, too: every text here is scored by n-grams that are fitted"
        " without its source and the group that it is in. The encoder never saw any of them."
        f" Thresholds were fixed on {len(quiet_texts):,} harmless texts of the calibration split, of each"
        f" kind at most {FAMILY}, for each of these n-grams: at most 1 % and"
        f" 0.1 % of them are above. Shipped: {shipped:g} log-odds. What the splits are is said in"
        " [injection.md](injection.md)."
    )
    out.append(
        f"N-grams {tiers.ngrams[folds.SHIPPED].hash[:12]}, rules {scanner.hash[:12]}"
        + ("." if encoder is None else f", encoder {encoder.hash[:12]}.")
    )
    out += ["", "## Attacks found", ""]
    header = ["", "texts", "at 1 %", "at 0.1 %"]
    out.append("All tiers:\n\n" + table([*header, "shipped"], report(lambda row: row.family, 1, "all")))
    if encoder is not None:
        out.append(
            "Rules and n-grams, without the encoder:\n\n" + table(header, report(lambda row: row.family, 1, "both"))
        )
    out.append("N-grams alone:\n\n" + table(header, report(lambda row: row.family, 1, "n-grams")))
    people = [at for at, row in enumerate(test) if row.label and row.source == corpus.PEOPLE]
    worded = [at for at in people if corpus.OVERRIDES.search(test[at].text)]
    lines = [
        ["all, no text of the collection trained with", *shares(scores, by, people, "all")],
        ["those with words of an override, the same", *shares(scores, by, worded, "all")],
    ]
    fifths = corpus.fifths(rows)

    def of_fifth(row: corpus.Row) -> str:
        return f"{corpus.PEOPLE}-{fifths[row.text]}"

    among = [test[at] for at in people]
    names = [of_fifth(row) for row in among]
    if set(names) <= set(tiers.ngrams):
        inside = tiers.score_rows(among, of_fifth)
        part = [people.index(at) for at in worded]
        lines += [
            ["all, four fifths of the collection trained with", *shares(inside, names, range(len(people)), "all")],
            ["those with words of an override, the same", *shares(inside, names, part, "all")],
        ]
    out.append(
        f"{corpus.PEOPLE}, the attacks by people, in two ways. Words of an override are those of `corpus.OVERRIDES`; what"
        " has none is mostly a change of topic or a role, which this classifier does not call an attack and which the"
        " n-grams are not trained with:\n\n" + table([*header, "shipped"], lines)
    )
    rules = collections.defaultdict(list)
    for row, value in zip(test, scores["rules"], strict=True):
        rules[("attacks" if row.label else "harmless") + f": {row.family}"].append(value)
    lines = [[name, str(len(values)), percent(above(values, 0))] for name, values in sorted(rules.items())]
    out.append("Any rule at all:\n\n" + table(["", "texts", "with a rule"], lines))
    out.append("By source:\n\n" + table([*header, "shipped"], report(lambda row: row.source, 1, "all")))
    out += ["", "## Harmless texts flagged", ""]
    out.append(table([*header, "shipped"], report(lambda row: row.family, 0, "all")))
    if encoder is not None:
        out.append("Without the encoder:\n\n" + table(header, report(lambda row: row.family, 0, "both")))
    out.append("By source:\n\n" + table([*header, "shipped"], report(lambda row: row.source, 0, "all")))
    plain = [at for at, row in enumerate(test) if not row.label and row.family not in TRIGGERS]
    out.append(
        "All harmless texts but hard negatives and twins:\n\n"
        + table(["texts", "at 1 %", "at 0.1 %", "shipped"], [shares(scores, by, plain, "all")])
    )

    out += ["", "## Evasions", ""]
    source = random.Random(SEED)
    direct = [row for row in test if row.label and row.family == "direct_generated"]
    innocent = [
        row for row in test if not row.label and row.family in ("prompts", "hard_negative") and len(row.text) < 400
    ]
    direct, innocent = source.sample(direct, min(300, len(direct))), source.sample(innocent, min(600, len(innocent)))

    def at_one(texts: Sequence[corpus.Row]) -> list[bool]:
        found, of = tiers.score_rows(texts), [folds.of(row) for row in texts]
        return [flagged(found, of, at, "all")[0] for at in range(len(texts))]

    kept = [row for row, is_found in zip(direct, at_one(direct), strict=True) if is_found]
    lines = []
    for name, evade in (*evasions.EVASIONS.items(), ("none", str)):
        hidden, control = (at_one([replace(row, text=evade(row.text)) for row in texts]) for texts in (kept, innocent))
        lines.append([name, *(percent(Interval(sum(found), len(found))) for found in (hidden, control))])
    out.append(
        f"Of {len(kept)} attacks that are found in plain text at the 1 % threshold, those still found; of {len(innocent)}"
        " innocent texts (prompts and hard negatives) under the same evasion, those flagged. Tier 1 reads"
        " plain text here; decoding is done by tier 2.\n\n" + table(["evasion", "kept", "controls flagged"], lines)
    )

    attacks = [at for at, row in enumerate(test) if row.label]
    attacks = sorted(source.sample(attacks, min(ATTACKS, len(attacks))))
    misses = {
        "rules": [not scores["rules"][at] > 0 for at in attacks],
        "n-grams": [not flagged(scores, by, at, "n-grams")[1] for at in attacks],
    }
    if encoder is not None:
        calm = tiers.judged(quiet_texts[:ALONE])
        own = threshold_for(calm, RATES[1])
        misses["encoder"] = [not value > own for value in tiers.judged([test[at].text for at in attacks])]
    layers = Independence(misses)
    out += ["", "## Independence of the tiers", ""]
    cells = [[name, *(percent(cell) for cell in line)] for name, line in zip(layers.names, layers.joint, strict=True)]
    out.append(
        f"Missed by both, of {len(attacks):,} attacks drawn at random, rules at any score, the others at 0.1 %"
        + (", the encoder asked about every text" if encoder is not None else "")
        + ":\n\n"
        + table(["", *layers.names], cells)
    )
    out.append(f"Missed by all: {percent(layers.all_miss)} %.")
    out.append(f"Effective layers: {layers.effective:.2f}" if layers.effective else "Effective layers: not known")

    out += ["", "## What each tier decides", ""]
    loud = [at for at, value in enumerate(scores["all"]) if value > shipped]
    by_two = [at for at in loud if scores["both"][at] > shipped]
    ruled = sum(scores["rules"][at] > 0 for at in by_two)
    out.append(
        f"Of {len(loud):,} texts flagged at the shipped threshold, {ruled:,} had a rule, {len(by_two) - ruled:,}"
        f" n-grams alone, and {len(loud) - len(by_two):,} only with what the encoder added."
    )
    if encoder is not None:
        asked = collections.defaultdict(list)
        for row, value in zip(test, scores["both"], strict=True):
            name = f"attacks: {row.family}" if row.label else f"harmless: {row.family}"
            asked[name].append(float(encoder.band.holds(value)))
            if row.label or row.family not in TRIGGERS:
                asked["all attacks" if row.label else "all harmless but hard negatives and twins"].append(
                    float(encoder.band.holds(value))
                )
        lines = [[name, str(len(values)), percent(above(values, 0.5))] for name, values in sorted(asked.items())]
        out.append("Texts that the encoder is asked about:\n\n" + table(["", "texts", "asked"], lines))

    out += ["", "## Time", ""]
    pieces = [
        "".join(part)
        for part in zip(*[iter("\n".join(row.text for row in test if not row.label)[:2_000_000])] * 1024, strict=False)
    ]
    pieces = pieces[:1500]
    plain_two = InjectionClassifier()
    calls: list[tuple[str, Callable[[str], object]]] = [
        ("rules", scanner.scan),
        ("n-grams", tiers.ngrams[folds.SHIPPED].score),
        ("score, rules and n-grams", plain_two.score),
    ]
    lines = [[name, *(f"{value:.1f}" for value in latency(pieces, call))] for name, call in calls]
    if encoder is not None:
        window = [[number % 1000 + 10 for number in range(at, at + 126)] for at in range(200)]
        found = latency(window, encoder._logit)  # noqa: SLF001 -- one window, without the cascade
        lines.append(["encoder, one window of 128 tokens", *(f"{value:.0f}" for value in found)])
    out.append(
        "Microseconds of processor time for 1,024 characters of harmless test text, from Python; the encoder on one thread:\n\n"
        + table(["", "P50", "P95", "P99"], lines)
    )
    harmless = [row.text[:LONGEST] for row in test if not row.label and row.family not in TRIGGERS]
    harmless = random.Random(SEED).sample(harmless, min(4000, len(harmless)))
    kilobytes = sum(len(text.encode("utf-8", "replace")) for text in harmless) / 1024
    lines = []
    for name, one in (("rules and n-grams", plain_two), ("all tiers", classifier)):
        began = time.process_time()
        one.assess_batch(harmless, 1)
        lines.append([name, f"{(time.process_time() - began) * 1e6 / kilobytes:.0f}"])
    out.append(
        f"Mean cost of a kilobyte of harmless test text, microseconds, {len(harmless):,} texts on one thread, nothing"
        " cached:\n\n" + table(["", "us"], lines)
    )
    text = "\n".join(out) + "\n"
    if options.development:
        print(text)
        return
    # Scores of different weights are put on one axis at their own thresholds.
    aligned = [value - limits[name]["all"][1] for value, name in zip(scores["all"], by, strict=True)]
    quiet = [value for row, value in zip(test, aligned, strict=True) if not row.label]
    curves = {
        family: curve(
            [value for row, value in zip(test, aligned, strict=True) if row.label and row.family == family], quiet
        )
        for family in ("direct_human", "direct_generated", "indirect", "jailbreak", "languages_held_out")
    }
    text += "\n## Recall over false positives\n\n![recall over false positives](eval-injection.svg)\n"
    (options.out / "eval-injection.md").write_text(text, encoding="utf-8")
    (options.out / "eval-injection.svg").write_text(plot(curves), encoding="utf-8")
    print(f"written: {options.out / 'eval-injection.md'}")


#: Families that are full of the words of attacks on purpose.
TRIGGERS = ("hard_negative", "languages_held_out")

if __name__ == "__main__":
    main()
