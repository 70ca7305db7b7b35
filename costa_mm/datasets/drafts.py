# Copyright (c) costa_mm authors. All rights reserved.
"""From what an annotation says to a record that can be used."""
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Dict, List, NamedTuple, Optional, Tuple, Union

import numpy as np

from costa_mm.structures import Tube
from .readers import BaseVideoReader, VideoInfo, VideoReadError
from .records import LeftOut, clean_boxes

# a released video below this size is a placeholder, not a clip
SMALL_FILE = 8192


class Draft(NamedTuple):
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
        factors (dict, optional): What is known of the sample's difficulty.
        video_path (str): Where the video lies.
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
    factors: Optional[dict] = None
    video_path: str = ''


def probe_missing(drafts: List[Draft],
                  reader: BaseVideoReader,
                  left_out: LeftOut,
                  num_threads: int = 4) -> List[Draft]:
    """Ask the videos what the annotations do not say.

    Very small files are opened as well: among the released videos of
    HC-STVG, 84 are broken files of under 6 kB.

    Args:
        drafts (list[Draft]): With ``video_path``.
        reader (BaseVideoReader): Opens the videos.
        left_out (LeftOut): Takes the samples whose video does not open.
        num_threads (int): Videos opened at a time.

    Returns:
        list[Draft]: The readable ones, with size, length and rate.
    """
    paths = {}
    for draft in drafts:
        known = None not in (draft.num_frames, draft.fps, draft.width,
                             draft.height)
        if not known or os.path.getsize(draft.video_path) < SMALL_FILE:
            paths[draft.video_path] = None
    infos = _probe_all(list(paths), reader, num_threads)
    out = []
    for draft in drafts:
        info = infos.get(draft.video_path)
        if isinstance(info, Exception):
            left_out.add('unreadable video', draft.sample_id)
        else:
            out.append(draft if info is None else _fill_in(draft, info))
    return out


def _probe_all(
        paths: List[str], reader: BaseVideoReader,
        num_threads: int) -> Dict[str, Union[VideoInfo, VideoReadError]]:

    def probe(path: str) -> Union[VideoInfo, VideoReadError]:
        try:
            return reader.probe(path)
        except VideoReadError as e:
            return e

    if not paths:
        return {}
    with ThreadPoolExecutor(num_threads) as pool:
        return dict(zip(paths, pool.map(probe, paths)))


def _fill_in(draft: Draft, info: VideoInfo) -> Draft:
    known = draft._asdict()
    return draft._replace(**{
        key: value
        for key, value in info._asdict().items() if known[key] is None
    })


def finish_record(draft: Draft, left_out: LeftOut,
                  test_mode: bool) -> Optional[dict]:
    """Clean a draft; None if it cannot be used.

    Boxes are clipped to the frame, boxes without area dropped, a span or a
    segment that runs over the end of the video is cut there.  All of it is
    noted in ``left_out``.

    Args:
        draft (Draft): With path, size, length and rate.
        left_out (LeftOut): Takes the notes.
        test_mode (bool): Keep samples without ground truth.

    Returns:
        dict or None: The record.
    """
    span = _cut(draft.span, draft.num_frames)
    segment = _cut(draft.segment or (0, draft.num_frames), draft.num_frames)
    reason = _unusable(draft, span, segment, test_mode)
    if reason is None and span is not None:
        tube = _clean_tube(draft, span, segment, left_out)
        # no box annotated at all is fine at test time: it can be predicted
        if not len(tube.boxes) and (len(draft.boxes) or not test_mode):
            reason = 'no usable box'
    if reason is not None:
        left_out.add(reason, draft.sample_id)
        return None
    return dict(
        sample_id=draft.sample_id,
        video_path=draft.video_path,
        video_id=draft.video_id,
        sentence=draft.sentence,
        qtype=draft.qtype,
        num_frames=draft.num_frames,
        fps=draft.fps,
        width=draft.width,
        height=draft.height,
        segment=segment,
        gt_tube=None if span is None else tube,
        factors=draft.factors)


def _cut(span: Optional[Tuple[int, int]],
         num_frames: int) -> Optional[Tuple[int, int]]:
    if span is None:
        return None
    return span[0], min(span[1], num_frames)


def _unusable(draft: Draft, span: Optional[tuple], segment: tuple,
              test_mode: bool) -> Optional[str]:
    if segment[0] >= segment[1]:
        return 'segment behind the end of the video'
    if span is None:
        return None if test_mode else 'no true span'
    if span[0] >= span[1]:
        return 'event behind the end of the video'
    if not test_mode and (span[0] >= segment[1] or span[1] <= segment[0]):
        return 'event outside the segment'
    return None


def _clean_tube(draft: Draft, span: Tuple[int, int],
                segment: Tuple[int, int], left_out: LeftOut) -> Tube:
    if draft.span[1] > span[1]:
        left_out.add('event cut at the end of the video (kept)',
                     draft.sample_id)
    boxes, usable = clean_boxes(draft.boxes, draft.width, draft.height)
    if len(usable) and not usable.all():
        left_out.add('some boxes without area dropped (sample kept)',
                     draft.sample_id)
    inside = (draft.frame_ids >= span[0]) & (draft.frame_ids < span[1])
    keep = usable & inside
    return Tube(
        span=span,
        frame_ids=draft.frame_ids[keep],
        boxes=boxes[keep],
        qtype=draft.qtype,
        num_frames=draft.num_frames,
        fps=draft.fps,
        factors=draft.factors,
        segment=segment)


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
    record['gt_tube'] = Tube(
        span=span,
        frame_ids=ids,
        boxes=boxes,
        qtype=record['qtype'],
        num_frames=record['num_frames'],
        fps=record['fps'],
        factors=record['factors'],
        segment=record['segment'])
