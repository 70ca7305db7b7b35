# Copyright (c) costa_mm authors. All rights reserved.
"""Predictions in the forms of the datasets' annotation files."""
import os
from typing import Any, Dict, List

import numpy as np

from costa_mm.registry import RESULT_FORMATS
from costa_mm.utils import write_json
from ..report import SampleRecord
from .base import EventFile, event_boxes, stem_of, to_xywh
from .challenge import check_single

Videos = Dict[str, List[SampleRecord]]


@RESULT_FORMATS.register_module('stvg')
class STVGFile(EventFile):
    """An annotation file for :class:`costa_mm.datasets.STVGDataset`."""

    def write_videos(self, videos: Videos, path: str) -> None:
        """Write the file; see :class:`EventFile`."""
        write_json(
            dict(videos=[
                dict(
                    _facts(group[0]),
                    path=name,
                    sentences=[_sentence(r) for r in group])
                for name, group in videos.items()
            ]), path)


def _facts(record: SampleRecord) -> Dict[str, Any]:
    """What is known of a sample's video."""
    width, height = record.size
    facts = dict(num_frames=record.pred.num_frames, fps=record.pred.fps,
                 width=width, height=height)
    return {key: value for key, value in facts.items() if value is not None}


def _sentence(record: SampleRecord) -> Dict[str, Any]:
    tube = record.pred
    frames, boxes = event_boxes(tube)
    out = dict(
        id=record.sample_id,
        text=record.sentence,
        span=list(tube.span),
        boxes={str(i): b for i, b in zip(frames.tolist(), boxes.tolist())})
    more = dict(qtype=record.qtype, factors=tube.factors or record.factors)
    if tube.segment not in (None, (0, tube.num_frames)):
        more['segment'] = list(tube.segment)
    out.update((k, v) for k, v in more.items() if v is not None)
    return out


@RESULT_FORMATS.register_module('hcstvg')
class HCSTVGFile(EventFile):
    """An annotation file of HC-STVG: one sentence per video."""

    def __init__(self) -> None:
        self._samples: Dict[str, str] = {}  # by video

    def check(self, record: SampleRecord) -> None:
        """Refuse a second sentence of a video, and frames without a box."""
        super().check(record)
        check_single(record, self._samples, 'annotation file')
        start, end = record.pred.span
        if len(event_boxes(record.pred)[0]) != end - start:
            raise ValueError(f'sample {record.sample_id!r}: HC-STVG has a '
                             'box in every frame of the event, this has not')

    def write_videos(self, videos: Videos, path: str) -> None:
        """Write the file; see :class:`EventFile`."""
        write_json({name: self._entry(group[0])
                    for name, group in videos.items()}, path)

    @staticmethod
    def _entry(record: SampleRecord) -> Dict[str, Any]:
        """Frames count from 1."""
        facts = _facts(record)
        start, end = record.pred.span
        entry = dict(
            bbox=to_xywh(event_boxes(record.pred)[1]),
            st_frame=start + 1,
            img_num=facts.pop('num_frames'),
            caption=record.sentence,
            **facts)
        if record.qtype is not None:
            entry['qtype'] = record.qtype
        if record.pred.fps:
            entry.update(st_time=start / record.pred.fps,
                         ed_time=end / record.pred.fps)
        return entry


@RESULT_FORMATS.register_module('vidstg')
class VidSTGFolder(EventFile):
    """Files of VidSTG and VidOR: ``annotations.json`` and ``vidor/*.json``."""

    suffix = ''
    needs = (*EventFile.needs, 'fps')

    def write_videos(self, videos: Videos, path: str) -> None:
        """Write the folder; see :class:`EventFile`."""
        entries = []
        for name, group in videos.items():
            vid = stem_of(name)
            entries += [_vidstg_entry(vid, r, k) for k, r in enumerate(group)]
            write_json(dict(_vidor_facts(vid, group[0]),
                            trajectories=_trajectories(group)),
                       os.path.join(path, 'vidor', f'{vid}.json'))
        write_json(entries, os.path.join(path, 'annotations.json'))


def _vidor_facts(vid: str, record: SampleRecord) -> Dict[str, Any]:
    facts = _facts(record)
    return dict(video_id=vid, frame_count=facts.pop('num_frames'), **facts)


def _vidstg_entry(vid: str, record: SampleRecord,
                  target: int) -> Dict[str, Any]:
    """``used_segment`` includes its end and ``temporal_gt`` does not."""
    facts = _vidor_facts(vid, record)
    start, end = record.pred.segment or (0, record.pred.num_frames)
    event = record.pred.span
    said = [dict(description=record.sentence, target_id=target)]
    asks = record.qtype == 'interrogative'
    return dict(
        facts,
        vid=facts.pop('video_id'),
        used_segment=dict(begin_fid=start, end_fid=end - 1),
        temporal_gt=dict(begin_fid=event[0], end_fid=event[1]),
        captions=[] if asks else said,
        questions=said if asks else [])


def _trajectories(group: List[SampleRecord]) -> List[List[dict]]:
    """The boxes of every frame, (num_frames, ) lists."""
    frames: List[List[dict]] = [[] for _ in range(group[0].pred.num_frames)]
    for target, record in enumerate(group):
        for frame, box in zip(*event_boxes(record.pred)):
            corners = dict(zip(('xmin', 'ymin', 'xmax', 'ymax'),
                               np.asarray(box).tolist()))
            frames[frame].append(dict(tid=target, bbox=corners))
    return frames
