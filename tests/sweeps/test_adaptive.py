"""Adaptive search: nothing is lost, run twice or reported twice, whoever is killed and when."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import fabricated_sweep as fabricated
import pytest
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from cnnlab.errors import UserError
from cnnlab.sweeps import adaptive
from cnnlab.sweeps.adaptive import AdaptiveSource
from cnnlab.sweeps.space import choice, draws, grid, integers, log_uniform, product, uniform

ROOT = Path(__file__).resolve().parents[2]
RATE, OPTIMIZER = "optimizer.learning_rate", "optimizer.name"
SPACE = draws({RATE: log_uniform(1e-4, 1.0), OPTIMIZER: choice("sgd", "adamw")}, count=1)

# A worker of its own process: `hold` waits with its trial to be killed, `run` runs to the end.
WORKER = """
import sys, time
from pathlib import Path
from cnnlab.sweeps.adaptive import AdaptiveSource
from cnnlab.sweeps.folder import SweepFolder
folder = SweepFolder.open(Path(sys.argv[1]))
source = AdaptiveSource(folder)
print("ready", flush=True)
sys.stdin.readline()
while (trial := source.next()) is not None:
    print(trial.number, flush=True)
    if sys.argv[2] == "hold":
        time.sleep(600)
    with folder.claim(trial):
        source.report(trial, 10, {"validation/accuracy": 0.5})
        folder.finish(trial, "finished")
    source.finish(trial, "finished", 0.5)
