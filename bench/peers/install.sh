#!/bin/sh
# Installs the Python peers of the benchmarks into a virtual environment under the user's cache, and prints its python.
# Needs python3 (3.10 or newer) with venv. Versions are pinned: the ratios in docs/benchmarks.md are against these.
set -eu
home="${XDG_CACHE_HOME:-$HOME/.cache}/ordain/peers"
here="$(cd "$(dirname "$0")" && pwd)"
if ! cmp -s "$here/requirements.txt" "$home/requirements.txt"; then
    rm -rf "$home"
    python3 -m venv "$home"
    "$home/bin/python" -m pip install --quiet --disable-pip-version-check -r "$here/requirements.txt" >&2
    cp "$here/requirements.txt" "$home/requirements.txt"
fi
echo "$home/bin/python"
