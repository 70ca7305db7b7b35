# Copyright (c) costa_mm authors. All rights reserved.
"""What PyTorch's FSDP shards together."""
from mmdet.models.backbones.resnet import ResNet
from mmengine.registry import FUNCTIONS
from torch import nn

from .repeated_parts import BLOCKS_3D, is_transformer_layer


@FUNCTIONS.register_module()
def grounder_wrap_policy(module: nn.Module, recurse: bool,
                         nonwrapped_numel: int) -> bool:
    """``auto_wrap_policy`` of ``MMFullyShardedDataParallel`` for grounders.

    A unit has to be called as a module, since that is when FSDP gathers its
    weights.  The 3D pathway is not, its stages are: a policy by size, which
    takes it for one unit, fails.

    Args:
        module (nn.Module): Candidate.
        recurse (bool): Whether FSDP asks if it should look at the children.
        nonwrapped_numel (int): Unused.

    Returns:
        bool: Whether to go on, or to make the module a unit.
    """
    return recurse or isinstance(
        module, (ResNet, *BLOCKS_3D)) or is_transformer_layer(module)
