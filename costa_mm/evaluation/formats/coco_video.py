# Copyright (c) costa_mm authors. All rights reserved.
"""CocoVID, the form of COCO for tracks in videos."""
from typing import Any, Dict, List

from costa_mm.registry import RESULT_FORMATS
from costa_mm.utils import write_json
from ..report import SampleRecord
from .base import EventFile, event_boxes, stem_of, to_xywh


@RESULT_FORMATS.register_module('coco_video')
class COCOVideoFile(EventFile):
    """One JSON file of the CocoVID form, which mmdet's trackers read.

    ``videos``, ``images`` (every frame; ``frame_id`` counts from 0),
    ``annotations`` (boxes ``[x, y, w, h]`` of the events with their
    ``instance_id``) and one category.  COCO has no place for a sentence:
    ``instances`` is added, ``[{"id", "video_id", "sentence", "span",
    "score"}]``.
    """

    needs_box = True

    def write_videos(self, videos: Dict[str, List[SampleRecord]],
                     path: str) -> None:
        """Write the file; see :class:`EventFile`."""
        out: Dict[str, List[Dict[str, Any]]] = dict(
            videos=[], images=[], annotations=[], instances=[],
            categories=[dict(id=1, name='object')])
        for name, group in videos.items():
            self._add_video(out, name, group[0])
            for record in group:
                self._add_instance(out, record)
        write_json(out, path)

    @staticmethod
    def _add_video(out: Dict[str, list], name: str,
                   record: SampleRecord) -> None:
        tube, (width, height) = record.pred, record.size
        video, first = len(out['videos']) + 1, len(out['images']) + 1
        out['videos'].append(
            dict(id=video, name=name, file_name=name, width=width,
                 height=height, fps=tube.fps, length=tube.num_frames))
        out['images'] += [
            dict(id=first + i, video_id=video, frame_id=i, width=width,
                 height=height, file_name=f'{stem_of(name)}/{i:06d}.jpg')
            for i in range(tube.num_frames)
        ]

    @staticmethod
    def _add_instance(out: Dict[str, list], record: SampleRecord) -> None:
        """The track of a sample in the video that was added last."""
        instance = len(out['instances']) + 1
        video = out['videos'][-1]
        first = len(out['images']) - video['length'] + 1
        out['instances'].append(
            dict(id=instance, video_id=video['id'], sentence=record.sentence,
                 span=list(record.pred.span), score=record.score))
        frames, boxes = event_boxes(record.pred)
        for frame, box in zip(frames.tolist(), to_xywh(boxes)):
            out['annotations'].append(
                dict(id=len(out['annotations']) + 1, image_id=first + frame,
                     video_id=video['id'], instance_id=instance,
                     category_id=1, bbox=box, area=box[2] * box[3],
                     iscrowd=0))
