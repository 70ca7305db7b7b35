# Copyright (c) costa_mm authors. All rights reserved.
"""Space-time decoder and heads of TubeDETR (CVPR 2022)."""
from typing import Optional

import torch
from mmdet.models.layers.transformer.utils import MLP
from torch import Tensor, nn

from costa_mm.registry import MODELS
from costa_mm.structures import FusedMemory, TubeOutputs
from ..layers import (CrossFrameDecoder, DropoutMLP, time_sine_embedding,
                      xavier_matrices)
from .base_tube_head import BaseTubeHead
from .targets import TubeTargets


@MODELS.register_module()
class TubeDETRHead(BaseTubeHead):
    """One learned object query plus the frame number, decoded to everything.

    The steps are::

        embed_time -> make_query -> decoder -> box_head and span_head

    Args:
        embed_dims (int): C.
        num_layers (int): K.
        num_heads (int): Heads of all layers.
        feedforward_channels (int): Hidden channels of all FFNs.
        dropout (float): Dropout in all layers.
        span_dropout (float): Dropout of the start/end MLP, its logits
            included.
        time_in_content (bool): Start the contents from the frame numbers'
            embedding, as Eq. (2) of CoSTA does, not from zeros as published.
            A decoder that is trained from nothing, and finds the frame
            number in queries and keys only, hardly learns even at what times
            events begin and end on the average.
        loss_giou (dict): Generalised IoU.
        loss_span (dict): Start and end; sigma is 1 (at 5 frames/s).
        loss_guided (dict, optional): Guided attention.
        **kwargs: Other losses, see :class:`BaseTubeHead`.
    """

    layer_outputs = (*BaseTubeHead.layer_outputs, 'time_attention',
                     'cell_attention')
    video_outputs = (*BaseTubeHead.video_outputs, 'cell_mask')

    def __init__(self,
                 *,
                 embed_dims: int = 256,
                 num_layers: int = 6,
                 num_heads: int = 8,
                 feedforward_channels: int = 2048,
                 dropout: float = 0.1,
                 span_dropout: float = 0.5,
                 time_in_content: bool = False,
                 loss_giou: dict = dict(
                     type='costa_mm.GIoULoss', loss_weight=2.),
                 loss_span: dict = dict(
                     type='costa_mm.SpanKLLoss', sigma=1., loss_weight=10.),
                 loss_guided: Optional[dict] = dict(
                     type='costa_mm.GuidedAttentionLoss', loss_weight=1.),
                 **kwargs) -> None:
        super().__init__(
            loss_giou=loss_giou, loss_span=loss_span, **kwargs,
            loss_guided=loss_guided)
        self.time_in_content = time_in_content
        self.object_query = nn.Parameter(torch.zeros(embed_dims))
        self.decoder = CrossFrameDecoder(
            embed_dims=embed_dims,
            num_layers=num_layers,
            num_heads=num_heads,
            feedforward_channels=feedforward_channels,
            dropout=dropout)
        self.box_head = MLP(embed_dims, embed_dims, 4, 3)
        self.span_head = DropoutMLP(embed_dims, embed_dims, 2, 2,
                                    span_dropout)

    def init_weights(self) -> None:
        """Xavier for every matrix of the decoder; normal for the query."""
        super().init_weights()
        xavier_matrices(self.decoder)
        nn.init.normal_(self.object_query)

    def embed_time(self, memory: FusedMemory) -> Tensor:
        """Frame numbers, (B, T, C)."""
        num, length = memory.frame_mask.shape
        time = time_sine_embedding(
            length, len(self.object_query), device=memory.memory.device)
        return time.to(memory.memory.dtype).expand(num, -1, -1)

    def make_query(self, time: Tensor) -> Tensor:
        """Object query plus frame numbers, (B, T, C)."""
        return time + self.object_query.to(time.dtype)

    def forward(self,
                memory: FusedMemory,
                targets: Optional[TubeTargets] = None) -> TubeOutputs:
        """Decode a batch; see :class:`BaseTubeHead`."""
        time = self.embed_time(memory)
        query = self.make_query(time)
        outs = self.decoder(
            memory,
            self_pos=query,
            cross_pos=query,
            content=time if self.time_in_content else None,
            need_time_weights=self.wants('time_attention', targets),
            need_cell_weights=self.wants('cell_attention', targets))
        return TubeOutputs(
            boxes=self.box_head(outs.hidden).float().sigmoid(),
            span_logits=self.span_head(outs.hidden),
            frame_mask=memory.frame_mask,
            extras=dict(
                time_attention=outs.time_weights,
                cell_attention=outs.cell_weights,
                cell_mask=memory.cell_mask))
