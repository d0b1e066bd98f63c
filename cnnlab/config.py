"""Configs: what every run has, with its default, and helpers that fill in keyword arguments.

A config file's `get_config(variant)` starts from `base()`, changes what its experiment needs and
returns it (`cnnlab.config_file` reads it). Entries are the keyword arguments of the thing they
configure, always all of them, so that every one can be set from the command line.
"""

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

from ml_collections import ConfigDict

from cnnlab import models, objectives
from cnnlab.data.augment import AUGMENT
from cnnlab.data.loading.samplers import SAMPLERS
from cnnlab.data.preprocess.transforms import PREPROCESS
from cnnlab.errors import UserError
from cnnlab.evaluators import find as find_evaluator
from cnnlab.metrics.direction import implied
from cnnlab.training.initialization import INITS
from cnnlab.training.optimizers import OPTIMIZERS
from cnnlab.training.representation_eval import COMMON
from cnnlab.training.schedules import SCHEDULES
from cnnlab.utils.registry import check_keywords, defaults, pick, suggest

# Dictionaries whose keys are the config's own choice, and the type of their values.
OPEN: dict[str, type] = {
    "data.train.preprocess": ConfigDict,
    "data.train.augment": ConfigDict,
    "data.train.second_view": ConfigDict,
    "data.eval.splits": str,
    "data.eval.sources": str,
    "data.eval.preprocess": ConfigDict,
    "evaluators": ConfigDict,
}


def base() -> ConfigDict:
    """Return a config with the default of everything that a run reads.

    It is locked: assigning to an entry that does not exist is an error, but for those in `OPEN`.
    """
    config = ConfigDict()
    config.seed = 0
    config.experiment = {"name": "supervised"}
    config.model = {"name": "lenet5"}
    # What the parameters start from: the model's own random weights, or lsuv.
    config.init = {
        "name": "model",
        **{name: keywords(function) for name, function in INITS.items() if keywords(function)},
    }
    # Parameters of another training: a run's folder or a .pth or .safetensors file, without those
    # whose path matches `skip` ("head": the classifier). Of a run: which checkpoint. Of both,
    # whether to take the moving average where there is one, and which module of the network they
    # are for, such as backbone; "": all of it.
    config.init_from = {"path": "", "skip": (), "checkpoint": "latest", "ema": True, "module": ""}
    # Parameters that stay as they are, by expressions searched in their paths.
    config.freeze = ()

    # The length of a run: one of the two is above zero. A step is one update of the parameters
    # by batch_size examples over all devices, in `accumulation` parts.
    config.steps = 0
    config.epochs = 0.0
    config.batch_size = 64
    config.accumulation = 1

    config.optimizer = {
        "name": "sgd",
        "learning_rate": 0.1,
        "weight_decay": 0.0,
        "clip_norm": 0.0,
        "decay_mask": "kernels",
        # Pairs of an expression and a factor of the learning rate, as in (("/bias$", 2.0),).
        "multipliers": (),
        **{name: keywords(function) for name, function in OPTIMIZERS.items()},
    }
    # warmup: steps, or a fraction of the run if below 1.
    config.schedule = {
        "name": "cosine",
        "warmup": 0.0,
        **{name: keywords(function, "warmup") for name, function in SCHEDULES.items()},
    }
    # Decay of the moving average of parameters and BatchNorm statistics; 0: none. With warm-up the
    # decay of step t is at most (1 + t) / (10 + t), so that it soon forgets the initial values.
    config.ema_decay = 0.0
    config.ema_warmup = True

    config.data = {
        "source": "digits",
        "data_dir": "",
        "keys": ("image", "label"),
        # Names or numbers of the classes to keep, renumbered in this order; (): all.
        "classes": (),
        "placement": "auto",
        "on_corrupt": "stop",
        # per_class: examples drawn of each class, by the seed; 0: all. sampler: which of them make
        # a batch. views: how often each image is augmented; `second_view` has the transforms that
        # the later views undergo in place of the first one's.
        "train": {
            "split": "train",
            "per_class": 0,
            "preprocess": {},
            "augment": {},
            "sampler": {
                "name": "shuffle",
                **{name: keywords(f) for name, f in SAMPLERS.items() if keywords(f)},
            },
            "views": 1,
            "second_view": {},
        },
        # sources: of splits that are another data set's.
        "eval": {
            "splits": {"validation": "validation", "test": "test"},
            "sources": {},
            "preprocess": {},
        },
        "normalize": {"mean": (0.0,), "std": (1.0,)},
        # A geometric transform drops an object of whose box it leaves less than this share.
        "min_visible": 0.0,
        "grain": {"threads": 8, "workers": 0},
    }
    config.evaluate = {"every": 500, "batch_size": 256, "splits": ("validation",)}
    # mode: whether more (max) or less (min) of `best` is better; auto: as its name implies.
    config.checkpoint = {"every": 500, "keep": 2, "best": "validation/accuracy", "mode": "auto"}
    # Evaluations without a gain of more than min_delta in checkpoint.best; 0: never stop early.
    config.early_stopping = {"patience": 0, "min_delta": 0.0}

    config.parallel = {"strategy": "pmap", "devices": 0, "sync_bn": False}
    # Steps in one program; 0: one, or on an accelerator with data on the device, up to 50.
    config.steps_per_dispatch = 0
    # Bit-reproducible kernels where the platform has a choice (slower on GPU).
    config.deterministic = False
    config.log_every = 50
    # Classical baselines on raw pixels that the closing table prints beside the result.
    config.floors = ()
    # Protocols that say how good the representation is; see `evaluators` below.
    config.evaluators = {}
    # What the evaluators look at beside the trained network: pixels; random (the same network with
    # its random weights); supervised (the same network trained on the labels); fine_tune (trained
    # on the labels from the learned weights). The last two are runs in folders of their own.
    config.controls = ()
    config.supervised = dict(LABELED)
    config.fine_tune = dict(LABELED)
    # A picture of the embedding of a split in the plane (pca, tsne or umap) and, with projector,
    # files for TensorBoard's embedding projector.
    config.embedding_view = {
        "split": "",
        "endpoint": "features",
        "view": "pca",
        "limit": 2000,
        "projector": False,
    }
    config.lock()
    for path in OPEN:
        config[path].unlock()
    return config


