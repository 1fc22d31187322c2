"""`scripts/licences.py`: what it lets through, what it refuses, and that today's dependencies pass."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module")
def licences(load_script):
    return load_script("licences")


@pytest.mark.parametrize(
    "expression",
    [
        "MIT",
        "MIT OR GPL-3.0-only",
        "GPL-3.0-only OR MIT",
        "MIT/Apache-2.0",
        "(MIT OR Apache-2.0) AND Unicode-3.0",
        "Apache-2.0 WITH LLVM-exception OR Apache-2.0 OR MIT",
        "GPL-3.0-or-later WITH GCC-exception-3.1",
    ],
)
def test_what_may_be_shipped(licences, expression):
    assert licences.allowed(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "GPL-3.0-or-later",
        "MIT AND GPL-3.0-only",
        "AGPL-3.0-only OR (MIT AND LGPL-2.1-only)",
        "GPL-2.0-only WITH Classpath-exception-2.0",
        "MIT WITH GCC-exception-3.1",
        "LicenseRef-Proprietary",
    ],
)
def test_what_may_not(licences, expression):
    """An operator read the wrong way round would let a copyleft licence in."""
    assert not licences.allowed(expression)


@pytest.mark.parametrize("expression", ["MIT OR", "OR MIT", "(MIT", "MIT)", "MIT Apache-2.0", "MIT WITH", "()"])
def test_what_is_no_expression(licences, expression):
    with pytest.raises(ValueError, match="no licence expression"):
        licences.allowed(expression)


def test_objections_name_the_component(licences):
    components = [("good", "MIT"), ("copyleft", "GPL-3.0-only"), ("silent", ""), ("odd", "MIT OR")]
    assert [objection.split()[0].rstrip(":") for objection in licences.objections(components)] == [
        "copyleft",
        "silent",
        "odd",
    ]


def test_todays_components_pass(licences):
    """Also that the lists are not empty: a broken look-up would approve of everything."""
    crates = licences.crates()
    packages = licences.distributions(["numpy", "click", "rich", "maturin"])
    assert any(name.startswith("crate memchr ") for name, _ in crates)
    assert {"package rich", "package pygments"} <= {name.rsplit(" ", 1)[0] for name, _ in packages}
    assert licences.objections([*crates, *packages, *licences.LINKED]) == []


def test_a_package_that_is_not_there_is_an_error(licences):
    with pytest.raises(SystemExit, match="not installed"):
        licences.distributions(["sift-fast-no-such-package"])


def test_hyperscans_licence_is_at_hand(root):
    """Its text must go with every binary."""
    text = (root / "licenses" / "hyperscan.txt").read_text(encoding="utf-8")
    assert "Intel Corporation" in text
    assert "Redistributions in binary form must reproduce" in text
