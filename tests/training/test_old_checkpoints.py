"""Checkpoints of every kind of objective, written by commit 002bb18, restore and mean the same."""

import json
import zipfile
from pathlib import Path

import jax
import numpy as np
import pytest
import small

from cnnlab import config_file
from cnnlab.training import run_folder
from cnnlab.training.checkpoint import Checkpoints

OLD = Path(__file__).parent / "old_checkpoints"
IMAGES = (np.arange(2 * 64).reshape(2, 8, 8, 1) % 17 / 16).astype(np.float32)


@pytest.mark.parametrize("kind", sorted(path.stem for path in OLD.glob("*.zip")))
@pytest.mark.sample(3)
def test_state_of_an_old_run_restores_and_embeds_as_it_did(kind, tmp_path):
    with zipfile.ZipFile(OLD / f"{kind}.zip") as files:
        files.extractall(tmp_path)
    config = config_file.complete(run_folder.load_config(tmp_path))
    parts = small.build(config)
    checkpoints = Checkpoints(tmp_path / "checkpoints", metric="", mode="auto", read_only=True)
    state, _ = checkpoints.restore(2, parts.state)
    batch = {"image": IMAGES, "label": np.zeros(2, np.int32)}
    found = parts.experiment.embed(state.params, state.model_state, batch)["embedding"]
    expected = json.loads((tmp_path / "embedding.json").read_text())
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert jax.tree.structure(state) == jax.tree.structure(parts.state)
