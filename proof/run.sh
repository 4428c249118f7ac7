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
report=$build/proof.md logs=$build/proof.parts
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
  sh tools/need.sh "$form"
  case " $* " in *" bwrap "*) sh tools/bubblewrap.sh ;; esac
  case "$form${HOSTS-} $* " in "short "*) ;; *" hosts "*) fetch_kernels ;; esac
fi

[ ! -e build/lua5.5 ] || PATH=$PWD/build/lua5.5/bin:$PATH # made by tools/lua55.sh

# in a layer of its own: a case that fails shall not reach this machine
outer="unshare --mount --pid --ipc --uts --net --propagation private --fork --kill-child --mount-proc"
$outer true 2>/dev/null || outer=

printf '# The proof, %s form\n\nLinux %s, %s, %s processors\n' "$form" "$(uname -r)" "$(uname -m)" "$(nproc)" >"$report"

# Two parts at once in the short form, as they wait most of the time; in the long form each has the machine for itself.
lanes=1
[ "$form" = long ] || lanes=2
export LUA_PATH="lua/?.lua;lua/?/init.lua;spec/?.lua;proof/?.lua;;" LUA_CPATH="$build/5.4/?.so;;" OUTER="$outer"
rm -rf "$logs" && mkdir -p "$logs"
printf '%s\n' "$@" | xargs -n 1 -P "$lanes" sh proof/part.sh "$form" "$logs"

for part; do
  cat "$logs/$part.md" >>"$report"
  # shellcheck disable=SC2046
  set -- $(tail -n 1 "$logs/$part")
  passed=$((passed + $1)) failed=$((failed + $3)) skipped=$((skipped + $5))
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
