"""What a real Slurm refuses is said in one line and leaves nothing; an array is one job."""

import json

import pytest
from cluster_runs import CONFIG

from cnnlab.launch import jobs

pytestmark = pytest.mark.cluster

REFUSED = {
    "Slurm has no partition 'lo'; did you mean 'low'?": "--partition=lo",
    "Slurm refuses the job: Invalid feature specification": "--constraint=a100",
    "Slurm refuses the job: Invalid generic resource": "--gpus_per_node=9",
}


@pytest.mark.parametrize("message", REFUSED)
def test_refusal_is_explained(message, cluster):
    done = cluster.launch(
        "train", CONFIG, f"--workdir={cluster.run}", "--launcher=slurm", REFUSED[message]
    )
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not cluster.run.exists()


def test_job_that_waits_says_why(cluster):
    job = cluster.train("--nodes=9")
    shown = cluster.launch("status", f"--workdir={cluster.run}", "--format=json")
    (state,) = json.loads(shown.stdout).values()
    assert (state["name"], state["job"]) == ("queued", job)
    assert state["reason"]


def test_sweep_is_one_array_job(cluster):
    cluster.gate.touch()
    space = cluster.folder / "space.py"
    space.write_text(
        "from cnnlab.sweeps.space import grid\n"
        "def get_sweep():\n"
        "    return grid({'optimizer.learning_rate': [0.05, 0.1]})\n"
    )
    done = cluster.launch(
        "sweep",
        CONFIG,
        f"--sweep={space}",
        f"--workdir={cluster.run}",
        "--launcher=slurm",
        "--parallel=2",
        "--config.steps=10",
        "--time=10",
    )
    assert done.returncode == 0, done.stderr
    (record,) = jobs.records(cluster.run)
    assert record["count"] == 2
    for element in range(2):
        assert cluster.ended(f"{record['id']}_{element}")["state"] == "finished"
    results = [cluster.run / f"trials/{number:04d}/result.json" for number in range(2)]
    assert all(result.exists() for result in results)
