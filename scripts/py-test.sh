#!/usr/bin/env bash
# The tests of the Python package against the wheel that is installed in .venv. Arguments go to pytest.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

cd "$ROOT"
# Not `python -m pytest`: that would put this folder, and with it the source tree, first on the path.
# -B: no __pycache__ in the tree.
export PYTHONDONTWRITEBYTECODE=1
exec "$VENV/bin/pytest" "$@"
