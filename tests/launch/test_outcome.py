"""How starts of jobs end, and which of them are started again."""

import pytest

from cnnlab.launch.outcome import Scheduler, judge

SAVED = "SIGTERM (process 1): saved at step 5 of 9"
WARNED = "SIGUSR2: saved at step 5 of 9"
EXPLAINED = {"error": "no such model", "explained": True}
CRASHED = {"error": "ValueError: x", "explained": False}

# exit status, notes, Slurm -> state, words of the reason, again, counted
CASES = {
    "done": (0, {}, {}, "finished", "", False, False),
    "done while it was preempted": (0, {}, {"preempted": True}, "finished", "", False, False),
    "preempted": (0, SAVED, {"preempted": True}, "preempted", "step 5", True, False),
    "preempted with a warning": (0, WARNED, {"preempted": True}, "preempted", "", True, False),
    "preempted at its start": (143, {}, {"preempted": True}, "preempted", "SIGTERM", True, False),
    "warned": (0, WARNED, {}, "time limit", "step 5", True, False),
    "warned at its start": (140, {}, {}, "time limit", "there was nothing to save", True, True),
    "too late": (137, {}, {"ending": True, "out_of_time": True}, "time limit", "", True, True),
    "scontrol requeue": (0, SAVED, {"requeued": True}, "requeued", "step 5", False, False),
    "node lost": (137, {}, {"ending": True, "requeued": True}, "requeued", "", False, False),
    "scancel": (0, SAVED, {"ending": True}, "canceled", "step 5", False, False),
    "scancel at its start": (143, {}, {"ending": True}, "canceled", "SIGTERM", False, False),
    "Ctrl-C": (130, {}, {}, "stopped", "SIGINT", False, False),
    "asked to stop": (0, SAVED, {}, "stopped", "step 5", False, False),
    "mistake": (1, EXPLAINED, {}, "failed", "no such model", False, False),
    "mistake, others killed": (137, EXPLAINED, {}, "failed", "no such model", False, False),
    "crash": (70, CRASHED, {}, "failed", "ValueError: x", True, True),
    "killed": (137, {}, {}, "failed", "SIGKILL", True, True),
    "aborted": (134, {}, {}, "failed", "SIGABRT", True, True),
    "segmentation fault": (139, {}, {}, "failed", "SIGSEGV", True, True),
    "said nothing": (2, {}, {}, "failed", "status 2", True, True),
    "no signal": (255, {}, {}, "failed", "status 255", True, True),
}


@pytest.mark.parametrize("name", CASES)
def test_end_of_a_start(name):
    status, notes, says, state, reason, again, counted = CASES[name]
    notes = {"interrupted": notes} if isinstance(notes, str) else notes
    found = judge(status, notes, Scheduler(**says), failures=0, requeues=2)
    assert (found.state, found.again, found.counted) == (state, again, counted)
    assert reason in found.reason


def test_crashes_are_bounded():
    def again(failures, requeues):
        return judge(137, {}, Scheduler(), failures=failures, requeues=requeues).again

    assert [again(n, 2) for n in range(4)] == [True, True, False, False]
    assert not again(0, 0)
    last = judge(137, {}, Scheduler(), failures=2, requeues=2)
    assert last.reason.endswith("started again 2 times, the limit (--requeues)")


def test_making_room_is_not_bounded():
    for says in ({"preempted": True}, {}):
        found = judge(0, {"interrupted": WARNED}, Scheduler(**says), failures=9, requeues=0)
        assert found.again
