"""`python -m benches.decode [--cases FILE] [--corpus FILE]`: shares found under each encoding, as Markdown.

Secrets: of the cases that are found plainly, how many are found under each encoding and under two. Injections: the
same for the examples of the rules, with the evasions of words. Innocent text: findings in pieces of a corpus,
plain, encoded and under each evasion. A secret counts as found if a rule that
finds it plainly finds it, an injection if any rule for injections does; nothing of
a text is printed.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import get_args

import sift_fast as sf
from benches.decode.encodings import VEILS, WAYS, Way
from sift_fast import _core
from sift_fast.types import EncodingName

#: Longest text, in characters: what is longer when encoded than a window is not found as a whole.
LONGEST = 300

#: All there are: `True` leaves out what is turned or backwards.
ENCODINGS = get_args(EncodingName)
#: Words and punctuation; nothing that is written in an encoding already.
_SENTENCE = re.compile(r"[A-Za-z]+(?:[ ,.;:!?'\"\n-]+[A-Za-z0-9]+){2,}[ .!?'\":]*")
#: Letters of a piece of innocent text.
PIECE = 600


def _rules(scanner: sf.Scanner, text: str, category: str) -> set[str]:
    return {found.rule_id for found in scanner.scan(text) if found.category == category}


def _examples(category: str) -> Iterator[str]:
    for row in _core.rule_table(["default"]):
        if row["category"] == category:
            for text, _ in _core.examples(row["id"], 5, ["default"]):
                yield text


def _cases(path: str | None) -> Iterator[str]:
    if path is None:
        yield from _examples("secret")
        return
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)["text"]


def _wrapped(text: str) -> str:
    return f"Please look at this:\n{text}\n\nThank you."


def _share(
    scanner: sf.Scanner, texts: Iterable[str], category: str, ways: dict[str, tuple[Way, ...]]
) -> list[tuple[str, int, int]]:
    plain = [(text, rules) for text in texts if len(text) <= LONGEST and (rules := _rules(scanner, text, category))]
    rows = []
    for name, chain in ways.items():
        hits = tried = 0
        for text, rules in plain:
            encoded = text
            for way in chain:
                encoded = way(encoded)
            tried += 1
            found = _rules(scanner, _wrapped(encoded), category)
            hits += bool(found if category == "injection" else rules & found)
        rows.append((name, hits, tried))
    return rows


def _innocent(scanner: sf.Scanner, path: str) -> list[tuple[str, int, int]]:
    text = Path(path).read_text(encoding="utf-8", errors="replace")
    pieces = [text[at : at + PIECE] for at in range(0, min(len(text), 400 * PIECE), PIECE)]
    ways: dict[str, Way] = {"as it is": str, **WAYS, **VEILS}
    return [
        (name, sum(len(scanner.scan(_wrapped(way(piece)))) for piece in pieces), len(pieces))
        for name, way in ways.items()
    ]


def _table(title: str, rows: list[tuple[str, int, int]], *, share: bool = True) -> None:
    print(f"\n## {title}\n\n| encoding | {'found' if share else 'findings'} | of | |\n|---|---|---|---|")
    for name, hits, tried in rows:
        print(f"| {name} | {hits} | {tried} | {f'{100 * hits / max(tried, 1):.1f} %' if share else ''} |")
    if share:
        hits, tried = sum(row[1] for row in rows), sum(row[2] for row in rows)
        print(f"| all | {hits} | {tried} | {100 * hits / max(tried, 1):.1f} % |")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="make eval-decode", description=__doc__)
    parser.add_argument("--cases", help="JSON lines, gzipped, with a `text` each; without it examples of the rules")
    parser.add_argument("--corpus", action="append", default=[], help="a file of innocent text; may be given again")
    arguments = parser.parse_args()
    scanner = sf.Scanner(decode=ENCODINGS)
    texts = list(_cases(arguments.cases))
    single: dict[str, tuple[Way, ...]] = {name: (way,) for name, way in WAYS.items()}
    inner = {name: way for name, way in WAYS.items() if name not in ("zero width", "full width")}
    double: dict[str, tuple[Way, ...]] = {
        f"{one} in {two}": (inner[one], WAYS[two])
        for one, two in itertools.product(("base64", "hex", "percent", "JSON escapes", "gzip in base64"), WAYS)
    }
    _table("Secrets under one encoding", _share(scanner, texts, "secret", single))
    _table("Secrets under two encodings", _share(scanner, texts, "secret", double))
    _table("Injections under one encoding", _share(scanner, _examples("injection"), "injection", single))
    # Other letters have no look-alikes, digits or turned letters, and markup has no letters to space.
    sentences = [text for text in _examples("injection") if _SENTENCE.fullmatch(text)]
    veils: dict[str, tuple[Way, ...]] = {name: (way,) for name, way in VEILS.items()}
    _table("Injections under each evasion of words, ASCII sentences", _share(scanner, sentences, "injection", veils))
    for path in arguments.corpus:
        _table(f"Findings in innocent text: {Path(path).stem}", _innocent(scanner, path), share=False)


if __name__ == "__main__":
    main()
