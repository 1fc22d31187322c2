"""Writes docs/rules.md, tests/data/rules.snapshot.txt and a table in a page from the rules of the installed package.

`make rules-docs` runs it. `--check` changes nothing and exits 1 when a file is stale; `--release` also adds the
ids and aliases of now to tests/data/rules.released.txt, from which nothing is ever taken away.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "rules.md"
MIGRATE = ROOT / "docs" / "migrate-presidio.md"
SNAPSHOT = ROOT / "tests" / "data" / "rules.snapshot.txt"
RELEASED = ROOT / "tests" / "data" / "rules.released.txt"
RECORDS = ROOT / "benches" / "record" / "secrets"

#: What to type when a file is stale.
COMMAND = "make rules-docs"

CATEGORIES = {
    "secret": "Secrets",
    "pii": "Personal data",
    "injection": "Injection",
    "leak": "Leak",
    "content": "Content",
}

PAGE_HEAD = """# Rules

<!-- Made by `{command}` from the installed package; do not edit. -->

{rules:,} built-in rules from {patterns:,} patterns, version {version} of the rule set
([what that means](rule-policy.md)).{measured}

The column *trust* says why a rule is believed in:

| trust | meaning | secret rules |
|---|---|---:|
| N cases | hits N cases that were written for other scanners | {cases:,} |
| document | hits none of them; the format is taken from the document under *source* | {document:,} |
| family | hits none of them; the shape of the family with the provider's name before it | {family:,} |
| own | its own examples and counter-examples only | {own:,} |

The pattern, checks and examples of a rule: `sift-fast rules show ID`. Words: [DESIGN.md](../DESIGN.md), section 5.
"""

SNAPSHOT_HEAD = """# The rules as a reviewable diff: `{command}` writes it, a test compares it.
# id, entity, tier, severity, score, checks, digest of what decides on a match (pattern, group, entropy, context;
# `=` where it is that of the family named above it), former ids. Hash of the default set, bodies included:
# {rule_hash}
"""

Row = Mapping[str, Any]


def table() -> list[dict[str, Any]]:
    """Every built-in rule, sorted by id."""
    from sift_fast import _core

    rows: list[dict[str, Any]] = _core.rule_table(_core.rule_sets())
    return rows


def families(rows: Sequence[Row]) -> Iterator[tuple[str | None, list[Row]]]:
    """The rows by pattern: the family's id, or None, and its rules. Rules of no family come one by one."""
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        key = (row["source"], row["pattern"]) if row["words"] else (row["id"],)
        groups.setdefault(key, []).append(row)
    for members in groups.values():
        yield (family_id([row["id"] for row in members]) if members[0]["words"] else None), members


def family_id(ids: Sequence[str]) -> str:
    """What the ids of a family have in common; each goes on with its provider's part or parts."""
    parts = [id_.split(".")[:-1] for id_ in ids]
    common = next(n for n in range(len(parts[0]), -1, -1) if all(part[:n] == parts[0][:n] for part in parts))
    return ".".join(parts[0][:common])


