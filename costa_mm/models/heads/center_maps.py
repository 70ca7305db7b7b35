# Copyright (c) costa_mm authors. All rights reserved.
"""Boxes from maps: where the centre is, how large the box, how far off."""
from typing import Dict, Sequence, Tuple

import torch
import torch.nn.functional as F
from mmcv.cnn import build_conv_layer
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn

from ..losses import at_centers


class CenterMaps(BaseModule):
    """Upsampled maps in the form of CenterNet (Zhou et al. 2019).

    Per step a 3x3 convolution and a transposed one that doubles the size;
    behind them, per output, a 3x3 and a 1x1 convolution.  Padded cells are
    zeros before each convolution, so they change no other cell.

    Args:
        in_channels (int): Channels of the cells.
        outputs (dict[str, int]): Channels of every output.
        up_channels (Sequence[int]): Channels after every step.
        head_channels (int): Channels between the last two convolutions.
        dropout (float): Dropout after every step.
        deformable (bool): Deformable 3x3 convolutions, which need full mmcv.
            A ReLU follows each step without them; with them there is none,
            as published.
    """

    def __init__(self,
                 *,
                 in_channels: int,
                 outputs: Dict[str, int],
                 up_channels: Sequence[int] = (256, 128, 64),
                 head_channels: int = 64,
                 dropout: float = 0.2,
                 deformable: bool = False) -> None:
        super().__init__()
        kind = dict(type='DCNv2') if deformable else dict(type='Conv2d')
        self.rectify = not deformable
        self.dropout = nn.Dropout(dropout)
        self.convs, self.ups = ModuleList(), ModuleList()
        for channels in up_channels:
            self.convs.append(
                build_conv_layer(kind, in_channels, channels, 3, padding=1))
            self.ups.append(
                nn.ConvTranspose2d(
                    channels, channels, 4, stride=2, padding=1, bias=False))
            in_channels = channels
        self.heads = nn.ModuleDict({
            name: nn.Sequential(
                nn.Conv2d(in_channels, head_channels, 3, padding=1), nn.ReLU(),
                nn.Conv2d(head_channels, channels, 1))
            for name, channels in outputs.items()
        })

    def init_weights(self) -> None:
        """Bilinear upsampling of every channel by itself."""
        super().init_weights()
        line = torch.tensor([1., 3., 3., 1.]) / 4
        for up in self.ups:
            nn.init.zeros_(up.weight)
            with torch.no_grad():
                up.weight.diagonal().copy_((line[:, None] * line)[..., None])

    def forward(self, cells: Tensor, mask: Tensor) -> Dict[str, Tensor]:
        """Upsample.

        Args:
            cells (Tensor): (B, T, C, h, w).
            mask (Tensor): True on padding, (B, h, w), bool.

        Returns:
            dict[str, Tensor]: (B, T, channels, H, W) of every output.
        """
        num, length = cells.shape[:2]
        mask = mask[:, None, None].expand(-1, length, -1, -1, -1).flatten(0, 1)
        x = cells.flatten(0, 1)
        for conv, up in zip(self.convs, self.ups):
            x = conv(x.masked_fill(mask, 0.)).masked_fill(mask, 0.)
            x = F.relu(up(x)) if self.rectify else up(x)
            x = self.dropout(x)
            mask = double(mask)
        x = x.masked_fill(mask, 0.)
        return {
            name: head(x).unflatten(0, (num, length))
            for name, head in self.heads.items()
        }


def double(mask: Tensor) -> Tensor:
    """A mask of twice the height and width."""
    return mask.repeat_interleave(2, -1).repeat_interleave(2, -2)


def decode_centers(heatmap: Tensor, sizes: Tensor,
                   offsets: Tensor) -> Tensor:
    """The box at the highest cell of every frame.

    Args:
        heatmap (Tensor): Logits, (B, T, H, W), very low on padding.
        sizes (Tensor): Width and height in cells, (B, T, 2, H, W).
        offsets (Tensor): x and y of the centre behind the cell's corner, in
            cells, (B, T, 2, H, W).

    Returns:
        Tensor: (cx, cy, w, h) in cells, (B, T, 4), float32.
    """
    width = heatmap.shape[-1]
    best = heatmap.flatten(2).argmax(-1)  # (B, T)
    row = best.div(width, rounding_mode='floor')
    corner = torch.stack((best - row * width, row), dim=-1)
    center = corner + at_centers(offsets, best).float()
    return torch.cat(
        (center, at_centers(sizes, best).float().clamp(min=0)), dim=-1)


def gaussian_radius(sizes: Tensor, min_overlap: float) -> Tensor:
    """mmdet's function of this name, for many boxes and without the host.

    Args:
        sizes (Tensor): Width and height, (..., 2).
        min_overlap (float): IoU with its box that a box keeps whose corners
            are moved by the radius.

    Returns:
        Tensor: (...).
    """
    around, area = sizes.sum(-1), sizes.prod(-1)
    keep = min_overlap
    # one corner inside and one outside, both inside, both outside
    one = around - (around**2 - 4 * area * (1 - keep) / (1 + keep)).sqrt()
    inside = around - (around**2 - 4 * area * (1 - keep)).sqrt()
    outside = (around**2 + 4 * area * (1 - keep) / keep).sqrt() - around
    return torch.min(one / 2, torch.min(inside, outside) / 4)


def center_targets(boxes: Tensor,
                   shape: Tuple[int, int],
                   min_overlap: float = 0.3) -> Dict[str, Tensor]:
    """What the maps should be.

    Args:
        boxes (Tensor): (cx, cy, w, h) in cells of the maps, (B, T, 4).
        shape (tuple[int, int]): H and W of the maps.
        min_overlap (float): Of :func:`gaussian_radius`; as in mmdet.

    Returns:
        dict[str, Tensor]: 'heatmap' (B, T, H, W), Gaussians that are 1 in one
        cell; 'center', the number of this cell (B, T), int64; 'size' and
        'offset' (B, T, 2) in cells.
    """
    height, width = shape
    middle, size = boxes.split(2, dim=-1)
    column = middle[..., 0].long().clamp(0, width - 1)
    row = middle[..., 1].long().clamp(0, height - 1)
    radius = gaussian_radius(size.ceil(), min_overlap).floor()[..., None, None]
    x = torch.arange(width, device=boxes.device) - column[..., None]
    y = torch.arange(height, device=boxes.device) - row[..., None]
    x, y = x[..., None, :], y[..., :, None]
    heatmap = (-(x**2 + y**2) / (2 * ((2 * radius + 1) / 6)**2)).exp()
    far = (x.abs() > radius) | (y.abs() > radius)
    return dict(
        heatmap=heatmap.masked_fill(far, 0.),
        center=row * width + column,
        size=size,
        offset=middle - torch.stack((column, row), dim=-1))
