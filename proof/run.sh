#!/bin/sh
# Runs the parts of the proof, writes their figures to build/proof.md, and closes with one line for all of them.
# usage: sh proof/run.sh short|long [PART ...]      the parts: proof/parts
set -u
form=$1
shift
skip='^#'
[ "$form" = long ] || skip='^#\| long$'
# shellcheck disable=SC2046
[ $# -gt 0 ] || set -- $(grep -v "$skip" proof/parts | sed 's/ long$//')
build=${BUILD:-build}
report=$build/proof.md
log=$(mktemp)
trap 'rm -f "$log"' EXIT
passed=0 failed=0 skipped=0

# The kernels of the virtual machines: one in the short form, which has machines only where HOSTS names them.
fetch_kernels() {
  sh tools/need.sh vm
  kernels=$(sed -n 's/^[0-9.]* *linux/linux/p' proof/kernels)
  [ "$form" = long ] || kernels=${kernels%%[[:space:]]*}
  for kernel in $kernels; do bash proof/vm.sh --fetch "$kernel"; done
}

# what is missing is fetched now: in that layer there is no network
if [ "$(id -u)" -eq 0 ]; then
  sh tools/need.sh proof
  case " $* " in *" bwrap "*) sh tools/bubblewrap.sh ;; esac
  case "$form${HOSTS-} $* " in "short "*) ;; *" hosts "*) fetch_kernels ;; esac
fi

[ ! -e build/lua5.5 ] || PATH=$PWD/build/lua5.5/bin:$PATH # made by tools/lua55.sh

# in a layer of its own: a case that fails shall not reach this machine
outer="unshare --mount --pid --ipc --uts --net --propagation private --fork --kill-child --mount-proc"
$outer true 2>/dev/null || outer=

printf '# The proof, %s form\n\nLinux %s, %s, %s processors\n' "$form" "$(uname -r)" "$(uname -m)" "$(nproc)" >"$report"

for part; do
  echo "== proof: $part"
  start=$(date +%s)
  LUA_PATH="lua/?.lua;lua/?/init.lua;spec/?.lua;proof/?.lua;;" LUA_CPATH="$build/5.4/?.so;;" \
    $outer lua5.4 "proof/$part.lua" "$form" 2>&1 </dev/null | tee "$log"
  line=$(tail -n 1 "$log")
  case $line in
    *" passed, "*" failed, "*" skipped") ;;
    *) line="0 passed, 1 failed, 0 skipped" && echo "$part: ended without a closing line" ;;
  esac
  {
    printf '\n## %s\n\n%s, in %s s\n\n' "$part" "$line" "$(($(date +%s) - start))"
    sed -n 's/^figure: \([^:]*\): /- \1: /p; s/^\(skipped: .*\)/- \1/p' "$log"
  } >>"$report"
  # shellcheck disable=SC2086
  set -- $line
  passed=$((passed + $1)) failed=$((failed + $3)) skipped=$((skipped + $5))
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
