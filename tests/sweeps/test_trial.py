"""A trial is a process: how it ended, and why, whatever it did."""

import json
import os
import shlex
import threading

import pytest
import stub_sweep

from cnnlab.errors import UserError
from cnnlab.launch import jobs
from cnnlab.sweeps import trial as tr
from cnnlab.sweeps.cpu_gpu_shares import Share


def run(folder, number=0, **options):
    trial = folder.trials()[number]
    claim = folder.claim(trial)
    assert claim is not None
    with claim as lock:
        return tr.run_trial(folder, trial, lock, program=stub_sweep.STUB, **options)


def test_command_is_what_a_person_would_type(tmp_path):
    folder = stub_sweep.make(
        tmp_path / "s",
        [{"b": ("x y", 2), "c": False}],
        config="configs/digits_lenet5.py:plain",
        overrides={"a": 1e-5, "b": ("z",)},
    )
    (trial,) = folder.trials()
    assert tr.command(folder, trial) == [
        "python",
        "launch.py",
        "train",
        "--config=configs/digits_lenet5.py:plain",
        f"--workdir={tmp_path}/s/trials/0000",
        "--config.a=1e-05",
        '--config.b=("x y", 2)',
        "--config.c=false",
    ]
    assert "--workdir=elsewhere" in tr.command(folder, trial, tmp_path.__class__("elsewhere"))
    assert shlex.split(shlex.join(tr.command(folder, trial))) == tr.command(folder, trial)


@pytest.mark.parametrize(
    ("do", "state", "reason"),
    [
        ("finish", "finished", ""),
        ("crash", "failed", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("die", "failed", "killed by SIGKILL at step 1: out of memory?"),
        ("quit", "failed", "ended without a result: not a word"),
    ],
)
def test_end_of_a_trial_is_reported(do, state, reason, tmp_path):
    folder = stub_sweep.make(tmp_path / "s", [{"do": do}])
    assert run(folder) == (state, reason)


def test_finished_trial_is_not_started_again(tmp_path):
    folder = stub_sweep.make(tmp_path / "s", [{"do": "finish"}])
    assert run(folder) == ("finished", "")
    assert run(folder) == ("finished", "")
    assert len((folder.trials()[0].path / "starts").read_text().split()) == 1


def test_stopped_trial_waits_and_goes_on(tmp_path):
    folder = stub_sweep.make(tmp_path / "s", [{"do": "hold", "steps": 15}])
    stop, seen = tr.Stop(), []

    def on_metrics(step, values):
        seen.append(step)
        stop.asked.set()
        return False

    state, reason = run(folder, stop=stop, on_metrics=on_metrics)
    assert (state, reason[:22]) == ("waiting", "SIGTERM: saved at step")
    assert run(folder) == ("finished", "")
    rows = (folder.trials()[0].path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(row)["step"] for row in rows] == list(range(1, 16))


def test_trial_that_does_badly_is_pruned(tmp_path):
    folder = stub_sweep.make(tmp_path / "s", [{"do": "hold", "steps": 10}])
    asked = []

    def on_metrics(step, values):
        asked.append((step, values))
        return step >= 3

    state, reason = run(folder, on_metrics=on_metrics)
    assert state == "pruned"
    assert reason.startswith("pruned at step ")
    # Whoever prunes is asked about every record until then, and about none after.
    assert [step for step, _ in asked] == [1, 2, 3]
    assert list(asked[0][1]) == ["validation/accuracy"]


def test_trial_that_must_end_at_once_is_killed(tmp_path):
    folder = stub_sweep.make(tmp_path / "s", [{"do": "hold", "steps": 10}])
    stop = tr.Stop()
    state, _ = run(folder, stop=stop, on_metrics=lambda *_: stop.at_once.set() or False)
    assert state == "waiting"


@pytest.mark.parametrize("explained", [True, False])
def test_full_disk_is_nobodys_fault(explained, tmp_path, monkeypatch):
    folder = stub_sweep.make(tmp_path / "s", [{"do": "full" if explained else "crash"}])
    if not explained:
        usage = tr.shutil.disk_usage(tmp_path)._replace(free=1000)
        monkeypatch.setattr(tr.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(UserError, match=r"the disk is full \(trial 0000\)"):
        run(folder)
    assert folder.state(folder.trials()[0]) == "waiting"


def test_what_a_kill_left_before_there_was_a_config_is_cleared(tmp_path):
    folder = stub_sweep.make(tmp_path / "s", [{"do": "finish"}])
    path = folder.trials()[0].path
    (path / "checkpoints").mkdir(parents=True)
    assert run(folder) == ("finished", "")
    assert not (path / "checkpoints").exists()


def test_trial_gets_its_share_and_nothing_of_the_job_of_its_sweep(tmp_path):
    folder = stub_sweep.make(tmp_path / "s", [{"do": "finish"}])
    inherited = {"PATH": os.environ["PATH"], "KEPT": "1", jobs.RECORD: "x", jobs.START: "2"}
    run(folder, environment=inherited, share=Share((), {"CUDA_VISIBLE_DEVICES": "3"}))
    result = json.loads((folder.trials()[0].path / "result.json").read_text())
    found = result["environment"]
    assert (found["KEPT"], found["CUDA_VISIBLE_DEVICES"]) == ("1", "3")
    assert jobs.RECORD not in found
    assert jobs.START not in found


def test_lock_is_the_trials_too(tmp_path):
    folder = stub_sweep.make(tmp_path / "s", [{"do": "hold", "steps": 10}])
    trial, stop, going = folder.trials()[0], tr.Stop(), threading.Event()
    claim = folder.claim(trial)
    assert claim is not None
    with claim as lock:
        descriptor = os.dup(lock)
    # What is left is a copy that only `run_trial` has; the child's keeps the trial locked.
    options = {"stop": stop, "program": stub_sweep.STUB}
    watch = {"on_metrics": lambda *_: going.set() or False}
    thread = threading.Thread(target=tr.run_trial, args=(folder, trial, descriptor),
                              kwargs={**options, **watch})  # fmt: skip
    thread.start()
    assert going.wait(600)
    os.close(descriptor)
    assert folder.state(trial) == "running"
    assert folder.claim(trial) is None
    stop.asked.set()
    thread.join()
    assert folder.state(trial) == "waiting"
