#!/bin/sh
# Collect the wheels of fairlead and of what it runs on, in the pinned versions: deploy/wheels.sh FOLDER
# The only step that may need a network; pip's own settings say where packages come from (PIP_FIND_LINKS, PIP_NO_INDEX).
set -eu
cd "$(dirname "$0")/.."
folder=$1
: "${PYTHON:=/usr/bin/python3}"
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_ROOT_USER_ACTION=ignore

tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
"$PYTHON" -m venv "$tools"
"$tools/bin/pip" --quiet wheel --no-deps --wheel-dir "$folder" --requirement requirements/runtime.txt
"$tools/bin/pip" --quiet wheel --no-deps --wheel-dir "$folder" .
