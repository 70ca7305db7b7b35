# Copyright (c) costa_mm authors. All rights reserved.
"""Target-aware queries of TA-STVG (ICLR 2025)."""
from typing import NamedTuple, Optional, Tuple

import torch
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn

from ..layers import CrossAttentionBlock, masked_mean


class Classifier(BaseModule):
    """Queries read keys in several blocks and are then classified.

    Args:
        embed_dims (int): C.
        num_heads (int): Heads of the blocks.
        num_classes (int): Number of logits.
        dropout (float): Dropout in the blocks.
        num_blocks (int): Number of blocks.
    """

    def __init__(self,
                 *,
                 embed_dims: int,
                 num_heads: int,
                 num_classes: int,
                 dropout: float = 0.1,
                 num_blocks: int = 2) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.blocks = ModuleList(
            CrossAttentionBlock(
                embed_dims=embed_dims, num_heads=num_heads, dropout=dropout)
            for _ in range(num_blocks))
        self.linear = nn.Linear(embed_dims, embed_dims)
        self.activation = nn.GELU()
        self.norm = nn.LayerNorm(embed_dims, eps=1e-12)
        self.logits = nn.Linear(embed_dims, num_classes)

    def freeze_logits(self) -> None:
        """Leave out of training what no weights of attention depend on."""
        last = self.blocks[-1]
        for module in (last.attn.v_proj, last.attn.out_proj, last.norm1,
                       last.linear1, last.linear2, last.norm2, self.linear,
                       self.norm, self.logits):
            module.requires_grad_(False)

    def forward(self,
                query: Tensor,
                keys: Tensor,
                key_mask: Optional[Tensor] = None,
                need_weights: bool = False
                ) -> Tuple[Tensor, Optional[Tensor]]:
        """Classify.

        Args:
            query (Tensor): (N, Q, C).
            keys (Tensor): (N, S, C).
            key_mask (Tensor, optional): True on padding, (N, S), bool.
            need_weights (bool): Whether to return the last block's weights.

        Returns:
            tuple[Tensor, Tensor or None]: Logits (N, Q, classes) and, where
            asked for, weights before dropout summed over heads, (N, Q, S).
        """
        weights = None
        for i, block in enumerate(self.blocks):
            last = i == len(self.blocks) - 1
            query, weights = block(query, keys, key_mask, need_weights
                                   and last)
        logits = self.logits(self.norm(self.activation(self.linear(query))))
        return logits, None if weights is None else weights * self.num_heads


class Activation(NamedTuple):
    """What a stream says of every frame, were it chosen.

    Attributes:
        logits (Tensor): Of the attributes, (B, T, classes).
        maps (Tensor): How much a cell is the target's, (B, T, h*w), in
            [0, 1], zeros on padding.
    """
    logits: Tensor
    maps: Tensor


def stretch(values: Tensor, mask: Tensor) -> Tensor:
    """Bring values to [0, 1] by their own smallest and largest one.

    Args:
        values (Tensor): (N, S).
        mask (Tensor): True on padding, (N, S), bool.

    Returns:
        Tensor: (N, S); 1 where all valid values are equal, 0 on padding.
    """
    low = values.masked_fill(mask, float('inf')).amin(-1, keepdim=True)
    high = values.masked_fill(mask, -float('inf')).amax(-1, keepdim=True)
    flat = high <= low
    scale = torch.where(flat, torch.ones_like(high), high - low)
    stretched = torch.where(flat, torch.ones_like(values),
                            (values - low) / scale)
    return stretched.masked_fill(mask, 0.)


class TargetStream(BaseModule):
    """Which frames, and which cells in them, a sentence is about.

    Neither question trains the encoder: cells and words are read detached.

    Args:
        embed_dims (int): C.
        num_heads (int): Heads of both classifiers.
        num_attributes (int): Classes of attributes of this stream.
        dropout (float): Dropout in both classifiers.
    """

    def __init__(self, *, embed_dims: int, num_heads: int,
                 num_attributes: int, dropout: float) -> None:
        super().__init__()
        sizes = dict(
            embed_dims=embed_dims, num_heads=num_heads, dropout=dropout)
        self.frames = Classifier(num_classes=1, **sizes)
        self.attributes = Classifier(num_classes=num_attributes, **sizes)

    def score_frames(self, cells: Tensor, cell_mask: Tensor, words: Tensor,
                     word_mask: Tensor) -> Tensor:
        """Logit of "the event is in this frame".

        Args:
            cells (Tensor): (B, T, h*w, C).
            cell_mask (Tensor): (B, h*w), bool.
            words (Tensor): (B, L, C).
            word_mask (Tensor): (B, L), bool.

        Returns:
            Tensor: (B, T).
        """
        frames = masked_mean(cells.detach(), cell_mask[:, None], dim=2)
        logits, _ = self.frames(frames, words.detach(), word_mask)
        return logits.squeeze(-1)

    def activate(self, cells: Tensor, cell_mask: Tensor,
                 words: Tensor) -> Activation:
        """Attributes of every frame, and the cells that show them.

        Args:
            cells (Tensor): (B, T, h*w, C).
            cell_mask (Tensor): (B, h*w), bool.
            words (Tensor): (B, L, C); the first one is the query.

        Returns:
            Activation: Of every frame.
        """
        num, length = cells.shape[:2]
        first = words[:, :1].detach()  # (B, 1, C)
        query = first[:, None].expand(-1, length, -1, -1)
        mask = cell_mask[:, None].expand(-1, length, -1).flatten(0, 1)
        logits, weights = self.attributes(
            query.flatten(0, 1),
            cells.detach().flatten(0, 1), mask, True)
        maps = stretch(weights.squeeze(1).float().sigmoid(), mask)
        return Activation(
            logits.squeeze(1).unflatten(0, (num, length)),
            maps.unflatten(0, (num, length)).to(cells.dtype))

    @staticmethod
    def pool(cells: Tensor, maps: Tensor, cell_mask: Tensor,
             chosen: Tensor) -> Tensor:
        """Query of a video: mean of the weighted cells of chosen frames.

        Args:
            cells (Tensor): (B, T, h*w, C).
            maps (Tensor): (B, T, h*w).
            cell_mask (Tensor): (B, h*w), bool.
            chosen (Tensor): (B, T), bool.

        Returns:
            Tensor: (B, C).
        """
        frames = (maps[..., None, :] @ cells).squeeze(-2)  # (B, T, C)
        frames = frames / (~cell_mask).sum(1).view(-1, 1, 1)
        return masked_mean(frames, ~chosen, dim=1)


def chosen_or_all(wanted: Tensor, frame_mask: Tensor) -> Tensor:
    """Wanted frames, or all frames of a video in which none is wanted.

    Args:
        wanted (Tensor): (B, T), bool.
        frame_mask (Tensor): True on padding, (B, T), bool.

    Returns:
        Tensor: (B, T), bool, never padding.
    """
    wanted = wanted & ~frame_mask
    return torch.where(wanted.any(1, keepdim=True), wanted, ~frame_mask)


class Queries(NamedTuple):
    """What both decoders start from.

    Attributes:
        appearance (Tensor): For the spatial decoder, (B, C).
        motion (Tensor): For the temporal decoder, (B, C).
        appearance_attributes (Tensor): Logits, (B, classes).
        motion_attributes (Tensor): Logits, (B, classes).
    """
    appearance: Tensor
    motion: Tensor
    appearance_attributes: Tensor
    motion_attributes: Tensor
