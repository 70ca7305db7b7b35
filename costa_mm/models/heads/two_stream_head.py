# Copyright (c) costa_mm authors. All rights reserved.
"""What the heads of CG-STVG and TA-STVG share."""
from typing import Optional, Sequence

from torch import Tensor

from costa_mm.structures import FusedMemory
from ..layers import (CrossFrameDecoder, CrossFrameOutputs, DropoutMLP,
                      time_sine_embedding, xavier_matrices)
from .absolute_box_decoder import AbsoluteBoxDecoder, FrameAnchor
from .base_tube_head import BaseTubeHead


class TwoStreamHead(BaseTubeHead):
    """A temporal decoder, and a spatial one that says boxes anew.

    First anchors come from the frames' vectors c_t.  The queries of the
    temporal decoder carry nothing but the frame number.

    Args:
        embed_dims (int): C.
        num_layers (int): Layers of each decoder.
        num_heads (int): Heads of all layers.
        feedforward_channels (int): Hidden channels of all FFNs.
        dropout (float): Dropout in all layers.
        span_dropout (float): Dropout of the start/end and actionness MLPs,
            their logits included.
        anchor_prior (Sequence[float], optional): (cx, cy, w, h) of all
            anchors and boxes before training.
        time_in_content (bool): As in :class:`TubeDETRHead`, for the temporal
            decoder.
        context (dict, optional): See :class:`AbsoluteBoxDecoder`.
        loss_attend_dec (dict, optional): Loss of the actionness.
        **kwargs: Other losses, see :class:`BaseTubeHead`.
    """

    layer_outputs = (*BaseTubeHead.layer_outputs, 'attendance',
                     'cell_attention', 'time_attention')
    video_outputs = (*BaseTubeHead.video_outputs, 'cell_mask')

    def __init__(self,
                 *,
                 embed_dims: int = 256,
                 num_layers: int = 6,
                 num_heads: int = 8,
                 feedforward_channels: int = 2048,
                 dropout: float = 0.1,
                 span_dropout: float = 0.3,
                 anchor_prior: Optional[Sequence[float]] = None,
                 time_in_content: bool = False,
                 context: Optional[dict] = None,
                 loss_attend_dec: Optional[dict] = dict(
                     type='costa_mm.AttendanceLoss', loss_weight=2.),
                 **kwargs) -> None:
        super().__init__(loss_attend_dec=loss_attend_dec, **kwargs)
        decoder = dict(
            embed_dims=embed_dims,
            num_layers=num_layers,
            num_heads=num_heads,
            feedforward_channels=feedforward_channels,
            dropout=dropout)
        self.time_in_content = time_in_content
        self.anchor = FrameAnchor(
            embed_dims=embed_dims, dropout=dropout, prior=anchor_prior)
        self.spatial_decoder = AbsoluteBoxDecoder(
            context=context, box_prior=anchor_prior, **decoder)
        self.temporal_decoder = CrossFrameDecoder(**decoder)
        self.span_head = DropoutMLP(embed_dims, embed_dims, 2, 2,
                                    span_dropout)
        self.attend_dec = DropoutMLP(embed_dims, embed_dims, 1, 2,
                                     span_dropout)
        # without its loss nothing trains it, and DDP must not wait for it
        self.attend_dec.requires_grad_(self.loss_attend_dec is not None)

    def init_weights(self) -> None:
        """Xavier for every matrix of the temporal decoder as well."""
        super().init_weights()
        xavier_matrices(self.temporal_decoder)

    def forward_temporal(self,
                         memory: FusedMemory,
                         content: Optional[Tensor] = None,
                         need_time_weights: bool = False
                         ) -> CrossFrameOutputs:
        """Hidden states of all layers.

        Args:
            memory (FusedMemory): What the layers read.
            content (Tensor, optional): What the first layer refines,
                (B, T, C); zeros by default.
            need_time_weights (bool): Whether to return the weights of the
                self-attention.
        """
        num, length = memory.frame_mask.shape
        time = time_sine_embedding(
            length, memory.memory.shape[-1], device=memory.memory.device)
        time = time.to(memory.memory.dtype).expand(num, -1, -1)
        if self.time_in_content:
            content = time if content is None else content + time
        return self.temporal_decoder(
            memory,
            self_pos=time,
            cross_pos=None,
            content=content,
            need_time_weights=need_time_weights)

    def attend(self, hidden: Tensor) -> Tensor:
        """Actionness logits (K, B, T) of hidden states (K, B, T, C)."""
        return self.attend_dec(hidden).squeeze(-1)
