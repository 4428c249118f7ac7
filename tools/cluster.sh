#!/bin/sh
# Runs a command with a Slurm cluster: nodes n1, n2, n3 of eight processors each, in name, on this machine's loopback, all files in one
# directory. Nothing is left of it. It needs neither systemd nor munge, and any user may start one.
# usage: sh tools/cluster.sh [-n NODES] [-o OCI.CONF] COMMAND...
#
# The command finds the directory in CLUSTER, the configuration in SLURM_CONF, and, to end a node as a power failure does,
# a process of each in $CLUSTER/run/NODE: `kill -9 $(cat $CLUSTER/run/n2)`. Root's cluster is in namespaces of its own, and
# so is each of its nodes: all that runs on one ends with it. Of an ordinary user's, what a node runs outlives that signal,
# as on a machine that only the network has lost.
set -u
nodes=3 oci=''
while :; do
  case ${1-} in
    -n) nodes=$2 && shift 2 ;;
    -o) oci=$2 && shift 2 ;;
    *) break ;;
  esac
done
[ $# -gt 0 ] || { sed -n '4s/^# //p' "$0" >&2 && exit 2; }
PATH=$PATH:/usr/sbin:/sbin
for program in slurmctld slurmd srun; do
  command -v "$program" >/dev/null && continue
  echo "cluster.sh: no $program here; it comes with Debian's slurm-wlm" >&2
  exit 125
done

is_root=false
[ "$(id -u)" -ne 0 ] || is_root=true
if [ -z "${CLUSTER_INSIDE-}" ]; then
  umask 022
  CLUSTER=$(mktemp -d -t cluster.XXXXXX) || exit 125
  chmod 755 "$CLUSTER"
  export CLUSTER CLUSTER_INSIDE=yes
  layer=''
  ! $is_root || layer='unshare --mount --pid --ipc --uts --net --propagation private --fork --kill-child --mount-proc'
  trap 'kill "$inside" 2>/dev/null; wait "$inside"; rm -rf "$CLUSTER"; exit 130' INT TERM HUP
  # in the background, so that a signal is answered at once; its stdin is ours all the same
  exec 3<&0
  $layer sh "$0" -n "$nodes" ${oci:+-o "$oci"} "$@" <&3 3<&- &
  inside=$!
  exec 3<&-
  wait "$inside"
  status=$?
  rm -rf "$CLUSTER"
  exit "$status"
fi
unset CLUSTER_INSIDE

# ---- inside: the configuration ----

host=$(hostname -s) user=$(id -un)
if $is_root; then
  port=17000
  ip link set lo up
  ip addr add 192.0.2.1/32 dev lo # names are not looked up where there is nothing but 127.0.0.1
else
  port=$((20000 + $$ % 2000 * 20))
fi
etc=$CLUSTER/etc log=$CLUSTER/log
export SLURM_CONF="$etc/slurm.conf"
mkdir "$etc" "$log" "$CLUSTER/run" "$CLUSTER/state" "$CLUSTER/spool"
chmod 777 "$CLUSTER" # users of the cluster may put files there
cat >"$SLURM_CONF" <<CONF
ClusterName=cluster
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
SlurmUser=$user
SlurmdUser=$user
AuthType=auth/none
CredType=cred/none
StateSaveLocation=$CLUSTER/state
SlurmdSpoolDir=$CLUSTER/spool/%n
SlurmctldPidFile=$CLUSTER/run/slurmctld.pid
SlurmdPidFile=$CLUSTER/run/slurmd-%n.pid
SlurmctldLogFile=$log/slurmctld.log
SlurmdLogFile=$log/slurmd-%n.log
PlugStackConfig=$etc/plugstack.conf
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
ReturnToService=2
SchedulerType=sched/builtin
SchedulerParameters=batch_sched_delay=0,sched_min_interval=50000,sched_interval=1
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
SlurmdTimeout=6
KillWait=2
MailProg=/bin/true
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
: >"$etc/plugstack.conf"
echo CgroupPlugin=cgroup/v1 >"$etc/cgroup.conf" # says yes without looking; no group is made by the plugins above
if [ -n "$oci" ]; then
  cp "$oci" "$etc/oci.conf"
  ! $is_root || mount -t tmpfs none /sys/fs/cgroup # a runtime shall find no groups of the host's: it is in our namespace alone
fi
for i in $(seq "$nodes"); do
  mkdir "$CLUSTER/spool/n$i"
  echo "NodeName=n$i NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + i)) CPUs=8 RealMemory=1000" >>"$SLURM_CONF"
done

# ---- inside: the daemons, in the foreground: each ends when it is told to ----

pids=''
down() {
  trap '' INT TERM HUP
  scancel -Q -u "$user" 2>/dev/null
  scontrol shutdown 2>/dev/null
  # a node whose controller does not know it any more is not told
  for _ in $(seq 60); do
    # shellcheck disable=SC2086
    kill -0 $pids 2>/dev/null || break
    sleep 0.05
  done
  # shellcheck disable=SC2086
  kill -9 $pids 2>/dev/null
  wait
}
trap 'down; exit 130' INT TERM HUP

slurmctld -D -c >"$log/slurmctld.err" 2>&1 &
pids=$!
for i in $(seq "$nodes"); do
  node='exec slurmd -D -c -N "$0"'
  # the shell is the process 1 that reaps
  ! $is_root || node='exec unshare --mount --pid --fork --kill-child --mount-proc bash -c "slurmd -D -c -N $0 & wait \$!"'
  sh -c "$node" "n$i" >"$log/slurmd-n$i.err" 2>&1 &
  echo $! >"$CLUSTER/run/n$i"
  pids="$pids $!"
done

status=125
for _ in $(seq 400); do
  [ "$(timeout 5 sinfo -h -t idle -o %D 2>/dev/null)" != "$nodes" ] || { status=0 && break; }
  # shellcheck disable=SC2086
  kill -0 $pids 2>/dev/null || break
  sleep 0.05
done
if [ "$status" -eq 0 ]; then
  "$@"
  status=$?
else
  echo "cluster.sh: Slurm does not start:" >&2
  tail -n 5 "$log"/* >&2
fi
down
exit "$status"
