# Copyright (c) costa_mm authors. All rights reserved.
"""The parts of a model that are worth compiling or sharding one by one."""
from typing import Iterator, Tuple

from mmaction.models.backbones.resnet3d import BasicBlock3d, Bottleneck3d
from mmdet.models.backbones.resnet import ResNet
from torch import nn

from ..backbones import CollaborativeResNet

BLOCKS_3D = (BasicBlock3d, Bottleneck3d)


def _attends(module: nn.Module) -> bool:
    return 'Attention' in type(module).__name__


def is_transformer_layer(module: nn.Module) -> bool:
    """Whether a module is one layer of a transformer, whoever wrote it.

    That is one of whose children is an attention, without being an attention
    itself.  Language models of transformers are left whole: sentences differ
    in length, and they may be frozen.
    """
    if _attends(module) or type(module).__module__.startswith('transformers.'):
        return False
    return any(_attends(child) for child in module.children())


def _is_stage_3d(module: nn.Module) -> bool:
    return isinstance(module, nn.Sequential) and len(module) > 0 and all(
        isinstance(block, BLOCKS_3D) for block in module)


def repeated_parts(
        model: nn.Module) -> Iterator[Tuple[str, nn.Module]]:
    """2D ResNets, stages of 3D ResNets, connections, transformer layers.

    They are found by what they are, so a new method has them without being
    named here.

    Yields:
        tuple[str, nn.Module]: Name and module; none lies inside another.
    """
    connections = {
        connection
        for backbone in model.modules()
        if isinstance(backbone, CollaborativeResNet)
        for connection in backbone.connections or ()
    }
    chosen: Tuple[str, ...] = ()
    for name, module in model.named_modules():
        if name.startswith(chosen):
            continue
        if isinstance(module, ResNet) or _is_stage_3d(module) \
                or module in connections or is_transformer_layer(module):
            chosen += (f'{name}.', )
            yield name, module
