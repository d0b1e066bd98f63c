"""Two and four processes do what one does; they stop, save, restore and fail together.

All that needs a group is done in one start of it: `process_worker.py`.
"""

import json

import jax
import numpy as np
import process_cases
import process_group
import pytest
import small

from cnnlab.runs.train import train
from cnnlab.training.state import leaf_names

ALONE = """
import sys, time
from cnnlab.launch import distributed, process_group

process_group.connect(*sys.argv[2:3], *map(int, sys.argv[3:5]))
distributed.barrier("all are here")
with process_group.explain_lost_process():
    if distributed.kv_store.process_index() == 1:
        if sys.argv[1] == "fails":
            raise ValueError("of my own")
        import os
        os.kill(os.getpid(), 9)
    distributed.barrier("never")
"""
FITTED = """
import sys
from pathlib import Path

import process_cases
from cnnlab.launch import process_group
from cnnlab.runs.train import train

process_group.connect(sys.argv[2], *map(int, sys.argv[3:5]))
with process_group.explain_lost_process():
    for _ in range(2):  # a finished run is not fitted again
        train(process_cases.fitted(), Path(sys.argv[1]), "stop")
"""
# How process 1 ends, and with which status.
ENDS = {"fails": 1, "is killed": -9}


def assert_numbers(folder, references):
    number, cases = process_cases.GROUPS[folder.name]
    for case in cases:
        found, wanted = np.load(folder / "{}-{}.npz".format(*case)), references[case]
        assert set(found.files) == set(wanted)
        changes = [np.abs(x).max() for name, x in wanted.items() if name.startswith("change/")]
        assert max(changes) > 1e-2, "too small to tell anything"
        for name, value in wanted.items():
            where = f"{case}, {number} processes: {name}"
            if name == "losses":
                # Rounding grows from step to step at this rate.
                np.testing.assert_allclose(found[name][0], value[0], rtol=1e-6, err_msg=where)
                np.testing.assert_allclose(found[name], value, rtol=1e-3, err_msg=where)
            elif name == "output/index":
                np.testing.assert_array_equal(found[name], value, err_msg=where)
            else:
                size = max(1, 10 * np.abs(value).max())
                np.testing.assert_allclose(
                    found[name], value, rtol=0, atol=1e-6 * size, err_msg=where
                )


def assert_agreed(folder, number):
    said = [json.loads((folder / f"said-{k}.json").read_text()) for k in range(number)]
    wide = [(k << 40) + row for k in range(number) for row in range(k + 1)]
    for process, one in enumerate(said):
        talk = one["talk"]
        assert talk["first"] == {"of": 0}
        assert talk["together"] == process
        error = "ValueError: " if process == 0 else "UserError: process 0: "
        assert talk["first fails"].startswith(error + "nothing here")
        error = "ValueError: " if process == 1 else "UserError: process 1: "
        assert talk["together fails"].startswith(error + "nothing here")
        assert talk["wide"] == wide and talk["dtype"] == "int64"
        assert talk["flat"] == [sum(range(number)), 2, 3]
        # One of them got a signal; all stopped after the same step.
        assert one["step"] == f"SIGUSR2 (process {number - 1}): saved at step 3 of 8"
        assert one["evaluation"] == f"SIGUSR2 (process {number - 1}): saved at step 4 of 8"
    return said


def start(folder, number):
    folder.mkdir()
    worker = process_group.HERE / "process_worker.py"
    for status, printed in process_group.finish(
        process_group.start([worker, folder], number), seconds=600
    ):
        assert status == 0, printed


def read(path):
    return dict(np.load(path))


@pytest.mark.slow
@pytest.mark.parametrize(
    "groups", [("two",), pytest.param(("two", "pair", "four"), marks=pytest.mark.cluster)]
)
def test_several_processes_are_as_good_as_one(groups, tmp_path):
    cases = [case for name in groups for case in process_cases.GROUPS[name][1]]
    references = {case: process_cases.steps(*case) for case in dict.fromkeys(cases)}
    _, state = small.train(process_cases.run("pmap"), tmp_path / "one" / "whole")
    whole = dict(zip(leaf_names(state.params), jax.tree.leaves(state.params), strict=True))
    for name in groups:
        number = process_cases.GROUPS[name][0]
        start(tmp_path / name, number)
        assert_numbers(tmp_path / name, references)
        said = assert_agreed(tmp_path / name, number)
        # pmap of one process read into jit of this many.
        assert process_cases.same(
            read(tmp_path / name / "read-one.npz"), {**jax.device_get(whole), "step": 8}
        )
        if number == 2:
            assert all(one["resumed"] for one in said), "bit for bit as if never stopped"

    two = tmp_path / "two" / "whole"
    steps = [json.loads(line)["step"] for line in (two / "metrics.jsonl").read_text().splitlines()]
    assert steps == [4, 5, 8, 8], "written once"
    result = json.loads((two / "result.json").read_text())
    assert {row["encoder"] for row in result["representation"]} == {
        "trained (step 8)",
        "random weights",
    }
    assert json.loads((two / "environment.json").read_text())["processes"] == 2
    # fsdp of two processes read into one device, and into jit of four.
    loop, state = small.train(process_cases.run("jit", devices=1), two)
    mine = dict(zip(leaf_names(state.params), jax.tree.leaves(state.params), strict=True))
    assert loop.step == 8
    if "four" in groups:
        assert process_cases.same(
            read(tmp_path / "four" / "read-two.npz"), {**jax.device_get(mine), "step": 8}
        )
    for name, value in mine.items():
        np.testing.assert_allclose(value, whole[name], atol=1e-6, err_msg=name)


@pytest.mark.cluster
def test_two_processes_fit_as_one(tmp_path):
    folder = tmp_path / "two"
    group = process_group.start(["-c", FITTED, folder], 2)
    for status, printed in process_group.finish(group, seconds=600):
        assert status == 0, printed
    train(process_cases.fitted(devices=1), tmp_path / "one", "stop")
    one, two = (
        json.loads((tmp_path / name / "result.json").read_text()) for name in ("one", "two")
    )
    assert two["results"] == one["results"] and two["examples"] == one["examples"]
    assert one["results"]["last (step 1)"]["test/accuracy"] > 0.8
    environment = json.loads((folder / "environment.json").read_text())
    assert environment["processes"] == 2
    states = [small.train(process_cases.fitted(devices=1), tmp_path / x)[1] for x in ("one", "two")]
    jax.tree.map(np.testing.assert_array_equal, *states)


def test_what_ends_one_process_ends_all():
    # At once: most of the time they wait for each other's heartbeats.
    groups = {how: process_group.start(["-c", ALONE, how], 2, devices=2) for how in ENDS}
    for how, own in ENDS.items():
        (first, printed), (second, words) = process_group.finish(groups[how], seconds=600)
        assert (second, first != 0) == (own, True), printed
        if how == "fails":
            assert "ValueError: of my own" in words
        assert "process 0 lost another process" in printed or "another task died" in printed


def test_process_that_waits_in_vain_says_for_whom():
    code = (
        "import sys; from cnnlab.launch import process_group\n"
        "process_group.connect(sys.argv[1], 2, int(sys.argv[3]), initialization_timeout=1)"
    )
    (started,) = process_group.start(["-c", code], 1)
    ((status, printed),) = process_group.finish([started], seconds=600)
    address = started.args[-3]
    assert status == 1
    assert (
        f"process 0 of 2 did not find the others at {address}: not all connected within 1 s"
        in printed
    )
