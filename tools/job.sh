#!/bin/sh
# Runs one job of the tests. Its output is in LOGS/NAME, with a closing line; it leaves the machine as it was (state.sh), or
# has failed.
# usage: sh tools/job.sh LOGS "NAME COMMAND ..."      NAME has no spaces, as no word of the command has
set -u
logs=$1
# shellcheck disable=SC2086
set -- $2
log=$logs/$1 name=$1 start=$(date +%s)
shift
before=$(mktemp) after=$(mktemp)
trap 'rm -f "$before" "$after"' EXIT

sh tools/state.sh >"$before"
"$@" >"$log" 2>&1 </dev/null
case $(tail -n 1 "$log") in
  *" passed, "*" failed, "*" skipped") ;;
  *) printf '%s\n' "FAILED: $name ended without a closing line" "0 passed, 1 failed, 0 skipped" >>"$log" ;;
esac
sh tools/state.sh >"$after"
if ! cmp -s "$before" "$after"; then
  # shellcheck disable=SC2046
  set -- $(tail -n 1 "$log")
  {
    echo "FAILED: $name has changed the host:"
    diff "$before" "$after" | grep '^[<>]' | head -n 20
    echo "$1 passed, $(($3 + 1)) failed, $5 skipped"
  } >>"$log"
fi
echo "== $name, $(($(date +%s) - start)) s: $(tail -n 1 "$log")"
