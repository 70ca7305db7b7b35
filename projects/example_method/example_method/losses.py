# Copyright (c) costa_mm authors. All rights reserved.
"""A loss on an output that only one head has."""
from torch import Tensor, nn

from costa_mm.registry import MODELS


def box_spread_loss(boxes: Tensor, spread: Tensor,
                    targets: Tensor) -> Tensor:
    """Negative log-likelihood of a Laplace distribution around each box.

    Args:
        boxes (Tensor): Normalised (cx, cy, w, h), (B, T, 4).
        spread (Tensor): Logarithm of the scale, (B, T, 4).
        targets (Tensor): True boxes, (B, T, 4).

    Returns:
        Tensor: (B, T), up to a constant.
    """
    error = (boxes - targets).abs().float()
    return (error * (-spread).exp() + spread).sum(-1)


@MODELS.register_module()
class BoxSpreadLoss(nn.Module):
    """Registered form of :func:`box_spread_loss`, weighted as boxes are.

    Args:
        loss_weight (float): Factor.
    """

    #: what a head calls it with, in this order
    reads = ('boxes', 'box_spread', 'targets.boxes', 'box_weights')

    def __init__(self, *, loss_weight: float = 1.) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, boxes: Tensor, spread: Tensor, targets: Tensor,
                box_weights: Tensor) -> Tensor:
        """Scalar; frames without a box (weight 0) count nothing."""
        loss = box_spread_loss(boxes, spread, targets)
        return self.loss_weight * (loss * box_weights).sum()
