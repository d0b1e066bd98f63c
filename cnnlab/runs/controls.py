"""Supervised controls: the configs of trainings on labels to compare a representation with.

    supervised   the same network, trained on the labels from random weights
    fine_tune    the same network, trained on the labels from the learned weights

Both take data, network, optimizer and length of the run; `config.representation.supervised` and
`config.representation.fine_tune` change them.
"""

from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from cnnlab import config as cfg
from cnnlab.data.loading import pipeline
from cnnlab.errors import UserError
from cnnlab.utils.registry import pick_all

SUPERVISED_CONTROLS = {
    "supervised": "the same network trained on the labels",
    "fine_tune": "the same network trained on the labels from the learned weights",
}
CONTROLS = {
    "pixels": "the inputs themselves",
    "random": "the same network with its random weights",
    **SUPERVISED_CONTROLS,
}


def check(config: Any) -> None:
    """Raise a `UserError` for an unknown control, or a supervised one without labels."""
    chosen = config.representation.controls
    pick_all(CONTROLS, chosen, "representation.controls", "control")
    if set(chosen) & set(SUPERVISED_CONTROLS) and "label" not in config.data["keys"]:
        raise UserError("representation.controls: supervised ones need 'label' in data.keys")


def check_data(config: Any, name: str, parallel: Any) -> None:
    """Raise a `UserError` for a control with fewer labels than a batch, before the run trains.

    Args:
        config: of the control, from `derive`.
        name: of the control.
        parallel: the strategy.
    """
    entry = f"representation.{name}.batch_size"
    parallel.local_batch(config.batch_size, entry)
    part = config.data.train
    options = {"per_class": part.per_class, "seed": config.seed}
    count = len(pipeline.open_split(config.data.to_dict(), part.split, **options))
    if config.batch_size > count:
        raise UserError(
            f"{entry}={config.batch_size} is larger than its training set of {count} "
            f"examples: set --config.{entry}={count} or less"
        )


def derive(config: Any, name: str, workdir: Path, info: Any) -> ConfigDict:
    """Return the config of a supervised control.

    Args:
        config: of the run that it is compared with.
        name: one of `SUPERVISED_CONTROLS`.
        workdir: folder of that run.
        info: of its training source.

    Raises:
        UserError: the data set has no classes.
    """
    if not info.class_names:
        raise UserError(
            f"representation.controls: '{name}' needs classes, and '{info.name}' names none"
        )
    new = ConfigDict(config.to_dict())
    new.experiment = cfg.experiment("supervised")
    # A model from outside the project may have no field for its number of outputs.
    classes = {"num_classes": len(info.class_names)} if "num_classes" in config.model else {}
    new.model = cfg.model(**{**config.model.to_dict(), **classes})
    new.init_from = cfg.base().init_from
    if name == "fine_tune":
        new.init_from.path, new.init_from.skip = str(workdir), ("head",)
    changes = config.representation[name]
    new.steps, new.epochs = changes.steps or config.steps, config.epochs
    if changes.steps:
        new.epochs = 0.0
    new.batch_size = changes.batch_size or config.batch_size
    new.optimizer.learning_rate = changes.learning_rate or config.optimizer.learning_rate
    train = new.data.train
    train.per_class = changes.per_class or config.data.train.per_class
    train.sampler, train.views, train.second_view = cfg.base().data.train.sampler, 1, ConfigDict()
    representation = new.representation
    for entry in representation.evaluators.values():
        entry.every = 0
        entry.endpoint = _features(entry.endpoint)
    # The last state, as in the run that it is compared with.
    new.checkpoint.best, new.early_stopping.patience = "", 0
    representation.controls, representation.baselines = (), ()
    representation.embedding_view.split = ""
    return new.lock()


def _features(endpoint: str | tuple[str, ...]) -> str | tuple[str, ...]:
    """Return the endpoints with "features" for "embedding", which are logits in this network."""
    if isinstance(endpoint, str):
        return "features" if endpoint == "embedding" else endpoint
    return tuple(dict.fromkeys("features" if e == "embedding" else e for e in endpoint))
