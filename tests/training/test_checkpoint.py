"""Checkpoints: what goes in comes out, on any number of devices; damage is named."""

import dataclasses
import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab.errors import UserError
from cnnlab.training import checkpoint, parallel
from cnnlab.training.checkpoint import Checkpoints
from cnnlab.training.checkpoint_record import Damaged
from cnnlab.training.state import TrainState


def make_state(step=0, width=64):
    key = jax.random.key(step)
    return TrainState(
        step=jnp.asarray(step, jnp.int32),
        params={"kernel": jax.random.normal(key, (width, 64)), "bias": jnp.zeros(3)},
        model_state={"batch_stats": {"mean": jnp.ones(4)}},
        opt_state=(jnp.zeros(()), {"m": jnp.full((5,), 0.25)}),
        ema=(),
        rng=jax.random.key_data(key),
    )


def save(folder, steps, values=None, **options):
    checkpoints = Checkpoints(folder, **options)
    for step in steps:
        value = None if values is None else values.get(step)
        checkpoints.save(make_state(step), {"note": step}, value)
        checkpoints.wait()
    return checkpoints


def assert_equal(a, b):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("strategy", ["pmap", "fsdp"])
def test_state_saved_on_one_device_is_restored_on_eight(tmp_path, strategy):
    save(tmp_path / "c", [3]).close()
    like = parallel.make(strategy, 8).place_state(make_state())
    state, record = Checkpoints(tmp_path / "c").restore(3, like)
    assert_equal(state, make_state(3))
    assert record == {"note": 3}
    assert state.params["kernel"].sharding == like.params["kernel"].sharding


def test_state_saved_sharded_is_restored_on_one_device(tmp_path):
    checkpoints = Checkpoints(tmp_path / "c")
    checkpoints.save(parallel.make("fsdp", 8).place_state(make_state(5)), {}, None)
    checkpoints.wait()
    state, _ = checkpoints.restore(5, make_state())
    assert_equal(state, make_state(5))


@pytest.mark.parametrize("name", ["lr[0.1]", "[ab]*", "[x]/run", "**", "a?b"])
def test_a_path_that_looks_like_a_pattern_is_one_folder(tmp_path, name):
    folder = tmp_path / name / "checkpoints"
    save(folder, [3, 4], {3: 0.5, 4: 0.1}).close()
    checkpoints = Checkpoints(folder, read_only=True)
    assert checkpoints.steps() == [3, 4]
    assert checkpoints.best_step() == 3
    assert_equal(checkpoints.restore(4, make_state())[0], make_state(4))
    assert checkpoints.read(4, "params").keys() == {"params/kernel", "params/bias"}
    checkpoints.close()


def test_a_checkpoint_under_the_name_of_another_step_is_damaged(tmp_path):
    save(tmp_path, [3, 4]).close()
    (tmp_path / "4").rename(tmp_path / "40")
    checkpoints = Checkpoints(tmp_path)
    renamed = "40 is damaged: it is of step 4, and was renamed"
    with pytest.raises(Damaged, match=renamed):
        checkpoints.read(40, "params")
    with pytest.raises(Damaged, match=renamed):
        checkpoints.restore(40, make_state())
    assert int(checkpoints.restore_latest(make_state())[0].step) == 3


