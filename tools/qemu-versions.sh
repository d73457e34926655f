#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Unpacks releases of QEMU beside the system, for the tests that need a real one at the other end.
#
#     tools/qemu-versions.sh DIR [VERSION...]        versions: 5.2 7.2 10.0 11.1 (all, where none is named)
#
# Nothing is installed. The packages come from the Debian suite that carries the release, through the mirror that this
# machine's apt is set up with, and are unpacked with the C library and the loader that they were built for:
#
#     DIR/root-VERSION/                  the unpacked packages (about 450 MB each)
#     DIR/bin/qemu-VERSION-TARGET        a wrapper that starts it; TARGET: x86_64 aarch64 riscv64
#
# Works as any user. Needs a Debian or a derivative on x86-64 whose apt knows a Debian mirror. An interrupted run leaves
# nothing that a later one would take for complete.
set -euo pipefail

declare -Ar SUITES=([5.2]=bullseye [7.2]=bookworm [10.0]=trixie [11.1]=sid)
readonly ALL_VERSIONS=(5.2 7.2 10.0 11.1)
readonly TARGETS=(x86_64 aarch64 riscv64)
readonly KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg
readonly TRIPLET=x86_64-linux-gnu

fail() {
    echo "qemu-versions: $*" >&2
    exit 1
}

# The Debian mirror among apt's own sources: not the one for security updates, which lacks most packages.
mirror() {
    apt-get indextargets --format '$(REPO_URI) $(COMPONENT)' 'Created-By: Packages' |
        awk '$2 == "main" && $1 ~ /debian\/?$/ && $1 !~ /security/ { print $1; exit }'
}

# Downloads the packages of release $1 into folder $2, with lists, status and cache of its own there.
download() {
    local suite=${SUITES[$1]} apt=$2
    mkdir -p "$apt"/state/lists/partial "$apt"/cache/archives/partial
    echo "deb [signed-by=$KEYRING] $MIRROR $suite main" >"$apt/sources.list"
    : >"$apt/status" # Nothing is installed here, so every dependency is fetched, the C library too.
    local options=(
        -o "Dir::Etc::sourcelist=$apt/sources.list" -o Dir::Etc::sourceparts=/dev/null
        -o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null
        -o "Dir::State=$apt/state" -o "Dir::State::status=$apt/status" -o "Dir::Cache=$apt/cache"
        -o "APT::Sandbox::User=$(id -un)" -o APT::Architecture=amd64 -o Acquire::Languages=none -o Debug::NoLocking=true
        -o Acquire::Retries=2 -o Acquire::http::Timeout=30
    )
    local packages=(qemu-system-x86 qemu-system-arm qemu-system-misc seabios ipxe-qemu)
    if [[ $suite == sid ]]; then packages+=(qemu-system-riscv); fi # Split off qemu-system-misc after 10.0.
    apt-get "${options[@]}" -qq update
    apt-get "${options[@]}" -qq -y --no-install-recommends --download-only install "${packages[@]}" >/dev/null
}

# Unpacks release $1. The folder gets its final name last.
unpack() {
    local root=$DIR/root-$1 work package
    work=$(mktemp -d "$DIR/unpacking-$1.XXXXXX")
    # shellcheck disable=SC2064 # The value of now is meant.
    trap "rm -rf '$work'" EXIT
    download "$1" "$work/apt"
    mkdir "$work/root"
    for package in "$work"/apt/cache/archives/*.deb; do
        dpkg-deb --fsys-tarfile "$package" |
            tar --extract --directory "$work/root" --keep-directory-symlink --no-same-owner
    done
    rm -rf "$root"
    mv "$work/root" "$root"
    rm -rf "$work"
    trap - EXIT
}

# The loader below $1. Symbolic links in it may be absolute and would lead out into the system.
loader() {
    local candidate
    for candidate in "$1"/{usr/lib,lib}/$TRIPLET/ld-{linux-x86-64.so.2,2.*.so}; do
        if [[ -f $candidate && $(realpath "$candidate") == "$(realpath "$1")"/* ]]; then
            echo "$candidate"
            return
        fi
    done
    fail "no loader below $1"
}

# Writes the wrappers of release $1.
wrap() {
    local root=$DIR/root-$1 ld target wrapper
    ld=$(loader "$root")
    local libraries=$root/lib/$TRIPLET:$root/usr/lib/$TRIPLET:$root/usr/lib/$TRIPLET/pulseaudio
    libraries+=:$root/usr/lib/$TRIPLET/libproxy
    for target in "${TARGETS[@]}"; do
        [[ -x $root/usr/bin/qemu-system-$target ]] || fail "the packages of $1 have no qemu-system-$target"
        wrapper=$DIR/bin/qemu-$1-$target
        {
            echo '#!/bin/sh'
            printf 'export QEMU_MODULE_DIR=%q\n' "$root/usr/lib/$TRIPLET/qemu"
            printf 'exec %q --library-path %q %q' "$ld" "$libraries" "$root/usr/bin/qemu-system-$target"
            printf ' -L %q' "$root/usr/share/seabios" "$root/usr/share/qemu" "$root/usr/lib/ipxe/qemu"
            echo ' "$@"'
        } >"$wrapper.new"
        chmod +x "$wrapper.new"
        mv "$wrapper.new" "$wrapper"
        "$wrapper" --version >/dev/null || fail "$wrapper does not start"
    done
}

(($#)) || fail "usage: $0 DIR [VERSION...]"
DIR=$(realpath -m "$1")
shift
versions=("$@")
((${#versions[@]})) || versions=("${ALL_VERSIONS[@]}")
for version in "${versions[@]}"; do
    [[ -n ${SUITES[$version]:-} ]] || fail "no such release: $version (known: ${ALL_VERSIONS[*]})"
done
for program in apt-get dpkg-deb tar; do
    command -v "$program" >/dev/null || fail "needs $program, that is, Debian or a derivative"
done
[[ $(uname -m) == x86_64 ]] || fail "the packages are for x86-64, this machine is $(uname -m)"
[[ -r $KEYRING ]] || fail "needs $KEYRING (package debian-archive-keyring)"
MIRROR=$(mirror)
[[ -n $MIRROR ]] || fail "no Debian mirror among apt's sources"

mkdir -p "$DIR/bin"
for version in "${versions[@]}"; do
    if [[ ! -d $DIR/root-$version ]]; then
        echo "qemu-versions: fetching QEMU $version" >&2
        unpack "$version"
    fi
    wrap "$version"
    echo "$version: $("$DIR/bin/qemu-$version-x86_64" --version | head -1)"
done
