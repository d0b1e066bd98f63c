"""The trials of a sweep are run: each once, whoever works on it and however often it is stopped."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import stub_sweep

from cnnlab.errors import UserError
from cnnlab.sweeps import workers as wk
from cnnlab.sweeps.folder import SweepFolder
from cnnlab.sweeps.live import Display
from cnnlab.sweeps.trial_metric import Metric
from cnnlab.sweeps.workers import FixedSource, work

ROOT = Path(__file__).parents[2]
ACCURACY = Metric("validation/accuracy", "max", "best")


def run(folder, parallel=1, **options):
    options.setdefault("display", Display(folder, metric=ACCURACY))
    return work(folder, options.pop("source", FixedSource(folder)), parallel,
                program=stub_sweep.STUB, **options)  # fmt: skip


def starts(folder, trial):
    file = trial.path / "starts"
    return len(file.read_text().split()) if file.exists() else 0


def rows(trial):
    return len((trial.path / "metrics.jsonl").read_text().splitlines())


def test_every_trial_is_run_and_failures_stay_alone(tmp_path, capfd):
    points = [{"do": do, "n": n} for n in range(2) for do in ("finish", "crash", "die")]
    folder = stub_sweep.make(tmp_path / "s", points)
    assert run(folder, 2) == wk.Ending("", [])
    assert list(folder.states().values()) == ["finished", "failed", "failed"] * 2
    out = capfd.readouterr().err
    assert re.search(r"trial 0000 finished after \d:\d\d: validation/accuracy 50.00%", out)
    assert re.search(r"trial 0001 failed after \d:\d\d \(ModuleNotFoundError: No module", out)
    # Again, nothing is left to do; failed trials are tried again on demand.
    run(folder)
    assert [starts(folder, t) for t in folder.trials()] == [1, 0, 1] * 2
    folder.retry_failed()
    run(folder)
    assert [starts(folder, t) for t in folder.trials()] == [1, 0, 2] * 2
    assert folder.record(folder.trials()[1]).attempts == 2


def start(folder, parallel=1):
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT}/tests"}
    program = ROOT / "tests/helpers/stub_sweep.py"
    command = [sys.executable, str(program), str(folder.path), str(parallel)]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def wait(condition):
    deadline = time.monotonic() + 600
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def test_two_processes_share_the_work_and_neither_repeats_the_other(tmp_path):
    folder = stub_sweep.make(tmp_path / "s", [{"do": "meet", "n": n} for n in range(8)])
    both = [start(folder, 2), start(folder, 2)]
    outputs = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert set(folder.states().values()) == {"finished"}
    for trial in folder.trials():
        assert starts(folder, trial) == 1
        assert not (trial.path / "twice").exists()
    assert all(output.count(" finished after") > 0 for output in outputs)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_sweep_that_is_ended_leaves_no_trial_behind_and_goes_on(number, tmp_path):
    points = [{"do": "hold", "steps": 100, "n": n} for n in range(2)]
    folder = stub_sweep.make(tmp_path / "s", points)
    first, second = folder.trials()
    process = start(folder, 2)
    wait(lambda: all((t.path / "metrics.jsonl").exists() for t in (first, second)))
    process.send_signal(number)
    output, _ = process.communicate()
    assert process.returncode == (0 if number == signal.SIGINT else -signal.SIGKILL), output
    # Killed, it cannot tell its trials; they hear of it from the system, save and let go.
    wait(lambda: set(folder.states().values()) == {"waiting"})
    assert not (first.path / "running").exists()
    assert rows(first) < 100
    if number == signal.SIGINT:
        assert output.endswith("SIGINT\n")
        assert folder.reason(first).startswith("SIGTERM: saved at step")
    assert run(SweepFolder.open(folder.path), 2) == wk.Ending("", [])
    for trial in (first, second):
        assert folder.state(trial) == "finished"
        assert (starts(folder, trial), rows(trial)) == (2, 100)
        assert not (trial.path / "twice").exists()


def test_second_ctrl_c_ends_what_does_not_listen(tmp_path):
    folder = stub_sweep.make(tmp_path / "s", [{"do": "stubborn", "steps": 10}])
    (trial,) = folder.trials()
    display, heard = Display(folder), threading.Event()
    display.stopping = lambda _: heard.set()

    def press():
        wait((trial.path / "metrics.jsonl").exists)
        os.kill(os.getpid(), signal.SIGINT)
        heard.wait(600)
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=press)
    thread.start()
    ending = run(folder, display=display)
    thread.join()
    assert ending.signal == "SIGINT"
    assert folder.state(trial) == "waiting"
    assert signal.getsignal(signal.SIGINT) is before


def test_trial_that_another_runs_is_waited_for_and_taken_over(tmp_path, monkeypatch):
    monkeypatch.setattr(wk, "ELSEWHERE", 0.05)
    folder = stub_sweep.make(tmp_path / "s", [{"do": "finish"}, {"do": "finish", "n": 1}])
    other = SweepFolder.open(folder.path)
    claim = other.claim(other.trials()[0])
    assert claim is not None
    held, seen = contextlib.ExitStack(), []
    held.enter_context(claim)

    class Releasing(Display):
        def waiting(self, count):
            seen.append((count, folder.states()))
            held.close()

    assert run(folder, display=Releasing(folder)) == wk.Ending("", [])
    assert seen == [(1, {0: "running", 1: "finished"})]
    assert set(folder.states().values()) == {"finished"}


def test_worker_of_an_array_job_runs_one_trial_and_waits_for_none(tmp_path):
    folder = stub_sweep.make(tmp_path / "s", [{"do": "finish", "n": n} for n in range(4)])
    run(folder, source=FixedSource(folder, first=6), limit=1)
    assert list(folder.states().values()) == ["waiting", "waiting", "finished", "waiting"]
    other = SweepFolder.open(folder.path)
    claims = [other.claim(trial) for trial in other.trials()[:2]]
    for claim in claims:
        assert claim is not None
        claim.__enter__()
    run(folder, limit=1)
    assert list(folder.states().values()) == ["running", "running", "finished", "finished"]
    run(folder, limit=1)
    assert [starts(folder, trial) for trial in folder.trials()] == [0, 0, 1, 1]
    for claim in claims:
        claim.__exit__(None, None, None)


def test_full_disk_stops_the_sweep_and_fails_no_trial(tmp_path):
    points = [{"do": "hold", "steps": 10}, {"do": "full"}, {"do": "finish"}]
    folder = stub_sweep.make(tmp_path / "s", points)
    with pytest.raises(UserError, match="the disk is full"):
        run(folder, 2)
    assert set(folder.states().values()) == {"waiting"}
    assert folder.reason(folder.trials()[0]).startswith("SIGTERM: saved")


class Search(FixedSource):
    """Prunes what is at or below a value after step 2; writes down what it gets."""

    def __init__(self, folder, worst):
        super().__init__(folder)
        self.worst, self.seen, self.folder = worst, [], folder

    def report(self, trial, step, values):
        return step > 2 and values["validation/accuracy"] <= self.worst

    def finish(self, trial, state, value):
        # The folder knows before the search does.
        self.seen.append((trial.number, self.folder.state(trial), state, value))

    def close(self):
        self.seen.append("closed")


def test_search_prunes_and_learns_how_trials_end(tmp_path):
    points = [{"do": do, "steps": 40, "value": x} for do, x in (("hold", 0.0), ("finish", 0.8))]
    folder = stub_sweep.make(tmp_path / "s", points)
    source = Search(folder, worst=0.0)
    run(folder, source=source)
    assert source.seen == [(0, "pruned", "pruned", 0.0), (1, "finished", "finished", 0.8), "closed"]


def test_failing_source_stops_the_work_and_is_reported(tmp_path):
    folder = stub_sweep.make(tmp_path / "s", [{"do": "finish"}])
    source = FixedSource(folder)

    def fail():
        raise UserError("the search is broken")

    source.next = fail
    with pytest.raises(UserError, match="the search is broken"):
        run(folder, 2, source=source)


def test_search_that_fails_on_a_record_lets_the_trial_save_first(tmp_path):
    folder = stub_sweep.make(tmp_path / "s", [{"do": "hold", "steps": 10}])
    source = FixedSource(folder)

    def fail(*_):
        raise UserError("no such metric")

    source.report = fail
    with pytest.raises(UserError, match="no such metric"):
        run(folder, source=source)
    (trial,) = folder.trials()
    assert folder.state(trial) == "waiting"
    assert "saved at step" in folder.log(trial).read_text()


def test_display_that_fails_stops_the_trials(tmp_path, monkeypatch):
    folder = stub_sweep.make(tmp_path / "s", [{"do": "hold", "steps": 10}])
    display = Display(folder, metric=ACCURACY)
    (trial,) = folder.trials()

    def fail():
        if (trial.path / "metrics.jsonl").exists():
            raise BrokenPipeError

    monkeypatch.setattr(display, "refresh", fail)
    with pytest.raises(BrokenPipeError):
        run(folder, display=display)
    assert folder.reason(trial).startswith("SIGTERM: saved")


def test_metric_that_no_trial_reports_is_reported_and_stops_nothing(tmp_path, capfd):
    folder = stub_sweep.make(tmp_path / "s", [{"do": "finish"}])
    display = Display(folder, metric=Metric("validation/accurcy", "max", "last"))
    run(folder, display=display)
    assert folder.state(folder.trials()[0]) == "finished"
    assert "did you mean 'validation/accuracy'" in capfd.readouterr().err
