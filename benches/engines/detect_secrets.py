"""detect-secrets: plugins and filters over lines, as its `scan` command does it.

Its real mode reads files, so each piece is a file (written before the clock starts, in memory-backed
storage when there is any) and `SecretsCollection.scan_file` is timed. Reading the file is part of it,
a small one: at 0.3 MB/s a 4 KB piece takes 14 ms.
"""

from __future__ import annotations

import atexit
import contextlib
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benches.engines.base import Runner, require, version_of

PACKAGE = "detect-secrets"


def runner(rules: Sequence[str]) -> Runner:
    """All default plugins and filters; verification of secrets over the network is off by default."""
    del rules
    core = require("detect_secrets", PACKAGE)
    settings = require("detect_secrets.settings", PACKAGE)

    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=memory if memory.is_dir() else None))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    # `default_settings` is a context manager around global state; it must stay open while we scan.
    stack = contextlib.ExitStack()
    stack.enter_context(settings.default_settings())
    atexit.register(stack.close)

    def prepare(texts: Sequence[str]) -> list[str]:
        paths = []
        for index, text in enumerate(texts):
            path = folder / f"{len(texts)}-{index}.txt"
            path.write_text(text, encoding="utf-8", errors="replace")
            paths.append(str(path))
        return paths

    def scan(path: str) -> Any:
        collection = core.SecretsCollection()
        collection.scan_file(path)
        return collection

    def count(collection: Any) -> int:
        return sum(1 for _ in collection)

    def read(collection: Any) -> int:
        seen = 0
        for _, secret in collection:
            _ = secret.type, secret.line_number
            seen += 1
        return seen

    plugins = len(settings.get_settings().plugins)
    return Runner(
        name="detect_secrets",
        version=version_of(PACKAGE),
        settings=f"SecretsCollection.scan_file, {plugins} default plugins, default filters",
        scan=scan,
        count=count,
        read=read,
        prepare=prepare,
        facts={"plugins": plugins},
    )