# Training with labels beside a run: 0 is as in the run itself; per_class: examples of each class.
LABELED = {"steps": 0, "learning_rate": 0.0, "batch_size": 0, "per_class": 0}


def completed(saved: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entries of a config of an earlier version with those that have come since.

    What means the same is the same afterwards: a `checkpoint.mode` that the metric's name implies,
    or contradicts (which the default of earlier versions did for losses), is "auto".
    """

    def fill(entries: Mapping[str, Any], defaults_: Mapping[str, Any]) -> dict[str, Any]:
        filled = {**defaults_, **entries}
        for key, value in defaults_.items():
            if isinstance(value, dict) and isinstance(filled[key], dict):
                filled[key] = fill(filled[key], value)
        return filled

    entries = fill(saved, base().to_dict())
    for part, make in NAMED.items():
        # Without the fields of a model that there is no more.
        with contextlib.suppress(UserError):
            old = {k: _whole_model(v) for k, v in entries[part].items()}
            entries[part] = {**make(old["name"]).to_dict(), **old}
    if implied(entries["checkpoint"]["best"]):
        entries["checkpoint"]["mode"] = "auto"
    if "ema_warmup" not in saved:
        # Moving averages of earlier versions had none; without one there is no difference.
        entries["ema_warmup"] = not entries["ema_decay"]
    return entries


def _whole_model(value: Any) -> Any:
    return models.nested(value) if models.is_nested(value) else value


def keywords(function: Callable, *leave_out: str) -> dict[str, Any]:
    """Return the keyword arguments of `function` with their defaults."""
    return {key: value for key, value in defaults(function).items() if key not in leave_out}


def transforms(table: Mapping[str, Callable], **chosen: Mapping[str, Any]) -> ConfigDict:
    """Return every keyword argument of the chosen transforms, given ones replaced."""
    filled = {}
    for name, given in chosen.items():
        function = pick(table, name, "transform")
        check_keywords(function, given, f"transform '{name}'")
        filled[name] = ConfigDict({**defaults(function), **given}).lock()
    return ConfigDict(filled)


def augment(**chosen: Mapping[str, Any]) -> ConfigDict:
    """Return the entry for `data.train.augment`; `augment(flip={})` takes flip as it is."""
    return transforms(AUGMENT, **chosen)


def preprocess(**chosen: Mapping[str, Any]) -> ConfigDict:
    """Return an entry for `data.train.preprocess` or `data.eval.preprocess`."""
    return transforms(PREPROCESS, **chosen)


def evaluators(**chosen: Mapping[str, Any]) -> ConfigDict:
    """Return the entry for `evaluators`: each with all its keywords, given ones replaced.

    An entry of another key has the evaluator's name, or its place: `cfg.evaluators(
    near={"name": "knn", "k": 1}, mine={"name": "package.module:function"})`.
    """
    return ConfigDict(
        {
            name: ConfigDict(
                {**COMMON, **keywords(find_evaluator(given.get("name", name))), **given}
            ).lock()
            for name, given in chosen.items()
        }
    )


def model(name: str, **given: Any) -> ConfigDict:
    """Return the entry for `model`: its name and every field, given ones replaced.

    A model in it is given as `cfg.model(...)` or a mapping with `name`; it has no classifier unless
    `num_classes` says so. To take another model, assign a new entry: setting `config.model.name` in
    a config file is refused, because the fields of the first would stay. On the command line
    `--config.model.name` takes that model's own defaults, but for `KEPT` and what the command line
    sets itself.
    """
    return _named("model", name, models.fields(name), given)


def nested_model(name: str, **given: Any) -> ConfigDict:
    """Return the entry for a model in another one, or in an objective: `model`, no classifier."""
    return model(**models.nested({"name": name, **given}))


def experiment(name: str, **given: Any) -> ConfigDict:
    """Return the entry for `experiment`: its name and every hyper-parameter; as `model`."""
    return _named("experiment", name, objectives.fields(name), given)


# Entries whose fields are those of what they name.
NAMED: dict[str, Callable[..., ConfigDict]] = {"model": model, "experiment": experiment}
# What another model on the command line keeps: it is of the data and of the machine.
KEPT = {"model": ("num_classes", "dtype", "remat"), "experiment": ()}


def _named(part: str, name: str, fields: Mapping[str, Any], given: Mapping[str, Any]) -> ConfigDict:
    for key in given:
        if key not in fields:
            raise UserError(f"{part} '{name}' has no argument '{key}'{suggest(key, fields)}")
    values = {
        key: nested_model(**value) if models.is_nested(value) else value
        for key, value in {**fields, **given}.items()
    }
    entry = ConfigDict({"name": name, **values}).lock()
    # Not an entry: whose fields these are, when the name has been changed since.
    object.__setattr__(entry, "made_as", name)
    return entry
