# Copyright (c) costa_mm authors. All rights reserved.
"""Predictors that see neither the video nor the sentence.

What they score is what the statistics of a dataset give away; a model that
does not beat them has learnt nothing.
"""
from dataclasses import dataclass
from typing import Dict, Optional, Tuple

import numpy as np

from costa_mm.structures import Tube
from .functional import box_iou

#: Width and height of every sample's video.
Sizes = Dict[str, Tuple[int, int]]

#: Boxes of a training tube that are looked at, and candidates for the best.
_BOXES_PER_TUBE = 16
_MAX_CANDIDATES = 256


@dataclass(frozen=True)
class TrivialPrior:
    """What is known of a training set without looking at anything.

    Args:
        span (tuple[float, float]): Mean start and end, as fractions of the
            video.
        mean_box (np.ndarray): Mean over tubes of a tube's mean box, (4, ),
            (x1, y1, x2, y2).
        best_box (np.ndarray): Box of the highest mean vIoU on the training
            set if it is held through the whole video, (4, ).
        relative (bool): Whether boxes are fractions of width and height;
            otherwise they are pixels and all videos must have one size.
    """
    span: Tuple[float, float]
    mean_box: np.ndarray
    best_box: np.ndarray
    relative: bool

    def whole_video(self,
                    tubes: Dict[str, Tube],
                    sizes: Optional[Sizes] = None) -> Dict[str, Tube]:
        """Whole video, best static box.

        Args:
            tubes (dict[str, Tube]): Samples to predict; only ``num_frames``,
                ``fps`` and ``qtype`` are read.
            sizes (dict, optional): Sizes, if the prior is relative.
        """
        return {
            i: self._predict(i, t, (0., 1.), self.best_box, sizes)
            for i, t in tubes.items()
        }

    def mean_span(self,
                  tubes: Dict[str, Tube],
                  sizes: Optional[Sizes] = None) -> Dict[str, Tube]:
        """Mean span, mean box; arguments as :meth:`whole_video`."""
        return {
            i: self._predict(i, t, self.span, self.mean_box, sizes)
            for i, t in tubes.items()
        }

    def _predict(self, sample_id: str, tube: Tube, span: Tuple[float, float],
                 box: np.ndarray, sizes: Optional[Sizes]) -> Tube:
        num = _num_frames(sample_id, tube)
        start = min(int(round(span[0] * num)), num - 1)
        end = max(int(round(span[1] * num)), start + 1)
        if self.relative:
            box = box * _scale(sample_id, sizes)
        return Tube(
            span=(start, end),
            frame_ids=np.arange(num),
            boxes=np.tile(box, (num, 1)),
            qtype=tube.qtype,
            num_frames=num,
            fps=tube.fps)


def fit_trivial(tubes: Dict[str, Tube],
                sizes: Optional[Sizes] = None) -> TrivialPrior:
    """Fit the trivial predictors on training tubes.

    Args:
        tubes (dict[str, Tube]): Training ground truth, with ``num_frames``.
        sizes (dict, optional): Width and height per sample; without it all
            videos, test videos included, must have one size.

    Returns:
        TrivialPrior: Mean span, mean box and best box.

    Raises:
        ValueError: If there is no tube, or one lacks its frame count, span,
            boxes or size.
    """
    if not tubes:
        raise ValueError('there is no training tube to fit')
    spans, boxes, weights = [], [], []
    for sample_id, tube in tubes.items():
        num = _num_frames(sample_id, tube)
        inside = _boxes_inside(sample_id, tube)
        if sizes is not None:
            inside = inside / _scale(sample_id, sizes)
        spans.append((tube.span[0] / num, tube.span[1] / num))
        boxes.append(inside)
        weights.append((tube.span[1] - tube.span[0]) / num)
    mean_boxes = np.stack([b.mean(0) for b in boxes])
    span = np.mean(spans, axis=0)
    return TrivialPrior(
        span=(float(span[0]), float(span[1])),
        mean_box=mean_boxes.mean(0),
        best_box=_best_box(boxes, mean_boxes, np.array(weights)),
        relative=sizes is not None)


def trivial_predictions(
        train: Dict[str, Tube],
        test: Dict[str, Tube],
        train_sizes: Optional[Sizes] = None,
        test_sizes: Optional[Sizes] = None) -> Dict[str, Dict[str, Tube]]:
    """Predictions of both trivial predictors.

    Args:
        train (dict[str, Tube]): Ground truth that they are fitted on.
        test (dict[str, Tube]): Samples to predict; their spans and boxes are
            not read.
        train_sizes (dict, optional): Width and height per training sample.
        test_sizes (dict, optional): Width and height per test sample.

    Returns:
        dict[str, dict[str, Tube]]: ``whole_video_best_box`` and
        ``mean_span_mean_box``.
    """
    if (train_sizes is None) != (test_sizes is None):
        raise ValueError('sizes are needed for both sets or for neither')
    prior = fit_trivial(train, train_sizes)
    return dict(
        whole_video_best_box=prior.whole_video(test, test_sizes),
        mean_span_mean_box=prior.mean_span(test, test_sizes))


def _num_frames(sample_id: str, tube: Tube) -> int:
    if not tube.num_frames:
        raise ValueError(f'sample {sample_id!r}: trivial predictors need '
                         '"num_frames"')
    return tube.num_frames


def _scale(sample_id: str, sizes: Optional[Sizes]) -> np.ndarray:
    if sizes is None or sample_id not in sizes:
        raise ValueError(f'sample {sample_id!r}: its frame size is not known')
    width, height = sizes[sample_id]
    return np.array([width, height, width, height], dtype=np.float64)


def _boxes_inside(sample_id: str, tube: Tube) -> np.ndarray:
    if tube.span is None:
        raise ValueError(f'sample {sample_id!r}: no span')
    inside = ((tube.frame_ids >= tube.span[0])
              & (tube.frame_ids < tube.span[1]))
    if not inside.any():
        raise ValueError(f'sample {sample_id!r}: no box inside the span')
    return tube.boxes[inside]


def _best_box(boxes: list, mean_boxes: np.ndarray,
              weights: np.ndarray) -> np.ndarray:
    """Static box of the highest mean vIoU over whole videos.

    Starts from the best of the tubes' own mean boxes and climbs along single
    coordinates with shrinking steps.

    Args:
        boxes (list[np.ndarray]): Boxes of every tube, (n_i, 4).
        mean_boxes (np.ndarray): Their means, (N, 4).
        weights (np.ndarray): Length of the event over that of the video.
    """
    picks = [
        b[np.linspace(0, len(b) - 1, _BOXES_PER_TUBE).astype(int)]
        for b in boxes
    ]
    truth = np.stack(picks)  # (N, 16, 4)

    def score(box: np.ndarray) -> float:
        return float((box_iou(truth, box).mean(1) * weights).mean())

    step = max(1, len(mean_boxes) // _MAX_CANDIDATES)
    candidates = [*mean_boxes[::step], mean_boxes.mean(0)]
    best = max(candidates, key=score)
    extent = np.abs(truth).max()
    for fraction in (.1, .05, .02, .01, .005):
        best = _climb(best, fraction * extent, score)
    return best


def _climb(box: np.ndarray, step: float, score) -> np.ndarray:
    """Move single coordinates by a step while that scores higher."""
    moves = step * np.concatenate([np.eye(4), -np.eye(4)])
    while True:
        best = max((box + move for move in moves), key=score)
        if score(best) <= score(box):
            return box
        box = best
