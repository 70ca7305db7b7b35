# Copyright (c) costa_mm authors. All rights reserved.
"""Reading the STVGDataset format, which the converters write as well."""
from typing import Any, Iterator, List, Optional, Tuple

import numpy as np

from .fields import (as_boxes, as_int, as_list, as_object, as_positive,
                     as_query_type, as_span, as_text, maybe)
from .problems import Problems
from .records import SentenceAnnotation

VIDEO_KEYS = ('path', 'id', 'num_frames', 'fps', 'width', 'height', 'tracks',
              'sentences')
SENTENCE_KEYS = ('text', 'id', 'qtype', 'span', 'boxes', 'track', 'segment',
                 'factors')
FramesAndBoxes = Tuple[np.ndarray, np.ndarray]


class STVGFormat:
    """Parses files of the format of :class:`STVGDataset`.

    Args:
        problems (Problems): Takes what is wrong, sentence by sentence.
    """

    EXPECTED = '{"videos": [...]} as in docs/en/datasets/own_data.md'

    def __init__(self, problems: Problems) -> None:
        self.problems = problems

    @staticmethod
    def matches(data: Any) -> bool:
        """Whether the content of an annotation file is of this format."""
        return isinstance(data, dict) and isinstance(
            data.get('videos'), list) and 'images' not in data  # COCO has

    def iter_entries(self, data: dict) -> Iterator[Tuple[str, Any]]:
        """Place and content of every video."""
        for index, video in enumerate(data['videos']):
            yield f'videos[{index}]', video

    def video_name(self, key: str, video: Any) -> Optional[str]:
        """File name of the video, None if the entry does not say it."""
        return video.get('path') if isinstance(video, dict) else None

    def parse_data_info(self, key: str,
                        video: Any) -> List[SentenceAnnotation]:
        """All sentences of one video."""
        as_object(video, 'the video', VIDEO_KEYS)
        path = as_text(video['path'], 'a file name')
        head = dict(
            video=path,
            video_id=as_text(video.get('id', path), 'an id'),
            num_frames=maybe(as_int, video.get('num_frames'), 1),
            fps=maybe(as_positive, video.get('fps')),
            width=maybe(as_int, video.get('width'), 1),
            height=maybe(as_int, video.get('height'), 1))
        sentences = as_list(video['sentences'], '"sentences"')
        if not sentences:
            self.problems.add('warning', 'video without sentence', fix='')
        tracks = as_object(video.get('tracks') or {}, '"tracks"')
        tracks = {name: _read_track(name, t) for name, t in tracks.items()}
        parsed = []
        for k, sentence in enumerate(sentences):
            place = f'sentences[{k}]'
            with self.problems.at(place):
                annotation = self._parse_sentence(sentence, head, tracks, k)
                parsed.append(annotation._replace(entry=place))
        return parsed

    @staticmethod
    def _parse_sentence(sentence: Any, head: dict, tracks: dict,
                        number: int) -> SentenceAnnotation:
        as_object(sentence, 'the sentence', SENTENCE_KEYS)
        span = maybe(as_span, sentence.get('span'))
        track = sentence.get('track')
        if span is None and (sentence.get('boxes') or track is not None):
            raise ValueError('boxes without a "span": [start, end)')
        if track is None:
            frame_ids, boxes = _read_boxes(sentence.get('boxes'), span)
        elif sentence.get('boxes'):
            raise ValueError('give "boxes" or "track", not both')
        elif str(track) not in tracks:
            raise ValueError(f'there is no track {str(track)!r} in "tracks"')
        else:
            frame_ids, boxes = tracks[str(track)]
            inside = (frame_ids >= span[0]) & (frame_ids < span[1])
            frame_ids, boxes = frame_ids[inside], boxes[inside]
        factors = sentence.get('factors')
        return SentenceAnnotation(
            sample_id=as_text(
                sentence.get('id', f"{head['video_id']}_{number}"), 'an id'),
            sentence=as_text(sentence['text']),
            qtype=as_query_type(sentence.get('qtype')),
            segment=maybe(as_span, sentence.get('segment')),
            span=span,
            frame_ids=frame_ids,
            boxes=boxes,
            track=maybe(str, track),
            factors=maybe(as_object, factors, '"factors"'),
            **head)


def _read_boxes(boxes: Any, span: Optional[tuple]) -> FramesAndBoxes:
    """Boxes by frame, or from the first frame of the span on."""
    if not isinstance(boxes, dict):
        boxes = as_list(boxes or [], '"boxes"')
        if span is not None and len(boxes) > span[1] - span[0]:
            raise ValueError(
                f'the list "boxes" starts at the first frame of the span and '
                f'has {len(boxes)} boxes for {span[1] - span[0]} frames; name '
                'the frames with an object {frame: box}')
        return _consecutive_boxes(boxes, 0 if span is None else span[0])
    for key in boxes:
        if not (key.isdecimal() and len(key) < 10):
            raise ValueError(f'the frame {key!r} of a box is no number')
    frames = np.array([int(key) for key in boxes], dtype=np.int64)
    if len(np.unique(frames)) != len(frames):
        raise ValueError('a frame is named twice in "boxes"')
    values = as_boxes(boxes.values(), [f'of frame {key}' for key in boxes])
    order = np.argsort(frames, kind='stable')
    return frames[order], values[order]


def _read_track(name: str, track: Any) -> FramesAndBoxes:
    """Frames and boxes of an object that sentences share."""
    try:
        track = as_object(track, 'it', ('start', 'boxes'))
        boxes = as_list(track['boxes'], '"boxes"')
        return _consecutive_boxes(boxes, as_int(track['start']))
    except KeyError as e:
        raise ValueError(f'track {name!r}: the key {e} is missing') from e
    except ValueError as e:
        raise ValueError(f'track {name!r}: {e}') from e


def _consecutive_boxes(boxes: list, start: int) -> FramesAndBoxes:
    """Boxes of consecutive frames, None where there is none."""
    given = [i for i, box in enumerate(boxes) if box is not None]
    values = as_boxes((boxes[i] for i in given), given)
    return np.array(given, dtype=np.int64) + start, values
