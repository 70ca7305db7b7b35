# Copyright (c) costa_mm authors. All rights reserved.
"""The arithmetic of tube metrics, on NumPy arrays only.

A span is ``(start, end)`` in source frames, end exclusive.  A box is
(x1, y1, x2, y2) in pixels; areas carry no "+ 1".
"""
from typing import Dict, Iterable, Sequence, Tuple

import numpy as np

Span = Tuple[int, int]

#: The values of R in ``vIoU@R`` that papers report.
VIOU_THRESHOLDS = (0.3, 0.5)


def box_iou(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """IoU of boxes pair by pair.

    Args:
        boxes (np.ndarray): (N, 4), (x1, y1, x2, y2).
        others (np.ndarray): (N, 4), or any shape that broadcasts.

    Returns:
        np.ndarray: (N, ), float64.  Boxes without area have IoU 0.
    """
    boxes = np.asarray(boxes, dtype=np.float64)
    others = np.asarray(others, dtype=np.float64)
    top = np.maximum(boxes[..., :2], others[..., :2])
    bottom = np.minimum(boxes[..., 2:], others[..., 2:])
    inter = np.clip(bottom - top, 0, None).prod(-1)
    union = _area(boxes) + _area(others) - inter
    return np.divide(inter, union, out=np.zeros_like(inter), where=union > 0)


def _area(boxes: np.ndarray) -> np.ndarray:
    return np.clip(boxes[..., 2:] - boxes[..., :2], 0, None).prod(-1)


def span_overlap(span: Span, other: Span) -> int:
    """Number of frames that two spans share."""
    return max(0, min(span[1], other[1]) - max(span[0], other[0]))


def span_iou(span: Span, other: Span) -> float:
    """Shared frames over the frames of either span (tIoU).

    Empty spans are legal here: a protocol may shorten a one-frame truth to
    nothing.  Two empty spans have IoU 0.
    """
    inter = span_overlap(span, other)
    union = (span[1] - span[0]) + (other[1] - other[0]) - inter
    return inter / union if union > 0 else 0.


def boxes_at(frame_ids: np.ndarray, boxes: np.ndarray,
             frames: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Boxes of given frames.

    Args:
        frame_ids (np.ndarray): Frames that have a box, (N, ), increasing.
        boxes (np.ndarray): Their boxes, (N, 4).
        frames (np.ndarray): Frames that are wanted, (M, ).

    Returns:
        tuple[np.ndarray, np.ndarray]: Boxes, (M, 4), zeros where there is
        none, and whether there is one, (M, ), bool.
    """
    if len(frame_ids) == 0:
        return np.zeros((len(frames), 4)), np.zeros(len(frames), bool)
    at = np.minimum(np.searchsorted(frame_ids, frames), len(frame_ids) - 1)
    found = frame_ids[at] == frames
    return np.where(found[:, None], boxes[at], 0.), found


def mean(values: Iterable[float]) -> float:
    """Mean that does not depend on the order; NaN of nothing."""
    values = np.sort(np.fromiter(values, dtype=np.float64))
    return float(values.mean()) if len(values) else float('nan')


def summarize(tiou: Sequence[float],
              viou: Sequence[float],
              siou: Sequence[float] = (),
              thresholds: Sequence[float] = VIOU_THRESHOLDS
              ) -> Dict[str, float]:
    """Means and recalls over samples, as papers report them.

    Args:
        tiou (Sequence[float]): One value per sample.
        viou (Sequence[float]): One value per sample.
        siou (Sequence[float]): One value per sample, or nothing where the
            protocol does not compute it.
        thresholds (Sequence[float]): A sample counts for ``vIoU@R`` if its
            vIoU is strictly above R.

    Returns:
        dict[str, float]: ``m_tIoU``, ``m_vIoU``, ``vIoU@R`` per threshold
        and, if there is any, ``m_sIoU``; fractions.
    """
    out = {'m_tIoU': mean(tiou), 'm_vIoU': mean(viou)}
    for threshold in thresholds:
        out[f'vIoU@{threshold}'] = mean(v > threshold for v in viou)
    if len(siou):
        out['m_sIoU'] = mean(siou)
    return out
