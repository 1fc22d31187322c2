"""Baselines: findings that are known and accepted, by keyed fingerprint.

A baseline is a JSON document:

    {"version": 1, "tool": "sift-fast 0.1.0", "salt": "<64 hex digits>",
     "findings": [{"path": "src/app.py", "rule": "secret.github.token", "fingerprint": "<64 hex digits>"}]}

`path` is relative to the folder of the baseline, so that it can be read from anywhere; names that are not
plain text are escaped as in reports. `fingerprint` is HMAC-SHA256, keyed with the salt, over the rule id, a
zero byte and the value; it holds no place, so a finding that moved to another line is still known. The salt
keeps two baselines from being compared; it does not keep a short password from being guessed by who has the
file, so a baseline belongs where the code it speaks of is.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field

from sift_fast._json import once
from sift_fast.cli._output import opened
from sift_fast.cli._text import printable
from sift_fast.errors import ConfigError

VERSION = 1
SALT_BYTES = FINGERPRINT_BYTES = 32

#: (path as written, rule id, fingerprint)
Known = tuple[str, str, str]


@dataclass
class Baseline:
    """A salt and the findings known under it."""

    salt: bytes = field(default_factory=lambda: secrets.token_bytes(SALT_BYTES))
    known: set[Known] = field(default_factory=set)

    @classmethod
    def read(cls, path: str) -> Baseline:
        """Read a file. Raises ConfigError for a file that is not a whole baseline: none may be taken as empty."""
        # A pipe would be waited for, a device read for ever.
        if os.path.exists(path) and not os.path.isfile(path):
            raise ConfigError(f"the baseline `{path}` is not a regular file: name one that `--write-baseline` wrote")
        try:
            with open(path, "rb") as stream:
                document = json.loads(stream.read(), object_pairs_hook=once)
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"the baseline `{path}` is not JSON: write it anew with `--write-baseline`") from error
        version = document.get("version") if isinstance(document, dict) else None
        # `true` is 1 to Python.
        if version != VERSION or isinstance(version, bool):
            raise ConfigError(
                f"the baseline `{path}` is not of version {VERSION}: write it anew with `--write-baseline`"
            )
        salt = _hex(document.get("salt"), SALT_BYTES)
        rows = document.get("findings")
        if salt is None or not isinstance(rows, list):
            raise ConfigError(f"the baseline `{path}` lacks its salt or its findings: it is damaged")
        known: set[Known] = set()
        for number, row in enumerate(rows):
            found = _known(row)
            if found is None:
                raise ConfigError(f"entry {number} of the baseline `{path}` is damaged")
            known.add(found)
        return cls(salt, known)

    def write(self, path: str, tool: str) -> None:
        """Write a file, whole or not at all; one finding a line, sorted, so that a change reads well in a diff."""
        lines = [
            json.dumps({"path": name, "rule": rule, "fingerprint": fingerprint}, ensure_ascii=True)
            for name, rule, fingerprint in sorted(self.known)
        ]
        text = (
            f'{{"version": {VERSION}, "tool": {json.dumps(tool)}, "salt": "{self.salt.hex()}", "findings": ['
            + ("\n  " + ",\n  ".join(lines) + "\n" if lines else "")
            + "]}\n"
        )
        with opened(path) as stream:
            stream.write(text.encode("ascii"))

    def holds(self, found: Known) -> bool:
        """Whether a finding is known."""
        return found in self.known

    def replaced(self, found: Iterable[Known]) -> Baseline:
        """The same salt with other findings."""
        return Baseline(self.salt, set(found))


def relative(path: bytes, baseline: str) -> str:
    """A scanned file's path as the baseline's folder sees it."""
    folder = os.fsencode(os.path.dirname(os.path.realpath(baseline)))
    # The file itself may be a link and is named as such; only the folders are resolved.
    parent, name = os.path.split(os.path.abspath(path))
    return printable(os.path.relpath(os.path.join(os.path.realpath(parent), name), folder))


def _known(row: object) -> Known | None:
    if not isinstance(row, dict):
        return None
    path, rule, fingerprint = (row.get(key) for key in ("path", "rule", "fingerprint"))
    if not (isinstance(path, str) and isinstance(rule, str) and isinstance(fingerprint, str)):
        return None
    return None if _hex(fingerprint, FINGERPRINT_BYTES) is None else (path, rule, fingerprint)


def _hex(value: object, size: int) -> bytes | None:
    if not isinstance(value, str):
        return None
    try:
        raw = bytes.fromhex(value)
    except ValueError:
        return None
    return raw if len(raw) == size and value == raw.hex() else None
