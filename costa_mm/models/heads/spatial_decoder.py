# Copyright (c) costa_mm authors. All rights reserved.
"""Spatial decoder of CoSTA: how the entangled query is updated (Fig. 5b)."""
from typing import NamedTuple, Optional, Tuple

import torch
from mmdet.models.layers.transformer.utils import MLP
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn

from costa_mm.registry import MODELS
from costa_mm.structures import FusedMemory

from ..layers import (FFN, ConcatCrossAttention, MultiheadAttention,
                      frame_key_mask)


class SpatialOutputs(NamedTuple):
    """Output of the spatial decoder.

    Attributes:
        boxes (Tensor): box_l of all layers, (K, B, T, 4), normalised
            (cx, cy, w, h).
        references (Tensor): What each layer started from, (K, B, T, D).
        attention (Tensor, optional): Cross-attention weights over the memory,
            mean over heads, (K, B, T, S), where asked for.
    """
    boxes: Tensor
    references: Tensor
    attention: Optional[Tensor]


class EntangledDecoderLayer(BaseModule):
    """One update of the event stream e, led by the object part p.

    Inter-frame self-attention: query and key are the sum of projected e and
    p, the value is e.  Intra-frame cross-attention: the query is the
    concatenation [e ; sine part of p], the key [memory ; position], the value
    memory.  FFN.  Post-norm.

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

    def forward(self,
                event: Tensor,
                pos: Tensor,
                sine: Tensor,
                memory: FusedMemory,
                need_weights: bool = False
                ) -> Tuple[Tensor, Optional[Tensor]]:
        """Update the event stream.

        Args:
            event (Tensor): e, (B, T, C).
            pos (Tensor): Object part p, (B, T, C).
            sine (Tensor): Sine part of p, (B, T, C).
            memory (FusedMemory): Output of the neck.
            need_weights (bool): Whether to return attention weights.

        Returns:
            tuple[Tensor, Tensor or None]: e (B, T, C) and the weights of the
            cross-attention (B, T, S) where asked for.
        """
        update, _ = self.self_attn(
            self.self_query_event(event) + self.self_query_object(pos),
            self.self_key_event(event) + self.self_key_object(pos),
            self.self_value(event), memory.frame_mask)
        event = self.norm1(event + self.dropout(update))
        update, weights = self._attend_own_frame(event, sine, memory,
                                                 need_weights)
        event = self.norm2(event + self.dropout(update))
        return self.norm3(self.ffn(event)), weights

    def _attend_own_frame(self, event: Tensor, sine: Tensor,
                          memory: FusedMemory, need_weights: bool):
        num, length = event.shape[:2]
        tokens = memory.memory.flatten(0, 1)  # (B*T, S, C)
        # (B, S, C) -> the same for all frames of a video, (B*T, S, C)
        key_pos = self.key_pos(memory.pos.to(tokens.dtype))
        key_pos = key_pos[:, None].expand(-1, length, -1, -1).flatten(0, 1)
        query = (self.query_event(event).flatten(0, 1)[:, None],
                 self.query_object(sine).flatten(0, 1)[:, None])
        update, weights = self.cross_attn(
            query, (self.key_memory(tokens), key_pos), self.value(tokens),
            frame_key_mask(memory.mask, length), need_weights)
        if weights is not None:
            weights = weights.squeeze(1).unflatten(0, (num, length))
        return update.squeeze(1).unflatten(0, (num, length)), weights


class EntangledSpatialDecoder(BaseModule):
    """Layers with one shared box MLP, refining one box per frame.

    box_l = sigmoid(MLP(e_l) + logit(anchor_l)); the next layer's anchor is
    box_l, detached; the first anchor is not detached.

    Args:
        embed_dims (int): C.
        num_layers (int): K.
        num_heads (int): Heads of all layers.
        feedforward_channels (int): Hidden channels of all FFNs.
        dropout (float): Dropout in all layers.
        object_query (dict): The object part; a registered module.
    """

    def __init__(self,
                 *,
                 embed_dims: int,
                 num_layers: int,
                 num_heads: int,
                 feedforward_channels: int,
                 dropout: float,
                 object_query: dict = dict(
                     type='costa_mm.AnchorBoxQuery')) -> None:
        super().__init__()
        self.object_query = MODELS.build({
            **object_query, 'embed_dims': embed_dims,
            'num_layers': num_layers
        })
        self.layers = ModuleList(
            EntangledDecoderLayer(
                embed_dims=embed_dims,
                num_heads=num_heads,
                feedforward_channels=feedforward_channels,
                dropout=dropout) for _ in range(num_layers))
        self.box_head = MLP(embed_dims, embed_dims, 4, 3)

    def init_weights(self) -> None:
        """Begin with boxes equal to their anchors."""
        super().init_weights()
        nn.init.zeros_(self.box_head.layers[-1].weight)
        nn.init.zeros_(self.box_head.layers[-1].bias)

    def forward(self,
                event: Tensor,
                memory: FusedMemory,
                need_weights: bool = False) -> SpatialOutputs:
        """Decode.

        Args:
            event (Tensor): Event part of the queries, (B, T, C).
            memory (FusedMemory): Output of the neck.
            need_weights (bool): Whether to return attention weights.

        Returns:
            SpatialOutputs: Boxes of all layers.
        """
        reference = self.object_query.initial(memory.cls)
        boxes, references, maps = [], [], []
        for i, layer in enumerate(self.layers):
            pos, sine = self.object_query.embed(reference, event, i)
            event, weights = layer(event, pos, sine, memory, need_weights)
            box = self.object_query.refine(self.box_head(event), reference)
            boxes.append(box)
            references.append(reference)
            maps.append(weights)
            reference = self.object_query.next_reference(box, reference)
        return SpatialOutputs(
            torch.stack(boxes), torch.stack(references),
            torch.stack(maps) if need_weights else None)
