"""From a config to everything a run needs, checked before anything is compiled."""

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import optax

from cnnlab import models, objectives
from cnnlab.data import device_transform
from cnnlab.data.loading import pipeline
from cnnlab.data.loading.batches import EvalData, TrainData
from cnnlab.data.preprocess import transforms
from cnnlab.errors import UserError
from cnnlab.launch import distributed
from cnnlab.runs import baselines
from cnnlab.training import class_names as classes
from cnnlab.training import (
    dry_evaluation,
    initial_values,
    limits,
    lr_multipliers,
    optimizers,
    representation_eval,
    schedules,
    selection,
    targets,
    transfer,
)
from cnnlab.training import initialization as initial_lib
from cnnlab.training import parallel as parallel_lib
from cnnlab.training import state as state_lib
from cnnlab.training import step as step_lib
from cnnlab.training.evaluation import Evaluation, evaluate
from cnnlab.training.freeze import Freeze
from cnnlab.utils import memory, param_paths
from cnnlab.utils.console import LOG
from cnnlab.utils.registry import pick

# On an accelerator a step of a small network takes less time than its dispatch.
MAX_STEPS_PER_DISPATCH = 50


@dataclasses.dataclass
class Setup:
    """The parts of a run, ready to go.

    Attributes:
        data: arrays on the device that batches are looked up in; empty unless asked for.
        evaluations: the splits to evaluate, opened.
        protocols: the evaluators of the representation.
        random_variables: returns the variables that `experiment.init` draws for this seed.
    """

    config: Any
    experiment: Any
    parallel: parallel_lib.Parallel
    train: TrainData
    evaluations: dict[str, EvalData]
    state: state_lib.TrainState
    schedule: optax.Schedule
    train_step: Callable[..., Any]
    eval_step: Callable[..., Any]
    data: dict[str, Any]
    steps: int
    batch_size: int
    steps_per_dispatch: int
    checked_names: list[str]
    protocols: representation_eval.Protocols
    random_variables: Callable[[], dict[str, Any]]

    def evaluate(
        self,
        state: Any,
        split: str,
        *,
        ema: bool = False,
        stop: Callable[[], bool] = bool,
        keep: bool = True,
    ) -> Evaluation | None:
        """Evaluate a split with the parameters, or with their moving average."""
        variables = state.ema if ema else (state.params, state.model_state)
        data, summarize = self.evaluations[split], self.experiment.summarize
        whole = keep or summarize is not None
        found = evaluate(self.eval_step, variables, data, self.parallel, stop, keep=whole)
        if found is None or summarize is None:
            return found

        def plain() -> dict[str, float]:
            numbers = summarize(found.outputs, data.source)
            return {k: float(v) for k, v in numbers.items() if not math.isnan(v)}

        # One process, so that all decide by the same number.
        summary = distributed.first(plain)
        return Evaluation(found.metrics, found.outputs if keep else {}, summary)

    def evaluate_split(
        self, state: Any, split: str, stop: Callable[[], bool] = bool, *, keep: bool = False
    ) -> Evaluation | None:
        """Evaluate a split, with the scalars of the moving average under `ema/`."""
        found = self.evaluate(state, split, stop=stop, keep=keep)
        if found is None or not self.config.ema_decay:
            return found
        average = self.evaluate(state, split, ema=True, stop=stop, keep=False)
        if average is None:
            return None
        more = {f"ema/{name}": value for name, value in average.scalars().items()}
        return dataclasses.replace(found, summary={**found.summary, **more})


def check(config: Any) -> None:
    """Raise a `UserError` for a number in a config that cannot be meant."""
    limits.check(config)
    pick(schedules.SCHEDULES, config.schedule.name, "schedule")
    pick(optimizers.OPTIMIZERS, config.optimizer.name, "optimizer")
    if not 0 <= config.ema_decay < 1:
        raise UserError(f"ema_decay={config.ema_decay}: needs [0, 1); 0 switches it off")
    splits = config.data.eval.splits
    for split in config.evaluate.splits:
        if split not in splits:
            raise UserError(
                f"evaluate.splits names '{split}'; data.eval.splits has: {', '.join(splits)}"
            )
    for split in config.data.eval.sources:
        if split not in splits:
            raise UserError(
                f"data.eval.sources names '{split}'; data.eval.splits has: {', '.join(splits)}"
            )
    for part, batch in (("train", config.batch_size), ("eval", config.evaluate.batch_size)):
        chosen = config.data[part].preprocess
        transforms.check(chosen)
        needed = transforms.size_in_bytes(chosen, batch)
        memory.check(needed, f"data.{part}.preprocess, with a batch of {batch} examples,")
    representation_eval.check(config)
    baselines.check(config)
    selection.check(config)
    # A run measured in epochs gets its length from the data; any long one does for now.
    learning(config, config.steps or 10**9)
    initial_lib.make(config.init)
    transfer.check(config)
    for pattern in config.freeze:
        param_paths.expression(pattern, "freeze")


