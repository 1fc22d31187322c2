#!/usr/bin/env bash
# The tests of every crate, in the dev profile. Arguments go to cargo test. Needs .venv.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need_rust
need_cxx
cd "$ROOT"
# The extension module is built against the environment's Python and, like in a wheel, not linked with it.
export PYO3_PYTHON="$VENV/bin/python" PYO3_BUILD_EXTENSION_MODULE=1
exec cargo test --quiet --workspace --locked "$@"
