#!/usr/bin/env bash
# Every check of the project; the first one that fails ends the run. Quick ones first. The release wheel
# is built before the tests, so that the Python tests see what users get; Rust tests use the dev profile,
# and neither is built twice.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

cd "$ROOT"
step "engine"
scripts/engine.sh
step "virtual environment"
scripts/venv.sh
scripts/lint.sh
step "wheel"
scripts/wheel.sh
scripts/install-wheel.sh
step "wheel in a clean environment"
scripts/check-wheel.sh
step "rules check"
"$VENV/bin/sift-fast" rules check
step "stub against the built module"
# From a folder without a source tree, so that the installed package is the one that is imported.
(cd "$VENV" && bin/python -m mypy.stubtest --mypy-config-file "$ROOT/pyproject.toml" sift_fast._core)
step "sql server"
scripts/sql-server.sh
step "cargo test"
scripts/rust-test.sh
step "pytest"
scripts/py-test.sh "$@"
