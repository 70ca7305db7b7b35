# Copyright (c) costa_mm authors. All rights reserved.
"""Event part of the entangled query: Eq. (3) and Eq. (4) of CoSTA.

The object part, Eq. (5), is in ``object_queries.py``.
"""
from typing import Optional

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from ..layers import time_sine_embedding


def span_log_probs(span_logits: Tensor, frame_mask: Tensor) -> Tensor:
    """Log-probabilities of starting and ending in a frame.

    Args:
        span_logits (Tensor): Raw scores, (B, T, 2).
        frame_mask (Tensor): True on padding, (B, T), bool.

    Returns:
        Tensor: (B, T, 2), float32; a very low finite value on padding.
    """
    low = torch.finfo(torch.float32).min / 8
    logits = span_logits.float().masked_fill(frame_mask[..., None], low)
    return logits.log_softmax(1).clamp(min=low)


def joint_span_scores(span_logits: Tensor, frame_mask: Tensor) -> Tensor:
    """log p_s(i) + log p_e(j) for every valid i < j.

    A video of one frame has i = j = 0 as its only span.

    Args:
        span_logits (Tensor): Raw scores, (B, T, 2).
        frame_mask (Tensor): True on padding, (B, T), bool.

    Returns:
        Tensor: (B, T, T), float32, -inf where start and end are no span.
    """
    log_p = span_log_probs(span_logits, frame_mask)
    scores = log_p[:, :, None, 0] + log_p[:, None, :, 1]  # (B, start, end)
    length = scores.shape[-1]
    allowed = torch.ones(
        length, length, dtype=torch.bool, device=scores.device).triu(1)
    single = (~frame_mask).sum(1) == 1  # (B, )
    first = torch.zeros_like(allowed)
    first[0, 0] = True
    allowed = torch.where(single[:, None, None], first, allowed)
    allowed = allowed & ~frame_mask[:, :, None] & ~frame_mask[:, None, :]
    return scores.masked_fill(~allowed, float('-inf'))


def span_from_logits(span_logits: Tensor, frame_mask: Tensor) -> Tensor:
    """Most probable span; the first one in row-major order of ties.

    Args:
        span_logits (Tensor): Raw scores, (B, T, 2).
        frame_mask (Tensor): True on padding, (B, T), bool.

    Returns:
        Tensor: First and last frame, inclusive, (B, 2), int64.
    """
    scores = joint_span_scores(span_logits, frame_mask)
    best = scores.flatten(1).argmax(1)
    length = scores.shape[-1]
    return torch.stack((best // length, best % length), dim=1)


def labels_from_span(span: Tensor, length: int) -> Tensor:
    """Eq. (3): a_i = 1 if t_s <= i <= t_e, else 0.

    Args:
        span (Tensor): First and last frame, inclusive, (B, 2), int64.
        length (int): T.

    Returns:
        Tensor: (B, T), bool.
    """
    index = torch.arange(length, device=span.device)
    return (index >= span[:, :1]) & (index <= span[:, 1:])


def select_labels(true_labels: Tensor,
                  pred_labels: Tensor,
                  *,
                  beta: float,
                  draws: Optional[Tensor] = None,
                  per_frame: bool = False) -> Tensor:
    """The training strategy: labels from the truth with probability beta.

    Args:
        true_labels (Tensor): (B, T), bool.
        pred_labels (Tensor): (B, T), bool.
        beta (float): Probability in [0, 1] of taking the true ones.
        draws (Tensor, optional): One uniform number in [0, 1) per video,
            (B, ), drawn as a function of the sample; drawn here otherwise.
        per_frame (bool): Draw for every frame instead of every video.

    Returns:
        Tensor: (B, T), bool.
    """
    if per_frame:
        draws = torch.rand(true_labels.shape, device=true_labels.device)
    elif draws is None:
        draws = torch.rand(len(true_labels), 1, device=true_labels.device)
    else:
        draws = draws[:, None]
    return torch.where(draws < beta, true_labels, pred_labels)


class EventQuery(BaseModule):
    """Event part of the entangled query.

    Eq. (4): Tem_i = Emb(a_i) + PE(i) inside the interval, Emb(a_i) outside.

    Args:
        embed_dims (int): C.
    """

    def __init__(self, *, embed_dims: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(2, embed_dims)

    def forward(self, labels: Tensor) -> Tensor:
        """Embed labels a_i (B, T), bool, to Tem (B, T, C)."""
        time = time_sine_embedding(
            labels.shape[1],
            self.embedding.embedding_dim,
            device=labels.device)
        return self.embedding(labels.long()) + time * labels[..., None]
