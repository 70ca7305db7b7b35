# Copyright (c) costa_mm authors. All rights reserved.
"""What a result format is, and the toolbox's own."""
import os
from typing import Dict, List, Sequence, Tuple

import numpy as np

from costa_mm.registry import RESULT_FORMATS
from costa_mm.structures import Tube, dump_tubes
from ..report import SampleRecord

DECIMALS = 2  # of a pixel


@RESULT_FORMATS.register_module('tubes')
class TubeFile:
    """A tube file: any sample, in the toolbox's own form.

    A format is a class with these two methods, registered in
    ``RESULT_FORMATS``; an object of it serves one evaluation.
    """

    #: of the file; a format of several files has none and writes a folder
    suffix = '.json'

    def check(self, record: SampleRecord) -> None:
        """Refuse, as it comes, a prediction that the file cannot hold.

        Args:
            record (SampleRecord): A prediction.

        Raises:
            ValueError: If there is no place for it in the file.
        """

    def write(self, records: Sequence[SampleRecord], path: str) -> None:
        """Write the file.

        Args:
            records (Sequence[SampleRecord]): Every sample once.
            path (str): The file, or the folder of a format without a suffix.

        Raises:
            ValueError: If the file cannot hold one of them.
        """
        dump_tubes({r.sample_id: r.pred for r in records}, path)


class EventFile(TubeFile):
    """A form of annotations: sentences, spans, and the boxes inside them.

    A subclass says what it needs to know of a sample and writes the videos.
    """

    #: of ``span``, ``sentence``, ``size``, ``num_frames`` and ``fps``
    needs: Tuple[str, ...] = ('span', 'sentence', 'size', 'num_frames')
    #: whether an event is a track, which is nothing without a box
    needs_box = False

    def check(self, record: SampleRecord) -> None:
        """Refuse a sample of which too little is known."""
        tube = record.pred
        known = dict(
            span=tube.span,
            sentence=record.sentence,
            size=record.size,
            num_frames=tube.num_frames,
            fps=tube.fps)
        lacking = [name for name in self.needs if known[name] is None]
        if lacking:
            raise ValueError(
                f'sample {record.sample_id!r}: {" and ".join(lacking)} not '
                f'known, which {type(self).__name__} needs; a tube file of '
                "the inferencer has sentence and size, tools/test.py's has "
                'not: give --format there, and fps with frames in memory')
        if self.needs_box and not len(event_boxes(tube)[0]):
            raise ValueError(
                f'sample {record.sample_id!r} has no box, and in '
                f'{type(self).__name__} a sentence is about the boxes of a '
                'track; filter_cfg=dict(truth_only=True) of a dataset leaves '
                'such sentences out')

    def write(self, records: Sequence[SampleRecord], path: str) -> None:
        """Write the file; see :class:`TubeFile`."""
        videos: Dict[str, List[SampleRecord]] = {}
        for record in records:
            self.check(record)  # those of other processes were not seen
            videos.setdefault(video_name(record), []).append(record)
        self.write_videos(videos, path)

    def write_videos(self, videos: Dict[str, List[SampleRecord]],
                     path: str) -> None:
        """Write what passed :meth:`check`.

        Args:
            videos (dict[str, list[SampleRecord]]): By name of the video.
            path (str): The file or folder.
        """
        raise NotImplementedError


def video_name(record: SampleRecord) -> str:
    """Name of a sample's video."""
    return record.video_id or record.sample_id


def event_boxes(tube: Tube) -> Tuple[np.ndarray, np.ndarray]:
    """Frames, (N, ), and boxes, (N, 4), inside the span; rounded."""
    start, end = tube.span
    inside = (tube.frame_ids >= start) & (tube.frame_ids < end)
    return tube.frame_ids[inside], tube.boxes[inside].round(DECIMALS)


def to_xywh(boxes: np.ndarray) -> List[List[float]]:
    """(x1, y1, x2, y2) to [x, y, w, h], rounded."""
    size = boxes[:, 2:] - boxes[:, :2]
    return np.concatenate([boxes[:, :2], size], 1).round(DECIMALS).tolist()


def stem_of(video: str) -> str:
    """Name of a video without its suffix, good as a path below a folder.

    Raises:
        ValueError: If it leads out of the folder.
    """
    stem = os.path.normpath(os.path.splitext(video)[0])
    if os.path.isabs(stem) or stem.split(os.sep)[0] in ('..', '.', ''):
        raise ValueError(f'the video {video!r} has no name that can stand '
                         'below a folder')
    return stem


def get_format(name: str) -> TubeFile:
    """A new file of the format of this name.

    Raises:
        ValueError: If there is none; the message lists the names.
    """
    kind = RESULT_FORMATS.get(name)
    if not callable(kind):  # a registry finds modules of Python, too
        raise ValueError(f'unknown format {name!r}; there are '
                         f'{list(RESULT_FORMATS.module_dict)}')
    return kind()
