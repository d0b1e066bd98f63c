"""What each entry of a config is: documentation, type, choices and default.

`ENTRIES` has those of `cnnlab.config.base()`. Those of a part (an optimizer, a model, a transform)
are in the docstring of the function or class that takes them, of its bases, or of its module.
"""

import dataclasses
import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal, get_args, get_origin

from ml_collections import ConfigDict

from cnnlab import config as cfg
from cnnlab import models, objectives
from cnnlab.classical.baselines import BASELINES
from cnnlab.config_file import ALSO
from cnnlab.data.argument_types import Limit
from cnnlab.data.builders import EMBEDDED
from cnnlab.data.loading.pipeline import ON_CORRUPT, PLACEMENTS
from cnnlab.data.loading.samplers import SAMPLERS
from cnnlab.data.sources.info import PATH_SOURCES
from cnnlab.data.sources.source import EXIF
from cnnlab.evaluators import find as find_evaluator
from cnnlab.metrics.direction import MODES
from cnnlab.plots.projections import VIEWS
from cnnlab.runs.controls import CONTROLS
from cnnlab.training import representation_entries
from cnnlab.training.initialization import INITS
from cnnlab.training.optimizers import DECAY_MASKS, OPTIMIZERS
from cnnlab.training.parallel import STRATEGIES
from cnnlab.training.schedules import SCHEDULES
from cnnlab.utils.docstrings import arguments, first_line
from cnnlab.utils.user_file import KINDS