"""


def search(path, **changes):
    return fabricated.sweep(path, **{"space": SPACE, "search": "tpe", "trials": 3, **changes})


def start(folder, what):
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(folder.path), what],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    return process


def attempts(source):
    return [(a.state.name, a.user_attrs.get("trial")) for a in source._study.attempts()]


def run(source, folder, value=lambda trial: 0.5):
    """Run what is left, and return the trials."""
    trials = []
    while (trial := source.next()) is not None:
        trials.append(trial)
        folder.finish(trial, "finished")
        source.finish(trial, "finished", value(trial))
    return trials


@pytest.mark.parametrize("name", ["tpe", "random"])
def test_a_search_makes_as_many_trials_as_it_is_asked_for_in_all(tmp_path, name):
    folder = search(tmp_path / "s", search=name)
    first = run(AdaptiveSource(folder), folder)
    assert [trial.number for trial in first] == [0, 1, 2]
    assert AdaptiveSource(folder).next() is None
    more = run(AdaptiveSource(folder, trials=5), folder)
    assert [trial.number for trial in more] == [3, 4]
    for trial in (*first, *more):
        assert 1e-4 <= trial.overrides[RATE] <= 1.0
        assert trial.overrides[OPTIMIZER] in ("sgd", "adamw")


def test_what_is_drawn_depends_on_the_seed_and_not_on_interruptions(tmp_path):
    def points(name, cut=None, seed=None):
        folder = search(tmp_path / name, trials=14)
        if cut:
            run(AdaptiveSource(folder, trials=cut, seed=seed), folder, good)
        run(AdaptiveSource(folder, seed=seed), folder, good)
        return [trial.overrides for trial in folder.trials()]

    def good(trial):
        return 1 - trial.overrides[RATE]

    assert points("a") == points("b", cut=12)
    assert points("a") != points("c", seed=7)


def test_tpe_draws_near_what_did_well(tmp_path):
    folder = search(tmp_path / "s", space=draws({RATE: uniform(0.0, 1.0)}, 1), trials=30)
    run(AdaptiveSource(folder), folder, lambda trial: -abs(trial.overrides[RATE] - 0.3))
    far = [abs(trial.overrides[RATE] - 0.3) for trial in folder.trials()]
    # At random the mean distance is 0.29.
    assert sum(far[10:]) / 20 < 0.15


def test_tuples_truth_and_zipped_points_are_drawn_as_they_are(tmp_path):
    space = product(
        grid({"model.hidden": [(8,), (16, 16)], "deterministic": [True]}),
        [{"a": 1, "b": None}, {"a": 2, "b": "x"}],
    )
    folder = search(tmp_path / "s", space=space, trials=99)
    drawn = [trial.overrides for trial in run(AdaptiveSource(folder), folder)]
    # Fewer points than trials: each once, then the search ends.
    expected = space.points()
    assert len(drawn) == len(expected)
    assert all(point in drawn for point in expected)
    assert all(type(point["model.hidden"]) is tuple for point in drawn)


def test_integers_are_drawn_whole_and_each_once(tmp_path):
    space = draws({"batch_size": integers(1, 4, log=True)}, count=1)
    folder = search(tmp_path / "s", space=space, trials=9)
    drawn = [trial.overrides["batch_size"] for trial in run(AdaptiveSource(folder), folder)]
    assert sorted(drawn) == [1, 2, 3, 4]


def test_a_point_that_is_drawn_again_and_again_gives_way_to_one_that_was_not(tmp_path, monkeypatch):
    monkeypatch.setattr(adaptive, "DUPLICATES", 0)
    space = grid({RATE: (0.1, 0.2), OPTIMIZER: ("sgd", "adamw")})
    folder = search(tmp_path / "s", space=space, trials=9)
    drawn = [trial.overrides for trial in run(AdaptiveSource(folder), folder)]
    assert sorted(map(str, drawn)) == sorted(map(str, space.points()))


def test_what_is_in_line_and_nobodys_to_run_is_passed_over(tmp_path):
    folder = search(tmp_path / "s")
    source = AdaptiveSource(folder)
    (first, *_) = run(source, folder)
    # As two processes leave them that are killed between two writes.
    source._study.enqueue(first)
    source._study._enqueue(source._study.attempts()[0].params)
    again = AdaptiveSource(folder, trials=4).next()
    assert again.number == 3
    assert again.overrides != first.overrides


def test_a_worker_killed_with_a_trial_leaves_it_to_the_next(tmp_path):
    folder = search(tmp_path / "s")
    worker = start(folder, "hold")
    worker.stdin.write("\n")
    worker.stdin.flush()
    assert worker.stdout.readline() == "0\n"
    # While it lives, nobody else has its trial.
    other = AdaptiveSource(folder)
    second = other.next()
    assert second.number == 1
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    left = other.next()
    assert (left.number, left.overrides) == (0, folder.trials()[0].overrides)
    assert attempts(other) == [("FAIL", 0), ("RUNNING", 1), ("RUNNING", 0)]


def test_two_processes_share_a_search(tmp_path):
    folder = search(tmp_path / "s", trials=12, search="random")
    workers = [start(folder, "run") for _ in range(2)]
    for worker in workers:
        worker.stdin.write("\n")
        worker.stdin.flush()
    outputs = [worker.communicate(timeout=600)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0]
    numbers = [int(line) for output in outputs for line in output.split()]
    assert sorted(numbers) == list(range(12))
    source = AdaptiveSource(folder)
    assert sorted(attempts(source)) == [("COMPLETE", number) for number in range(12)]
    assert len({str(trial.overrides) for trial in folder.trials()}) == 12


class Killed(BaseException):
    """Stands for SIGKILL: nothing that handles errors handles it."""


def kill_at(monkeypatch, number):
    """Cut the journal's write of this number in half, and end there."""
    append, written = JournalFileBackend.append_logs, [0]

    def torn(self, logs):
        written[0] += 1
        if written[0] != number:
            return append(self, logs)
        line = json.dumps(logs[0])
        self._lock.acquire()
        with Path(self._file_path).open("a") as file:
            file.write(line[: len(line) // 2])
        self._lock.release()
        raise Killed

    monkeypatch.setattr(JournalFileBackend, "append_logs", torn)


@pytest.mark.parametrize("number", range(1, 16))
def test_a_kill_in_any_write_of_the_journal_loses_nothing(tmp_path, monkeypatch, number):
    folder = search(tmp_path / "s", trials=2)
    sources = []

    def work():
        sources.append(AdaptiveSource(folder))
        while (trial := sources[0].next()) is not None:
            sources[0].report(trial, 10, {fabricated.ACCURACY: 0.25})
            sources[0].finish(trial, "finished", 0.5)
            folder.finish(trial, "finished")

    with monkeypatch.context() as patched:
        kill_at(patched, number)
        with pytest.raises(Killed):
            work()
    for source in sources:
        # With the process go its locks.
        for file in source._leases.values():
            file.close()
    after = AdaptiveSource(folder)
    run(after, folder)
    assert [folder.state(trial) for trial in folder.trials()] == ["finished", "finished"]
    reported = [(state, trial) for state, trial in attempts(after) if state != "FAIL"]
    # Reported twice is what was reported before the folder knew of it.
    assert set(reported) == {("COMPLETE", 0), ("COMPLETE", 1)}
    for line in (folder.path / "optuna.log").read_text().splitlines():
        json.loads(line)


def test_a_lost_journal_is_made_again_of_the_folder(tmp_path):
    folder = search(tmp_path / "s", trials=5)
    source = AdaptiveSource(folder)
    trials = [source.next() for _ in range(4)]
    fabricated.finished(folder, trials[0], [0.5, 0.75, 0.25])
    folder.finish(trials[1], "failed", "boom")
    folder.finish(trials[2], "pruned", "pruned at step 10")
    source.close()
    (folder.path / "optuna.log").unlink()
    again = AdaptiveSource(folder)
    states = [("COMPLETE", 0), ("FAIL", 1), ("PRUNED", 2), ("WAITING", 3)]
    # What is in line has its trial's point among its attributes.
    assert attempts(again) == states
    assert again._study.attempts()[0].value == 0.75
    assert again._study.attempts()[0].params[RATE] == trials[0].overrides[RATE]
    assert again.next().overrides == trials[3].overrides


def test_a_damaged_journal_is_reported(tmp_path):
    folder = search(tmp_path / "s")
    AdaptiveSource(folder).next()
    journal = folder.path / "optuna.log"
    journal.write_text("nonsense\n" + journal.read_text())
    with pytest.raises(UserError, match=r"optuna\.log is damaged .*: remove it"):
        AdaptiveSource(folder)


def test_a_stopped_trial_goes_on_and_a_failed_one_when_it_is_to_be_tried_again(tmp_path):
    folder = search(tmp_path / "s", trials=2)
    source = AdaptiveSource(folder)
    stopped, failed = source.next(), source.next()
    source.finish(stopped, "waiting")
    source.finish(failed, "failed")
    folder.finish(failed, "failed", "boom")
    assert source.next() == stopped
    assert source.next() is None
    folder.retry_failed()
    source.close()
    again = AdaptiveSource(folder)
    assert {again.next().number, again.next().number} == {0, 1}
    assert again.next() is None


def test_optuna_gets_what_failed_what_was_pruned_and_what_is_no_number(tmp_path):
    folder = search(tmp_path / "s", trials=4)
    source = AdaptiveSource(folder)
    for state, value in (
        ("finished", 0.5),
        ("failed", None),
        ("pruned", 0.25),
        ("finished", float("nan")),
    ):
        trial = source.next()
        source.report(trial, 10, {fabricated.ACCURACY: 0.125})
        source.finish(trial, state, value)
    states = [attempt.state for attempt in source._study.attempts()]
    assert states == [TrialState.COMPLETE, TrialState.FAIL, TrialState.PRUNED, TrialState.FAIL]
    assert source._study.attempts()[2].value == 0.125


@pytest.mark.parametrize("mode", ["max", "min"])
def test_the_median_rule_gives_up_what_is_behind_half_of_the_others(tmp_path, mode):
    folder = search(
        tmp_path / "s", pruner="median", trials=9, metric="validation/spread", mode=mode
    )
    source, sign = AdaptiveSource(folder), 1 if mode == "max" else -1
    for value in (0.1, 0.2, 0.3, 0.4, 0.5):
        trial = source.next()
        # The first five run to their end, whatever they reach.
        assert not source.report(trial, 10, {"validation/spread": sign * value})
        source.finish(trial, "finished", sign * value)
    worse, better = source.next(), source.next()
    assert source.report(worse, 10, {"validation/spread": sign * 0.25})
    assert not source.report(better, 10, {"validation/spread": sign * 0.35})
    assert source.report(better, 20, {"validation/spread": float("nan")}) is False


def test_asha_lets_the_best_third_pass_each_rung(tmp_path):
    folder = search(tmp_path / "s", pruner="asha", trials=9)
    source = AdaptiveSource(folder)
    values = (0.1, 0.2, 0.3, 0.25, 0.15, 0.35)
    given_up = []
    for value in values:
        given_up.append(source.report(source.next(), 10, {fabricated.ACCURACY: value}))
    assert given_up == [False, False, False, True, True, False]


def test_without_a_pruner_nothing_is_given_up(tmp_path):
    folder = search(tmp_path / "s", trials=9)
    source = AdaptiveSource(folder)
    trials = [source.next() for _ in range(8)]
    for value, trial in enumerate(reversed(trials)):
        assert not source.report(trial, 10, {fabricated.ACCURACY: -float(value)})


def test_a_step_that_is_followed_again_is_reported_once(tmp_path, recwarn):
    folder = search(tmp_path / "s")
    source = AdaptiveSource(folder)
    trial = source.next()
    for step in (10, 20, 10, 20):
        source.report(trial, step, {fabricated.ACCURACY: step / 100})
    source.report(trial, 25, {"train/loss": 1.0})
    assert source._study.attempts()[0].intermediate_values == {10: 0.1, 20: 0.2}
    assert not recwarn.list
    # Of another worker's trial there is nothing to report here.
    source.finish(trial, "finished", 0.2)
    assert not source.report(trial, 30, {fabricated.ACCURACY: 0.0})


def test_a_metric_that_no_run_reports_is_reported_with_those_that_there_are(tmp_path):
    folder = search(tmp_path / "s", metric="validation/acuracy")
    source = AdaptiveSource(folder)
    trial = source.next()
    with pytest.raises(UserError, match=r"--metric=validation/acuracy; did you mean 'valid.*accur"):
        source.report(trial, 10, {"validation/accuracy": 0.5, "validation/loss": 1.0})
    fabricated.record(trial, [0.5], test=0.5)
    with pytest.raises(UserError, match="did you mean 'validation/accuracy'"):
        source.finish(trial, "finished")
    # Every worker hears of it, not only the one whose trial it was.
    with pytest.raises(UserError, match="did you mean"):
        source.next()
    assert attempts(source)[0] == ("FAIL", 0)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"search": "tpee"}, r"unknown search 'tpee'; did you mean 'tpe'\?"),
        ({"pruner": "hyperband"}, "unknown pruner 'hyperband'"),
        ({"repeat": 3}, "--repeat=3 with --search: a search compares single runs"),
        ({"metric": "test/accuracy"}, "'test' is held out"),
        ({"metric": "a/b", "mode": "maximal"}, r"--mode=maximal; did you mean 'max'\?"),
    ],
)
def test_what_no_search_can_do_is_reported(tmp_path, changes, message):
    folder = search(tmp_path / "s", **changes)
    with pytest.raises(UserError, match=message):
        AdaptiveSource(folder)


def test_a_search_goes_on_with_its_own_metric_only(tmp_path):
    folder = search(tmp_path / "s")
    AdaptiveSource(folder)
    message = "is of a search for --metric=validation/accuracy --mode=max"
    with pytest.raises(UserError, match=message):
        AdaptiveSource(folder, metric="validation/loss")
    with pytest.raises(UserError, match="--mode=min contradicts --metric=validation/accuracy"):
        AdaptiveSource(folder, mode="min")


def test_without_optuna_the_way_to_it_is_reported(tmp_path, monkeypatch):
    folder = search(tmp_path / "s")
    monkeypatch.setattr(adaptive.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install -r requirements-launch\.txt"):
        AdaptiveSource(folder)
