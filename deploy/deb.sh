#!/bin/sh
# Build the Debian package into FOLDER: deploy/deb.sh FOLDER
# From a copy of what is in the checkout: dpkg-buildpackage writes beside its source, and nothing may be left behind here.
set -eu
cd "$(dirname "$0")/.."
mkdir -p "$1"
folder=$(cd "$1" && pwd)
command -v dh >/dev/null || {
    echo "make deb: no debhelper is installed (apt install debhelper)" >&2
    exit 1
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/fairlead"
{ git ls-files --cached --others --exclude-standard 2>/dev/null || find . -type f ! -path './.*' -printf '%P\n'; } |
    while read -r file; do [ ! -f "$file" ] || printf '%s\n' "$file"; done |
    tar --create --files-from=- | tar --extract --directory "$work/fairlead"
cd "$work/fairlead"
dpkg-buildpackage --build=binary --no-sign --no-pre-clean >"$work/log" 2>&1 || {
    tail -40 "$work/log" >&2
    exit 1
}
cp "$work"/fairlead_*.deb "$folder"
ls "$folder"/fairlead_*.deb
