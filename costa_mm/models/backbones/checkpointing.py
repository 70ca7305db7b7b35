# Copyright (c) costa_mm authors. All rights reserved.
"""Activation checkpointing of residual blocks."""
from functools import lru_cache
from typing import Tuple

import torch
from mmaction.models.backbones.resnet3d import BasicBlock3d, Bottleneck3d
from mmdet.models.backbones.resnet import BasicBlock, Bottleneck
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

BLOCKS: Tuple[type, ...] = (BasicBlock, Bottleneck, BasicBlock3d,
                            Bottleneck3d)


class _CheckpointedMixin:
    """A block that keeps its input and nothing else."""

    def forward(self, x: Tensor) -> Tensor:
        """Run the block; in training, again in the backward pass."""
        wanted = x.requires_grad or any(
            p.requires_grad for p in self.parameters())
        if not (wanted and torch.is_grad_enabled()):
            return super().forward(x)
        return checkpoint(super().forward, x, use_reentrant=False)


@lru_cache(maxsize=None)
def _checkpointed(kind: type) -> type:
    return type(f'Checkpointed{kind.__name__}', (_CheckpointedMixin, kind), {})


def take_over_checkpointing(pathway: nn.Module) -> int:
    """Let blocks with ``with_cp`` recompute in the way PyTorch recommends.

    mmdet and mmaction2 call ``checkpoint`` without ``use_reentrant``, which
    PyTorch warns about and means to make an error.  Their variant also leaves
    out the last activation of a block and every block whose input needs no
    gradient, that is the first one after the frozen stages.

    Args:
        pathway (nn.Module): ``mmdet.ResNet`` or ``mmaction.ResNet3d``;
            changed in place.

    Returns:
        int: How many blocks are checkpointed.
    """
    blocks = [m for m in pathway.modules()
              if isinstance(m, BLOCKS) and m.with_cp]
    for block in blocks:
        block.with_cp = False
        block.__class__ = _checkpointed(type(block))
    return len(blocks)
