# Copyright (c) costa_mm authors. All rights reserved.
"""Temporal decoder of CoSTA: Eq. (2) and the left half of Fig. 5a."""
from typing import Tuple

import torch
from mmdet.models.layers.transformer.utils import MLP
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn

from costa_mm.structures import FusedMemory
from ..layers import (CrossFrameLayer, DropoutMLP, time_sine_embedding,
                      xavier_matrices)


class TemporalDecoder(BaseModule):
    """One temporal query per frame, decoded to start and end scores.

    Eq. (2): q_i = W(theta_t(c_i) + PE(i)).

    Args:
        embed_dims (int): C.
        num_layers (int): K.
        num_heads (int): Heads of all layers.
        feedforward_channels (int): Hidden channels of all FFNs.
        dropout (float): Dropout in all layers.
        span_dropout (float): Dropout of the span head, its logits included.
    """

    def __init__(self, *, embed_dims: int, num_layers: int, num_heads: int,
                 feedforward_channels: int, dropout: float,
                 span_dropout: float = 0.) -> None:
        super().__init__()
        self.theta_t = MLP(embed_dims, embed_dims, embed_dims, 2)
        self.query_proj = nn.Linear(embed_dims, embed_dims)
        self.layers = ModuleList(
            CrossFrameLayer(
                embed_dims=embed_dims,
                num_heads=num_heads,
                feedforward_channels=feedforward_channels,
                dropout=dropout) for _ in range(num_layers))
        self.span_head = DropoutMLP(embed_dims, embed_dims, 2, 2,
                                    span_dropout)

    def init_weights(self) -> None:
        """Begin as STCAT's: Xavier but for the span scores."""
        super().init_weights()
        for part in (self.theta_t, self.query_proj, self.layers):
            xavier_matrices(part)

    def make_query(self, cls: Tensor) -> Tensor:
        """Eq. (2): [CLS] (B, T, C) to temporal queries (B, T, C)."""
        time = time_sine_embedding(
            cls.shape[1], cls.shape[2], device=cls.device)
        return self.query_proj(self.theta_t(cls) + time)

    def forward(self, memory: FusedMemory) -> Tuple[Tensor, Tensor]:
        """Decode.

        Args:
            memory (FusedMemory): Output of the neck.

        Returns:
            tuple[Tensor, Tensor]: Outputs of all layers (K, B, T, C) and
            start and end logits (K, B, T, 2).
        """
        x = self.make_query(memory.cls)
        time = time_sine_embedding(x.shape[1], x.shape[2], device=x.device)
        key = memory.memory + memory.pos[:, None]
        outs = []
        for layer in self.layers:
            x, _, _ = layer(
                x,
                self_pos=time,
                cross_pos=None,
                memory=memory.memory,
                memory_key=key,
                memory_mask=memory.mask,
                frame_mask=memory.frame_mask)
            outs.append(x)
        hidden = torch.stack(outs)
        return hidden, self.span_head(hidden)
