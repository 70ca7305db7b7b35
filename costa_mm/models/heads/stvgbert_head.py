# Copyright (c) costa_mm authors. All rights reserved.
"""Centre maps and anchor spans of STVGBert (ICCV 2021)."""
from dataclasses import replace
from typing import Dict, List, Optional, Sequence, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from costa_mm.registry import MODELS
from costa_mm.structures import FusedMemory, TubeDataSample, TubeOutputs
from ..layers.region_pooling import grid_size
from ..utils.tube_decoding import DecodingConfig, SampledTube, to_source_span
from .anchor_spans import AnchorSpans, round_spans, span_logits_of
from .base_tube_head import PADDED_LOGIT, BaseTubeHead
from .center_maps import CenterMaps, center_targets, decode_centers, double
from .targets import TubeTargets, image_sizes, pixel_sizes


@MODELS.register_module()
class STVGBertHead(BaseTubeHead):
    """The highest cell of a frame is the object, the best anchor the event.

    There is no decoder: K is 1.  The maps of a frame::

        fused cells -> upsampling -> heatmap of the centre
        backbone's map -> 3x3 convolution -> upsampling -> size and offset

    ``boxes`` are normalised by the grid of valid cells, which may reach
    beyond the frame by less than a cell; prediction knows the frame's size
    and corrects for it.  ``span_logits`` sum the candidates by their first
    and last frame; the predicted spans are the best candidates themselves.

    Args:
        embed_dims (int): Channels C of the fused cells.
        in_channels (int): Channels C' of the backbone's map.
        text_channels (int): Channels C_t of the sentence.
        stride (int): Pixels per cell of the backbone's map.
        size_from (str): 'visual' as published: size and offset come from the
            backbone's map, whatever the sentence; 'fused': from the fused
            cells.
        span_channels (int): See :class:`AnchorSpans`.
        num_scales (int): See :class:`AnchorSpans`.
        maps (dict, optional): Further arguments of :class:`CenterMaps`.
        loss_heatmap (dict, optional): Focal loss of the centre's heatmap.
        loss_size (dict, optional): L1 of width and height in cells.
        loss_offset (dict, optional): L1 of the centre behind the cell's
            corner.
        loss_score (dict, optional): Scores of the anchors.
        loss_span (dict, optional): Regression of the anchors.
        **kwargs: ``box_average`` and further losses, see
            :class:`BaseTubeHead`.

    Raises:
        ValueError: For an unknown ``size_from``.
    """

    video_outputs = (*BaseTubeHead.video_outputs, 'heatmap', 'size_map',
                     'offset_map', 'anchors', 'anchor_mask', 'anchor_scores',
                     'anchor_spans', 'cell_mask')
    aliases = dict(
        BaseTubeHead.aliases,
        loss_offset={
            'size_map': 'offset_map',
            'targets.size': 'targets.offset'
        })

    def __init__(self,
                 *,
                 embed_dims: int = 1024,
                 in_channels: int = 2048,
                 text_channels: int = 768,
                 stride: int = 32,
                 size_from: str = 'visual',
                 span_channels: int = 128,
                 num_scales: int = 5,
                 maps: dict = dict(),
                 loss_heatmap: Optional[dict] = dict(
                     type='costa_mm.CenterHeatmapLoss', loss_weight=1.),
                 loss_size: Optional[dict] = dict(
                     type='costa_mm.CenterL1Loss', loss_weight=0.1),
                 loss_offset: Optional[dict] = dict(
                     type='costa_mm.CenterL1Loss', loss_weight=1.),
                 loss_score: Optional[dict] = dict(
                     type='costa_mm.AnchorScoreLoss', loss_weight=1.),
                 loss_span: Optional[dict] = dict(
                     type='costa_mm.AnchorSpanLoss', loss_weight=1.),
                 **kwargs) -> None:
        # boxes are read at the highest cell, so no gradient finds a better one
        super().__init__(
            loss_bbox=None,
            loss_giou=None,
            loss_heatmap=loss_heatmap,
            loss_size=loss_size,
            loss_offset=loss_offset,
            loss_score=loss_score,
            loss_span=loss_span,
            **kwargs)
        if size_from not in ('visual', 'fused'):
            raise ValueError(f"size_from {size_from!r} is neither 'visual' "
                             "nor 'fused'")
        self.stride = stride
        self.visual_conv = None
        if size_from == 'visual':
            self.visual_conv = nn.Conv2d(
                in_channels, embed_dims, 3, padding=1, bias=False)
        self.heat_maps = CenterMaps(
            in_channels=embed_dims, outputs=dict(heatmap=1), **maps)
        self.size_maps = CenterMaps(
            in_channels=embed_dims, outputs=dict(size=2, offset=2), **maps)
        self.upscale = 2**len(self.heat_maps.ups)
        self.anchor_spans = AnchorSpans(
            embed_dims=embed_dims,
            text_channels=text_channels,
            channels=span_channels,
            num_scales=num_scales)

    def init_weights(self) -> None:
        """PyTorch's own; rare centres, small sizes and offsets."""
        super().init_weights()
        for head in self.size_maps.heads.values():
            nn.init.normal_(head[-1].weight, std=0.001)
            nn.init.zeros_(head[-1].bias)
        nn.init.constant_(self.heat_maps.heads['heatmap'][-1].bias, -2.19)

    def forward(self,
                memory: FusedMemory,
                targets: Optional[TubeTargets] = None) -> TubeOutputs:
        """Run the layers; see :class:`BaseTubeHead`."""
        heatmap, sizes, offsets = self.map_centers(memory)
        boxes = decode_centers(heatmap, sizes, offsets)
        spans = self.anchor_spans(memory)
        logits = span_logits_of(
            round_spans(spans['anchor_spans'], memory.frame_mask),
            spans['anchor_scores'].sigmoid(), spans['anchor_mask'],
            memory.frame_mask)
        return TubeOutputs(
            boxes=(boxes / self.extent(memory.cell_mask)[:, None])[None],
            span_logits=logits[None],
            frame_mask=memory.frame_mask,
            extras=dict(
                heatmap=heatmap,
                size_map=sizes,
                offset_map=offsets,
                cell_mask=memory.cell_mask,
                **spans))

    def map_centers(self,
                    memory: FusedMemory) -> Tuple[Tensor, Tensor, Tensor]:
        """Heatmap (B, T, H, W), sizes and offsets (B, T, 2, H, W)."""
        mask = memory.cell_mask
        cells = memory.memory.transpose(2, 3)
        cells = cells.unflatten(3, mask.shape[1:])  # (B, T, C, h, w)
        heatmap = self.heat_maps(cells, mask)['heatmap'].squeeze(2)
        if self.visual_conv is not None:
            visual = memory.extras['visual']
            visual = visual.masked_fill(mask[:, None, None], 0.)
            cells = F.relu(self.visual_conv(visual.flatten(0, 1)))
            cells = cells.unflatten(0, visual.shape[:2])
        maps = self.size_maps(cells, mask)
        for _ in self.heat_maps.ups:
            mask = double(mask)
        heatmap = heatmap.masked_fill(mask[:, None], PADDED_LOGIT)
        return heatmap, maps['size'], maps['offset']

    def extent(self, cell_mask: Tensor) -> Tensor:
        """Width, height, width, height of the valid grid in cells of the
        maps, (B, 4), int64."""
        rows, columns = grid_size(cell_mask)
        return torch.stack((columns, rows, columns, rows), -1) * self.upscale

    def get_targets(self, data_samples: List[TubeDataSample],
                    frame_mask: Tensor) -> TubeTargets:
        """Ground truth, and the frames' 'img_size' (w, h, w, h), (B, 4)."""
        targets = super().get_targets(data_samples, frame_mask)
        size = image_sizes(data_samples, frame_mask.device)
        return targets._replace(extras={**targets.extras, 'img_size': size})

    def loss_by_feat(self, outs: TubeOutputs,
                     targets: TubeTargets) -> Dict[str, Tensor]:
        """Losses of a batch, by name; see :class:`BaseTubeHead`."""
        pixels = targets.boxes * targets.extras['img_size'][:, None]
        maps = center_targets(pixels * self.upscale / self.stride,
                              outs.extras['heatmap'].shape[2:])
        return super().loss_by_feat(
            outs, targets._replace(extras={**targets.extras, **maps}))

    def predict_by_feat(self, outs: TubeOutputs, metas: Sequence[dict],
                        cfg: DecodingConfig) -> List[SampledTube]:
        """Boxes in the frame, and the best candidates as spans.

        ``metas`` also have 'img_shape', the size of the frames that the model
        saw.
        """
        grid = self.extent(outs.extras['cell_mask']).cpu()
        sizes = pixel_sizes(meta['img_shape'] for meta in metas)
        factor = grid * (self.stride / self.upscale) / sizes
        boxes = outs.boxes.detach().cpu() * factor[:, None]
        tubes = super().predict_by_feat(
            outs._replace(boxes=boxes), metas, cfg)
        candidates = best_candidates(outs, cfg.num_spans)
        return [
            replace(
                tube,
                spans=[(*to_source_span(first, last, tube.frame_ids,
                                        meta['num_frames'], cfg.span_ends),
                        score) for first, last, score in spans])
            for tube, meta, spans in zip(tubes, metas, candidates)
        ]


def best_candidates(outs: TubeOutputs,
                    num: int) -> List[List[Tuple[int, int, float]]]:
    """The candidates with the highest scores, each span once.

    Args:
        outs (TubeOutputs): Outputs of :class:`STVGBertHead`.
        num (int): At most this many per video.

    Returns:
        list[list[tuple[int, int, float]]]: First and last frame, inclusive,
        and the score in [0, 1], best first.
    """
    spans = round_spans(outs.extras['anchor_spans'], outs.frame_mask).tolist()
    scores = outs.extras['anchor_scores'].float().sigmoid().masked_fill(
        outs.extras['anchor_mask'], -1.)
    values, order = scores.sort(dim=1, descending=True, stable=True)
    found = []
    for own, ranks, row in zip(spans, order.tolist(), values.tolist()):
        best: Dict[Tuple[int, int], float] = {}
        for at, score in zip(ranks, row):
            if score >= 0 and len(best) < num:
                best.setdefault(tuple(own[at]), score)
        found.append([(*span, score) for span, score in best.items()])
    return found
