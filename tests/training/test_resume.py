"""N steps == N/2, stop, N/2: bit for bit, whatever delivers the data."""

import json

import jax
import numpy as np
import pytest
import small

from cnnlab import config as cfg
from cnnlab.training.interruption import Interrupted

RUNS = {
    "memory": dict(data__placement="memory", ema_decay=0.9, accumulation=2),
    "device": dict(data__placement="device", steps_per_dispatch=1),
    "grain": dict(
        data__placement="grain",
        ema_decay=0.9,
        accumulation=2,
        optimizer__name="adam",
        model__norm="batch",
        model__dropout=0.3,
        data__train__augment=cfg.augment(affine={}),
    ),
    # A teacher beside the network, two views, statistics of heads; and pairs from Grain.
    "teacher": dict(
        experiment=cfg.experiment("joint_embedding", method="byol", projector=(8,), predictor=(8,)),
        model=cfg.model("mlp", hidden=(8,), norm="batch", num_classes=0),
        data__train__views=2,
        data__train__augment=cfg.augment(affine={}),
        ema_decay=0.9,
        checkpoint__best="",
    ),
    "pairs": dict(
        experiment=cfg.experiment("siamese"),
        model=cfg.model("mlp", hidden=(8,), num_classes=4),
        data__train__sampler__name="pairs",
        data__placement="grain",
        checkpoint__best="",
    ),
}


def rows(folder):
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [
        {k: v for k, v in json.loads(line).items() if not k.startswith("time/")} for line in lines
    ]


def assert_identical(a, b):
    for (path, x), y in zip(
        jax.tree_util.tree_leaves_with_path(a), jax.tree.leaves(b), strict=True
    ):
        np.testing.assert_array_equal(x, y, err_msg=jax.tree_util.keystr(path))


# Of what delivers the data the others are quick; pairs and placements have tests of their own.
SLOW = {"device", "pairs"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in RUNS]
)
@pytest.mark.sample(1)
def test_run_that_was_cut_off_ends_as_one_that_was_not(tmp_path, name):
    settings = small.config(**RUNS[name])
    _, whole = small.train(settings, tmp_path / "whole")

    # The first half alone, then what a kill leaves behind: records of steps that no checkpoint
    # has, the last of them cut off in the middle.
    class Killed(Exception):
        pass

    loop = small.Loop(small.build(settings), make(tmp_path / "cut"))
    record, saves = loop._after_step, []

    def die(flag):
        record(flag)
        saves.append(loop.step)
        if loop.step == 7:
            loop.checkpoints.wait()
            raise Killed

    loop._after_step = die
    with pytest.raises(Killed):
        loop.run()
    loop.checkpoints.close()
    with (tmp_path / "cut" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 7, "train/lo')

    again, state = small.train(settings, tmp_path / "cut")
    assert saves[-1] == 7
    assert again.step == 12
    assert_identical(whole, state)
    assert rows(tmp_path / "cut") == rows(tmp_path / "whole")


def make(folder):
    folder.mkdir()
    return folder


@pytest.mark.parametrize("stop_at", [pytest.param(3, marks=pytest.mark.slow), 4])
def test_run_that_was_asked_to_stop_saves_and_goes_on_exactly(tmp_path, monkeypatch, stop_at):
    # Step 4 is due for an evaluation, which the signal cuts short and the resumed run makes up.
    settings = small.config(early_stopping__patience=100)
    _, whole = small.train(settings, tmp_path / "whole")
    loop = small.Loop(small.build(settings), make(tmp_path / "asked"))
    original = loop._after_step

    def asked(flag):
        if loop.step == stop_at:
            flag.name = "SIGTERM"
        original(flag)

    monkeypatch.setattr(loop, "_after_step", asked)
    with pytest.raises(Interrupted, match="SIGTERM"):
        loop.run()
    assert loop.checkpoints.steps()[-1] == stop_at
    loop.checkpoints.close()

    again, state = small.train(settings, tmp_path / "asked")
    assert_identical(whole, state)
    assert rows(tmp_path / "asked") == rows(tmp_path / "whole")
    assert again.checkpoints is not None


@pytest.mark.parametrize(("kept", "first"), [(0, 1), (2, 6)])
@pytest.mark.sample(1)
def test_records_that_are_lost_are_named(tmp_path, caplog, kept, first):
    settings = small.config(log_every=5, steps=5)
    small.train(settings, tmp_path)
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines(keepends=True)
    longer = small.config(log_every=5, steps=8)
    small.train(longer, tmp_path)
    assert "lacks" not in caplog.text
    (tmp_path / "metrics.jsonl").write_text("".join(lines[:kept]))
    small.train(longer, tmp_path)
    assert f"metrics.jsonl lacks the records of steps {first} to 8" in caplog.text


def test_finished_run_has_nothing_left_to_do(tmp_path):
    settings = small.config()
    _, state = small.train(settings, tmp_path / "run")
    before = rows(tmp_path / "run")
    _, again = small.train(settings, tmp_path / "run")
    assert_identical(state, again)
    assert rows(tmp_path / "run") == before


def test_placements_deliver_the_same_training(tmp_path):
    states = [
        small.train(small.config(data__placement=p, steps=5), tmp_path / p)[1]
        for p in ("memory", "device", "grain")
    ]
    assert_identical(states[0], states[2])
    # Another program (the lookup is part of it) may round differently.
    for a, b in zip(
        jax.tree.leaves(states[0].params), jax.tree.leaves(states[1].params), strict=True
    ):
        np.testing.assert_allclose(a, b, atol=1e-6)
