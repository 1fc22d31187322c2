#!/usr/bin/env bash
# Tries dist/*.whl as a user would: scripts/check_wheel.py in a folder away from the tree, in a fresh
# virtual environment that holds the pinned mandatory dependencies and nothing else of ours.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

wheels=("$ROOT"/dist/*.whl)
[ -f "${wheels[0]}" ] || fail "there is no wheel in dist: type \`make wheel\`"
cd /
exec "$VENV/bin/python" -I "$ROOT/scripts/check_wheel.py" "${wheels[0]}" --requirements "$ROOT/requirements/dev.txt" --tree "$ROOT"
