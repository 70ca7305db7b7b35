# Copyright (c) costa_mm authors. All rights reserved.
"""Decoding one box per frame from anchors: what CoSTA and STCAT share."""
from typing import Optional, Tuple

from mmdet.models.layers import inverse_sigmoid
from mmengine.model import BaseModule
from torch import Tensor, nn

from costa_mm.structures import FusedMemory
from .attention import ConcatCrossAttention, MultiheadAttention
from .transformer import FFN, frame_key_mask

# STCAT's value: anchors within 1e-3 of the border keep a finite logit
ANCHOR_EPS = 1e-3


def refine_anchor(delta: Tensor, anchor: Tensor) -> Tensor:
    """box = sigmoid(delta + logit(anchor)), float32.

    Args:
        delta (Tensor): What a layer predicts, (..., 4).
        anchor (Tensor): Normalised (cx, cy, w, h), (..., 4).

    Returns:
        Tensor: Normalised (cx, cy, w, h), (..., 4).
    """
    return (delta.float() + inverse_sigmoid(anchor, eps=ANCHOR_EPS)).sigmoid()


class AnchorDecoderLayer(BaseModule):
    """One update of the content stream e, led by the place p of a query.

    Inter-frame self-attention: query and key are the sum of projected e and
    p, the value is a projected e.  Intra-frame cross-attention: the query is
    the concatenation [e ; sine part of p], the key [memory ; position], the
    value memory.  FFN.  Post-norm.

    A variant overrides ``self_inputs`` or ``cross_content``.

    Args:
        embed_dims (int): C.
        num_heads (int): Number of heads.
        feedforward_channels (int): Hidden channels of the FFN.
        dropout (float): Dropout everywhere in the layer.
    """

    def __init__(self, *, embed_dims: int, num_heads: int,
                 feedforward_channels: int, dropout: float) -> None:
        super().__init__()

        def linear() -> nn.Linear:
            return nn.Linear(embed_dims, embed_dims)

        # e and p are projected apart, before an attention that has its own
        # projections: STCAT's form, which takes MDETR's weights for the latter
        self.self_query_event, self.self_query_object = linear(), linear()
        self.self_key_event, self.self_key_object = linear(), linear()
        self.self_value = linear()
        self.self_attn = MultiheadAttention(
            embed_dims=embed_dims, num_heads=num_heads, dropout=dropout)
        self.norm1 = nn.LayerNorm(embed_dims)
        self.query_event, self.query_object = linear(), linear()
        self.key_memory, self.key_pos = linear(), linear()
        self.value = linear()
        self.cross_attn = ConcatCrossAttention(
            embed_dims=embed_dims, num_heads=num_heads, dropout=dropout)
        self.norm2 = nn.LayerNorm(embed_dims)
        self.ffn = FFN(
            embed_dims=embed_dims,
            feedforward_channels=feedforward_channels,
            dropout=dropout)
        self.norm3 = nn.LayerNorm(embed_dims)
        self.dropout = nn.Dropout(dropout)

    def self_inputs(self, content: Tensor,
                    pos: Tensor) -> Tuple[Tensor, Tensor, Tensor]:
        """Query, key and value of the self-attention, each (B, T, C)."""
        return (self.self_query_event(content) + self.self_query_object(pos),
                self.self_key_event(content) + self.self_key_object(pos),
                self.self_value(content))

    def cross_content(self, content: Tensor, pos: Tensor, memory_key: Tensor,
                      key_pos: Tensor) -> Tuple[Tensor, Tensor]:
        """Content halves of the cross-attention's query and key.

        Args:
            content (Tensor): (B, T, C).
            pos (Tensor): Positional query, (B, T, C).
            memory_key (Tensor): Projected memory, (B, T, S, C).
            key_pos (Tensor): Projected positions, (B, 1, S, C).

        Returns:
            tuple[Tensor, Tensor]: (B, T, C) and (B, T, S, C).
        """
        return self.query_event(content), memory_key

    def forward(self,
                content: Tensor,
                pos: Tensor,
                sine: Tensor,
                memory: FusedMemory,
                need_weights: bool = False
                ) -> Tuple[Tensor, Optional[Tensor]]:
        """Update the content stream.

        Args:
            content (Tensor): (B, T, C).
            pos (Tensor): Positional query p, (B, T, C).
            sine (Tensor): Sine part of p, (B, T, C).
            memory (FusedMemory): Output of the neck.
            need_weights (bool): Whether to return attention weights.

        Returns:
            tuple[Tensor, Tensor or None]: Content (B, T, C) and the weights
            of the cross-attention (B, T, S) where asked for.
        """
        content = self.exchange(content, pos, memory)
        return self.read(content, pos, sine, memory, need_weights)

    def exchange(self, content: Tensor, pos: Tensor,
                 memory: FusedMemory) -> Tensor:
        """Inter-frame self-attention, (B, T, C) in and out."""
        query, key, value = self.self_inputs(content, pos)
        update, _ = self.self_attn(query, key, value, memory.frame_mask)
        return self.norm1(content + self.dropout(update))

    def read(self,
             content: Tensor,
             pos: Tensor,
             sine: Tensor,
             memory: FusedMemory,
             need_weights: bool = False) -> Tuple[Tensor, Optional[Tensor]]:
        """Intra-frame cross-attention and FFN; as ``forward``."""
        update, weights = self._attend_own_frame(content, pos, sine, memory,
                                                 need_weights)
        content = self.norm2(content + self.dropout(update))
        return self.norm3(self.ffn(content)), weights

    def _attend_own_frame(self, content: Tensor, pos: Tensor, sine: Tensor,
                          memory: FusedMemory, need_weights: bool):
        num, length = content.shape[:2]
        tokens = memory.memory  # (B, T, S, C)
        key_pos = self.key_pos(memory.pos.to(tokens.dtype))[:, None]
        query, key = self.cross_content(content, pos, self.key_memory(tokens),
                                        key_pos)
        # positions are the same for all frames of a video
        key_pos = key_pos.expand(-1, length, -1, -1)
        update, weights = self.cross_attn(
            (query.flatten(0, 1)[:, None],  # (B*T, 1, C)
             self.query_object(sine).flatten(0, 1)[:, None]),
            (key.flatten(0, 1), key_pos.flatten(0, 1)),  # (B*T, S, C)
            self.value(tokens).flatten(0, 1),
            frame_key_mask(memory.mask, length), need_weights)
        if weights is not None:
            weights = weights.squeeze(1).unflatten(0, (num, length))
        return update.squeeze(1).unflatten(0, (num, length)), weights
