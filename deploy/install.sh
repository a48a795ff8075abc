#!/bin/sh
# Install fairlead, or another version over it: `make install`. See docs/install.md.
# DESTDIR: a root other than /, for packages; nothing is then started or made known. PREFIX, SYSTEMD: where files go.
# OPT: the environment's place. WHEELS: a folder of wheels to take instead of asking for them. PYTHON: its interpreter.
set -eu
cd "$(dirname "$0")/.."
: "${DESTDIR:=}" "${PREFIX:=/usr/local}" "${SYSTEMD:=$PREFIX/lib}" "${OPT:=/opt/fairlead}" "${WHEELS:=}"
: "${PYTHON:=/usr/bin/python3}"
export PREFIX SYSTEMD PYTHON
. deploy/system.sh

insist_on_root
"$PYTHON" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || {
    echo "make install: $PYTHON is not a Python 3.11 or newer that can make environments (Debian: apt install python3-venv)" >&2
    exit 1
}
umask 022
work=$(mktemp -d)
fresh=$DESTDIR$OPT.new
trap 'rm -rf "$work" "$fresh"' EXIT
rm -rf "$fresh" && mkdir -p "${fresh%/*}"

if [ -z "$WHEELS" ]; then
    echo "collecting the pinned packages"
    deploy/wheels.sh "$work/wheels"
    WHEELS=$work/wheels
fi
echo "making the environment"
deploy/environment.sh "$WHEELS" "$fresh" "$OPT"
"$fresh/bin/python3" -m compileall -q -j 0 -s "$fresh" -p "$OPT" "$fresh/lib"
deploy/files.sh "$fresh" "$OPT" "$work/tree"
find "$work/tree" ! -type d -printf '/%P\n' | sort >"$fresh/installed"

# Files first, so that no unit ever names an environment that is not there; then the environment, in one step.
while read -r file; do
    mkdir -p "$DESTDIR${file%/*}"
    cp -P --preserve=mode --remove-destination "$work/tree$file" "$DESTDIR$file"
done <"$fresh/installed"
old=$DESTDIR$OPT.old
rm -rf "$old"
if [ -e "$DESTDIR$OPT" ]; then
    [ -e "$DESTDIR$OPT/installed" ] && sort "$DESTDIR$OPT/installed" >"$work/before"
    mv "$DESTDIR$OPT" "$old"
fi
mv "$fresh" "$DESTDIR$OPT"
rm -rf "$old"
if [ -e "$work/before" ]; then
    comm -23 "$work/before" "$DESTDIR$OPT/installed" | remove_files
fi

on_this_system && make_user
if [ ! -e "$DESTDIR/etc/fairlead/fairlead.toml" ]; then
    mkdir -p "$DESTDIR/etc/fairlead/conf.d"
    install -m 640 deploy/fairlead.toml "$DESTDIR/etc/fairlead/fairlead.toml"
fi
if ! on_this_system; then
    echo "installed into $DESTDIR"
    exit 0
fi
chgrp fairlead /etc/fairlead/fairlead.toml
make_known
if systemd_runs; then
    # The sockets stay open: what arrives meanwhile waits in their queues.
    systemctl try-restart fairlead.service 'fairlead@*.service'
fi
echo "installed $("$OPT/bin/fairlead" version); now: systemctl enable --now fairlead.socket fairlead.service"
echo "configuration: /etc/fairlead/fairlead.toml; clients: members of the group fairlead (usermod -aG fairlead YOU)"
