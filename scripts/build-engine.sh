#!/usr/bin/env bash
# Builds Intel Hyperscan 5.4.2 from source into .engine/lib/libhs.a: the engine of release wheels.
# Takes 12 to 15 minutes of one core; what a stopped run has built is used again by the next one.
#
#   scripts/build-engine.sh [TARBALL]
#
# Needs cmake, ninja, g++, libboost-dev (headers, 1.57 or newer) and ragel. Without a tarball it is
# fetched with Debian's package client, from the mirror that apt is set up with; its hash is pinned
# here, so it does not matter where it came from.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

version=5.4.2
sha256=bfca640f42d2d9325584fe2936347fb07c6f1a102915ed5378d3b149a786f11c
# Releases that carry this version; apt takes the first one that the mirror still has.
suites=(trixie forky sid)
components=(main universe)

work="$(realpath -m "$CARGO_TARGET_DIR/engine-$version")"
tarball="${1:-$work/hyperscan_$version.orig.tar.gz}"
source_folder="$work/source"
build_folder="$work/build"

missing=()
have cmake || missing+=(cmake)
have ninja || missing+=(ninja-build)
have g++ || missing+=(g++)
have ragel || missing+=(ragel)
if have g++ && ! printf '#include <boost/version.hpp>\n' | g++ -fsyntax-only -x c++ - 2>/dev/null; then
    missing+=(libboost-dev)
fi
[ "${#missing[@]}" -eq 0 ] || fail "the build of Hyperscan needs more tools: type \`$(install_hint "${missing[@]}")\`"
[ "$(uname -s) $(uname -m)" = "Linux x86_64" ] || fail "Hyperscan is built on x86-64 Linux only"

verify() { printf '%s  %s\n' "$sha256" "$1" | sha256sum --check --status; }

# The system's own lists usually leave sources out and may be of another release, so lists of our own
# are made: same mirror, same keys, a folder that goes away afterwards.
fetch() {
    local scratch mirror keys suite
    local -a own
    have apt-get || fail "there is no apt to fetch the source with: name hyperscan_$version.orig.tar.gz as the argument"
    # shellcheck disable=SC2016  # the variable is apt's
    mirror="$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -v security | sort -u | head -n 1)"
    [ -n "$mirror" ] || fail "apt knows no mirror: type \`apt-get update\`, or name hyperscan_$version.orig.tar.gz as the argument"
    scratch="$(mktemp -d)"
    trap 'rm -rf "$scratch"' RETURN
    mkdir -p "$scratch/lists/partial" "$scratch/cache/archives/partial"
    own=(-o "APT::Sandbox::User=$(id -un)" -o "Debug::NoLocking=1" -o "Acquire::Languages=none"
        -o "Dir::Etc::SourceList=$scratch/sources.list" -o "Dir::Etc::SourceParts=/dev/null"
        -o "Dir::State::Lists=$scratch/lists" -o "Dir::Cache=$scratch/cache")
    # Ubuntu keeps the package in `universe` under its own names of releases.
    if grep -qi '^ID=ubuntu' /etc/os-release; then
        suites=(noble)
        keys=/usr/share/keyrings/ubuntu-archive-keyring.gpg
    else
        components=(main)
        keys=/usr/share/keyrings/debian-archive-keyring.gpg
    fi
    for suite in "${suites[@]}"; do
        say "deb-src [signed-by=$keys] $mirror $suite ${components[*]}" >"$scratch/sources.list"
        if apt-get -q "${own[@]}" update >"$scratch/log" 2>&1 &&
            (cd "$scratch" && apt-get -q "${own[@]}" source --download-only --only-source --tar-only \
                "hyperscan=$(apt-cache "${own[@]}" showsrc --only-source hyperscan | sed -n "s/^Version: \($version-.*\)/\1/p" | tail -n 1)") \
                >>"$scratch/log" 2>&1 &&
            verify "$scratch/hyperscan_$version.orig.tar.gz"; then
            mv "$scratch/hyperscan_$version.orig.tar.gz" "$tarball"
            return
        fi
    done
    fail "the source of Hyperscan $version could not be fetched: $(tail -n 1 "$scratch/log")"
}

mkdir -p "$work"
if [ "$#" -eq 0 ] && ! verify "$tarball" 2>/dev/null; then
    step "fetch the source of Hyperscan $version"
    fetch
fi
verify "$tarball" || fail "$tarball is not the source of Hyperscan $version (sha256 differs)"

if [ ! -f "$source_folder/CMakeLists.txt" ]; then
    rm -rf "$source_folder"
    mkdir -p "$source_folder.part"
    tar -xzf "$tarball" -C "$source_folder.part" --strip-components=1
    mv "$source_folder.part" "$source_folder"
fi

step "configure"
# FAT_RUNTIME: one library for every x86-64 CPU since 2006, which chooses its code when it is loaded
# (and so -march=native, which upstream uses without it, is not). Hidden: a process may hold another
# Hyperscan. -Wno-error: upstream's code is older than the warnings of today's compilers.
# From the work folder: upstream asks the compiler for the CPU, and gcc leaves `help-dummy.o` where it stands.
(cd "$work" && cmake -S "$source_folder" -B "$build_folder" -G Ninja -Wno-dev \
    -DCMAKE_BUILD_TYPE=Release \
    -DCMAKE_POLICY_VERSION_MINIMUM=3.5 \
    -DFAT_RUNTIME=ON -DBUILD_AVX512=ON -DBUILD_AVX512VBMI=ON \
    -DBUILD_STATIC_LIBS=ON -DBUILD_SHARED_LIBS=OFF -DBUILD_EXAMPLES=OFF \
    -DCMAKE_POSITION_INDEPENDENT_CODE=ON \
    -DCMAKE_C_FLAGS="-fvisibility=hidden -Wno-error" \
    -DCMAKE_CXX_FLAGS="-fvisibility=hidden -Wno-error") \
    >"$work/configure.log" 2>&1 || fail "cmake failed: see $work/configure.log"
# It is an option that upstream drops without a word when the compiler cannot do it.
grep -q 'Building runtime for multiple microarchitectures' "$work/configure.log" ||
    fail "this compiler cannot build the library for several CPU levels: see $work/configure.log"

step "build"
ninja -C "$build_folder" ${SIFT_ENGINE_JOBS:+-j "$SIFT_ENGINE_JOBS"} hs

step "install"
mkdir -p "$ROOT/.engine/lib"
install -m 644 "$build_folder/lib/libhs.a" "$ROOT/.engine/lib/libhs.a"
# .engine/usr holds what scripts/engine.sh unpacked, and would be found first.
rm -rf "$ROOT/.engine/usr"
say "engine: Hyperscan $version, .engine/lib/libhs.a"
