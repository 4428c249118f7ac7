#!/bin/sh
# The tests of bubblewrap, below build/bubblewrap, from the source that Debian stable has. Nothing is installed, and apt's own
# lists are left alone. Does nothing where they are there.
# usage: sh tools/bubblewrap.sh        fails where they cannot be had
set -u
top=$PWD/build/bubblewrap
[ ! -e "$top" ] || exit 0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

apt() {
  timeout 120 apt-get -qq -o Dir::Etc::sourcelist="$work/sources" -o Dir::Etc::sourceparts=- -o Dir::State::lists="$work/lists" \
    -o Dir::State::status=/dev/null -o Dir::Cache="$work/cache" -o APT::Sandbox::User=root -o Acquire::Languages=none \
    -o Acquire::Retries=0 -o Acquire::http::Timeout=10 "$@"
}

mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null |
  sed -n 's/^URIs: *//p; s/^deb \(\[[^]]*\] \)\{0,1\}\(http[^ ]*\) .*/\2/p' | grep -m 1 '/debian/*$')
echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror stable main" >"$work/sources"
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "${top%/*}"
cd "$work" && apt update && apt source --download-only --tar-only bubblewrap/stable && tar -xf bubblewrap_*.orig.tar.* &&
  mv bubblewrap-*/ "$top" || { echo "the source of bubblewrap cannot be had" && exit 1; }
