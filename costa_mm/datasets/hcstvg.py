# Copyright (c) costa_mm authors. All rights reserved.
"""HC-STVG, version 1 and 2."""
import os
from typing import Any, Iterator, Optional

import numpy as np

from costa_mm.registry import DATASETS
from costa_mm.structures.tube import QUERY_TYPES
from .drafts import Draft
from .records import (as_boxes, as_int, as_object, as_positive, as_text,
                      is_number, read_json, schema_error, xywh_to_xyxy)
from .stvg_dataset import BaseSTVGDataset

EXPECTED = ('{video: {"bbox": [[x, y, w, h], ...], "st_frame": one-based '
            'first frame, "img_num": frames, "caption" (v1) or "English" '
            '(v2): sentence}}')


def read_hcstvg_entry(name: str,
                      entry: dict,
                      clip_seconds: Optional[float] = None) -> Draft:
    """One entry of an HC-STVG annotation file.

    Args:
        name (str): Its key, the file name of the video.
        entry (dict): What the file says.
        clip_seconds (float, optional): Length of every clip; the frame rate
            is ``img_num / clip_seconds`` where the entry has no ``fps``.

    Returns:
        Draft: Frames from 0; ``st_frame`` in the file counts from 1.

    Raises:
        ValueError: If the entry is not as documented.
        KeyError: If a key is missing.
    """
    num_frames = as_object(entry, 'the entry').get('img_num')
    num_frames = None if num_frames is None else as_int(num_frames, 1)
    width, height = _read_size(entry)
    span, frame_ids, boxes = _read_boxes(entry)
    qtype = entry.get('qtype')
    if qtype is not None and qtype not in QUERY_TYPES:
        raise ValueError(f'"qtype" is one of {QUERY_TYPES}, not {qtype!r}')
    return Draft(
        sample_id=name,
        video=name,
        video_id=name,
        sentence=_read_sentence(entry),
        qtype=qtype,
        num_frames=num_frames,
        fps=_read_fps(entry, num_frames, clip_seconds),
        width=width,
        height=height,
        span=span,
        frame_ids=frame_ids,
        boxes=boxes)


def _read_sentence(entry: dict) -> str:
    for key in ('caption', 'English'):
        if key in entry:
            return as_text(entry[key])
    raise ValueError('no sentence: neither "caption" nor "English"')


def _read_size(entry: dict) -> tuple:
    """Width and height; v2 has neither, or ``img_size`` as (h, w)."""
    if entry.get('img_size') is not None:
        size = entry['img_size']
        if not isinstance(size, list) or len(size) != 2:
            raise ValueError(f'"img_size" is [height, width], not {size!r}')
        return as_int(size[1], 1), as_int(size[0], 1)
    if entry.get('width') is None or entry.get('height') is None:
        return None, None
    return as_int(entry['width'], 1), as_int(entry['height'], 1)


def _read_boxes(entry: dict) -> tuple:
    """Span, frames and xyxy boxes; the released test split of v2 has none."""
    empty = (None, np.zeros(0, dtype=np.int64), np.zeros((0, 4)))
    if 'bbox' not in entry and 'st_frame' not in entry:
        return empty
    if not isinstance(entry['bbox'], list) or not entry['bbox']:
        raise ValueError('"bbox" is no list of boxes')
    boxes = xywh_to_xyxy(as_boxes(entry['bbox']))
    # st_time and ed_time are not used: ed_time can be ten frames off
    start = as_int(entry['st_frame'], 1) - 1
    span = (start, start + len(boxes))
    return span, np.arange(*span, dtype=np.int64), boxes


def _read_fps(entry: dict, num_frames: Optional[int],
              clip_seconds: Optional[float]) -> Optional[float]:
    """Frame rate, from the surest source at hand; None is probed."""
    if entry.get('fps') is not None:
        return as_positive(entry['fps'])
    if clip_seconds is not None:
        return None if num_frames is None else num_frames / clip_seconds
    start, time = entry.get('st_frame'), entry.get('st_time')
    if is_number(start) and is_number(time) and start > 1 and time > 0:
        return (start - 1) / time
    return None


@DATASETS.register_module()
class HCSTVGDataset(BaseSTVGDataset):
    """HC-STVG v1 and v2 as distributed, and files of the same schema.

    The file is ``{video: entry}``.  v1 entries have ``bbox`` (one
    ``[x, y, w, h]`` per frame from ``st_frame`` on), ``st_frame`` (counted
    from 1), ``st_time``, ``ed_time``, ``img_num``, ``width``, ``height`` and
    ``caption``.  v2 has ``English`` for ``caption`` and lacks the size, which
    is then read from the videos.  Read too: ``qtype`` and ``fps``, which the
    synthetic benchmark writes.

    Args:
        ann_file (str): Annotation file.
        clip_seconds (float, optional): Length of every clip in seconds: the
            frame rate is then frames / clip_seconds, the published rule,
            unless an entry has its ``fps``.
            True for HC-STVG's own 20 s clips and for nothing else.  By
            default the rate is that of ``st_frame`` and ``st_time``, or is
            read from the video.
        factors_file (str, optional): JSON ``{video: {factor: value}}``, for
            scores per factor; below ``data_root`` if relative.
        **kwargs: See :class:`BaseSTVGDataset`.
    """

    METAINFO = dict(dataset_type='hcstvg')

    def __init__(self,
                 ann_file: str,
                 *,
                 clip_seconds: Optional[float] = None,
                 factors_file: Optional[str] = None,
                 **kwargs) -> None:
        self.clip_seconds = clip_seconds
        root = kwargs.get('data_root') or ''
        self.factors_file = factors_file and os.path.join(root, factors_file)
        super().__init__(ann_file, **kwargs)

    def parse_annotations(self, data: Any) -> Iterator[Draft]:
        """See :meth:`BaseSTVGDataset.parse_annotations`."""
        if not isinstance(data, dict):
            schema_error(self.ann_file, None, f'expected {EXPECTED}, not a '
                         f'{type(data).__name__}')
        factors = self._read_factors()
        for name, entry in data.items():
            if not isinstance(entry, dict):
                schema_error(self.ann_file, name, f'expected {EXPECTED}')
            try:
                draft = read_hcstvg_entry(name, entry, self.clip_seconds)
            except KeyError as e:
                schema_error(self.ann_file, name,
                             f'the key {e} is missing; expected {EXPECTED}')
            except ValueError as e:
                schema_error(self.ann_file, name, f'{e}; expected {EXPECTED}')
            yield draft._replace(factors=_factors_of(name, factors))

    def _read_factors(self) -> dict:
        if self.factors_file is None:
            return {}
        factors = read_json(self.factors_file)
        if not isinstance(factors, dict):
            schema_error(self.factors_file, None,
                         'expected {video: {factor: value}}')
        return factors


def _factors_of(name: str, factors: dict) -> Optional[dict]:
    """Factors of a video, whose key may lack the suffix."""
    found = factors.get(name, factors.get(os.path.splitext(name)[0]))
    return found if isinstance(found, dict) else None
