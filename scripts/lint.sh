#!/usr/bin/env bash
# Formatters, linters, types and licences: reads only. Needs .venv.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need_rust
need_cxx
cd "$ROOT"
code=()
for folder in sift_fast tests benches scripts examples models; do
    [ ! -d "$folder" ] || code+=("$folder")
done

step "ruff format --check"
"$VENV/bin/ruff" format --check "${code[@]}" || fail "not formatted: type \`make format\`"
step "ruff check"
"$VENV/bin/ruff" check --quiet "${code[@]}"
step "cargo fmt --check"
cargo fmt --all --check || fail "not formatted: type \`make format\`"
step "tables of README.md"
"$VENV/bin/python" -B -m benches report --check || fail "stale: type \`$VENV/bin/python -m benches report\`"
step "licences"
"$VENV/bin/python" -I scripts/licences.py
step "mypy --strict"
"$VENV/bin/mypy" --strict sift_fast tests/typing/api.py
step "cargo clippy"
export PYO3_PYTHON="$VENV/bin/python" PYO3_BUILD_EXTENSION_MODULE=1
cargo clippy --quiet --workspace --all-targets --locked -- -D warnings
