#!/bin/bash
# Runs a command as root in a throw-away virtual machine: one of Debian's cloud kernels, and this machine's root file system,
# read through virtiofs under an overlay in memory, with a new ext4 at /tmp, which can map ids on all of them: what is written
# there is gone afterwards. Process 1 is systemd, as on most machines: mounts are shared, the user `tester` (1000) has a manager
# of his own and ids in /etc/subuid as useradd gives them, and the command is a service with a control group that is its own.
# usage: vm.sh KERNEL COMMAND...     KERNEL: a kernel package of Debian, such as linux-image-6.12-cloud-amd64, with @SUITE if
#                                    it comes from another suite (kernels)
#        vm.sh --fetch KERNEL        only sees to it that all is there
# The exit status is the command's; 125 when the machine could not be had. Needs root; QEMU emulates, so it is slow.
set -u
fail() { echo "vm: $*" >&2; exit 125; }
fetch=
[ "${1-}" = --fetch ] && fetch=1 && shift
[ $# -gt 0 ] || fail "usage: vm.sh [--fetch] KERNEL COMMAND..."
package=${1%@*} suite=${1#"${1%@*}"}
suite=${suite#@}
cache=${VM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/ns-vm} here=$PWD
kernel=$cache/$1
shift
PATH=$PATH:/usr/sbin:/sbin:/usr/lib/qemu:/usr/libexec

# ---- the kernel: unpacked, not installed ----

# A kernel that has virtiofs as a module needs an initramfs that loads it.
make_initramfs() { # in the directory of the kernel
  local modules n=10 module
  modules=$(modprobe -d . -S "$(ls lib/modules)" -a --show-depends virtio_pci virtiofs virtio_console 2>/dev/null |
    awk '$1 == "insmod" && !seen[$2]++ { print $2 }')
  mkdir initramfs initramfs/m && cp "$(command -v busybox)" initramfs/ || return
  for module in $modules; do unpack "$module" "initramfs/m/$n.ko" && n=$((n + 1)) || return; done
  cat >initramfs/init <<'EOF'
#!/busybox sh
b=/busybox
$b mkdir /r /proc
$b mount -t proc p /proc
for m in /m/*; do $b insmod $m; done
for word in $($b cat /proc/cmdline); do case $word in init=*) init=${word#init=} ;; esac; done
$b mount -t virtiofs -o ro root /r
$b umount /proc
exec $b switch_root /r $init
EOF
  chmod 755 initramfs/init
  (cd initramfs && find . | busybox cpio -o -H newc 2>/dev/null | gzip -1) >initrd
}

unpack() { # MODULE FILE
  case $1 in *.xz) xz -dc "$1" ;; *) cat "$1" ;; esac >"$2"
}

# Another suite has lists of its own, so that nothing of it can get onto this machine.
use_suite() {
  local lists=$cache/apt-$suite mirror
  mkdir -p "$lists/lists/partial" "$lists/cache/archives/partial" || fail "no directory $lists"
  mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null |
    sed -n 's/^URIs: *//p; s/^deb \(\[[^]]*\] \)\?\(http[^ ]*\) .*/\2/p' | head -n 1)
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" >"$lists/sources"
  apt=(-o Dir::Etc::sourcelist="$lists/sources" -o Dir::Etc::sourceparts=- -o Dir::State::lists="$lists/lists"
    -o Dir::Cache="$lists/cache" -o Dir::State::status=/dev/null)
}

# What a package depends on, of the names that begin so.
depends_on() { # PACKAGE PATTERN
  apt-cache "${apt[@]}" depends "$1" 2>/dev/null | awk -v name="$2" '$1 == "Depends:" && $2 ~ name { print $2 }'
}

fetch_kernel() {
  local work newest parts apt=()
  [ -z "$suite" ] || use_suite
  apt-cache "${apt[@]}" show "$package" >/dev/null 2>&1 || apt-get "${apt[@]}" update -qq
  newest=$(depends_on "$package" '^linux-image-[0-9]' | head -n 1)
  [ -n "$newest" ] || fail "no package $package"
  parts=$(depends_on "$newest" '^linux-(binary|modules)-[0-9]') # newer suites split it
  mkdir -p "$cache" && work=$(mktemp -d "$cache/XXXXXX") && chmod 755 "$work" || fail "no directory $cache"
  # shellcheck disable=SC2086
  (cd "$work" && apt-get "${apt[@]}" download -qq ${parts:-$newest} 2>/dev/null &&
    for file in ./*.deb; do dpkg-deb -x "$file" . || exit; done && rm ./*.deb && { [ -d lib ] || ln -s usr/lib lib; } &&
    mv "$(ls boot/vmlinuz-* lib/modules/*/vmlinuz 2>/dev/null | head -n 1)" kernel && depmod -b . "$(ls lib/modules)" 2>/dev/null &&
    cp "$(command -v busybox)" busybox && unpack lib/modules/*/kernel/fs/overlayfs/overlay.ko* overlay.ko &&
    { grep -qs CONFIG_VIRTIO_FS=y boot/config-* || make_initramfs; }) || { rm -rf "$work"; fail "cannot unpack $newest"; }
  mv -T "$work" "$kernel" 2>/dev/null || rm -rf "$work"
}

[ -d "$kernel" ] || fetch_kernel
[ -z "$fetch" ] || exit 0

# ---- the first process in the machine: vm_init.sh ----

work=$(mktemp -d "${TMPDIR:-/tmp}/ns-vm.XXXXXX") && chmod 755 "$work" && mkfifo "$work/out" || fail "no work directory"
server='' machine=''
trap 'kill $machine 2>/dev/null && wait $machine; kill $server 2>/dev/null; rm -rf "$work"' EXIT
trap 'exit 125' HUP INT TERM
{ declare -p kernel here; printf 'command=('; printf '%q ' "$@"; echo ')'; } >"$work/words"
cp "${0%/*}/vm_init.sh" "$work/init" && chmod 755 "$work/init" || fail "no vm_init.sh beside this script"

# ---- the file system's server, and the machine ----

virtiofsd --socket-path="$work/fs" -o source=/ -o sandbox=chroot -o cache=always --thread-pool-size=0 >"$work/log" 2>&1 &
server=$!
for _ in $(seq 250); do [ -S "$work/fs" ] && break || sleep 0.02; done
[ -S "$work/fs" ] || fail "virtiofsd: $(cat "$work/log")"

truncate -s 2G "$work/disk" && mkfs.ext4 -q -O ^has_journal "$work/disk" || fail "no file system for /tmp"
initrd=()
[ ! -e "$kernel/initrd" ] || initrd=(-initrd "$kernel/initrd")
cat "$work/out" &
reader=$!
# norandmaps: an emulator that finds its translated code again executes a program three times as fast
timeout -k 5 "${VM_TIMEOUT:-900}" qemu-system-x86_64 -accel tcg,thread=multi -cpu qemu64 -smp 2 -m 2048 \
  -machine q35,memory-backend=memory -object memory-backend-memfd,id=memory,size=2048M,share=on \
  -nodefaults -no-user-config -display none -no-reboot -kernel "$kernel/kernel" "${initrd[@]}" \
  -serial file:"$work/console" -device virtio-serial-pci \
  -chardev socket,id=fs,path="$work/fs" -device vhost-user-fs-pci,chardev=fs,tag=root,queue-size=1024 \
  -drive file="$work/disk",format=raw,if=virtio,cache=unsafe \
  -chardev file,id=out,path="$work/out" -device virtserialport,chardev=out \
  -chardev file,id=status,path="$work/status" -device virtserialport,chardev=status \
  -append "console=ttyS0 quiet panic=-1 mitigations=off norandmaps rootfstype=virtiofs root=root ro init=$work/init" \
  </dev/null &
machine=$!
wait $machine
ended=$?
machine=''
exec 9<>"$work/out" 9>&- # lets the reader go where QEMU has not opened the pipe
wait $reader
status=$(cat "$work/status" 2>/dev/null)
[ -z "$status" ] || exit "$status"
tail -n 20 "$work/console" >&2
fail "the machine ended without a status (QEMU: $ended)"
