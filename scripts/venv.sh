#!/usr/bin/env bash
# Makes or refreshes a virtual environment from a file of pinned, hashed requirements; quick when
# nothing changed.
#
#   scripts/venv.sh [FOLDER REQUIREMENTS]       default: .venv requirements/dev.txt
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

folder="${1:-$VENV}"
requirements="${2:-$ROOT/requirements/dev.txt}"
python="$("$ROOT/scripts/python.sh")"
# The stamp is written last: a run that was interrupted leaves none.
stamp="$folder/.requirements"
wanted="$python $(sha256sum <"$requirements")"

if [ -x "$folder/bin/python" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
    exit 0
fi
say "making ${folder#"$ROOT/"} with $("$python" --version) from ${requirements#"$ROOT/"}"
rm -rf "$folder"
"$python" -m venv "$folder"
PIP_DISABLE_PIP_VERSION_CHECK=1 "$folder/bin/python" -m pip install --quiet --require-hashes --only-binary :all: \
    -r "$requirements" || fail "the packages of ${requirements#"$ROOT/"} could not be installed: is a Python package index reachable?"
say "$wanted" >"$stamp"
