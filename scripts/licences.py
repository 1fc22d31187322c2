"""Checks that everything the package is made of may be shipped under Apache-2.0. Reads only.

    python -I scripts/licences.py

Looked at: every crate of the lock file, for all platforms (`cargo metadata`); the mandatory, optional and
build dependencies of the Python package with all that they need, as installed (`importlib.metadata`); and
what is linked without being a package of either (`LINKED`). A licence that is not in `ALLOWED` is one
sentence on standard error, and exit 1. Tools that only test are not looked at: they are not shipped.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent

#: SPDX ids of licences that ask for no more than notices, and so go with Apache-2.0 in source and binary.
ALLOWED = frozenset(
    {
        "0BSD",
        "Apache-2.0",
        "Apache-2.0 WITH LLVM-exception",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "BSL-1.0",
        "CC0-1.0",
        "ISC",
        "MIT",
        "MIT-0",
        "PSF-2.0",
        "Unicode-3.0",
        "Unlicense",
        "Zlib",
        # The exception takes back what the GPL asks of programs that are compiled with GCC.
        "GPL-3.0-or-later WITH GCC-exception-3.1",
    }
)

#: Linked into the wheel, and in no lock file: name, licence.
LINKED = (
    ("Hyperscan", "BSD-3-Clause"),
    ("libstdc++", "GPL-3.0-or-later WITH GCC-exception-3.1"),
)

#: Classifiers of packages that do not state an SPDX expression.
CLASSIFIERS = {
    "License :: OSI Approved :: Apache Software License": "Apache-2.0",
    "License :: OSI Approved :: BSD License": "BSD-3-Clause",
    "License :: OSI Approved :: ISC License (ISCL)": "ISC",
    "License :: OSI Approved :: MIT License": "MIT",
    "License :: OSI Approved :: Python Software Foundation License": "PSF-2.0",
}

#: What packages say in words of their own that state neither.
WORDS = {
    "3-Clause BSD License": "BSD-3-Clause",
    "MIT License": "MIT",
}


def allowed(expression: str) -> bool:
    """Whether an SPDX expression can be met with allowed licences alone.

    Raises:
        ValueError: It is no SPDX expression.
    """
    # Crates of old write `MIT/Apache-2.0` for a choice. Read from the end of the list.
    words = re.findall(r"[()]|[^\s()]+", expression.replace("/", " OR "))[::-1]
    try:
        verdict = _either(words)
        if not words:
            return verdict
    except IndexError:
        pass
    raise ValueError(f"`{expression}` is no licence expression")


def _either(words: list[str]) -> bool:
    verdict = _both(words)
    while words[-1:] == ["OR"]:
        words.pop()
        verdict = _both(words) or verdict
    return verdict


def _both(words: list[str]) -> bool:
    verdict = _one(words)
    while words[-1:] == ["AND"]:
        words.pop()
        verdict = _one(words) and verdict
    return verdict


def _one(words: list[str]) -> bool:
    word = words.pop()
    if word == "(":
        verdict = _either(words)
        if words.pop() != ")":
            raise IndexError
        return verdict
    if word in {"AND", "OR", "WITH", ")"}:
        raise IndexError
    if words[-1:] == ["WITH"]:
        words.pop()
        word = f"{word} WITH {words.pop()}"
    return word in ALLOWED


def crates() -> list[tuple[str, str]]:
    """Name with version, and licence, of every crate in the lock file."""
    command = ["cargo", "metadata", "--format-version", "1", "--locked"]
    done = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"error: cargo metadata failed: {done.stderr.strip().splitlines()[-1]}")
    packages: list[dict[str, Any]] = json.loads(done.stdout)["packages"]
    return [(f"crate {package['name']} {package['version']}", package["license"] or "") for package in packages]


def stated(metadata: importlib.metadata.PackageMetadata) -> str:
    """The licence that an installed package states, as an SPDX expression; empty when it states none."""
    for expression in metadata.get_all("License-Expression") or ():
        return str(expression)
    named = [CLASSIFIERS[entry] for entry in metadata.get_all("Classifier") or () if entry in CLASSIFIERS]
    said = [WORDS.get(entry, entry) for entry in metadata.get_all("License") or ()]
    return " AND ".join(named or said)


def distributions(roots: Iterable[str]) -> list[tuple[str, str]]:
    """Name with version, and licence, of the installed packages that `roots` (requirements) lead to."""
    found: dict[str, tuple[str, str]] = {}
    todo = [Requirement(root) for root in roots]
    while todo:
        requirement = todo.pop()
        name = canonicalize_name(requirement.name)
        extras = ["", *requirement.extras]
        if name in found or (
            requirement.marker and not any(requirement.marker.evaluate({"extra": extra}) for extra in extras)
        ):
            continue
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            message = f"error: `{name}` is not installed, so its licence is not known: type `make venv`"
            raise SystemExit(message) from None
        found[name] = (f"package {name} {distribution.version}", stated(distribution.metadata))
        for text in distribution.requires or ():
            needed = Requirement(text)
            # What only an extra asks for is not installed with us.
            if not needed.marker or needed.marker.evaluate({"extra": ""}):
                todo.append(needed)
    return sorted(found.values())


def objections(components: Iterable[tuple[str, str]]) -> list[str]:
    """One sentence for each component (name, licence) that may not be shipped."""
    complaints = []
    for name, licence in components:
        try:
            if not licence:
                complaints.append(f"{name} states no licence")
            elif not allowed(licence):
                complaints.append(f"{name} is under `{licence}`, which is not in the list of scripts/licences.py")
        except ValueError as error:
            complaints.append(f"{name}: {error}")
    return complaints


def main() -> int:
    """Check everything."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)
    roots = [
        *project["project"]["dependencies"],
        *(name for extra in project["project"].get("optional-dependencies", {}).values() for name in extra),
        *project["build-system"]["requires"],
    ]
    components = [*crates(), *distributions(roots), *LINKED]
    complaints = objections(components)
    for complaint in complaints:
        print(f"error: {complaint}", file=sys.stderr)
    if not complaints:
        print(f"{len(components)} components, all under licences that go with Apache-2.0")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
