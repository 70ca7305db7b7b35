# Copyright (c) costa_mm authors. All rights reserved.
"""A collaborative encoder without a transposed map, for other engines.

The 2D pathway takes frames (T, C, h, w), the 3D pathway a video (1, C, T, h,
w), and the connections' norms want the channels last.  PyTorch changes
strides, an engine that reads the graph moves the maps: a quarter of its time
in 8 bits.  Here everything works on videos.
"""
from copy import deepcopy
from typing import Any, Tuple

import torch
from torch import Tensor, nn
from torch.nn.modules.utils import _pair

from .collaborative_resnet import CollaborativeResNet
from .connections import ChannelNorm
from .norm_folding import (FoldedBatchNorm2d, FoldedBatchNorm3d, FoldingConv2d,
                           FoldingConv3d)

_CLASSES = {
    nn.Conv2d: nn.Conv3d,
    FoldingConv2d: FoldingConv3d,
    nn.BatchNorm2d: nn.BatchNorm3d,
    FoldedBatchNorm2d: FoldedBatchNorm3d,
    nn.MaxPool2d: nn.MaxPool3d,
}
# in time, where every frame is by itself
_WINDOW = dict(kernel_size=1, stride=1, padding=0, dilation=1)
_POINTWISE = (nn.ReLU, nn.ReLU6, nn.SiLU, nn.GELU, nn.Sigmoid, nn.Identity,
              nn.Dropout)


class FirstAxisNorm(ChannelNorm):
    """:class:`ChannelNorm` by sums over the channels where they are."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (N, C, T, h, w) over C."""
        shape = (-1, ) + (1, ) * (x.dim() - 2)
        x = x - x.mean(1, keepdim=True)
        scale = torch.rsqrt((x * x).mean(1, keepdim=True) + self.eps)
        return x * scale * self.weight.view(shape) + self.bias.view(shape)


class FrameGroupNorm(nn.GroupNorm):
    """Group norm of every frame of a video."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (N, C, T, h, w) over the groups' channels, h and w."""
        # by moments of channels: groups of maps would be one more copy
        mean, square = (self._of_groups(y.mean((3, 4), keepdim=True))
                        for y in (x, x * x))
        spread = (square - mean * mean).clamp(min=0)
        shape = (-1, 1, 1, 1)
        scale = torch.rsqrt(spread + self.eps) * self.weight.view(shape)
        return x * scale + (self.bias.view(shape) - mean * scale)

    def _of_groups(self, moments: Tensor) -> Tensor:
        """Means over the channels of each group, (N, C, T, 1, 1)."""
        groups = moments.unflatten(1, (self.num_groups, -1))
        return groups.mean(2, keepdim=True).expand_as(groups).flatten(1, 2)


def work_on_videos(backbone: CollaborativeResNet) -> CollaborativeResNet:
    """The same encoder with its 2D pathway lifted, for prediction.

    Args:
        backbone (:obj:`CollaborativeResNet`): In eval mode; not changed.

    Returns:
        :obj:`CollaborativeResNet`: A copy, equal but for rounding.

    Raises:
        ValueError: If it is another kind of encoder, or its 2D pathway has a
            layer of which it is not known how it takes videos.
    """
    if not isinstance(backbone, CollaborativeResNet):
        raise ValueError(f'a {type(backbone).__name__} has no 2D pathway to '
                         'be lifted')
    backbone = deepcopy(backbone)
    backbone._layouts = {}  # the engine has its own
    if backbone.spatial is not None:
        for name, layer in list(backbone.spatial.named_modules()):
            _lift(name, layer)
        backbone.lifted = True
    for layer in backbone.modules():
        if type(layer) is ChannelNorm:
            layer.__class__ = FirstAxisNorm
    return backbone


def _lift(name: str, layer: nn.Module) -> None:
    """Let one layer take videos, in place."""
    kind = type(layer)
    if kind in _CLASSES and getattr(layer, 'padding_mode', 'zeros') == 'zeros':
        layer.__class__ = _CLASSES[kind]
        if not isinstance(layer, nn.modules.batchnorm._BatchNorm):
            for key, alone in _WINDOW.items():
                setattr(layer, key, _in_time(getattr(layer, key), alone))
        if hasattr(layer, 'kernel_size') and hasattr(layer, 'weight'):
            weight = layer.weight.detach().contiguous()
            layer.weight = nn.Parameter(weight.unsqueeze(2),
                                        requires_grad=False)
    elif kind is nn.GroupNorm:
        layer.__class__ = FrameGroupNorm
    elif not (isinstance(layer, _POINTWISE) or list(layer.children())):
        raise ValueError(f'the 2D pathway has a {kind.__name__} ({name}), of '
                         'which it is not known how it takes videos')


def _in_time(value: Any, alone: int) -> Tuple[int, int, int]:
    """A setting for height and width, with that of frames by themselves."""
    return (alone, *_pair(value))
