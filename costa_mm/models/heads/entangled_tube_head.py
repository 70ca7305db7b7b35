# Copyright (c) costa_mm authors. All rights reserved.
"""Space-time entangled decoding of CoSTA: Fig. 5a from left to right."""
from typing import Optional, Tuple

import torch
from torch import Tensor, nn

from costa_mm.registry import MODELS
from costa_mm.structures import FusedMemory, TubeOutputs
from ..layers import DropoutMLP
from ..utils.spans import labels_from_span, span_from_logits
from .base_tube_head import BaseTubeHead
from .entangled_query import EventQuery, select_labels
from .spatial_decoder import EntangledSpatialDecoder
from .targets import TubeTargets
from .temporal_decoder import TemporalDecoder


@MODELS.register_module()
class EntangledTubeHead(BaseTubeHead):
    """Temporal decoder, entangled query, spatial decoder, attendances.

    ``forward`` is three named steps::

        forward_temporal -> make_event_query -> spatial_decoder

    Args:
        embed_dims (int): C.
        num_temporal_layers (int): Layers of the temporal decoder.
        num_spatial_layers (int): Layers of the spatial decoder; the same
            number, so that a layer's losses go together.
        num_heads (int): Heads of all layers.
        feedforward_channels (int): Hidden channels of all FFNs.
        dropout (float): Dropout in all layers.
        span_dropout (float): Dropout of the start/end and attendance MLPs,
            their logits included, as STCAT has it.
        object_query (dict): Object part of the entangled query.
        entangled (bool): Without, the spatial decoder knows nothing of the
            span ("no ST-decoder" in Table 2).
        content (str): What the event part is then: 'cls', a projection of
            c_i, or 'zero', so that only the anchors read c_i.
        beta (float): Probability of taking the labels a_i of a video from the
            ground truth in training (Table 3c).
        beta_per_frame (bool): Draw for every frame instead of every video.
        loss_attend_enc (dict, optional): L_e of Eq. (8).
        loss_attend_dec (dict, optional): L_d of Eq. (8).
        **kwargs: Other losses, see :class:`BaseTubeHead`.

    Raises:
        ValueError: If beta is no probability, there is no such content or
            the decoders differ in depth.
    """

    layer_outputs = (*BaseTubeHead.layer_outputs, 'attendance',
                     'cell_attention')
    video_outputs = (*BaseTubeHead.video_outputs, 'attendance_enc',
                     'cell_mask')

    def __init__(self,
                 *,
                 embed_dims: int = 256,
                 num_temporal_layers: int = 6,
                 num_spatial_layers: int = 6,
                 num_heads: int = 8,
                 feedforward_channels: int = 2048,
                 dropout: float = 0.1,
                 span_dropout: float = 0.,
                 object_query: dict = dict(type='costa_mm.AnchorBoxQuery'),
                 entangled: bool = True,
                 content: str = 'cls',
                 beta: float = 0.9,
                 beta_per_frame: bool = False,
                 loss_attend_enc: Optional[dict] = dict(
                     type='costa_mm.AttendanceLoss', loss_weight=2.),
                 loss_attend_dec: Optional[dict] = dict(
                     type='costa_mm.AttendanceLoss', loss_weight=2.),
                 **kwargs) -> None:
        super().__init__(
            loss_attend_enc=loss_attend_enc,
            loss_attend_dec=loss_attend_dec,
            **kwargs)
        if not 0 <= beta <= 1:
            raise ValueError(f'beta is a probability, not {beta}')
        if content not in ('cls', 'zero'):
            raise ValueError(f"content is 'cls' or 'zero', not {content!r}")
        if num_temporal_layers != num_spatial_layers:
            raise ValueError('both decoders need the same number of layers: '
                             f'{num_temporal_layers}, {num_spatial_layers}')
        self.beta = beta
        self.beta_per_frame = beta_per_frame
        decoder = dict(
            embed_dims=embed_dims,
            num_heads=num_heads,
            feedforward_channels=feedforward_channels,
            dropout=dropout)
        self.temporal_decoder = TemporalDecoder(
            num_layers=num_temporal_layers,
            span_dropout=span_dropout,
            **decoder)
        self.spatial_decoder = EntangledSpatialDecoder(
            num_layers=num_spatial_layers,
            object_query=object_query,
            **decoder)
        self.entangled = entangled
        self.event_query = None
        if entangled:
            self.event_query = EventQuery(embed_dims=embed_dims)
        elif content == 'cls':
            self.event_query = nn.Linear(embed_dims, embed_dims)
        # without its loss nothing trains it, and DDP must not wait for it
        attendance = (embed_dims, embed_dims, 1, 2, span_dropout)
        self.attend_enc = DropoutMLP(*attendance).requires_grad_(
            self.loss_attend_enc is not None)
        self.attend_dec = DropoutMLP(*attendance).requires_grad_(
            self.loss_attend_dec is not None)

    def forward(self,
                memory: FusedMemory,
                targets: Optional[TubeTargets] = None) -> TubeOutputs:
        """Decode a batch; see :class:`BaseTubeHead`."""
        hidden, span_logits = self.forward_temporal(memory)
        event = self.make_event_query(memory, span_logits, targets)
        spatial = self.spatial_decoder(event, memory,
                                       self.wants('cell_attention', targets))
        return TubeOutputs(
            boxes=spatial.boxes,
            span_logits=span_logits,
            frame_mask=memory.frame_mask,
            attendance=self.attend_dec(hidden).squeeze(-1),
            extras=dict(
                attendance_enc=self.attend_enc(memory.cls).squeeze(-1),
                cell_attention=spatial.attention,
                cell_mask=memory.cell_mask))

    def forward_temporal(self, memory: FusedMemory) -> Tuple[Tensor, Tensor]:
        """Hidden states (K, B, T, C) and span logits (K, B, T, 2)."""
        return self.temporal_decoder(memory)

    def make_event_query(self, memory: FusedMemory, span_logits: Tensor,
                         targets: Optional[TubeTargets]) -> Tensor:
        """Event part of the entangled query, (B, T, C), Eq. (3) and (4)."""
        if self.event_query is None:
            return torch.zeros_like(memory.cls)
        if not self.entangled:
            return self.event_query(memory.cls)
        length = memory.frame_mask.shape[1]
        span = span_from_logits(span_logits[-1].detach(), memory.frame_mask)
        labels = labels_from_span(span, length)
        if targets is not None and self.training:
            labels = select_labels(
                targets.in_event,
                labels,
                beta=self.beta,
                draws=targets.draws,
                per_frame=self.beta_per_frame)
        return self.event_query(labels)
