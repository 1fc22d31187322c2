#!/usr/bin/env bash
# Makes sure that Intel Hyperscan 5.4 is there to be linked, with or without root rights:
#
#   1. a usable libhs.a is there already: nothing to do;
#   2. root and apt: `apt-get install libhyperscan-dev`;
#   3. apt without root, or with Vectorscan in the way: the package is unpacked into .engine;
#   4. otherwise the slower automata engine is used, and one sentence says how to get the fast one.
#
# SIFT_ENGINE=automata skips all of this, SIFT_ENGINE=hyperscan makes case 4 an error. Vectorscan
# installs a libhs.a too and is not used: up to 5.4.12 it misses matches on x86.
# rust/sift-hs-sys/build.rs looks in the same places and has the last word.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

engine="$ROOT/.engine"
asked="${SIFT_ENGINE:-auto}"
log="$(mktemp)"
scratch=""
trap 'rm -rf "$log" "$scratch"' EXIT

# Says what is wrong with an archive; says nothing about a good one.
objection() {
    local archive="$1" version
    # Vectorscan rewrote these run-time files from C to C++; its own early releases carry
    # Hyperscan's numbers, so the number alone does not tell.
    if LC_ALL=C grep -qa 'noodle_engine\.cpp\.o' "$archive"; then
        say "$archive is Vectorscan, which misses matches on x86"
    elif have ar && version="$(ar p "$archive" hs_version.c.o 2>/dev/null | LC_ALL=C grep -aoE '[0-9]+\.[0-9]+\.[0-9]+ ' | head -n 1)" &&
        [ -n "$version" ] && [[ "$version" != 5.4.[012]\  ]]; then
        say "$archive is version ${version% }, and Hyperscan 5.4.0 to 5.4.2 is needed"
    fi
}

# Prints the usable archive, if there is one; complains about the ones in its way.
usable() {
    local folder archive why libdir=""
    local -a folders
    if [ -n "${SIFT_HS_LIB_DIR:-}" ]; then
        # Whoever names a folder means that one.
        folders=("$SIFT_HS_LIB_DIR")
    else
        ! have pkg-config || libdir="$(pkg-config --variable=libdir libhs 2>/dev/null || true)"
        folders=("$engine/usr/lib/x86_64-linux-gnu" "$engine/lib" "$libdir")
        [ "$libdir" = /usr/lib/x86_64-linux-gnu ] || folders+=(/usr/lib/x86_64-linux-gnu)
    fi
    for folder in "${folders[@]}"; do
        archive="$folder/libhs.a"
        if [ -z "$folder" ] || [ ! -f "$archive" ]; then continue; fi
        why="$(objection "$archive")"
        if [ -z "$why" ]; then
            say "$archive"
            return 0
        fi
        [ "${1:-}" = quiet ] || warn "note: $why; it is not used"
    done
    return 1
}

without() {
    local how="type \`apt-get install libhyperscan-dev\` on Debian or Ubuntu (x86-64), or \`make release-engine\` to build it"
    [ "$asked" = hyperscan ] && fail "SIFT_ENGINE asks for Hyperscan, but $1: $how"
    warn "note: $1; the slower automata engine is used. For the fast one $how"
    exit 0
}

# A package that apt knows, at a version that is Hyperscan's.
offered() {
    local version
    version="$(apt-cache "$@" policy libhyperscan-dev 2>/dev/null | sed -n 's/^ *Candidate: //p')"
    [[ "$version" == 5.4.[012]-* || "$version" == 5.4.[012] || "$version" == 5.4.[012]+* ]]
}

# Without root: apt's own client. The package's hash is checked by apt against the signed lists. When
# the system's lists are empty or out of date, fresh ones are fetched into a folder of our own, so that
# nothing of the system is touched.
unpack() {
    local -a own
    scratch="$(mktemp -d)"
    mkdir -p "$scratch/lists/partial" "$scratch/cache/archives/partial" "$scratch/package"
    own=(-o "APT::Sandbox::User=$(id -un)" -o "Dir::Cache=$scratch/cache")
    if ! { offered && download "${own[@]}"; }; then
        own+=(-o "Dir::State::Lists=$scratch/lists" -o "Debug::NoLocking=1")
        apt-get -q "${own[@]}" update >>"$log" 2>&1 || return 1
        offered "${own[@]}" || return 1
        download "${own[@]}" || return 1
    fi
    rm -rf "${engine:?}/usr"
    mkdir -p "$engine"
    dpkg-deb -x "$scratch"/package/libhyperscan-dev_*.deb "$engine" >>"$log" 2>&1
}

download() { (cd "$scratch/package" && apt-get -q "$@" download libhyperscan-dev) >>"$log" 2>&1; }

install() {
    local -a command=(apt-get -q -y --no-install-recommends install libhyperscan-dev)
    export DEBIAN_FRONTEND=noninteractive
    offered && "${command[@]}" >>"$log" 2>&1 && return
    apt-get -q update >>"$log" 2>&1 || true
    offered && "${command[@]}" >>"$log" 2>&1
}

case "$asked" in
    automata)
        say "engine: automata, as SIFT_ENGINE asks"
        exit 0
        ;;
    auto | hyperscan) ;;
    *) fail "SIFT_ENGINE is \`$asked\`, and it may be \`auto\`, \`hyperscan\` or \`automata\`" ;;
esac
if [ "$(uname -s) $(uname -m)" != "Linux x86_64" ]; then
    without "Hyperscan is used on x86-64 Linux only, and this is $(uname -s) on $(uname -m)"
fi
if found="$(usable)"; then
    say "engine: Hyperscan, ${found#"$ROOT/"}"
    exit 0
fi
if [ -n "${SIFT_HS_LIB_DIR:-}" ]; then
    fail "SIFT_HS_LIB_DIR names $SIFT_HS_LIB_DIR, where there is no usable libhs.a: name another folder, or unset it"
fi
{ have apt-get && have apt-cache && have dpkg-deb; } || without "there is no Hyperscan and no apt to get it with"

# Debian's Vectorscan conflicts with Hyperscan: installing the one would remove the other, which
# somebody wanted. Unpacking harms nobody.
vectorscan="$(dpkg-query -W -f '${db:Status-Status}' libvectorscan-dev 2>/dev/null || true)"
if [ "$(id -u)" -eq 0 ] && [ "$vectorscan" != installed ]; then
    say "engine: installing libhyperscan-dev"
    install || warn "note: apt-get could not install libhyperscan-dev: $(tail -n 1 "$log")"
fi
if ! usable quiet >/dev/null; then
    say "engine: unpacking libhyperscan-dev into .engine"
    unpack || without "apt-get could not fetch libhyperscan-dev: $(tail -n 1 "$log")"
fi
found="$(usable quiet)" || without "the package libhyperscan-dev holds no usable libhs.a"
say "engine: Hyperscan, ${found#"$ROOT/"}"
