"""What comes every so many steps comes at least once in a short run."""

from cnnlab import config as cfg
from cnnlab.training.cadence import fit
from cnnlab.training.run_folder import difference


def config(steps, **evaluators):
    made = cfg.base()
    made.steps, made.log_every, made.eval_every = steps, 50, 500
    made.representation.evaluators = cfg.evaluators(**evaluators)
    return made


def test_short_run_logs_evaluates_and_saves_at_its_end():
    short = config(30)
    assert fit(short) == {"log_every": 50, "eval_every": 500}
    assert (short.log_every, short.evaluate.every, short.checkpoint.every) == (30, 30, 30)


def test_long_enough_run_stays_as_it_is():
    long = config(500, knn={"every": 500})
    assert fit(long) == {}
    assert long.to_dict() == config(500, knn={"every": 500}).to_dict()
    assert fit(config(0)) == {}


def test_what_was_set_stays_and_so_does_what_follows_it():
    short = config(30)
    short.checkpoint.every = 90
    assert fit(short, {"eval_every", "log_every"}) == {"checkpoint.every": 90}
    assert (short.log_every, short.evaluate.every, short.checkpoint.every) == (50, 500, 30)


def test_evaluators_come_with_an_evaluation():
    short = config(100, knn={"every": 120}, collapse={}, few_shot={"every": 60})
    short.eval_every = 30
    assert fit(short) == {"representation.evaluators.knn.every": 120}
    assert short.representation.evaluators.knn.every == 90
    assert short.representation.evaluators.few_shot.every == 60
    assert short.representation.evaluators.collapse.every == 0


def test_run_of_a_version_that_did_not_cut_them_has_the_same_config():
    old, new = config(30, knn={"every": 500}), config(30, knn={"every": 500})
    fit(new)
    assert difference(old.to_dict(), new.to_dict())
    assert not difference(cfg.completed(old.to_dict()), cfg.completed(new.to_dict()))
