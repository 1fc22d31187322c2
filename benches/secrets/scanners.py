"""The scanners that are compared, each in the mode its users have, behind one function.

`scan` takes texts and gives for each the findings as `Hit`: the scanner's own rule id and the span of the
secret in code points, as exactly as the scanner tells it.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benches.engines.base import require, version_of
from benches.engines.sift_fast import module
from benches.errors import BenchError, EngineMissing
from benches.secrets.span import Span
from benches.secrets.texts import Text

OURS = "sift_fast"


@dataclass(frozen=True)
class Hit:
    """One finding; no span when the scanner does not tell where."""

    rule: str
    span: Span | None


@dataclass(frozen=True)
class Scanner:
    """One scanner, ready."""

    name: str
    version: str
    settings: str
    rules: int | None
    scan: Callable[[Sequence[Text]], list[list[Hit]]]


def sift_fast(rules: Sequence[str], rule_files: Sequence[str]) -> Scanner:
    """Ours, from the installed wheel."""
    sf = module()
    scanner = sf.Scanner(rules=list(rules), rule_files=list(rule_files))

    def scan(texts: Sequence[Text]) -> list[list[Hit]]:
        return [[Hit(found.rule_id, (found.start, found.end)) for found in scanner.scan(item.text)] for item in texts]

    shown = f"rules={list(rules)}" + (f" and {len(rule_files)} rule files" if rule_files else "")
    return Scanner(OURS, str(sf.__version__), shown, len(scanner.rules), scan)


def kingfisher(name: str, **options: Any) -> Scanner:
    """kingfisher_sdk. It counts bytes, and tells the secret beside the place of the whole match."""
    package = "kingfisher-secret-scanner"
    sdk = require("kingfisher_sdk", package)
    rules = sdk.Rules()
    scanner = sdk.Scanner(rules, **options)

    def hits(text: Text) -> list[Hit]:
        data = text.data
        found = []
        for item in scanner.scan(data):
            # Invisible findings are helpers of composite rules: kingfisher itself says to leave them out.
            if not item.visible:
                continue
            start, end = item.location["start_offset"], item.location["end_offset"]
            secret = item.secret.encode("utf-8", "replace")
            inside = data.find(secret, start, end) if secret else -1
            if inside >= 0:
                start, end = inside, inside + len(secret)
            found.append(Hit(item.rule_id, (_points(data, start), _points(data, end))))
        return found

    shown = "built-in rules, defaults" if not options else "built-in rules, base64=False"
    return Scanner(name, version_of(package), shown, len(rules), lambda texts: [hits(text) for text in texts])


def _points(data: bytes, offset: int) -> int:
    return len(data[:offset].decode("utf-8", "replace"))


def detect_secrets() -> Scanner:
    """detect-secrets on files, which is its real mode; it tells line and value."""
    package = "detect-secrets"
    core = require("detect_secrets", package)
    settings = require("detect_secrets.settings", package)

    def scan(texts: Sequence[Text]) -> list[list[Hit]]:
        answer = []
        with _files(texts) as paths, settings.default_settings():
            for item, path in zip(texts, paths, strict=True):
                collection = core.SecretsCollection()
                collection.scan_file(str(path))
                answer.append(
                    [Hit(it.type, _in_line(item.text, it.line_number, it.secret_value)) for _, it in collection]
                )
        return answer

    with settings.default_settings():
        plugins = len(settings.get_settings().plugins)
    shown = f"SecretsCollection.scan_file, {plugins} default plugins and filters"
    return Scanner("detect_secrets", version_of(package), shown, plugins, scan)


def gitleaks() -> Scanner:
    """The gitleaks program, when there is one on the PATH: `go install` of its module makes it."""
    program = shutil.which("gitleaks")
    if program is None:
        raise EngineMissing("there is no program `gitleaks`; go install github.com/zricethezav/gitleaks/v8@v8.30.1")

    def scan(texts: Sequence[Text]) -> list[list[Hit]]:
        with _files(texts) as paths:
            command = [program, "dir", str(paths[0].parent.parent), "--no-banner", "--log-level", "error"]
            done = subprocess.run(
                [*command, "--report-format", "json", "--report-path", "-"], capture_output=True, check=False
            )
            if done.returncode not in (0, 1):
                raise BenchError(f"gitleaks ended with {done.returncode}")
            answer: list[list[Hit]] = [[] for _ in texts]
            for item in json.loads(done.stdout or b"[]") or []:
                at = int(Path(item["File"]).parent.name)
                answer[at].append(Hit(item["RuleID"], _in_line(texts[at].text, item["StartLine"], item["Secret"])))
        return answer

    return Scanner("gitleaks", _go_version(program), "gitleaks dir, default configuration", None, scan)


def _go_version(program: str) -> str:
    """The module version that Go wrote into a program; its own word is empty when it was built by `go install`."""
    go = shutil.which("go")
    if go is None:
        return "unknown"
    told = subprocess.run([go, "version", "-m", program], capture_output=True, text=True, check=False).stdout
    version = re.search(r"^\s*mod\s+\S+\s+v(\S+)", told, re.MULTILINE)
    return version[1] if version else "unknown"


@contextlib.contextmanager
def _files(texts: Sequence[Text]) -> Any:
    """The texts as files, each in a folder named by its position, in memory where the system can."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=memory if os.access(memory, os.W_OK) else None))
    try:
        paths = []
        for at, text in enumerate(texts):
            path = folder / str(at) / text.name
            path.parent.mkdir()
            path.write_bytes(text.data)
            paths.append(path)
        yield paths
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _in_line(text: str, line: int, secret: str | None) -> Span | None:
    """The place of a value that a scanner tells by line; None when it is not there as it was told."""
    if not secret:
        return None
    start = 0
    for _ in range(line - 1):
        start = text.find("\n", start) + 1
    at = text.find(secret, start)
    return (at, at + len(secret)) if at >= 0 else None


#: Name to what opens it; the rivals that are not installed are named in the record.
RIVALS: dict[str, Callable[[], Scanner]] = {
    "kingfisher": lambda: kingfisher("kingfisher"),
    "detect_secrets": detect_secrets,
    "gitleaks": gitleaks,
}
