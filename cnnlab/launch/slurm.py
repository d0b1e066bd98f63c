"""Jobs under Slurm, submitted by submitit."""

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
from cnnlab.utils.registry import suggest

ROOT = Path(__file__).resolve().parents[2]
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
    """Return the job script that `submit` would submit. Arguments as there."""
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
        resources: what to ask for.
        count: more than 1: one array job, every element of which runs the same command.
        parallel: how many elements may run at once; 0: all.
        name: of the job, as `squeue` shows it.

    Raises:
        UserError: if submitit or Slurm is missing, and for what Slurm refuses.
    """
    submitit = _submitit()
    for program in ("sbatch", "srun"):
        if shutil.which(program) is None:
            raise UserError(
                f"--launcher=slurm needs Slurm, and there is no '{program}' here: start it on a "
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
        # submitit prints what sbatch says; it is said here.
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
    # On its import submitit would set up logging anew, and close what others log to.
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
    """Return what submitit needs to write the job script."""
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
        # Where requeueing is off by default, a preempted job would be lost.
        "additional_parameters": {"requeue": True},
        # One process that ends badly ends them all: the others would wait for it.
        # What srun has to say is in the log of the first process.
        "srun_args": ["--kill-on-bad-exit=1", "--open-mode=append", *cores],
        "setup": _before(logs, resources),
        "teardown": [f"{shlex.quote(sys.executable)} -m cnnlab.launch.slurm_epilogue $?"],
    }


def _before(logs: Path, resources: Resources) -> list[str]:
    """Return the shell lines before the program."""
    job = "${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}${SLURM_ARRAY_TASK_ID:+_$SLURM_ARRAY_TASK_ID}"
    return [
        *resources.setup,
        f"export PYTHONPATH={shlex.quote(str(ROOT))}${{PYTHONPATH:+:$PYTHONPATH}}",
        f"export {jobs.RECORD}={shlex.quote(str(logs))}/{job}.json",
        f"export {jobs.START}=${{SLURM_RESTART_COUNT:-0}}",
        f"export {jobs.REQUEUES}={resources.requeues}",
        "# the shell outlives the program, to record its end",
        "trap : TERM USR2",
    ]


def _refusal(text: str, resources: Resources) -> str:
    """Return what Slurm has against a job, in one line."""
    lines = [line.partition("error: ")[2] for line in text.splitlines() if "error: " in line]
    said = (lines[-1] if lines else " ".join(text.split())).removeprefix(
        "Batch job submission failed: "
    )
    partition = resources.partition
    if partition and "partition" in said:
        known = slurm_queue.partitions()
        if partition not in known:
            return f"Slurm has no partition '{partition}'{suggest(partition, known)}"
    return f"Slurm refuses the job: {said}; asked for: {resources.asked()}"
