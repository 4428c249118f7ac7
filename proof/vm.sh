#!/bin/bash
# Runs a command as root in a throw-away virtual machine: one of Debian's cloud kernels, cgroup v2 with all controllers, and
# this machine's root file system, read through virtiofs under an overlay in memory, with a new ext4 at /tmp, which can map
# ids on all of them: what is written there is gone afterwards.
# usage: vm.sh KERNEL COMMAND...     KERNEL: a kernel package of Debian, such as linux-image-6.12-cloud-amd64
#        vm.sh --fetch KERNEL        only sees to it that all is there
# The exit status is the command's; 125 when the machine could not be had. Needs root; QEMU emulates, so it is slow.
set -u
fail() { echo "vm: $*" >&2; exit 125; }
fetch=
[ "${1-}" = --fetch ] && fetch=1 && shift
[ $# -gt 0 ] || fail "usage: vm.sh [--fetch] KERNEL COMMAND..."
package=$1
shift
cache=${VM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/ns-vm} here=$PWD
kernel=$cache/$package
PATH=$PATH:/usr/sbin:/sbin:/usr/lib/qemu:/usr/libexec

# ---- the kernel: unpacked, not installed ----

# A kernel that has virtiofs as a module needs an initramfs that loads it.
make_initramfs() { # in the directory of the kernel
  local modules n=10 module
  modules=$(modprobe -d . -S "$(ls lib/modules)" -a --show-depends virtio_pci virtiofs virtio_console |
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

fetch_kernel() {
  local work newest
  apt-cache show "$package" >/dev/null 2>&1 || apt-get update -qq
  newest=$(apt-cache depends "$package" 2>/dev/null | awk '$1 == "Depends:" { print $2; exit }')
  [ -n "$newest" ] || fail "no package $package"
  mkdir -p "$cache" && work=$(mktemp -d "$cache/XXXXXX") && chmod 755 "$work" || fail "no directory $cache"
  (cd "$work" && apt-get download -qq "$newest" 2>/dev/null && dpkg-deb -x ./*.deb . && rm ./*.deb &&
    mv boot/vmlinuz-* kernel && depmod -b . "$(ls lib/modules)" && cp "$(command -v busybox)" busybox &&
    unpack lib/modules/*/kernel/fs/overlayfs/overlay.ko* overlay.ko &&
    { grep -q CONFIG_VIRTIO_FS=y boot/config-* || make_initramfs; }) || { rm -rf "$work"; fail "cannot unpack $newest"; }
  mv -T "$work" "$kernel" 2>/dev/null || rm -rf "$work"
}

[ -d "$kernel" ] || fetch_kernel
[ -z "$fetch" ] || exit 0

# ---- the first process in the machine ----

work=$(mktemp -d "${TMPDIR:-/tmp}/ns-vm.XXXXXX") && chmod 755 "$work" && mkfifo "$work/out" || fail "no work directory"
server='' machine=''
trap 'kill $machine 2>/dev/null && wait $machine; kill $server 2>/dev/null; rm -rf "$work"' EXIT
trap 'exit 125' HUP INT TERM
{ declare -p kernel here; printf 'command=('; printf '%q ' "$@"; echo ')'; } >"$work/words"
cat >"$work/init" <<'EOF'
#!/bin/bash
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 NS_VM=1
. "${0%/*}/words"
b=$kernel/busybox
$b mount -t proc proc /proc
$b mount -t tmpfs tmpfs /mnt
$b mkdir /mnt/upper /mnt/work /mnt/root
$b insmod "$kernel/overlay.ko" &&
  $b mount -t overlay root -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root || exec $b poweroff -f
cd /mnt/root
$b mkdir -p usr/lib/modules old
$b ln -s "$kernel"/lib/modules/* usr/lib/modules/ # no mount: the kernel overlays no tree that has one in a user namespace
while read -r type place options; do
  $b mkdir -p "$place" && $b mount -t "$type" "$type" "$place" ${options:+-o "$options"}
done <<MOUNTS
proc proc
sysfs sys
devtmpfs dev
devpts dev/pts ptmxmode=666,gid=5,mode=620
tmpfs dev/shm
mqueue dev/mqueue
tmpfs run mode=755
cgroup2 sys/fs/cgroup nsdelegate
MOUNTS
$b ln -s /proc/self/fd dev/fd
for n in 0:stdin 1:stdout 2:stderr; do $b ln -s "fd/${n%:*}" "dev/${n#*:}"; done
$b chroot . modprobe virtio_blk
$b mount -t ext4 dev/vda tmp && chmod 1777 tmp
for place in "$kernel" "$here"; do
  case $place/ in /tmp/* | /run/*) $b mkdir -p ".$place" && $b mount --bind "$place" ".$place" ;; esac
done
$b pivot_root . old
cd /
$b umount -l /old
$b rmdir /old
$b ip link set lo up
$b hostname ns-vm
for c in $(</sys/fs/cgroup/cgroup.controllers); do echo "+$c" >/sys/fs/cgroup/cgroup.subtree_control; done 2>/dev/null
# the server of / holds a descriptor for each inode that is known here, and cannot have any number
while sleep 30; do echo 6 >/proc/sys/vm/drop_caches; done &
port=$(echo /dev/vport*p1)
(cd "$here" && exec setsid "${command[@]}") </dev/null >"$port" 2>&1
echo $? >"${port%1}2"
exec busybox poweroff -f
EOF
chmod 755 "$work/init"

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
