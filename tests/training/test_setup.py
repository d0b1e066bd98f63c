"""What cannot be meant is refused before anything is compiled."""

import math

import jax
import pytest
import small

from cnnlab import config as cfg
from cnnlab.errors import UserError
from cnnlab.training import optimization, setup

WRONG = {
    "set one of them above zero": dict(steps=0),
    "steps=5 and epochs=2.0: both are above zero": dict(steps=5, epochs=2.0),
    "steps=-3": dict(steps=-3),
    "steps=99999999999999999999: needs to be at most": dict(steps=99999999999999999999),
    "epochs=1e+300: needs a number from 0 to": dict(steps=0, epochs=1e300),
    "epochs=inf: needs": dict(steps=0, epochs=math.inf),
    "epochs=nan: needs a number": dict(steps=0, epochs=math.nan),
    "steps are more than 2147483647": dict(steps=0, epochs=2e9),
    "evaluate.every=2147483648": dict(evaluate__every=2**31),
    "seed=9223372036854775808": dict(seed=2**63),
    "data.train.views=2147483647: needs to be at most 64": dict(data__train__views=2**31 - 1),
    "supervised.steps=-5: needs to be at least 0": dict(representation__supervised__steps=-5),
    "checkpoint.keep=-1: needs to be at least 0": dict(checkpoint__keep=-1),
    "data.grain.workers=-1": dict(data__grain__workers=-1),
    "data.grain.threads=1000000: needs to be at most 1024": dict(data__grain__threads=10**6),
    "optimizer.weight_decay=nan": dict(optimizer__weight_decay=math.nan),
    "model.hidden=4294967296: needs a number below 2**31": dict(model__hidden=(3, 2**32)),
    "data.keys=(): names nothing to read": dict(data__keys=()),
    "set --config.data.keys=\"('image', 'label')\"": dict(data__keys=("label",)),
    "optimizer.multipliers: 5 is no pair": dict(optimizer__multipliers=(5,)),
    "optimizer.multipliers: ('a',) is no pair": dict(optimizer__multipliers=(("a",),)),
    "batch_size=0: needs to be at least 1": dict(batch_size=0),
    "accumulation=0": dict(accumulation=0),
    "log_every=0": dict(log_every=0),
    "evaluate.every=0": dict(evaluate__every=0),
    "checkpoint.every=-1": dict(checkpoint__every=-1),
    "ema_decay=1.0": dict(ema_decay=1.0),
    "evaluate.splits names 'dev'; data.eval.splits has: test, validation": dict(
        evaluate__splits=("dev",)
    ),
    "needs 'test' in evaluate.splits": dict(checkpoint__best="test/accuracy"),
    "checkpoint.mode=max contradicts checkpoint.best=validation/loss": dict(
        checkpoint__best="validation/loss", checkpoint__mode="max"
    ),
    "checkpoint.best=validation/spread: the name does not imply": dict(
        checkpoint__best="validation/spread"
    ),
    "early_stopping.patience=3 needs a metric": dict(
        checkpoint__best="", early_stopping__patience=3
    ),
    "early_stopping.patience=-1": dict(early_stopping__patience=-1),
    "min_delta=-0.5: both need to be 0 or more": dict(early_stopping__min_delta=-0.5),
    "min_delta=nan": dict(early_stopping__min_delta=math.nan),
    "checkpoint.best='/loss' needs '' in evaluate.splits": dict(checkpoint__best="/loss"),
    "checkpoint.best='validation/accuracy' needs 'validation'": dict(evaluate__splits=()),
    "learning_rate=-0.1": dict(optimizer__learning_rate=-0.1),
    "unknown optimizer 'adma'; did you mean 'adam'": dict(optimizer__name="adma"),
    "unknown schedule 'cosin'; did you mean 'cosine'": dict(schedule__name="cosin"),
    "unknown model 'lenet'; did you mean 'lenet5'": dict(model__name="lenet"),
    "unknown experiment 'supervized'; did you mean 'supervised'": dict(
        experiment__name="supervized"
    ),
    "batch_size=2048 is larger than the training set of 1200": dict(batch_size=2048),
    "batch_size=12 is not divisible by the 8 devices: try 16": dict(
        batch_size=12, parallel__devices=8
    ),
    "evaluate.batch_size=100 is not divisible by the 8 devices": dict(
        evaluate__batch_size=100, parallel__devices=8
    ),
    "which accumulation=3 does not divide": dict(accumulation=3),
    "steps_per_dispatch=5 has to divide": dict(steps_per_dispatch=5),
    "has 10 classes, the model 4 outputs": dict(model__num_classes=4),
    "has no 'labels'": dict(data__keys=("image", "labels")),
    "unknown data.placement 'disk'": dict(data__placement="disk"),
    "unknown data.on_corrupt 'ignore'": dict(data__on_corrupt="ignore"),
    "data.eval.preprocess, with a batch of 64 examples, would need": dict(
        data__eval__preprocess={"resize": {"size": 10**6}}
    ),
    "data.train.preprocess, with a batch of": dict(
        data__train__preprocess={"resize": {"size": 10**8}}
    ),
    "data.placement='memory' of 1200 examples would need": dict(
        data__placement="memory",
        data__train__preprocess={"resize": {"size": 8000}},
    ),
    "the parameters and their state would need": dict(model__num_classes=10**9),
    "label_smoothing=1.5": dict(experiment__label_smoothing=1.5),
    "unknown experiment.objective 'softmx'": dict(experiment__objective="softmx"),
    "unknown parallel.strategy 'pmpa'": dict(parallel__strategy="pmpa"),
}


