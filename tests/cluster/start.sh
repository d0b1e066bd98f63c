#!/usr/bin/env bash
# Starts a Slurm of Debian's packages on this one machine: `start.sh FOLDER`; needs root.
#
# Everything lies in FOLDER, nothing else on the machine changes but the packages. The nodes are
# slurmd processes with a host name each; `. FOLDER/env.sh` lets srun, sbatch and squeue find them.
# Partition `low` is preempted by `high`. End it with stop.sh.
set -euo pipefail
lab=$(realpath -m "$1")
nodes=3 port=27817
mkdir -p "$lab"/{log,state,munge} && chmod 711 "$lab/munge"

if ! command -v slurmctld slurmd srun munged >/dev/null; then
  [ "$(id -u)" = 0 ] || { echo "Slurm is not installed, and only root can install it" >&2; exit 1; }
  # At run level 1 the packages do not start their services.
  export RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive
  { timeout 120 apt-get update -qq && timeout 300 apt-get install -qq -y --no-install-recommends \
    slurmctld slurmd slurm-client slurm-wlm-basic-plugins munge; } >"$lab/log/apt.log" 2>&1 ||
    { echo "apt-get cannot install Slurm: $(tail -n 1 "$lab/log/apt.log")" >&2; exit 1; }
fi
unshare --uts --mount --propagation private true 2>/dev/null ||
  { echo "only root, where it may make name spaces, can start a Slurm of several nodes" >&2; exit 1; }

cat >"$lab/slurm.conf" <<CONF
ClusterName=cnnlab
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmctldPort=$port
SlurmUser=root
SlurmdUser=root
StateSaveLocation=$lab/state
SlurmdSpoolDir=$lab/state/%n
SlurmctldPidFile=$lab/state/slurmctld.pid
SlurmdPidFile=$lab/state/slurmd-%n.pid
SlurmctldLogFile=$lab/log/slurmctld.log
SlurmdLogFile=$lab/log/slurmd-%n.log
AuthType=auth/munge
CredType=cred/munge
# A requeued job waits for the credentials of its last start to expire: by default two minutes.
AuthInfo=socket=$lab/munge/socket,cred_expire=5
# Listen on the loopback address alone.
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
# No control groups, no accounting, no switches: this may be a container.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
# The nodes share the cores of the machine: let each declare more than it has.
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=batch_sched_delay=0,sched_interval=2,sched_min_interval=0,bf_interval=2
KillWait=20
MinJobAge=3600
# The kinder choices of a cluster, switched off: a job has to ask for what it needs.
JobRequeue=0
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
NodeName=node[1-$nodes] NodeAddr=127.0.0.1 Port=$((port + 1))-$((port + nodes)) CPUs=16 RealMemory=16000
PartitionName=high Nodes=ALL PriorityTier=2 PreemptMode=OFF
PartitionName=low Nodes=ALL PriorityTier=1 PreemptMode=REQUEUE GraceTime=60 Default=YES
CONF
echo "CgroupPlugin=autodetect" >"$lab/cgroup.conf"
{ cat /etc/hosts; for k in $(seq $nodes); do echo "127.0.0.1 node$k"; done; } >"$lab/hosts"
echo "export SLURM_CONF=$lab/slurm.conf" >"$lab/env.sh"
export SLURM_CONF=$lab/slurm.conf

[ -s "$lab/munge/key" ] || { head -c 1024 /dev/urandom >"$lab/munge/key" && chmod 400 "$lab/munge/key"; }
# --force: the folder may be in /tmp, which everybody can write.
munged --force --socket="$lab/munge/socket" --key-file="$lab/munge/key" \
  --pid-file="$lab/munge/munged.pid" --seed-file="$lab/munge/seed" --log-file="$lab/log/munged.log"
slurmctld
for k in $(seq $nodes); do
  mkdir -p "$lab/state/node$k"
  # A host name and an /etc/hosts of its own, seen by no other process.
  unshare --uts --mount --propagation private bash -c \
    "hostname node$k && mount --bind '$lab/hosts' /etc/hosts && exec slurmd -N node$k"
done
for _ in $(seq 120); do
  up=$(sinfo --noheader --Node --partition=low --states=idle --format=%N 2>/dev/null | wc -l)
  [ "$up" = $nodes ] && exit 0
  sleep 0.5
done
echo "only $up of $nodes nodes came up: see $lab/log" >&2
exit 1
