# Copyright (c) costa_mm authors. All rights reserved.
"""Spans as candidates: anchors of several lengths around every frame."""
from typing import Dict, Tuple

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from costa_mm.structures import FusedMemory


def anchor_radii(num_scales: int) -> Tuple[int, ...]:
    """Half lengths of the anchors, 1, 3, 7, 15, ... sampled frames."""
    return tuple(2**(n + 1) - 1 for n in range(num_scales))


def make_anchors(frame_mask: Tensor,
                 num_scales: int) -> Tuple[Tensor, Tensor]:
    """Anchors [i - r, i + r] around every frame i, scale by scale.

    Only those inside the video count.  A video that is shorter than the
    shortest anchor has those of that scale, cut at its ends.

    Args:
        frame_mask (Tensor): True on padding, (B, T), bool.
        num_scales (int): N.

    Returns:
        tuple[Tensor, Tensor]: (B, N*T, 2), float32, inside the video, and
        True on anchors that do not count, (B, N*T), bool.
    """
    center = torch.arange(frame_mask.shape[1], device=frame_mask.device)
    radii = anchor_radii(num_scales)
    start = torch.cat([center - r for r in radii])  # (N*T, )
    end = torch.cat([center + r for r in radii])
    last = (~frame_mask).sum(1, keepdim=True) - 1  # (B, 1)
    outside = (start < 0) | (end > last)
    short = (last < 2) & (end - start == 2) & (start < last)
    anchors = torch.stack((start.expand_as(outside), end.expand_as(outside)),
                          dim=-1)
    anchors = anchors.clamp(min=0).minimum(last[..., None])
    return anchors.float(), outside & ~short


def round_spans(spans: Tensor, frame_mask: Tensor) -> Tensor:
    """To first and last frames inside the video, the first before the last.

    Args:
        spans (Tensor): Starts and ends, (B, M, 2).
        frame_mask (Tensor): True on padding, (B, T), bool.

    Returns:
        Tensor: (B, M, 2), int64; 0 and 0 in a video of one frame.
    """
    last = (~frame_mask).sum(1, keepdim=True) - 1
    start, end = spans.float().round().long().unbind(-1)
    start = start.minimum(last - 1).clamp(min=0)
    return torch.stack((start, end.maximum(start + 1).minimum(last)), dim=-1)


def span_logits_of(spans: Tensor, scores: Tensor, anchor_mask: Tensor,
                   frame_mask: Tensor) -> Tensor:
    """Start and end scores of every frame, from the candidates' scores.

    The logarithm of the summed scores of all candidates that start, or end,
    in a frame: what decodes start and end scores can read candidates.

    Args:
        spans (Tensor): First and last frames, (B, M, 2), int64.
        scores (Tensor): In [0, 1], (B, M).
        anchor_mask (Tensor): True on what does not count, (B, M), bool.
        frame_mask (Tensor): True on padding, (B, T), bool.

    Returns:
        Tensor: (B, T, 2), float32.
    """
    frames = torch.arange(frame_mask.shape[1], device=spans.device)
    there = spans[..., None] == frames  # (B, M, 2, T)
    scores = scores.float().masked_fill(anchor_mask, 0.)
    total = torch.einsum('bm,bmet->bte', scores, there.float())
    return total.clamp(min=1e-6).log()


class AnchorSpans(BaseModule):
    """The sentence looks at every frame; anchors get scores and offsets.

    ::

        frame tokens g_t = attention of the sentence over the cells of frame t
        anchors of radius r: mean of g over 2 r + 1 frames -> convolutions

    The convolutions are the same for all scales.

    Args:
        embed_dims (int): Channels C of the cells.
        text_channels (int): Channels C_t of the sentence.
        channels (int): Channels D of frame tokens and convolutions.
        num_scales (int): N.
    """

    def __init__(self,
                 *,
                 embed_dims: int,
                 text_channels: int,
                 channels: int = 128,
                 num_scales: int = 5) -> None:
        super().__init__()
        self.num_scales = num_scales
        self.query = nn.Linear(text_channels, channels)
        self.key = nn.Linear(embed_dims, channels)
        self.value = nn.Linear(embed_dims, channels)
        self.score_convs = self._convs(channels, 1)
        self.offset_convs = self._convs(channels, 2)

    @staticmethod
    def _convs(channels: int, out_channels: int) -> nn.ModuleList:
        return nn.ModuleList(
            nn.Conv1d(channels, out, 3, padding=1, bias=False)
            for out in (channels, channels, out_channels))

    def forward(self, memory: FusedMemory) -> Dict[str, Tensor]:
        """All candidates.

        Args:
            memory (FusedMemory): Cells (B, T, S, C), ``extras['sentence']``
                (B, C_t).

        Returns:
            dict[str, Tensor]: With M = N*T: 'anchors' (B, M, 2) and
            'anchor_mask' (B, M), see :func:`make_anchors`; 'anchor_scores'
            (B, M), logits; 'anchor_spans' (B, M, 2), anchors after
            regression.
        """
        frame_mask = memory.frame_mask
        pooled = self.pool(self.read_frames(memory), frame_mask)
        anchors, mask = make_anchors(frame_mask, self.num_scales)
        scores = self.convolve(self.score_convs, pooled, frame_mask)
        offsets = self.convolve(self.offset_convs, pooled, frame_mask)
        length = (~frame_mask).sum(1)[:, None, None]
        return dict(
            anchors=anchors,
            anchor_mask=mask,
            anchor_scores=scores.squeeze(-1),
            anchor_spans=anchors + offsets.float() * length)

    def read_frames(self, memory: FusedMemory) -> Tensor:
        """Frame tokens, (B, T, D); as published, scores are not scaled."""
        query = self.query(memory.extras['sentence'])  # (B, D)
        scores = self.key(memory.memory) @ query[:, None, :, None]
        scores = scores.squeeze(-1).float()  # (B, T, S)
        scores = scores.masked_fill(memory.mask[:, None], float('-inf'))
        values = self.value(memory.memory)
        weights = scores.softmax(-1).to(values.dtype)
        return (weights[:, :, None] @ values).squeeze(2)

    def pool(self, tokens: Tensor, frame_mask: Tensor) -> Tensor:
        """Means of (B, T, D) over 2 r + 1 frames, (B, N, D, T); what lies
        outside of the video counts as zeros."""
        x = tokens.masked_fill(frame_mask[..., None], 0.).transpose(1, 2)
        return torch.stack([
            F.avg_pool1d(x, 2 * r + 1, stride=1, padding=r)
            for r in anchor_radii(self.num_scales)
        ], dim=1)

    @staticmethod
    def convolve(convs: nn.ModuleList, pooled: Tensor,
                 frame_mask: Tensor) -> Tensor:
        """(B, N, D, T) to (B, N*T, channels), padded frames kept at zero."""
        num, scales = pooled.shape[:2]
        padding = frame_mask[:, None, None].expand(-1, scales, -1, -1)
        padding = padding.flatten(0, 1)  # (B*N, 1, T)
        x = pooled.flatten(0, 1)
        for i, conv in enumerate(convs):
            x = F.relu(x) if i else x
            x = conv(x.masked_fill(padding, 0.))
        return x.unflatten(0, (num, scales)).transpose(2, 3).flatten(1, 2)
