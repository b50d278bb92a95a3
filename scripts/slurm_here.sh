#!/bin/bash
# Runs a command on a Slurm cluster of one node on this machine: scripts/slurm_here.sh COMMAND...
# slurmctld, slurmd and munged are Debian's. They run in namespaces of their own: nothing listens on this machine's
# network, and everything ends with the command. Needs root. The node, node1, has this machine's cores.
set -euo pipefail
[ "$#" -gt 0 ] || { echo "usage: $0 COMMAND..."; exit 2; }
[ "$(id -u)" -eq 0 ] || { echo "$0: only root can make namespaces"; exit 77; }

if [ "${1:-}" != --inside ]; then
  if ! { command -v slurmctld && command -v slurmd && command -v munged; } >/dev/null; then
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        slurmctld slurmd slurm-client munge; } >/dev/null 2>&1 ||
      { echo "$0: apt-get install slurmctld slurmd slurm-client munge failed"; exit 77; }
  fi
  work=$(mktemp -d /tmp/slurm-here-XXXXXX)
  trap 'rm -rf "$work"' EXIT
  code=0
  SLURM_HERE="$work" unshare --net --uts --mount --pid --fork --kill-child --mount-proc bash "$0" --inside "$@" ||
    code=$?
  if [ -n "${SLURM_HERE_LOGS:-}" ]; then mkdir -p "$SLURM_HERE_LOGS" && cp "$work"/*.log "$SLURM_HERE_LOGS"; fi
  exit "$code"
fi

shift
work=$SLURM_HERE
ip link set lo up
# An address beside the loopback's: without one, getaddrinfo finds none that a daemon may listen on.
ip link add slurm0 type bridge && ip addr add 10.78.0.1/24 dev slurm0 && ip link set slurm0 up
hostname node1
printf '127.0.0.1 localhost\n10.78.0.1 node1\n' >"$work/hosts"
mount --bind "$work/hosts" /etc/hosts

memory=$(awk '/^MemTotal/ {print int($2 / 1024 * 0.9)}' /proc/meminfo)
cat >"$work/slurm.conf" <<CONF
ClusterName=here
SlurmctldHost=node1
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$work/munge.socket
CredType=cred/munge
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/spool
SlurmctldPidFile=$work/slurmctld.pid
SlurmdPidFile=$work/slurmd.pid
SlurmctldLogFile=$work/slurmctld.log
SlurmdLogFile=$work/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/affinity
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=bf_interval=5
ReturnToService=2
MpiDefault=none
KillWait=30
NodeName=node1 CPUs=$(getconf _NPROCESSORS_ONLN) RealMemory=$memory State=UNKNOWN
PartitionName=main Nodes=node1 Default=YES MaxTime=INFINITE State=UP
CONF
mkdir -m 700 "$work/state" "$work/spool"
export SLURM_CONF="$work/slurm.conf"

(umask 077 && head -c 128 /dev/urandom >"$work/munge.key")
munged --foreground --force --key-file="$work/munge.key" --socket="$work/munge.socket" --log-file="$work/munge.log" \
  --pid-file="$work/munge.pid" --seed-file="$work/munge.seed" >"$work/munged.log" 2>&1 &
for _ in $(seq 50); do [ -S "$work/munge.socket" ] && break; sleep 0.1; done
slurmctld -D -i >"$work/slurmctld.out.log" 2>&1 &
slurmd -D >"$work/slurmd.out.log" 2>&1 &
for _ in $(seq 100); do sinfo --noheader --format=%T 2>/dev/null | grep -qx idle && break; sleep 0.5; done
# A node that has just said that it is idle may not take a job yet.
timeout 60 srun --ntasks=1 --time=1 true || { echo "$0: the node is not ready"; tail -n 5 "$work"/*.log; exit 1; }
"$@"
