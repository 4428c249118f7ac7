#!/bin/sh
# Runs the specs on Lua 5.4, those on the other Luas, and the short form of the proof, some jobs at a time (job.sh), and
# closes with one line for all of it.
# usage: sh tools/test.sh "lua5.1 ... luajit" [busted's arguments]     with arguments, the specs alone
set -u
luas=$1
shift
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
mkdir "$logs/bin" "$logs/out"

# Lua 5.5 of tools/lua55.sh, where an ordinary user finds it, too; one of the machine that has no busted is none
chmod 755 "$logs" "$logs/bin"
[ ! -e build/lua5.5 ] || cp build/lua5.5/bin/lua5.5 "$logs/bin"
PATH=$logs/bin:$PATH
skipped=0
case " $luas " in
  *" lua5.5 "*)
    if ! lua5.5 -e 'require "busted"' 2>"$logs/why"; then
      echo "skipped: lua5.5 [it is neither here nor could be made]"
      skipped=1 luas=$(echo " $luas " | sed 's/ lua5.5 / /')
    fi ;;
esac

# Which sentences run where. What a Lua can change runs on each: the words of a spec and their mistakes, the steps that
# become of them, errors, results, files and streams, waiting, event loops, what is collected or closed, loading, memory
# that runs out, interrupts. What follows from the steps is the same whatever Lua has asked for them, and those are the same
# (spec/every_lua_spec.lua): so what a program sees inside, what this machine or another allows or refuses, what a
# terminal or a signal does, and what the examples and the manual show, runs on Lua 5.4 alone. These have #system in the
# title of their describe, or in their own.
tags_for() { case $1 in lua5.4) ;; *) echo --exclude-tags=system ;; esac; }

# All jobs, a line each, the longest first. Lua 5.4 has so many that the last ones end together: each a few files.
FILES=2
jobs() {
  [ $# -gt 0 ] || echo "proof sh proof/run.sh short"
  for lua in $luas; do
    case $#$lua in 0lua5.4) ;; *) echo "$lua $lua /usr/bin/busted $(tags_for "$lua")" "$@" ;; esac
  done
  case $#" $luas " in
    0*" lua5.4 "*) find spec -name '*_spec.lua' | sort | awk -v files="$FILES" '
      { part = int((NR - 1) / files) + 1; list[part] = list[part] " " $0 }
      END { for (i = 1; i <= part; i++) print "lua5.4-" i " lua5.4 /usr/bin/busted" list[i] }' ;;
  esac
}

# Each is in a layer of its own, with a shell as process 1, which reaps: a spec that looks for a process finds none of
# another job's. Where there are no layers, one job runs after the other; and so do specs that were asked for by name, on
# the machine as it is. A job waits for most of its time, for the kernel or for a clock: three of them keep one processor busy.
at_once=$((3 * $(nproc)))
layer="unshare --mount --pid --propagation private --fork --kill-child --mount-proc"
{ [ $# -eq 0 ] && $layer true 2>/dev/null; } || layer='' at_once=1
jobs "$@" >"$logs/jobs"
# shellcheck disable=SC2016,SC2086
tr '\n' '\0' <"$logs/jobs" | xargs -0 -n 1 -P "$at_once" $layer sh -c 'sh tools/job.sh "$@"; exit $?' sh "$logs/out"

# each failure in a log in six lines: where, which test, what
failures() { awk '/^(Failure|Error) -> / { left = 6 } /^FAILED: / && !left { left = 1 } left-- > 0' "$1"; }

passed=0 failed=0
while read -r name _; do
  log=$logs/out/$name
  printf '== %s\n' "$name"
  cat "$log"
  # shellcheck disable=SC2046
  set -- $(tail -n 1 "$log")
  passed=$((passed + $1)) failed=$((failed + $3)) skipped=$((skipped + $5))
  [ "$3" -eq 0 ] || { echo "== $name: $3 failed" && failures "$log"; } >>"$logs/complaints"
done <"$logs/jobs"
[ ! -e "$logs/complaints" ] || cat "$logs/complaints"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
