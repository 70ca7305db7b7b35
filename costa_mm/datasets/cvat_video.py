# Copyright (c) costa_mm authors. All rights reserved.
"""What people label with CVAT."""
import json
import math
import os
from typing import Any, Dict, Iterable, Iterator, List, Tuple
from xml.etree import ElementTree as XML

from costa_mm.registry import DATASETS
from .annotation_files import RepeatedKeys
from .base_dataset import BaseSTVGDataset
from .fields import as_int, as_span, as_text, maybe, short
from .problems import SchemaError
from .records import SentenceAnnotation
from .tracks import Said, Track, annotate

EXPECTED = ('"CVAT for video 1.1" of a task: NAME.xml with <track> and <box>, '
            'or a folder of such files')
CORNERS = ('xtl', 'ytl', 'xbr', 'ybr')
EVENT_SPAN = 'event_span'


@DATASETS.register_module()
class CVATVideoDataset(BaseSTVGDataset):
    """Tracks drawn with CVAT ("CVAT for video 1.1"), with sentences.

    Give the label a text attribute ``sentence`` and write there what the
    object does; several sentences stand in several lines.  The event lasts
    as long as the track is visible: end it, or switch it to "outside", where
    the event is over.  Where it lasts longer than the boxes, the text
    attribute ``event_span`` of the track says so: "[start, end]", the end
    exclusive; it makes no event shorter.  A mutable attribute may change
    within a track: a sentence then lasts from the first to the last box of
    those in a row that have it.  A rotated box is read as the upright one
    around it.  Other shapes than boxes are not read.

    Args:
        ann_file (str): One XML file, or a folder of them (one per task, as
            CVAT exports them; not the export of a project).
        attribute (str): Name of the attribute that holds the sentences.
        data_prefix (dict): ``video``: folder of the videos, which are found
            by the file's ``source``, or its own name.
        **kwargs: See :class:`BaseSTVGDataset`.
    """

    METAINFO = dict(dataset_type='cvat_video')
    EXPECTED = EXPECTED

    def __init__(self, ann_file: str, *, attribute: str = 'sentence',
                 **kwargs) -> None:
        self.attribute = attribute
        super().__init__(ann_file, **kwargs)

    @staticmethod
    def read_file(path: str, repeats: List[RepeatedKeys]) -> Any:
        """The files' roots by path."""
        files = [path]
        if os.path.isdir(path):
            files = sorted(
                os.path.join(folder, name)
                for folder, _, names in os.walk(path) for name in names
                if name.lower().endswith('.xml'))
        if not files:
            raise SchemaError(f'the folder {path} holds no .xml file')
        return {file: _read_xml(file) for file in files}

    @classmethod
    def matches(cls, data: Any) -> bool:
        """Whether the content is that of :meth:`read_file`."""
        return isinstance(data, dict) and bool(data) and all(
            isinstance(root, XML.Element) for root in data.values())

    def iter_entries(self, data: dict) -> Iterator[Tuple[Any, Any]]:
        """Name of the video and root of every file."""
        for file, root in data.items():
            name = root.findtext('meta/source') or root.findtext(
                'meta/task/source')
            stem = os.path.splitext(os.path.basename(file))[0]
            yield name or stem, root

    def parse_data_info(self, key: str,
                        entry: Any) -> List[SentenceAnnotation]:
        """The sentences of one file, whose key is the video's name."""
        if entry.find('meta/project') is not None:
            raise ValueError('this is the export of a project: export its '
                             'tasks one by one')
        name = as_text(key, 'a file name')
        size = entry.find('meta/task/original_size')
        width, height = (None, None) if size is None else (
            size.findtext('width'), size.findtext('height'))
        head = dict(
            video=name,
            video_id=name,
            width=maybe(int, width),
            height=maybe(int, height))
        tracks: Dict[str, Track] = {}
        said: Dict[str, List[Said]] = {}
        for number, element in enumerate(entry.iter('track')):
            track = element.get('id', str(number))
            said[track] = self._sentences(element)
            boxes = _read_track(element)
            if boxes.boxes:
                tracks[track] = boxes
        return annotate(head, tracks, said, self.problems)

    def _sentences(self, track: XML.Element) -> List[Said]:
        """The lines of a track's attribute, each with the time it stands."""
        boxes = _visible_boxes(track)
        if not boxes:
            return [Said(line) for line in self._lines(track.iter(), [])]
        lines = self._lines(track, [])
        found: List[Said] = []
        lasting: Dict[str, int] = {}  # lines and their places in found
        for frame, box in boxes:
            lines = self._lines(box, lines)
            lasting = {k: v for k, v in lasting.items() if k in lines}
            for line in lines:
                if line not in lasting:
                    lasting[line] = len(found)
                    found.append(Said(line, (frame, frame + 1)))
                place = lasting[line]
                found[place] = Said(line, (found[place].span[0], frame + 1))
        return _prolong(found, boxes, track)

    def _lines(self, elements: Iterable[XML.Element],
               before: List[str]) -> List[str]:
        """Sentences of an element; those before where it says nothing."""
        texts = [e.text or '' for e in elements
                 if e.tag == 'attribute' and e.get('name') == self.attribute]
        if not texts:
            return before
        lines = '\n'.join(texts).splitlines()
        return list(dict.fromkeys(as_text(s) for s in lines if s.strip()))


