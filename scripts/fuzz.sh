#!/usr/bin/env bash
# Runs fuzz targets of rust/fuzz, each for 60 s (SIFT_FUZZ_SECONDS); a crash ends the run and names the
# file that reproduces it.
#
#   scripts/fuzz.sh [TARGET...]       default: all of them
#
# SIFT_FUZZ_SANITIZER=none leaves AddressSanitizer out: the targets of policies and of the socket bring Cedar, whose
# build takes hours with it on a busy machine, and neither crate of ours that they ask has `unsafe` for it to look at.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need_rust
need_cxx
have rustup || fail "fuzzing needs a nightly compiler, which rustup manages: type \`$(install_hint rustup)\`"
rustc +nightly --version >/dev/null 2>&1 ||
    fail "fuzzing needs a nightly compiler: type \`rustup toolchain install nightly --profile minimal\`"

# With its own target folder: the flags of a fuzz build change every crate.
export CARGO_TARGET_DIR="$CARGO_TARGET_DIR/fuzz"
if ! cargo fuzz --version >/dev/null 2>&1; then
    say "installing cargo-fuzz"
    cargo install --locked --quiet cargo-fuzz || fail "cargo-fuzz could not be installed: type \`cargo install --locked cargo-fuzz\`"
fi

targets=("$@")
[ "${#targets[@]}" -gt 0 ] || targets=(scan stream_split rule_load redact decode offsets receipt proof policy_request policy_load policy_sql policy_engines ngram socket)
seconds="${SIFT_FUZZ_SECONDS:-60}"
cd "$ROOT"
for target in "${targets[@]}"; do
    step "fuzz $target, $seconds s"
    cargo +nightly fuzz run --sanitizer "${SIFT_FUZZ_SANITIZER:-address}" --fuzz-dir rust/fuzz "$target" -- -max_total_time="$seconds" -rss_limit_mb=4096 -timeout=20 -print_final_stats=1
done
