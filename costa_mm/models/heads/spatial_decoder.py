# Copyright (c) costa_mm authors. All rights reserved.
"""Spatial decoder of CoSTA: how the entangled query is updated (Fig. 5b)."""
from typing import NamedTuple, Optional

import torch
from mmdet.models.layers.transformer.utils import MLP
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn

from costa_mm.registry import MODELS
from costa_mm.structures import FusedMemory
from ..layers import AnchorDecoderLayer, xavier_matrices


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


class EntangledDecoderLayer(AnchorDecoderLayer):
    """One update of the event stream e, led by the object part p."""


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
        """Begin as STCAT's (Xavier), with boxes equal to their anchors."""
        super().init_weights()
        xavier_matrices(self.layers)
        xavier_matrices(self.box_head)
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
