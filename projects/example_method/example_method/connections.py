# Copyright (c) costa_mm authors. All rights reserved.
"""A connection of the two pathways."""
from mmengine.model import BaseModule
from torch import Tensor, nn

from costa_mm.registry import MODELS


@MODELS.register_module()
class GatedConnection(BaseModule):
    """A gate decides, per channel and position, between the pathways.

    Args:
        channels (int): Channels of both pathways; the backbone gives it.
    """

    def __init__(self, *, channels: int) -> None:
        super().__init__()
        self.gate = nn.Linear(channels, channels)

    def forward(self, temporal: Tensor, spatial: Tensor) -> Tensor:
        """Maps of the 3D and the 2D pathway, both (N, C, T, h, w), to one."""
        both = (temporal + spatial).movedim(1, -1)
        gate = self.gate(both).sigmoid().movedim(-1, 1)
        return gate * temporal + (1 - gate) * spatial
