"""What no file of the repository may say: hosts of registries, paths of one machine, unfinished work."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

#: Name, pattern, and the files that may say it, with the reason. The patterns are put together so that
#: this file does not hold what it looks for.
RULES = {
    "registry host": (
        "|".join(
            host.replace(" ", re.escape("."))
            for host in (
                "pypi org",
                "files pythonhosted org",
                "crates io",
                "registry npmjs org",
                "deb debian org",
                "archive ubuntu com",
                "proxy golang org",
                "repo maven apache org",
            )
        ),
        # Cargo names its index in every entry; rules for the tokens of registries name the registries.
        ("Cargo.lock", "rust/fuzz/Cargo.lock", "rust/sift-rules/data/", "docs/rules.md"),
    ),
    "path of one machine": ("/work" + "/(?:main|shared)|/root" + r"/\.|/home" + r"/[a-z]+/\.", ()),
    "unfinished work": (r"\b(?:TO" + "DO|FIX" + "ME|HA" + r"CK)\b(?!_)", ("rust/sift-rules/data/",)),
    "merge conflict": (r"^(?:<{7}|>{7}) ", ()),
    # No index has this project: whoever takes the name there would be installed.
    "install by name": (r"pip3? install[^\n`]{0,40}\bsift[-_]fast\b(?!-\*)", ()),
}


@pytest.fixture(scope="module")
def texts(root: Path) -> dict[str, str]:
    """The text files of the repository: tracked, or new and not ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    found = {}
    for name in filter(None, listed.split("\0")):
        # Bytes that were signed.
        if name.startswith("tests/data/ledger/"):
            continue
        path = root / name
        if path.is_file():
            content = path.read_bytes()
            if b"\0" not in content:
                found[name] = content.decode("utf-8")
    return found


def offenders(texts: dict[str, str], name: str) -> list[str]:
    """Where a text breaks a rule, as file and line."""
    pattern, exempt = RULES[name]
    found = []
    for file, text in texts.items():
        if file.startswith(tuple(exempt)):
            continue
        for match in re.finditer(pattern, text, re.MULTILINE):
            line = text.count("\n", 0, match.start()) + 1
            found.append(f"{file}:{line}")
    return found


def test_the_files_are_found(texts):
    assert {"pyproject.toml", "Cargo.toml", "Makefile"} <= set(texts)


@pytest.mark.parametrize("name", RULES)
def test_no_file_says_it(texts, name):
    assert offenders(texts, name) == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("registry host", "index-url = https://pypi" + ".org/simple"),
        ("path of one machine", "see /work" + "/main/README.md"),
        ("unfinished work", "# TO" + "DO: the rest"),
        ("merge conflict", "<" * 7 + " HEAD"),
        ("install by name", "pip" + " install " + "'sift-fast[serve]'"),
    ],
)
def test_the_patterns_find_what_they_are_for(name, text):
    assert offenders({"a.txt": f"first line\n{text}\n"}, name) == ["a.txt:2"]


def test_files_end_with_one_newline(texts):
    """Anything else makes the next change touch a line that it does not mean."""
    odd = [name for name, text in texts.items() if text and (not text.endswith("\n") or text.endswith("\n\n"))]
    assert odd == []
