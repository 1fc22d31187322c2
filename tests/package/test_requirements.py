"""The pinned tools: every file is hashed, nothing points at one index, and pins and wishes agree."""

from __future__ import annotations

import re

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def pinned(text: str) -> dict[str, int]:
    """Each pinned name with the number of its hashes."""
    found = {}
    for block in re.split(r"\n(?=\S)", text):
        first = block.split("\n", 1)[0].rstrip(" \\")
        if first and not first.startswith("#"):
            requirement = Requirement(first)
            assert re.fullmatch(r"==[^*]+", str(requirement.specifier)), first
            name = canonicalize_name(requirement.name)
            found[name] = found.get(name, 0) + block.count("--hash=sha256:")
    return found


@pytest.fixture(params=["dev", "bench", "bench-kernel", "hosts", "litellm"])
def files(root, request) -> tuple[str, str]:
    folder = root / "requirements"
    return tuple((folder / f"{request.param}.{kind}").read_text(encoding="utf-8") for kind in ("in", "txt"))


def test_every_pin_has_hashes(files):
    """One pin without a hash makes pip refuse the file, or trust the network."""
    assert [name for name, hashes in pinned(files[1]).items() if hashes == 0] == []


def test_no_file_chooses_an_index(files):
    """Where packages come from is the machine's affair."""
    assert re.findall(r"^\s*(?:--(?!hash=)\S+|-[if]\b.*|.*://.*)$", files[1], re.MULTILINE) == []


def test_every_wish_is_pinned(files):
    wishes = [line for line in files[0].splitlines() if line and not line.startswith(("#", "-"))]
    assert wishes
    assert {canonicalize_name(Requirement(line).name) for line in wishes} <= set(pinned(files[1]))


@pytest.mark.parametrize("other", ["bench", "hosts", "litellm"])
def test_the_files_agree(root, other):
    """What is measured and what is tested inside of frameworks are the versions that the tests test."""
    lines = [
        set(re.findall(r"^([A-Za-z0-9._-]+==.*?) *\\$", (root / "requirements" / name).read_text(), re.MULTILINE))
        for name in ("dev.txt", f"{other}.txt")
    ]
    for name in ("numpy", "click", "rich"):
        versions = [{line for line in found if line.startswith(f"{name}==")} for found in lines]
        assert versions[0]
        assert versions[0] == versions[1]
