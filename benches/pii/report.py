"""The page of the evaluation: Markdown from nothing but records."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from benches import ROOT
from benches import report as speed
from benches.models import added, latency
from benches.pii.measure import EDITED, EXPENSIVE, SETS
from benches.secrets.report import cost
from benches.table import Table, figure
from benches.targets import NotMeasured, Records, Target
from benches.targets import table as target_table

INTRODUCTION = f"""# Evaluation of personal data

<!-- Made by `make eval-pii CASES=DIR CORPORA=DIR ARGS=--record`; do not edit. -->

Labelled cases of another suite, clean text, and speed beside rivals in the same run on the same bytes.

- **recognizers**: a text is scanned by `pii-all` for one entity alone; passed if the findings are exactly the
  expected spans, or as many as expected where the case tells no spans.
- **validators**: passed if the whole value is a finding, or none where it is to be refused. A validator without an
  opinion lets a value pass.
- Both are counted twice: at any score, and at a score of {EDITED} or more, which is what redaction edits. Bare digits
  without a label are found with a low score on purpose, so that the second number is the smaller one; the false
  findings below are those at {EDITED}.
- **what the rules were made with**: these very cases. They are the development set, every one of them, and a rule that
  was mended for a failed case cannot be judged by it again; what judges is the clean text, and cases of other people.
- **anonymizer**: passed if `sift_fast.integrations.presidio.AnonymizerEngine` gives the expected text and items.
- **number-shaped findings**: of digits and what separates digits alone, at a score of {EDITED} or more, which is
  what redaction edits. The corpora hold no such data on purpose, so a finding counts as false; dates and network
  addresses are what they say they are and stand apart.
- **validator calls**: how often a value reached a check that costs more than a pass over it
  ({", ".join(f"`{name}`: {what}" for name, what in EXPENSIVE.items())}).

