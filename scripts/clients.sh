#!/bin/sh
# Makes what the tests talk to Ringback with: the official JavaScript and Python clients, from lock files. The two
# generations of the Python client have the same name, so each has an environment of its own below .clients. The
# second comes with the tests of its source archive, which any server of this API must pass. When nothing changed
# this costs nothing.
#     scripts/clients.sh [replicate-1]    the first generation alone: all that the demo needs
set -eu
cd "$(dirname "$0")/.."
scripts/setup.sh
wished=${1:-all}

say() { echo "setup: $*" >&2; }

# What an environment was made from. The path is part of it: installed scripts name their interpreter by it.
wanted() {
    pwd
    .venv/bin/python -c 'import sys; print(sys.version)'
    cat "requirements/clients-$1.txt" scripts/clients.sh | cksum
}

# `make lock` has written the archive's own hash beside the wheel's: pip refuses any other.
add_own_tests() {
    archive=$(mktemp -d)
    trap 'rm -rf "$archive"' EXIT
    sed -n '/^replicate==/,/[^\\]$/p' "requirements/clients-$1.txt" >"$archive/requirement.txt"
    $pip download --no-deps --no-binary replicate --no-build-isolation --require-hashes \
        --requirement "$archive/requirement.txt" --dest "$archive"
    mkdir "$place/suite"
    tar -xzf "$archive"/replicate-*.tar.gz -C "$place/suite" --strip-components 1
    rm -rf "$archive"
    trap - EXIT
}

make_environment() {
    place=.clients/replicate-$1
    stamp=$place/.ringback-setup
    if [ -f "$stamp" ] && "$place/bin/python" -c '' 2>/dev/null && [ "$(cat "$stamp")" = "$(wanted "$1")" ]; then
        return
    fi
    say "installing the Python client, generation $1, into $place"
    .venv/bin/python -m venv --clear "$place"
    pip="$place/bin/python -m pip --quiet --disable-pip-version-check --no-input"
    $pip install --require-hashes --requirement "requirements/clients-$1.txt"
    if [ "$1" = 2 ]; then
        add_own_tests 2
    fi
    wanted "$1" >"$stamp"
}

case $wished in
    replicate-1) make_environment 1 ;;
    all)
        scripts/node.sh
        make_environment 1
        make_environment 2
        ;;
    *)
        say "there is no client called $wished"
        exit 1
        ;;
esac
