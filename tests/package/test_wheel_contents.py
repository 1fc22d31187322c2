"""`scripts/check_wheel.py` on the wheel of this run, and on wheels with faults put into them."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

import sift_fast
from sift_fast import _core


@pytest.fixture(scope="module")
def check(load_script):
    return load_script("check_wheel")


@pytest.fixture
def altered(wheel, tmp_path):
    """A function that copies the wheel without some files, with some more, or under another name."""

    def alter(*, without: str = "", extra: str = "", name: str = wheel.name) -> Path:
        target = tmp_path / name
        with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as copy:
            for entry in source.namelist():
                if entry != without:
                    copy.writestr(entry, source.read(entry))
            if extra:
                copy.writestr(extra, "")
        return target

    return alter


def test_the_wheel_is_complete_and_small(check, wheel, root):
    assert check.check_archive(wheel, root) == []


def test_the_module_needs_only_glibc_and_shows_only_itself(check, wheel, tmp_path):
    assert check.check_module(wheel, tmp_path) == []


def test_what_is_installed_is_the_wheel(wheel, root):
    """Running against the source tree would test files that nobody gets."""
    assert not Path(sift_fast.__file__).is_relative_to(root / "sift_fast")
    with zipfile.ZipFile(wheel) as archive:
        built = hashlib.sha256(archive.read("sift_fast/_core.abi3.so")).hexdigest()
    assert hashlib.sha256(Path(_core.__file__).read_bytes()).hexdigest() == built


@pytest.mark.parametrize(
    "name",
    ["sift_fast/_core.abi3.so", "sift_fast/_core.pyi", "sift_fast/py.typed", "sift_fast/cli/__init__.py"],
)
def test_a_missing_file_is_seen(check, altered, root, name):
    """.gitignore decides what maturin packs: one pattern too many drops a file without a word."""
    assert any(name in complaint for complaint in check.check_archive(altered(without=name), root))


@pytest.mark.parametrize(
    "name",
    [
        "tests/test_scan.py",
        "sift_fast/tests/test_scan.py",
        "sift_fast/conftest.py",
        "rust/sift-py/src/lib.rs",
        "sift_fast/__pycache__/types.cpython-311.pyc",
        "sift_fast/other.abi3.so",
    ],
)
def test_a_file_too_many_is_seen(check, altered, root, name):
    assert check.check_archive(altered(extra=name), root) == [f"{name} does not belong into the wheel"]


@pytest.mark.parametrize("tag", ["cp311-cp311-manylinux_2_34_x86_64", "cp311-abi3-linux_x86_64"])
def test_another_tag_is_seen(check, altered, root, tag):
    """Built for one Python, or for this machine alone."""
    assert len(check.check_archive(altered(name=f"sift_fast-0.1.0-{tag}.whl"), root)) == 1


def test_a_heavy_wheel_is_seen(check, altered, root, monkeypatch):
    monkeypatch.setattr(check, "MAX_BYTES", 1000)
    assert "1000 is the limit" in check.check_archive(altered(), root)[0]


def test_pins_become_constraints(check, tmp_path):
    """A constraint that is lost would let an untested version in."""
    requirements = tmp_path / "pins.txt"
    requirements.write_text(
        "# made\none==1.0 \\\n    --hash=sha256:00 \\\n    --hash=sha256:11\n"
        "two==2.0 ; python_full_version < '3.12' \\\n    --hash=sha256:22\nthree==3\n",
        encoding="utf-8",
    )
    assert check.pins(requirements) == "one==1.0\ntwo==2.0 ; python_full_version < '3.12'\nthree==3\n"
