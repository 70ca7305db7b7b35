# Copyright (c) costa_mm authors. All rights reserved.
"""The public evaluators of the field, each reproduced per sample.

All of them compute ``vIoU = sum of IoU over shared frames / number of frames
in either span``; they differ in which frames count and which end is
inclusive.  ``docs/en/metrics.md`` compares them on the same predictions.
"""
from dataclasses import dataclass
from typing import Dict, NamedTuple, Optional, Tuple

import numpy as np

from costa_mm.structures import Tube
from .functional import (Span, box_iou, boxes_at, span_iou, span_overlap,
                         subsample)


class Scores(NamedTuple):
    """Scores of one sample, fractions.

    Attributes:
        tiou (float): Overlap of the spans.
        viou (float): Overlap of the tubes.
        siou (float, optional): Mean overlap of the boxes over the true span,
            whatever span was predicted; None where a protocol has no such
            number.
    """
    tiou: float
    viou: float
    siou: Optional[float]


@dataclass(frozen=True)
class Protocol:
    """How an evaluator counts frames.

    Args:
        name (str): Name of the protocol.
        end_offset (int): Added to the true (exclusive) end wherever the true
            span meets the predicted one; sIoU always takes the whole span.
        grid (str, optional): Only frames of TubeDETR's sampling grid count.
            'hcstvg': the clip lasts 20 s by definition and its last frame is
            no candidate; 'vidstg': the frame rate of the file, the used
            segment.
        counts_boxes (bool): Frames count as shared only if both tubes have a
            box there, in tIoU as well, and a missing box is no error.
        skips_unannotated (bool): True frames without an annotated box are
            left out of vIoU altogether; otherwise they count in the
            denominator.
        has_siou (bool): Whether the evaluator computes sIoU.
        note (str): One line for the log.
    """
    name: str
    end_offset: int = 0
    grid: Optional[str] = None
    counts_boxes: bool = False
    skips_unannotated: bool = False
    has_siou: bool = True
    note: str = ''

    def grid_frames(self, gt: Tube) -> Optional[np.ndarray]:
        """Frames of the sampling grid; None where every frame counts.

        Args:
            gt (Tube): Ground truth with ``num_frames`` (and, for VidSTG,
                ``fps`` and ``segment``, by default the whole video).

        Raises:
            ValueError: If the ground truth lacks what the grid needs.
        """
        if self.grid is None:
            return None
        if not gt.num_frames:
            raise ValueError(f'protocol {self.name!r} samples frames and '
                             'needs "num_frames" in the ground truth')
        if self.grid == 'hcstvg':
            return subsample(0, gt.num_frames - 1, gt.num_frames / 20, 5, 200)
        if not gt.fps:
            raise ValueError(f'protocol {self.name!r} samples frames and '
                             'needs "fps" in the ground truth')
        start, end = gt.segment or (0, gt.num_frames)
        return subsample(start, end, gt.fps, 5, 200)

    def score(self,
              pred: Tube,
              gt: Tube,
              missing_boxes: str = 'raise') -> Scores:
        """Score one prediction.

        Args:
            pred (Tube): Prediction: a span, and boxes for every frame that
                the protocol looks at.
            gt (Tube): Ground truth: a span and its annotated boxes.
            missing_boxes (str): 'raise' if the prediction lacks a box that
                is needed, or 'zero' to count it as IoU 0.

        Returns:
            Scores: tIoU, vIoU and sIoU.

        Raises:
            ValueError: If a tube lacks what the protocol needs.
        """
        frames, ious, found = match_boxes(pred, gt)
        true = (gt.span[0], gt.span[1] + self.end_offset)
        grid = self.grid_frames(gt)
        counted = np.ones(len(frames), bool)
        if grid is not None:
            counted = np.isin(frames, grid)
        if not self.counts_boxes and missing_boxes == 'raise':
            _check_boxes(frames[counted & ~found])
        shared = (counted & (frames >= max(true[0], pred.span[0]))
                  & (frames < min(true[1], pred.span[1])))
        hull = (min(true[0], pred.span[0]), max(true[1], pred.span[1]))
        union = self._num_union(hull, grid)
        if self.skips_unannotated:
            union -= gt.span[1] - gt.span[0] - len(frames)
        viou = ious[shared].sum() / max(union, 1)
        if not span_overlap(true, pred.span):
            viou = 0.
        tiou = span_iou(true, pred.span)
        if self.counts_boxes:
            tiou = (shared & found).sum() / union
        siou = ious[counted].sum() / max(counted.sum(), 1)
        return Scores(
            float(tiou), float(viou), float(siou) if self.has_siou else None)

    @staticmethod
    def _num_union(hull: Span, grid: Optional[np.ndarray]) -> int:
        if grid is None:
            return hull[1] - hull[0]
        return int(((grid >= hull[0]) & (grid < hull[1])).sum())


def match_boxes(pred: Tube,
                gt: Tube) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compare a prediction with every annotated frame of the true span.

    Returns:
        tuple[np.ndarray, np.ndarray, np.ndarray]: Annotated frames inside the
        true span, (N, ), int64; IoU there, (N, ), float64, 0 where the
        prediction has no box; whether it has one, (N, ), bool.

    Raises:
        ValueError: If a tube has no span, or the truth no box inside it.
    """
    if gt.span is None:
        raise ValueError('the ground truth has no span')
    if pred.span is None:
        raise ValueError('the prediction has no span')
    inside = ((gt.frame_ids >= gt.span[0]) & (gt.frame_ids < gt.span[1]))
    if not inside.any():
        raise ValueError(f'the ground truth has no box inside its span '
                         f'{gt.span}')
    frames = gt.frame_ids[inside]
    boxes, found = boxes_at(pred.frame_ids, pred.boxes, frames)
    return frames, np.where(found, box_iou(boxes, gt.boxes[inside]), 0), found


def _check_boxes(missing: np.ndarray) -> None:
    if len(missing):
        raise ValueError(
            f'the prediction has no box on {len(missing)} true frame(s), the '
            f'first is {missing[0]}; a prediction carries a box for every '
            'frame of the video (interpolate and hold), or count missing '
            "boxes as IoU 0 with missing_boxes='zero'")


PROTOCOLS: Dict[str, Protocol] = {
    p.name: p
    for p in (
        Protocol(
            'paper',
            skips_unannotated=True,
            note='the definition in the paper on every frame'),
        Protocol(
            'stcat_hcstvg',
            end_offset=-1,
            note='STCAT: every frame, the last true one is left out of tIoU '
            'and vIoU'),
        Protocol(
            'stcat_vidstg',
            end_offset=-1,
            note='STCAT: every frame, the last true one is left out of tIoU '
            'and vIoU; read it per query type'),
        Protocol(
            'tubedetr_hcstvg',
            grid='hcstvg',
            note='TubeDETR: boxes on its 5 fps grid only, 20 s clips'),
        Protocol(
            'tubedetr_vidstg',
            grid='vidstg',
            note='TubeDETR: boxes on its 5 fps grid only; read it per query '
            'type'),
        Protocol(
            'official_hcstvg',
            counts_boxes=True,
            has_siou=False,
            note='HC-STVG challenge: frames with a box in both tubes; no '
            'sIoU'),
    )
}


def get_protocol(name: str) -> Protocol:
    """The protocol of a name.

    Raises:
        ValueError: If there is none; the message lists the names.
    """
    if name not in PROTOCOLS:
        raise ValueError(
            f'unknown protocol {name!r}; there are {list(PROTOCOLS)}')
    return PROTOCOLS[name]
