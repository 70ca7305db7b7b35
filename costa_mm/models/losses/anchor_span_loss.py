# Copyright (c) costa_mm authors. All rights reserved.
"""Scores and offsets of anchor spans (STVGBert's two temporal losses)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from costa_mm.registry import MODELS


def temporal_iou(spans: Tensor, span: Tensor) -> Tensor:
    """IoU of spans on the continuous axis of sampled frames.

    Args:
        spans (Tensor): Starts and ends, (B, M, 2).
        span (Tensor): One per video, (B, 2).

    Returns:
        Tensor: (B, M), float32.
    """
    start, end = spans.float().unbind(-1)
    true_start, true_end = span.float()[:, None].unbind(-1)
    inter = (torch.min(end, true_end) -
             torch.max(start, true_start)).clamp(min=0)
    union = end - start + true_end - true_start - inter
    return inter / union.clamp(min=1e-6)


def masked_average(values: Tensor, valid: Tensor) -> Tensor:
    """Mean over the valid ones of every video, (B, M) to (B, )."""
    kept = values.masked_fill(~valid, 0.).sum(1)
    return kept / valid.sum(1).clamp(min=1)


def anchor_score_loss(scores: Tensor, anchors: Tensor, anchor_mask: Tensor,
                      span: Tensor) -> Tensor:
    """Cross entropy of every score with its anchor's overlap, per video.

    Args:
        scores (Tensor): Logits, (B, M).
        anchors (Tensor): Starts and ends in sampled frames, (B, M, 2).
        anchor_mask (Tensor): True on anchors that do not count, (B, M), bool.
        span (Tensor): First and last true frame, inclusive, (B, 2).

    Returns:
        Tensor: (B, ).
    """
    target = temporal_iou(anchors, span)
    loss = F.binary_cross_entropy_with_logits(
        scores.float(), target, reduction='none')
    return masked_average(loss, ~anchor_mask)


def positive_anchors(anchors: Tensor, anchor_mask: Tensor, span: Tensor,
                     threshold: float) -> Tensor:
    """Anchors that overlap enough; of a video without any, the best one.

    Args:
        anchors (Tensor): (B, M, 2).
        anchor_mask (Tensor): True on anchors that do not count, (B, M), bool.
        span (Tensor): (B, 2).
        threshold (float): Least overlap, itself excluded.

    Returns:
        Tensor: (B, M), bool.
    """
    overlap = temporal_iou(anchors, span).masked_fill(anchor_mask, -1.)
    above = overlap > threshold
    index = torch.arange(overlap.shape[1], device=overlap.device)
    best = index == overlap.argmax(1, keepdim=True)
    return above | (best & ~above.any(1, keepdim=True))


def anchor_span_loss(spans: Tensor,
                     anchors: Tensor,
                     anchor_mask: Tensor,
                     span: Tensor,
                     frame_mask: Tensor,
                     *,
                     threshold: float = 0.5) -> Tensor:
    """L1 of start and end of positive anchors, per video.

    Args:
        spans (Tensor): Anchors after regression, (B, M, 2).
        anchors (Tensor): (B, M, 2).
        anchor_mask (Tensor): True on anchors that do not count, (B, M), bool.
        span (Tensor): First and last true frame, inclusive, (B, 2).
        frame_mask (Tensor): True on padding, (B, T), bool; the number of a
            video's own frames is the unit of the loss.
        threshold (float): See :func:`positive_anchors`.

    Returns:
        Tensor: (B, ), mean over both ends and the positive anchors.
    """
    positive = positive_anchors(anchors, anchor_mask, span, threshold)
    error = (spans.float() - span[:, None]).abs().mean(-1)  # (B, M)
    return masked_average(error, positive) / (~frame_mask).sum(1)


class _AnchorLoss(nn.Module):
    """A mean over videos; those without a true frame count 0.

    Args:
        loss_weight (float): Factor.
    """

    def __init__(self, *, loss_weight: float = 1.) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def average(self, loss: Tensor, has_span: Tensor) -> Tensor:
        """(B, ) to a scalar."""
        return self.loss_weight * (loss * has_span).mean()


@MODELS.register_module()
class AnchorScoreLoss(_AnchorLoss):
    """Registered form of :func:`anchor_score_loss`."""

    reads = ('anchor_scores', 'anchors', 'anchor_mask', 'targets.span',
             'targets.has_span')

    def forward(self, *inputs: Tensor) -> Tensor:
        """Scalar; called with what ``reads`` says."""
        *inputs, has_span = inputs
        return self.average(anchor_score_loss(*inputs), has_span)


@MODELS.register_module()
class AnchorSpanLoss(_AnchorLoss):
    """Registered form of :func:`anchor_span_loss`.

    Args:
        threshold (float): See :func:`positive_anchors`.
        loss_weight (float): Factor.
    """

    reads = ('anchor_spans', 'anchors', 'anchor_mask', 'targets.span',
             'frame_mask', 'targets.has_span')

    def __init__(self, *, threshold: float = 0.5, **kwargs) -> None:
        super().__init__(**kwargs)
        self.threshold = threshold

    def forward(self, *inputs: Tensor) -> Tensor:
        """Scalar; called with what ``reads`` says."""
        *inputs, has_span = inputs
        return self.average(
            anchor_span_loss(*inputs, threshold=self.threshold), has_span)