Failures are named by their line in the file of cases; `--details FILE` writes them with their texts."""

#: Corpora of clean text that must hold few false numbers.
CORPORA = ("chat", "code", "docs", "json")

#: Entities whose number-shaped values are right wherever they stand.
SELF_EVIDENT = frozenset({"DATE_TIME", "IP_ADDRESS", "MAC_ADDRESS"})

#: Benchmarks in the order of the page, under these headings.
SPEED = {
    "Beside Presidio, 1 KB": "pii-presidio",
    "Beside LiteLLM's pattern file, 2,000 characters": "pii-litellm",
    "Redaction, 1 KB with five findings": "pii-redact",
    "What it adds to the default set, 4 KB": "pii-added",
    "Throughput": "pii-throughput",
    "Single calls": "pii-latency",
}

PARTS = {"recognizers": "recognizers", "validators": "validators", "anonymizer": "anonymizer"}


def percent(part: float, whole: float) -> str:
    """`99.8`, cut and not rounded, so that 100.0 is all of them; a dash for none of none."""
    return f"{int(1000 * part / whole) / 10:.1f}" if whole else "-"


def passed(record: Mapping[str, Any], part: str) -> float:
    """Percent of the cases of a part that passed."""
    counted = record[part]
    if "missing" in counted:
        raise NotMeasured
    return 100 * float(counted["passed"]) / float(counted["cases"])


def sizes(record: Mapping[str, Any]) -> dict[str, int]:
    """Bytes of each corpus."""
    return {corpus["name"]: corpus["bytes"] for corpus in record["corpora"]}


def false_numbers(record: Mapping[str, Any], rules: str, corpus: str) -> float:
    """False number-shaped findings per MB of a corpus."""
    found = record["findings"].get(rules, {}).get(corpus)
    if found is None:
        raise NotMeasured
    count = sum(row["count"] for row in found["numbers"] if row["entity"] not in SELF_EVIDENT)
    return float(count / (sizes(record)[corpus] / 1e6))


def summary(record: Mapping[str, Any]) -> Table:
    """The three kinds of cases."""
    rows, notes = [], []
    for part, title in PARTS.items():
        counted = record[part]
        if "missing" in counted:
            rows.append([title, *"-----"])
            notes.append(f"{title}: {counted['missing']}, so nothing was measured.")
            continue
        cases, found, edited = counted["cases"], counted["passed"], counted.get("edited")
        at_edit = ["-", "-"] if edited is None else [str(edited), percent(edited, cases)]
        rows.append([title, str(cases), str(found), percent(found, cases), *at_edit])
        if counted["left_out"]:
            left = "; ".join(f"{number} with {why}" for why, number in counted["left_out"].items())
            notes.append(f"{title}, left out: {left}.")
    columns = ["cases", "number", "passed, any score", "%", f"passed, {EDITED} or more", "%"]
    return Table("", columns, rows, notes)


def failures(record: Mapping[str, Any]) -> Table:
    """Every failed case by line and entity."""
    rows = [
        [title, failure["entity"] or "-", str(failure["case"]), failure["why"]]
        for part, title in PARTS.items()
        for failure in record[part].get("failed", [])
    ]
    return Table("", ["of", "entity", "line", "why"], rows, [] if rows else ["None."])


def false_table(record: Mapping[str, Any]) -> Table:
    """Number-shaped findings per MB by set, entity and corpus."""
    names = list(sizes(record))
    rows = []
    for rules in SETS:
        found: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        for name in names:
            for row in record["findings"][rules].get(name, {"numbers": []})["numbers"]:
                found[row["entity"]][name] += row["count"]
        shown = [(entity, entity in SELF_EVIDENT, counts) for entity, counts in sorted(found.items())]
        for entity, evident, counts in sorted(shown, key=lambda item: item[1]):
            each = [figure(counts[name] / (sizes(record)[name] / 1e6)) for name in names]
            rows.append([f"{rules}: {entity}{' (apart)' if evident else ''}", *each])
        if names:
            rows.append([f"{rules}: all that count", *(figure(false_numbers(record, rules, name)) for name in names)])
    note = ", ".join(f"{name} {size / 1e6:.2f} MB" for name, size in sizes(record).items())
    return Table(
        "", ["number-shaped, per MB", *names], rows, [f"Clean text: {note}." if note else "No clean text given."]
    )


def others_table(record: Mapping[str, Any]) -> Table:
    """All other findings per MB by set and rule: in clean text most are true (addresses of people, URLs)."""
    names = list(sizes(record))
    rows = []
    for rules in SETS:
        found: dict[str, dict[str, int]] = defaultdict(dict)
        for name in names:
            for row in record["findings"][rules].get(name, {"others": []})["others"]:
                found[row["rule"]][name] = row["count"]
        for rule, counts in sorted(found.items(), key=lambda item: (-sum(item[1].values()), item[0])):
            rows.append(
                [f"{rules}: {rule}", *(figure(counts.get(name, 0) / (sizes(record)[name] / 1e6)) for name in names)]
            )
    return Table("", ["other findings, per MB", *names], rows)


def calls_table(record: Mapping[str, Any]) -> Table:
    """Calls of expensive validators per MB, by entity and kind of validator, and of each set in all."""
    names = list(sizes(record))
    found: dict[str, Counter[str]] = defaultdict(Counter)
    rules: Counter[str] = Counter()
    for entry in record["calls"]["rules"].values():
        if entry["validator"] is None:
            continue
        kind = next(word for word in EXPENSIVE if entry["validator"].startswith(word))
        row = f"{entry['entity']}, `{kind}`"
        rules[row] += 1
        for name, counts in entry["corpora"].items():
            for key in (row, *(f"all of `{rule_set}`" for rule_set in entry["sets"])):
                found[key][name] += counts["judged"]
    # The sets last, everything else by what it calls.
    ordered = sorted(found.items(), key=lambda item: (item[0] not in rules, -sum(item[1].values()), item[0]))
    rows = [
        [
            row + (f" ({rules[row]} rules)" if rules[row] > 1 else ""),
            *(figure(counts[name] / (sizes(record)[name] / 1e6)) for name in names),
        ]
        for row, counts in ordered
    ]
    return Table("", ["expensive validators, calls per MB", *names], rows)


def candidates_table(record: Mapping[str, Any]) -> Table:
    """The rules with the most candidates: where confirming and checking costs most."""
    names = list(sizes(record))
    ordered = sorted(
        record["calls"]["rules"].items(),
        key=lambda item: (-sum(counts["candidates"] for counts in item[1]["corpora"].values()), item[0]),
    )
    rows = [
        [
            rule,
            *(
                figure(entry["corpora"].get(name, {"candidates": 0})["candidates"] / (sizes(record)[name] / 1e6))
                for name in names
            ),
        ]
        for rule, entry in ordered[:15]
    ]
    return Table("", ["candidates per MB, pii-all", *names], rows)


def tables(record: Mapping[str, Any]) -> list[Table]:
    """What the cases and the clean text say, in the order of the page."""
    made = [summary(record), failures(record)]
    if record["corpora"]:
        made += [false_table(record), calls_table(record), candidates_table(record), others_table(record)]
    priced = cost(record)
    return made if priced is None else [*made, priced]


def goals(record: Mapping[str, Any], benchmarks: Records) -> Table:
    """What must be reached, and what was."""

    def cells(name: str) -> Sequence[Mapping[str, Any]]:
        if name not in benchmarks:
            raise NotMeasured
        found: Sequence[Mapping[str, Any]] = benchmarks[name]["cells"]
        return found

    def engine_us(name: str, engine: str) -> float:
        if any(engine not in cell["engines"] for cell in cells(name)):
            raise NotMeasured
        return max(float(cell["engines"][engine]["ns"]["p50"]) / 1e3 for cell in cells(name))

    def presidio(what: str, ours: str, rival: str) -> Target:
        def worst(_: Records) -> float:
            if any({ours, rival} - set(cell["engines"]) for cell in cells("pii-presidio")):
                raise NotMeasured
            return min(latency.ratio(dict(cell), ours, rival) for cell in cells("pii-presidio"))

        return Target(f"against Presidio ({what}), 1 KB, P50, worst corpus", "times", 1000, 2000, True, worst)

    def numbers(corpus: str) -> Target:
        return Target(
            f"number-shaped false findings, set `pii`, {corpus}", "per MB", 2, 0.5, False,
            lambda _: false_numbers(record, "pii", corpus),
        )  # fmt: skip

    targets = [
        Target("recognizer cases", "%", 99, 99.8, True, lambda _: passed(record, "recognizers")),
        Target("validator cases", "%", 100, 100, True, lambda _: passed(record, "validators")),
        Target("anonymizer cases", "%", 100, 100, True, lambda _: passed(record, "anonymizer")),
        *(numbers(corpus) for corpus in CORPORA),
        presidio("its English pattern recognizers, the same entities here", "sift_fast_presidio", "presidio_defaults"),
        presidio("those of entities that `pii` has, all of `pii` here", "sift_fast", "presidio"),
        Target(
            "entities of LiteLLM's pattern file, no decoding, 2,000 characters, P50, worst corpus", "us", 10, 5, False,
            lambda _: engine_us("pii-litellm", "sift_fast_shared"),
        ),
        Target(
            "redact 1 KB with five findings, with all decoders, P50", "us", 8, 4, False,
            lambda _: engine_us("pii-redact", "sift_fast_decoding"),
        ),
        Target(
            "added to secrets, injection and leak, no decoding, 4 KB, worst corpus", "%", 15, 8, False,
            lambda _: max(added.share(dict(cell)) for cell in cells("pii-added")),
        ),
    ]  # fmt: skip
    return target_table(benchmarks, targets)


def page(record: Mapping[str, Any], benchmarks: Records) -> str:
    """The whole page. It says in its head when the rules of the tree are other ones than those of the record."""
    headings = ["Cases", "Failed cases"]
    if record["corpora"]:
        headings += ["Numbers in clean text", "Validator calls", "Candidates", "Other findings in clean text"]
    if record["cost"]:
        headings.append("Cost per rule of `pii`")
    stale = [f"**{older}**"] if (older := outdated(record)) else []
    parts = [INTRODUCTION, *stale, goals(record, benchmarks).markdown()]
    for heading, table in zip(headings, tables(record), strict=True):
        parts += [f"## {heading}", table.markdown()]
    parts.append(footnote(record))
    for heading, name in SPEED.items():
        body = speed.section(name, benchmarks)
        if body is not None:
            parts += [f"## {heading}", benchmarks[name]["definition"]["analysis"].strip(), body]
    return "\n\n".join(parts) + "\n"


def outdated(record: Mapping[str, Any]) -> str:
    """A sentence if the rules of the tree are not those that were measured; else nothing."""
    source = (ROOT / "rust/sift-rules/src/catalogue.rs").read_text(encoding="utf-8")
    version = source.partition('RULES_VERSION: &str = "')[2].partition('"')[0]
    measured = record["build"]["rules_version"]
    return "" if version == measured else f"Measured with rules {measured}; the tree has {version}."


def footnote(record: Mapping[str, Any]) -> str:
    """Where, when and how the cases were run."""
    machine = record["machine"]
    files = ", ".join(f"{name} {sha[:16]}" for name, sha in record["cases"].items())
    return (
        f"<sub>{record['date'][:10]}, Python {machine['python']}, commit {machine['commit']}, rules "
        f"{record['build']['rules_version']}. SHA-256 of the cases: {files}. `{record['command']}`</sub>"
    )
