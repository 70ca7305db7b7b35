# Copyright (c) costa_mm authors. All rights reserved.
"""Spans of frames: their scores, the best one, and Eq. (3) of CoSTA."""
import torch
from torch import Tensor


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
    # made by comparison: writing one element would wait for a GPU
    index = torch.arange(length, device=scores.device)
    first = index[:, None] + index == 0
    # no torch.where: ONNX Runtime has none for truth values
    single = single[:, None, None]
    allowed = (single & first) | (~single & allowed)
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
    first = best // length
    # no %: ONNX's exporter wants its right side to be a plain number
    return torch.stack((first, best - first * length), dim=1)


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
