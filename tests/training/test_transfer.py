"""Starting from the parameters of another training."""

import logging
import shutil

import jax
import numpy as np
import pytest
import small

from cnnlab import config as cfg
from cnnlab.errors import UserError
from cnnlab.runs import final_report
from cnnlab.training import run_folder, setup, transfer
from cnnlab.training.checkpoint import Checkpoints

MODEL = dict(model__hidden=(16,), model__norm="batch")
FIRST = dict(data__classes=(0, 1, 2, 3, 4), model__num_classes=5, **MODEL)
SECOND = dict(data__classes=(5, 6, 7, 8, 9), model__num_classes=5, **MODEL)


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    """A finished run on the digits 0 to 4, with a moving average, and its last state."""
    folder = tmp_path_factory.mktemp("runs") / "pretrained"
    entries = dict(ema_decay=0.9, steps=40, evaluate__every=20, checkpoint__every=20)
    settings = small.config(**FIRST, **entries)
    _, state = small.train(settings, folder)
    run_folder.record(folder, settings.to_dict())
    return folder, jax.device_get(state)


def start(folder, **changes):
    entries = {**SECOND, "init_from__path": str(folder), "init_from__skip": ("head",), **changes}
    return small.config(**entries)


def leaves(tree):
    return dict(zip(setup.state_lib.leaf_names(tree), jax.tree.leaves(tree), strict=True))


