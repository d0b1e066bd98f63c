"""Starting from the parameters of another training, as `config.init_from` says.

`path` is the folder of another run, of which `checkpoint` (latest, best or a step) is read, with
`ema` the moving average where one was kept; or a file of weights (.pth, .safetensors, .h5), which
`cnnlab.pretrained` reads. BatchNorm's statistics come along. Parameters whose path matches an
expression of `skip` (`cnnlab.utils.param_paths`; "head" is the classifier) keep the values that the
model drew for them; all others have to be there, in the same shape. With `module` they are those of
a module of the network, say of the model in its field `backbone`, and all other parameters keep
their values; paths and expressions are then relative to it.

Weights expect the normalization that they were trained with: another one is warned of.
"""

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import PyTree

from cnnlab import models, objectives
from cnnlab.errors import UserError
from cnnlab.training import class_names as classes
from cnnlab.training import run_folder
from cnnlab.training.checkpoint import Checkpoints
from cnnlab.training.state import leaf_names
from cnnlab.utils import param_paths
from cnnlab.utils.console import LOG
from cnnlab.utils.files import expand
from cnnlab.utils.registry import suggest

SHOWN = 10
# Fields of a model that may differ between two trainings of the same weights.
FREE = ("num_classes", "dropout", "dtype", "remat", "norm_axis_name")


def check(options: Any, init: str) -> None:
    """Raise a `UserError` for an `init_from` that contradicts itself or `init.name`."""
    for pattern in options.skip:
        param_paths.expression(pattern, "init_from.skip")
    if options.path and init != "model":
        raise UserError(f"init.name='{init}' and init_from.path='{options.path}': choose one")


def check_path(path: str) -> Path:
    """Return where the parameters to start from are.

    Raises:
        UserError: if there is nothing.
    """
    where = Path(expand(path))
    if not where.is_dir() and not where.is_file():
        raise UserError(f"init_from.path={path}: there is no such folder or file")
    return where


def load(
    options: Any,
    params: PyTree,
    model_state: PyTree,
    *,
    model: Mapping[str, Any],
    normalize: Any,
    heads: Sequence[str],
    class_names: Sequence[str] = (),
) -> dict[str, np.ndarray]:
    """Return the arrays to start from by name, such as `params/c1/kernel`; none without a path.

    Args:
        options: the config's `init_from`.
        params: of the model, or their shapes.
        model_state: its other collections, or their shapes.
        model, normalize: the config's entries `model` and `data.normalize`.
        heads: names of the modules that "head" stands for.
        class_names: of the outputs, where they are classes.

    Raises:
        UserError: if there is nothing at the path, or what is there does not fit.
    """
    if not options.path:
        return {}
    from cnnlab.pretrained.comparing import check_finite

    where = check_path(options.path)
    theirs: Sequence[str] = ()
    part_model = _part_model(model, options.module)
    if where.is_dir():
        given, origin, theirs, others = _from_run(where, options, part_model, normalize)
        heads = tuple(dict.fromkeys((*heads, *others)))
    else:
        given, origin = _from_file(where, options, part_model, normalize), str(where)
    shapes = {
        name: np.shape(leaf)
        for collection, tree in {"params": params, **model_state}.items()
        for name, leaf in zip(
            leaf_names(tree, f"{collection}/"), jax.tree.leaves(tree), strict=True
        )
    }
    # What an objective keeps for itself, such as a momentum teacher, is no part of the network.
    networks = {"params", "batch_stats", *model_state}
    given = {name: x for name, x in given.items() if name.partition("/")[0] in networks}
    part = {_outside(name, options.module): shape for name, shape in shapes.items()}
    part.pop("", None)
    if not part:
        hint = suggest(options.module, {_inner(name).partition("/")[0] for name in shapes})
        raise UserError(f"init_from.module: the network has no module '{options.module}'{hint}")
    chosen = _choose(part, given, tuple(options.skip), origin, heads)
    check_finite(chosen, f"init_from: {origin}")
    taken = {_inside(name, options.module): value for name, value in chosen.items()}
    if any(param_paths.matches(("head",), _inner(name), "", heads) for name in taken):
        classes.check_transfer(theirs, class_names, origin)
    left = [name for name in shapes if name not in taken and name.startswith("params/")]
    total = sum(int(np.prod(shapes[name])) for name in shapes if name.startswith("params/"))
    rest = sum(int(np.prod(shapes[name])) for name in left)
    modules = sorted({_inner(name).rpartition("/")[0] for name in left})
    LOG.info(
        "init_from: %s of %s parameters from %s%s",
        f"{total - rest:,}",
        f"{total:,}",
        origin,
        f"; at their initial values: {', '.join(modules)}" if modules else "",
    )
    return taken


def replace(variables: PyTree, given: Mapping[str, np.ndarray]) -> PyTree:
    """Return `variables` with the given arrays in place of those of the same name."""

    def one(keys, leaf):
        value = given.get(param_paths.path_of(keys))
        return leaf if value is None else np.asarray(value, leaf.dtype)

    return jax.tree_util.tree_map_with_path(one, variables)


