# What install.sh and uninstall.sh do to the system that they run on. Sourced by them.

on_this_system() { [ -z "$DESTDIR" ]; }

systemd_runs() { [ -d /run/systemd/system ]; }

insist_on_root() {
    if on_this_system && [ "$(id -u)" -ne 0 ]; then
        echo "this changes the system: run it as root, or give a DESTDIR" >&2
        exit 1
    fi
}

make_user() {
    if command -v systemd-sysusers >/dev/null; then
        systemd-sysusers "$SYSTEMD/sysusers.d/fairlead.conf"
    elif ! getent passwd fairlead >/dev/null; then
        useradd --system --user-group --home-dir /var/lib/fairlead --no-create-home --shell /usr/sbin/nologin fairlead
    fi
    if [ -e "$SYSTEMD/tmpfiles.d/fairlead.conf" ] && command -v systemd-tmpfiles >/dev/null; then
        systemd-tmpfiles --create "$SYSTEMD/tmpfiles.d/fairlead.conf"
    fi
}

# Let systemd, its journal and man see what was put or taken away.
make_known() {
    if command -v journalctl >/dev/null; then journalctl --update-catalog; fi
    if systemd_runs; then systemctl daemon-reload; fi
}

# remove_files: those on standard input, and the folders of fairlead's own that are empty then.
remove_files() {
    while read -r file; do
        rm -f "$DESTDIR$file"
        folder=${file%/*}
        while case $folder in */fairlead | */fairlead/*) rmdir "$DESTDIR$folder" 2>/dev/null ;; *) false ;; esac do
            folder=${folder%/*}
        done
    done
}
