# Copyright (c) costa_mm authors. All rights reserved.
"""How the published systems run the same network.

STCAT, TubeDETR and those built on them share DETR's frozen batch norm, two
elementwise passes over every map, ``nn.MultiheadAttention`` with its default
of returning the weights, contiguous maps and all frames of a video in one
batch.  Only that is written here; layers and weights stay those of the model,
so outputs are equal up to rounding.
"""
from typing import Optional, Tuple

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from costa_mm.models.layers.attention import (ConcatCrossAttention,
                                              MultiheadAttention)


class _PublishedNorm:
    """``FrozenBatchNorm2d`` of DETR, STCAT and TubeDETR."""

    def forward(self, x: Tensor) -> Tensor:
        """One multiplication, one addition."""
        shape = (1, -1) + (1, ) * (x.dim() - 2)
        weight, bias = self.weight.reshape(shape), self.bias.reshape(shape)
        mean = self.running_mean.reshape(shape)
        scale = weight * (self.running_var.reshape(shape) + self.eps).rsqrt()
        return x * scale + (bias - mean * scale)


class PublishedNorm2d(_PublishedNorm, nn.BatchNorm2d):
    """For maps (N, C, H, W)."""


class PublishedNorm3d(_PublishedNorm, nn.BatchNorm3d):
    """For maps (N, C, T, H, W)."""


class PublishedAttention(MultiheadAttention):
    """Makes the weights, whether or not anybody reads them."""

    def forward(self,
                query: Tensor,
                key: Tensor,
                value: Tensor,
                key_mask: Optional[Tensor] = None,
                need_weights: bool = False
                ) -> Tuple[Tensor, Optional[Tensor]]:
        """See the parent class."""
        return super().forward(query, key, value, key_mask, True)


class PublishedCrossAttention(ConcatCrossAttention):
    """Makes the weights, whether or not anybody reads them."""

    def forward(self,
                query: Tuple[Tensor, Tensor],
                key: Tuple[Tensor, Tensor],
                value: Tensor,
                key_mask: Optional[Tensor] = None,
                need_weights: bool = False
                ) -> Tuple[Tensor, Optional[Tensor]]:
        """See the parent class."""
        return super().forward(query, key, value, key_mask, True)


REPLACEMENTS = {
    nn.BatchNorm2d: PublishedNorm2d,
    nn.BatchNorm3d: PublishedNorm3d,
    MultiheadAttention: PublishedAttention,
    ConcatCrossAttention: PublishedCrossAttention,
}


def run_as_published(model: nn.Module) -> nn.Module:
    """Change a model, in place, to the published way of running it.

    Args:
        model (nn.Module): Built without ``efficient_conv_bn_eval``,
            ``channels_last`` and ``frame_chunk``.

    Returns:
        nn.Module: The same model.

    Raises:
        ValueError: If a norm is not frozen or has been folded.
    """
    for name, module in model.named_modules():
        kind = REPLACEMENTS.get(type(module))
        if kind is not None:
            module.__class__ = kind
        frozen = not any(p.requires_grad for p in module.parameters())
        if isinstance(module, _BatchNorm) and (kind is None or not frozen):
            raise ValueError(f'{name} ({type(module).__name__}) is no frozen '
                             'batch norm as published')
    return model
