# Copyright (c) costa_mm authors. All rights reserved.
"""What the transforms share."""
import inspect
from typing import Callable

import numpy as np
from mmcv.transforms import BaseTransform

# boxes that belong to the frames, (T, ..., 4), and which of them there are
BOX_FIELDS = dict(gt_boxes='gt_box_mask', tubes='tube_mask')


def move_boxes(results: dict,
               move: Callable[[np.ndarray], np.ndarray]) -> None:
    """Let all boxes of a sample follow its frames.

    Args:
        results (dict): The sample.
        move (Callable): New array of boxes (..., 4) from an old one.
    """
    for name, mask in BOX_FIELDS.items():
        if name in results:
            boxes = move(results[name])
            if mask in results:
                boxes[~results[mask]] = 0
            results[name] = boxes


class ClipTransform(BaseTransform):
    """A transform of a clip that shows its options when it is printed.

    Every argument of ``__init__`` is an attribute of the same name.
    """

    def __repr__(self) -> str:
        options = ', '.join(
            f'{name}={getattr(self, name)!r}'
            for name in inspect.signature(type(self)).parameters)
        return f'{type(self).__name__}({options})'
