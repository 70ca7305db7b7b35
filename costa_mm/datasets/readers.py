# Copyright (c) costa_mm authors. All rights reserved.
"""Video readers: exact frames by number, nothing read that is not asked for.

A frame number counts decoded frames in presentation order from 0.  It says
nothing about time: in a video with a variable frame rate frame 30 is the 31st
picture, whenever it is shown.  Every reader turns rotated videos upright, so
that boxes and pixels agree with what a player shows.
"""
import os
from abc import ABCMeta, abstractmethod
from functools import lru_cache
from typing import NamedTuple, Sequence

import numpy as np
from mmengine.logging import print_log

from costa_mm.registry import TRANSFORMS


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


@lru_cache(maxsize=1)
def has_decord() -> bool:
    """Whether decord can be imported; it has no wheel for arm64."""
    try:
        import decord  # noqa: F401
    except ImportError:
        print_log(
            'decord is not installed: videos are read with PyAV',
            logger='current')
        return False
    return True


@lru_cache(maxsize=65536)
def decord_is_exact(path: str, size: int, mtime: int) -> bool:
    """Whether decord returns the frames of a file that are asked for.

    decord takes frame i for packet i, every key frame for a clean start, and
    the last picture it has for one that cannot be decoded.  With open groups
    of pictures, edit lists, packets without time stamps or a container that
    promises more frames than it holds it returns other frames than asked,
    silently (tried with 0.6.0; see also dmlc/decord#54, #195 and #373).

    Args:
        path (str): The video.
        size (int): Its size; with ``mtime`` part of the cache's key.
        mtime (int): Its time of change.

    Returns:
        bool: False where PyAV has to read the file.
    """
    from .pyav_backend import PyAVVideo
    with PyAVVideo(path) as video:
        index = video.index()
        return index.plain and video.tail_is_whole(index)


@TRANSFORMS.register_module()
class DecordReader(BaseVideoReader):
    """Reads videos with decord, and with PyAV those that decord gets wrong.

    decord decodes from the key frame before a wanted frame onwards and
    converts only wanted frames to RGB.  Frames are decoded at their native
    size: decord's own resizing changes pixels and saves no time.

    Args:
        num_threads (int): Decoding threads; 0 lets decord choose.  One is
            right inside data loader workers.
        exact (bool): Look at the packets of a file and decode its last group
            of pictures first (once per file and process), and read it with
            PyAV where decord would return other frames than asked (see
            :func:`decord_is_exact`) or is not installed.  Without PyAV
            installed set it to False.
    """

    def __init__(self, *, num_threads: int = 1, exact: bool = True) -> None:
        self.num_threads = num_threads
        self.exact = exact

    def _open(self, path: str):
        try:
            import decord
        except ImportError as e:
            raise ImportError(
                'decord is not installed: `pip install decord`, or read with '
                'PyAV: LoadVideoFrames(reader=dict(type='
                "'costa_mm.PyAVReader'))") from e
        decord.logging.set_level(decord.logging.FATAL)
        return decord.VideoReader(path, num_threads=self.num_threads)

    def _probe(self, path: str) -> VideoInfo:
        if self.exact:
            return self._pyav().probe(path)
        try:
            video = self._open(path)
            height, width = video[0].shape[:2]
            rate = video.get_avg_fps()
        except ImportError:
            raise
        except Exception as e:  # DECORDError has no base class of its own
            raise unreadable(path, e) from None
        return VideoInfo(len(video), float(rate), int(width), int(height))

    def _read(self, path: str, ids: np.ndarray) -> np.ndarray:
        if self.exact and not (has_decord() and self._decord_is_exact(path)):
            return self._pyav()._read(path, ids)
        try:
            video = self._open(path)
            if ids.max() < len(video):
                return video.get_batch(ids).asnumpy()
        except ImportError:
            raise
        except Exception as e:  # DECORDError has no base class of its own
            if not self.exact:
                raise unreadable(path, e) from None
            # FFmpeg's own error, or the frames if only decord stumbles
            return self._pyav()._read(path, ids)
        raise BehindEndError(path, int(ids.max()), len(video))

    @staticmethod
    def _decord_is_exact(path: str) -> bool:
        stat = os.stat(path)
        return decord_is_exact(path, stat.st_size, stat.st_mtime_ns)

    def _pyav(self) -> 'PyAVReader':
        return PyAVReader(num_threads=self.num_threads)


@TRANSFORMS.register_module()
class PyAVReader(BaseVideoReader):
    """Reads videos with PyAV (FFmpeg): the default.

    The packets are listed once to know the time stamp of every frame; then
    the decoder jumps to the key frame before each wanted frame, leaves out
    H.264 pictures that neither are wanted nor referred to by another one,
    and stops after the last wanted frame.  Only wanted frames become RGB.

    Args:
        num_threads (int): Decoding threads; 0 lets FFmpeg choose.
    """

    def __init__(self, *, num_threads: int = 1) -> None:
        self.num_threads = num_threads

    def _probe(self, path: str) -> VideoInfo:
        from .pyav_backend import PyAVVideo
        with PyAVVideo(path, self.num_threads) as video:
            return video.info()

    def _read(self, path: str, ids: np.ndarray) -> np.ndarray:
        from .pyav_backend import PyAVVideo
        with PyAVVideo(path, self.num_threads) as video:
            return video.frames(ids)
