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
#: Attribute of a track whose event begins before its first box or ends behind
#: its last one: "[start, end]", the end exclusive.
EVENT_SPAN = 'event_span'
CORNERS = ('xtl', 'ytl', 'xbr', 'ybr')
TOLERANCE = 0.5  # pixels that boxes between key frames may be off
#: Boxes of so many frames in a row are all there are: where they end, nothing
#: is to be drawn.  Fewer are key frames, between which CVAT draws lines.
DENSE = 3
NO_XML = re.compile('[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]')


@RESULT_FORMATS.register_module('cvat_video')
class CVATVideoFolder(EventFile):
    """A folder with one CVAT for video 1.1 file per video, ``NAME.xml``.

    A track is a tube; the sentence is its attribute ``sentence`` (text).
    Frames count from 0, and CVAT interpolates between key frames: those are
    key frames from which the boxes follow to half a pixel.  In gaps between
    boxes of frames in a row the track is "outside".  Where the event lasts
    longer than the boxes, the attribute ``event_span`` says how long.
    """

    suffix = ''
    needs_box = True

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
    attributes = _add(label, 'attributes')
    for said in (SENTENCE, EVENT_SPAN):
        attribute = _add(attributes, 'attribute')
        for tag, text in (('name', said), ('mutable', False),
                          ('input_type', 'text'), ('default_value', ''),
                          ('values', '')):
            _add(attribute, tag, text)
    size = _add(task, 'original_size')
    for tag, pixels in zip(('width', 'height'), record.size):
        _add(size, tag, pixels)
    _add(meta, 'source', name)


def _add_track(root: XML.Element, number: int, record: SampleRecord) -> None:
    frames, boxes = event_boxes(record.pred)
    said = {SENTENCE: record.sentence}
    if record.pred.span != (frames[0], frames[-1] + 1):
        said[EVENT_SPAN] = str(list(record.pred.span))
    track = _add(root, 'track', id=number, label=LABEL, source='auto')
    for run in visible_runs(frames):
        keys = set(key_frames(frames[run], boxes[run]))
        for place, (frame, box) in enumerate(zip(frames[run], boxes[run])):
            _add_box(track, frame, box, said, key=place in keys)
        if frame + 1 < record.pred.num_frames:
            _add_box(track, frame + 1, box, said, outside=1)


def _add_box(track: XML.Element, frame: int, box: np.ndarray,
             said: Dict[str, str], key: bool = True,
             outside: int = 0) -> None:
    corners = {name: f'{c:.2f}' for name, c in zip(CORNERS, box)}
    element = _add(track, 'box', frame=frame, keyframe=int(key),
                   outside=outside, occluded=0, **corners, z_order=0)
    for name, text in said.items():
        _add(element, 'attribute', text, name=name)


def visible_runs(frames: np.ndarray) -> List[np.ndarray]:
    """The places of boxes between which an object is never out of sight.

    Args:
        frames (np.ndarray): Increasing, (N, ), of at least one box.

    Returns:
        list[np.ndarray]: Places, increasing.
    """
    rows = np.split(np.arange(len(frames)),
                    np.flatnonzero(np.diff(frames) > 1) + 1)
    runs = [[rows[0]]]
    for before, row in zip(rows, rows[1:]):
        if max(len(before), len(row)) >= DENSE:
            runs.append([])
        runs[-1].append(row)
    return [np.concatenate(run) for run in runs]


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
