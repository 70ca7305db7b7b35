# Copyright (c) costa_mm authors. All rights reserved.
"""What every video reader promises."""
import os
from abc import ABCMeta, abstractmethod
from typing import Any, Callable, Iterator, NamedTuple, Optional, Sequence

import numpy as np

#: Frames that are in memory where they are wanted one after the other.
FEW = 16


class VideoInfo(NamedTuple):
    """Facts of a video as it is shown.

    Attributes:
        num_frames (int): Number of frames.  Some containers list a frame or
            two more than can be decoded.
        fps (float): Nominal frame rate: one over the usual time between two
            frames, whatever gaps there are.
        width (int): Width of the upright frame in (square) pixels.
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

    Frame k is the same picture in every reader and whatever else is asked:
    the k-th, from 0, of those that a player shows, in the order in which it
    shows them.  Pictures before the first one that can be decoded are not
    counted.  Frames are upright, not mirrored, and their pixels are square.

    A reader keeps nothing open between two calls: it can be copied to worker
    processes and leaks no file handle.
    """

    def probe(self, path: str) -> VideoInfo:
        """Size, length and rate of a video.

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
        return self._read(path, self._checked_ids(path, frame_ids))

    def map(self, path: str, frame_ids: Sequence[int],
            function: Callable[[np.ndarray], Any]) -> list:
        """Results of a function for some frames, of which few are in memory.

        Args:
            path (str): The video file.
            frame_ids (Sequence[int]): Frames, counted from 0, in any order.
            function (Callable): Takes an RGB frame, (H, W, 3), uint8; may be
                called twice for one.

        Returns:
            list: Its results in the order asked.

        Raises:
            FileNotFoundError, BehindEndError, VideoReadError: See
                :meth:`read`.
        """
        return [
            function(image) for first in range(0, len(frame_ids), FEW)
            for image in self.read(path, frame_ids[first:first + FEW])
        ]

    def stream(self, path: str, start: int = 0) -> Iterator[np.ndarray]:
        """Frames in order, a few of them in memory at a time.

        Args:
            path (str): The video file.
            start (int): The first one. Defaults to 0.

        Yields:
            np.ndarray: RGB frame, (H, W, 3), uint8.

        Raises:
            FileNotFoundError: If there is no such file.
            BehindEndError: If ``start`` lies behind the end of the video.
            VideoReadError: If the file cannot be opened or decoded.
        """
        self._check_start(path, start)
        count = self.probe(path).num_frames
        if start and start >= count:
            raise BehindEndError(path, start, count)
        for first in range(start, count, FEW):
            yield from self.read(path, range(first, min(first + FEW, count)))

    def times(self, path: str) -> np.ndarray:
        """When each frame is shown, from the presentation times.

        Args:
            path (str): The video file.

        Returns:
            np.ndarray: Seconds after the first frame, (N + 1, ), increasing;
            the last one is the end of the last frame.
        """
        self._check_exists(path)
        return self._times(path)

    def pixel_aspect(self, path: str) -> float:
        """Width over height of a stored pixel; frames are read square."""
        return 1.0

    @abstractmethod
    def _probe(self, path: str) -> VideoInfo:
        """See :meth:`probe`; the file exists."""

    @abstractmethod
    def _read(self, path: str, ids: np.ndarray) -> np.ndarray:
        """See :meth:`read`; the file exists and no id is negative."""

    def _times(self, path: str) -> np.ndarray:
        """See :meth:`times`; the file exists."""
        info = self.probe(path)
        return np.arange(info.num_frames + 1) / info.fps

    def _checked_ids(self, path: str, frame_ids: Sequence[int]) -> np.ndarray:
        self._check_exists(path)
        ids = np.asarray(frame_ids, dtype=np.int64).reshape(-1)
        if not len(ids):
            raise ValueError(f'no frames asked of {path}')
        if ids.min() < 0:
            raise IndexError(f'frame {ids.min()} of {path}: frames count '
                             'from 0')
        return ids

    @staticmethod
    def _check_start(path: str, start: int) -> None:
        if start < 0:
            raise IndexError(f'frame {start} of {path}: frames count from 0')

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
        'broken or no video: fetch it again (a dataset leaves it out with '
        "on_error='skip')")


class Clip:
    """The frames asked for, each put in its places as it is decoded.

    Args:
        path (str): The video, for messages.
        ids (np.ndarray): Frames asked for, in any order, (T, ).
    """

    def __init__(self, path: str, ids: np.ndarray) -> None:
        self.path = path
        self.ids = ids
        #: (T, H, W, 3), uint8, once a frame has come
        self.images: Optional[np.ndarray] = None
        self._shape: Optional[tuple] = None

    def put(self, number: int, image: np.ndarray) -> None:
        """Take a frame over.

        Args:
            number (int): Its number in the video.
            image (np.ndarray): (H, W, 3), uint8.

        Raises:
            VideoReadError: If it is of another size than those before.
        """
        self._shape = self._shape or image.shape
        if image.shape != self._shape:
            raise unreadable(self.path, 'the frame size changes')
        self._keep(number, image)

    def _keep(self, number: int, image: np.ndarray) -> None:
        if self.images is None:
            self.images = np.empty((len(self.ids), ) + image.shape, np.uint8)
        for place in np.flatnonzero(self.ids == number):
            self.images[place] = image


class MappedClip(Clip):
    """What a function makes of each of the frames.

    Args:
        path (str): The video, for messages.
        ids (np.ndarray): Frames asked for, in any order, (T, ).
        function (Callable): Takes a frame.
    """

    def __init__(self, path: str, ids: np.ndarray,
                 function: Callable[[np.ndarray], Any]) -> None:
        super().__init__(path, ids)
        self.function = function
        self._made: dict = {}

    def _keep(self, number: int, image: np.ndarray) -> None:
        self._made[number] = self.function(image)

    def results(self) -> list:
        """In the order asked."""
        return [self._made[number] for number in self.ids.tolist()]
