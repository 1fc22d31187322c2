#!/usr/bin/env bash
# Installs a wheel into a virtual environment that holds its dependencies; quick when it is there.
#
#   scripts/install-wheel.sh [ENVIRONMENT [FOLDER]]       default: .venv dist
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

environment="$(cd "${1:-$VENV}" && pwd)"
wheels=("$ROOT/${2:-dist}"/*.whl)
[ -f "${wheels[0]}" ] || fail "there is no wheel in ${2:-dist}: type \`make wheel\`"
stamp="$environment/.wheel"
wanted="$(sha256sum <"${wheels[0]}")"
if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
    exit 0
fi
rm -f "$stamp"
PIP_DISABLE_PIP_VERSION_CHECK=1 "$environment/bin/python" -m pip install --quiet --no-deps --no-index --force-reinstall "${wheels[0]}"
say "$wanted" >"$stamp"
