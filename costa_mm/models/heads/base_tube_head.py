# Copyright (c) costa_mm authors. All rights reserved.
"""What all tube heads share: four verbs and the common losses."""
from abc import ABCMeta, abstractmethod
from typing import Dict, List, Optional

from mmdet.structures.bbox import bbox_cxcywh_to_xyxy
from mmdet.utils import reduce_mean
from mmengine.model import BaseModule
from torch import Tensor

from costa_mm.registry import MODELS
from costa_mm.structures import FusedMemory, TubeDataSample, TubeOutputs
from .targets import TubeTargets, collect_targets


class BaseTubeHead(BaseModule, metaclass=ABCMeta):
    """From fused memory to a span and one box per frame.

    ``forward`` runs layers only; ``loss`` and ``predict`` unpack, run
    ``forward`` and hand plain tensors to ``loss_by_feat`` and, in the
    grounder, to the decoding functions of ``models/utils``.

    The weights default to those of STCAT for HC-STVG; the paper gives none.

    Args:
        loss_bbox (dict): L1 between normalised (cx, cy, w, h), summed over
            coordinates; Eq. (6).
        loss_giou (dict): Generalised IoU; Eq. (6).
        loss_span (dict): Eq. (7).
        loss_attend_enc (dict, optional): L_e of Eq. (8).
        loss_attend_dec (dict, optional): L_d of Eq. (8).
        loss_cell (dict, optional): Leads the attention that boxes are read
            from to the target's cells; not in the papers, for training from
            nothing.
        aux_loss (bool): Whether every decoder layer has losses, not only the
            last one (L_e exists once).
        box_average (str): 'video' is a mean over a video's own frames, then
            over videos; 'batch' divides by the number of boxes of the batch,
            averaged over processes, as published.

    Raises:
        ValueError: For an unknown ``box_average``.
    """

    def __init__(self,
                 *,
                 loss_bbox: dict = dict(
                     type='mmdet.L1Loss', loss_weight=5.),
                 loss_giou: dict = dict(
                     type='mmdet.GIoULoss', loss_weight=4.),
                 loss_span: dict = dict(
                     type='costa_mm.SpanKLLoss', loss_weight=10.),
                 loss_attend_enc: Optional[dict] = None,
                 loss_attend_dec: Optional[dict] = None,
                 loss_cell: Optional[dict] = None,
                 aux_loss: bool = True,
                 box_average: str = 'video') -> None:
        super().__init__()
        if box_average not in ('video', 'batch'):
            raise ValueError(f"box_average {box_average!r} is neither "
                             "'video' nor 'batch'")

        def build(cfg: Optional[dict], **kwargs):
            return cfg and MODELS.build({**cfg, **kwargs})

        self.loss_bbox = build(loss_bbox, reduction='none')
        self.loss_giou = build(loss_giou, reduction='none')
        self.loss_span = build(loss_span)
        self.loss_attend_enc = build(loss_attend_enc)
        self.loss_attend_dec = build(loss_attend_dec)
        self.loss_cell = build(loss_cell)
        self.need_attention = False
        self.aux_loss = aux_loss
        self.box_average = box_average

    @abstractmethod
    def forward(self,
                memory: FusedMemory,
                targets: Optional[TubeTargets] = None) -> TubeOutputs:
        """Run the layers.

        Args:
            memory (FusedMemory): Output of the neck.
            targets (TubeTargets, optional): Training only, for strategies
                such as beta; never given at test time.

        Returns:
            TubeOutputs: Outputs of all layers.
        """

    def loss(self, memory: FusedMemory,
             data_samples: List[TubeDataSample]) -> Dict[str, Tensor]:
        """Losses of a batch, by name, already weighted."""
        targets = collect_targets(data_samples, memory.frame_mask)
        return self.loss_by_feat(self(memory, targets), targets)

    def predict(self, memory: FusedMemory) -> TubeOutputs:
        """Outputs without any ground truth in reach."""
        return self(memory)

    def needs_cell_weights(self, targets: Optional[TubeTargets]) -> bool:
        """Whether somebody reads the weights over cells of this forward."""
        return self.need_attention or (targets is not None
                                       and self.loss_cell is not None)

    def loss_by_feat(self, outs: TubeOutputs,
                     targets: TubeTargets) -> Dict[str, Tensor]:
        """Losses of every layer from outputs and targets.

        Returns:
            dict[str, Tensor]: 'loss_bbox', 'loss_giou', 'loss_span', ... of
            the last layer, 'd0.loss_bbox', ... of the others.
        """
        weights = self._box_weights(targets)
        losses = {}
        last = len(outs.boxes) - 1
        for k in range(last + 1) if self.aux_loss else [last]:
            prefix = '' if k == last else f'd{k}.'
            layer = self.loss_by_feat_single(outs, targets, weights, k)
            losses.update({prefix + n: v for n, v in layer.items()})
        if self.loss_attend_enc is not None:
            losses['loss_attend_enc'] = self.loss_attend_enc(
                outs.attendance_enc, targets.in_event, outs.frame_mask)
        return losses

    def loss_by_feat_single(self, outs: TubeOutputs, targets: TubeTargets,
                            box_weights: Tensor,
                            layer: int) -> Dict[str, Tensor]:
        """Losses of one decoder layer."""
        pred = outs.boxes[layer].float()
        l1 = self.loss_bbox(pred, targets.boxes).sum(-1)  # (B, T)
        giou = self.loss_giou(
            bbox_cxcywh_to_xyxy(pred.flatten(0, 1)),
            bbox_cxcywh_to_xyxy(targets.boxes.flatten(0, 1)))
        losses = dict(
            loss_bbox=(l1 * box_weights).sum(),
            loss_giou=(giou.view_as(l1) * box_weights).sum(),
            loss_span=self.loss_span(outs.span_logits[layer], targets.span,
                                     outs.frame_mask, targets.has_span))
        if self.loss_attend_dec is not None:
            losses['loss_attend_dec'] = self.loss_attend_dec(
                outs.attendance[layer], targets.in_event, outs.frame_mask)
        if self.loss_cell is not None:
            losses['loss_cell'] = self.loss_cell(outs.cell_attention[layer],
                                                 targets.boxes, outs.cell_mask,
                                                 box_weights)
        return losses

    def _box_weights(self, targets: TubeTargets) -> Tensor:
        """Weight of every frame's box loss, (B, T); 0 without a box."""
        has_box = targets.has_box.float()
        if self.box_average == 'batch':
            return has_box / reduce_mean(has_box.sum()).clamp(min=1)
        count = has_box.sum(1, keepdim=True).clamp(min=1)
        return has_box / count / len(has_box)
