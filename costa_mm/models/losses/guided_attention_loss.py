# Copyright (c) costa_mm authors. All rights reserved.
"""Guided attention: frames outside the event should not be looked at alone."""
from torch import Tensor, nn

from costa_mm.registry import MODELS

_EPS = 1e-6


def guided_attention_loss(time_attention: Tensor, in_event: Tensor,
                          frame_mask: Tensor) -> Tensor:
    """Guided attention loss of TubeDETR and STCAT, per video.

    For every frame i outside the event, the sum over frames j of
    -log(1 - w_ij), and the mean of that over those frames.  The published
    code takes weights after dropout; these are taken before it.

    Args:
        time_attention (Tensor): Weights w of the inter-frame self-attention,
            query i by key j, mean over heads, (B, T, T).
        in_event (Tensor): True on frames of the event, (B, T), bool.
        frame_mask (Tensor): True on padding, (B, T), bool.

    Returns:
        Tensor: (B, ); 0 for a video whose frames are all in the event.
    """
    outside = ~in_event & ~frame_mask  # (B, T)
    # rounding can lift a weight of one above 1 + 1e-6 in half precision
    rest = (1 - time_attention.float() + _EPS).clamp(min=_EPS)
    cost = -rest.log().masked_fill(frame_mask[:, None], 0.)
    cost = cost.sum(2).masked_fill(~outside, 0.).sum(1)
    return cost / outside.sum(1).clamp(min=1)


@MODELS.register_module()
class GuidedAttentionLoss(nn.Module):
    """Registered form of :func:`guided_attention_loss`, a mean over videos.

    Args:
        loss_weight (float): Factor.
    """

    reads = ('time_attention', 'targets.in_event', 'frame_mask',
             'targets.has_span')

    def __init__(self, *, loss_weight: float = 1.) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, time_attention: Tensor, in_event: Tensor,
                frame_mask: Tensor, has_span: Tensor) -> Tensor:
        """Scalar; videos without a true frame (``has_span``) count 0."""
        loss = guided_attention_loss(time_attention, in_event, frame_mask)
        return self.loss_weight * (loss * has_span).mean()
