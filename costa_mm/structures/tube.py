# Copyright (c) costa_mm authors. All rights reserved.
"""The tube: what this field predicts, and the file every tool reads."""
import json
import os
from dataclasses import dataclass, field
from typing import Dict, Optional, Tuple, Union

import numpy as np

from costa_mm.utils.files import write_json

QUERY_TYPES = ('declarative', 'interrogative')


@dataclass(frozen=True, eq=False)
class Tube:
    """A span of a video and one box per frame.

    Args:
        span (tuple[int, int], optional): First frame of the event and the
            frame after its last one, counted from 0 in the source video.
        frame_ids (np.ndarray): Frames that have a box, (N, ), int64, strictly
            increasing.  A prediction has every frame of the video, a ground
            truth the annotated ones.
        boxes (np.ndarray): Their boxes, (N, 4), float64, (x1, y1, x2, y2) in
            pixels of the original frame.
        qtype (str, optional): 'declarative' or 'interrogative'.
        num_frames (int, optional): Length of the source video in frames.
        fps (float, optional): Frame rate of the source video.
        factors (dict, optional): What is known of the sample's difficulty
            (synthetic benchmark), for scores per factor.
        segment (tuple[int, int], optional): Part of the video that is used,
            first frame and the frame after the last one; None is all of it.
            Only the protocol ``tubedetr_vidstg`` looks at it.

    Raises:
        ValueError: If the span or the segment is empty, boxes and frames
            differ in number, frames are not increasing, or a coordinate is
            not finite.
    """

    span: Optional[Tuple[int, int]]
    frame_ids: np.ndarray = field(default_factory=lambda: np.zeros(0, int))
    boxes: np.ndarray = field(default_factory=lambda: np.zeros((0, 4)))
    qtype: Optional[str] = None
    num_frames: Optional[int] = None
    fps: Optional[float] = None
    factors: Optional[dict] = None
    segment: Optional[Tuple[int, int]] = None

    def __post_init__(self) -> None:
        ids = np.asarray(self.frame_ids, dtype=np.int64).reshape(-1)
        boxes = np.asarray(self.boxes, dtype=np.float64).reshape(-1, 4)
        object.__setattr__(self, 'frame_ids', ids)
        object.__setattr__(self, 'boxes', boxes)
        for name in ('span', 'segment'):
            frames = getattr(self, name)
            if frames is not None:
                frames = (int(frames[0]), int(frames[1]))
                object.__setattr__(self, name, frames)
                if not 0 <= frames[0] < frames[1]:
                    raise ValueError(f'{name} {frames} is not 0 <= start < '
                                     'end (end is exclusive)')
        if len(ids) != len(boxes):
            raise ValueError(f'{len(ids)} frames but {len(boxes)} boxes')
        if len(ids) > 1 and not (np.diff(ids) > 0).all():
            raise ValueError('frame_ids must be strictly increasing')
        if not np.isfinite(boxes).all():
            raise ValueError('boxes hold NaN or infinite coordinates')
        if self.qtype is not None and self.qtype not in QUERY_TYPES:
            raise ValueError(f'qtype {self.qtype!r} is none of {QUERY_TYPES}')

    def to_dict(self) -> dict:
        """The tube as one entry of a tube file."""
        out = dict(
            span=None if self.span is None else list(self.span),
            boxes={
                str(i): box
                for i, box in zip(self.frame_ids.tolist(),
                                  self.boxes.tolist())
            },
            qtype=self.qtype,
            num_frames=self.num_frames,
            fps=self.fps)
        if self.factors is not None:
            out['factors'] = self.factors
        if self.segment is not None:
            out['segment'] = list(self.segment)
        return out

    @classmethod
    def from_dict(cls, entry: dict) -> 'Tube':
        """Read one entry of a tube file.

        Raises:
            ValueError: If the entry is not of the documented form.
        """
        if not isinstance(entry, dict):
            raise ValueError(f'an entry is a {type(entry).__name__}, '
                             'not an object')
        try:
            span, boxes = entry['span'], entry['boxes']
            frames = sorted((int(k), v) for k, v in boxes.items())
            return cls(
                span=None if span is None else (span[0], span[1]),
                frame_ids=np.array([k for k, _ in frames], dtype=np.int64),
                boxes=np.array([v for _, v in frames],
                               dtype=np.float64).reshape(-1, 4),
                qtype=entry.get('qtype'),
                num_frames=_positive(entry, 'num_frames', whole=True),
                fps=_positive(entry, 'fps'),
                factors=entry.get('factors'),
                segment=entry.get('segment'))
        except KeyError as e:
            raise ValueError(f'the key {e} is missing') from e
        except (TypeError, AttributeError, LookupError, OverflowError) as e:
            raise ValueError(f'not a tube entry: {e}') from e


def _positive(entry: dict, key: str, whole: bool = False) -> Optional[float]:
    """A positive finite number of an entry, or None."""
    value = entry.get(key)
    if value is None:
        return None
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not 0 < value < float('inf') or whole and value % 1:
        raise ValueError(f'{key} is {value!r}, not a positive '
                         f'{"whole " if whole else ""}number')
    return int(value) if whole else value


def load_tubes(path: Union[str, os.PathLike]) -> Dict[str, Tube]:
    """Read a tube file.

    The format is ``{sample_id: {"span": [start, end], "boxes": {"frame":
    [x1, y1, x2, y2]}, "qtype": "declarative" | "interrogative" | null,
    "num_frames": N, "fps": F}}``; ``"factors"`` and ``"segment": [start,
    end]`` may be there.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not JSON or an entry is malformed; the message
            names the file and the entry.
    """
    data = read_tube_file(path)
    tubes = {}
    for sample_id, entry in data.items():
        try:
            tubes[sample_id] = Tube.from_dict(entry)
        except ValueError as e:
            raise ValueError(f'{path}, entry {sample_id!r}: {e}') from e
    return tubes


def read_tube_file(path: Union[str, os.PathLike]) -> Dict[str, dict]:
    """The entries of a tube file as they stand there.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not JSON, or no object.
    """
    with open(path, encoding='utf-8') as f:
        try:
            data = json.load(f)
        except ValueError as e:  # JSONDecodeError and UnicodeDecodeError
            raise ValueError(f'{path} is not a JSON file: {e}') from e
    if not isinstance(data, dict):
        raise ValueError(f'{path}: a tube file is an object {{sample_id: '
                         f'tube}}, not a {type(data).__name__}')
    if isinstance(data.get('videos'), list):
        raise ValueError(f'{path} is an annotation file, not a tube file: '
                         'costa-mm convert ... --format tubes writes one')
    return data


def dump_tubes(tubes: Dict[str, Tube],
               path: Union[str, os.PathLike]) -> None:
    """Write a tube file (see :func:`load_tubes`), creating its folder.

    The file appears whole or not at all.
    """
    write_json({k: v.to_dict() for k, v in tubes.items()},
               path,
               ensure_ascii=True)
