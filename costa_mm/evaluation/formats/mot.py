# Copyright (c) costa_mm authors. All rights reserved.
"""The form of the MOTChallenge."""
import os
from typing import Any, Dict, List

from costa_mm.registry import RESULT_FORMATS
from costa_mm.utils import write_json, write_text
from ..report import SampleRecord
from .base import EventFile, event_boxes, stem_of, to_xywh

#: Beside the sequences: which track a sentence means.
SENTENCE_FILE = 'sentences.json'


@RESULT_FORMATS.register_module('mot')
class MOTFolder(EventFile):
    """A folder of MOTChallenge sequences.

    ``NAME/gt/gt.txt`` has a line ``frame, track, x, y, w, h, conf, class,
    visibility`` per box (frames and tracks count from 1), ``NAME/seqinfo.ini``
    size, length and rate, ``NAME/gt/labels.txt`` the one class.  Sentences,
    for which the form has no place, stand in ``sentences.json``: ``{NAME:
    {"track": {"sentence", "span"}}}``.
    """

    suffix = ''
    needs_box = True

    def write_videos(self, videos: Dict[str, List[SampleRecord]],
                     path: str) -> None:
        """Write the folder; see :class:`EventFile`."""
        sentences: Dict[str, Any] = {}
        for name, group in videos.items():
            stem = stem_of(name)
            folder = os.path.join(path, stem)
            write_text(_boxes(group), os.path.join(folder, 'gt', 'gt.txt'))
            write_text('object\n', os.path.join(folder, 'gt', 'labels.txt'))
            write_text(_seqinfo(stem, group[0]),
                       os.path.join(folder, 'seqinfo.ini'))
            sentences[stem] = {
                str(track): dict(sentence=record.sentence,
                                 span=list(record.pred.span))
                for track, record in enumerate(group, 1)
            }
        write_json(sentences, os.path.join(path, SENTENCE_FILE), indent=1)


def _boxes(group: List[SampleRecord]) -> str:
    lines = []
    for track, record in enumerate(group, 1):
        frames, boxes = event_boxes(record.pred)
        for frame, box in zip(frames.tolist(), to_xywh(boxes)):
            numbers = ','.join(map(str, box))
            lines.append((frame, f'{frame + 1},{track},{numbers},1,1,1\n'))
    return ''.join(line for _, line in sorted(lines, key=lambda x: x[0]))


def _seqinfo(name: str, record: SampleRecord) -> str:
    width, height = record.size
    fps = record.pred.fps
    facts = dict(name=name, imDir='img1', frameRate=fps and f'{fps:g}',
                 seqLength=record.pred.num_frames, imWidth=width,
                 imHeight=height, imExt='.jpg')
    return '[Sequence]\n' + ''.join(f'{key}={value}\n'
                                    for key, value in facts.items()
                                    if value is not None)
