# Copyright (c) costa_mm authors. All rights reserved.
"""Video readers: exact frames by number, nothing read that is not asked for.

A frame number counts decoded frames in presentation order from 0.  It says
nothing about time: in a video with a variable frame rate frame 30 is the 31st
picture, whenever it is shown.  Every reader turns rotated videos upright, so
that boxes and pixels agree with what a player shows.
"""
import os
from abc import ABCMeta, abstractmethod
from typing import NamedTuple, Sequence

import numpy as np


class VideoInfo(NamedTuple):
    """What a container says of its video stream.

    Attributes:
        num_frames (int): Number of frames that the container lists.  Some
            containers list a frame or two more than can be decoded.
        fps (float): Average frame rate.
        width (int): Width of the upright frame in pixels.
        height (int): Height of the upright frame in pixels.
    """
    num_frames: int
    fps: float
    width: int
    height: int


class VideoReadError(ValueError):
    """A video is there but does not give the frames it should."""


class BehindEndError(IndexError):
    """A frame is asked for that the video does not have.

    Args:
        path (str): The video.
        frame (int): The frame asked for.
        num_frames (int): Frames that the video has.
    """

    def __init__(self, path: str, frame: int, num_frames: int) -> None:
        super().__init__(path, frame, num_frames)
        self.path = path
        self.frame = frame
        self.num_frames = num_frames

    def __str__(self) -> str:
        return (f'frame {self.frame} of {self.path} does not exist: the '
                f'video has {self.num_frames} frames')


class BaseVideoReader(metaclass=ABCMeta):
    """A way to get frames out of a video file.

    A reader keeps nothing open between two calls: it can be copied to worker
    processes and leaks no file handle.
    """

    def probe(self, path: str) -> VideoInfo:
        """Size, length and rate of a video, without decoding it.

        Raises:
            FileNotFoundError: If there is no such file.
            VideoReadError: If the file cannot be opened as a video.
        """
        self._check_exists(path)
        return self._probe(path)

    def read(self, path: str, frame_ids: Sequence[int]) -> np.ndarray:
        """Decode some frames of a video.

        Args:
            path (str): The video file.
            frame_ids (Sequence[int]): Frames, counted from 0, in any order.

        Returns:
            np.ndarray: RGB frames, (T, H, W, 3), uint8, in the order asked.

        Raises:
            FileNotFoundError: If there is no such file.
            BehindEndError: If a frame lies behind the end of the video.
            VideoReadError: If the file cannot be opened or decoded.
        """
        self._check_exists(path)
        ids = np.asarray(frame_ids, dtype=np.int64).reshape(-1)
        if not len(ids):
            raise ValueError(f'no frames asked of {path}')
        if ids.min() < 0:
            raise IndexError(f'frame {ids.min()} of {path}: frames count '
                             'from 0')
        return self._read(path, ids)

    @abstractmethod
    def _probe(self, path: str) -> VideoInfo:
        """See :meth:`probe`; the file exists."""

    @abstractmethod
    def _read(self, path: str, ids: np.ndarray) -> np.ndarray:
        """See :meth:`read`; the file exists and no id is negative."""

    @staticmethod
    def _check_exists(path: str) -> None:
        if not os.path.isfile(path):
            raise FileNotFoundError(f'no video file at {path}')

    def __repr__(self) -> str:
        return f'{type(self).__name__}({self.__dict__})'


def unreadable(path: str, reason: object) -> VideoReadError:
    """The error for a file that is there and is not a usable video."""
    size = os.path.getsize(path) if os.path.exists(path) else 0
    text = ' '.join(str(reason).split())
    return VideoReadError(
        f'cannot decode {path} ({size} bytes): {text[:300]} -- the file is '
        "broken or no video; fetch it again, or give the dataset on_error="
        "'skip'")
