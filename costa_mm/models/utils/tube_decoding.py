# Copyright (c) costa_mm authors. All rights reserved.
"""Prediction step: logits and normalised boxes to a tube of source frames."""
from dataclasses import dataclass
from typing import List, Optional, Sequence, Tuple, Union

import numpy as np
import torch
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy
from torch import Tensor

from costa_mm.structures import Tube, TubeDataSample, TubeOutputs
from .spans import joint_span_scores, span_log_probs
from .windows import WindowConfig

#: Start and end of source frames, end exclusive, and a score.
Span = Tuple[int, int, float]
SPAN_ENDS = ('sampled', 'midpoint')
BOX_ENDS = ('interpolate', 'hold')


@dataclass(frozen=True)
class DecodingConfig:
    """Options of prediction, ``test_cfg`` of a grounder.

    Args:
        two_pass (bool): Ground the even and the odd frames independently and
            merge, as STCAT does with twice as many test frames.
        span_ends (str): 'sampled' ends a span with the last sampled frame
            inside it (as published); 'midpoint' reaches halfway to the next
            sampled frame outside it, which is unbiased for coarse sampling.
        box_ends (str): Boxes between the last sampled frame inside the span
            and the next one outside: 'interpolate' towards the latter's (as
            published), or 'hold' the former's, as no loss teaches boxes
            outside an event.
        num_spans (int): How many best spans to report at most.
        window (dict or :obj:`WindowConfig`, optional): Cut longer videos into
            overlapping windows; by default a video is grounded at once,
            however long.

    Raises:
        ValueError: For an unknown ``span_ends`` or ``box_ends``, or a bad
            number.
    """

    two_pass: bool = False
    span_ends: str = 'sampled'
    box_ends: str = 'interpolate'
    num_spans: int = 5
    window: Optional[Union[dict, WindowConfig]] = None

    def __post_init__(self) -> None:
        if self.span_ends not in SPAN_ENDS:
            raise ValueError(f'span_ends {self.span_ends!r} is none of '
                             f'{SPAN_ENDS}')
        if self.box_ends not in BOX_ENDS:
            raise ValueError(f'box_ends {self.box_ends!r} is none of '
                             f'{BOX_ENDS}')
        if self.num_spans < 1:
            raise ValueError('num_spans must be at least 1')
        if isinstance(self.window, dict):
            object.__setattr__(self, 'window', WindowConfig(**self.window))

    @property
    def passes(self) -> int:
        """How many videos the frames of a long enough video make."""
        return 2 if self.two_pass else 1

    def count_passes(self, total: int) -> int:
        """The same for a video of ``total`` sampled frames; a single frame
        has no second pass."""
        return min(self.passes, total)

    def split(self, total: int) -> List[slice]:
        """Windows over the sampled frames of a video, one if it is short."""
        if self.window is None:
            return [slice(0, total)]
        return self.window.split(total, self.passes)


@dataclass(frozen=True, eq=False)
class SampledTube:
    """Prediction for one video on its sampled frames.

    Args:
        frame_ids (np.ndarray): Source frames, (T, ), int64, increasing.
        boxes (np.ndarray): (T, 4), float64, (x1, y1, x2, y2) in pixels of the
            original frame, clipped to it.
        spans (list[tuple[int, int, float]]): Best first, source frames, end
            exclusive, with their joint probability.
        start (np.ndarray): Probability of starting in a frame, (T, ).
        end (np.ndarray): Probability of ending in a frame, (T, ).
        attendance (np.ndarray): Probability that the object attends the event
            in a frame, (T, ); empty where a head predicts none.
    """
    frame_ids: np.ndarray
    boxes: np.ndarray
    spans: List[Tuple[int, int, float]]
    start: np.ndarray
    end: np.ndarray
    attendance: np.ndarray


