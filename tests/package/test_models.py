"""Each model's manifest says what its weights are: a file that was trained again without it would be another model."""

from __future__ import annotations

import hashlib
import tomllib

import pytest

from sift_fast import _core


@pytest.fixture(scope="module")
def manifest(root):
    return tomllib.loads((root / "models" / "injection-ngram" / "manifest.toml").read_text(encoding="utf-8"))


def test_the_manifest_names_the_weights(root, manifest):
    raw = (root / manifest["file"]).read_bytes()
    assert (hashlib.sha256(raw).hexdigest(), len(raw)) == (manifest["sha256"], manifest["bytes"])


def test_the_expected_hash_is_the_manifests(root, manifest):
    """Rust compares with this file; both must move together."""
    beside = (root / manifest["file"]).with_suffix(".sha256")
    assert beside.read_text(encoding="utf-8").strip() == manifest["sha256"]


def test_the_wheel_holds_these_weights(manifest):
    assert _core.NgramScorer().hash == manifest["sha256"]
