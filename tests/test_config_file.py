"""Config files are held to the entries and types of `base()`, and complete."""

import pytest

from cnnlab import config as cfg
from cnnlab import config_file
from cnnlab.errors import UserError

START = """from cnnlab import config as cfg
def get_config(variant="default"):
    config = cfg.base()
    config.model = cfg.model("resnet20", width=0.5)
    {}
    return config
"""


@pytest.fixture
def load(tmp_path):
    def load(body, text=START):
        path = tmp_path / "mine.py"
        path.write_text(text.format(body))
        return config_file.load(str(path))

    return load


@pytest.mark.parametrize(
    ("message", "body"),
    {
        "line 5: .*'augmnt'; did you mean 'augment'": "config.data.train.augmnt = {}",
        "line 5: .*'widht'; did you mean 'width'": "config.model.widht = 2.0",
        "no entry 'evry' in evaluate; did you mean 'every'": 'config.evaluate = {"evry": 5}',
        "no entry 'facto' in schedule.step": 'config.schedule.step = {"facto": 5}',
        "no entry 'widht' in model \\('resnet18'\\)": (
            'config.model = {"name": "resnet18", "widht": 1}'
        ),
        "unknown evaluator 'knnn'": 'config.representation.evaluators = {"knnn": {}}',
        "no entry 'kk' in representation.evaluators.knn": (
            'config.representation.evaluators.knn = {"kk": 3}'
        ),
        "line 5: .*config.floors is now config.representation.baselines": "config.floors = ()",
        "line 5: .*config.evaluators is now config.representation.evaluators": (
            "config.evaluators.knn = {}"
        ),
        "line 5: .*config.experiment.cure is now config.experiment.method": (
            'config.experiment = cfg.experiment("joint_embedding"); config.experiment.cure = "byol"'
        ),
        "line 5: experiment 'joint_embedding' has no argument 'cure'; it is now 'method'": (
            'config.experiment = cfg.experiment("joint_embedding", cure="byol")'
        ),
        "unknown experiment 'invariant'; it is now 'joint_embedding'": (
            'config.experiment = cfg.experiment("invariant")'
        ),
        "config.controls is now config.representation.controls": (
            "config.unlock(); config.controls = ()"
        ),
        "no entry 'foo'": "config.unlock(); config.foo = 3",
        "without evaluate: start from cnnlab.config.base": "config.unlock(); del config.evaluate",
        "data.normalize.mean needs a tuple, not 0.1": 'config.data.normalize = {"mean": 0.1}',
        "evaluate.every needs a whole number, not '5'": 'config.evaluate = {"every": "5"}',
        "steps needs a whole number, not None": "config.steps = None",
        "steps needs a whole number, not True": "config.steps = True",
        "model needs a dictionary, not None": "config.model = None",
        "model has no name": "config.model = {}",
        "model.width needs a number, not 'wide'": 'config.model = cfg.model("vgg16", width="wide")',
        "data.eval.splits.a needs text": 'config.data.eval.splits = {"a": 3}',
        "data.train.augment.flip needs a dictionary": 'config.data.train.augment = {"flip": 3}',
        "model.name = 'resnet18' would keep the fields of 'resnet20'": (
            'config.model.name = "resnet18"'
        ),
        "experiment.name = 'siamese' would keep the fields of 'triplet'": (
            'config.experiment = cfg.experiment("triplet"); config.experiment.name = "siamese"'
        ),
    }.items(),
)
def test_misspelled_entry_or_wrong_type_in_a_file_is_refused(message, body, load):
    with pytest.raises(UserError, match=rf"mine\.py.*{message}"):
        load(body)


@pytest.mark.parametrize(
    ("message", "text"),
    {
        "returned None": "def get_config(): pass",
        "returned dict": "def get_config(): return dict(steps=3)",
        "returned a config without accumulation, batch_size": (
            "from ml_collections import ConfigDict\ndef get_config(): return ConfigDict()"
        ),
    }.items(),
)
def test_what_is_no_config_is_named(message, text, load):
    with pytest.raises(UserError, match=rf"mine\.py: get_config\(\) {message}"):
        load("", text)


