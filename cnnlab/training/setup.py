"""From a config to everything a run needs, checked before anything is compiled."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import optax
from jaxtyping import PyTree

from cnnlab import models, objectives
from cnnlab.data import device_transform
from cnnlab.data.loading.batches import EvalData, TrainData
from cnnlab.launch import distributed
from cnnlab.training import (
    baselines,
    config_check,
    contracts,
    dispatch,
    dry_evaluation,
    fitting,
    initial_values,
    initialization,
    limits,
    lr_multipliers,
    optimization,
    representation_eval,
    run_data,
    targets,
    transfer,
)
from cnnlab.training import parallel as parallel_lib
from cnnlab.training import state as state_lib
from cnnlab.training import step as step_lib
from cnnlab.training.evaluation import Evaluation, evaluate
from cnnlab.training.freeze import Freeze
from cnnlab.training.label_check import LabelCheck
from cnnlab.utils import import_path
from cnnlab.utils.console import LOG


@dataclasses.dataclass
class Setup:
    """The parts of a run, ready to go.

    Attributes:
        data: arrays on the device that batches are looked up in; empty unless asked for.
        evaluations: the splits to evaluate, opened.
        protocols: the evaluators of the representation.
        schedule: of the learning rate; None for an objective that is fitted.
        labels: tells those that are none of the model's outputs.
        random_variables: returns the variables that `experiment.init` draws for this seed.
    """

    config: Any
    experiment: Any
    parallel: parallel_lib.Parallel
    train: TrainData
    evaluations: dict[str, EvalData]
    state: state_lib.TrainState
    schedule: optax.Schedule | None
    train_step: Callable[..., Any]
    eval_step: Callable[..., Any]
    data: dict[str, Any]
    steps: int
    batch_size: int
    steps_per_dispatch: int
    checked_names: list[str]
    labels: LabelCheck
    protocols: representation_eval.RepresentationEval
    random_variables: Callable[[], dict[str, Any]]
    _missing: set[tuple[str, str]] = dataclasses.field(default_factory=set)

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
            return contracts.check_summary(self.experiment, numbers, found.metrics)

        # One process, so that all decide by the same number.
        summary = distributed.on_first_process(plain)
        return Evaluation(found.metrics, found.outputs if keep else {}, summary)

    def evaluate_split(
        self, state: Any, split: str, stop: Callable[[], bool] = bool, *, keep: bool = False
    ) -> Evaluation | None:
        """Evaluate a split, with the scalars of the moving average under `ema/`.

        What is NaN of the whole split, and so left out, is warned of once.
        """
        found = self._with_average(state, split, stop, keep)
        for name in found.missing() if found is not None else ():
            if (split, name) not in self._missing:
                LOG.warning("step %d: '%s/%s' is NaN, and left out", state.step, split, name)
                self._missing.add((split, name))
        return found

    def _with_average(
        self, state: Any, split: str, stop: Callable[[], bool], keep: bool
    ) -> Evaluation | None:
        found = self.evaluate(state, split, stop=stop, keep=keep)
        if found is None or not self.config.ema_decay:
            return found
        average = self.evaluate(state, split, ema=True, stop=stop, keep=False)
        if average is None:
            return None
        values = {**dict.fromkeys(average.missing(), math.nan), **average.scalars()}
        more = {f"ema/{name}": value for name, value in values.items()}
        return dataclasses.replace(found, summary={**found.summary, **more})


def make(
    config: Any,
    experiment: Any,
    *,
    resume: bool = False,
    try_out: bool = True,
    class_names: Sequence[str] = (),
) -> Setup:
    """Check a config, open its data, initialize the state and compile nothing yet.

    The config is taken apart here; what this calls gets the entries that it needs.

    Args:
        config: of the run.
        experiment: what is optimized.
        resume: the state is about to come from a checkpoint, so that what `init` and `init_from`
            start from is not looked at; the file may be gone.
        try_out: try what the end of the run computes, as far as that is quick.
        class_names: that the run knows from its checkpoints.

    Raises:
        UserError: for what cannot work, before anything is compiled.
    """
    config_check.check(config)
    fitting.check(config, experiment)
    data, seed, name = config.data.to_dict(), config.seed, config.experiment.name
    experiment = targets.grouped(data["train"], experiment, name)
    parallel = parallel_lib.make(config.parallel.strategy, config.parallel.devices)
    local = parallel.local_batch(config.batch_size, parts=config.accumulation)
    parallel.local_batch(config.evaluate.batch_size, "evaluate.batch_size")
    train, evaluations = run_data.open_data(
        data,
        experiment,
        seed=seed,
        batch_size=config.batch_size,
        eval_batch_size=config.evaluate.batch_size,
        evaluators=config.representation.evaluators.to_dict(),
        class_names=class_names,
    )
    info = train.source.info
    steps = limits.length(
        train.count, steps=config.steps, epochs=config.epochs, batch_size=config.batch_size
    )
    heads = objectives.head_names(config.experiment.to_dict(), config.model.to_dict())
    freeze = Freeze(config.freeze, heads)
    schedule = optimization.make_schedule(config.schedule, config.optimizer.learning_rate, steps)
    optimizer = optimization.make_optimizer(config.optimizer, schedule, freeze, heads)

    prepare = device_transform.make_device_transform(data, train.source.targets)
    key = jax.random.key(seed)
    example, sampled = (train.example(min(local, 2), grouped=g) for g in (False, True))
    prepared = jax.eval_shape(lambda batch: prepare(batch, key, train=True), sampled)
    targets.check(data, experiment, name, info, sampled, prepared)
    run_data.check_memory(
        train.example(1),
        prepare if parallel.platform == "cpu" else None,
        {"batch_size": config.batch_size, "evaluate.batch_size": config.evaluate.batch_size},
    )
    training_set = fitting.training_set(
        experiment,
        {**data, "class_names": info.class_names},
        prepare,
        batch_size=config.evaluate.batch_size,
        seed=seed,
    )

    def state_of(variables: PyTree) -> state_lib.TrainState:
        return state_lib.create(variables, optimizer, seed, bool(config.ema_decay))

    rows = example if training_set is None else training_set.example()
    with models.tracing(config.model.name, config.model.to_dict()):
        variable_shapes, random_variables = initial_values.trace(
            lambda: experiment.init(key, prepare(rows, key, train=False))
        )
    shapes = jax.eval_shape(state_of, variable_shapes)
    inputs = (shapes.params, shapes.model_state)
    own = any(map(import_path.is_place, (name, config.model.name)))
    contracts.check_training(experiment, inputs, prepared, local // config.accumulation, own=own)
    labels = LabelCheck(experiment, inputs, prepared)
    # One that is fitted counts labels that it does not know as wrong.
    labels.check({"train": train, **({} if training_set else evaluations)})
    freeze.check(shapes.params)
    lr_multipliers.check(config.optimizer.multipliers, shapes.params, heads)
    evaluators = representation_eval.RepresentationEval(
        config.representation,
        experiment,
        choosing=config.evaluate.splits,
        seed=seed,
        parallel=parallel,
        prepare=prepare,
        shapes=inputs,
        evaluations=evaluations,
        open_bank=lambda: run_data.open_bank(data, config.evaluate.batch_size),
    )
    evaluators.check(inputs, jax.eval_shape(lambda: prepare(example, key, train=False)))
    eval_step = step_lib.make_eval_step(experiment, prepare)
    if try_out:
        baselines.check_data(
            config.representation.baselines,
            data,
            config.evaluate.splits,
            evaluations,
            getattr(experiment, "target", "label"),
        )
        dry_evaluation.check(
            config.representation,
            config.evaluate.splits,
            train,
            evaluations,
            best=config.checkpoint.best,
            steps=steps,
            ema=bool(config.ema_decay),
            step=eval_step,
            variables=inputs,
            experiment=experiment,
            own=own,
        )
    # What `init_from` names is read before anything is drawn.
    given = (
        {}
        if resume
        else transfer.load(
            config.init_from,
            *inputs,
            model=config.model.to_dict(),
            normalize=config.data.normalize,
            heads=heads,
            class_names=info.class_names if experiment.predicts_labels else (),
        )
    )
    variables = initialization.make({"name": "model"} if resume else config.init.to_dict())(
        experiment, random_variables(), train.source, prepare, key
    )
    _, initial = initial_values.trace(state_of, transfer.replace(variables, given))
    state = parallel.place_state(initial())

    scan = dispatch.steps_per_dispatch(
        config.steps_per_dispatch,
        [steps, config.log_every, config.evaluate.every, config.checkpoint.every],
        many=parallel.platform != "cpu" and config.data.placement == "device",
    )
    if training_set is not None:
        train_step: Callable[..., Any] = fitting.make_fit_step(
            experiment, training_set, variable_shapes, state_of, parallel.place_state
        )
    else:
        step = dispatch.train_step(config, experiment, optimizer, prepare, freeze, parallel, scan)
        train_step = parallel.wrap(step, state=shapes, train=True, scan=scan > 1)
    return Setup(
        config=config,
        experiment=experiment,
        parallel=parallel,
        train=train,
        evaluations=evaluations,
        state=state,
        schedule=schedule if training_set is None else None,
        train_step=train_step,
        eval_step=parallel.wrap(eval_step, state=inputs, train=False),
        data=parallel.place_data(train.arrays),
        steps=steps,
        batch_size=config.batch_size,
        steps_per_dispatch=scan,
        checked_names=step_lib.checked_names(prepared, shapes.params),
        labels=labels,
        protocols=evaluators,
        random_variables=lambda: parallel.place_state(random_variables()),
    )
