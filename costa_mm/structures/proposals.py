# Copyright (c) costa_mm authors. All rights reserved.
"""Tubes that somebody proposes for a video, whatever the sentence."""
import io
import os
from dataclasses import dataclass
from typing import Optional, Tuple, Union
from zipfile import BadZipFile

import numpy as np

from costa_mm.utils.files import video_hash, write_bytes

SUFFIX = '.tubes.npz'
_ARRAYS = dict(frame_ids=('i', 1), boxes=('f', 3), scores=('f', 2))


class OtherVideoError(ValueError):
    """Proposals are of another video of the same name."""


@dataclass(frozen=True, eq=False)
class TubeProposals:
    """P tubes on the N frames of a video that a detector has looked at.

    Args:
        frame_ids (np.ndarray): The frames, increasing, (N, ), int64.
        boxes (np.ndarray): (x1, y1, x2, y2) in pixels of the video,
            (P, N, 4), float32; zeros where a tube is not.
        scores (np.ndarray): Of the boxes, (P, N), float32; 0 where a tube is
            not.
        labels (tuple[str, ...]): Class or phrase of each tube, P.
        size (tuple[int, int]): Width and height of the video.
        num_frames (int): Of the video.
        source (str): Who proposed them, for people.
        video (str): Hash of the video (:func:`video_hash`); '' in files of
            other makers.
        recipe (str): Detector, its settings and its phrases; '' likewise.

    Raises:
        ValueError: If the shapes do not fit or frames do not increase.
    """

    frame_ids: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray
    labels: Tuple[str, ...]
    size: Tuple[int, int]
    num_frames: int
    source: str = ''
    video: str = ''
    recipe: str = ''

    def __post_init__(self) -> None:
        count, length = self.scores.shape
        if self.boxes.shape != (count, length, 4) or \
                self.frame_ids.shape != (length, ) or \
                len(self.labels) != count:
            raise ValueError(
                f'{len(self.labels)} labels, {self.frame_ids.shape} frames, '
                f'boxes {self.boxes.shape} and scores {self.scores.shape} are '
                'not of P tubes on N frames')
        if (np.diff(self.frame_ids) <= 0).any():
            raise ValueError('frames must increase')

    def __len__(self) -> int:
        return len(self.labels)

    def at(self, frame_ids: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
        """Boxes and scores in other frames.

        Between two frames in which a tube is, both are interpolated; before
        its first and behind its last one the tube is not there.

        Args:
            frame_ids (np.ndarray): (T, ).

        Returns:
            tuple[np.ndarray, np.ndarray]: (P, T, 4) and (P, T), float32,
            zeros where a tube is not.
        """
        ids = np.asarray(frame_ids)
        boxes = np.zeros((len(self), len(ids), 4), np.float32)
        scores = np.zeros((len(self), len(ids)), np.float32)
        for p in range(len(self)):
            there = self.scores[p] > 0
            known = self.frame_ids[there]
            if not len(known):
                continue
            inside = (ids >= known[0]) & (ids <= known[-1])
            for c in range(4):
                boxes[p, inside, c] = np.interp(ids[inside], known,
                                                self.boxes[p, there, c])
            scores[p, inside] = np.interp(ids[inside], known,
                                          self.scores[p, there])
        return boxes, scores

    def save(self, path: Union[str, os.PathLike]) -> None:
        """Write them, whole or not at all; see :func:`proposal_path`."""
        out = io.BytesIO()
        np.savez_compressed(
            out, frame_ids=self.frame_ids, boxes=self.boxes,
            scores=self.scores, labels=np.array(self.labels, dtype=np.str_),
            size=np.array(self.size), num_frames=self.num_frames,
            source=np.array(self.source), video=np.array(self.video),
            recipe=np.array(self.recipe))
        write_bytes(out.getvalue(), path)


def load_proposals(path: Union[str, os.PathLike],
                   video: Optional[str] = None) -> TubeProposals:
    """Read what :meth:`TubeProposals.save` wrote.

    Args:
        path (str or PathLike): The file.
        video (str, optional): Whose proposals they have to be; files that do
            not say so, and frames in memory, are not asked.

    Raises:
        FileNotFoundError: If there is no such file; names the tool.
        OtherVideoError: If they are of another video.
        ValueError: If it is another file.
    """
    found = _read(path)
    if video is not None and found.video and os.path.isfile(video) and \
            found.video != video_hash(video):
        raise OtherVideoError(
            f'{path} holds the proposals of another video than {video}: make '
            'them anew with tools/propose_tubes.py, into a folder of their '
            'own where two videos have one name')
    return found


def _read(path: Union[str, os.PathLike]) -> TubeProposals:
    if not os.path.isfile(path):
        raise FileNotFoundError(
            f'no tube proposals at {path}: make them with '
            'tools/propose_tubes.py')
    try:
        with np.load(path, allow_pickle=False) as file:
            data = {key: file[key] for key in file.files}
        for key, (kind, dims) in _ARRAYS.items():
            if data[key].dtype.kind != kind or data[key].ndim != dims:
                raise ValueError(f'{key} is {data[key].dtype} of '
                                 f'{data[key].ndim} dimensions')
        return TubeProposals(
            labels=tuple(data.pop('labels').tolist()),
            size=tuple(data.pop('size').tolist()),
            num_frames=int(data.pop('num_frames')),
            source=str(data.pop('source')),
            video=str(data.pop('video', '')),
            recipe=str(data.pop('recipe', '')), **data)
    except (ValueError, KeyError, TypeError, OSError, EOFError,
            BadZipFile) as e:
        raise ValueError(f'{path} is no file of tube proposals: {e}') from e


def proposal_path(root: str, video: str) -> str:
    """Where the proposals of a video lie: ``ROOT/STEM.tubes.npz``."""
    stem = os.path.splitext(os.path.basename(video))[0]
    return os.path.join(root, stem + SUFFIX)
