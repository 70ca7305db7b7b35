# Copyright (c) costa_mm authors. All rights reserved.
"""A 2D backbone that learns from every k-th frame only (TubeDETR)."""
from typing import Tuple

import torch
from torch import Tensor

from costa_mm.registry import MODELS
from costa_mm.utils import host_index, inverse_order
from .collaborative_resnet import CollaborativeResNet


@MODELS.register_module()
class StridedGradResNet(CollaborativeResNet):
    """:class:`CollaborativeResNet`, 2D only, with gradients at a stride.

    Frames 0, k, 2k, ... of a video are encoded as usual, the others without
    gradients, so that they cost no memory in training.  Every frame passes
    once, and the output is that of the parent class.

    Args:
        grad_stride (int): k.
        **kwargs: See :class:`CollaborativeResNet`.

    Raises:
        ValueError: If there is a 3D pathway, in which frames are not
            independent, or the stride is not positive.
    """

    def __init__(self, *, grad_stride: int = 1, **kwargs) -> None:
        super().__init__(**kwargs)
        if self.temporal is not None:
            raise ValueError('StridedGradResNet takes no 3D pathway')
        if grad_stride < 1:
            raise ValueError(f'grad_stride must be positive: {grad_stride}')
        self.grad_stride = grad_stride

    def _forward_equal(self, x: Tensor) -> Tuple[Tensor, ...]:
        """Maps of videos without padding, (N, 3, T, H, W)."""
        length, stride = x.shape[2], self.grad_stride
        rest = [i for i in range(length) if i % stride]
        if not rest or not torch.is_grad_enabled():
            return super()._forward_equal(x)
        slow = super()._forward_equal(x[:, :, ::stride])
        with torch.no_grad():
            fast = super()._forward_equal(
                x.index_select(2, host_index(rest, x.device)))
        order = list(range(0, length, stride)) + rest
        back = host_index(inverse_order(order), x.device)
        return tuple(
            torch.cat(maps, dim=2).index_select(2, back)
            for maps in zip(slow, fast))
