# shellcheck shell=bash disable=SC2034
# What the scripts share: where things are, how they speak, how they stop. Sourced, never run.

set -euo pipefail

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
# Outside the tree, so that several checkouts share one build and a clean checkout is quick.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$HOME/.cache/sift-fast/target}"
VENV="$ROOT/.venv"

say() { printf '%s\n' "$*"; }
warn() { printf '%s\n' "$*" >&2; }
fail() { warn "error: $*"; exit 1; }
# A headline, so that whoever reads the log knows which step failed.
step() { printf '\n==> %s\n' "$*"; }
have() { command -v "$1" >/dev/null 2>&1; }

# What to type to get system packages: `install_hint g++ cmake`.
install_hint() {
    if have apt-get; then
        say "apt-get install $*"
    else
        say "your package manager's command for: $*"
    fi
}

# The oldest compiler that the workspace accepts, from its one place.
rust_wanted() { sed -n 's/^rust-version *= *"\(.*\)"/\1/p' "$ROOT/Cargo.toml" | head -n 1; }

# True when version $1 is at least version $2.
at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

# Cargo tells a crate of a checkout by its path below the root and asks the clock whether it is fresh, so
# with one folder for several checkouts it would take another one's crates for this one's.
own_cache() {
    local stamp="$CARGO_TARGET_DIR/checkout"
    [ "$(cat "$stamp" 2>/dev/null)" != "$ROOT" ] || return 0
    rm -rf "$CARGO_TARGET_DIR"/*/.fingerprint/sift-* "$CARGO_TARGET_DIR"/*/*/.fingerprint/sift-*
    mkdir -p "$CARGO_TARGET_DIR"
    say "$ROOT" >"$stamp"
}

need_rust() {
    local wanted found
    wanted="$(rust_wanted)"
    { have cargo && have rustc; } ||
        fail "cargo was not found: install Rust $wanted or newer, with rustup if your system's is older (\`$(install_hint rustup) && rustup default stable\`)"
    found="$(cd "$ROOT" && rustc --version | cut -d' ' -f2)" || fail "rustc does not run: type \`rustup default stable\`"
    at_least "${found%%-*}" "$wanted" ||
        fail "rustc is $found and $wanted or newer is needed: type \`rustup update stable\`"
    own_cache
}

need_cxx() {
    have "${CXX:-g++}" || have c++ || have clang++ ||
        fail "no C++ compiler was found: type \`$(install_hint g++)\`"
    have cc || have gcc || have clang ||
        fail "no C compiler was found, and Rust links with one: type \`$(install_hint gcc)\`"
}
