"""Slurm launcher: job scripts and submission, by submitit."""

import contextlib
import io
import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

from cnnlab.errors import UserError
from cnnlab.launch import jobs, slurm_queue
from cnnlab.launch.resources import Resources
from cnnlab.launch.worker import Work
from cnnlab.utils.installation import IN_CHECKOUT, ROOT
from cnnlab.utils.registry import suggest

LOG_LEVEL = "SUBMITIT_LOG_LEVEL"


def script(
    command: list[str],
    folder: Path,
    resources: Resources,
    *,
    count: int = 1,
    parallel: int = 0,
    name: str = "cnnlab",
) -> str:
    """Return the job script that `submit` would submit; its arguments are those of `submit`."""
    submitit = _submitit()
    logs = (folder / jobs.FOLDER).absolute()
    options = _options(logs, resources, count, parallel, name)
    program = f"{shlex.quote(sys.executable)} -u -m submitit.core._submit {shlex.quote(str(logs))}"
    array = {"map_count": count} if count > 1 else {}
    return submitit.slurm.slurm._make_sbatch_string(program, logs, **options, **array)


def submit(
    command: list[str],
    folder: Path,
    resources: Resources,
    *,
    count: int = 1,
    parallel: int = 0,
    name: str = "cnnlab",
) -> str:
    """Submit a job; return its id.

    Args:
        command: arguments of `launch.py`: ["train", "--config=...", "--workdir=..."].
        folder: run or sweep folder; the job's record and logs go to its subfolder `jobs/`.
        resources: of the job.
        count: more than 1: an array job whose elements all run the same command.
        parallel: number of elements that may run at once; 0: all.
        name: of the job in `squeue`.

    Raises:
        UserError: submitit or Slurm is missing, or Slurm refuses the job.
    """
    submitit = _submitit()
    for program in ("sbatch", "srun"):
        if shutil.which(program) is None:
            raise UserError(
                f"--launcher=slurm needs Slurm, but '{program}' is not installed here: run it on a "
                "login node of the cluster, or use --launcher=local"
            )
    logs = (folder / jobs.FOLDER).absolute()
    try:
        logs.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"cannot write in {folder}: {error.strerror}; name another folder"
        ) from error
    before = set(logs.iterdir())
    executor = submitit.SlurmExecutor(folder=logs)
    executor.update_parameters(**_options(logs, resources, count, parallel, name))
    try:
        # submitit prints the messages of sbatch; the error below has them.
        with contextlib.redirect_stderr(io.StringIO()):
            if count > 1:
                first, *_ = executor.submit_array([Work(command)] * count)
            else:
                first = executor.submit(Work(command))
    except submitit.core.utils.FailedJobError as error:
        for path in set(logs.iterdir()) - before:
            path.unlink()
        with contextlib.suppress(OSError):
            logs.rmdir()
            folder.rmdir()
        raise UserError(_refusal(str(error), resources)) from None
    job = first.job_id.partition("_")[0]
    jobs.update(
        jobs.record_path(folder, job),
        launcher="slurm",
        command=command,
        resources=resources.plain(),
        count=count,
        submitted=jobs.now(),
    )
    return job


def _submitit() -> Any:
    level = os.environ.get(LOG_LEVEL)
    # Importing submitit would reconfigure logging and close the handlers of others.
    os.environ[LOG_LEVEL] = "NOCONFIG"
    try:
        import submitit
    except ImportError:
        raise UserError(
            "--launcher=slurm needs submitit: pip install -r requirements-launch.txt"
        ) from None
    finally:
        os.environ.pop(LOG_LEVEL)
        if level is not None:
            os.environ[LOG_LEVEL] = level
    return submitit


def _options(
    logs: Path, resources: Resources, count: int, parallel: int, name: str
) -> dict[str, Any]:
    """Return submitit's parameters of the job script."""
    options = {
        "job_name": name,
        "partition": resources.partition,
        "account": resources.account,
        "qos": resources.qos,
        "constraint": resources.constraint,
        "nodes": resources.nodes,
        "ntasks_per_node": resources.processes_per_node,
        "gpus_per_node": resources.gpus_per_node,
        "cpus_per_task": resources.cpus_per_process,
        "mem": f"{resources.memory}GB" if resources.memory else "",
        "time": resources.time,
        "signal_delay_s": resources.warning,
    }
    cores = [f"--cpus-per-task={resources.cpus_per_process}"] * bool(resources.cpus_per_process)
    return {
        **{key: value for key, value in options.items() if value},
        "array_parallelism": parallel or count,
        # Where JobRequeue is off, a preempted job would be lost.
        "additional_parameters": {"requeue": True},
        # If one process fails, end all: the others would wait for it. Messages of srun are in the
        # log of process 0.
        "srun_args": ["--kill-on-bad-exit=1", "--open-mode=append", *cores],
        "setup": _before(logs, resources),
        "teardown": [f"{shlex.quote(sys.executable)} -m cnnlab.launch.slurm_epilogue $?"],
    }


def _before(logs: Path, resources: Resources) -> list[str]:
    """Return the shell lines before the program."""
    job = "${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}${SLURM_ARRAY_TASK_ID:+_$SLURM_ARRAY_TASK_ID}"
    path = f"export PYTHONPATH={shlex.quote(str(ROOT))}${{PYTHONPATH:+:$PYTHONPATH}}"
    return [
        *resources.setup,
        *([path] if IN_CHECKOUT else []),
        f"export {jobs.RECORD}={shlex.quote(str(logs))}/{job}.json",
        f"export {jobs.START}=${{SLURM_RESTART_COUNT:-0}}",
        f"export {jobs.REQUEUES}={resources.requeues}",
        "# the shell survives these signals and records how the program ends",
        "trap : TERM USR2",
    ]


def _refusal(text: str, resources: Resources) -> str:
    """Return why Slurm refuses a job, in one line."""
    lines = [line.partition("error: ")[2] for line in text.splitlines() if "error: " in line]
    said = (lines[-1] if lines else " ".join(text.split())).removeprefix(
        "Batch job submission failed: "
    )
    partition = resources.partition
    if partition and "partition" in said:
        known = slurm_queue.partitions()
        if partition not in known:
            return f"Slurm has no partition '{partition}'{suggest(partition, known)}"
    return f"Slurm refuses the job: {said}; requested: {resources.asked()}"
