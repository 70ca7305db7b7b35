# Copyright (c) costa_mm authors. All rights reserved.
"""From what an annotation says to a record that can be used."""
from typing import NamedTuple, Optional, Tuple

import numpy as np

from costa_mm.structures import Tube
from .annotation_files import FileFolder  # noqa: F401  was here before
from .problems import Problems

# boxes on a smaller part of an event's frames are called key frames
DENSE_SHARE = 0.25


class SentenceAnnotation(NamedTuple):
    """One sentence as its annotation file states it, in our units.

    Attributes:
        sample_id (str): Unique in the dataset.
        video (str): File name as annotated.
        video_id (str): Name of the video in results.
        sentence (str): The query.
        qtype (str, optional): 'declarative' or 'interrogative'.
        num_frames (int, optional): None is probed.
        fps (float, optional): None is probed.
        width (int, optional): Pixels; None is probed.
        height (int, optional): Pixels; None is probed.
        segment (tuple[int, int], optional): End-exclusive source frames
            inside which frames are sampled; None is the whole video.
        span (tuple[int, int], optional): End-exclusive event; None is
            unknown.
        frame_ids (np.ndarray): Frames with a box, (N, ), increasing.
        boxes (np.ndarray): As annotated, (N, 4), xyxy pixels, not cleaned.
        track (str, optional): Name of the object in its video; sentences of
            a video with the same name share their boxes.
        factors (dict, optional): What is known of the sample's difficulty.
        entry (str): Place in the file, filled in by the dataset.
        video_path (str): Where the video lies, filled in by the dataset.
    """
    sample_id: str
    video: str
    video_id: str
    sentence: str
    qtype: Optional[str] = None
    num_frames: Optional[int] = None
    fps: Optional[float] = None
    width: Optional[int] = None
    height: Optional[int] = None
    segment: Optional[Tuple[int, int]] = None
    span: Optional[Tuple[int, int]] = None
    frame_ids: np.ndarray = np.zeros(0, dtype=np.int64)
    boxes: np.ndarray = np.zeros((0, 4))
    track: Optional[str] = None
    factors: Optional[dict] = None
    entry: str = ''
    video_path: str = ''

    def note(self, problems: Problems, level: str, reason: str,
             detail: str = '') -> None:
        """Note a problem of this sentence."""
        problems.add(
            level,
            reason,
            self.entry or self.sample_id,
            detail=detail,
            sample_id=self.sample_id)


def make_record(annotation: SentenceAnnotation,
                problems: Problems,
                test_mode: bool,
                max_gap: int = 0) -> Optional[dict]:
    """Clean an annotation; None if it cannot be used.

    Boxes are clipped to the frame, boxes without area dropped, a span or a
    segment that runs over the end of the video is cut there.  All of it is
    noted in ``problems``.

    Args:
        annotation (SentenceAnnotation): With path, size, length and rate.
        problems (Problems): Takes the notes.
        test_mode (bool): Keep samples without ground truth.
        max_gap (int): Gaps between boxes that training fills in
            (:class:`LoadTubeAnnotations`).

    Returns:
        dict or None: The record.
    """
    span = _cut(annotation.span, annotation.num_frames)
    segment = _cut(annotation.segment or (0, annotation.num_frames),
                   annotation.num_frames)
    reason, tube = _unusable(annotation, span, segment, test_mode), None
    if reason is None and span is not None:
        tube = _clean_tube(annotation, span, segment, problems)
        # no box annotated at all is fine at test time: it can be predicted
        if not len(tube.boxes) and (len(annotation.boxes) or not test_mode):
            reason = 'no usable box'
        elif not test_mode and not _is_dense(tube, max_gap):
            annotation.note(
                problems, 'warning', 'boxes on few frames of the event: a '
                'training sample may get none')
    if reason is not None:
        annotation.note(problems, 'skipped', reason)
        return None
    keys = ('sample_id', 'video_path', 'video_id', 'sentence', 'qtype',
            'num_frames', 'fps', 'width', 'height', 'factors')
    return dict({key: getattr(annotation, key) for key in keys},
                segment=segment, gt_tube=tube)


def lacking_truth(record: dict) -> Optional[str]:
    """Why a record cannot be scored, None if it can."""
    if record['gt_tube'] is None:
        return 'no true span'
    return None if len(record['gt_tube'].boxes) else 'no usable box'


