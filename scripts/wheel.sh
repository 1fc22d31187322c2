#!/usr/bin/env bash
# Builds the release wheel into dist/, as its only one. Needs .venv (scripts/venv.sh).
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need_rust
need_cxx
cd "$ROOT"
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
# Into a folder of its own first: a failed build must not leave an older wheel to be tested.
rm -rf dist
# On a terminal the build shows its progress; in a log only what went wrong.
build=("$VENV/bin/maturin" build --release --locked --interpreter "$VENV/bin/python" --out "$scratch")
export PYO3_PYTHON="$VENV/bin/python"
# Rust is silent in a log for as long as it takes.
say "building the wheel: ten minutes and 3 GB in $CARGO_TARGET_DIR the first time, seconds when nothing changed"
if [ -t 2 ]; then
    "${build[@]}" || fail "the wheel could not be built: the lines above say why"
elif ! "${build[@]}" --quiet >"$scratch/log" 2>&1; then
    cat "$scratch/log" >&2
    fail "the wheel could not be built: the lines above say why"
fi
mkdir -p dist
mv "$scratch"/*.whl dist/
for wheel in dist/*.whl; do
    say "built $wheel, $(($(stat -c %s "$wheel") / 1024)) KiB"
done
