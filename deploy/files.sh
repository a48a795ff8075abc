#!/bin/sh
# Lay out everything but the environment itself: deploy/files.sh ENVIRONMENT HOME TREE
# ENVIRONMENT holds fairlead and will be at HOME; TREE becomes the root. PREFIX and SYSTEMD say where in it things go.
set -eu
cd "$(dirname "$0")/.."
environment=$1 home=$2 tree=$3
: "${PREFIX:=/usr/local}" "${SYSTEMD:=$PREFIX/lib}"
export PYTHONDONTWRITEBYTECODE=1
share=$tree$PREFIX/share

# put FILE PLACE: a text, with the environment's own place in it.
put() {
    mkdir -p "$(dirname "$2")"
    sed "s|/opt/fairlead|$home|g" "$1" >"$2"
    chmod 644 "$2"
}

for unit in systemd/*.service systemd/*.socket systemd/*.target systemd/*.timer; do
    [ ! -e "$unit" ] || put "$unit" "$tree$SYSTEMD/systemd/system/${unit##*/}"
done
for unit in systemd/user/*.*; do
    [ ! -e "$unit" ] || put "$unit" "$tree$SYSTEMD/systemd/user/${unit##*/}"
done
for kind in sysusers tmpfiles; do
    [ ! -e "systemd/fairlead.$kind" ] || put "systemd/fairlead.$kind" "$tree$SYSTEMD/$kind.d/fairlead.conf"
done
for catalog in systemd/*.catalog; do
    [ ! -e "$catalog" ] || put "$catalog" "$tree$SYSTEMD/systemd/catalog/${catalog##*/}"
done

pages=$(mktemp -d)
trap 'rm -rf "$pages"' EXIT
"$environment/bin/python3" -m daemon.manual docs "$pages"
for page in "$pages"/*; do
    put "$page" "$share/man/man${page##*.}/${page##*/}"
    gzip -9n "$share/man/man${page##*.}/${page##*/}"
done

put daemon/cli/shells/fairlead.bash "$share/bash-completion/completions/fairlead"
put daemon/cli/shells/_fairlead "$share/${ZSH_FUNCTIONS:-zsh/site-functions}/_fairlead"
put daemon/cli/shells/fairlead.fish "$share/fish/vendor_completions.d/fairlead.fish"

for document in README.md docs/*.md systemd/README.md systemd/drop-ins/* fairlead.example.toml; do
    [ ! -e "$document" ] || put "$document" "$share/doc/fairlead/$document"
done

mkdir -p "$tree$PREFIX/bin"
ln -sfn "$home/bin/fairlead" "$tree$PREFIX/bin/fairlead"
