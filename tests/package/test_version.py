"""The version stands in four files and in two installed places. They must agree."""

from __future__ import annotations

import importlib.metadata
import re
import tomllib

import pytest

import sift_fast


@pytest.fixture(scope="module")
def version(root) -> str:
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]


def test_the_workspace_agrees(root, version):
    workspace = tomllib.loads((root / "Cargo.toml").read_text(encoding="utf-8"))["workspace"]
    assert workspace["package"]["version"] == version


def test_every_crate_takes_the_version_of_the_workspace(root):
    """A crate with a version of its own would tell `build_info` something else."""
    own = [
        path.parent.name
        for path in root.glob("rust/*/Cargo.toml")
        # Fuzz targets are a workspace of their own and are never part of a build.
        if path.parent.name != "fuzz"
        and tomllib.loads(path.read_text(encoding="utf-8"))["package"]["version"] != {"workspace": True}
    ]
    assert own == []


def test_the_installed_package_agrees(version):
    assert sift_fast.__version__ == version
    assert importlib.metadata.version("sift-fast") == version
    assert sift_fast.build_info()["version"] == version


def test_the_changelog_begins_with_it(root, version):
    headings = re.findall(r"^## (\S+)", (root / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[:1] == [version]
