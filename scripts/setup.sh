#!/bin/sh
# Makes .venv from the locked requirements. Every make target calls it; when nothing changed it costs nothing.
# Needs only a Python >= 3.11; PYTHON=... chooses which one.
set -eu
cd "$(dirname "$0")/.."

venv=.venv
stamp=$venv/.ringback-setup

say() { echo "setup: $*" >&2; }
die() { say "$*"; exit 1; }

usable() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

find_python() {
    for candidate in ${PYTHON:-} python3.13 python3.12 python3.11 python3; do
        if usable "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
    die "found no Python 3.11 or newer; install one, or name it: make test PYTHON=/path/to/python3.11"
}

# Debian and Ubuntu ship Python without the part that puts pip into an environment.
need_ensurepip() {
    "$1" -c 'import ensurepip, venv' >/dev/null 2>&1 && return
    package=$("$1" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
    if ! command -v apt-get >/dev/null 2>&1; then
        die "$1 can't make environments: it lacks the module ensurepip"
    fi
    if [ "$(id -u)" != 0 ]; then
        die "$1 can't make environments; run: sudo apt-get install -y $package"
    fi
    say "installing $package, which $1 needs to make environments"
    apt-get install -y -qq "$package" >/dev/null 2>&1 ||
        { apt-get update -qq && apt-get install -y -qq "$package"; } >/dev/null ||
        die "that failed; run: apt-get install -y $package"
}

# What the environment was made from. The path is part of it: installed scripts name their interpreter by it.
wanted() {
    pwd
    cat requirements/dev.txt pyproject.toml scripts/setup.sh | cksum
}

if [ -f "$stamp" ] && usable "$venv/bin/python" && [ "$(cat "$stamp")" = "$(wanted)" ]; then
    exit 0
fi
if [ -f "$stamp" ] && [ "$(head -n 1 "$stamp")" != "$(pwd)" ]; then
    say "the project was moved: making $venv again"
    rm -rf "$venv"
fi
if ! usable "$venv/bin/python" || ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    python=$(find_python)
    need_ensurepip "$python"
    say "making $venv with $python"
    "$python" -m venv --clear "$venv"
fi

say "installing the locked requirements into $venv (a minute or two the first time)"
rm -f "$stamp"
pip="$venv/bin/python -m pip --quiet --disable-pip-version-check --no-input"
$pip install --require-hashes --requirement requirements/dev.txt
$pip install --no-deps --no-build-isolation --editable .
wanted >"$stamp"
