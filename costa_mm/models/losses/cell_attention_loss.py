# Copyright (c) costa_mm authors. All rights reserved.
"""Leads the spatial decoder's attention to the target's cells."""
import torch
from torch import Tensor, nn

from costa_mm.registry import MODELS

_EPS = 1e-6


def cell_overlap(boxes: Tensor, cell_mask: Tensor) -> Tensor:
    """How much of the best covered cell's share each cell has of a box.

    Args:
        boxes (Tensor): Normalised (cx, cy, w, h), (B, T, 4).
        cell_mask (Tensor): True on padding, (B, h, w), bool.

    Returns:
        Tensor: (B, T, h*w), in [0, 1]; 1 for the cell of which the box covers
        most, zeros for a box without area.
    """
    parts = []
    for axis, (centre, size) in enumerate(((1, 3), (0, 2))):
        # valid cells along the axis: those of the first column or row
        line = cell_mask[:, :, 0] if axis == 0 else cell_mask[:, 0]
        count = (~line).sum(1).view(-1, 1, 1)  # (B, 1, 1)
        edge = torch.arange(line.shape[1], device=boxes.device) / count
        low = (boxes[..., centre] - boxes[..., size] / 2)[..., None]
        high = (boxes[..., centre] + boxes[..., size] / 2)[..., None]
        share = torch.minimum(high, edge + 1 / count) - torch.maximum(
            low, edge)
        parts.append((share * count).clamp(min=0))  # (B, T, h or w)
    overlap = parts[0][..., :, None] * parts[1][..., None, :]
    overlap = overlap.masked_fill(cell_mask[:, None], 0.).flatten(2)
    return overlap / overlap.amax(-1, keepdim=True).clamp(min=_EPS)


@MODELS.register_module()
class CellAttentionLoss(nn.Module):
    """Negative log of the attention that falls on the target's cells.

    Not in the paper, whose fusion starts from pretrained weights.  From
    nothing, attention is uniform and says nothing of the place, and without a
    place in what is read nothing teaches attention to select: this loss takes
    the model over that saddle.

    Args:
        loss_weight (float): Factor.
    """

    reads = ('cell_attention', 'targets.boxes', 'cell_mask', 'box_weights')

    def __init__(self, *, loss_weight: float = 1.) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, attention: Tensor, boxes: Tensor, cell_mask: Tensor,
                weights: Tensor) -> Tensor:
        """Scalar.

        Args:
            attention (Tensor): Weights over cells and words, (B, T, S).
            boxes (Tensor): True boxes, (B, T, 4), normalised (cx, cy, w, h).
            cell_mask (Tensor): True on padding, (B, h, w), bool.
            weights (Tensor): Weight of every frame, (B, T), 0 without a box.
        """
        overlap = cell_overlap(boxes, cell_mask)
        mass = (attention[..., :overlap.shape[-1]].float() * overlap).sum(-1)
        return self.loss_weight * (-(mass + _EPS).log() * weights).sum()
