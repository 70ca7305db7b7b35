# Copyright (c) costa_mm authors. All rights reserved.
"""Binary cross entropy over the classes of a video's attributes."""
import torch.nn.functional as F
from mmdet.utils import reduce_mean
from torch import Tensor, nn

from costa_mm.registry import MODELS


@MODELS.register_module()
class MultiLabelLoss(nn.Module):
    """Mean over classes, then over the videos that have labels.

    Those of all processes count, so that two of them with one video each
    have the gradients of one with both.

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
        # 0 labels give 0, whatever that is divided by
        count = reduce_mean(has_labels.sum().float()).clamp(min=1e-6)
        loss = (loss * has_labels).sum() / count
        return self.loss_weight * loss
