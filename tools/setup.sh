#!/bin/sh
# Sets up a virtual environment with prbkit, built from this checkout.
# Usage: tools/setup.sh VENV EXTRAS     (EXTRAS such as "dev"; empty for none)
# Says what is missing, and how to get it, where the machine lacks something.
set -eu
venv=$1
extras=${2:-}
cd "$(dirname "$0")/.."

need() {
    echo "prbkit: $1" >&2
    echo "        on Debian or Ubuntu: apt-get install $2" >&2
    exit 1
}

python=${PYTHON:-}
if [ -z "$python" ]; then
    for candidate in python3 python3.13 python3.12 python3.11; do
        if command -v "$candidate" >/dev/null 2>&1 &&
            "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            python=$candidate
            break
        fi
    done
fi
[ -n "$python" ] || need "Python 3.11 or newer is missing" "python3 python3-venv python3-dev"
"$python" -c 'import venv, ensurepip' 2>/dev/null || need "$python has no venv module" "python3-venv"
"$python" -c 'import os, sys, sysconfig
sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' ||
    need "the headers of $python are missing" "python3-dev"
command -v "${CC:-cc}" >/dev/null 2>&1 || need "a C compiler is missing" "gcc libc6-dev"

# What the environment was made from: it is made again only when this changes.
stamp=$(cat pyproject.toml setup.py prbkit/_speedups/*.pyx prbkit/_speedups/*.h 2>/dev/null | cksum)
stamp="$stamp $extras $("$python" -V)"
if [ -f "$venv/.prbkit-stamp" ] && [ "$(cat "$venv/.prbkit-stamp")" = "$stamp" ]; then
    exit 0
fi
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
echo "prbkit: setting up $venv (this takes a minute or two the first time)" >&2
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --upgrade pip
# What setuptools warns of is for this project's makers.
export PYTHONWARNINGS=ignore
target=.
[ -z "$extras" ] || target=".[$extras]"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --editable "$target"
echo "$stamp" >"$venv/.prbkit-stamp"
