#!/usr/bin/env bash
# Builds the wheel into a folder, as its only one. Needs .venv (scripts/venv.sh).
#
#   scripts/wheel.sh [PROFILE FOLDER]       default: release dist
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

profile="${1:-release}"
folder="${2:-dist}"
need_rust
need_cxx
cd "$ROOT"
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
# Into a folder of its own first: a failed build must not leave an older wheel to be tested.
rm -rf "$folder"
# On a terminal the build shows its progress; in a log only what went wrong.
build=("$VENV/bin/maturin" build --profile "$profile" --locked --interpreter "$VENV/bin/python" --out "$scratch")
export PYO3_PYTHON="$VENV/bin/python"
# Rust is silent in a log for as long as it takes.
say "building the wheel ($profile): up to ten minutes and 3 GB in $CARGO_TARGET_DIR the first time, seconds when nothing changed"
if [ -t 2 ]; then
    "${build[@]}" || fail "the wheel could not be built: the lines above say why"
elif ! "${build[@]}" --quiet >"$scratch/log" 2>&1; then
    cat "$scratch/log" >&2
    fail "the wheel could not be built: the lines above say why"
fi
mkdir -p "$folder"
mv "$scratch"/*.whl "$folder/"
for wheel in "$folder"/*.whl; do
    say "built $wheel, $(($(stat -c %s "$wheel") / 1024)) KiB"
done
