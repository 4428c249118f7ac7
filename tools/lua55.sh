#!/bin/sh
# Lua 5.5 for the specs, below build/lua5.5: Debian releases are without it, so it is built from the source that sid has, as
# is lfs; busted and Penlight are the machine's own, mended where 5.5 does not compile them. Nothing is installed, and apt's
# own lists are left alone. Does nothing where it is there, or where the machine has a lua5.5 with busted.
# usage: sh tools/lua55.sh        fails with the reason as its last line, where it cannot be had
set -u
here=build/lua5.5 top=$PWD/build/lua5.5
[ ! -e "$top" ] || exit 0
! lua5.5 -e 'require "busted"' 2>/dev/null || exit 0

work=$(mktemp -d) log=$(mktemp)
trap 'rm -rf "$work" "$log"' EXIT

# step WHAT COMMAND...
step() {
  what=$1
  shift
  "$@" >"$log" 2>&1 || { tail -n 3 "$log" && echo "no Lua 5.5: cannot $what" && exit 1; }
}

# Lists of its own, and no long wait for a mirror that does not answer.
apt() {
  timeout 60 apt-get -qq -o Dir::Etc::sourcelist="$work/sources" -o Dir::Etc::sourceparts=- -o Dir::State::lists="$work/lists" \
    -o Dir::State::status=/dev/null -o Dir::Cache="$work/cache" -o APT::Sandbox::User=root -o Acquire::Languages=none \
    -o Acquire::Retries=0 -o Acquire::http::Timeout=10 "$@"
}

fetch() {
  mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null |
    sed -n 's/^URIs: *//p; s/^deb \(\[[^]]*\] \)\{0,1\}\(http[^ ]*\) .*/\2/p' | grep -m 1 '/debian/*$') || return
  for suite in sid stable; do
    echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main"
  done >"$work/sources"
  mkdir -p "$work/lists/partial" "$work/cache/archives/partial" && apt update &&
    apt source --download-only --tar-only lua5.5/sid lua-filesystem/stable &&
    for archive in *.tar.*; do tar -xf "$archive" || return; done
}

# It looks for modules where the specs are run, and among those of Lua 5.4, as far as they are written in Lua.
compile() {
  share=/usr/share/lua/5.4
  make -s -C lua-5.5*/src -j4 lua liblua.a LIBS="-lm -ldl -Wl,-E" CFLAGS="-O1 -DLUA_USE_LINUX \
    -DLUA_PATH_DEFAULT='\"$here/share/?.lua;$share/?.lua;$share/?/init.lua\"' -DLUA_CPATH_DEFAULT='\"build/5.5/?.so\"'" &&
    mkdir -p $here/bin $here/lib $here/include $here/share &&
    cp lua-5.5*/src/lua $here/bin/lua5.5 && cp lua-5.5*/src/liblua.a $here/lib/liblua5.5.a &&
    for header in lua luaconf lualib lauxlib; do cp lua-5.5*/src/$header.h $here/include || return; done &&
    sed -i 's/ && LUA_VERSION_NUM <= 504//' lua*filesystem*/src/lfs.c &&
    cc -O1 -fPIC -shared -I$here/include -o lfs.so lua*filesystem*/src/lfs.c
}

# The variable of a loop is a constant in 5.5, another of its name is not. And what busted asks of two C modules.
mend() {
  for file in $(cd "$share" && find -L busted pl -name '*.lua'); do
    $here/bin/lua5.5 -e 'os.exit(loadfile(arg[1]) ~= nil)' /dev/null "$share/$file" && continue
    mkdir -p "$here/share/${file%/*}"
    sed 's/^\( *for \([a-z, ]*\) in .* do\)$/\1 local \2 = \2/' "$share/$file" >"$here/share/$file"
  done
  echo 'return { gettime = os.time, monotime = os.time, sleep = function() end }' >$here/share/system.lua
  echo 'return { isatty = function() return false end }' >$here/share/term.lua
  unset LUA_PATH LUA_CPATH
  $here/bin/lua5.5 -e 'require "busted"'
}

cd "$work" || exit
step "fetch its source" fetch
step "compile it" compile
step "mend busted for it" mend
mkdir -p "${top%/*}/5.5" && mv lfs.so "${top%/*}/5.5" && mv $here "$top"
