# Copyright (c) costa_mm authors. All rights reserved.
"""Proposed tubes and words through one transformer."""
from typing import Optional, Tuple

import torch
import torch.nn.functional as F
from mmdet.structures.bbox import bbox_xyxy_to_cxcywh
from torch import Tensor, nn

from costa_mm.registry import MODELS
from costa_mm.structures import FusedMemory, TextFeatures, VisualFeatures
from ..layers import (TransformerEncoderLayer, box_sine_embedding,
                      sample_regions, time_sine_embedding)
from ..layers.region_pooling import grid_size
from .base_fusion_neck import BaseFusionNeck

_CLS, _WORD, _TUBE = range(3)


@MODELS.register_module()
class TubeRankingNeck(BaseFusionNeck):
    """One sequence per tube: [CLS], the words, the tube's frames.

    A frame of a tube is what the video looks like in its box, where the box
    is (sine embedding), and when.  Frames in which the tube has no box are
    masked.  With ``joint`` the tubes of a video see each other in one layer
    over their [CLS] at the end, so that "the left one" can be told.

    Two-stage grounding as we read it; no public code of STGVT, which stands
    for it in the paper's Table 1, was at hand.

    The memory's tokens are the tubes, S = P; its extras are 'tube_cls'
    (B, P, C), 'tube_boxes' (B, T, P, 4) as (x1, y1, x2, y2) normalised by the
    grid of valid cells, 'tube_frames' (B, T, P), True where a tube has a box,
    and 'extent' (B, 4), width, height, width, height of that grid in pixels.

    Args:
        in_channels (int): Channels C' of the video features.
        stride (int): Pixels per cell.
        num_samples (int): Samples per side of a box, see
            :func:`sample_regions`.
        joint (bool): Whether tubes see each other.
        **kwargs: See :class:`BaseFusionNeck`; ``num_layers`` are those over
            the sequences, ``pos_in_tokens`` has no meaning here.
    """

    def __init__(self,
                 *,
                 in_channels: int = 2048,
                 stride: int = 32,
                 num_samples: int = 4,
                 joint: bool = True,
                 **kwargs) -> None:
        super().__init__(in_channels=in_channels, **kwargs)
        self.stride = stride
        self.num_samples = num_samples
        dims = self.embed_dims
        self.place = nn.Linear(2 * dims, dims)
        self.kinds = nn.Embedding(3, dims)
        self.joint_layer = TransformerEncoderLayer(
            **self.layer_cfg) if joint else None

    def forward(self, visual: VisualFeatures,
                text: TextFeatures) -> FusedMemory:
        """Fuse.

        Args:
            visual (VisualFeatures): With the extras 'tubes' (B, T, P, 4),
                pixels of the frames that the model sees, and 'tube_scores'
                (B, T, P), 0 where a tube has no box.
            text (TextFeatures): Words of one sentence per video.

        Returns:
            FusedMemory: See the class.

        Raises:
            ValueError: If the batch has no proposals.
        """
        boxes, there = self._proposals(visual)
        num, length, tubes = there.shape
        rows, columns = grid_size(visual.cell_mask)
        extent = torch.stack((columns, rows, columns, rows), 1) * self.stride
        places = boxes / extent[:, None, None]
        frames = self._frames(visual, boxes, places)
        frames = frames.transpose(1, 2).flatten(0, 1)  # (B*P, T, C)

        def per_tube(x: Tensor) -> Tensor:
            return x[:, None].expand(-1, tubes, -1, *x.shape[2:]).flatten(0, 1)

        words = per_tube(text.tokens.to(frames.dtype))
        kinds = self.kinds.weight.to(frames.dtype)
        when = time_sine_embedding(
            length, self.embed_dims, device=frames.device).to(frames.dtype)
        x = torch.cat((kinds[_CLS].expand(num * tubes, 1, -1),
                       words + kinds[_WORD], frames + when + kinds[_TUBE]), 1)
        pos = F.pad(when, (0, 0, x.shape[1] - length, 0))
        mask = torch.cat(
            (per_tube(F.pad(text.mask, (1, 0))),
             ~there.transpose(1, 2).flatten(0, 1)), 1)
        for layer in self.spatial_layers:
            x = self.run_layer(layer, x, pos, mask)
        cls = x[:, 0].unflatten(0, (num, tubes))
        tube_mask = ~there.any(1)  # (B, P)
        if self.joint_layer is not None:
            # a video without any tube attends to its padding
            keys = tube_mask & ~tube_mask.all(1, keepdim=True)
            cls = self.run_layer(self.joint_layer, cls, 0., keys)
        tokens = x[:, -length:].unflatten(0, (num, tubes)).transpose(1, 2)
        return FusedMemory(
            memory=tokens,
            pos=tokens.new_zeros(num, tubes, self.embed_dims),
            mask=tube_mask,
            cls=None,
            frame_mask=visual.frame_mask,
            cell_mask=visual.cell_mask,
            extras=dict(
                tube_cls=cls,
                tube_boxes=places,
                tube_frames=there,
                extent=extent))

    @staticmethod
    def _proposals(visual: VisualFeatures) -> Tuple[Tensor, Tensor]:
        """Boxes (B, T, P, 4) and where they are (B, T, P), P at least 1."""
        boxes: Optional[Tensor] = visual.extras.get('tubes')
        scores = visual.extras.get('tube_scores')
        if boxes is None or scores is None:
            raise ValueError(
                'TubeRankingNeck gets no proposals: the pipeline needs '
                "LoadTubeProposals and PackSTVGInputs(video_keys=('tubes', "
                "'tube_scores')), see docs/en/tube_ranking.md")
        if boxes.shape[2] == 0:
            boxes, scores = F.pad(boxes, (0, 0, 0, 1)), F.pad(scores, (0, 1))
        there = (scores > 0) & ~visual.frame_mask[..., None]
        return boxes.float(), there

    def _frames(self, visual: VisualFeatures, boxes: Tensor,
                places: Tensor) -> Tensor:
        """What is in every box, and where, (B, T, P, C)."""
        cells = self.project(visual.features)
        seen = sample_regions(cells, boxes / self.stride, visual.cell_mask,
                              self.num_samples)
        where = box_sine_embedding(
            bbox_xyxy_to_cxcywh(places), self.embed_dims)
        return seen + self.place(where.to(seen.dtype))
