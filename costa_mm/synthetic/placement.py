# Copyright (c) costa_mm authors. All rights reserved.
"""Finds places at which moving objects stay inside and apart."""
from dataclasses import replace
from typing import List, Optional, Sequence, Tuple

import numpy as np

from .motion import compute_outline, compute_pose, outline_boxes
from .scene import SceneObject


def place_objects(objects: Sequence[SceneObject],
                  num_frames: int,
                  rng: np.random.Generator,
                  *,
                  max_overlap: float,
                  margin: float = 0.012,
                  num_tries: int = 64) -> Optional[Tuple[SceneObject, ...]]:
    """Place objects one after the other.

    Args:
        objects (Sequence[SceneObject]): Objects without a place.
        num_frames (int): T.
        rng (np.random.Generator): Source of the draws.
        max_overlap (float): Largest part of the smaller of two boxes that
            the other may cover, in any frame.
        margin (float): Free border (fraction of the frame side).
        num_tries (int): Places tried for one object, all at once.

    Returns:
        tuple[SceneObject] | None: Copies with their centres, or None if some
        object found no place (the caller draws again).
    """
    placed: List[SceneObject] = []
    taken = np.zeros((0, num_frames, 4))
    for obj in objects:
        outline = compute_outline(obj, compute_pose(obj.script, num_frames))
        rel = outline_boxes(outline)  # (T, 4)
        low = margin - rel[:, :2].min(0)
        high = 1 - margin - rel[:, 2:].max(0)
        if (low > high).any():
            return None
        centres = np.round(rng.uniform(low, high, (num_tries, 2)), 4)
        boxes = rel + np.tile(centres, 2)[:, None]  # (K, T, 4)
        free = _peak_cover(boxes, taken) <= max_overlap
        if not free.any():
            return None
        k = int(free.argmax())
        placed.append(replace(obj, centre=tuple(centres[k].tolist())))
        taken = np.concatenate([taken, boxes[k:k + 1]])
    return tuple(placed)


def _peak_cover(boxes: np.ndarray, taken: np.ndarray) -> np.ndarray:
    """Largest part of the smaller box that is covered, over frames, (K, ).

    Args:
        boxes (np.ndarray): Candidates, (K, T, 4).
        taken (np.ndarray): Boxes of the objects placed before, (N, T, 4).
    """
    if not len(taken):
        return np.zeros(len(boxes))
    a, b = boxes[:, None], taken[None]
    size = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(
        a[..., :2], b[..., :2])
    inter = size.clip(0).prod(-1)  # (K, N, T)
    smaller = np.minimum((a[..., 2:] - a[..., :2]).prod(-1),
                         (b[..., 2:] - b[..., :2]).prod(-1))
    return (inter / smaller).max((1, 2))