def best_spans(span_logits: Tensor, frame_mask: Tensor,
               num: int) -> List[List[Tuple[int, int, float]]]:
    """The most probable spans of every video.

    Args:
        span_logits (Tensor): (B, T, 2).
        frame_mask (Tensor): True on padding, (B, T), bool.
        num (int): At most this many per video.

    Returns:
        list[list[tuple[int, int, float]]]: First and last frame, inclusive,
        and the joint probability, among all valid spans, best first.
    """
    scores = joint_span_scores(span_logits, frame_mask).flatten(1)
    length = frame_mask.shape[1]
    # a stable sort keeps the first of ties, as argmax does
    values, index = scores.sort(dim=1, descending=True, stable=True)
    num = min(num, values.shape[1])
    # normalised over valid spans, so that the probabilities sum to 1
    probs = values.softmax(1)[:, :num].tolist()
    values, index = values[:, :num].tolist(), index[:, :num].tolist()
    return [[(i // length, i % length, p) for i, v, p in zip(*row)
             if v > float('-inf')] for row in zip(index, values, probs)]


def to_source_span(first: int, last: int, frame_ids: Sequence[int],
                   num_frames: int, span_ends: str) -> Tuple[int, int]:
    """Sampled indices to a span of source frames.

    Args:
        first (int): First sampled index, inclusive.
        last (int): Last sampled index, inclusive.
        frame_ids (Sequence[int]): Source frames that were sampled.
        num_frames (int): Frames of the source video.
        span_ends (str): See :class:`DecodingConfig`.

    Returns:
        tuple[int, int]: Start and end, end exclusive.
    """
    start, end = int(frame_ids[first]), int(frame_ids[last]) + 1
    if span_ends == 'midpoint':
        if first > 0:
            start = (int(frame_ids[first - 1]) + start + 1) // 2
        if last + 1 < len(frame_ids):
            end = (end + int(frame_ids[last + 1]) + 1) // 2
        elif num_frames - end <= _gap(frame_ids):
            end = num_frames
    return start, min(end, num_frames)


def _gap(frame_ids: Sequence[int]) -> float:
    """Half the usual distance of sampled frames."""
    if len(frame_ids) < 2:
        return 0.
    return float(np.median(np.diff(frame_ids))) / 2


def densify_boxes(frame_ids: np.ndarray,
                  boxes: np.ndarray,
                  num_frames: int,
                  held: Optional[Tuple[int, int]] = None) -> np.ndarray:
    """A box for every source frame.

    Linear between sampled frames, constant before the first and after the
    last of them.

    Args:
        frame_ids (np.ndarray): (T, ), increasing.
        boxes (np.ndarray): (T, 4).
        num_frames (int): N.
        held (tuple[int, int], optional): Span, end exclusive, in which only
            its own sampled frames count, see ``box_ends`` of
            :class:`DecodingConfig`.

    Returns:
        np.ndarray: (N, 4), float64.
    """
    dense = _interpolate(np.arange(num_frames), frame_ids, boxes)
    if held is not None:
        inside = (frame_ids >= held[0]) & (frame_ids < held[1])
        if inside.any():
            dense[slice(*held)] = _interpolate(
                np.arange(*held), frame_ids[inside], boxes[inside])
    return dense


def _interpolate(frames: np.ndarray, frame_ids: np.ndarray,
                 boxes: np.ndarray) -> np.ndarray:
    return np.stack([np.interp(frames, frame_ids, boxes[:, c])
                     for c in range(4)], axis=1)


def decode_tubes(outs: TubeOutputs, metas: Sequence[dict],
                 cfg: DecodingConfig) -> List[SampledTube]:
    """Decode the last layer's outputs.

    Args:
        outs (TubeOutputs): Outputs of a head.
        metas (Sequence[dict]): Per video 'frame_ids', 'num_frames' and
            'ori_shape'.
        cfg (DecodingConfig): Options.

    Returns:
        list[SampledTube]: One per video.
    """
    # to the host once; everything below is small
    logits = outs.span_logits[-1].detach().cpu()
    frame_mask = outs.frame_mask.cpu()
    probs = span_log_probs(logits, frame_mask).exp().numpy()
    spans = best_spans(logits, frame_mask, cfg.num_spans)
    boxes = bbox_cxcywh_to_xyxy(
        outs.boxes[-1].detach().cpu().float()).double()
    attend = None if outs.attendance is None else \
        outs.attendance[-1].detach().cpu().float().sigmoid().numpy()
    tubes = []
    for i, meta in enumerate(metas):
        ids = np.asarray(meta['frame_ids'])
        count = len(ids)
        height, width = meta['ori_shape']
        scale = torch.tensor([width, height, width, height])
        pixels = (boxes[i, :count] * scale).clamp(min=0)
        tubes.append(
            SampledTube(
                frame_ids=ids,
                boxes=torch.minimum(pixels, scale).numpy(),
                spans=[
                    (*to_source_span(s, e, ids, meta['num_frames'],
                                     cfg.span_ends), p)
                    for s, e, p in spans[i]
                ],
                start=probs[i, :count, 0],
                end=probs[i, :count, 1],
                attendance=np.zeros(0, np.float32)
                if attend is None else attend[i, :count]))
    return tubes


def _overlapping(first: Sequence[Span],
                 second: Sequence[Span]) -> List[Tuple[Span, Span]]:
    """Each span with the one of ``second`` that it overlaps most."""
    pairs, left = [], list(second)
    for a in first:
        shared = [min(a[1], b[1]) - max(a[0], b[0]) for b in left]
        if shared and max(shared) > 0:
            pairs.append((a, left.pop(int(np.argmax(shared)))))
    return sorted(pairs, key=lambda p: -p[0][2] * p[1][2])


def merge_passes(even: SampledTube, odd: SampledTube) -> SampledTube:
    """Merge two interleaved passes over one video, as STCAT does.

    The span is [min start, max end] of both best spans; boxes and
    distributions are put in the order of their frames.  Of the further spans
    those are kept that overlap one of the other pass: two that have nothing
    in common would span what nobody predicted.
    """
    order = np.argsort(np.concatenate((even.frame_ids, odd.frame_ids)))

    def both(name: str) -> np.ndarray:
        return np.concatenate((getattr(even, name), getattr(odd, name)))

    spans = [
        (min(a[0], b[0]), max(a[1], b[1]), (a[2] * b[2])**0.5)
        for a, b in [(even.spans[0], odd.spans[0]),
                     *_overlapping(even.spans[1:], odd.spans[1:])]
    ]
    attendance = both('attendance')
    return SampledTube(
        frame_ids=both('frame_ids')[order],
        boxes=both('boxes')[order],
        spans=spans,
        start=both('start')[order] / 2,
        end=both('end')[order] / 2,
        attendance=attendance[order] if len(attendance) else attendance)


def write_prediction(sample: TubeDataSample,
                     tube: SampledTube,
                     box_ends: str = 'interpolate') -> None:
    """Give a sample the ``pred_*`` fields of a prediction.

    Args:
        sample (:obj:`TubeDataSample`): Gets them.
        tube (:obj:`SampledTube`): The prediction; its best span counts.
        box_ends (str): See :class:`DecodingConfig`.
    """
    meta = sample.metainfo
    start, end, score = tube.spans[0]
    sample.pred_tube = Tube(
        span=(start, end),
        frame_ids=np.arange(meta['num_frames']),
        boxes=densify_boxes(tube.frame_ids, tube.boxes, meta['num_frames'],
                            (start, end) if box_ends == 'hold' else None),
        qtype=meta.get('qtype'),
        num_frames=meta['num_frames'],
        fps=meta.get('fps'))
    sample.pred_score = score
    sample.pred_spans = tube.spans
    sample.pred_start, sample.pred_end = tube.start, tube.end
    sample.pred_attendance = tube.attendance
    sample.pred_boxes = tube.boxes