def _read_xml(path: str) -> XML.Element:
    if not os.path.isfile(path):
        raise FileNotFoundError(f'no annotation file at {path}')
    try:
        root = XML.parse(path).getroot()
    except (XML.ParseError, UnicodeDecodeError, LookupError,
            ValueError) as e:
        raise SchemaError(f'{path} is not an XML file: {e}') from e
    if root.tag != 'annotations':
        raise SchemaError(f'{path}: expected {EXPECTED}, not <{root.tag}>')
    return root


def _visible_boxes(track: XML.Element) -> List[Tuple[int, XML.Element]]:
    """Frames, increasing, and boxes where a track is not outside."""
    boxes = [(as_int(int(box.attrib['frame'])), box)
             for box in track.iter('box') if box.get('outside') != '1']
    return sorted(boxes, key=lambda item: item[0])


def _prolong(found: List[Said], boxes: List[Tuple[int, XML.Element]],
             track: XML.Element) -> List[Said]:
    """Sentences of the first and the last box, as long as the track says."""
    texts = [e.text for e in track.iter('attribute')
             if e.get('name') == EVENT_SPAN and (e.text or '').strip()]
    if not texts:
        return found
    try:
        start, end = as_span(json.loads(texts[0]))
    except ValueError as e:
        raise ValueError(f'{EVENT_SPAN} {short(texts[0])} is not "[start, '
                         f'end]" ({e})') from e
    first, last = boxes[0][0], boxes[-1][0] + 1
    return [
        Said(text, (min(a, start) if a == first else a,
                    max(b, end) if b == last else b))
        for text, (a, b) in found
    ]


def _read_track(element: XML.Element) -> Track:
    """The boxes of a track where it is not outside."""
    track = Track()
    for frame, box in _visible_boxes(element):
        corners = [float(box.attrib[name]) for name in CORNERS]
        track.add(frame, upright(corners, float(box.get('rotation', 0))))
    return track


def upright(box: List[float], degrees: float) -> List[float]:
    """The smallest upright box around a rotated one.

    Args:
        box (list[float]): x1, y1, x2, y2 before the rotation.
        degrees (float): Clockwise about the centre, as CVAT counts.
    """
    x1, y1, x2, y2 = box
    if not degrees or x2 <= x1 or y2 <= y1:
        return box  # nobody knows what is meant by negative sizes
    angle, x, y = math.radians(degrees), (x1 + x2) / 2, (y1 + y2) / 2
    cos, sin = abs(math.cos(angle)), abs(math.sin(angle))
    # the corners are as far to the left and above as to the right and below
    half_w = ((x2 - x1) * cos + (y2 - y1) * sin) / 2
    half_h = ((x2 - x1) * sin + (y2 - y1) * cos) / 2
    hull = x - half_w, y - half_h, x + half_w, y + half_h
    return [round(c, 6) for c in hull]  # 90 degrees give whole numbers
