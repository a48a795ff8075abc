#!/bin/sh
# Remove what `make install` put, and nothing else: `make uninstall`. With `purge` also configuration, history and user.
set -eu
cd "$(dirname "$0")/.."
: "${DESTDIR:=}" "${PREFIX:=/usr/local}" "${SYSTEMD:=$PREFIX/lib}" "${OPT:=/opt/fairlead}"
. deploy/system.sh

insist_on_root
if [ -e "$DESTDIR$OPT/installed" ]; then
    if on_this_system && systemd_runs; then
        units=$(sed -n 's|.*/systemd/system/||p' "$OPT/installed" | grep -v @ || :)
        # Services and sockets at once: a socket that is left would start its service again.
        # shellcheck disable=SC2086 # words, each a unit
        systemctl disable --now $units 2>/dev/null || :
        systemctl stop 'fairlead@*.socket' 'fairlead@*.service' 2>/dev/null || :
    fi
    remove_files <"$DESTDIR$OPT/installed"
    rm -rf "$DESTDIR$OPT"
    if on_this_system; then make_known; fi
    echo "removed; /etc/fairlead and /var/lib/fairlead are left (make purge removes them too)"
else
    echo "nothing is installed in $DESTDIR$OPT"
fi
if [ "${1:-}" = purge ]; then
    rm -rf "$DESTDIR/etc/fairlead" "$DESTDIR/var/lib/fairlead" "$DESTDIR/var/lib/fairlead-instances"
    if on_this_system; then
        rm -rf /run/fairlead /run/fairlead-daemon /run/fairlead-instances
        if getent passwd fairlead >/dev/null; then userdel fairlead; fi
        if getent group fairlead >/dev/null; then groupdel fairlead; fi
    fi
    echo "removed configuration, history and user"
fi
