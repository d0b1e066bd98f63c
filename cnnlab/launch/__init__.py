"""Launchers and multi-process runs: coordination, Slurm and local jobs, preemption, requeueing."""
