"""A fixed number of objects an example, so that ragged targets can be batched."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from cnnlab.data.argument_types import PositiveWhole
from cnnlab.data.spatial_targets import BY_NAME, CUT, DROPPED, VALID, Targets, has_rows
from cnnlab.errors import UserError


def pad_objects(
    example: Mapping[str, Any],
    rng: np.random.Generator | None = None,
    targets: Targets = BY_NAME,
    /,
    *,
    max_objects: PositiveWhole = 100,
) -> dict[str, Any]:
    """Keep the first `max_objects` objects, or fill up with rows of zeros.

    Every key with a row an object gets `max_objects` rows: boxes, masks, classes, keypoints.
    `objects_valid` (max_objects,) is True where a row is an object, `objects_cut` counts those
    that were cut off, `objects_dropped` those that geometric transforms had dropped before. Raises
    `UserError` for an example without such keys, or whose keys differ in their number of objects.

    Args:
        max_objects: rows of every key that has a row an object.
    """
    kinds = targets.kinds
    rows = {k: np.asarray(x) for k, x in example.items() if k in kinds}
    rows = {k: x for k, x in rows.items() if has_rows(kinds[k], x.shape)}
    counts = {key: len(x) for key, x in rows.items()}
    if len(set(counts.values())) != 1:
        found = ", ".join(f"'{key}' {count}" for key, count in counts.items()) or "none"
        raise UserError(
            "pad_objects needs keys with a row for each object of the example, all of one number; "
            f"the number of objects is: {found}"
        )
    count = next(iter(counts.values()))
    kept = min(count, max_objects)
    padded = {
        key: np.concatenate([x[:kept], np.zeros((max_objects - kept, *x.shape[1:]), x.dtype)])
        for key, x in rows.items()
    }
    own = np.asarray(example.get(VALID, np.ones(count, bool)))
    return {
        **example,
        **padded,
        VALID: np.concatenate([own[:kept], np.zeros(max_objects - kept, bool)]),
        CUT: np.asarray(own[kept:].sum(), np.int32),
        DROPPED: np.asarray(example.get(DROPPED, 0), np.int32),
    }
