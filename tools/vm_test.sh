#!/bin/sh
# Runs the specs on other kernels, each in a virtual machine, at the same time; when all have ended, shows what they have said
# and closes with one line for all of it.
# usage: sh tools/vm_test.sh "KERNEL ..." busted's arguments
set -u
kernels=$1
shift
passed=0 failed=0 skipped=0
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

for kernel in $kernels; do bash proof/vm.sh --fetch "$kernel" || exit; done
echo "this takes about an hour"
for kernel in $kernels; do
  VM_TIMEOUT=${VM_TIMEOUT:-10800} bash proof/vm.sh "$kernel" sh tools/test.sh lua5.4 "$@" >"$logs/$kernel" 2>&1 </dev/null &
done
wait

for kernel in $kernels; do
  echo "== $kernel"
  cat "$logs/$kernel"
  line=$(tail -n 1 "$logs/$kernel")
  case $line in
    *" passed, "*" failed, "*" skipped") ;;
    *) line="0 passed, 1 failed, 0 skipped" && echo "FAILED: $kernel ended without a closing line" ;;
  esac
  # shellcheck disable=SC2086
  set -- $line
  passed=$((passed + $1)) failed=$((failed + $3)) skipped=$((skipped + $5))
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