ENTRIES = arguments("""
Args:
    seed: of initial weights, order of examples, augmentation and everything else that is drawn.
    experiment: the objective, with its hyper-parameters.
    experiment.name: the objective.
    model: the network, with its fields.
    model.name: the network, or package.module:Name of a Flax module.
    init: what the parameters start from.
    init.name: the model's own random weights, or lsuv.
    init_from: parameters of another training in place of random ones.
    init_from.path: folder of a run, or a file of weights (.pth, .safetensors, .h5); "": none.
    init_from.skip: expressions; parameters whose path has one keep their random values. "head" is
        the classifier.
    init_from.checkpoint: of a run: latest, best or a step.
    init_from.ema: take the moving average of the parameters where there is one.
    init_from.module: module of the network that they are for, as backbone; "": all of it.
    freeze: expressions; parameters whose path has one stay as they are.

    steps: updates of the parameters in the whole run. Either steps or epochs is above 0.
    epochs: passes over the training examples in the whole run, in place of steps.
    batch_size: examples an update, over all devices.
    accumulation: parts that a batch is computed in, one after another.

    optimizer: the optimizer, with the hyper-parameters of each.
    optimizer.name: the optimizer; its own hyper-parameters are under its name.
    optimizer.learning_rate: the full rate; the schedule multiplies it.
    optimizer.weight_decay: coefficient of the decay; 0: none.
    optimizer.clip_norm: largest global norm of the gradient; 0: no limit.
    optimizer.decay_mask: parameters that decay. kernels leaves out biases and norm scales,
        not_depthwise depthwise filters too.
    optimizer.multipliers: pairs of an expression and a factor of the learning rate, as
        (("/bias$", 2.0),).
    schedule: the learning rate by step, with the arguments of each schedule.
    schedule.name: the schedule; its own arguments are under its name.
    schedule.warmup: steps of the linear warm-up, or a fraction of the run if below 1.
    ema_decay: decay of the moving average of parameters and BatchNorm statistics; 0: none.
    ema_warmup: bound the decay of step t by (1 + t) / (10 + t), so that the average soon forgets
        the initial values.

    data: the data set and what is done to its examples.
    data.source: a prepared set, PREFIX:PATH of files, or package.module:Name; see launch.py data.
    data.data_dir: folder of prepared sets; "": that of CNNLAB_DATA.
    data.keys: what an example consists of.
    data.classes: names or numbers of the classes to keep, renumbered in this order; (): all.
    data.placement: where the training examples lie.
    data.on_corrupt: what to do about an example that cannot be read.
    data.exif: what to do about the EXIF orientation of image files.
    data.train.split: split expression, as train[:80%].
    data.train.per_class: examples drawn of each class, by the seed; 0: all.
    data.train.preprocess: transforms of single examples on the host, before batches are made.
    data.train.augment: random transforms of batches on the device.
    data.train.sampler: which examples make a batch.
    data.train.sampler.name: the sampler; its own arguments are under its name.
    data.train.views: how often each image is augmented.
    data.train.second_view: transforms of the later views in place of those of the first.
    data.eval.splits: split expression of each split that is evaluated, by its name.
    data.eval.splits.*: split expression, as train[:80%].
    data.eval.sources: data set of a split, where it is another one.
    data.eval.sources.*: as data.source.
    data.eval.preprocess: transforms of single examples before evaluation.
    data.normalize.mean: subtracted from images, a number a channel or one for all.
    data.normalize.std: images are divided by it, a number a channel or one for all.
    data.min_visible: a geometric transform drops an object of whose box it leaves less than this
        share.
    data.grain.threads: threads that read and preprocess, where placement is grain.
    data.grain.workers: processes that do, each with its threads; 0: the training process alone.

    eval_every: steps between two evaluations, and two checkpoints.
    evaluate.every: steps between two evaluations; eval_every unless set.
    evaluate.batch_size: examples a batch, over all devices.
    evaluate.splits: splits evaluated during training; the first is what evaluators choose on.
    checkpoint.every: steps between two checkpoints; eval_every unless set.
    checkpoint.keep: checkpoints kept beside the best one.
    checkpoint.best: metric, as SPLIT/METRIC, of the best checkpoint; "": there is none.
    checkpoint.mode: whether more or less of it is better; auto: as its name implies.
    early_stopping.patience: evaluations without a gain before the run stops; 0: never.
    early_stopping.min_delta: least gain of checkpoint.best that counts.

    parallel.strategy: how a step is divided among devices.
    parallel.devices: how many to use; 0: all.
    parallel.sync_bn: share BatchNorm's batch statistics between the replicas of pmap.
    steps_per_dispatch: steps in one program; 0: one, or on an accelerator with data on the device
        up to 50.
    deterministic: bit-reproducible kernels where the platform has a choice; slower on GPU.
    log_every: steps between two lines of metrics.

    representation.baselines: classical classifiers on raw pixels, in the closing table.
    representation.evaluators: evaluation protocols of the features, each with its keywords.
    representation.controls: features to compare with those of the trained network.
    representation.supervised: the control that trains the same network on the labels.
    representation.supervised.steps: length of the control; 0: that of the run.
    representation.supervised.learning_rate: of the control; 0: that of the run.
    representation.supervised.batch_size: of the control; 0: that of the run.
    representation.supervised.per_class: examples of each class; 0: as many as the run has.
    representation.fine_tune: the control that trains on the labels from the learned weights.
    representation.fine_tune.steps: length of the control; 0: that of the run.
    representation.fine_tune.learning_rate: of the control; 0: that of the run.
    representation.fine_tune.batch_size: of the control; 0: that of the run.
    representation.fine_tune.per_class: examples of each class; 0: as many as the run has.
    representation.embedding_view.split: split whose features are drawn in two dimensions; "": no
        figure.
    representation.embedding_view.endpoint: of the model, or "embedding".
    representation.embedding_view.view: the projection.
    representation.embedding_view.limit: most examples drawn.
    representation.embedding_view.projector: write files for TensorBoard's embedding projector too.
""")

CHOICES: dict[str, Callable[[], Iterable[str]]] = {
    "experiment.name": objectives.available,
    "model.dtype": lambda: sorted(models.DTYPES),
    "model.name": lambda: [f"{len(models.MODELS)} models (launch.py models)"],
    "init.name": lambda: INITS,
    "optimizer.name": lambda: OPTIMIZERS,
    "optimizer.decay_mask": lambda: DECAY_MASKS,
    "schedule.name": lambda: SCHEDULES,
    "data.source": lambda: [*EMBEDDED, *(f"{kind}:PATH" for kind in PATH_SOURCES), "..."],
    "data.placement": lambda: PLACEMENTS,
    "data.on_corrupt": lambda: ON_CORRUPT,
    "data.exif": lambda: EXIF,
    "data.train.sampler.name": lambda: SAMPLERS,
    "checkpoint.mode": lambda: MODES,
    "parallel.strategy": lambda: STRATEGIES,
    "representation.baselines": lambda: BASELINES,
    "representation.controls": lambda: CONTROLS,
    "representation.embedding_view.view": lambda: VIEWS,
    **{path: functools.partial(iter, table) for path, (table, _) in cfg.TABLES.items()},
}
# Parts by name, and the table of the functions that take their entries.
TABLES: dict[str, Mapping[str, Callable]] = {
    "init": INITS,
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
    "data.train.sampler": SAMPLERS,
    **{path: table for path, (table, _) in cfg.TABLES.items()},
}


