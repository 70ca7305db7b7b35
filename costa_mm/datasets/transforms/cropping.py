# Copyright (c) costa_mm authors. All rights reserved.
"""Cropping all frames of a clip alike, and choosing between branches."""
from typing import Optional, Sequence, Tuple

import numpy as np

from costa_mm.registry import TRANSFORMS
from .base import ClipTransform, move_boxes


@TRANSFORMS.register_module()
class RandomSizeCrop(ClipTransform):
    """Crop all frames to one random window that keeps every true box.

    Width and height of the window are drawn evenly between ``min_size`` and
    ``max_size`` (at most the frame), its place evenly among what remains.
    Up to ``tries`` windows are drawn until one keeps every box; without
    success the clip stays whole.

    Required Keys:

    - rng
    - imgs
    - img_shape
    - gt_boxes, gt_box_mask (optional)

    Modified Keys:

    - imgs
    - img_shape
    - gt_boxes

    Args:
        min_size (int): Smallest side of the window in pixels.
        max_size (int): Largest side of the window in pixels.
        keep (str): 'part': some area of every box remains, boxes are cut at
            the window (the published loaders); 'whole': every box remains
            entirely.
        tries (int): Windows to draw at most.
    """

    def __init__(self,
                 *,
                 min_size: int,
                 max_size: int,
                 keep: str = 'part',
                 tries: int = 50) -> None:
        if keep not in ('part', 'whole'):
            raise ValueError(f"keep is 'part' or 'whole', not {keep!r}")
        if not 0 < min_size <= max_size:
            raise ValueError(f'0 < min_size <= max_size, not {min_size} and '
                             f'{max_size}')
        self.min_size = min_size
        self.max_size = max_size
        self.keep = keep
        self.tries = tries

    def transform(self, results: dict) -> dict:
        """Crop, or leave the sample as it is."""
        window = self.draw(results)
        if window is None:
            return results
        left, top, right, bottom = window
        results['imgs'] = results['imgs'][:, top:bottom, left:right]
        results['img_shape'] = (bottom - top, right - left)
        move_boxes(results, lambda boxes: _cut(boxes, window))
        return results

    def draw(self, results: dict) -> Optional[Tuple[int, int, int, int]]:
        """Draw a window (left, top, right, bottom), or None."""
        rng = results['rng']
        height, width = results['img_shape']
        boxes = np.zeros((0, 4), dtype=np.float32)
        if 'gt_boxes' in results:
            boxes = results['gt_boxes'][results['gt_box_mask']]
        for _ in range(self.tries):
            w = self._side(rng, width)
            h = self._side(rng, height)
            left = int(rng.integers(width - w + 1))
            top = int(rng.integers(height - h + 1))
            window = (left, top, left + w, top + h)
            if self._keeps(boxes, window):
                return window
        return None

    def _side(self, rng: np.random.Generator, size: int) -> int:
        low, high = min(self.min_size, size), min(self.max_size, size)
        return int(rng.integers(low, high + 1))

    def _keeps(self, boxes: np.ndarray, window: tuple) -> bool:
        if self.keep == 'whole':
            low = (boxes[:, :2] >= window[:2]).all()
            return bool(low and (boxes[:, 2:] <= window[2:]).all())
        cut = _cut(boxes, window)
        return bool((cut[:, 2:] > cut[:, :2]).all())


def _cut(boxes: np.ndarray, window: tuple) -> np.ndarray:
    """Boxes in the coordinates of a window, cut at its border, (N, 4)."""
    left, top, right, bottom = window
    shift = np.array([left, top, left, top], dtype=boxes.dtype)
    size = np.array([right - left, bottom - top] * 2, dtype=boxes.dtype)
    return np.clip(boxes - shift, 0, size)


@TRANSFORMS.register_module()
class RandomBranch(ClipTransform):
    """Apply one of several chains of transforms, drawn at random.

    MMCV's ``RandomChoice`` does the same with NumPy's global state; this one
    draws from the sample's own generator.

    Required Keys:

    - rng
    - those of the chosen chain

    Args:
        branches (Sequence[Sequence[dict]]): Chains of transforms.
        prob (Sequence[float], optional): Probability of each; equal by
            default.
    """

    def __init__(self,
                 *,
                 branches: Sequence[Sequence],
                 prob: Optional[Sequence[float]] = None) -> None:
        self.branches = [[
            TRANSFORMS.build(t) if isinstance(t, dict) else t for t in branch
        ] for branch in branches]
        if prob is not None and (len(prob) != len(self.branches)
                                 or abs(sum(prob) - 1) > 1e-6):
            raise ValueError('prob needs one number per branch, sum 1')
        self.prob = None if prob is None else tuple(prob)

    def transform(self, results: dict) -> Optional[dict]:
        """Draw a branch and apply it."""
        at = results['rng'].choice(len(self.branches), p=self.prob)
        for transform in self.branches[at]:
            results = transform(results)
            if results is None:
                return None
        return results
