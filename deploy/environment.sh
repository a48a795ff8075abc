#!/bin/sh
# Make an environment with fairlead in it: deploy/environment.sh WHEELS FOLDER HOME
# It is made in FOLDER and runs in HOME: no path of FOLDER is left in it. It needs nothing of this checkout, and no network.
set -eu
cd "$(dirname "$0")/.."
wheels=$1 folder=$2 home=$3
: "${PYTHON:=/usr/bin/python3}"
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_ROOT_USER_ACTION=ignore PYTHONDONTWRITEBYTECODE=1

version=$(sed -n 's/^VERSION: Final = "\(.*\)"$/\1/p' daemon/version.py)
"$PYTHON" -m venv "$folder"
"$folder/bin/pip" --quiet install --no-index --find-links "$wheels" --no-deps --no-compile \
    --requirement requirements/runtime.txt "fairlead==$version"
"$folder/bin/pip" --quiet uninstall --yes pip setuptools 2>/dev/null

# What is left is the interpreter, the command and the packages.
rm -rf "$folder/include"
find "$folder/bin" ! -type d ! -name 'python*' ! -name fairlead -delete
sed -i "1s|^#!.*|#!$home/bin/python3|" "$folder/bin/fairlead"
sed -i '/^command = /d' "$folder/pyvenv.cfg"
find "$folder" -name __pycache__ -type d -prune -exec rm -rf {} +
# The command's line in the list of installed files: it is not as pip wrote it any more.
sed -i 's|^\(\.\./\.\./\.\./bin/fairlead\),.*|\1,,|' "$folder"/lib/python3.*/site-packages/fairlead-*.dist-info/RECORD

if grep -rqF "$folder" "$folder"; then
    echo "deploy/environment.sh: the environment knows where it was made:" >&2
    grep -rlF "$folder" "$folder" >&2
    exit 1
fi
