#!/bin/sh
# Installs what the tests run against that is not a Python package, where this user may:
# redis-server and a browser. Without them the tests that need them say why they are skipped.
set -u

sudo=
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null && sudo="sudo -n"
    [ -n "$sudo" ] || may=no
fi
missing=
command -v redis-server >/dev/null 2>&1 || missing="$missing redis-server"
command -v chromium >/dev/null 2>&1 || missing="$missing chromium"
[ -n "$missing" ] || exit 0
if [ "${may:-yes}" = no ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "prbkit: not installed, and this user may not install:$missing (tests that need them are skipped)" >&2
    exit 0
fi
echo "prbkit: installing$missing" >&2
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get update -qq >/dev/null 2>&1
for package in $missing; do
    $sudo apt-get install -qq -y --no-install-recommends "$package" >/dev/null 2>&1 ||
        echo "prbkit: could not install $package (tests that need it are skipped)" >&2
done
# The package starts a server of its own; the tests start theirs.
command -v service >/dev/null 2>&1 && $sudo service redis-server stop >/dev/null 2>&1
exit 0