def _cut(span: Optional[Tuple[int, int]],
         num_frames: int) -> Optional[Tuple[int, int]]:
    return span and (span[0], min(span[1], num_frames))


def _unusable(annotation: SentenceAnnotation, span: Optional[tuple],
              segment: tuple, test_mode: bool) -> Optional[str]:
    if segment[0] >= segment[1]:
        return 'segment behind the end of the video'
    if span is None:
        return None if test_mode else 'no true span'
    if span[0] >= span[1]:
        return 'event behind the end of the video'
    if not test_mode and (span[0] >= segment[1] or span[1] <= segment[0]):
        return 'event outside the segment'
    return None


def _clean_tube(annotation: SentenceAnnotation, span: Tuple[int, int],
                segment: Tuple[int, int], problems: Problems) -> Tube:
    if annotation.span[1] > span[1]:
        annotation.note(problems, 'warning',
                        'event cut at the end of the video (kept)')
    boxes, usable = clean_boxes(annotation.boxes, annotation.width,
                                annotation.height)
    if not usable.all():
        annotation.note(problems, 'warning',
                        'some boxes without area dropped (sample kept)')
    tiny = (np.abs(annotation.boxes) <= 2).all(axis=1)
    if tiny.sum() * 2 > len(tiny):
        annotation.note(
            problems, 'warning',
            'most boxes lie within two pixels: fractions of the frame?')
    inside = (annotation.frame_ids >= span[0]) & (
        annotation.frame_ids < span[1])
    keep = usable & inside
    return Tube(
        span=span,
        frame_ids=annotation.frame_ids[keep],
        boxes=boxes[keep],
        qtype=annotation.qtype,
        num_frames=annotation.num_frames,
        fps=annotation.fps,
        factors=annotation.factors,
        segment=segment)


def _is_dense(tube: Tube, max_gap: int) -> bool:
    """Whether a sample of an event can be expected to hold a box."""
    gaps = np.diff(tube.frame_ids)
    near = gaps <= max(max_gap, 1)
    covered = 1 + gaps[near].sum() + (~near).sum()
    length = tube.span[1] - tube.span[0]
    if len(gaps) and not near.any() and covered < length:
        return False
    return covered >= DENSE_SHARE * length


def clean_boxes(boxes: np.ndarray, width: Optional[int],
                height: Optional[int]) -> Tuple[np.ndarray, np.ndarray]:
    """Clip boxes to the frame and find those that have an area.

    A box with negative width or height is not repaired: nobody knows what
    its author meant.

    Args:
        boxes (np.ndarray): (N, 4), (x1, y1, x2, y2) in pixels.
        width (int, optional): Width of the frame; None does not clip.
        height (int, optional): Height of the frame; None does not clip.

    Returns:
        tuple[np.ndarray, np.ndarray]: Clipped boxes, (N, 4), and which of
        them have an area, (N, ), bool.
    """
    usable = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    if width is not None and height is not None:
        limit = np.array([width, height, width, height], dtype=np.float64)
        boxes = np.clip(boxes, 0, limit)
        usable &= (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    return boxes, usable


def pack_tube(record: dict) -> dict:
    """The record with its tube in few bytes, for holding many of them.

    VidSTG trains on 80,684 tubes of some 200 boxes, whose corners are whole
    numbers: as int16 and without the numbers of consecutive frames they take
    a fifth of the memory.  Nothing is rounded.

    Args:
        record (dict): With ``gt_tube``; not changed.

    Returns:
        dict: For :func:`unpack_tube`.
    """
    tube = record['gt_tube']
    if tube is None:
        return record
    boxes, ids = tube.boxes, tube.frame_ids
    if (np.abs(boxes) < 2**15).all() and (boxes == np.rint(boxes)).all():
        boxes = boxes.astype(np.int16)
    if len(ids) and ids[-1] - ids[0] == len(ids) - 1:
        ids = int(ids[0])
    return dict(record, gt_tube=(tube.span, ids, boxes))


def unpack_tube(record: dict) -> None:
    """Undo :func:`pack_tube` in place."""
    packed = record['gt_tube']
    if not isinstance(packed, tuple):
        return
    span, ids, boxes = packed
    if isinstance(ids, int):
        ids = np.arange(ids, ids + len(boxes), dtype=np.int64)
    known = ('qtype', 'num_frames', 'fps', 'factors', 'segment')
    record['gt_tube'] = Tube(
        span=span,
        frame_ids=ids,
        boxes=boxes,
        **{key: record[key] for key in known})
