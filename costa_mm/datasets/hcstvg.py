# Copyright (c) costa_mm authors. All rights reserved.
"""HC-STVG, version 1 and 2."""
import os
from typing import Any, Iterator, List, Optional, Tuple

import numpy as np

from costa_mm.registry import DATASETS
from .annotation_files import read_json
from .base_dataset import BaseSTVGDataset
from .fields import (as_boxes, as_int, as_object, as_positive, as_query_type,
                     as_text, is_number, maybe, short, xywh_to_xyxy)
from .problems import SchemaError
from .readers import VideoInfo
from .records import SentenceAnnotation

EXPECTED = ('{video: {"bbox": [[x, y, w, h], ...], "st_frame": one-based '
            'first frame, "img_num": frames, "caption" (v1) or "English" '
            '(v2): sentence}}')


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
    EXPECTED = EXPECTED

    def __init__(self,
                 ann_file: str,
                 *,
                 clip_seconds: Optional[float] = None,
                 factors_file: Optional[str] = None,
                 **kwargs) -> None:
        self.clip_seconds = clip_seconds
        self.states_fps = clip_seconds is None
        root = kwargs.get('data_root') or ''
        self.factors_file = factors_file and os.path.join(root, factors_file)
        super().__init__(ann_file, **kwargs)

    @classmethod
    def matches(cls, data: Any) -> bool:
        """Whether the content of a file is of HC-STVG's form."""
        return isinstance(data, dict) and 'videos' not in data

    def iter_entries(self, data: dict) -> Iterator[Tuple[str, Any]]:
        """See :meth:`BaseSTVGDataset.iter_entries`."""
        self._factors = self._read_factors()
        return super().iter_entries(data)

    def parse_data_info(self, key: str,
                        entry: Any) -> List[SentenceAnnotation]:
        """The sentence of one entry, whose key is the video's file name."""
        as_object(entry, 'the entry')
        name = as_text(key, 'a file name')
        num_frames = maybe(as_int, entry.get('img_num'), 1)
        width, height = _read_size(entry)
        span, frame_ids, boxes = _read_boxes(entry)
        return [
            SentenceAnnotation(
                sample_id=name,
                video=name,
                video_id=name,
                sentence=_read_sentence(entry),
                qtype=as_query_type(entry.get('qtype')),
                num_frames=num_frames,
                fps=_read_fps(entry, num_frames, self.clip_seconds),
                width=width,
                height=height,
                span=span,
                frame_ids=frame_ids,
                boxes=boxes,
                factors=self._factors_of(name))
        ]

    def use_video_facts(self, annotation: SentenceAnnotation,
                        info: VideoInfo) -> SentenceAnnotation:
        """The video's own facts; the rate of clips of ``clip_seconds``."""
        seconds = self.clip_seconds
        if seconds and abs(info.num_frames / info.fps - seconds) <= 1:
            info = info._replace(fps=info.num_frames / seconds)
        return super().use_video_facts(annotation, info)

    def add_video_facts(self, annotation: SentenceAnnotation,
                        info: VideoInfo) -> SentenceAnnotation:
        """A rate that no entry says is that of the published rule, too."""
        if self.clip_seconds:
            frames = annotation.num_frames or info.num_frames
            info = info._replace(fps=frames / self.clip_seconds)
        return super().add_video_facts(annotation, info)

    def _read_factors(self) -> dict:
        if self.factors_file is None:
            return {}
        factors = read_json(self.factors_file)
        if not isinstance(factors, dict):
            raise SchemaError(f'{self.factors_file}: expected {{video: '
                              '{factor: value}}')
        return factors

    def _factors_of(self, name: str) -> Optional[dict]:
        """Factors of a video, whose key may lack the suffix."""
        stem = os.path.splitext(name)[0]
        found = self._factors.get(name, self._factors.get(stem))
        return found if isinstance(found, dict) else None


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
            raise ValueError('"img_size" is [height, width], not '
                             f'{short(size)}')
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
