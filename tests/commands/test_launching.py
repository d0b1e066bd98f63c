"""`launch.py train` with another launcher than none: what is sent, and what is refused before."""

import json

import fake_slurm
import pytest

from cnnlab import commands
from cnnlab.commands.launching import without_launch
from cnnlab.launch import jobs
from cnnlab.runs import train

SMALL = ["--config=tests/commands/small_digits.py", "--config.batch_size=8"]


@pytest.fixture
def run(tmp_path):
    return tmp_path / "run"


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    def install(**answers):
        answers = {"sbatch": "Submitted batch job 7", "srun": "", "squeue": "", **answers}
        return fake_slurm.install(tmp_path, monkeypatch, **answers)

    return install


def start(run, *arguments):
    return commands.main(["train", *SMALL, f"--workdir={run}", *arguments])


def test_job_is_submitted_and_the_command_of_its_status_is_shown(run, slurm, capsys):
    slurm()
    assert (
        start(run, "--launcher=slurm", "--nodes=2", "--partition", "gpu", "--init_timeout=9") == 0
    )
    printed = capsys.readouterr().err
    assert "job 7: 2 process(es) on 2 node(s)" in printed
    assert f"launch.py status --workdir={run}" in printed
    (record,) = jobs.records(run)
    # What the launcher is for is not for the job, the rest is.
    assert record["command"] == ["train", *SMALL, f"--workdir={run}", "--init_timeout=9"]
    assert not (run / "config.json").exists()


def test_dry_run_prints_the_script_and_leaves_nothing(run, slurm, capsys):
    calls = slurm()
    assert start(run, "--launcher=slurm", "--time=2:00:00", "--dry_run") == 0
    assert "#SBATCH --time=120\n" in capsys.readouterr().out
    assert not calls.exists()
    assert not run.exists()
    assert start(run, "--launcher=local", "--processes_per_node=2", "--dry_run") == 0
    assert "--processes=2 --process=1\n" in capsys.readouterr().out
    assert not run.exists()


def test_job_that_can_never_start_is_reported(run, slurm, capsys):
    slurm(squeue="7|7|PENDING|PartitionTimeLimit|0:00|")
    assert start(run, "--launcher=slurm", "--time=99-00:00:00") == 0
    printed = " ".join(capsys.readouterr().err.split())
    assert "it waits for PartitionTimeLimit: the cluster never starts" in printed
    assert "--time=142560" in printed


def test_two_jobs_cannot_train_in_one_folder(run, slurm, capsys):
    slurm(squeue="7|7|PENDING|Priority|0:00|")
    jobs.update(jobs.record_path(run, "7"), submitted=jobs.now())
    assert start(run, "--launcher=slurm") == 1
    assert "job 7 for" in capsys.readouterr().err


def test_finished_run_is_not_submitted(run, slurm, capsys):
    calls = slurm()
    run.mkdir()
    values = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "train", lambda config, *_: values.update(config.to_dict()))
        assert start(run) == 0
    (run / "config.json").write_text(json.dumps(values))
    (run / "result.json").write_text("{}")
    assert start(run, "--launcher=slurm") == 0
    assert "is finished" in " ".join(capsys.readouterr().err.split())
    assert "sbatch" not in calls.read_text()


MISTAKES = {
    "flag --nodes=0: 0 is not a positive integer": ["--launcher=slurm", "--nodes=0"],
    "--time=soon: needs minutes or HH:MM:SS": ["--launcher=slurm", "--time=soon"],
    "--process is for processes without a launcher": ["--launcher=local", "--process=1"],
    "Slurm has no partition 'gup'; did you mean 'gpu'?": ["--launcher=slurm", "--partition=gup"],
    "64 GPUs requested": ["--launcher=local", "--gpus_per_node=64"],
    "--coordinator and --process missing": ["--processes=2"],
}


@pytest.mark.parametrize("message", MISTAKES)
def test_mistake_is_explained_and_leaves_nothing(message, run, slurm, capsys):
    slurm(sbatch="error: invalid partition specified: gup", sinfo="cpu\ngpu")
    assert start(run, *MISTAKES[message]) == 1
    printed = capsys.readouterr().err
    assert printed.splitlines()[-1].startswith("error: ")
    assert message in printed
    assert not run.exists()


def test_config_that_cannot_work_is_reported_before_it_waits_in_a_queue(run, slurm, capsys):
    calls = slurm()
    assert start(run, "--launcher=slurm", "--config.log_every=0") == 1
    assert "log_every=0: needs to be at least 1" in capsys.readouterr().err
    assert not calls.exists()
    assert not run.exists()


def test_missing_slurm_is_reported(run, tmp_path, monkeypatch, capsys):
    fake_slurm.remove(tmp_path, monkeypatch)
    assert start(run, "--launcher=slurm") == 1
    assert "'sbatch' is not installed here" in capsys.readouterr().err
    assert not run.exists()


def test_flags_of_the_launcher_are_taken_out_however_they_are_written():
    own = "--nodes 2 -nodes=2 --dry_run --nodry_run --setup=a --setup b --launcher=slurm --time 9"
    kept = [
        "--config=c.py",
        "--config.x",
        "1",
        "--workdir",
        "w",
        "--profile=1:2",
        "--init_timeout=3",
    ]
    arguments = own.split()
    assert without_launch([*kept, *arguments]) == kept
    assert without_launch([*arguments, *kept]) == kept
