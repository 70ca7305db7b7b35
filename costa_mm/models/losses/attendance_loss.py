# Copyright (c) costa_mm authors. All rights reserved.
"""Binary cross entropy on "the object attends the event in this frame"."""
import torch.nn.functional as F
from torch import Tensor, nn

from costa_mm.registry import MODELS


def attendance_loss(logits: Tensor,
                    in_event: Tensor,
                    frame_mask: Tensor,
                    *,
                    outside_weight: float = 0.3,
                    average: str = 'video') -> Tensor:
    """L_e and L_d of Eq. (8) of CoSTA, per video.

    Args:
        logits (Tensor): (B, T).
        in_event (Tensor): True on frames of the event, (B, T), bool.
        frame_mask (Tensor): True on padding, (B, T), bool.
        outside_weight (float): Weight of frames outside the event.
        average (str): 'video' divides by a video's own valid frames, 'padded'
            by T, as published.

    Returns:
        Tensor: (B, ).

    Raises:
        ValueError: For an unknown ``average``.
    """
    if average not in ('video', 'padded'):
        raise ValueError(f"average {average!r} is neither 'video' nor "
                         "'padded'")
    target = in_event.float()
    weight = target + outside_weight * (1 - target)
    loss = F.binary_cross_entropy_with_logits(
        logits.float(), target, weight=weight, reduction='none')
    loss = loss.masked_fill(frame_mask, 0.).sum(1)
    if average == 'padded':
        return loss / frame_mask.shape[1]
    return loss / (~frame_mask).sum(1)


@MODELS.register_module()
class AttendanceLoss(nn.Module):
    """Registered form of :func:`attendance_loss`, a mean over videos.

    Args:
        outside_weight (float): See :func:`attendance_loss`.
        average (str): See :func:`attendance_loss`.
        loss_weight (float): Factor.
    """

    reads = ('attendance', 'targets.in_event', 'frame_mask')

    def __init__(self,
                 *,
                 outside_weight: float = 0.3,
                 average: str = 'video',
                 loss_weight: float = 1.) -> None:
        super().__init__()
        self.options = dict(outside_weight=outside_weight, average=average)
        self.loss_weight = loss_weight

    def forward(self, logits: Tensor, in_event: Tensor,
                frame_mask: Tensor) -> Tensor:
        """Scalar."""
        loss = attendance_loss(logits, in_event, frame_mask, **self.options)
        return self.loss_weight * loss.mean()
