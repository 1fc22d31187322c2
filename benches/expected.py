"""Expected counts: how many findings our engine must report on given pieces. A wrong count is an error.

Kept in `benches/expected.json`, keyed by what is scanned and how (rule sets, decoders, the digest of the pieces), so a
corpus that nobody has verified is reported as such instead of failing. `--update-expected` lets the
second engine (`regex-automata`, in a process of its own) scan the same pieces; only a count on which
both agree is stored, and the changes are printed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benches import HERE, ROOT
from benches.corpora import Pieces, digest
from benches.errors import BenchError, WrongCount

FILE = HERE / "expected.json"


class Expected:
    """The table of one run."""

    def __init__(self, update: bool, file: Path = FILE) -> None:
        self.update = update
        self._file = file
        self._counts: dict[str, dict[str, Any]] = {}
        if file.is_file():
            self._counts = json.loads(file.read_text(encoding="utf-8"))
        self._before = dict(self._counts)

    def check(
        self,
        pieces: Pieces,
        rules: Sequence[str],
        count: int,
        rule_hash: str,
        entities: Sequence[str] | None = None,
        *,
        decode: bool,
    ) -> str:
        """`verified`, `verified with other rules`, or `unverified`; raises `WrongCount`. With update: verify now and
        remember.
        """
        only = f" {len(entities)} entities {digest(entities)[:16]}" if entities else ""
        read = " decoded" if decode else ""
        key = f"{'+'.join(rules)}{only}{read} {pieces.corpus} {pieces.piece_bytes} {pieces.digest[:16]}"
        if self.update:
            second = second_opinion(pieces.texts, rules, entities, decode=decode)
            if second != count:
                raise WrongCount(
                    f"on {len(pieces.texts)} pieces of `{pieces.corpus}` with {list(rules)} the two engines "
                    f"disagree: {count} and {second} findings; nothing is stored, find the bug first"
                )
            self._counts[key] = {"count": count, "rule_hash": rule_hash, "synthetic": pieces.synthetic}
            return "verified"
        known = self._counts.get(key)
        if known is None:
            return "unverified"
        if known["count"] != count:
            same = "with the same rules" if known["rule_hash"] == rule_hash else "the rules have changed since"
            raise WrongCount(
                f"on {len(pieces.texts)} pieces of `{pieces.corpus}` with {list(rules)} {known['count']} findings "
                f"are expected and {count} were found ({same}); if that is right, run with --update-expected"
            )
        return "verified" if known["rule_hash"] == rule_hash else "verified with other rules"

    def save(self) -> list[str]:
        """Write what changed; returns the lines of the difference."""
        keys = sorted(set(self._before) | set(self._counts))
        lines = []
        for key in keys:
            old, new = self._before.get(key), self._counts.get(key)
            if old is None and new is not None:
                lines.append(f"+ {key}: {new['count']}")
            elif old is not None and new is not None and old["count"] != new["count"]:
                lines.append(f"- {key}: {old['count']}")
                lines.append(f"+ {key}: {new['count']}")
        if self.update:
            text = json.dumps({key: self._counts[key] for key in sorted(self._counts)}, indent=1)
            self._file.write_text(text + "\n", encoding="utf-8")
        return lines


def second_opinion(
    texts: Sequence[str], rules: Sequence[str], entities: Sequence[str] | None = None, *, decode: bool
) -> int:
    """Findings that the second engine reports on the same texts, with the same decoders."""
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        json.dump({"texts": list(texts), "rules": list(rules), "entities": entities, "decode": decode}, file)
        file.flush()
        done = subprocess.run(
            [sys.executable, "-m", "benches.child", "second_opinion", file.name],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise BenchError(f"the second engine could not verify the counts: {reason}")
    return int(json.loads(done.stdout)["count"])
