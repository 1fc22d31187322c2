#!/bin/sh
# Runs the tests of the engine wrapper under AddressSanitizer (leaks included).
#
# Needs a nightly toolchain: `rustup toolchain install nightly --profile minimal`. The engine's archive
# is not instrumented; what is watched is every byte that it allocates, frees and hands to us, and all
# of our side. Arguments go to the test binaries, as in `scripts/asan.sh --nocapture`.
set -eu

cd "$(dirname "$0")/.."
if ! rustc +nightly --version >/dev/null 2>&1; then
    echo "no nightly toolchain: type \`rustup toolchain install nightly --profile minimal\`" >&2
    exit 1
fi

# A folder of its own: the flags change every crate. The explicit target keeps them away from build
# scripts and procedural macros.
CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/asan"
RUSTFLAGS="-Zsanitizer=address ${RUSTFLAGS:-}"
ASAN_OPTIONS="detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1:${ASAN_OPTIONS:-}"
export CARGO_TARGET_DIR RUSTFLAGS ASAN_OPTIONS

exec cargo +nightly test --target x86_64-unknown-linux-gnu -p sift-hs --lib --tests -- "$@"
