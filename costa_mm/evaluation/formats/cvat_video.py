# Copyright (c) costa_mm authors. All rights reserved.
"""CVAT for video 1.1, to be corrected by people."""
import os
import re
from typing import Dict, List
from xml.etree import ElementTree as XML

import numpy as np

from costa_mm.registry import RESULT_FORMATS
from costa_mm.utils import write_bytes
from ..report import SampleRecord
from .base import EventFile, event_boxes, stem_of

LABEL = 'object'
#: Attribute of a track that holds what is said of it.
SENTENCE = 'sentence'
CORNERS = ('xtl', 'ytl', 'xbr', 'ybr')
TOLERANCE = 0.5  # pixels that boxes between key frames may be off
NO_XML = re.compile('[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]')


@RESULT_FORMATS.register_module('cvat_video')
class CVATVideoFolder(EventFile):
    """A folder with one CVAT for video 1.1 file per video, ``NAME.xml``.

    A track is a tube; the sentence is its attribute ``sentence`` (text).
    Frames count from 0, and CVAT interpolates between key frames: those are
    key frames from which the boxes follow to half a pixel.
    """

    suffix = ''

    def write_videos(self, videos: Dict[str, List[SampleRecord]],
                     path: str) -> None:
        """Write the folder; see :class:`EventFile`."""
        for name, group in videos.items():
            root = XML.Element('annotations')
            _add(root, 'version', '1.1')
            _add_meta(root, name, group[0])
            for number, record in enumerate(group):
                _add_track(root, number, record)
            XML.indent(root)
            write_bytes(
                XML.tostring(root, 'utf-8', xml_declaration=True),
                os.path.join(path, f'{stem_of(name)}.xml'))


def _add(parent: XML.Element, tag: str, text: object = None,
         **attributes: object) -> XML.Element:
    child = XML.SubElement(parent, tag,
                           {k: str(v) for k, v in attributes.items()})
    if text is not None:
        child.text = NO_XML.sub(' ', str(text))
    return child


def _add_meta(root: XML.Element, name: str, record: SampleRecord) -> None:
    meta = _add(root, 'meta')
    task = _add(meta, 'task')
    for tag, text in (('name', name), ('size', record.pred.num_frames),
                      ('mode', 'interpolation'), ('overlap', 0)):
        _add(task, tag, text)
    label = _add(_add(task, 'labels'), 'label')
    _add(label, 'name', LABEL)
    attribute = _add(_add(label, 'attributes'), 'attribute')
    for tag, text in (('name', SENTENCE), ('mutable', False),
                      ('input_type', 'text'), ('default_value', ''),
                      ('values', '')):
        _add(attribute, tag, text)
    size = _add(task, 'original_size')
    for tag, pixels in zip(('width', 'height'), record.size):
        _add(size, tag, pixels)
    _add(meta, 'source', name)


def _add_track(root: XML.Element, number: int, record: SampleRecord) -> None:
    frames, boxes = event_boxes(record.pred)
    track = _add(root, 'track', id=number, label=LABEL, source='auto')
    keys = key_frames(frames, boxes)
    for place, (frame, box) in enumerate(zip(frames, boxes)):
        _add_box(track, frame, box, record.sentence, key=place in keys)
    if len(frames) and frames[-1] + 1 < record.pred.num_frames:
        _add_box(track, frames[-1] + 1, boxes[-1], record.sentence,
                 outside=1)


def _add_box(track: XML.Element, frame: int, box: np.ndarray, sentence: str,
             key: bool = True, outside: int = 0) -> None:
    corners = {name: f'{c:.2f}' for name, c in zip(CORNERS, box)}
    element = _add(track, 'box', frame=frame, keyframe=int(key),
                   outside=outside, occluded=0, **corners, z_order=0)
    _add(element, 'attribute', sentence, name=SENTENCE)


def key_frames(frames: np.ndarray, boxes: np.ndarray) -> List[int]:
    """The places of boxes between which all others are straight lines.

    Douglas and Peucker's way: the box that is farthest off becomes a key.

    Args:
        frames (np.ndarray): Increasing, (N, ).
        boxes (np.ndarray): (N, 4), pixels.

    Returns:
        list[int]: Increasing places, first and last among them.
    """
    keys, todo = {0, len(frames) - 1}, [(0, len(frames) - 1)]
    while todo:
        a, b = todo.pop()
        if b - a < 2:
            continue
        share = ((frames[a:b + 1] - frames[a]) / (frames[b] - frames[a]))
        line = boxes[a] + share[:, None] * (boxes[b] - boxes[a])
        off = np.abs(boxes[a:b + 1] - line).max(1)
        worst = a + int(off.argmax())
        if off.max() > TOLERANCE:
            keys.add(worst)
            todo += [(a, worst), (worst, b)]
    return sorted(keys)
