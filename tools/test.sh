#!/bin/sh
# Runs the specs on Lua 5.4, three files at a time as most of them wait, beside them those on the other Luas, two at a time,
# and the short form of the proof, and closes with one line for all of it. Each leaves the host as it was (state.sh), or has
# failed.
# usage: sh tools/test.sh "lua5.1 ... luajit" [busted's arguments]     with arguments, the specs alone
set -u
luas=$1
shift
passed=0 failed=0 skipped=0
log=$(mktemp) proof=$(mktemp) complaints=$(mktemp) before=$(mktemp) after=$(mktemp)
bin=$(mktemp -d)
trap 'rm -rf "$log" "$proof" "$complaints" "$before" "$after" "$bin"' EXIT

# each failure in the log in six lines: where, which test, what
failures() {
  awk '/^(Failure|Error) -> / { left = 6 } /^FAILED: / && !left { left = 1 } left-- > 0' "$log"
}

# What has changed on the host since the last time, as a complaint; succeeds if anything has.
changed() {
  sh tools/state.sh >"$after"
  cmp -s "$before" "$after" && return 1
  echo "FAILED: $name has changed the host:"
  diff "$before" "$after" | grep '^[<>]' | head -n 20
  cp "$after" "$before"
}

# run NAME COMMAND...: the command's last line is counted; what failed is kept, to be said again where nobody misses it
run() {
  name=$1
  shift
  echo "== $name"
  "$@" 2>&1 </dev/null | tee "$log"
  line=$(tail -n 1 "$log")
  case $line in
    *" passed, "*" failed, "*" skipped") ;;
    *) line="0 passed, 1 failed, 0 skipped" && echo "FAILED: $name ended without a closing line" | tee -a "$log" ;;
  esac
  # shellcheck disable=SC2086
  set -- $line
  [ "$3" -eq 0 ] || { echo "== $name: $3 failed" && failures; } >>"$complaints"
  if changed >"$log"; then
    cat "$log" && cat "$log" >>"$complaints"
    failed=$((failed + 1))
  fi
  passed=$((passed + $1)) failed=$((failed + $3)) skipped=$((skipped + $5))
}

# Lua 5.5 of tools/lua55.sh, where an ordinary user finds it, too; one of the machine that has no busted is none
chmod 755 "$bin"
[ ! -e build/lua5.5 ] || cp build/lua5.5/bin/lua5.5 "$bin"
PATH=$bin:$PATH
case " $luas " in
  *" lua5.5 "*)
    if ! lua5.5 -e 'require "busted"' 2>"$log"; then
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

# Those that run beside others are in a layer of their own, with a shell as process 1, which reaps: a spec that looks for a
# process finds none of another Lua's.
layer="unshare --mount --pid --propagation private --fork --kill-child --mount-proc"
$layer true 2>/dev/null || layer=
beside=
[ $# -gt 0 ] || [ -z "$layer" ] || beside=$(echo " $luas " | sed 's/ lua5.4 / /')
[ "$beside" != " $luas " ] || beside= # nothing to be beside of

# third 0|1|2: every third file of specs, where Lua 5.4 has others beside it; else none is named, which means all
third() {
  [ -z "$beside" ] || find spec -name '*_spec.lua' | sort | awk -v n="$1" 'NR % 3 == n'
}

sh tools/state.sh >"$before"
[ $# -gt 0 ] || sh proof/run.sh short >"$proof" 2>&1 </dev/null &
run_beside() {
  for lua; do
    $layer sh -c '"$@"; exit $?' sh "$lua" /usr/bin/busted "$(tags_for "$lua")" >"$bin/$lua.log" 2>&1 </dev/null
  done
}
one='' two=''
for lua in $beside; do
  if [ ${#one} -le ${#two} ]; then one="$one $lua"; else two="$two $lua"; fi
done
# shellcheck disable=SC2086
run_beside $one &
# shellcheck disable=SC2086
run_beside $two &
for n in 1 2; do
  # shellcheck disable=SC2046
  [ -z "$beside" ] || $layer sh -c '"$@"; exit $?' sh lua5.4 /usr/bin/busted $(third "$n") >"$bin/$n.log" 2>&1 </dev/null &
done
for lua in $luas; do
  # shellcheck disable=SC2046
  case " $beside " in *" $lua "*) ;; *) run "$lua" "$lua" /usr/bin/busted $(tags_for "$lua") "$@" $(third 0) ;; esac
done
wait
[ -z "$beside" ] || for n in 1 2; do run "lua5.4, more files, $n" cat "$bin/$n.log"; done
for lua in $beside; do run "$lua" cat "$bin/$lua.log"; done
[ $# -gt 0 ] || run "the proof" cat "$proof"
cat "$complaints"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
