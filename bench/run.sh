#!/bin/sh
# Runs the benchmark: table on stdout, bench.csv and bench.svg into the build directory; a run of all cases makes the README's
# picture, doc/bench.svg.
# usage: [ROUNDS=300] [CASES=PATTERN] [BUILD=build] sh bench/run.sh, in the root of the project, after make
set -eu

build=${BUILD:-build}
rounds=${ROUNDS:-300}
[ -f "$build/5.4/ns/core.so" ] || { echo "run make first: $build/5.4/ns/core.so is missing" >&2; exit 1; }

sh tools/need.sh bench || echo "what is missing does not take part" >&2

mkdir -p "$build/bench"
${CC:-gcc} -O2 -Wall -Wextra bench/floor.c -o "$build/bench/floor"
player=$(ls src/launcher/*.c | grep -v start.c)
${CC:-gcc} -O2 -Wall -Wextra bench/replay.c $player -o "$build/bench/replay"
${CC:-gcc} -O2 -Wall -Wextra -std=gnu11 -D_GNU_SOURCE -DLAUNCHER="\"$build/launcher\"" bench/launch.c \
  src/core/spawn.c src/core/image.c src/core/child.c src/core/io.c $player -o "$build/bench/launch"
${CC:-gcc} -O2 -Wall -Wextra -std=gnu11 -D_GNU_SOURCE bench/flight.c -o "$build/bench/flight"
${CC:-gcc} -O2 -Wall -Wextra bench/calls.c -o "$build/bench/calls"
${CC:-gcc} -O2 -Wall -Wextra bench/flow.c -o "$build/bench/flow"
${CC:-gcc} -O2 -Wall -Wextra -ffreestanding -fno-stack-protector -nostdlib -static bench/empty.c -o "$build/bench/empty"

# The rootless cases are played by nobody, who may not be able to read the project's directory.
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
trap 'exit 130' INT TERM
cp -R bench lua "$build/bench/floor" "$build/bench/replay" "$build/bench/launch" "$build/bench/empty" \
  "$build/bench/flight" "$build/bench/flow" "$build/bench/calls" "$home"
mkdir "$home/ns"
cp "$build/5.4/ns/core.so" "$home/ns"
chmod -R u=rwX,go=rX "$home"

ulimit -n 4096 2>/dev/null || true # a descriptor for each live program
output=$(cd "$build" && pwd) picture=$PWD/doc/bench.svg
cd "$home"
export BENCH_HOME="$home" LUA_PATH="$home/?.lua;$home/lua/?.lua;$home/lua/?/init.lua;;" LUA_CPATH="$home/?.so;;"
lua5.4 bench/bench.lua "$output" "$rounds" ${CASES:+"$CASES"}
if [ -z "${CASES:-}" ] && [ "$(id -u)" = 0 ] && command -v ip >/dev/null; then
  unshare -mn --propagation private sh -c 'mount -t tmpfs run /run && ip link set lo up && exec lua5.4 bench/networks.lua'
fi
[ -n "${CASES:-}" ] || lua5.4 bench/relay.lua
[ -n "${CASES:-}" ] || XDG_DATA_HOME="$output/images" lua5.4 bench/images.lua
[ -n "${CASES:-}" ] || cp "$output/bench.svg" "$picture"
[ -n "${CASES:-}" ] || ! [ -e /usr/bin/busted ] || lua5.4 bench/harness.lua
