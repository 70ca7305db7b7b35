# Copyright (c) costa_mm authors. All rights reserved.
"""Binary cross entropy over the classes of a video's attributes."""
import torch.nn.functional as F
from torch import Tensor, nn

from costa_mm.registry import MODELS


@MODELS.register_module()
class MultiLabelLoss(nn.Module):
    """Mean over classes, then over the videos that have labels.

    Args:
        loss_weight (float): Factor.
    """

    reads = ('attributes', 'targets.labels')

    def __init__(self, *, loss_weight: float = 1.) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Scalar; 0 with a gradient of 0 where no video has labels.

        Args:
            logits (Tensor): (B, classes).
            labels (Tensor): 0 or 1, (B, classes); -1 without labels.
        """
        has_labels = (labels >= 0).all(1)  # (B, )
        loss = F.binary_cross_entropy_with_logits(
            logits.float(), labels.clamp(min=0), reduction='none').mean(1)
        loss = (loss * has_labels).sum() / has_labels.sum().clamp(min=1)
        return self.loss_weight * loss
