#!/bin/bash
# The first process in a virtual machine (vm.sh): puts an overlay over the root, mounts what is needed, and becomes systemd,
# with the command as a service.
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
MOUNTS
$b ln -s /proc/self/fd dev/fd
for n in 0:stdin 1:stdout 2:stderr; do $b ln -s "fd/${n%:*}" "dev/${n#*:}"; done
$b chmod 666 dev/fuse
$b chroot . modprobe virtio_blk
$b mount -t ext4 dev/vda tmp && chmod 1777 tmp
for place in "$kernel" "$here"; do
  case $place/ in /tmp/* | /run/*) $b mkdir -p ".$place" && $b mount --bind "$place" ".$place" ;; esac
done
$b mkdir run/ns-vm
$b cp "${0%/*}/words" run/ns-vm/
$b pivot_root . old
cd /
$b umount -l /old
$b rmdir /old
$b ip link set lo up
$b hostname ns-vm
port=$(echo /dev/vport*p1)

# the server of / holds a descriptor for each inode that is known here, and cannot have any number
cat >/run/ns-vm/command <<'END'
#!/bin/bash
. /run/ns-vm/words
while sleep 30; do echo 2 >/proc/sys/vm/drop_caches; done &
cd "$here"
"${command[@]}"
END
chmod 755 /run/ns-vm/command

# ---- the user ----

sed -i "/:x:1000:/d" /etc/passwd /etc/group # whoever has it on this machine
echo tester:x:1000:1000::/home/tester:/bin/bash >>/etc/passwd
echo tester:x:1000: >>/etc/group
echo 'tester:!:20000::::::' >>/etc/shadow
mkdir -p /home/tester && chown 1000:1000 /home/tester
for file in subuid subgid; do echo tester:100000:65536 >/etc/$file; done

# ---- systemd, and the command as a service whose end is the machine's ----

rm -f /.dockerenv # by which it would take this for a container
cat >/run/ns-vm/end <<END
#!/bin/sh
case \$EXIT_CODE in exited) status=\$EXIT_STATUS ;; *) status=137 ;; esac
echo "\${status:-125}" >${port%1}2
exec busybox poweroff -f
END
chmod 755 /run/ns-vm/end
units=/run/systemd/system
mkdir -p $units
cat >$units/ns-vm.service <<END
[Unit]
After=basic.target dbus.service systemd-logind.service user@1000.service
Wants=dbus.service systemd-logind.service user@1000.service
[Service]
Type=oneshot
Environment=NS_VM=1 HOME=/root LANG=C.UTF-8
ExecStart=/run/ns-vm/command
ExecStopPost=/run/ns-vm/end
StandardInput=null
StandardOutput=file:$port
StandardError=inherit
Delegate=yes
TimeoutStartSec=infinity
END
cat >$units/ns-vm.target <<END
[Unit]
Requires=basic.target ns-vm.service
After=basic.target
END
for unit in systemd-udevd systemd-udev-trigger systemd-networkd systemd-resolved systemd-timesyncd systemd-remount-fs \
  systemd-fsck-root apparmor; do ln -sf /dev/null $units/$unit.service; done
ln -sf /dev/null $units/getty.target
exec /lib/systemd/systemd --unit=ns-vm.target --show-status=false --log-target=console --log-level=warning
