# Copyright (c) costa_mm authors. All rights reserved.
"""Which of a video's proposed tubes the sentence describes."""
import torch
from torch import Tensor, nn

from costa_mm.registry import MODELS


def positive_tubes(overlaps: Tensor, positive: float,
                   least: float) -> Tensor:
    """Tubes that overlap enough, and the best one if it overlaps at all.

    Args:
        overlaps (Tensor): Of every tube with the truth, in [0, 1], (B, P).
        positive (float): Tubes from this overlap on are positive.
        least (float): So is a video's best tube from this one on.

    Returns:
        Tensor: (B, P), bool.
    """
    best = overlaps.max(1, keepdim=True).values
    return (overlaps >= positive) | ((overlaps == best) & (best >= least))


def tube_match_loss(match_logits: Tensor,
                    overlaps: Tensor,
                    *,
                    positive: float = 0.5,
                    least: float = 0.3) -> Tensor:
    """Cross entropy over a video's tubes with their overlaps as targets.

    Args:
        match_logits (Tensor): Raw, padded tubes lowest, (B, P).
        overlaps (Tensor): (B, P); targets are those of the positive tubes,
            normalised to sum 1.
        positive (float): See :func:`positive_tubes`.
        least (float): See :func:`positive_tubes`.

    Returns:
        Tensor: (B, ), 0 for a video without a positive tube.
    """
    target = overlaps * positive_tubes(overlaps, positive, least)
    target = target / target.sum(1, keepdim=True).clamp(min=1e-6)
    return -(target * match_logits.float().log_softmax(1)).sum(1)


@MODELS.register_module()
class TubeMatchLoss(nn.Module):
    """Registered form of :func:`tube_match_loss`, a mean over videos.

    Args:
        positive (float): See :func:`positive_tubes`.
        least (float): See :func:`positive_tubes`.
        loss_weight (float): Factor.
    """

    reads = ('match_logits', 'targets.overlaps')

    def __init__(self,
                 *,
                 positive: float = 0.5,
                 least: float = 0.3,
                 loss_weight: float = 1.) -> None:
        super().__init__()
        self.positive = positive
        self.least = least
        self.loss_weight = loss_weight

    def forward(self, match_logits: Tensor, overlaps: Tensor) -> Tensor:
        """Weighted mean over the batch, a scalar."""
        loss = tube_match_loss(
            match_logits,
            overlaps,
            positive=self.positive,
            least=self.least)
        return self.loss_weight * torch.mean(loss)
