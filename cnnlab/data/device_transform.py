"""The part of the input pipeline that runs in the jitted step: floats, views, augmentation."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from cnnlab.data.augment import augment, to_float
from cnnlab.data.sources.info import COUNTERS, INPUTS
from cnnlab.data.spatial_targets import BY_NAME, DROPPED, VALID, Targets, find
from cnnlab.errors import UserError

MIXING = ("mixup", "cutmix")


def make_device_transform(data: Mapping[str, Any], targets: Targets = BY_NAME):
    """Return `transform(batch, key, train)` for a config's `data` entry.

    Images become floats in [0, 1], are augmented (training only) with one key per image, folded
    from the ordinal of its row, and normalized. What an image undergoes thus depends neither on
    the number of devices nor on the strategy.

    Images of pairs are [b, 2, h, w, c], each member augmented by itself. With `train.views` of v,
    every image is augmented v times, [b, v, h, w, c]; transforms in `train.second_view` take the
    place of those of the same name in all views but the first (Grill et al. 2020, appendix B).
    The frames of a clip, `video` [b, t, h, w, c], share one augmentation, and so do its targets.

    `targets` says which keys have a place in the image, and so move with it.

    `transform` raises a `UserError` for inputs of another number of axes than `INPUTS` have.
    """
    train_data = data["train"]
    chosen, normalize = dict(train_data["augment"]), dict(data["normalize"])
    views, second = train_data["views"], dict(train_data["second_view"])
    kind, _ = grouping(train_data)
    if second and views == 1:
        raise UserError("data.train.second_view needs data.train.views=2")

    def transform(batch, key, *, train: bool):
        batch = to_float(batch)
        ordinal = batch.pop("ordinal", None)
        rows = len(jax.tree.leaves(batch)[0])
        _check_inputs(batch, grouped=train and kind == "pairs")
        visual = [key for key in ("image", "video") if key in batch]
        if not visual:
            wanting = [*chosen, *(["data.train.views"] if views > 1 else [])]
            if train and wanting:
                raise UserError(
                    f"data.train.augment has {', '.join(wanting)}, which need images: the "
                    f"batch has {', '.join(sorted(batch))}"
                )
            return batch
        if not train or ordinal is None:
            ordinal = np.zeros(rows, np.uint32)
        keys = jax.vmap(lambda o: jax.random.fold_in(key, o))(ordinal)
        if not train:
            return _augment(batch, keys, targets, {"normalize": normalize})
        if kind == "pairs":
            return _pairs(batch, keys, targets, {**chosen, "normalize": normalize})
        if views == 1:
            return _augment(batch, keys, targets, {**chosen, "normalize": normalize})
        _check_alone(batch, targets, chosen, "data.train.views above 1")
        parts = [({**chosen, "normalize": normalize}, range(views))]
        if second:
            other = {**chosen, **second, "normalize": normalize}
            parts = [(parts[0][0], range(1)), (other, range(1, views))]
        seen = {key: batch[key] for key in visual}
        made = [_views(seen, keys, targets, *part) for part in parts]
        joined = jax.tree.map(lambda *x: jnp.concatenate(x, axis=1), *made)
        return {**batch, **joined}

    return transform


def grouping(train: Mapping[str, Any]) -> tuple[str, int]:
    """Return what an example of a training batch is, and of how many members.

    Args:
        train: a config's `data.train`.

    Returns:
        ("single", 1), ("pairs", 2) of a sampler, or ("views", v) of one image.
    """
    views, pairs = train["views"], train["sampler"]["name"] == "pairs"
    if views < 1:
        raise UserError(f"data.train.views={views}: needs to be 1 or more")
    if views > 1 and pairs:
        raise UserError(f"data.train.views={views} cannot go with data.train.sampler.name=pairs")
    return ("pairs", 2) if pairs else ("views", views) if views > 1 else ("single", 1)


def _check_inputs(batch, grouped):
    for key, axes in INPUTS.items():
        if key in batch and batch[key].ndim != 1 + grouped + axes:
            shape = tuple(batch[key].shape[1:])
            hint = "; clips go under 'video'" if key == "image" and len(shape) == 4 else ""
            group = "a pair of " if grouped else ""
            raise UserError(f"'{key}' has examples of shape {shape}, not {group}{axes} axes{hint}")


def _augment(batch, keys, targets, chosen):
    """Augment the images of a batch, and its clips, all frames of one by the same key."""
    rest = {name: x for name, x in batch.items() if name != "video"}
    made = augment(rest, keys, targets, **chosen) if "image" in batch else rest
    if "video" not in batch:
        return made
    if mixing := [name for name in MIXING if name in chosen]:
        raise UserError(f"clips cannot go with {', '.join(mixing)}")
    video = batch["video"]
    count = video.shape[1]
    frames = {"image": video.reshape(-1, *video.shape[2:])}
    if "image" not in batch and set(chosen) != {"normalize"}:
        # Every frame takes the targets of its clip along, alike as they share a key.
        placed = [*find(batch, targets, "augmentation", batched=True), VALID, DROPPED]
        frames |= {name: jnp.repeat(x, count, axis=0) for name, x in rest.items() if name in placed}
    frames = augment(frames, jnp.repeat(keys, count, axis=0), targets, **chosen)
    image = frames.pop("image")
    moved = {name: x[::count] for name, x in frames.items()}
    return {**made, **moved, "video": image.reshape(*video.shape[:2], *image.shape[1:])}


def _members(keys, numbers):
    """Return a key for each member of each row, [b g]."""
    fold = jax.vmap(jax.vmap(jax.random.fold_in, (None, 0)), (0, None))
    return fold(keys, jnp.array(numbers, jnp.uint32)).reshape(-1)


def _pairs(batch, keys, targets, chosen):
    grouped = {name: x for name, x in batch.items() if name not in COUNTERS}
    rows, members = next(batch[key] for key in INPUTS if key in batch).shape[:2]
    flat = {name: x.reshape(rows * members, *x.shape[2:]) for name, x in grouped.items()}
    flat = _augment(flat, _members(keys, range(members)), targets, chosen)
    return {**batch, **{k: x.reshape(rows, members, *x.shape[1:]) for k, x in flat.items()}}


def _views(seen, keys, targets, chosen, numbers):
    repeated = {name: jnp.repeat(x, len(numbers), axis=0) for name, x in seen.items()}
    made = _augment(repeated, _members(keys, numbers), targets, chosen)
    return {name: x.reshape(-1, len(numbers), *x.shape[1:]) for name, x in made.items()}


def _check_alone(batch, targets, chosen, what):
    kinds = find(batch, targets, what, batched=True)
    placed = [key for key, kind in kinds.items() if kind != "object"]
    mixing = [name for name in MIXING if name in chosen]
    if placed or mixing:
        raise UserError(f"{what} cannot go with {', '.join(placed + mixing)}")
