# Copyright (c) costa_mm authors. All rights reserved.
"""How well a box fits, as CG-STVG is taught to tell (CVPR 2024)."""
import torch
import torch.nn.functional as F
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy
from torch import Tensor, nn

from costa_mm.registry import MODELS
from .giou_loss import paired_iou

KINDS = ('bce', 'smooth_l1', 'bce_of_sum')


def box_confidence_loss(confidence: Tensor, iou: Tensor, kind: str) -> Tensor:
    """Difference between confidences and overlaps, element by element.

    Args:
        confidence (Tensor): Sum of two sigmoids, in (0, 2).
        iou (Tensor): Overlap with the true box, in [0, 1], same shape.
        kind (str): 'bce' is the cross entropy of half the sum; 'smooth_l1'
            compares the sum, as published for VidSTG; 'bce_of_sum' takes the
            sum as a logit, as published for HC-STVG: it can say 0.5 to 0.88
            only, so a worse box is never told from one of 0.5.

    Returns:
        Tensor: Same shape, float32.

    Raises:
        ValueError: For an unknown ``kind``.
    """
    confidence, iou = confidence.float(), iou.float()
    if kind == 'smooth_l1':
        return F.smooth_l1_loss(confidence, iou, reduction='none')
    if kind == 'bce_of_sum':
        return F.binary_cross_entropy_with_logits(
            confidence, iou, reduction='none')
    if kind != 'bce':
        raise ValueError(f'kind {kind!r} is none of {KINDS}')
    # sigmoids round to 0 and 1; autocast forbids the plain function
    half = (confidence / 2).clamp(1e-6, 1 - 1e-6)
    return -(iou * half.log() + (1 - iou) * (1 - half).log())


@MODELS.register_module()
class BoxConfidenceLoss(nn.Module):
    """Registered form of :func:`box_confidence_loss`, over true frames.

    Args:
        kind (str): See :func:`box_confidence_loss`.
        detach_boxes (bool): Keep the gradient of the overlap from the boxes;
            False sends it there, as published.
        loss_weight (float): Factor.

    Raises:
        ValueError: For an unknown ``kind``.
    """

    reads = ('confidence', 'boxes', 'targets.boxes', 'box_weights')

    def __init__(self,
                 *,
                 kind: str = 'bce',
                 detach_boxes: bool = True,
                 loss_weight: float = 1.) -> None:
        super().__init__()
        if kind not in KINDS:
            raise ValueError(f'kind {kind!r} is none of {KINDS}')
        self.kind = kind
        self.detach_boxes = detach_boxes
        self.loss_weight = loss_weight

    def forward(self, confidence: Tensor, boxes: Tensor, true_boxes: Tensor,
                weights: Tensor) -> Tensor:
        """Scalar.

        Args:
            confidence (Tensor): Sum of two sigmoids, (B, T), in (0, 2).
            boxes (Tensor): Predicted (cx, cy, w, h), (B, T, 4), normalised.
            true_boxes (Tensor): True ones, (B, T, 4).
            weights (Tensor): Weight of every frame, (B, T), 0 without a box.
        """
        if self.detach_boxes:
            boxes = boxes.detach()
        iou, _ = paired_iou(
            bbox_cxcywh_to_xyxy(boxes.float().flatten(0, 1)),
            bbox_cxcywh_to_xyxy(true_boxes.flatten(0, 1)))
        iou = iou.view_as(weights)
        loss = box_confidence_loss(confidence, iou, self.kind)
        loss = torch.where(weights > 0, loss * weights, 0.)
        return self.loss_weight * loss.sum()
