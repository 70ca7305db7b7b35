# Copyright (c) costa_mm authors. All rights reserved.
"""Generalised IoU that never waits for the device."""
from typing import Tuple

import torch
from torch import Tensor, nn

from costa_mm.registry import MODELS


def paired_iou(pred: Tensor,
               target: Tensor,
               eps: float = 1e-6) -> Tuple[Tensor, Tensor]:
    """IoU and generalised IoU of boxes in pairs (Rezatofighi et al. 2019).

    mmdet's ``bbox_overlaps`` to the last bit; that one makes a tensor of
    ``eps`` on the device, and a GPU has to finish everything before.

    Args:
        pred (Tensor): (x1, y1, x2, y2), (N, 4).
        target (Tensor): (N, 4).
        eps (float): Least area of a union.

    Returns:
        tuple[Tensor, Tensor]: IoU in [0, 1] and generalised IoU in (-1, 1],
        both (N, ).
    """



    def area(sides: Tensor) -> Tensor:
        return sides[..., 0] * sides[..., 1]

    low, high = pred.split(2, dim=-1)
    true_low, true_high = target.split(2, dim=-1)
    overlap = area((torch.min(high, true_high) -
                    torch.max(low, true_low)).clamp(min=0))
    union = (area(high - low) + area(true_high - true_low) -
             overlap).clamp(min=eps)
    hull = area((torch.max(high, true_high) -
                 torch.min(low, true_low)).clamp(min=0)).clamp(min=eps)
    iou = overlap / union
    return iou, iou - (hull - union) / hull


def giou_loss(pred: Tensor, target: Tensor, eps: float = 1e-6) -> Tensor:
    """1 - generalised IoU, (N, ), see :func:`paired_iou`."""
    return 1 - paired_iou(pred, target, eps)[1]


@MODELS.register_module()
class GIoULoss(nn.Module):
    """Registered form of :func:`giou_loss`, with mmdet's arguments.

    Args:
        eps (float): See :func:`giou_loss`.
        reduction (str): 'none', 'mean' or 'sum'.
        loss_weight (float): Factor.
    """

    def __init__(self,
                 *,
                 eps: float = 1e-6,
                 reduction: str = 'mean',
                 loss_weight: float = 1.) -> None:
        super().__init__()
        if reduction not in ('none', 'mean', 'sum'):
            raise ValueError(f"reduction {reduction!r} is none of 'none', "
                             "'mean', 'sum'")
        self.eps = eps
        self.reduction = reduction
        self.loss_weight = loss_weight

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        """Boxes (N, 4) in pairs to (N, ), or to a scalar if reduced."""
        loss = self.loss_weight * giou_loss(pred, target, self.eps)
        return loss if self.reduction == 'none' else getattr(
            loss, self.reduction)()
