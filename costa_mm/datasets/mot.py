# Copyright (c) costa_mm authors. All rights reserved.
"""Tracks in the form of the MOTChallenge."""
import configparser
import os
from typing import Any, Dict, Iterator, List, Optional, Tuple

from costa_mm.registry import DATASETS
from .annotation_files import RepeatedKeys, read_json
from .base_dataset import BaseSTVGDataset
from .fields import as_int, as_object, maybe
from .problems import SchemaError
from .records import SentenceAnnotation
from .tracks import Track, annotate, read_said

SENTENCE_FILE = 'sentences.json'
EXPECTED = ('a folder with SEQUENCE/gt/gt.txt (lines "frame,track,x,y,w,h") '
            f'and {SENTENCE_FILE}: {{SEQUENCE: {{track: sentence}}}}')


@DATASETS.register_module()
class MOTDataset(BaseSTVGDataset):
    """MOTChallenge sequences, with sentences in a file beside them.

    ``SEQUENCE/gt/gt.txt`` has a line ``frame, track, x, y, w, h, ...`` per
    box, frames counting from 1; ``SEQUENCE/seqinfo.ini`` may say the size.
    ``sentences.json`` is ``{SEQUENCE: {track: sentence}}``; in place of a
    sentence may stand ``{"sentence", "span": [start, end]}`` (frames from 0,
    end exclusive; default is from the first box to the last) or a list of
    those.  The video is ``SEQUENCE.mp4``, or of another suffix.

    Args:
        ann_file (str): The folder.
        data_prefix (dict): ``video``: folder of the videos.
        **kwargs: See :class:`BaseSTVGDataset`.
    """

    METAINFO = dict(dataset_type='mot')
    EXPECTED = EXPECTED

    @staticmethod
    def read_file(path: str, repeats: List[RepeatedKeys]) -> Any:
        """Sequences by name: their lines, size and sentences."""
        if not os.path.isdir(path):
            raise SchemaError(f'{path} is not {EXPECTED}')
        said = read_json(os.path.join(path, SENTENCE_FILE), repeats)
        if not isinstance(said, dict):
            raise SchemaError(f'{path}/{SENTENCE_FILE}: expected {EXPECTED}')
        return {
            name: dict(said=texts, **_read_sequence(path, name))
            for name, texts in said.items()
        }

    @classmethod
    def matches(cls, data: Any) -> bool:
        """Whether the content is that of :meth:`read_file`."""
        return isinstance(data, dict) and bool(data) and all(
            isinstance(entry, dict) and 'lines' in entry
            for entry in data.values())

    def parse_data_info(self, key: str,
                        entry: Any) -> List[SentenceAnnotation]:
        """The sentences of one sequence, whose key is the video's name."""
        tracks: Dict[str, Track] = {}
        for name, frame, box in _boxes(entry['lines']):
            tracks.setdefault(name, Track()).add(frame, box)
        width, height = entry['size']
        head = dict(
            video=key,
            video_id=key,
            width=maybe(as_int, width, 1),
            height=maybe(as_int, height, 1))
        texts = as_object(entry['said'], 'what is said of the tracks')
        said = {name: read_said(value) for name, value in texts.items()}
        return annotate(head, tracks, said, self.problems)


def _read_sequence(root: str, name: str) -> dict:
    """Lines of boxes, and the size or None twice."""
    folder = os.path.join(root, name)
    path = os.path.join(folder, 'gt', 'gt.txt')
    try:
        with open(path, encoding='utf-8-sig') as f:
            lines = f.read().splitlines()
    except FileNotFoundError as e:
        raise SchemaError(f'{root}/{SENTENCE_FILE} names the sequence '
                          f'{name!r}, and there is no {path}') from e
    except UnicodeDecodeError as e:
        raise SchemaError(f'{path} is no text: {e}') from e
    return dict(lines=lines, size=_size(os.path.join(folder, 'seqinfo.ini')))


def _size(path: str) -> Tuple[Optional[float], Optional[float]]:
    """Width and height of ``seqinfo.ini``; None is read from the video."""
    parser = configparser.ConfigParser()
    try:
        parser.read(path, encoding='utf-8')
        return tuple(
            parser.getint('Sequence', key, fallback=None)
            for key in ('imWidth', 'imHeight'))
    except (configparser.Error, ValueError) as e:
        raise SchemaError(f'{path}: {e}') from e


def _boxes(lines: List[str]) -> Iterator[Tuple[str, int, List[float]]]:
    """Track, frame from 0 and corners of every line."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            frame, track, x, y, w, h = map(float, line.split(',')[:6])
            yield str(as_int(track)), as_int(frame, 1) - 1, [
                x, y, x + w, y + h
            ]
        except ValueError as e:
            raise ValueError(f'gt.txt, line {number}: {line[:60]!r} is not '
                             f'"frame,track,x,y,w,h,..." ({e})') from e
