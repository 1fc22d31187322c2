#!/usr/bin/env bash
# Installs dist/*.whl into a virtual environment that holds its dependencies; quick when it is there.
#
#   scripts/install-wheel.sh [FOLDER]       default: .venv
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

folder="$(cd "${1:-$VENV}" && pwd)"
wheels=("$ROOT"/dist/*.whl)
[ -f "${wheels[0]}" ] || fail "there is no wheel in dist: type \`make wheel\`"
stamp="$folder/.wheel"
wanted="$(sha256sum <"${wheels[0]}")"
if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
    exit 0
fi
rm -f "$stamp"
PIP_DISABLE_PIP_VERSION_CHECK=1 "$folder/bin/python" -m pip install --quiet --no-deps --no-index --force-reinstall "${wheels[0]}"
say "$wanted" >"$stamp"
