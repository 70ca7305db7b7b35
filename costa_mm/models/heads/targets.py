# Copyright (c) costa_mm authors. All rights reserved.
"""Ground truth of a batch as padded tensors."""
from typing import Dict, Iterable, List, NamedTuple, Optional, Tuple

import torch
from mmdet.structures.bbox import bbox_xyxy_to_cxcywh
from torch import Tensor

from costa_mm.structures import TubeDataSample
from ..utils.spans import labels_from_span


class TubeTargets(NamedTuple):
    """What losses compare with.

    Attributes:
        boxes (Tensor): Normalised (cx, cy, w, h), (B, T, 4), float32, zeros
            where there is none.
        has_box (Tensor): True where a box is annotated, (B, T), bool.
        span (Tensor): First and last true frame, inclusive, (B, 2), int64;
            zeros where there is none.
        has_span (Tensor): Whether a sampled frame lies in the event, (B, ),
            bool.
        in_event (Tensor): True on frames of the event, (B, T), bool.
        draws (Tensor, optional): One uniform number per video, (B, ), as the
            dataset drew it.
        extras (dict[str, Tensor]): Labels of one method, B first.
    """
    boxes: Tensor
    has_box: Tensor
    span: Tensor
    has_span: Tensor
    in_event: Tensor
    draws: Optional[Tensor]
    extras: Dict[str, Tensor] = {}

    def named(self, name: str) -> Optional[Tensor]:
        """A field or an extra by its name; None where it was not made."""
        if name in self._fields:
            return getattr(self, name)
        return self.extras.get(name)


def collect_targets(data_samples: List[TubeDataSample],
                    frame_mask: Tensor) -> TubeTargets:
    """Gather the ground truth of a batch.

    Args:
        data_samples (list[TubeDataSample]): B samples.
        frame_mask (Tensor): True on padding, (B, T), bool.

    Returns:
        TubeTargets: On the device of ``frame_mask``.

    Raises:
        ValueError: If a sample has no ``gt_boxes``; names the sample.
    """
    num, length = frame_mask.shape
    boxes = torch.zeros(num, length, 4)
    has_box = torch.zeros(num, length, dtype=torch.bool)
    span = torch.zeros(num, 2, dtype=torch.long)
    has_span = torch.zeros(num, dtype=torch.bool)
    for i, sample in enumerate(data_samples):
        if 'gt_boxes' not in sample or 'gt_box_mask' not in sample:
            raise ValueError(
                f'sample {sample.get("sample_id")!r} has no ground truth to '
                'compute a loss with: does its pipeline hold '
                'LoadTubeAnnotations?')
        count = len(sample.gt_boxes)
        boxes[i, :count] = sample.gt_boxes
        boxes[i, :count] /= torch.tensor(sample.img_shape).flip(0).repeat(2)
        has_box[i, :count] = sample.gt_box_mask
        if 'gt_span' in sample:
            span[i] = sample.gt_span
            has_span[i] = True
    draws = [sample.get('draw') for sample in data_samples]
    if any(d is None for d in draws):
        draws = None
    to = dict(device=frame_mask.device, non_blocking=True)
    span, has_span = span.to(**to), has_span.to(**to)
    in_event = labels_from_span(span, length) & has_span[:, None]
    return TubeTargets(
        boxes=bbox_xyxy_to_cxcywh(boxes).to(**to),
        has_box=has_box.to(**to),
        span=span,
        has_span=has_span,
        in_event=in_event,
        draws=None if draws is None else torch.tensor(draws).to(**to))


def pixel_sizes(shapes: Iterable[Tuple[int, int]]) -> Tensor:
    """Heights and widths of B frames to (w, h, w, h), (B, 4)."""
    return torch.tensor([(w, h, w, h) for h, w in shapes])


def image_sizes(data_samples: List[TubeDataSample],
                device: torch.device) -> Tensor:
    """(w, h, w, h) of the frames that the model sees, (B, 4)."""
    size = pixel_sizes(s.img_shape for s in data_samples)
    return size.to(device, non_blocking=True)
