#!/bin/sh
# Sees to it that the programs of some groups are there: installs their Debian packages as root, names them to anybody else.
# usage: sh tools/need.sh demo|test|short|long|vm|lint|docs|bench|cluster ...
set -eu

demo="gcc libc6-dev make lua5.4 liblua5.4-dev procps psmisc mount util-linux hostname bash busybox-static"
test="$demo lua5.1 lua5.2 lua5.3 luajit liblua5.1-0-dev liblua5.2-dev liblua5.3-dev lua-busted lua-argparse lua-luv lua-cqueues lua-socket lua-penlight
  luarocks strace uidmap util-linux binutils iproute2 perl python3 zip unzip
  iputils-ping tcpdump passt socat crun runc"
short="gcc libc6-dev util-linux valgrind bubblewrap lua5.4 liblua5.4-dev iputils-ping iperf3"
long="$short clang libclang-rt-14-dev llvm cppcheck musl-tools gcc-aarch64-linux-gnu libc6-dev-arm64-cross
  gcc-riscv64-linux-gnu linux-libc-dev-riscv64-cross gcc-arm-linux-gnueabihf linux-libc-dev-armhf-cross qemu-user podman"
vm="qemu-system-x86 qemu-system-common kmod busybox-static e2fsprogs xz-utils systemd dbus libpam-systemd"
lint="gcc libc6-dev lua-check cppcheck clang-format liblua5.4-dev liblua5.1-0-dev"
docs="lua-ldoc mkdocs"
bench="$demo bubblewrap lua-luv util-linux iproute2 passt socat"
cluster="lua5.4 util-linux iproute2 slurm-wlm crun"

packages=
for group; do eval "packages=\"\$packages \$$group\""; done
missing=
for package in $packages; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -z "$missing" ] && exit 0
if [ "$(id -u)" -ne 0 ]; then
  echo "missing; please install:  apt-get install$missing" >&2
  exit 1
fi
echo "installing:$missing"

# What such a package would have run all the time, a test starts for itself: it is neither started here nor enabled.
enabled() {
  find /etc/systemd /etc/rc[2-5].d -type l \( -path '*.wants/*' -o -path '*/rc?.d/S*' \) 2>/dev/null | sort
}
disable() {
  export DPKG_MAINTSCRIPT_PACKAGE="${1##*/}" # the helper works for scripts of packages alone
  case $1 in
    */rc?.d/*) update-rc.d "${1##*/S[0-9][0-9]}" disable ;;
    */user/*) deb-systemd-helper --user disable "${1##*/}" ;;
    *) deb-systemd-helper disable "${1##*/}" ;;
  esac
}

policy=/usr/sbin/policy-rc.d # what Debian's packages ask whether they may start a service
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
fi
before=$(enabled)
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq || true
# shellcheck disable=SC2086
apt-get install -y -qq --no-install-recommends $missing >/dev/null
for link in $(enabled); do
  echo "$before" | grep -qxF "$link" || [ ! -L "$link" ] || disable "$link"
done
