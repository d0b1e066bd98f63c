"""TensorBoard compares finished runs: hyperparameters, final numbers, the table, the figures."""

import numpy as np
import pytest
from PIL import Image
from tensorboard_events import read
from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData

from cnnlab import config as cfg
from cnnlab.runs import tensorboard_summary

# As a file has it: by name, the best before the last.
RESULT = {
    "steps": 20,
    "results": {
        "best validation/accuracy (step 10)": {"test/accuracy": 0.5},
        "last (step 20)": {"test/accuracy": 0.25, "test/loss": 1.5},
    },
    "floors": {"majority": {"test/accuracy": 0.1}},
    "representation": [
        {
            "encoder": encoder,
            "protocol": "knn",
            "split": "test",
            "endpoint": "features",
            "setting": "k=3",
            "values": {"accuracy": value},
        }
        for encoder, value in (("trained (step 20)", 0.75), ("pixels", 0.125))
    ],
}
FINAL = {
    "final/test/accuracy": 0.25,
    "final/test/loss": 1.5,
    "best/test/accuracy": 0.5,
    "final/test/knn_accuracy/features": 0.75,
}


@pytest.fixture
def config():
    found = cfg.base().to_dict()
    found["checkpoint"]["best"] = "validation/accuracy"
    found["optimizer"] |= {"name": "sgd", "learning_rate": 0.125}
    return found


def test_a_run_is_comparable_in_its_own_folder(tmp_path, config):
    (tmp_path / "figures" / "test").mkdir(parents=True)
    image = np.zeros((4, 6, 3), np.uint8)
    Image.fromarray(image).save(tmp_path / "figures" / "test" / "roc.png")
    for _ in range(2):  # The same command again replaces what it wrote.
        tensorboard_summary.write(tmp_path, config, RESULT)
    found = {value.tag: (event.step, value) for event, value in read(tmp_path / "tensorboard")}
    assert len(list((tmp_path / "tensorboard").iterdir())) == 1
    numbers = {k: v.simple_value for k, (_, v) in found.items() if k.startswith(("final", "best"))}
    assert numbers == FINAL
    assert {step for step, _ in found.values()} == {20}
    parts = {
        tag: HParamsPluginData.FromString(value.metadata.plugin_data.content)
        for tag, (_, value) in found.items()
        if tag.startswith("_hparams_/")
    }
    experiment = parts["_hparams_/experiment"].experiment
    assert {metric.name.tag for metric in experiment.metric_infos} == set(FINAL)
    session = parts["_hparams_/session_start_info"].session_start_info.hparams
    assert session["optimizer.learning_rate"].number_value == 0.125
    assert session["optimizer.name"].string_value == "sgd"
    assert {info.name for info in experiment.hparam_infos} == set(session)
    assert "_hparams_/session_end_info" in parts
    drawn = found["figures/test/roc"][1].image
    assert (drawn.height, drawn.width, drawn.colorspace) == (4, 6, 3)
    assert drawn.encoded_image_string.startswith(b"\x89PNG")
    (text,) = found["results/text_summary"][1].tensor.string_val
    assert "| last (step 20) | test | 25.00% | 1.5 |" in text.decode()
    assert "| baseline: majority | test | 10.00% |  |" in text.decode()
    assert "| pixels | features | 12.50% |" in text.decode()


def test_the_best_is_the_last_where_no_other_is_better():
    only = {"last (step 20)": RESULT["results"]["last (step 20)"]}
    found = tensorboard_summary.final_metrics({**RESULT, "results": only}, best=True)
    assert found["best/test/accuracy"] == found["final/test/accuracy"] == 0.25
    found = tensorboard_summary.final_metrics({**RESULT, "results": only}, best=False)
    assert "best/test/accuracy" not in found


def test_only_the_entries_of_what_was_chosen_are_hyperparameters(config):
    found = tensorboard_summary.hyperparameters(config)
    assert "optimizer.sgd.momentum" in found and "schedule.name" in found
    assert not [name for name in found if name.startswith(("optimizer.adam", "representation"))]
    assert found["freeze"] == "[]"
    assert all(isinstance(value, bool | int | float | str) for value in found.values())
