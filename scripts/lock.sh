#!/usr/bin/env bash
# Writes requirements/*.txt from requirements/*.in: newest versions, hashes of every platform's files.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

python="$("$ROOT/scripts/python.sh")"
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
"$python" -m venv "$scratch/venv"
PIP_DISABLE_PIP_VERSION_CHECK=1 "$scratch/venv/bin/python" -m pip install --quiet uv
cd "$ROOT/requirements"
# dev before the others, which are bound by it.
for name in dev bench bench-kernel hosts litellm presidio; do
    say "# Made by \`make lock\` from $name.in; do not edit." >"$scratch/$name.txt"
    "$scratch/venv/bin/uv" pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
        --no-annotate --no-header "$name.in" >>"$scratch/$name.txt"
    mv "$scratch/$name.txt" "$name.txt"
done
