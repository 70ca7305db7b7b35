# Copyright (c) costa_mm authors. All rights reserved.
"""The annotation format for own data, which the converters write as well."""
from typing import Any, Iterator, List, Optional, Tuple

import numpy as np

from costa_mm.structures.tube import QUERY_TYPES
from .drafts import Draft
from .records import (LeftOut, as_boxes, as_int, as_positive, as_text,
                      schema_error)

VIDEO_KEYS = ('path', 'id', 'num_frames', 'fps', 'width', 'height', 'tracks',
              'sentences')
SENTENCE_KEYS = ('text', 'id', 'qtype', 'span', 'boxes', 'track', 'segment',
                 'factors')
FRAMES_AND_BOXES = Tuple[np.ndarray, np.ndarray]


def is_own_format(data: Any) -> bool:
    """Whether the content of an annotation file is of this format."""
    return isinstance(data, dict) and isinstance(data.get('videos'), list)


def iter_own_format(data: dict,
                    file: str,
                    left_out: Optional[LeftOut] = None) -> Iterator[Draft]:
    """Read all sentences (see :class:`STVGDataset` for the format).

    Args:
        data (dict): Content of the annotation file.
        file (str): Its name, for messages.
        left_out (LeftOut, optional): Takes videos without sentences.

    Yields:
        Draft: One per sentence.

    Raises:
        SchemaError: Naming the file, the entry and what is expected.
    """
    for index, video in enumerate(data['videos']):
        entry = f'videos[{index}]'
        if not isinstance(video, dict):
            schema_error(file, entry, 'expected an object with the keys '
                         f'{VIDEO_KEYS}')
        try:
            yield from _iter_video(video, left_out)
        except (ValueError, KeyError, TypeError) as e:
            name = video.get('path')
            where = f'{entry} ({name})' if isinstance(name, str) else entry
            what = f'the key {e} is missing' if isinstance(
                e, KeyError) else str(e)
            schema_error(file, where, what)


def _iter_video(video: dict,
                left_out: Optional[LeftOut]) -> Iterator[Draft]:
    _only(video, VIDEO_KEYS)
    path = as_text(video['path'])
    video_id = as_text(video.get('id', path))
    head = dict(
        video=path,
        video_id=video_id,
        num_frames=_maybe(as_int, video.get('num_frames'), 1),
        fps=_maybe(as_positive, video.get('fps')),
        width=_maybe(as_int, video.get('width'), 1),
        height=_maybe(as_int, video.get('height'), 1))
    sentences = video['sentences']
    if not isinstance(sentences, list):
        raise ValueError('"sentences" must be a list of objects')
    if not sentences and left_out is not None:
        left_out.add('video without sentence', video_id)
    tracks = video.get('tracks') or {}
    if not isinstance(tracks, dict):
        raise ValueError('"tracks" must be an object {id: track}')
    tracks = {key: _read_track(key, value) for key, value in tracks.items()}
    for k, sentence in enumerate(sentences):
        try:
            yield _read_sentence(sentence, head, tracks, f'{video_id}_{k}')
        except KeyError as e:
            raise ValueError(f'sentences[{k}]: the key {e} is missing') from e
        except (ValueError, TypeError) as e:
            raise ValueError(f'sentences[{k}]: {e}') from e


def _read_sentence(sentence: Any, head: dict, tracks: dict,
                   default_id: str) -> Draft:
    if not isinstance(sentence, dict):
        raise ValueError(f'expected an object with the keys {SENTENCE_KEYS}')
    _only(sentence, SENTENCE_KEYS)
    qtype = sentence.get('qtype')
    if qtype is not None and qtype not in QUERY_TYPES:
        raise ValueError(f'"qtype" is one of {QUERY_TYPES} or null, not '
                         f'{qtype!r}')
    factors = sentence.get('factors')
    if factors is not None and not isinstance(factors, dict):
        raise ValueError('"factors" must be an object')
    span = _maybe(as_span, sentence.get('span'))
    if span is None and (sentence.get('boxes') or 'track' in sentence):
        raise ValueError('boxes without a "span": [start, end)')
    frame_ids, boxes = _sentence_boxes(sentence, span, tracks)
    return Draft(
        sample_id=as_text(sentence.get('id', default_id)),
        sentence=as_text(sentence['text']),
        qtype=qtype,
        segment=_maybe(as_span, sentence.get('segment')),
        span=span,
        frame_ids=frame_ids,
        boxes=boxes,
        factors=factors,
        **head)


def _sentence_boxes(sentence: dict, span: Optional[tuple],
                    tracks: dict) -> FRAMES_AND_BOXES:
    """Boxes of a sentence, from itself or from a track of its video."""
    if sentence.get('track') is not None:
        if sentence.get('boxes'):
            raise ValueError('give "boxes" or "track", not both')
        track = str(sentence['track'])
        if track not in tracks:
            raise ValueError(f'there is no track {track!r} in "tracks"')
        frame_ids, boxes = tracks[track]
        inside = (frame_ids >= span[0]) & (frame_ids < span[1])
        return frame_ids[inside], boxes[inside]
    boxes = sentence.get('boxes')
    if boxes is None:
        return np.zeros(0, dtype=np.int64), np.zeros((0, 4))
    if isinstance(boxes, list):
        return _consecutive(boxes, 0 if span is None else span[0])
    if not isinstance(boxes, dict):
        raise ValueError('"boxes" must be an object {frame: [x1, y1, x2, y2]}'
                         ' or a list')
    return _by_frame(boxes)


def _read_track(key: str, track: Any) -> FRAMES_AND_BOXES:
    if (not isinstance(track, dict) or set(track) != {'start', 'boxes'}
            or not isinstance(track['boxes'], list)):
        raise ValueError(f'track {key!r} must be an object with the keys '
                         '"start" (a frame) and "boxes" (a list)')
    return _consecutive(track['boxes'], as_int(track['start']))


def _consecutive(boxes: list, start: int) -> FRAMES_AND_BOXES:
    """Boxes of consecutive frames, None where there is none."""
    frame_ids = [start + i for i, box in enumerate(boxes) if box is not None]
    values = as_boxes(box for box in boxes if box is not None)
    return np.array(frame_ids, dtype=np.int64), values


def _by_frame(boxes: dict) -> FRAMES_AND_BOXES:
    frames: List[int] = []
    for key in boxes:
        if not (isinstance(key, str) and key.isdecimal() and len(key) < 10):
            raise ValueError(f'the frame {key!r} of a box is no number')
        frames.append(int(key))
    if len(set(frames)) != len(frames):
        raise ValueError('a frame is named twice in "boxes"')
    order = np.argsort(frames, kind='stable')
    values = as_boxes(boxes.values())
    return np.array(frames, dtype=np.int64)[order], values[order]


def as_span(value: Any) -> Tuple[int, int]:
    """A pair (start, end), end exclusive.

    Raises:
        ValueError: If it is not two whole numbers with start < end.
    """
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        raise ValueError(f'{value!r} is not [start, end]')
    start, end = as_int(value[0]), as_int(value[1])
    if start >= end:
        raise ValueError(f'[{start}, {end}] is empty: the end is exclusive')
    return start, end


def _maybe(convert, value: Any, *args):
    return None if value is None else convert(value, *args)


def _only(entry: dict, known: tuple) -> None:
    unknown = [key for key in entry if key not in known]
    if unknown:
        raise ValueError(f'unknown keys {unknown}; known are {known}')