def decides(row: Row) -> str:
    """Digest of what decides whether the pattern's candidates are findings, 16 hexadecimal digits."""
    parts = {key: row[key] for key in ("pattern", "group", "min_entropy", "context")}
    text = json.dumps(parts, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def snapshot(rows: Sequence[Row], rule_hash: str) -> str:
    """The list of rules, one line each; a family's digest stands once, in a line of its own."""
    shared: dict[str, str] = {}
    lines = []
    for family, members in families(rows):
        for row in members:
            shared[row["id"]] = decides(row) if family is None else "="
        if family is not None:
            lines.append((family, "", "family", "", "", "", decides(members[0]), ""))
    for row in rows:
        checks = ",".join(row["checks"]) or "-"
        shown = (row["id"], row["entity"], row["tier"], row["severity"], f"{row['score']:.2f}", checks)
        lines.append((*shown, shared[row["id"]], " ".join(row["aliases"])))
    body = "".join("\t".join(line).rstrip("\t") + "\n" for line in sorted(lines))
    return SNAPSHOT_HEAD.format(command=COMMAND, rule_hash=rule_hash) + body


def names(rows: Sequence[Row]) -> set[str]:
    """Every id and former id."""
    return {name for row in rows for name in (row["id"], *row["aliases"])}


def released() -> set[str]:
    """Every id and former id that a release had."""
    lines = RELEASED.read_text(encoding="utf-8").splitlines() if RELEASED.exists() else []
    return {line for line in lines if line and not line.startswith("#")}


def release(rows: Sequence[Row]) -> str:
    """The text of the list of released ids, with those of now."""
    head = (
        "# Every id and former id of a rule that a release had. `make rules-docs ARGS=--release` adds to it; nothing\n"
        "# is ever taken away: an id stays an id or an alias, or goes to the list of withdrawn ones.\n"
    )
    return head + "".join(f"{name}\n" for name in sorted(names(rows) | released()))


def vanished(rows: Sequence[Row], withdrawn: Sequence[str], known: set[str]) -> list[str]:
    """Released ids that are neither an id, nor an alias, nor withdrawn."""
    return sorted(known - names(rows) - set(withdrawn))


def newest_run() -> tuple[str, Mapping[str, int]]:
    """Date of the newest recorded evaluation, and the number of third-party cases that each rule hits."""
    paths = sorted(RECORDS.glob("*.json"))
    if not paths:
        return "", {}
    record = json.loads(paths[-1].read_text(encoding="utf-8"))
    return record["date"][:10], record["rules_hit"]


def trust(row: Row, hits: Mapping[str, int], family: str | None) -> str:
    """Why the rule is believed in."""
    number = hits.get(row["id"], 0)
    if number:
        return "1 case" if number == 1 else f"{number} cases"
    if row["references"]:
        return "document"
    return "own" if family is None else "family"


def page(rows: Sequence[Row], version: str, run: tuple[str, Mapping[str, int]]) -> str:
    """docs/rules.md."""
    date, hits = run
    grouped = list(families(rows))
    counts = dict.fromkeys(("cases", "document", "family", "own"), 0)
    for family, members in grouped:
        for row in members:
            if row["category"] == "secret":
                word = trust(row, hits, family)
                counts[word if word in counts else "cases"] += 1
    measured = f" Cases are those of the evaluation of {date}: [eval-secrets.md](eval-secrets.md)." if date else ""
    parts = [
        PAGE_HEAD.format(
            command=COMMAND,
            rules=len(rows),
            patterns=len(grouped),
            version=version,
            measured=measured,
            **counts,
        )
    ]
    ordered = sorted(grouped, key=lambda group: list(CATEGORIES).index(group[1][0]["category"]))
    for category, groups in groupby(ordered, key=lambda group: group[1][0]["category"]):
        kept = list(groups)
        total = sum(len(members) for _, members in kept)
        parts.append(f"## {CATEGORIES[category]}: {total:,} rules\n")
        single = [members[0] for family, members in kept if family is None]
        if single:
            parts.append(_rules(single, hits))
        parts += [_family(family, members, hits) for family, members in kept if family is not None]
    return "\n".join(parts)


def _rules(rows: Sequence[Row], hits: Mapping[str, int]) -> str:
    columns = ("rule", "title", "entity", "tier", "severity", "score", "threat", "trust", "source", "known misses")
    lines = [
        (
            f"`{row['id']}`",
            row["title"],
            row["entity"],
            row["tier"],
            row["severity"],
            f"{row['score']:.2f}",
            " ".join(row["threat"]),
            trust(row, hits, None),
            _source(row),
            "; ".join(row["known_misses"]),
        )
        for row in rows
    ]
    return _markdown(columns, lines)


def _family(family: str, rows: Sequence[Row], hits: Mapping[str, int]) -> str:
    first = rows[0]
    title = first["title"].partition(": ")[2] or first["title"]
    said = [
        f"tier {first['tier']}",
        f"severity {first['severity']}",
        f"score {first['score']:.2f}",
        *([f"threat {' '.join(first['threat'])}"] if first["threat"] else []),
        f"{len(rows)} providers",
    ]
    formats = {row["format"] for row in rows}
    if first["format"]:
        said.append(f"format `{first['format']}`" if len(formats) == 1 else "a format by provider")
    head = f"### Family `{family}`: {_cell(title)}\n\n{', '.join(said)}."
    if first["known_misses"]:
        head += f" Known misses: {_cell('; '.join(first['known_misses']))}."
    lines = [
        (f"`{row['id']}`", row["title"].partition(": ")[0], row["entity"], trust(row, hits, family), _source(row))
        for row in rows
    ]
    return head + "\n\n" + _markdown(("rule", "provider", "entity", "trust", "source"), lines)


def _source(row: Row) -> str:
    """The first reference, as a link named by its host."""
    if not row["references"]:
        return ""
    first = row["references"][0]
    host = urlsplit(first).hostname
    return f"[{host}](<{first}>)" if host else first


def _markdown(columns: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rows = [columns, ["---"] * len(columns), *lines]
    return "".join("| " + " | ".join(_cell(cell) for cell in row) + " |\n" for row in rows)


def _cell(text: str) -> str:
    """A text that stays inside its cell and is shown as it is written."""
    escaped = text.replace("|", "\\|").replace("\n", " ")
    return escaped if escaped.startswith(("`", "[")) else escaped.replace("<", "&lt;").replace("*", "\\*")


#: Where the table of sets stands in its page.
SETS_HEAD = f"<!-- Made by `{COMMAND}`; do not edit. -->\n"
SETS_FOOT = "<!-- The end of what is made. -->"


def sets(tables: Mapping[str, Sequence[Row]]) -> str:
    """What each set for personal data holds, one row a set: of a region only what it has beside `pii`."""
    common = {row["id"] for row in tables["pii"]}
    held = {name: {row["entity"] for row in rows if row["id"] not in common} for name, rows in tables.items()}
    regions = {name: entities for name, entities in sorted(held.items()) if name not in ("pii", "pii-all")}
    rest = held["pii-all"].difference(*regions.values())
    lines = [("`pii`", _list({row["entity"] for row in tables["pii"]}))]
    lines += [(f"`{name}`", _list(entities) or "nothing else") for name, entities in regions.items()]
    return _markdown(("set", "entity types"), [*lines, ("`pii-all`", f"all of these, and {_list(rest)}")])


def _list(entities: Iterable[str]) -> str:
    return ", ".join(sorted(entities))


def personal() -> dict[str, list[dict[str, Any]]]:
    """The rules of each set for personal data."""
    from sift_fast import _core

    return {name: _core.rule_table([name]) for name in _core.rule_sets() if name.split("-")[0] == "pii"}


def generated() -> dict[Path, str]:
    """Each generated file with the text it must have."""
    from sift_fast import _core

    rows, info = table(), _core.build_info()
    migrate = MIGRATE.read_text(encoding="utf-8")
    before, rest = migrate.split(SETS_HEAD)
    after = rest.split(SETS_FOOT)[1]
    return {
        PAGE: page(rows, info["rules_version"], newest_run()),
        SNAPSHOT: snapshot(rows, info["rule_hash"]),
        MIGRATE: f"{before}{SETS_HEAD}\n{sets(personal())}\n{SETS_FOOT}{after}",
    }


def main(arguments: Sequence[str]) -> int:
    """0 done, or fresh; 1 stale with `--check`, or an id has vanished; 2 misuse."""
    from sift_fast import _core

    if set(arguments) - {"--check", "--release"}:
        print(__doc__, file=sys.stderr)
        return 2
    code = 0
    for path, text in generated().items():
        fresh = path.exists() and path.read_text(encoding="utf-8") == text
        name = path.relative_to(ROOT)
        if not fresh and "--check" in arguments:
            print(f"{name} is stale: type `{COMMAND}` and read the difference", file=sys.stderr)
            code = 1
        elif not fresh:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {name}")
    rows = table()
    gone = vanished(rows, [entry[0] for entry in _core.withdrawn_rules()], released())
    for name in gone:
        print(
            f"`{name}` was released and is gone: keep it as an alias or withdraw it (docs/rule-policy.md)",
            file=sys.stderr,
        )
    if gone:
        return 1
    if "--release" in arguments:
        RELEASED.write_text(release(rows), encoding="utf-8")
    return code


if __name__ == "__main__":
    # The tree's own `sift_fast/` has no engine in it; the installed package is meant.
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != ROOT]
    sys.exit(main(sys.argv[1:]))
