# Copyright (c) costa_mm authors. All rights reserved.
"""What the scores do not say: where a tube is lost, and whether it jumps."""
from typing import Dict, List, NamedTuple

import numpy as np

from costa_mm.structures import Tube
from .functional import box_iou, boxes_at, mean, span_overlap
from .protocols import match_boxes

#: Below this IoU a box is taken to lie on something else.
WRONG_OBJECT_IOU = 0.1
#: Two boxes of one tube, ``JUMP_SECONDS`` apart, overlap less: a jump.
JUMP_IOU = 0.5
JUMP_SECONDS = 0.2


class ErrorSplit(NamedTuple):
    """What a tube loses, as shares of vIoU and of sIoU.

    ``time + place + object = 1 - vIoU`` (protocol ``paper``), and
    ``siou_place + siou_object = 1 - sIoU``.

    Attributes:
        time (float): Frames that only one of the two spans has.
        place (float): Shared frames whose box is loose.
        object (float): Shared frames whose box lies elsewhere.
        siou_place (float): As ``place``, over the whole true span.
        siou_object (float): As ``object``, over the whole true span.
    """
    time: float
    place: float
    object: float
    siou_place: float
    siou_object: float


def error_split(pred: Tube,
                gt: Tube,
                wrong_object_iou: float = WRONG_OBJECT_IOU) -> ErrorSplit:
    """Split what is missing from a perfect vIoU into its causes.

    Every frame of either span has the same weight.  A frame that only one
    span has is lost to time.  On a shared frame 1 - IoU is lost: to the wrong
    object if the IoU is below ``wrong_object_iou`` (the tracks of the other
    objects are not known in general, so this says "elsewhere", not "on
    another annotated object"), otherwise to the place.  True frames without
    an annotated box do not count.

    Args:
        pred (Tube): Prediction; frames without a box count as elsewhere.
        gt (Tube): Ground truth.
        wrong_object_iou (float): Where "loose" ends and "elsewhere" begins.

    Returns:
        ErrorSplit: Fractions.
    """
    frames, ious, _ = match_boxes(pred, gt)
    lost, elsewhere = 1 - ious, ious < wrong_object_iou
    shared = (frames >= pred.span[0]) & (frames < pred.span[1])
    num_pred = pred.span[1] - pred.span[0]
    union = len(frames) + num_pred - span_overlap(pred.span, gt.span)
    return ErrorSplit(
        time=float(1 - shared.sum() / union),
        place=float(lost[shared & ~elsewhere].sum() / union),
        object=float(lost[shared & elsewhere].sum() / union),
        siou_place=float(lost[~elsewhere].sum() / len(frames)),
        siou_object=float(lost[elsewhere].sum() / len(frames)))


def jump_rate(tube: Tube,
              seconds: float = JUMP_SECONDS,
              min_iou: float = JUMP_IOU) -> float:
    """Share of neighbouring boxes inside the span that barely overlap.

    Neighbours are ``seconds`` apart (adjacent frames if the frame rate is not
    known): between sampled frames boxes are interpolated, so frame by frame
    even a tube that leaps from one object to another moves smoothly.

    Args:
        tube (Tube): A prediction or a ground truth with a span.
        seconds (float): Distance of the neighbours in time.
        min_iou (float): A pair with a smaller IoU is a jump.

    Returns:
        float: Fraction of pairs; NaN where the span holds no pair of boxes.
    """
    gap = max(1, round(seconds * tube.fps)) if tube.fps else 1
    inside = ((tube.frame_ids >= tube.span[0])
              & (tube.frame_ids < tube.span[1]))
    frames, boxes = tube.frame_ids[inside], tube.boxes[inside]
    later, found = boxes_at(frames, boxes, frames + gap)
    if not found.any():
        return float('nan')
    return float((box_iou(boxes[found], later[found]) < min_iou).mean())


def diagnose(pred: Tube, gt: Tube) -> Dict[str, float]:
    """All diagnostics of one sample.

    Returns:
        dict[str, float]: ``err_time``, ``err_place``, ``err_object``,
        ``err_siou_place``, ``err_siou_object``, ``jump_rate`` and
        ``gt_jump_rate`` (how often the true box itself moves that fast); the
        last two may be NaN.
    """
    split = error_split(pred, gt)
    out = {f'err_{name}': value for name, value in split._asdict().items()}
    fps = pred.fps or gt.fps
    for name, tube in (('jump_rate', pred), ('gt_jump_rate', gt)):
        out[name] = jump_rate(
            Tube(tube.span, tube.frame_ids, tube.boxes, fps=fps))
    return out


def diagnose_nothing(gt: Tube) -> Dict[str, float]:
    """Diagnostics of a sample without a prediction, as of an empty tube.

    All of its frames are lost to time, as only the true span has them; over
    the true span its boxes are elsewhere, as missing ones are.

    Args:
        gt (Tube): Ground truth.
    """
    nothing = ErrorSplit(1., 0., 0., 0., 1.)
    out = {f'err_{name}': value for name, value in nothing._asdict().items()}
    return dict(
        out, jump_rate=float('nan'),
        gt_jump_rate=float('nan') if gt.span is None else jump_rate(gt))


def main_error(diagnosis: Dict[str, float]) -> str:
    """What a sample loses most to: 'time', 'place' or 'object'."""
    return max(('time', 'place', 'object'),
               key=lambda name: diagnosis[f'err_{name}'])


def mean_diagnostics(samples: List[Dict[str, float]]) -> Dict[str, float]:
    """Mean of every diagnostic over the samples that have it.

    Args:
        samples (list[dict]): What :func:`diagnose` returns, per sample.

    Returns:
        dict[str, float]: Same names, without those that no sample has.
    """
    out = {}
    for name in samples[0] if samples else ():
        values = [s[name] for s in samples if not np.isnan(s[name])]
        if values:
            out[name] = mean(values)
    return out
