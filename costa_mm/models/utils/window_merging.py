# Copyright (c) costa_mm authors. All rights reserved.
"""One tube from the tubes of a video's windows."""
from typing import List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from .tube_decoding import DecodingConfig, SampledTube, Span


class _Event(NamedTuple):
    """A span that may run through several windows.

    Attributes:
        start (int): First source frame.
        end (int): Frame after the last one.
        score (float): Joint probability in the window it was found in.
        windows (range): The windows that it runs through.
    """
    start: int
    end: int
    score: float
    windows: range


def merge_windows(tubes: Sequence[SampledTube],
                  cfg: DecodingConfig) -> SampledTube:
    """Merge the tubes of overlapping windows of one video.

    Spans are ranked by their joint probability inside their window times the
    mean attendance over their frames, where a head predicts attendance: the
    probability alone is that of the best place in a window, and every window
    has one.  The best span wins; its score is its joint probability, as it is
    in a video of one window.  Where it runs into the border of its
    window, it goes on in the neighbouring window, from the span there that
    agrees with it in the common frames; and so on.  A frame's box and
    attendance come from the windows of the winning span and, elsewhere, from
    the window with the best rank among those that see the frame.

    Args:
        tubes (Sequence[SampledTube]): One per window, in order of time.
        cfg (DecodingConfig): ``window.link_iou`` and ``num_spans``, how many
            spans to report at most; they do not overlap.

    Returns:
        SampledTube: On the frames of all windows.  ``start`` and ``end`` are
        the windows' distributions, weighted by their ranks.  One window's
        tube is returned as it is.

    Raises:
        ValueError: If there are several windows and no options for them.
    """
    if len(tubes) == 1:
        return tubes[0]
    if cfg.window is None:
        raise ValueError('several windows need test_cfg=dict(window=...)')
    ranked = [_rank_spans(tube) for tube in tubes]
    spans = [[span for _, span in own] for own in ranked]
    ranks = np.array([own[0][0] for own in ranked])
    events: List[_Event] = []
    for k in np.argsort(-ranks, kind='stable'):
        event = _grow(tubes, spans, int(k), cfg.window.link_iou)
        if all(event.end <= e.start or e.end <= event.start for e in events):
            events.append(event)
        if len(events) == cfg.num_spans:
            break
    return _assemble(tubes, ranks, events)


def _rank_spans(tube: SampledTube) -> List[Tuple[float, Span]]:
    """Spans with probability times attendance, best first."""
    ranked = []
    for start, end, prob in tube.spans:
        attend = 1.0
        if len(tube.attendance):
            inside = (tube.frame_ids >= start) & (tube.frame_ids < end)
            attend = float(
                tube.attendance[inside].mean()) if inside.any() else 0.0
        ranked.append((prob * attend, (start, end, prob)))
    return sorted(ranked, key=lambda pair: -pair[0])


def _grow(tubes: Sequence[SampledTube], spans: Sequence[List[Span]],
          window: int, link_iou: float) -> _Event:
    """The best span of a window, followed into the windows beside it."""
    start, end, score = spans[window][0]
    first = last = window
    span = spans[window][0]
    while last + 1 < len(tubes) and span[1] > tubes[last].frame_ids[-1]:
        span = _agreeing(span, spans[last + 1], tubes[last],
                         tubes[last + 1], link_iou)
        if span is None:
            break
        last, end = last + 1, span[1]
    span = spans[window][0]
    while first > 0 and span[0] <= tubes[first].frame_ids[0]:
        span = _agreeing(span, spans[first - 1], tubes[first - 1],
                         tubes[first], link_iou)
        if span is None:
            break
        first, start = first - 1, span[0]
    return _Event(start, end, score, range(first, last + 1))


def _agreeing(span: Span, others: List[Span], left: SampledTube,
              right: SampledTube, link_iou: float) -> Optional[Span]:
    """The best span of a neighbour that says the same of common frames."""
    common = int(right.frame_ids[0]), int(left.frame_ids[-1]) + 1

    def clip(s: Span) -> Tuple[int, int]:
        return max(s[0], common[0]), min(s[1], common[1])

    a = clip(span)
    for other in others:
        b = clip(other)
        inter = min(a[1], b[1]) - max(a[0], b[0])
        if inter > 0 and inter >= link_iou * (max(a[1], b[1]) -
                                              min(a[0], b[0])):
            return other
    return None


def _assemble(tubes: Sequence[SampledTube], ranks: np.ndarray,
              events: Sequence[_Event]) -> SampledTube:
    """Write windows over one another, those that matter most last."""
    ids = np.unique(np.concatenate([tube.frame_ids for tube in tubes]))
    total = ranks.sum()
    shares = ranks / total if total > 0 else np.full(
        len(tubes), 1 / len(tubes))
    boxes = np.zeros((len(ids), 4))
    start, end = np.zeros(len(ids)), np.zeros(len(ids))
    attendance = np.zeros(len(ids), np.float32)
    order = sorted(
        range(len(tubes)), key=lambda k: (k in events[0].windows, ranks[k]))
    for k in order:
        tube = tubes[k]
        at = np.searchsorted(ids, tube.frame_ids)
        boxes[at] = tube.boxes
        if len(tube.attendance):
            attendance[at] = tube.attendance
        start[at] += shares[k] * tube.start
        end[at] += shares[k] * tube.end
    known = all(len(tube.attendance) for tube in tubes)
    return SampledTube(
        frame_ids=ids,
        boxes=boxes,
        spans=[(e.start, e.end, e.score) for e in events],
        start=start.astype(tubes[0].start.dtype),
        end=end.astype(tubes[0].end.dtype),
        attendance=attendance if known else attendance[:0])
