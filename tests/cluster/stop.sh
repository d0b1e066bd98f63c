#!/usr/bin/env bash
# Ends the Slurm that start.sh started in FOLDER: `stop.sh FOLDER`; its jobs first.
lab=$(realpath -m "$1")
export SLURM_CONF=$lab/slurm.conf
scancel --state=PENDING --me
scancel --me
for _ in $(seq 20); do [ -z "$(squeue --noheader)" ] && break; sleep 0.5; done
for file in "$lab"/state/slurmd-*.pid "$lab/state/slurmctld.pid" "$lab/munge/munged.pid"; do
  [ -s "$file" ] && kill "$(cat "$file")" 2>/dev/null
done
true
