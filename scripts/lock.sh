#!/bin/sh
# Locks the requirements anew, Python's and JavaScript's: exact versions and hashes, and no host to get them
# from, so that they install from whatever index a machine is set up with. UPGRADE=1 takes newer versions.
set -eu
cd "$(dirname "$0")/.."
scripts/setup.sh

PATH="$(pwd)/.venv/bin:$PATH"
export PATH
command -v uv >/dev/null 2>&1 || .venv/bin/python -m pip install --quiet --disable-pip-version-check uv

locked() {
    uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
        --custom-compile-command 'make lock' ${UPGRADE:+--upgrade} "$@"
}
locked --group dev --output-file requirements/dev.txt pyproject.toml requirements/build.in
for generation in 1 2; do
    locked --output-file "requirements/clients-$generation.txt" "requirements/clients-$generation.in"
done

cd tests/clients
npm install --silent --package-lock-only
node --input-type=module --eval '
import { readFileSync, writeFileSync } from "node:fs";
const lock = JSON.parse(readFileSync("package-lock.json", "utf8"));
for (const entry of Object.values(lock.packages)) {
  delete entry.funding;
}
writeFileSync("package-lock.json", `${JSON.stringify(lock, null, 2)}\n`);
'
cd ../..

if grep -nE 'https?://' requirements/*.txt tests/clients/package-lock.json; then
    echo "lock: a host is written into a lock file" >&2
    exit 1
fi
