# Copyright (c) costa_mm authors. All rights reserved.
"""Sentences about tracks that a labelling tool or a tracker wrote."""
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

import numpy as np

from .fields import as_boxes, as_span, as_text, maybe
from .problems import Problems
from .records import SentenceAnnotation


class Said(NamedTuple):
    """A sentence about a track.

    Attributes:
        sentence (str): The query.
        span (tuple[int, int], optional): When it happens, end exclusive; None
            is from the first box of the track to its last one.
    """
    sentence: str
    span: Optional[Tuple[int, int]] = None


def read_said(value: Any) -> List[Said]:
    """What a JSON file says of a track.

    Args:
        value (Any): A sentence, ``{"sentence": text, "span": [start, end]}``
            (the span is optional), or a list of those.

    Raises:
        ValueError: If it is something else.
    """
    if isinstance(value, list):
        return [said for item in value for said in read_said(item)]
    if isinstance(value, dict):
        return [Said(as_text(value['sentence']),
                     maybe(as_span, value.get('span')))]
    return [Said(as_text(value))]


class Track:
    """The boxes of an object, in the order in which a file names them."""

    def __init__(self) -> None:
        self.boxes: Dict[int, list] = {}

    def add(self, frame: int, box: list) -> None:
        """Add a box.

        Args:
            frame (int): Counted from 0.
            box (list[float]): x1, y1, x2, y2 in pixels.

        Raises:
            ValueError: If the frame has one.
        """
        if frame in self.boxes:
            raise ValueError(f'two boxes in frame {frame}')
        self.boxes[frame] = box

    def arrays(self) -> Tuple[np.ndarray, np.ndarray]:
        """Frames, (N, ), increasing, and their boxes, (N, 4)."""
        frames = sorted(self.boxes)
        return (np.array(frames, dtype=np.int64),
                as_boxes([self.boxes[f] for f in frames],
                         [f'of frame {f}' for f in frames]))


def annotate(head: Dict[str, Any], tracks: Dict[str, Track],
             said: Dict[str, List[Said]],
             problems: Problems) -> List[SentenceAnnotation]:
    """The sentences of a video.

    Args:
        head (dict): What :obj:`SentenceAnnotation` says of the video.
        tracks (dict[str, Track]): By name.
        said (dict[str, list[Said]]): By name of the track; ids of sentences
            are counted in this order.
        problems (Problems): Takes what is wrong.
    """
    silent = [name for name in tracks if not said.get(name)]
    if silent:
        problems.add('warning', 'tracks without a sentence (left out)',
                     detail=f': {", ".join(silent[:5])}')
    parsed: List[SentenceAnnotation] = []
    for name, sentences in said.items():
        with problems.at(f'track {name}'):
            if sentences and name not in tracks:
                raise ValueError('there is a sentence and no box')
            for sentence, span in sentences:
                frames, boxes = tracks[name].arrays()
                span = span or (int(frames[0]), int(frames[-1]) + 1)
                inside = (frames >= span[0]) & (frames < span[1])
                parsed.append(
                    SentenceAnnotation(
                        sample_id=f"{head['video_id']}_{len(parsed)}",
                        sentence=sentence,
                        span=span,
                        frame_ids=frames[inside],
                        boxes=boxes[inside],
                        track=name,
                        entry=f'track {name}',
                        **head))
    return parsed
