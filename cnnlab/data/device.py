"""The part of the input pipeline that runs in the jitted step: floats, views, augmentation."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from cnnlab.data.augment import augment, to_float
from cnnlab.data.spatial_targets import BY_NAME, Targets, find
from cnnlab.errors import UserError

# What numbers the rows of a batch, groups or not.
COUNTERS = ("ordinal", "index", "mask")


def make_prepare(data: Mapping[str, Any], targets: Targets = BY_NAME):
    """Return `prepare(batch, key, train)` for a config's `data` entry.

    Images become floats in [0, 1], are augmented (training only) with one key per image, folded
    from the ordinal of its row, and normalized. What an image undergoes thus depends neither on
    the number of devices nor on the strategy.

    Images of pairs are [b, 2, h, w, c], each member augmented by itself. With `train.views` of v,
    every image is augmented v times, [b, v, h, w, c]; transforms in `train.second_view` take the
    place of those of the same name in all views but the first (Grill et al. 2020, appendix B).

    `targets` says which keys have a place in the image, and so move with it.
    """
    train_data = data["train"]
    chosen, normalize = dict(train_data["augment"]), dict(data["normalize"])
    views, second = train_data["views"], dict(train_data["second_view"])
    if views < 1:
        raise UserError(f"data.train.views={views}: needs to be 1 or more")
    if second and views == 1:
        raise UserError("data.train.second_view needs data.train.views=2")

    def prepare(batch, key, *, train: bool):
        batch = to_float(batch)
        ordinal = batch.pop("ordinal", None)
        rows = len(jax.tree.leaves(batch)[0])
        if "image" not in batch:
            if train and chosen:
                raise UserError(
                    f"data.train.augment has {', '.join(chosen)}, which need images: the "
                    f"batch has {', '.join(sorted(batch))}"
                )
            return batch
        if not train or ordinal is None:
            ordinal = np.zeros(rows, np.uint32)
        keys = jax.vmap(lambda o: jax.random.fold_in(key, o))(ordinal)
        if not train:
            return augment(batch, keys, normalize=normalize)
        if batch["image"].ndim == 5:
            return _pairs(batch, keys, targets, {**chosen, "normalize": normalize})
        if views == 1:
            return augment(batch, keys, targets, **chosen, normalize=normalize)
        _check_views(batch, targets, chosen)
        parts = [({**chosen, "normalize": normalize}, range(views))]
        if second:
            other = {**chosen, **second, "normalize": normalize}
            parts = [(parts[0][0], range(1)), (other, range(1, views))]
        images = [_views(batch["image"], keys, *part) for part in parts]
        return {**batch, "image": jnp.concatenate(images, axis=1)}

    return prepare


def _members(keys, numbers):
    """Return a key for each member of each row, [b g]."""
    fold = jax.vmap(jax.vmap(jax.random.fold_in, (None, 0)), (0, None))
    return fold(keys, jnp.array(numbers, jnp.uint32)).reshape(-1)


def _pairs(batch, keys, targets, chosen):
    grouped = {name: x for name, x in batch.items() if name not in COUNTERS}
    rows, members = batch["image"].shape[:2]
    flat = {name: x.reshape(rows * members, *x.shape[2:]) for name, x in grouped.items()}
    flat = augment(flat, _members(keys, range(members)), targets, **chosen)
    return {**batch, **{k: x.reshape(rows, members, *x.shape[1:]) for k, x in flat.items()}}


def _views(images, keys, chosen, numbers):
    repeated = jnp.repeat(images, len(numbers), axis=0)
    made = augment({"image": repeated}, _members(keys, numbers), **chosen)["image"]
    return made.reshape(len(images), len(numbers), *made.shape[1:])


def _check_views(batch, targets, chosen):
    kinds = find(batch, targets, "data.train.views", batched=True)
    placed = [key for key, kind in kinds.items() if kind != "object"]
    mixing = [name for name in ("mixup", "cutmix") if name in chosen]
    if placed or mixing:
        raise UserError(f"data.train.views above 1 cannot go with {', '.join(placed + mixing)}")
