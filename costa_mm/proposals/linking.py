# Copyright (c) costa_mm authors. All rights reserved.
"""Boxes of single frames, linked to tubes.

The path of the highest sum of scores and overlaps is found by dynamic
programming (Viterbi); its boxes are taken away and the next path is found,
as weakly supervised grounding of videos does it (Chen et al., "Weakly-
Supervised Spatio-Temporally Grounding Natural Sentence in Video", ACL 2019;
before them Gkioxari and Malik, "Finding Action Tubes", CVPR 2015).  There a
path has a box in every frame; here it may begin and end anywhere and skip a
few frames, since a detector misses some.
"""
from typing import List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from costa_mm.evaluation.functional import box_iou


class Detections(NamedTuple):
    """What a detector sees in one frame.

    Attributes:
        boxes (np.ndarray): (N, 4), (x1, y1, x2, y2) in pixels.
        scores (np.ndarray): (N, ), in (0, 1].
        labels (tuple[str, ...]): N names of classes, or phrases.
    """
    boxes: np.ndarray
    scores: np.ndarray
    labels: Tuple[str, ...]


class LinkedTube(NamedTuple):
    """One tube.

    Attributes:
        frames (np.ndarray): Places of its frames in the sequence, (M, ).
        boxes (np.ndarray): (M, 4).
        scores (np.ndarray): Of the boxes, (M, ).
        label (str): Of which its boxes have the highest sum of scores.
        value (float): What :func:`best_path` maximised.
    """
    frames: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray
    label: str
    value: float


def best_path(frames: Sequence[Detections],
              overlap_weight: float = 1.,
              max_gap: int = 1,
              min_overlap: float = 0.1
              ) -> Tuple[List[Tuple[int, int]], float]:
    """The path of the highest value.

    The value of a path is the sum of its boxes' scores and, for every pair of
    successive boxes, ``overlap_weight`` times their IoU.  Two boxes may
    follow each other if their IoU is at least ``min_overlap`` and at most
    ``max_gap`` frames lie between them.

    Args:
        frames (Sequence[:obj:`Detections`]): T frames, some maybe empty.
        overlap_weight (float): lambda.
        max_gap (int): Frames that a path may skip at once.
        min_overlap (float): Below it two boxes are not of one object.

    Returns:
        tuple[list[tuple[int, int]], float]: (frame, box) of the path and its
        value; of paths with one value the one that ends first; ([], 0) where
        there is no box.
    """
    values: List[np.ndarray] = []
    sources: List[List[Optional[Tuple[int, int]]]] = []
    best, end = 0., None
    for t, frame in enumerate(frames):
        value = frame.scores.astype(np.float64)
        gain = np.zeros(len(value))
        source: List[Optional[Tuple[int, int]]] = [None] * len(value)
        for s in range(max(0, t - 1 - max_gap), t):
            if not len(value) or not len(values[s]):
                continue
            overlap = box_iou(frames[s].boxes[:, None], frame.boxes)  # (M, N)
            reach = np.where(overlap >= min_overlap, values[s][:, None] +
                             overlap_weight * overlap, -np.inf)
            at = reach.argmax(0)
            for n in np.flatnonzero(reach.max(0) > gain):
                gain[n], source[n] = reach[at[n], n], (s, int(at[n]))
        values.append(value + gain)
        sources.append(source)
        if len(value) and values[t].max() > best:
            best, end = float(values[t].max()), (t, int(values[t].argmax()))
    path: List[Tuple[int, int]] = []
    while end is not None:
        path.append(end)
        end = sources[end[0]][end[1]]
    return path[::-1], best


def link_tubes(frames: Sequence[Detections],
               *,
               max_tubes: int = 20,
               overlap_weight: float = 1.,
               max_gap: int = 1,
               min_overlap: float = 0.1,
               by_label: bool = False) -> List[LinkedTube]:
    """Make tubes of boxes: best path, its boxes removed, the next one.

    Args:
        frames (Sequence[:obj:`Detections`]): Frames at equal distances.
        max_tubes (int): At most so many, best first.
        overlap_weight (float): See :func:`best_path`.
        max_gap (int): See :func:`best_path`.
        min_overlap (float): See :func:`best_path`.
        by_label (bool): Whether a tube must be of one label; detectors that
            change their mind about an object break such tubes.

    Returns:
        list[:obj:`LinkedTube`]: In order of value.
    """
    groups = [list(frames)]
    if by_label:
        names = sorted({label for frame in frames for label in frame.labels})
        groups = [[_only(frame, name) for frame in frames] for name in names]
    options = (overlap_weight, max_gap, min_overlap)
    found = [tube for group in groups
             for tube in _peel(group, max_tubes, options)]
    return sorted(found, key=lambda tube: -tube.value)[:max_tubes]


def _peel(frames: List[Detections], max_tubes: int,
          options: tuple) -> List[LinkedTube]:
    """Path after path."""
    tubes = []
    while len(tubes) < max_tubes:
        path, value = best_path(frames, *options)
        if not path:
            break
        picked = [_take(frames[t], [n]) for t, n in path]
        scores = np.concatenate([one.scores for one in picked])
        sums: dict = {}
        for one in picked:
            name = one.labels[0]
            sums[name] = sums.get(name, 0.) + float(one.scores[0])
        tubes.append(
            LinkedTube(
                np.array([t for t, _ in path]),
                np.concatenate([one.boxes for one in picked]), scores,
                max(sums, key=sums.get), value))
        for t, n in path:
            rest = [i for i in range(len(frames[t].scores)) if i != n]
            frames[t] = _take(frames[t], rest)
    return tubes


def _take(frame: Detections, rows: List[int]) -> Detections:
    return Detections(frame.boxes[rows], frame.scores[rows],
                      tuple(frame.labels[i] for i in rows))


def _only(frame: Detections, label: str) -> Detections:
    return _take(frame, [i for i, x in enumerate(frame.labels) if x == label])
