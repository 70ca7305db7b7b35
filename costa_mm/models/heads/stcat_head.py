# Copyright (c) costa_mm authors. All rights reserved.
"""Template, two decoders and heads of STCAT (NeurIPS 2022)."""
from typing import Optional, Sequence

from costa_mm.registry import MODELS
from costa_mm.structures import FusedMemory, TubeOutputs
from ..layers import (CrossFrameDecoder, CrossFrameOutputs, DropoutMLP,
                      time_sine_embedding, xavier_matrices)
from .base_tube_head import BaseTubeHead
from .spatial_decoder import SpatialOutputs
from .stcat_decoder import STCATSpatialDecoder, Template, TemplateGenerator
from .targets import TubeTargets


@MODELS.register_module()
class STCATHead(BaseTubeHead):
    """A template feeds a spatial and a temporal decoder that never meet.

    The steps are::

        make_template -> forward_spatial
                      '> forward_temporal

    Args:
        embed_dims (int): C.
        num_layers (int): Layers of each decoder.
        num_heads (int): Heads of all layers.
        feedforward_channels (int): Hidden channels of all FFNs.
        dropout (float): Dropout in all layers.
        span_dropout (float): Dropout of the start/end and actionness MLPs,
            their logits included.
        anchor_prior (Sequence[float], optional): (cx, cy, w, h) of all
            anchors before training.
        time_in_content (bool): As in :class:`TubeDETRHead`, for the temporal
            decoder.
        loss_attend_dec (dict, optional): STCAT's "actioness".
        loss_guided (dict, optional): Guided attention of the temporal
            decoder.
        **kwargs: Other losses, see :class:`BaseTubeHead`.
    """

    layer_outputs = (*BaseTubeHead.layer_outputs, 'attendance',
                     'time_attention', 'cell_attention')
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
                 loss_attend_dec: Optional[dict] = dict(
                     type='costa_mm.AttendanceLoss', loss_weight=2.),
                 loss_guided: Optional[dict] = dict(
                     type='costa_mm.GuidedAttentionLoss', loss_weight=1.),
                 **kwargs) -> None:
        super().__init__(
            loss_attend_dec=loss_attend_dec, **kwargs,
            loss_guided=loss_guided)
        decoder = dict(
            embed_dims=embed_dims,
            num_layers=num_layers,
            num_heads=num_heads,
            feedforward_channels=feedforward_channels,
            dropout=dropout)
        self.time_in_content = time_in_content
        self.template = TemplateGenerator(
            embed_dims=embed_dims, prior=anchor_prior)
        self.spatial_decoder = STCATSpatialDecoder(**decoder)
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

    def forward(self,
                memory: FusedMemory,
                targets: Optional[TubeTargets] = None) -> TubeOutputs:
        """Decode a batch; see :class:`BaseTubeHead`."""
        template = self.make_template(memory)
        spatial = self.forward_spatial(template, memory,
                                       self.wants('cell_attention', targets))
        temporal = self.forward_temporal(template, memory,
                                         self.wants('time_attention', targets))
        return TubeOutputs(
            boxes=spatial.boxes,
            span_logits=self.span_head(temporal.hidden),
            frame_mask=memory.frame_mask,
            attendance=self.attend_dec(temporal.hidden).squeeze(-1),
            extras=dict(
                time_attention=temporal.time_weights,
                cell_attention=spatial.attention,
                cell_mask=memory.cell_mask))

    def make_template(self, memory: FusedMemory) -> Template:
        """Content (B, C) and anchors (B, T, 4).

        Raises:
            ValueError: If the neck has no global token.
        """
        video_cls = memory.extras.get('video_cls')
        if memory.cls is None or video_cls is None:
            raise ValueError('STCATHead needs a neck with frame and video '
                             'tokens, such as STCATFusionNeck')
        return self.template(memory.cls, video_cls)

    def forward_spatial(self,
                        template: Template,
                        memory: FusedMemory,
                        need_cell_weights: bool = False) -> SpatialOutputs:
        """Boxes of all layers."""
        return self.spatial_decoder(template.anchors, memory,
                                    need_cell_weights)

    def forward_temporal(self, template: Template, memory: FusedMemory,
                         need_time_weights: bool) -> CrossFrameOutputs:
        """Hidden states of all layers; the content stays in every layer."""
        length = memory.frame_mask.shape[1]
        content = template.content[:, None].expand(-1, length, -1)
        time = time_sine_embedding(
            length, content.shape[-1], device=content.device)
        time = time.to(content.dtype).expand_as(content)
        return self.temporal_decoder(
            memory,
            self_pos=content + time,
            cross_pos=content,
            content=time if self.time_in_content else None,
            need_time_weights=need_time_weights)
