#!/bin/sh
# Installs the locked JavaScript clients that the tests check webhooks with, by the environment's own Node.
set -eu
cd "$(dirname "$0")/.."
scripts/setup.sh

PATH="$(pwd)/.venv/bin:$PATH"
export PATH
cd tests/clients
stamp=node_modules/.ringback-setup
wanted() { cat package.json package-lock.json .npmrc | cksum; }

if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$(wanted)" ]; then
    exit 0
fi
echo "setup: installing the JavaScript clients into tests/clients/node_modules" >&2
npm ci --silent --no-progress || {
    echo "setup: that failed; see: cd tests/clients && ../../.venv/bin/npm ci" >&2
    exit 1
}
wanted >"$stamp"