def test_save_says_whether_it_writes(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    assert checkpoints.save(make_state(3), {}, None)
    assert not checkpoints.save(make_state(3), {}, None)


def test_a_moving_average_without_statistics_is_read(tmp_path):
    state = dataclasses.replace(make_state(3), ema=({"kernel": jnp.ones(3)}, {}))
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(state, {}, None)
    checkpoints.wait()
    np.testing.assert_array_equal(checkpoints.read(3, "ema")["ema/0/kernel"], np.ones(3))


def test_what_was_saved_is_verified(tmp_path, monkeypatch):
    checkpoints = save(tmp_path, [3])
    checkpoints.verify(make_state(3))
    monkeypatch.setattr(checkpoint, "checksums", lambda state: [0] * 7)
    checkpoints = save(tmp_path / "other", [3])
    with pytest.raises(UserError, match=r"right after it was written: .* name another --workdir"):
        checkpoints.verify(make_state(3))


RECORDS = {
    "another number": lambda text: text.replace('"note": 4', '"note": 5'),
    "another key": lambda text: text.replace('"note"', '"nota"'),
    "another name of the checksum": lambda text: text.replace('"checksum"', '"checksun"'),
    "another shape of a leaf": lambda text: text.replace("float32[3]", "float32[2]"),
    "no leaves": lambda text: text.replace('"leaves"', '"leavos"'),
    "a list": lambda _: "[]",
    "nothing": lambda _: "",
    "half": lambda text: text[: len(text) // 2],
    "no UTF-8": lambda text: text.replace("note", "n\xff"),
}


@pytest.mark.parametrize("change", RECORDS.values(), ids=RECORDS)
def test_a_damaged_position_is_named_and_the_one_before_is_used(tmp_path, change, caplog):
    save(tmp_path / "c", [3, 4]).close()
    (path,) = [p for p in (tmp_path / "c/4/position").iterdir() if p.name == "metadata"]
    path.write_bytes(change(path.read_text()).encode("latin-1"))
    restored = Checkpoints(tmp_path / "c").restore_latest(make_state())
    assert restored is not None
    assert restored[1] == {"note": 3}
    assert "c/4" in caplog.text
    assert (tmp_path / "damaged" / "4").is_dir()


@pytest.mark.parametrize("data", [b"", b"\xff", b"[]", b'{"best": "high"}', b"{"])
def test_a_damaged_value_is_named_and_is_not_the_best(tmp_path, data, caplog):
    save(tmp_path / "c", [3, 4], {3: 0.5, 4: 0.9}, metric="validation/accuracy").close()
    (tmp_path / "c/4/metrics/metrics").write_bytes(data)
    for read_only in (True, False):
        caplog.clear()
        checkpoints = Checkpoints(tmp_path / "c", metric="validation/accuracy", read_only=read_only)
        assert checkpoints.best_step() == 3
        assert checkpoints.restore(4, make_state())[1] == {"note": 4}
        assert "c/4/metrics/metrics is damaged" in caplog.text
    assert (tmp_path / "damaged/4_metrics").is_dir()


@pytest.mark.parametrize("data", [b"[]", b"\xff", b"", b'{"init_timestamp_nsecs": "a"}'])
def test_a_damaged_note_of_orbax_costs_no_checkpoint(tmp_path, data, caplog):
    save(tmp_path / "c", [3, 4]).close()
    (tmp_path / "c/4/_CHECKPOINT_METADATA").write_bytes(data)
    for read_only in (True, False):
        checkpoints = Checkpoints(tmp_path / "c", read_only=read_only)
        assert checkpoints.restore(4, make_state())[1] == {"note": 4}
    assert "c/4/_CHECKPOINT_METADATA is damaged" in caplog.text


def test_newest_and_best_are_kept(tmp_path):
    values = {1: 0.2, 2: 0.9, 3: 0.5, 4: 0.6, 5: 0.7}
    checkpoints = save(tmp_path / "c", [1, 2, 3, 4, 5], values, keep=2)
    assert checkpoints.steps() == [2, 4, 5]
    assert checkpoints.best_step() == 2


def test_lowest_is_best_when_asked_for(tmp_path):
    checkpoints = save(tmp_path / "c", [1, 2, 3], {1: 0.2, 2: 0.9, 3: 0.5}, keep=1, mode="min")
    assert checkpoints.steps() == [1, 3]
    assert checkpoints.best_step() == 1


def test_best_survives_checkpoints_without_a_value(tmp_path):
    checkpoints = save(tmp_path / "c", [1, 2, 3, 4], {1: 0.3}, keep=2)
    assert checkpoints.steps() == [1, 3, 4]
    assert checkpoints.best_step() == 1


def data_files(folder):
    return sorted((p for p in folder.rglob("*") if p.is_file()), key=lambda p: -p.stat().st_size)


DAMAGE = {
    "a file emptied": lambda folder: data_files(folder)[0].write_bytes(b""),
    "a file cut in half": lambda folder: data_files(folder)[0].write_bytes(
        data_files(folder)[0].read_bytes()[: data_files(folder)[0].stat().st_size // 2]
    ),
    "the state missing": lambda folder: shutil.rmtree(folder / "state"),
    "the position missing": lambda folder: shutil.rmtree(folder / "position"),
}


# Orbax leaves the coroutines of other arrays behind when one cannot be read.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_checkpoint_is_named_and_the_one_before_is_used(tmp_path, damage, caplog):
    save(tmp_path / "c", [1, 2]).close()
    DAMAGE[damage](tmp_path / "c" / "2")
    checkpoints = Checkpoints(tmp_path / "c")
    state, record = checkpoints.restore_latest(make_state())
    assert int(state.step) == 1
    assert record == {"note": 1}
    assert str(tmp_path / "c" / "2") in caplog.text
    # The run will come to step 2 again, and has to be able to save it.
    assert checkpoints.steps() == [1]
    checkpoints.save(make_state(2), {}, None)
    checkpoints.wait()
    assert checkpoints.steps() == [1, 2]


def test_silently_changed_numbers_are_noticed_and_the_leaf_is_named(tmp_path, monkeypatch):
    checkpoints = save(tmp_path / "c", [1])
    read = checkpoints._read

    def with_a_flipped_bit(step, **items):
        restored = read(step, **items)
        if "state" not in items:
            return restored
        state = restored["state"]
        damaged = {**state.params, "bias": state.params["bias"].at[1].add(1e-30)}
        return {"state": state.replace(params=damaged)}

    monkeypatch.setattr(checkpoints, "_read", with_a_flipped_bit)
    with pytest.raises(Damaged, match="'params/bias' is not what was saved"):
        checkpoints.restore(1, make_state())


def test_when_all_are_damaged_the_run_stops_rather_than_start_afresh(tmp_path):
    save(tmp_path / "c", [1]).close()
    shutil.rmtree(tmp_path / "c" / "1" / "state")
    with pytest.raises(UserError, match="none of the checkpoints"):
        Checkpoints(tmp_path / "c").restore_latest(make_state())


def test_empty_folder_has_nothing_to_restore(tmp_path):
    assert Checkpoints(tmp_path / "c").restore_latest(make_state()) is None


def test_checkpoint_of_another_width_is_refused_and_left_where_it_is(tmp_path):
    checkpoints = save(tmp_path / "c", [1])
    with pytest.raises(UserError, match=r"'params/kernel' is float32\[64,64\].*float32\[32,64\]"):
        checkpoints.restore_latest(make_state(width=32))
    assert checkpoints.steps() == [1]


def test_checkpoint_of_another_optimizer_is_refused(tmp_path):
    checkpoints = save(tmp_path / "c", [1])
    other = make_state().replace(opt_state=())
    with pytest.raises(UserError, match="only in the checkpoint"):
        checkpoints.restore_latest(other)


def test_checkpoint_is_chosen_by_name_or_step(tmp_path):
    checkpoints = save(tmp_path / "c", [1, 2, 3], {2: 0.9, 3: 0.1}, keep=5, metric="v/accuracy")
    assert checkpoints.step_of("latest") == 3
    assert checkpoints.step_of("best") == 2
    assert checkpoints.step_of("1") == 1
    for which in ("7", "²"):
        with pytest.raises(UserError, match="needs latest, best or a step of 1, 2, 3"):
            checkpoints.step_of(which)


def test_no_best_without_a_metric(tmp_path):
    checkpoints = save(tmp_path / "c", [1], metric="v/accuracy")
    with pytest.raises(UserError, match="was saved with the metric 'v/accuracy'"):
        checkpoints.step_of("best")
    with pytest.raises(UserError, match=r"checkpoint.best is empty\): use latest or a step of"):
        Checkpoints(tmp_path / "c").step_of("best")


def test_no_checkpoint_at_all(tmp_path):
    with pytest.raises(UserError, match="train there first"):
        Checkpoints(tmp_path / "c").step_of("latest")


def test_values_of_another_metric_or_of_before_are_not_compared(tmp_path):
    by_accuracy = save(tmp_path / "c", [1, 2], {1: 0.9, 2: 0.1}, keep=1, metric="v/accuracy")
    by_accuracy.close()
    checkpoints = Checkpoints(tmp_path / "c", keep=1, metric="v/loss")
    assert (checkpoints.best_step(), checkpoints.values.of(2)) == (None, None)
    checkpoints.values.since = 2
    for step, loss in ((3, 1.5), (4, 2.5)):
        checkpoints.save(make_state(step), {}, loss)
        checkpoints.wait()
    # The accuracy of 0.1 would be the least of all, and the retention would keep it.
    assert (checkpoints.best_step(), checkpoints.values.of(3)) == (3, 1.5)
    assert checkpoints.steps() == [3, 4]
    checkpoints.close()
    # Whoever reads the folder compares what the last checkpoint is comparable with.
    again = Checkpoints(tmp_path / "c", metric="v/loss", read_only=True)
    assert (again.values.since, again.best_step()) == (2, 3)
    again.values.since = 4
    assert again.best_step() is None


def test_values_of_an_earlier_version_are_of_the_metric_asked_for(tmp_path):
    save(tmp_path / "c", [1, 2], {1: 0.9, 2: 0.1}, metric="v/accuracy").close()
    for step in (1, 2):
        path = tmp_path / "c" / str(step) / "metrics" / "metrics"
        path.write_text(json.dumps({"best": json.loads(path.read_text())["best"]}))
    assert Checkpoints(tmp_path / "c", metric="v/accuracy").best_step() == 1


def test_direction_comes_from_the_metrics_name(tmp_path):
    by_loss = save(tmp_path / "c", [1, 2, 3], {1: 0.2, 2: 0.9, 3: 0.5}, keep=1, metric="v/loss")
    assert by_loss.steps() == [1, 3]
    assert by_loss.best_step() == 1
    with pytest.raises(UserError, match="v/spread: the name does not imply"):
        Checkpoints(tmp_path / "c", metric="v/spread")
