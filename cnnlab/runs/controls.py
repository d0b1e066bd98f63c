"""Training with labels that a learned representation is compared with, as configs of their own.

    supervised   the same network from random weights, on the labels: what the representation would
                 be worth if labels were there
    fine_tune    the same from the learned weights

Both take data, network, optimizer and length of the run; `config.supervised` and
`config.fine_tune` change them.
"""

from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from cnnlab import config as cfg
from cnnlab.utils.registry import pick_all
from cnnlab.data.loading import pipeline
from cnnlab.errors import UserError

LABELED = {
    "supervised": "the same network trained on the labels",
    "fine_tune": "the same network trained on the labels from the learned weights",
}
CONTROLS = {
    "pixels": "the inputs themselves",
    "random": "the same network with its random weights",
    **LABELED,
}


def check(config: Any) -> None:
    """Raise a `UserError` for a control that there is not."""
    pick_all(CONTROLS, config.controls, "controls", "control")
    if set(config.controls) & set(LABELED) and "label" not in config.data["keys"]:
        raise UserError("controls with labels need 'label' in data.keys")


def check_data(config: Any, name: str, parallel: Any) -> None:
    """Raise a `UserError` for a control that its labels are too few for, before the run trains.

    Args:
        config: of the control, from `derive`.
        name: of the control.
        parallel: the strategy.
    """
    parallel.local_batch(config.batch_size, f"{name}.batch_size")
    part = config.data.train
    options = {"per_class": part.per_class, "seed": config.seed}
    count = len(pipeline.open_split(config.data.to_dict(), part.split, **options))
    if config.batch_size > count:
        raise UserError(
            f"{name}.batch_size={config.batch_size} is larger than its training set of {count} "
            f"examples: set --config.{name}.batch_size={count} or less"
        )


def derive(config: Any, name: str, workdir: Path, info: Any) -> ConfigDict:
    """Return the config of a run with labels.

    Args:
        config: of the run that it is compared with.
        name: one of `LABELED`.
        workdir: folder of that run.
        info: of its training source.

    Raises:
        UserError: the data set has no classes.
    """
    if not info.class_names:
        raise UserError(f"controls: '{name}' needs classes, and '{info.name}' names none")
    new = ConfigDict(config.to_dict())
    new.experiment = cfg.experiment("supervised")
    # A person's own model may have as many outputs as it has.
    classes = {"num_classes": len(info.class_names)} if "num_classes" in config.model else {}
    new.model = cfg.model(**{**config.model.to_dict(), **classes})
    new.init_from = cfg.base().init_from
    if name == "fine_tune":
        new.init_from.path, new.init_from.skip = str(workdir), ("head",)
    changes = config[name]
    new.steps, new.epochs = changes.steps or config.steps, config.epochs
    if changes.steps:
        new.epochs = 0.0
    new.batch_size = changes.batch_size or config.batch_size
    new.optimizer.learning_rate = changes.learning_rate or config.optimizer.learning_rate
    train = new.data.train
    train.per_class = changes.per_class or config.data.train.per_class
    train.sampler, train.views, train.second_view = cfg.base().data.train.sampler, 1, ConfigDict()
    for entry in new.evaluators.values():
        entry.every = 0
        entry.endpoint = _features(entry.endpoint)
    # The last state: there is nothing to select it by that the other run had not.
    new.checkpoint.best, new.early_stopping.patience = "", 0
    new.controls, new.floors, new.embedding_view.split = (), (), ""
    return new.lock()


def _features(endpoint: str | tuple[str, ...]) -> str | tuple[str, ...]:
    """Return the endpoints with "features" for "embedding", which are logits in this network."""
    if isinstance(endpoint, str):
        return "features" if endpoint == "embedding" else endpoint
    return tuple(dict.fromkeys("features" if e == "embedding" else e for e in endpoint))