def assert_same(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


@pytest.mark.parametrize("ema", [True, False])
def test_trunk_and_statistics_are_the_other_runs_and_the_head_is_new(pretrained, ema, caplog):
    folder, saved = pretrained
    params, statistics = saved.ema if ema else (saved.params, saved.model_state)
    caplog.set_level("INFO", logger="cnnlab")
    found = small.build(start(folder, init_from__ema=ema, ema_decay=0.5)).state
    own = small.build(small.config(**SECOND, ema_decay=0.5)).state
    for module in ("hidden1", "hidden1_norm"):
        assert_same(found.params[module], params[module])
    assert_same(found.model_state, statistics)
    assert_same(found.params["logits"], own.params["logits"])
    assert_same(found.ema, (found.params, found.model_state))
    # 64 * 16 weights and 2 * 16 of the norm, of these and 17 * 5 of the head.
    average = ", moving average" if ema else ""
    message = (
        f"init_from: 1,056 of 1,141 parameters from step 40 of {folder}{average}; at their "
        "initial values: logits"
    )
    assert message in [record.getMessage() for record in caplog.records]


def test_average_and_parameters_differ(pretrained):
    _, saved = pretrained
    assert (saved.ema[0]["hidden1"]["kernel"] != saved.params["hidden1"]["kernel"]).any()


def test_nothing_skipped_takes_everything_from_the_step_asked_for(pretrained):
    folder, _ = pretrained
    settings = small.config(
        **FIRST,
        init_from__path=str(folder),
        init_from__checkpoint="20",
        init_from__ema=False,
    )
    found = small.build(settings).state.params
    checkpoints = Checkpoints(folder / "checkpoints", read_only=True)
    saved = checkpoints.read(20, "params")
    assert saved.keys() == {f"params/{name}" for name in leaves(found)}
    for name, value in leaves(found).items():
        np.testing.assert_array_equal(value, saved[f"params/{name}"])


def test_every_strategy_starts_alike_and_takes_the_same_step(pretrained):
    folder, _ = pretrained

    def one_step(**changes):
        parts = small.build(
            start(
                folder,
                freeze=("^hidden1/",),
                optimizer__multipliers=(("bias$", 2.0),),
                parallel__sync_bn=True,
                **changes,
            )
        )
        before = jax.device_get(parts.state.params)
        batch = parts.parallel.place_batch(next(parts.train.batches(0)))
        state, report = parts.train_step(parts.state, batch, parts.data)
        jax.block_until_ready(report)
        return before, jax.device_get(state.params)

    before, after = one_step()
    for strategy in ("pmap", "jit", "fsdp"):
        many_before, many_after = one_step(parallel__devices=8, parallel__strategy=strategy)
        assert_same(before, many_before)
        assert_same(before["hidden1"], many_after["hidden1"])
        for name, value in leaves(after).items():
            where = f"{strategy}: {name}"
            np.testing.assert_allclose(leaves(many_after)[name], value, atol=2e-5, err_msg=where)


def test_a_linear_probe_of_a_transferred_trunk_learns_the_new_classes(pretrained, tmp_path):
    # Real digits from end to end: 20 labels of each of five new classes.
    folder, saved = pretrained
    settings = start(
        folder,
        freeze=("trunk",),
        data__train__per_class=20,
        evaluate__splits=(),
        checkpoint__best="",
        optimizer__learning_rate=0.5,
        steps=60,
    )
    loop, state = small.train(settings, tmp_path / "probe")
    found = final_report.evaluate_splits(loop.setup, state, ["validation", "test"])
    values = final_report.scalars(found)
    # Chance is 0.2.
    assert values["test/accuracy"] > 0.6
    assert values["validation/accuracy"] > 0.6
    assert loop.setup.train.count == 100
    assert_same(jax.device_get(state.params["hidden1"]), saved.ema[0]["hidden1"])


def test_a_run_that_goes_on_does_not_look_at_the_weights_again(pretrained, tmp_path):
    import experiments

    settings = start(
        pretrained[0], freeze=("^hidden1/",), optimizer__multipliers=(("^logits/", 0.5),)
    )
    _, whole = small.train(settings, tmp_path / "run")
    # What a kill before the last checkpoint leaves behind; and the weights are gone.
    (tmp_path / "run" / "checkpoints" / "12").rename(tmp_path / "unsaved")
    with settings.unlocked():
        settings.init_from.path = str(tmp_path / "gone")
    assert run_folder.has_checkpoints(tmp_path / "run")
    assert not run_folder.has_checkpoints(tmp_path)
    experiment = experiments.create(settings.experiment.to_dict(), settings.model.to_dict())
    loop = small.Loop(setup.make(settings, experiment, resume=True), tmp_path / "run")
    assert loop.step == 8
    state, _, _ = loop.run()
    loop.checkpoints.close()
    assert_same(jax.device_get(state), jax.device_get(whole))


WRONG = {
    "there is no such folder or file": dict(init_from__path="/no/such/place"),
    "needs latest, best or a step of 20, 40": dict(init_from__checkpoint="30"),
    "'heads' matches no parameter; the modules are: hidden1, hidden1_norm, logits": dict(
        init_from__skip=("heads",)
    ),
    "init_from.skip: '(' is no regular expression": dict(init_from__skip=("(",)),
    "init.name='lsuv' and init_from.path=": dict(init__name="lsuv"),
    # Only the head: what to do about it.
    "logits/kernel is 16×5, the model's 16×10; start it anew with "
    "--config.init_from.skip=\"('head',)\"": dict(
        init_from__skip=(), model__num_classes=10, data__classes=()
    ),
    "does not fit the model: hidden1/kernel is 64×16, the model's 64×8, ": dict(model__hidden=(8,)),
    "hidden2/kernel is missing": dict(model__hidden=(16, 8)),
    "hidden1_norm/bias is extra, hidden1_norm/scale is extra, hidden1_norm/mean is extra": dict(
        model__norm=""
    ),
}


@pytest.mark.parametrize("message", WRONG)
@pytest.mark.sample(4)
def test_what_does_not_fit_is_named_before_anything_is_compiled(pretrained, message, monkeypatch):
    def compiled(*_, **__):
        raise AssertionError("something was compiled")

    monkeypatch.setattr(setup.jax, "jit", compiled)
    with pytest.raises(UserError) as error:
        small.build(start(pretrained[0], **WRONG[message]))
    assert message in str(error.value)


def test_long_lists_are_cut_and_auxiliary_classifiers_are_distinguished_from_the_head():
    shapes = {f"params/layer{n:02}/kernel": (1,) for n in range(12)}
    with pytest.raises(UserError, match=r"layer09/kernel is missing and 2 more$"):
        transfer._choose(shapes, {}, (), "x")
    with pytest.raises(UserError, match=r"skip=\"\('\^auxiliary',\)\""):
        transfer._choose({"params/auxiliary1/conv/kernel": (1,)}, {}, (), "x")


def test_other_preprocessing_and_another_kind_of_model_are_warned_of(pretrained, caplog):
    folder, _ = pretrained
    changes = dict(data__normalize={"mean": (0.5,), "std": (0.5,)}, model__activation="tanh")
    small.build(start(folder, **changes))
    assert '--config.data.normalize.mean="(0.0,)" --config.data.normalize.std="(1.0,)"' in (
        caplog.text
    )
    assert "model differs in activation: relu -> tanh" in caplog.text
    caplog.clear()
    small.build(start(folder, model__dropout=0.5))
    assert not [r for r in caplog.records if r.levelno == logging.WARNING and "init_from" in r.msg]


def test_one_number_stands_for_all_channels():
    assert transfer._same((0.5,), (0.5, 0.5, 0.5))
    assert not transfer._same((0.5, 0.5, 0.4), (0.5, 0.5, 0.5))


def test_a_file_of_weights_serves_too(tmp_path, caplog):
    from cnnlab import pretrained as weights

    # The size of the images that the file's model is for.
    size = cfg.preprocess(resize={"size": 32, "mode": "exact"})
    entries = {**SECOND, "data__train__preprocess": size, "data__eval__preprocess": size}
    saved = small.build(small.config(**entries, seed=1)).state
    file = tmp_path / "mlp.safetensors"
    fields = dict(hidden=(16,), norm="batch", preprocessing=weights.Preprocessing())
    weights.save("mlp", {"params": saved.params, **saved.model_state}, file, **fields)
    found = small.build(start(file, **entries)).state
    assert_same(found.params["hidden1"], saved.params["hidden1"])
    assert (found.params["logits"]["kernel"] != saved.params["logits"]["kernel"]).any()
    assert_same(found.model_state, saved.model_state)
    # A file says what its images underwent.
    assert "the weights of" in caplog.text
    assert "--config.data.normalize.mean" in caplog.text


@pytest.mark.slow
def test_a_files_average_is_taken_unless_refused_and_other_fields_are(tmp_path):
    import safetensors.numpy

    model = dict(SECOND, data__classes=(), model__num_classes=10, model__norm="")
    size = cfg.preprocess(resize={"size": 32, "mode": "exact"})
    model |= {"data__train__preprocess": size, "data__eval__preprocess": size}
    params = jax.device_get(small.build(small.config(**model)).state.params)
    weights = {f"params/{name}": value for name, value in leaves(params).items()}
    file, header = tmp_path / "mlp.safetensors", {"model": "mlp"}
    both = {f"model.{name}": value for name, value in weights.items()}
    both |= {f"model_ema.{name}": value + 1 for name, value in weights.items()}
    safetensors.numpy.save_file(both, file, header | {"arguments": '{"hidden": [16]}'})
    for ema, more in ((True, 1), (False, 0)):
        settings = small.config(**model, init_from__path=str(file), init_from__ema=ema)
        found = leaves(small.build(settings).state.params)
        for name, value in leaves(params).items():
            np.testing.assert_array_equal(found[name], value + more)
    fields = '{"hidden": [16], "activation": "tanh"}'
    safetensors.numpy.save_file(weights, file, header | {"arguments": fields})
    with pytest.raises(UserError, match=r"was trained with activation='tanh', where mlp has"):
        small.build(small.config(**model, init_from__path=str(file)))
    # A field that is not the default is one's own choice.
    small.build(small.config(**model, model__activation="scaled_tanh", init_from__path=str(file)))


def test_a_damaged_checkpoint_is_not_taken(pretrained, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(pretrained[0], folder)
    for file in (folder / "checkpoints" / "40" / "state").rglob("*"):
        if file.is_file():
            data = bytearray(file.read_bytes())
            data[len(data) // 2] ^= 0xFF
            file.write_bytes(bytes(data))
    with pytest.raises(UserError, match=r"cannot be read|is damaged"):
        small.build(start(folder))


NESTED = {"name": "mlp", "hidden": (16,), "norm": "batch", "num_classes": 0}


def nested(path, **changes):
    model = cfg.model("own_parts:Detector", backbone=NESTED)
    start = {"path": str(path), "skip": ("head",), "module": "backbone"}
    entries = {f"init_from__{key}": value for key, value in {**start, **changes}.items()}
    return small.config(model=model, **entries)


def test_a_run_whose_weights_are_nan_is_refused(pretrained, tmp_path):
    folder, state = pretrained
    shutil.copytree(folder, tmp_path / "run")
    params = jax.tree.map(lambda x: np.full_like(x, np.nan), state.params)
    checkpoints = Checkpoints(tmp_path / "run/checkpoints")
    checkpoints.save(state.replace(step=np.asarray(41), params=params), {}, None)
    checkpoints.close()
    with pytest.raises(UserError, match=r"values of params/hidden1/kernel are NaN or infinite"):
        small.build(start(tmp_path / "run", init_from__ema=False))
    found = small.build(start(tmp_path / "run", init_from__checkpoint="40")).state
    assert_same(found.params["hidden1"], state.ema[0]["hidden1"])


def test_a_run_gives_its_parameters_to_a_model_in_another(pretrained):
    folder, saved = pretrained
    params, statistics = saved.ema
    found = small.build(nested(folder)).state
    own = small.build(small.config(model=cfg.model("own_parts:Detector", backbone=NESTED))).state
    assert_same(found.params["backbone"], {k: v for k, v in params.items() if k != "logits"})
    assert_same(found.model_state["batch_stats"]["backbone"], statistics["batch_stats"])
    assert_same(found.params["boxes"], own.params["boxes"])
    with pytest.raises(UserError, match="'bakbone' is no model in 'own_parts:Detector'; did"):
        small.build(nested(folder, module="bakbone"))


def test_a_file_of_weights_is_for_a_model_in_another(tmp_path):
    from cnnlab import models, pretrained

    fields = {"width": 0.125, "depths": (1,), "widths": (64,), "stem": "cifar"}
    trained = models.create("resnet18", **fields)
    variables = trained.init(jax.random.key(5), np.zeros((1, 8, 8, 1), np.float32))
    path = tmp_path / "resnet.safetensors"
    pretrained.save(trained, variables, path)
    settings = nested(path, skip=())
    settings.model = cfg.model("own_parts:Detector", backbone={"name": "resnet18", **fields})
    params = small.build(settings).state.params
    assert_same(params["backbone"]["stage1"], variables["params"]["stage1"])
    assert "logits" not in params["backbone"]
