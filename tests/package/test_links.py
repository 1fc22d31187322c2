"""Links between the documents lead somewhere, and so do the paths that they name in code."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

LINK = re.compile(r"\[[^\]\n]*\]\(<?([^)>\s]+)>?\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
#: A path in code, as DESIGN.md names its files: with a folder and an ending.
PATH = re.compile(
    r"`((?:rust|sift_fast|tests|benches|scripts|docs|examples|models|cli|guard|sift-[a-z]+)/[\w./-]+\.[a-z]{1,5})`"
)


def pages(root: Path) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return [root / name for name in filter(None, listed.split("\0")) if (root / name).is_file()]


def dead(page: Path, text: str, root: Path) -> list[str]:
    """Links and paths of a page that lead to nothing."""
    found = []
    prose = FENCE.sub("", text)
    for target in LINK.findall(prose):
        name = target.partition("#")[0]
        if "://" not in target and not target.startswith("mailto:") and name and not (page.parent / name).exists():
            found.append(target)
    return found + [path for path in PATH.findall(prose) if not (root / path).exists()]


def test_links_lead_somewhere(root):
    found = {str(page.relative_to(root)): dead(page, page.read_text(encoding="utf-8"), root) for page in pages(root)}
    assert len(found) > 20
    assert {name: targets for name, targets in found.items() if targets} == {}


@pytest.mark.parametrize("text", ["[x](nowhere.md)", "[x](nowhere.md#part)", "`rust/sift-scan/src/no_such.rs`"])
def test_a_dead_one_is_noticed(root, text):
    assert len(dead(root / "README.md", text, root)) == 1
    assert dead(root / "README.md", f"```\n{text}\n```", root) == []


def test_the_readme_names_every_crate(root):
    table = (root / "README.md").read_text(encoding="utf-8").partition("## Crates")[2]
    crates = {path.parent.name for path in root.glob("rust/sift-*/Cargo.toml")}
    assert crates - set(re.findall(r"`(sift-[a-z-]+)`", table)) == set()
