#!/bin/sh
# Runs one part of the proof: its output is in LOGS/PART while it runs, and shown in the end; its section of the report is
# LOGS/PART.md.
# usage: sh proof/part.sh short|long LOGS PART      what it is run by, and what with: proof/run.sh
form=$1 part=$3 log=$2/$3
start=$(date +%s)
echo "== proof: $part begins"
# shellcheck disable=SC2086
$OUTER lua5.4 "proof/$part.lua" "$form" >"$log" 2>&1 </dev/null
case $(tail -n 1 "$log") in
  *" passed, "*" failed, "*" skipped") ;;
  *) printf '%s\n' "FAILED: $part ended without a closing line" "0 passed, 1 failed, 0 skipped" >>"$log" ;;
esac
{
  printf '\n## %s\n\n%s, in %s s\n\n' "$part" "$(tail -n 1 "$log")" "$(($(date +%s) - start))"
  sed -n 's/^figure: \([^:]*\): /- \1: /p; s/^\(skipped: .*\)/- \1/p' "$log"
} >"$log.md"
{
  echo "== proof: $part, $(($(date +%s) - start)) s"
  cat "$log"
} >"$log.shown"
cat "$log.shown" # at once, as another part may run beside this one
