# Copyright (c) costa_mm authors. All rights reserved.
"""Frozen batch norms inside the convolutions before them.

``norm(conv(x))`` with fixed statistics is a convolution with other weights.
The published systems run it as a convolution and two passes over its output.
Here the weights are scaled instead, in every forward pass, so that training
goes on: gradients are those of the two layers, no pass over the activations
is left, and nothing but the convolution's input is kept for the backward
pass.  mmcv has the same for its ``ConvModule`` (``efficient_conv_bn_eval``,
arXiv 2305.11624); ResNets of mmdet do not use that module.
"""
from typing import Iterator, Tuple

from mmcv.cnn import ConvModule
from mmdet.models.backbones.resnet import BasicBlock, Bottleneck, ResNet
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


class _FoldingMixin:
    """A convolution that knows the norm behind it."""

    def forward(self, x: Tensor) -> Tensor:
        """Convolve and, while its statistics are fixed, normalise."""
        block, name = self.norm_behind
        norm = getattr(block, name)
        # sync_bn puts another norm in its place
        if norm.training or not isinstance(norm, _FoldedMixin):
            return super().forward(x)
        return self._conv_forward(x, *fold(self, norm))


class FoldingConv2d(_FoldingMixin, nn.Conv2d):
    """2D convolution and batch norm in one."""


class FoldingConv3d(_FoldingMixin, nn.Conv3d):
    """3D convolution and batch norm in one."""


class _FoldedMixin:
    """A batch norm whose work the convolution before it has done."""

    def forward(self, x: Tensor) -> Tensor:
        """Nothing, unless batch statistics are wanted."""
        return super().forward(x) if self.training else x


class FoldedBatchNorm2d(_FoldedMixin, nn.BatchNorm2d):
    """2D batch norm behind a :class:`FoldingConv2d`."""


class FoldedBatchNorm3d(_FoldedMixin, nn.BatchNorm3d):
    """3D batch norm behind a :class:`FoldingConv3d`."""


def fold(conv: nn.Module, norm: _BatchNorm) -> Tuple[Tensor, Tensor]:
    """Weight and bias of a convolution that does both.

    Args:
        conv (nn.Module): Convolution of any number of dimensions.
        norm (_BatchNorm): With running statistics; its affine part may be
            trained.

    Returns:
        tuple[Tensor, Tensor]: Weight (O, I, ...) and bias (O, ).
    """
    scale = (norm.running_var + norm.eps).rsqrt()
    if norm.weight is not None:
        scale = scale * norm.weight
    shift = -norm.running_mean if conv.bias is None else \
        conv.bias - norm.running_mean
    bias = shift * scale
    if norm.bias is not None:
        bias = bias + norm.bias
    shape = (-1, ) + (1, ) * (conv.weight.dim() - 1)
    return conv.weight * scale.view(shape), bias


def fold_norms(pathway: nn.Module) -> int:
    """Fold every batch norm of a ResNet that follows a convolution.

    Names in the checkpoint stay.  A norm in training mode works as ever.

    Args:
        pathway (nn.Module): ``mmdet.ResNet`` or ``mmaction.ResNet3d``;
            changed in place.

    Returns:
        int: How many norms were folded.
    """
    places = {
        id(norm): (block, name)
        for block in pathway.modules()
        for name, norm in block.named_children()
    }
    pairs = [(conv, norm) for conv, norm in _pairs(pathway)
             if _can_fold(conv, norm)]
    for conv, norm in pairs:
        two = isinstance(conv, nn.Conv2d)
        conv.__class__ = FoldingConv2d if two else FoldingConv3d
        norm.__class__ = FoldedBatchNorm2d if two else FoldedBatchNorm3d
        # in a tuple, so that it does not become a child under a second name
        conv.norm_behind = places[id(norm)]
    return len(pairs)


def _can_fold(conv: nn.Module, norm: nn.Module) -> bool:
    kinds = ((nn.Conv2d, nn.BatchNorm2d), (nn.Conv3d, nn.BatchNorm3d))
    return any(
        isinstance(conv, c) and isinstance(norm, n)
        for c, n in kinds) and norm.track_running_stats


def _pairs(pathway: nn.Module) -> Iterator[Tuple[nn.Module, nn.Module]]:
    """Convolutions and what follows them, of all blocks."""
    for block in pathway.modules():
        if isinstance(block, ConvModule):
            if block.with_norm and block.order[:2] == ('conv', 'norm'):
                yield block.conv, block.norm
        elif isinstance(block, nn.Sequential):
            yield from zip(block, list(block)[1:])
        elif isinstance(block, (BasicBlock, Bottleneck)):
            for i in (1, 2, 3)[:2 if isinstance(block, BasicBlock) else 3]:
                yield getattr(block, f'conv{i}'), getattr(block, f'norm{i}')
        elif isinstance(block, ResNet) and not block.deep_stem:
            yield block.conv1, block.norm1
