# Copyright (c) costa_mm authors. All rights reserved.
"""Channels-last memory layout of a pathway."""
from typing import Optional

import torch
from torch import nn

# of oneDNN with AVX-512; with AVX2 it is 8
CHANNEL_BLOCK = 16


def use_channels_last(pathway: nn.Module) -> Optional[torch.memory_format]:
    """Give the weights of a pathway the layout, where it is safe.

    The backward pass of a strided 1x1 convolution with fewer input channels
    than oneDNN handles at a time writes past its workspace when maps lie
    channels last (uxlfoundation/oneDNN#6035; seen as crashes with torch
    2.13 on the CPU).  Such narrow pathways keep the default layout.

    Args:
        pathway (nn.Module): ResNet with 2D or 3D convolutions; changed in
            place.

    Returns:
        torch.memory_format or None: The layout that its input should have;
        None where it stays.
    """
    convs = [
        m for m in pathway.modules() if isinstance(m, (nn.Conv2d, nn.Conv3d))
    ]
    for conv in convs:
        pointwise = max(conv.kernel_size) == 1 and max(conv.stride) > 1
        if pointwise and conv.in_channels < CHANNEL_BLOCK:
            return None
    layout = torch.channels_last
    if any(isinstance(conv, nn.Conv3d) for conv in convs):
        layout = torch.channels_last_3d
    pathway.to(memory_format=layout)
    return layout
