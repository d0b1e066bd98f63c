"""What is remarked of the data of a run."""

import pytest
import small

from cnnlab.training import run_data


@pytest.mark.parametrize(
    ("name", "split", "shared"),
    [
        ("validation", "train[:9]", 9),
        ("validation", "train[80%:]", 0),
        ("train_part", "train[:9]", 0),
    ],
)
def test_a_split_with_examples_that_train_is_remarked(name, split, shared, monkeypatch):
    said = []
    monkeypatch.setattr(run_data.LOG, "warning", lambda text, *of: said.append(text % of))
    changes = {"data__train__split": "train[:80%]", "checkpoint__best": ""}
    changes |= {"data__eval__splits": {name: split}, "evaluate__splits": (name,)}
    small.build(small.config(**changes))
    remark = (
        f"{shared} of the {shared} examples of data.eval.splits.{name} are in data.train.split too"
    )
    assert any(line.startswith(remark) for line in said) == bool(shared)
