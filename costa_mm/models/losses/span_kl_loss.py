# Copyright (c) costa_mm authors. All rights reserved.
"""KL divergence between predicted and Gaussian start/end distributions."""
import torch
from torch import Tensor, nn

from costa_mm.registry import MODELS

_EPS = 1e-6
AVERAGES = ('video', 'padded')


def gaussian_targets(span: Tensor, frame_mask: Tensor,
                     sigma: float) -> Tensor:
    """1D Gaussians centred on the true start and end, pi of Eq. (7).

    Args:
        span (Tensor): First and last true frame, inclusive, (B, 2), int64.
        frame_mask (Tensor): True on padding, (B, T), bool.
        sigma (float): Standard deviation in sampled frames.

    Returns:
        Tensor: (B, T, 2), sums to 1 over the valid frames of a video (plus
        1e-6 per frame, as published); 0 on padding.
    """
    index = torch.arange(frame_mask.shape[1], device=span.device)
    distance = index[None, :, None] - span[:, None].float()  # (B, T, 2)
    weight = torch.exp(-distance**2 / (2 * sigma**2))
    weight = (weight + _EPS).masked_fill(frame_mask[..., None], 0.)
    return weight / weight.sum(1, keepdim=True)


def span_kl_loss(span_logits: Tensor,
                 span: Tensor,
                 frame_mask: Tensor,
                 *,
                 sigma: float = 2.,
                 direction: str = 'pred_true',
                 average: str = 'video') -> Tensor:
    """Eq. (7) of CoSTA, per video.

    Args:
        span_logits (Tensor): Raw start and end scores, (B, T, 2), padding
            included.
        span (Tensor): First and last true frame, inclusive, (B, 2), int64.
        frame_mask (Tensor): True on padding, (B, T), bool.
        sigma (float): Standard deviation of the targets in sampled frames.
        direction (str): 'pred_true' is KL(p || g), what STCAT and TubeDETR
            compute; 'true_pred' is KL(g || p).
        average (str): 'video' divides by a video's own valid frames, 'padded'
            by T, as published.

    Returns:
        Tensor: Loss of start plus loss of end, (B, ).

    Raises:
        ValueError: For an unknown ``direction`` or ``average``.
    """
    if direction not in ('pred_true', 'true_pred'):
        raise ValueError(f'unknown direction {direction!r}')
    if average not in AVERAGES:
        raise ValueError(f'average {average!r} is none of {AVERAGES}')
    padding = frame_mask[..., None]
    true = gaussian_targets(span, frame_mask, sigma)
    logits = span_logits.float().masked_fill(padding, -1e32)
    log_p = logits.log_softmax(1).masked_fill(padding, 0.)
    pred = log_p.exp().masked_fill(padding, 0.)
    true = true.masked_fill(padding, 1.)  # log 1 = 0
    if direction == 'pred_true':
        terms = pred * ((pred + _EPS).log() - true.log())
    else:
        terms = true * (true.log() - log_p)
    terms = terms.masked_fill(padding, 0.).sum((1, 2))
    if average == 'padded':
        return terms / frame_mask.shape[1]
    return terms / (~frame_mask).sum(1)


@MODELS.register_module()
class SpanKLLoss(nn.Module):
    """Registered form of :func:`span_kl_loss`, a mean over videos.

    Args:
        sigma (float): See :func:`span_kl_loss`.
        direction (str): See :func:`span_kl_loss`.
        average (str): See :func:`span_kl_loss`.
        loss_weight (float): Factor.
    """

    reads = ('span_logits', 'targets.span', 'frame_mask', 'targets.has_span')

    def __init__(self,
                 *,
                 sigma: float = 2.,
                 direction: str = 'pred_true',
                 average: str = 'video',
                 loss_weight: float = 1.) -> None:
        super().__init__()
        self.options = dict(
            sigma=sigma, direction=direction, average=average)
        self.loss_weight = loss_weight

    def forward(self, span_logits: Tensor, span: Tensor, frame_mask: Tensor,
                has_span: Tensor) -> Tensor:
        """Scalar; videos without a true frame (``has_span``) count 0."""
        loss = span_kl_loss(span_logits, span, frame_mask, **self.options)
        return self.loss_weight * (loss * has_span).mean()
