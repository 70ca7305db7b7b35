# Copyright (c) costa_mm authors. All rights reserved.
"""The best of the proposed tubes, and when its event is."""
from dataclasses import replace
from typing import Dict, List, Optional, Sequence

import numpy as np
from mmdet.models.layers import MLP
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy, bbox_xyxy_to_cxcywh
from torch import Tensor, nn

from costa_mm.registry import MODELS
from costa_mm.structures import FusedMemory, TubeDataSample, TubeOutputs
from ..layers import xavier_matrices
from ..losses.giou_loss import paired_iou
from ..utils.tube_decoding import (DecodingConfig, SampledTube, densify_boxes,
                                   to_source_span)
from .base_tube_head import PADDED_LOGIT, BaseTubeHead
from .targets import TubeTargets, image_sizes, pixel_sizes


def tube_overlaps(boxes: Tensor, there: Tensor, true: Tensor,
                  has_box: Tensor) -> Tensor:
    """Mean IoU of every tube with the true one over the latter's frames.

    That is the vIoU of the tube with the true span.

    Args:
        boxes (Tensor): (x1, y1, x2, y2), (B, T, P, 4).
        there (Tensor): Where a tube has a box, (B, T, P), bool.
        true (Tensor): (x1, y1, x2, y2), (B, T, 4).
        has_box (Tensor): Where the truth has a box, (B, T), bool.

    Returns:
        Tensor: (B, P), in [0, 1]; zeros for a video without a true box.
    """
    true = true[:, :, None].expand_as(boxes)
    iou = paired_iou(boxes.flatten(0, 2), true.flatten(0, 2))[0]
    iou = iou.view(there.shape) * (there & has_box[..., None])
    return iou.sum(1) / has_box.sum(1, keepdim=True).clamp(min=1)


@MODELS.register_module()
class TubeRankingHead(BaseTubeHead):
    """A match score per tube, a start and an end score per tube and frame.

    There is no decoder, K is 1, and boxes are those of the proposals.  While
    it trains, the outputs are of the tube that overlaps the truth most, so
    that the span is learnt on the right one; a video whose best tube overlaps
    by less than ``least`` teaches nothing.

    Args:
        embed_dims (int): Channels C.
        least (float): See above and :func:`positive_tubes`.
        loss_match (dict, optional): Ranking, :class:`TubeMatchLoss`.
        loss_span (dict, optional): Eq. (7) of CoSTA.
        **kwargs: Further losses, see :class:`BaseTubeHead`.
    """

    video_outputs = (*BaseTubeHead.video_outputs, 'match_logits',
                     'tube_frames', 'extent')

    def __init__(self,
                 *,
                 embed_dims: int = 256,
                 least: float = 0.3,
                 loss_match: Optional[dict] = dict(
                     type='costa_mm.TubeMatchLoss', loss_weight=1.),
                 **kwargs) -> None:
        super().__init__(
            loss_bbox=None, loss_giou=None, loss_match=loss_match, **kwargs)
        self.least = least
        self.match_head = nn.Linear(embed_dims, 1)
        self.span_head = MLP(embed_dims, embed_dims, 2, 2)

    def init_weights(self) -> None:
        """Xavier for every matrix, as in DETR."""
        super().init_weights()
        xavier_matrices(self)

    def forward(self,
                memory: FusedMemory,
                targets: Optional[TubeTargets] = None) -> TubeOutputs:
        """Run the layers; see :class:`BaseTubeHead`."""
        match = self.match_head(memory.extras['tube_cls']).squeeze(-1).float()
        match = match.masked_fill(memory.mask, PADDED_LOGIT)
        best = match if targets is None else targets.extras['overlaps']
        best = best.argmax(1)  # (B, )

        def picked(x: Tensor) -> Tensor:  # (B, T, P, ...) to (B, T, ...)
            index = best.view(-1, *[1] * (x.dim() - 1))
            index = index.expand(*x.shape[:2], 1, *x.shape[3:])
            return x.gather(2, index).squeeze(2)

        boxes = picked(memory.extras['tube_boxes'])
        return TubeOutputs(
            boxes=bbox_xyxy_to_cxcywh(boxes)[None],
            span_logits=self.span_head(picked(memory.memory))[None],
            frame_mask=memory.frame_mask,
            extras=dict(
                match_logits=match,
                tube_frames=picked(memory.extras['tube_frames']),
                extent=memory.extras['extent']))

    def loss(self, memory: FusedMemory,
             data_samples: List[TubeDataSample]) -> Dict[str, Tensor]:
        """Losses of a batch, by name, already weighted."""
        targets = self.get_targets(data_samples, memory.frame_mask)
        size = image_sizes(data_samples, memory.frame_mask.device)[:, None]
        overlaps = tube_overlaps(
            memory.extras['tube_boxes'] * memory.extras['extent'][:, None,
                                                                  None],
            memory.extras['tube_frames'],
            bbox_cxcywh_to_xyxy(targets.boxes) * size, targets.has_box)
        found = overlaps.max(1).values >= self.least
        targets = targets._replace(
            has_span=targets.has_span & found,
            extras={**targets.extras, 'overlaps': overlaps})
        return self.loss_by_feat(self(memory, targets), targets)

    def predict_by_feat(self, outs: TubeOutputs, metas: Sequence[dict],
                        cfg: DecodingConfig) -> List[SampledTube]:
        """The best tube within its best span.

        A span's score is its probability times that of the tube.  Without
        any proposal the answer is the whole video with score 0.  ``metas``
        also have 'img_shape', the size of the frames that the model saw.
        """
        factor = outs.extras['extent'].cpu() / pixel_sizes(
            meta['img_shape'] for meta in metas)
        boxes = outs.boxes.detach().cpu() * factor[:, None]
        found = super().predict_by_feat(
            outs._replace(boxes=boxes), metas, cfg)
        probs = outs.extras['match_logits'].detach().softmax(1)
        probs = probs.max(1).values.tolist()
        there = outs.extras['tube_frames'].cpu().numpy()
        tubes = []
        for i, (tube, meta) in enumerate(zip(found, metas)):
            count = len(tube.frame_ids)
            times = np.flatnonzero(there[i, :count])
            if len(times):
                spans = [(s, e, p * probs[i]) for s, e, p in tube.spans]
                boxes = densify_boxes(times, tube.boxes[times], count)
            else:
                whole = to_source_span(0, count - 1, tube.frame_ids,
                                       meta['num_frames'], cfg.span_ends)
                spans, boxes = [(*whole, 0.)], np.zeros((count, 4))
            tubes.append(replace(tube, boxes=boxes, spans=spans))
        return tubes