@dataclasses.dataclass(frozen=True)
class Entry:
    """An entry of a config, or a dictionary of them.

    Attributes:
        path: dotted name.
        value: of the entry; None of a dictionary that has entries.
        kind: type in words, "" of a dictionary.
        choices: what it can be; () where that is no list.
        default: None where the value is the default.
        text: documentation; "" where there is none.
    """

    path: str
    value: Any
    kind: str
    choices: tuple[str, ...]
    default: Any
    text: str


def explain(config: ConfigDict) -> Iterator[Entry]:
    """Yield every entry of a config, dictionaries with a documentation before what they hold."""
    yield from _explain(config.to_dict(), cfg.base().to_dict(), "", None)


def _explain(
    entries: Mapping[str, Any], defaults: Mapping[str, Any], above: str, part: Any
) -> Iterator[Entry]:
    texts = documentation(part) if part is not None else {}
    if above.startswith("representation.evaluators."):
        texts = {**arguments(representation_entries.__doc__), **texts}
    parameters = _annotations(part)
    for key, value in sorted(entries.items()):
        path = f"{above}.{key}" if above else key
        inner, usual = _part(path, key, value)
        text = ENTRIES.get(path) or ENTRIES.get(f"{above}.*") or texts.get(key, "")
        if not text and inner is not None and path not in cfg.NAMED:
            text = first_line(inner.__doc__)
        choices = _choices(path)
        default = defaults.get(key)
        if isinstance(value, Mapping) and value:
            if text:
                yield Entry(path, None, "", choices, None, text)
            yield from _explain(value, usual or default or {}, path, inner)
            continue
        if key == "name" and not text:
            # Of a model in another one.
            text = ENTRIES["model.name"]
        if not text and part is not None:
            # Of a person's own: those of this package are all described.
            text = f"(not described in the docstring of {part.__name__})"
        kind, words = _type(parameters.get(key), value if default is None else default)
        kind = " or ".join([kind, *(KINDS.get(also, "None") for also in ALSO.get(key, ()))])
        changed = key in defaults and key != "name" and value != default
        yield Entry(path, value, kind, choices or words, default if changed else None, text)


def _choices(path: str) -> tuple[str, ...]:
    known = CHOICES[path]() if path in CHOICES else ()
    texts = known if isinstance(known, Mapping) else {}
    return tuple(f"{x} ({texts[x]})" if isinstance(texts.get(x), str) else x for x in known)


def _part(path: str, key: str, value: Any) -> tuple[Any, Mapping[str, Any]]:
    """Return the function or class that takes what a dictionary holds, and its defaults."""
    above = path.rpartition(".")[0]
    if key in TABLES.get(above, {}) and isinstance(value, Mapping):
        return TABLES[above][key], cfg.keywords(TABLES[above][key])
    if path == "experiment":
        return objectives.find(value["name"]), objectives.fields(value["name"])
    if models.is_nested(value) and path.split(".", maxsplit=1)[0] in cfg.NAMED:
        fields = models.fields(value["name"])
        return models.architecture(value["name"]).module, fields
    if above == "representation.evaluators":
        name = value.get("name", key)
        return find_evaluator(name), cfg.evaluators(**{key: {"name": name}})[key].to_dict()
    return None, {}


@functools.cache
def documentation(part: Any) -> dict[str, str]:
    """Return what docstrings say of the keywords of a function, or of the fields of a class."""
    found: dict[str, str] = {}
    for above in reversed(inspect.getmro(part)) if inspect.isclass(part) else (part,):
        module = inspect.getmodule(above)
        found |= arguments(module.__doc__ if module else "") | arguments(above.__doc__)
    return found


def _annotations(part: Any) -> dict[str, Any]:
    if part is None or inspect.isclass(part):
        return {}
    return {name: p.annotation for name, p in inspect.signature(part).parameters.items()}


def _type(annotation: Any, value: Any) -> tuple[str, tuple[str, ...]]:
    """Return a type in words, and the choices of a `Literal`."""
    limits = [x.words for x in getattr(annotation, "__metadata__", ()) if isinstance(x, Limit)]
    literal = get_args(annotation) if get_origin(annotation) is Literal else ()
    kind = limits[0] if limits else KINDS.get(type(value), "a dictionary" if value == {} else "any")
    return kind, tuple(map(str, literal))
