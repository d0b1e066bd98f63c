"""A user's part that breaks its contract is refused by its place before the first step."""

import re

import pytest
import small

from cnnlab import commands
from cnnlab import config as cfg
from cnnlab.errors import UserError
from cnnlab.training.loop import Loop

BROKEN = {
    "model 'broken_parts:Words' returns a str 'hello'; it has to return an array": "Words",
    r"'broken_parts:Three' returns \(float32\[1,10\], a dict, float32\[1,10\]\)": "Three",
    r"'broken_parts:Listed' returns \(float32\[1,10\], a list\)": "Listed",
    r"model 'broken_parts:Fails'.* own bug \(.*broken_parts.py, line .*\)": "Fails",
    "the model has no parameters, so that there is nothing to train": "NoParameters",
    "'broken_parts:NoCall' is no flax.linen.Module with __call__": "NoCall",
    r"'broken_parts:Vector': loss returns float32\[3\]; .*one real number": "Vector",
    r"'broken_parts:NoAux': loss returns float32\[\]; it has to return \(loss, Aux": "NoAux",
    r"metric 'loss' is float32\[\]; it has to be a metric": "PlainMetric",
    "Aux.model_state differs from the model's state in 'more'": "OtherState",
    r"'broken_parts:LossFails' with model .*: .* own bug \(.*broken_parts.py, line": "LossFails",
    r"'broken_parts:FourOutputs' with model .*\(\d+, 10\).*\(\d+, 4\).*, in FourOutputs.loss\); "
    r"did you mean --config.model.num_classes=4\?": "FourOutputs",
    r"'broken_parts:NoRows': predict returns 'score' as float32\[\] for a batch of 7": "NoRows",
    r"'broken_parts:Bare': predict returns float32\[7,10\]; .* a dictionary": "Bare",
    "'broken_parts:Summary': summarize returns None; .*dictionary of numbers": "Summary",
    r"'broken_parts:Array': summarize returns float64\[3\] as 'precision'": "Array",
    "'broken_parts:Text': summarize returns a str 'good' as 'precision'": "Text",
    "'broken_parts:Clash': summarize returns 'accuracy', which is a metric already": "Clash",
}
MODELS = ("Words", "Three", "Listed", "Fails", "NoParameters", "NoCall")


def settings(name, **changes):
    part = f"broken_parts:{name}"
    if name in MODELS:
        return small.config(model=cfg.model(part), **changes)
    return small.config(experiment=cfg.experiment(part), **changes)


@pytest.mark.parametrize("entry", ["model", "experiment", "data.source"])
def test_error_of_ones_own_code_is_one_line_wherever_it_comes_from(entry, capfd, tmp_path):
    part = {"model": "InitFails", "experiment": "CheckFails", "data.source": "LateSource"}[entry]
    name = entry if "." in entry else f"{entry}.name"
    arguments = ["--config=configs/digits_lenet5.py:plain", f"--config.{name}=broken_parts:{part}"]
    run = [f"--workdir={tmp_path / 'run'}", "--config.steps=2", "--config.batch_size=8"]
    model = [] if entry == "model" else ["--config.model.name=mlp"]
    assert commands.main(["train", *arguments, *model, *run]) == 1
    err = capfd.readouterr().err
    assert "Traceback" not in err
    assert re.search(rf"error: \w+: '?own bug'? \(.*broken_parts.py, line \d+, in {part}\.", err)


@pytest.mark.parametrize("message", BROKEN)
@pytest.mark.sample(9)
def test_part_that_breaks_its_contract_is_refused_before_the_first_step(message):
    with pytest.raises(UserError, match=message):
        small.build(settings(BROKEN[message]))


def test_summaries_are_checked_where_they_do_not_choose_the_checkpoint():
    with pytest.raises(UserError, match="summarize returns None"):
        small.build(settings("Summary", checkpoint__best=""))


def test_summary_of_as_many_rows_as_its_source_is_tried_without_a_warning(caplog):
    small.build(settings("Right", checkpoint__best="validation/precision"))
    assert not caplog.text


@pytest.mark.parametrize(
    ("name", "message"),
    {
        "number": r"means on 'test': returns a float 0.5; an evaluator has to return EvalResult\(",
        "failing": r"means on 'test': ZeroDivisionError: own bug \(.*broken_parts.py, line",
    }.items(),
)
def test_evaluator_that_breaks_its_contract_is_refused_before_the_first_step(name, message):
    entry = cfg.evaluators(means={"name": f"broken_parts:{name}"})
    with pytest.raises(UserError, match=message):
        small.build(small.config(representation__evaluators=entry))


def test_nan_of_a_whole_split_is_left_out_with_one_warning(caplog, tmp_path):
    Loop(small.build(settings("Missing", steps=8)), tmp_path).run()
    assert caplog.text.count("step 4: 'validation/precision' is NaN, and left out") == 1
    assert caplog.text.count("is NaN") == 1


@pytest.mark.parametrize("best", ["validation/precision", "validation/ema/precision"])
def test_nan_of_a_whole_split_cannot_choose_the_checkpoint(best, tmp_path):
    changes = {"ema_decay": 0.5} if "ema" in best else {}
    parts = small.build(settings("Missing", checkpoint__best=best, steps=8, **changes))
    with pytest.raises(UserError, match=f"step 4: '{best}' is not finite.*nothing to measure"):
        Loop(parts, tmp_path).run()