def _from_run(
    folder: Path, options: Any, model: Mapping[str, Any], normalize: Any
) -> tuple[dict[str, np.ndarray], str, Sequence[str], Sequence[str]]:
    """Return the arrays of a run, where they are from, its classes, and the names of its heads."""
    settings = run_folder.read_config(folder)
    checkpoints = Checkpoints(
        folder / "checkpoints",
        metric=settings["checkpoint"]["best"],
        mode=settings["checkpoint"]["mode"],
        read_only=True,
    )
    try:
        step = checkpoints.step_of(options.checkpoint)
        average = options.ema and bool(settings.get("ema_decay"))
        names = classes.saved(checkpoints) if classes.head_of(settings) else ()
        state = checkpoints.read(step, *(("ema",) if average else ("params", "model_state")))
    finally:
        checkpoints.close()
    # A moving average is of the pair (parameters, model state).
    renamed = {"ema/0": "params", "ema/1/": "", "model_state/": ""}
    given = {}
    for name, value in state.items():
        prefix = next((p for p in renamed if name.startswith(p)), "")
        given[renamed.get(prefix, "") + name.removeprefix(prefix)] = value
    _compare_models(settings["model"], model)
    _compare_normalization(settings["data"]["normalize"], normalize, str(folder))
    origin = f"step {step} of {folder}{', moving average' if average else ''}"
    heads: Sequence[str] = ()
    # Of a run whose objective or model there is no more.
    with contextlib.suppress(UserError):
        heads = objectives.head_names(settings["experiment"], settings["model"])
    return given, origin, names, heads


def _from_file(
    file: Path, options: Any, model: Mapping[str, Any], normalize: Any
) -> dict[str, np.ndarray]:
    from cnnlab import pretrained
    from cnnlab.pretrained.fields import as_field

    name = model["name"]
    # Of fields at the default of the name nobody said that they shall contradict the weights.
    usual = models.fields(name)
    chosen = {key: value for key, value in model.items() if usual.get(key) != as_field(value)}
    chosen.pop("name")
    average = None if options.ema else False
    weights = pretrained.read(name, file, skip=options.skip, ema=average, **chosen)
    if weights.preprocessing is not None:
        theirs = {"mean": weights.preprocessing.mean, "std": weights.preprocessing.std}
        _compare_normalization(theirs, normalize, str(file))
    variables = jax.device_get(weights.variables)
    return dict(zip(leaf_names(variables), jax.tree.leaves(variables), strict=True))


def _compare_models(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
    """Warn of what makes the same weights compute something else."""
    old, new = (
        {key: value for key, value in model.items() if key not in FREE} for model in (theirs, ours)
    )
    for line in run_folder.difference(old, new):
        LOG.warning("init_from: the run's model differs in %s", line)


def _compare_normalization(theirs: Mapping[str, Any], ours: Any, whose: str) -> None:
    mean, std = (tuple(float(x) for x in theirs[key]) for key in ("mean", "std"))
    if not (_same(ours.mean, mean) and _same(ours.std, std)):
        LOG.warning(
            "init_from: the weights of %s saw images normalized otherwise; they expect "
            '--config.data.normalize.mean="%s" --config.data.normalize.std="%s"',
            whose,
            mean,
            std,
        )


def _same(ours: Any, theirs: Any) -> bool:
    a, b = np.atleast_1d(ours), np.atleast_1d(theirs)
    # One number stands for all channels.
    return (a.size == b.size or 1 in (a.size, b.size)) and bool(np.allclose(a, b, atol=1e-3))


def _choose(
    shapes: Mapping[str, tuple],
    given: Mapping[str, np.ndarray],
    skip: tuple,
    origin: str,
    heads: Sequence[str] = param_paths.HEADS,
) -> dict[str, np.ndarray]:
    """Return what is not skipped, or say all that does not fit."""
    param_paths.check(
        skip, sorted({_inner(name) for name in (*shapes, *given)}), "init_from.skip", heads
    )

    def skipped(name: str) -> bool:
        return param_paths.matches(skip, _inner(name), "init_from.skip", heads)

    wrong: dict[str, str] = {}
    for name in (*shapes, *(n for n in given if n not in shapes)):
        if skipped(name):
            continue
        if name not in given:
            wrong[name] = f"{_inner(name)} is missing"
        elif name not in shapes:
            wrong[name] = f"{_inner(name)} is extra"
        elif np.shape(given[name]) != shapes[name]:
            theirs = _times(np.shape(given[name]))
            wrong[name] = f"{_inner(name)} is {theirs}, the model's {_times(shapes[name])}"
    if wrong:
        inner = [_inner(name) for name in wrong]
        skippable = next(
            (
                p
                for p in ("^auxiliary", "head")
                if all(map(param_paths.expression(p, "", heads).search, inner))
            ),
            "",
        )
        hint = f"; start it anew with --config.init_from.skip=\"('{skippable}',)\""
        more = f" and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
        raise UserError(
            f"init_from: {origin} does not fit the model: "
            f"{', '.join(list(wrong.values())[:SHOWN])}{more}{hint if skippable else ''}"
        )
    return {name: given[name] for name in shapes if not skipped(name)}


def _part_model(model: Mapping[str, Any], module: str) -> Mapping[str, Any]:
    """Return the entry of the model that the parameters are for: of a module of it, or itself.

    Raises:
        UserError: `init_from.module` is no model in the model, which has a name.
    """
    for field in module.split("/") if module else ():
        inner = model.get(field)
        if inner is None or not models.is_nested(inner):
            known = [key for key, value in model.items() if models.is_nested(value)]
            raise UserError(
                f"init_from.module='{module}': '{field}' is no model in '{model['name']}'"
                f"{suggest(field, known)}"
            )
        model = dict(inner)
    return model


def _inside(name: str, module: str) -> str:
    """Return the name in the whole network of an array of a module."""
    collection, _, path = name.partition("/")
    return f"{collection}/{module}/{path}" if module else name


def _outside(name: str, module: str) -> str:
    """Return the name in a module of an array of the whole network; "" if it is not in it."""
    collection, _, path = name.partition("/")
    inside = path.startswith(f"{module}/") if module else True
    return f"{collection}/{path.removeprefix(module).lstrip('/')}" if inside else ""


def _inner(name: str) -> str:
    """Return a name without its collection."""
    return name.partition("/")[2]


def _times(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) or "a scalar"
