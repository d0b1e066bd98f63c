"""Configs: every entry of a run with its default, and functions that make entries by name.

A config file's `get_config(variant)` starts from `base()`, changes what its experiment needs and
returns it (`cnnlab.config_file` reads it). Entries are the keyword arguments of the thing they
configure, always all of them, so that every one can be set from the command line.
"""

import contextlib
import functools
from collections.abc import Callable, Mapping
from types import NoneType
from typing import Any

from ml_collections import ConfigDict

from cnnlab import models
from cnnlab.config_entries import (
    KEPT,
    NAMED,
    augment,
    evaluators,
    experiment,
    keywords,
    model,
    nested_model,
    optimizer,
    preprocess,
    schedule,
    transforms,
    variant,
)
from cnnlab.data.augment import AUGMENT
from cnnlab.data.loading.samplers import SAMPLERS
from cnnlab.data.preprocess.transforms import PREPROCESS
from cnnlab.errors import UserError
from cnnlab.evaluators import EVALUATORS
from cnnlab.metrics.direction import implied
from cnnlab.training import cadence
from cnnlab.training.initialization import INITS
from cnnlab.utils.files import damaged, fault

__all__ = [
    "KEPT",
    "NAMED",
    "OPEN",
    "TABLES",
    "augment",
    "base",
    "completed",
    "evaluators",
    "experiment",
    "keywords",
    "model",
    "nested_model",
    "optimizer",
    "preprocess",
    "schedule",
    "transforms",
    "variant",
]

# Dictionaries whose keys are the config's own choice, and the type of their values.
OPEN: dict[str, type] = {
    "data.train.preprocess": ConfigDict,
    "data.train.augment": ConfigDict,
    "data.train.second_view": ConfigDict,
    "data.eval.splits": str,
    "data.eval.sources": str,
    "data.eval.preprocess": ConfigDict,
    "representation.evaluators": ConfigDict,
}
# The tables that their keys are names of, and what makes an entry of one; evaluators may also be
# under other keys, with `name`.
TABLES: dict[str, tuple[Mapping[str, Any], Callable[..., ConfigDict]]] = {
    "data.train.preprocess": (PREPROCESS, preprocess),
    "data.train.augment": (AUGMENT, augment),
    "data.train.second_view": (AUGMENT, augment),
    "data.eval.preprocess": (PREPROCESS, preprocess),
    "representation.evaluators": (EVALUATORS, evaluators),
}


def base() -> ConfigDict:
    """Return a config with the default of everything that a run reads; `config_docs` says what.

    It is locked: assigning to an entry that does not exist is an error, but for those in `OPEN`.
    """
    config = ConfigDict()
    config.seed = 0
    config.experiment = {"name": "supervised"}
    config.model = {"name": "lenet5"}
    config.init = {
        "name": "model",
        **{name: keywords(function) for name, function in INITS.items() if keywords(function)},
    }
    config.init_from = {"path": "", "skip": (), "checkpoint": "latest", "ema": True, "module": ""}
    config.freeze = ()

    config.steps = 0
    config.epochs = 0.0
    config.batch_size = 64
    config.accumulation = 1

    config.optimizer = optimizer("sgd")
    config.schedule = schedule("cosine")
    config.ema_decay = 0.0
    config.ema_warmup = True

    config.data = {
        "source": "digits",
        "data_dir": "",
        "keys": ("image", "label"),
        "classes": (),
        "placement": "auto",
        "on_corrupt": "stop",
        "exif": "apply",
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
        "eval": {
            "splits": {"validation": "validation", "test": "test"},
            "sources": {},
            "preprocess": {},
        },
        "normalize": {"mean": (0.0,), "std": (1.0,)},
        "min_visible": 0.0,
        "grain": {"threads": 8, "workers": 0},
    }
    config.eval_every = 500
    config.evaluate = {
        "every": config.get_oneway_ref("eval_every"),
        "batch_size": 256,
        "splits": ("validation",),
    }
    config.checkpoint = {
        "every": config.get_oneway_ref("eval_every"),
        "keep": 2,
        "best": "validation/accuracy",
        "mode": "auto",
    }
    config.early_stopping = {"patience": 0, "min_delta": 0.0}

    config.parallel = {"strategy": "pmap", "devices": 0, "sync_bn": False}
    config.steps_per_dispatch = 0
    config.deterministic = False
    config.log_every = 50
    config.representation = {
        "baselines": (),
        "evaluators": {},
        "controls": (),
        "supervised": dict(CONTROL_RUN),
        "fine_tune": dict(CONTROL_RUN),
        "embedding_view": {
            "split": "",
            "endpoint": "features",
            "view": "pca",
            "limit": 2000,
            "projector": False,
        },
    }
    config.lock()
    for path in OPEN:
        _at(config, path).unlock()
    return config


# Of a supervised control.
CONTROL_RUN = {"steps": 0, "learning_rate": 0.0, "batch_size": 0, "per_class": 0}


def completed(saved: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entries of a config of an earlier version with those that have come since.

    What means the same is the same afterwards: a `checkpoint.mode` that the metric's name implies,
    or contradicts (which the default of earlier versions did for losses), is "auto".

    Raises:
        UserError: an entry is of another type.
    """
    if wrong := fault(saved, _form(base().to_dict())):
        raise damaged("the saved config", wrong, "restore it, or use a new folder")

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
    # Versions before did not shorten them with the run.
    cadence.fit(entries)
    # A default alone: what it stands for is compared by itself.
    entries["eval_every"] = entries["evaluate"]["every"]
    if "ema_warmup" not in saved:
        # Moving averages of earlier versions had none; without one there is no difference.
        entries["ema_warmup"] = not entries["ema_decay"]
    return entries


def _form(default: Any, path: str = "") -> Any:
    """Return the form, as `files.fault` takes it, of a saved entry with this default."""
    if isinstance(default, Mapping) and path not in (*OPEN, *NAMED):
        prefix = f"{path}." if path else ""
        return {f"{key}?": _form(value, f"{prefix}{key}") for key, value in default.items()}
    forms = {NoneType: object, tuple: (list, tuple), float: (float, int)}
    return forms.get(type(default), type(default))


def _whole_model(value: Any) -> Any:
    return models.nested(value) if models.is_nested(value) else value


def _at(config: ConfigDict, path: str) -> ConfigDict:
    return functools.reduce(lambda entry, key: entry[key], path.split("."), config)
