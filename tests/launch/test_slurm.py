"""Job scripts and their submission, with commands that only pretend to be Slurm's."""

import builtins
import subprocess

import fake_slurm
import pytest

from cnnlab.errors import UserError
from cnnlab.launch import jobs, slurm
from cnnlab.launch.resources import Resources

COMMAND = ["train", "--config=a config.py", "--workdir=run"]


def test_script_asks_for_what_the_resources_say(tmp_path):
    resources = Resources(
        nodes=2,
        processes_per_node=4,
        gpus_per_node=8,
        cpus_per_process=6,
        memory=64,
        partition="gpu",
        account="vision",
        time=90,
        warning=45,
        requeues=5,
        setup=("module load cuda",),
    )
    lines = slurm.script(COMMAND, tmp_path / "my run", resources, name="mine").splitlines()
    for line in (
        "#SBATCH --nodes=2",
        "#SBATCH --ntasks-per-node=4",
        "#SBATCH --gpus-per-node=8",
        "#SBATCH --cpus-per-task=6",
        "#SBATCH --mem=64GB",
        "#SBATCH --partition=gpu",
        "#SBATCH --account=vision",
        "#SBATCH --time=90",
        "#SBATCH --signal=USR2@45",
        "#SBATCH --requeue",
        "#SBATCH --open-mode=append",
        "#SBATCH --job-name=mine",
        "module load cuda",
        f"export {jobs.REQUEUES}=5",
    ):
        assert line in lines, line
    (step,) = [line for line in lines if line.startswith("srun ")]
    for word in ("--kill-on-bad-exit=1", "--open-mode=append", "--cpus-per-task=6"):
        assert word in step.split(), word
    assert f"{tmp_path}/my run/jobs" in step
    # What comes last is given the exit status of the step.
    after = lines[lines.index(step) + 1 :]
    command = next(line for line in after if line and line[0] != "#")
    assert command.endswith("launch.slurm_epilogue $?")
    assert not tmp_path.joinpath("my run").exists()


def test_script_leaves_to_the_cluster_what_is_not_asked_for(tmp_path):
    text = slurm.script(COMMAND, tmp_path, Resources())
    for word in ("gpus", "--cpus-per-task", "--mem", "partition", "account", "qos", "array"):
        assert word not in text, word


@pytest.mark.parametrize(
    ("variables", "record", "start"),
    [
        ({"SLURM_JOB_ID": "7"}, "7", "0"),
        ({"SLURM_JOB_ID": "7", "SLURM_RESTART_COUNT": "2"}, "7", "2"),
        (
            {"SLURM_JOB_ID": "9", "SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "3"},
            "7_3",
            "0",
        ),
    ],
)
def test_script_tells_the_program_where_its_record_is(tmp_path, variables, record, start):
    text = slurm.script(COMMAND, tmp_path / "my run", Resources(), count=4, parallel=2)
    assert "#SBATCH --array=0-3%2" in text
    setup = text[text.index("# setup") : text.index("# command")]
    shown = subprocess.run(
        ["bash", "-c", f"{setup}\necho ${jobs.RECORD} ${jobs.START}"],
        env=variables,
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout == f"{tmp_path}/my run/jobs/{record}.json {start}\n"


def test_submission_leaves_a_record_and_the_script_that_was_promised(tmp_path, monkeypatch):
    run, resources = tmp_path / "run", Resources(nodes=2)
    calls = fake_slurm.install(tmp_path, monkeypatch, sbatch="Submitted batch job 7", srun="")
    assert slurm.submit(COMMAND, run, resources) == "7"
    assert calls.read_text().startswith("sbatch ")
    (record,) = jobs.records(run)
    assert record["command"] == COMMAND
    assert record["resources"]["nodes"] == 2
    assert (run / "jobs/7_submission.sh").read_text() == slurm.script(COMMAND, run, resources)


def test_array_is_one_job(tmp_path, monkeypatch):
    calls = fake_slurm.install(tmp_path, monkeypatch, sbatch="Submitted batch job 7", srun="")
    assert slurm.submit(COMMAND, tmp_path, Resources(), count=3, parallel=2) == "7"
    assert len(calls.read_text().splitlines()) == 1
    (record,) = jobs.records(tmp_path)
    assert (record["id"], record["count"]) == ("7", 3)
    assert len(list(tmp_path.glob("jobs/7_*_submitted.pkl"))) == 3
    text = (tmp_path / "jobs/7_submission.sh").read_text()
    assert text == slurm.script(COMMAND, tmp_path, Resources(), count=3, parallel=2)


PARTITION = (
    "error: invalid partition specified: gup\n"
    "sbatch: error: Batch job submission failed: Invalid partition name specified"
)
REFUSED = {
    PARTITION: "Slurm has no partition 'gup'; did you mean 'gpu'?",
    "error: Batch job submission failed: Requested node configuration is not available": (
        "Slurm refuses the job: Requested node configuration is not available; requested: "
        "--gpus_per_node=9 --partition=gup --time=60"
    ),
    "error": "Slurm refuses the job: error",
}


@pytest.mark.parametrize("answer", REFUSED)
def test_refusal_is_reported_in_a_line_and_leaves_nothing(answer, tmp_path, monkeypatch, capfd):
    fake_slurm.install(tmp_path, monkeypatch, sbatch=answer, srun="", sinfo="cpu\ngpu")
    resources = Resources(partition="gup", gpus_per_node=9)
    with pytest.raises(UserError) as error:
        slurm.submit(COMMAND, tmp_path / "run", resources)
    assert str(error.value).startswith(REFUSED[answer])
    assert not (tmp_path / "run").exists()
    assert capfd.readouterr().err == ""


def test_refusal_leaves_what_was_there(tmp_path, monkeypatch):
    fake_slurm.install(tmp_path, monkeypatch, sbatch="error: no", srun="")
    jobs.update(jobs.record_path(tmp_path, "3"), submitted="then")
    before = sorted(tmp_path.rglob("jobs/*"))
    with pytest.raises(UserError, match="refuses the job: no"):
        slurm.submit(COMMAND, tmp_path, Resources())
    assert sorted(tmp_path.rglob("jobs/*")) == before


def test_missing_slurm_is_reported(tmp_path, monkeypatch):
    fake_slurm.remove(tmp_path, monkeypatch)
    with pytest.raises(UserError, match="'sbatch' is not installed here: run it on a login node"):
        slurm.submit(COMMAND, tmp_path / "run", Resources())
    assert not (tmp_path / "run").exists()


def test_missing_submitit_is_reported(tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *rest, **more):
        if name.startswith("submitit"):
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    for function in (slurm.submit, slurm.script):
        with pytest.raises(UserError, match=r"pip install -r requirements-launch.txt"):
            function(COMMAND, tmp_path, Resources())


def test_folder_that_cannot_be_written_is_reported(tmp_path, monkeypatch):
    fake_slurm.install(tmp_path, monkeypatch, sbatch="Submitted batch job 7", srun="")
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot write in .*: Not a directory"):
        slurm.submit(COMMAND, tmp_path / "file" / "run", Resources())
