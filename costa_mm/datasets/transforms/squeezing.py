# Copyright (c) costa_mm authors. All rights reserved.
"""Resizing to a height, as CG-STVG and TA-STVG do."""
from typing import Sequence, Tuple, Union

import numpy as np
import torch
import torch.nn.functional as F

from costa_mm.registry import TRANSFORMS
from .geometry import ResizeClip


@TRANSFORMS.register_module()
class SqueezeClip(ResizeClip):
    """Resize to a height; what is wider than a limit is squeezed.

    The width is ``min(int(height * w / h), int(height * max_ratio))``: at a
    height of 420 and the published limit of 1.4, 16:9 becomes 420 x 588.
    Published weights have seen such frames only.  Interpolation is bilinear
    with antialiasing, as there.

    Required Keys:

    - imgs
    - img_shape
    - gt_boxes (optional)
    - rng (several heights only)

    Modified Keys:

    - imgs
    - img_shape
    - gt_boxes

    Args:
        height (int or Sequence[int]): Height in pixels; of several one is
            drawn.
        max_ratio (float): Largest width over height.
    """

    def __init__(self,
                 *,
                 height: Union[int, Sequence[int]] = 420,
                 max_ratio: float = 1.4) -> None:
        super().__init__(short_side=height)
        self.height = self.short_side
        self.max_ratio = max_ratio

    def new_shape(self, results: dict) -> Tuple[int, int]:
        """Height and width to resize to; draws the height."""
        old_height, old_width = results['img_shape']
        height = self.height[0]
        if len(self.height) > 1:
            height = self.height[results['rng'].integers(len(self.height))]
        # 1.4 is a little less in floating point, and 588 must stay 588
        widest = int(height * self.max_ratio + 1e-6)
        width = min(int(height * old_width / old_height), widest)
        return height, max(width, 1)

    def resize(self, imgs: np.ndarray, height: int, width: int) -> np.ndarray:
        """Frames (T, H, W, 3), uint8, to (T, height, width, 3)."""
        if imgs.shape[1:3] == (height, width):
            return imgs
        out = np.empty((len(imgs), height, width, 3), dtype=np.uint8)
        for i, img in enumerate(imgs):
            frame = torch.from_numpy(np.ascontiguousarray(img))
            frame = frame.permute(2, 0, 1)[None].float()
            frame = F.interpolate(
                frame, (height, width),
                mode='bilinear',
                align_corners=False,
                antialias=True)
            out[i] = frame[0].permute(1, 2, 0).round_().byte().numpy()
        return out
