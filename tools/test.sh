#!/bin/sh
# Runs the specs on each Lua and closes with one line for all of them.
# usage: sh tools/test.sh "lua5.1 ... luajit" [busted's arguments]
set -u
luas=$1
shift
passed=0 failed=0 skipped=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for lua in $luas; do
  echo "== $lua"
  "$lua" /usr/bin/busted "$@" 2>&1 </dev/null | tee "$log"
  line=$(tail -n 1 "$log")
  case $line in
    *" passed, "*" failed, "*" skipped")
      # shellcheck disable=SC2086
      set -- $line -- "$@"
      passed=$((passed + $1)) failed=$((failed + $3)) skipped=$((skipped + $5))
      shift 7
      ;;
    *)
      echo "$lua: the specs ended without a closing line"
      failed=$((failed + 1))
      ;;
  esac
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
