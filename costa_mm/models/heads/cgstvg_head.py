# Copyright (c) costa_mm authors. All rights reserved.
"""Head of CG-STVG (CVPR 2024)."""
from typing import Optional

import torch
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy
from torch import Tensor

from costa_mm.registry import MODELS
from costa_mm.structures import FusedMemory, TubeOutputs
from ..losses import paired_iou
from .absolute_box_decoder import AbsoluteBoxOutputs
from .targets import TubeTargets
from .two_stream_head import TwoStreamHead


@MODELS.register_module()
class CGSTVGHead(TwoStreamHead):
    """Regions of the boxes that look good guide the layers behind.

    The steps are::

        forward_temporal -> select -.
        make_anchors ----------------> forward_spatial

    After every spatial layer the cells under its boxes are pooled in both
    streams.  Frames that are chosen give their two regions as context, which
    every frame of the next layer reads.  In training the truth chooses: boxes
    of the event with a generalised IoU above ``context_giou``.  At test time
    confidence and actionness do, both above their thresholds; nothing is read
    of the truth.

    Args:
        context (bool): Without, the ablation "CG-STVG without its context".
        context_giou (float): Smallest generalised IoU in training.
        context_confidence (float): Smallest confidence at test time, the sum
            of both streams' sigmoids, in (0, 2).
        context_attend (float): Smallest actionness at test time, a raw logit
            as published: 0.5 is a probability of 0.62, -0.5 one of 0.38.
        corners (str): How a box goes to cells, see :func:`covered_cells`;
            published weights need 'ceil_right'.
        motion_pos (bool): Whether the decoders' keys know the places of
            motion cells; as published they know those of appearance only.
        span_dropout (float): Dropout of the start/end, actionness and
            confidence MLPs, their logits included.
        loss_confidence (dict, optional): Loss of the confidence; None for
            none, and none without context.
        **kwargs: See :class:`TwoStreamHead`.
    """

    layer_outputs = (*TwoStreamHead.layer_outputs, 'confidence', 'context')

    def __init__(self,
                 *,
                 context: bool = True,
                 context_giou: float = 0.8,
                 context_confidence: float = 0.8,
                 context_attend: float = 0.5,
                 corners: str = 'round',
                 motion_pos: bool = False,
                 span_dropout: float = 0.3,
                 loss_confidence: Optional[dict] = dict(
                     type='costa_mm.BoxConfidenceLoss', loss_weight=1.),
                 **kwargs) -> None:
        self.context_giou = context_giou
        self.context_confidence = context_confidence
        self.context_attend = context_attend
        self.motion_pos = motion_pos
        options = dict(corners=corners, dropout=span_dropout)
        super().__init__(
            span_dropout=span_dropout,
            context=options if context else None,
            loss_confidence=loss_confidence if context else None,
            **kwargs)
        if context and self.loss_confidence is None:
            # DDP must not wait for what nothing trains
            self.spatial_decoder.context.freeze_confidence()

    def forward(self,
                memory: FusedMemory,
                targets: Optional[TubeTargets] = None) -> TubeOutputs:
        """Decode a batch; see :class:`BaseTubeHead`."""
        memory = self.place(memory)
        temporal = self.forward_temporal(
            memory,
            need_time_weights=self.wants('time_attention', targets))
        attendance = self.attend(temporal.hidden)
        spatial = self.forward_spatial(memory, attendance[-1], targets,
                                       self.wants('cell_attention', targets))
        return TubeOutputs(
            boxes=spatial.boxes,
            span_logits=self.span_head(temporal.hidden),
            frame_mask=memory.frame_mask,
            attendance=attendance,
            extras=dict(
                confidence=spatial.confidence,
                context=spatial.chosen,
                time_attention=temporal.time_weights,
                cell_attention=self.fold_motion(spatial.attention, memory),
                cell_mask=memory.cell_mask))

    def place(self, memory: FusedMemory) -> FusedMemory:
        """The memory with the positions that the decoders see."""
        if self.motion_pos:
            return memory
        count = memory.cell_mask[0].numel()
        pos = memory.pos.clone()
        pos[:, -count:] = 0
        return memory._replace(pos=pos)

    def forward_spatial(self,
                        memory: FusedMemory,
                        attendance: Tensor,
                        targets: Optional[TubeTargets] = None,
                        need_cell_weights: bool = False
                        ) -> AbsoluteBoxOutputs:
        """Boxes of all layers.

        Args:
            memory (FusedMemory): Of :class:`TwoStreamFusionNeck`.
            attendance (Tensor): Actionness of the last layer, (B, T).
            targets (TubeTargets, optional): In training, they choose the
                context.
            need_cell_weights (bool): Whether to return attention weights.
        """

        def select(boxes: Tensor, confidence: Tensor) -> Tensor:
            if targets is not None:
                return self.select_by_truth(boxes, targets)
            return self.select_by_score(confidence, attendance,
                                        memory.frame_mask)

        return self.spatial_decoder(
            self.anchor(memory.cls),
            memory,
            select=select,
            need_weights=need_cell_weights)

    def select_by_truth(self, boxes: Tensor, targets: TubeTargets) -> Tensor:
        """Frames with a box that is right, (B, T), bool; for training."""
        _, giou = paired_iou(
            bbox_cxcywh_to_xyxy(boxes.flatten(0, 1)),
            bbox_cxcywh_to_xyxy(targets.boxes.flatten(0, 1)))
        good = giou.view(boxes.shape[:2]) > self.context_giou
        return good & targets.has_box

    def select_by_score(self, confidence: Tensor, attendance: Tensor,
                        frame_mask: Tensor) -> Tensor:
        """Frames with a confident box in the event, (B, T), bool."""
        return ((confidence > self.context_confidence) &
                (attendance.detach() > self.context_attend) & ~frame_mask)

    @staticmethod
    def fold_motion(attention: Optional[Tensor],
                    memory: FusedMemory) -> Optional[Tensor]:
        """Add the weights of motion cells to those of appearance.

        Args:
            attention (Tensor, optional): (K, B, T, h*w + L + h*w).
            memory (FusedMemory): What it is attention to.

        Returns:
            Tensor: Over places and words, (K, B, T, h*w + L).
        """
        if attention is None:
            return None
        count = memory.cell_mask[0].numel()
        cells = attention[..., :count] + attention[..., -count:]
        return torch.cat((cells, attention[..., count:-count]), dim=-1)
