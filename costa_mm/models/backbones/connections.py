# Copyright (c) costa_mm authors. All rights reserved.
"""The connection of two pathways in Eq. (1) of CoSTA, by Table 3b."""
import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from costa_mm.registry import MODELS


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of (N, C, T, h, w), cell by cell.

    Statistics of one position never see another, so padding cannot leak in.
    In mixed precision the maps stay in 16 bits (sums are taken in 32): a copy
    in float32, which autocast would make, is the largest tensor of the model.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (N, C, T, h, w) over C."""
        cells = x.movedim(1, -1)
        if cells.dtype in (torch.bfloat16, torch.float16):
            with torch.autocast(cells.device.type, enabled=False):
                cells = F.layer_norm(
                    cells, self.normalized_shape,
                    self.weight.to(cells.dtype), self.bias.to(cells.dtype),
                    self.eps)
            return cells.movedim(-1, 1)
        return super().forward(cells).movedim(-1, 1)


@MODELS.register_module()
class NormSumConnection(BaseModule):
    """Sum with feature normalisation, the best of Table 3b (the default).

    Args:
        channels (int): Channels of both pathways at this stage.
    """

    def __init__(self, *, channels: int) -> None:
        super().__init__()
        self.norm_2d = ChannelNorm(channels)
        self.norm_3d = ChannelNorm(channels)

    def forward(self, temporal: Tensor, spatial: Tensor) -> Tensor:
        """phi_l(y_{l-1}) and x_l, both (N, C, T, h, w), to y_l, the same."""
        return self.norm_3d(temporal) + self.norm_2d(spatial)


@MODELS.register_module()
class HadamardConnection(BaseModule):
    """Element-wise product of the two pathways (Table 3b).

    Args:
        channels (int): Channels of both pathways; unused, for one signature.
    """

    def __init__(self, *, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, temporal: Tensor, spatial: Tensor) -> Tensor:
        """phi_l(y_{l-1}) and x_l, both (N, C, T, h, w), to y_l, the same."""
        return temporal * spatial


@MODELS.register_module()
class ConcatConnection(BaseModule):
    """Concatenation and a 1x1x1 convolution back to C (Table 3b).

    Args:
        channels (int): Channels of both pathways at this stage.
    """

    def __init__(self, *, channels: int) -> None:
        super().__init__()
        self.reduce = nn.Conv3d(2 * channels, channels, kernel_size=1)

    def init_weights(self) -> None:
        """Begin as the sum of both pathways, so that neither is drowned."""
        super().init_weights()
        half = torch.eye(len(self.reduce.weight))
        weight = torch.cat((half, half), dim=1)[..., None, None, None]
        self.reduce.weight.data.copy_(weight)
        nn.init.zeros_(self.reduce.bias)

    def forward(self, temporal: Tensor, spatial: Tensor) -> Tensor:
        """phi_l(y_{l-1}) and x_l, both (N, C, T, h, w), to y_l, the same."""
        return self.reduce(torch.cat((temporal, spatial), dim=1))