def test_dictionaries_may_be_assigned_whole_and_are_completed(load):
    config = load(
        'config.evaluate = {"every": 7, "splits": ["test"]}\n'
        '    config.schedule.step = {"boundaries": (0.3,), "factor": 1}\n'
        '    config.data.eval.splits.extra = "train[:10]"\n'
        '    config.representation.evaluators.knn = {"k": 3}\n'
        '    config.model = {"name": "resnet18", "num_classes": None}; config.init.name = "lsuv"'
    )
    assert config.evaluate.to_dict() == {"every": 7, "batch_size": 256, "splits": ("test",)}
    assert type(config.schedule.step.factor) is float
    assert config.representation.evaluators.knn.to_dict() == {
        **cfg.evaluators(knn={}).knn.to_dict(),
        "k": 3,
    }
    assert config.model.to_dict() == cfg.model("resnet18", num_classes=None).to_dict()
    assert config.is_locked
    assert config.representation.evaluators.is_locked


def test_scalars_of_numpy_and_jax_become_numbers(load):
    body = """import jax.numpy as jnp, numpy as np
    config.model = cfg.model("resnet20", width=jnp.float32(0.5), num_classes=np.int64(3))"""
    model = load(body).model
    assert (type(model.width), model.width) == (float, 0.5)
    assert (type(model.num_classes), model.num_classes) == (int, 3)
    with pytest.raises(UserError, match=r"warmup needs a number, not .*: write float\(\.\.\.\)"):
        load("import jax.numpy as jnp; config.schedule.warmup = jnp.float32(0.25)")


def test_entry_that_follows_another_one_still_does(load):
    config = load('config.evaluate.every = config.get_oneway_ref("steps")')
    config.steps = 70
    assert config.evaluate.every == 70


@pytest.mark.parametrize(
    ("body", "every"),
    {
        "config.eval_every = 7": (7, 7),
        "config.eval_every = 7; config.evaluate.every = 3": (3, 7),
        "config.eval_every = 7; config.checkpoint.every = 14": (7, 14),
        "config.checkpoint.every = 14; config.eval_every = 7": (7, 14),
        'config.eval_every = 7; config.checkpoint = {"keep": 1}': (7, 7),
    }.items(),
)
def test_evaluations_and_checkpoints_follow_eval_every_unless_set(body, every, load):
    config = load(body)
    assert (config.evaluate.every, config.checkpoint.every) == every


def test_config_of_an_earlier_version_is_completed_and_keeps_what_is_gone():
    saved = cfg.base()
    saved.optimizer.learning_rate = 0.7
    with saved.unlocked():
        del saved.ema_decay
        del saved.optimizer.decay_mask
        saved.gone = 3
    whole = config_file.complete(saved)
    assert (whole.ema_decay, whole.gone) == (0.0, 3)
    assert whole.optimizer.decay_mask == "kernels"
    assert whole.optimizer.learning_rate == 0.7


def test_model_that_an_earlier_version_saved_in_part_is_the_same_model():
    saved = {**cfg.base().to_dict(), "model": {"name": "resnet18", "num_classes": 3}}
    assert cfg.completed(saved)["model"] == cfg.model("resnet18", num_classes=3).to_dict()
    gone = {**saved, "model": {"name": "gone", "width": 3}}
    assert cfg.completed(gone)["model"] == {"name": "gone", "width": 3}


def test_what_a_file_assigns_to_two_places_is_set_in_each_by_itself(tmp_path):
    file = tmp_path / "twice.py"
    file.write_text(
        "from cnnlab import config as cfg\n\n\n"
        "def get_config():\n"
        "    config = cfg.base()\n"
        "    same = cfg.preprocess(resize={'size': 32})\n"
        "    config.data.train.preprocess = config.data.eval.preprocess = same\n"
        "    return config\n"
    )
    given = {"data.eval.preprocess.resize.size": "48"}
    config = config_file.override(config_file.load(str(file)), given)
    config.data.eval.preprocess.resize.size = 48
    assert config.data.train.preprocess.resize.size == 32
    # What follows another entry by intent still does.
    config.eval_every = 7
    assert config.evaluate.every == config.checkpoint.every == 7