def _check_batches(config: Any, example: Any, prepare: Callable[..., Any] | None) -> None:
    """Raise a `UserError` for batches that do not fit the memory.

    Batches of evaluation are filled up to their size, however few examples a split has.

    Args:
        config: of the run.
        example: a batch of one.
        prepare: what is made of it in the same memory: an accelerator has its own.
    """
    if prepare is not None:
        key = jax.random.key(0)
        example = jax.eval_shape(lambda batch: prepare(batch, key, train=False), example)
    size = sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(example))
    for name, count in (
        ("batch_size", config.batch_size),
        ("evaluate.batch_size", config.evaluate.batch_size),
    ):
        memory.check(size * count // jax.process_count(), f"a batch of {name}={count}")


def learning(config: Any, steps: int) -> tuple[optax.Schedule, optax.GradientTransformation]:
    """Return the learning-rate schedule and the optimizer of a config."""
    heads = objectives.head_names(config)
    schedule = schedules.make(
        config.schedule.name,
        config.optimizer.learning_rate,
        steps,
        warmup=config.schedule.warmup,
        **config.schedule[config.schedule.name],
    )
    optimizer = optimizers.make(
        config.optimizer.name,
        schedule,
        weight_decay=config.optimizer.weight_decay,
        clip_norm=config.optimizer.clip_norm,
        decay_mask=config.optimizer.decay_mask,
        multipliers=config.optimizer.multipliers,
        heads=heads,
        **config.optimizer[config.optimizer.name],
    )
    return schedule, Freeze(config.freeze, heads).optimizer(optimizer)


def _steps_per_dispatch(config: Any, steps: int, platform: str) -> int:
    wanted = config.steps_per_dispatch
    marks = [steps, config.log_every, config.evaluate.every, config.checkpoint.every]
    common = functools.reduce(math.gcd, marks)
    if wanted == 0:
        if platform == "cpu" or config.data.placement != "device":
            return 1
        return max(k for k in range(1, MAX_STEPS_PER_DISPATCH + 1) if common % k == 0)
    if wanted < 1 or common % wanted:
        raise UserError(
            f"steps_per_dispatch={wanted} has to divide steps, log_every, evaluate.every and "
            f"checkpoint.every ({', '.join(map(str, marks))})"
        )
    return wanted


def _open_data(
    config: Any, experiment: Any, parallel: parallel_lib.Parallel, class_names: Sequence[str]
) -> tuple[TrainData, dict[str, EvalData]]:
    """Return the training data and the splits to evaluate, classes numbered as the run has them."""
    data = config.data.to_dict()
    host, hosts = jax.process_index(), jax.process_count()
    known = class_names if experiment.predicts_labels else ()
    train = pipeline.train_data(
        {**data, "class_names": known},
        seed=config.seed,
        batch_size=config.batch_size,
        host=host,
        hosts=hosts,
    )
    if train.corrupt:
        LOG.warning("%d corrupt examples left out of the training set", len(train.corrupt))
    targets.check_inputs(config, experiment, train.source.info)
    experiment.check(train.source.info)
    parallel.local_batch(config.evaluate.batch_size, "evaluate.batch_size")
    names = train.source.info.class_names
    evaluations = {
        name: pipeline.eval_data(
            {**data, "class_names": classes.for_split(config, experiment, name, names)},
            split,
            batch_size=config.evaluate.batch_size,
            source=data["eval"]["sources"].get(name, ""),
            host=host,
            hosts=hosts,
        )
        for name, split in config.data.eval.splits.items()
    }
    return train, evaluations


def make(
    config: Any,
    experiment: Any,
    *,
    resume: bool = False,
    try_out: bool = True,
    class_names: Sequence[str] = (),
) -> Setup:
    """Check a config, open its data, initialise the state and wrap the steps.

    Args:
        config: of the run.
        experiment: what is optimised.
        resume: the state is about to come from a checkpoint, so that what `init` and `init_from`
            start from is not looked at; the file may be gone.
        try_out: try what the end of the run computes, as far as that is quick.
        class_names: that the run knows from its checkpoints.

    Raises:
        UserError: for what cannot work, before anything is compiled.
    """
    check(config)
    experiment = targets.grouped(config, experiment)
    parallel = parallel_lib.make(config.parallel.strategy, config.parallel.devices)
    local = parallel.local_batch(config.batch_size)
    per_device = config.batch_size // parallel.devices
    if per_device % config.accumulation:
        raise UserError(
            f"batch_size={config.batch_size} is {per_device} a device, which accumulation="
            f"{config.accumulation} does not divide"
        )
    init = initial_lib.make(config.init)
    data = config.data.to_dict()
    train, evaluations = _open_data(config, experiment, parallel, class_names)
    steps = limits.steps(config, train.count)
    schedule, optimizer = learning(config, steps)
    scan = _steps_per_dispatch(config, steps, parallel.platform)

    prepare = device_transform.make_prepare(data, train.source.targets)
    example, sampled = (train.example(min(local, 2), grouped=g) for g in (False, True))
    key = jax.random.key(config.seed)
    prepared = jax.eval_shape(lambda batch: prepare(batch, key, train=True), sampled)
    targets.check(config, experiment, train.source.info, sampled, prepared)
    _check_batches(config, train.example(1), prepare if parallel.platform == "cpu" else None)

    def state_of(variables):
        return state_lib.create(variables, optimizer, config.seed, bool(config.ema_decay))

    with models.tracing(config.model.name, config.model.to_dict()):
        variable_shapes, random_variables = initial_values.trace(
            lambda: experiment.init(key, prepare(example, key, train=False))
        )
    shapes = jax.eval_shape(state_of, variable_shapes)
    inputs = (shapes.params, shapes.model_state)
    heads = objectives.head_names(config)
    freeze = Freeze(config.freeze, heads)
    freeze.check(shapes.params)
    lr_multipliers.check(config.optimizer.multipliers, shapes.params, heads)
    evaluators = representation_eval.Protocols(
        config,
        experiment,
        parallel=parallel,
        prepare=prepare,
        shapes=inputs,
        evaluations=evaluations,
    )
    evaluators.check(inputs, jax.eval_shape(lambda: prepare(example, key, train=False)))
    eval_step = step_lib.make_eval_step(experiment, prepare)
    if try_out:
        baselines.check_data(config, evaluations, getattr(experiment, "target", "label"))
        dry_evaluation.check(
            config, steps, train, evaluations, eval_step, inputs, experiment.summarize
        )
    given = {}
    if not resume:
        outputs = train.source.info.class_names if experiment.predicts_labels else ()
        given = transfer.load(config, *inputs, class_names=outputs)
    variables = random_variables()
    if config.init.name != "model" and not resume:
        variables = init(experiment, variables, train.source, prepare, key)
    if given:
        variables = transfer.replace(variables, given)
    _, initial = initial_values.trace(state_of, variables)
    state = parallel.place_state(initial())

    step = step_lib.make_train_step(
        experiment,
        optimizer,
        prepare,
        ema_decay=config.ema_decay,
        ema_warmup=config.ema_warmup,
        accumulation=config.accumulation,
        unroll=parallel.platform == "cpu",
        freeze=freeze,
    )
    train_step = step if scan == 1 else step_lib.make_scan(step)
    return Setup(
        config=config,
        experiment=experiment,
        parallel=parallel,
        train=train,
        evaluations=evaluations,
        state=state,
        schedule=schedule,
        train_step=parallel.wrap(train_step, state=shapes, train=True, scan=scan > 1),
        eval_step=parallel.wrap(eval_step, state=inputs, train=False),
        data=parallel.place_data(train.arrays),
        steps=steps,
        batch_size=config.batch_size,
        steps_per_dispatch=scan,
        checked_names=step_lib.checked_names(prepared, shapes.params),
        protocols=evaluators,
        random_variables=lambda: parallel.place_state(random_variables()),
    )
