# Copyright (c) costa_mm authors. All rights reserved.
"""Decoder with one query per frame: what TubeDETR and STCAT share."""
from typing import NamedTuple, Optional

import torch
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn

from costa_mm.structures import FusedMemory
from .transformer import CrossFrameLayer


class CrossFrameOutputs(NamedTuple):
    """Output of :class:`CrossFrameDecoder`.

    Attributes:
        hidden (Tensor): Normed outputs of all layers, (K, B, T, C).
        time_weights (Tensor, optional): Weights of the inter-frame
            self-attention, mean over heads, (K, B, T, T), where asked for.
        cell_weights (Tensor, optional): Weights of the cross-attention over
            the memory, mean over heads, (K, B, T, S), where asked for.
    """
    hidden: Tensor
    time_weights: Optional[Tensor]
    cell_weights: Optional[Tensor]


class CrossFrameDecoder(BaseModule):
    """Layers over one content per frame, one final norm for all outputs.

    Args:
        embed_dims (int): C.
        num_layers (int): K.
        num_heads (int): Heads of all layers.
        feedforward_channels (int): Hidden channels of all FFNs.
        dropout (float): Dropout in all layers.
    """

    def __init__(self, *, embed_dims: int, num_layers: int, num_heads: int,
                 feedforward_channels: int, dropout: float) -> None:
        super().__init__()
        self.layers = ModuleList(
            CrossFrameLayer(
                embed_dims=embed_dims,
                num_heads=num_heads,
                feedforward_channels=feedforward_channels,
                dropout=dropout) for _ in range(num_layers))
        self.norm = nn.LayerNorm(embed_dims)

    def forward(self,
                memory: FusedMemory,
                *,
                self_pos: Tensor,
                cross_pos: Tensor,
                content: Optional[Tensor] = None,
                need_time_weights: bool = False,
                need_cell_weights: bool = False) -> CrossFrameOutputs:
        """Decode.

        Args:
            memory (FusedMemory): Output of the neck.
            self_pos (Tensor): Added to query and key of the self-attention,
                (B, T, C).
            cross_pos (Tensor): Added to the query of the cross-attention,
                (B, T, C).
            content (Tensor, optional): What the first layer refines,
                (B, T, C); zeros by default, as published.
            need_time_weights (bool): Whether to return the self-attention's
                weights.
            need_cell_weights (bool): Whether to return the cross-attention's
                weights.

        Returns:
            CrossFrameOutputs: Of all layers.
        """
        x = torch.zeros_like(self_pos) if content is None else content
        key = memory.memory + memory.pos[:, None]
        hidden, time_weights, cell_weights = [], [], []
        for layer in self.layers:
            x, over_time, over_cells = layer(
                x,
                self_pos=self_pos,
                cross_pos=cross_pos,
                memory=memory.memory,
                memory_key=key,
                memory_mask=memory.mask,
                frame_mask=memory.frame_mask,
                need_weights=need_cell_weights,
                need_time_weights=need_time_weights)
            hidden.append(self.norm(x))
            time_weights.append(over_time)
            cell_weights.append(over_cells)
        return CrossFrameOutputs(
            torch.stack(hidden),
            torch.stack(time_weights) if need_time_weights else None,
            torch.stack(cell_weights) if need_cell_weights else None)