@pytest.mark.parametrize("message", WRONG)
def test_wrong_value_is_named_before_anything_is_compiled(message, monkeypatch):
    def compiled(*_, **__):
        raise AssertionError("something was compiled")

    monkeypatch.setattr(setup.jax, "jit", compiled)
    with pytest.raises(UserError) as error:
        small.build(small.config(**WRONG[message]))
    assert message in str(error.value)


def test_epochs_are_counted_in_whole_batches():
    parts = small.build(small.config(steps=0, epochs=1.5, batch_size=64))
    # 1.5 * 1200 / 64 = 28.1: the last batch is needed.
    assert parts.steps == 29


def test_warmup_in_steps_goes_with_a_length_in_epochs():
    parts = small.build(small.config(steps=0, epochs=2.0, schedule__warmup=50.0))
    assert float(parts.schedule(50)) == pytest.approx(0.1)
    assert float(parts.schedule(0)) < 0.01


def test_seed_fixes_the_initial_parameters():
    same, again, other = (small.build(small.config(seed=s)).state.params for s in (3, 3, 4))
    kernel = same["hidden1"]["kernel"]
    assert (kernel == again["hidden1"]["kernel"]).all()
    assert (kernel != other["hidden1"]["kernel"]).any()


def test_compute_type_leaves_parameters_in_float32():
    parts = small.build(small.config(model__dtype="bfloat16", model__norm="batch"))
    state, report = parts.train_step(
        parts.state, parts.parallel.place_batch(next(parts.train.batches(0))), parts.data
    )
    floats = [
        x for x in jax.tree.leaves(state) if jax.numpy.issubdtype(x.dtype, jax.numpy.floating)
    ]
    assert {x.dtype.name for x in floats} == {"float32"}
    assert report.metrics["loss"].total.dtype == "float32"


def test_learning_options_reach_the_optimizer():
    settings = small.config(optimizer__name="adam", optimizer__learning_rate=0.5, steps=10)
    schedule = optimization.make_schedule(settings.schedule, settings.optimizer.learning_rate, 10)
    assert float(schedule(0)) == pytest.approx(0.5)
    assert cfg.base().optimizer.adam.b2 == 0.999
