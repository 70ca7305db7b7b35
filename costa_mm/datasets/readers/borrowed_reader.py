# Copyright (c) costa_mm authors. All rights reserved.
"""Reading with another decoder, where it can be trusted."""
import importlib
import os
from abc import abstractmethod
from functools import lru_cache
from typing import Any

import numpy as np
from mmengine.logging import print_log

from costa_mm.utils.errors import first_line
from .base import BehindEndError, unreadable
from .pyav_reader import PyAVReader
from .pyav_video import PyAVVideo


@lru_cache(maxsize=None)
def has_package(name: str) -> bool:
    """Whether a decoder's package can be imported, with all that it loads."""
    try:
        importlib.import_module(name)
    except (ImportError, OSError, RuntimeError) as e:
        print_log(
            f'{name} cannot be used here: videos are read with PyAV '
            f'({first_line(e)})',
            logger='current')
        return False
    return True


@lru_cache(maxsize=65536)
def is_exact(kind: type, path: str, size: int, mtime: int) -> bool:
    """Whether a decoder returns the frames of a file that are asked for.

    Where the packets do not tell every picture's place, a decoder that takes
    frame i for packet i returns other frames than asked, silently.  Nor does
    every decoder mirror pictures, make their pixels square, or give
    interlaced ones the same colours.

    Args:
        kind (type): A :class:`BorrowedReader`.
        path (str): The video.
        size (int): Its size; with ``mtime`` part of the cache's key.
        mtime (int): Its time of change.

    Returns:
        bool: False where PyAV has to read the file.
    """
    with PyAVVideo(path, accept_truncated=True) as video:
        index = video.index()
        if not (index.plain
                and video.stream is video.container.streams.video[0]):
            return False
        last = np.array([len(index.pts) - 1])
        try:
            if next(video.decode_all()).interlaced_frame:
                return False
            # the last frame shows whether the decoder knows the key frames
            frame = video.frames(last)
            other = kind()
            opened = other.open_video(path)
            return (len(opened) == len(index.pts) and np.array_equal(
                frame, other.decode(opened, last)))
        except Exception:  # errors of decoders have no base class
            return False


class BorrowedReader(PyAVReader):
    """Reads videos with another decoder, and with PyAV what it gets wrong.

    Args:
        num_threads (int): Decoding threads; 0 lets the decoder choose.  One
            is right inside data loader workers.
        exact (bool): Look at the packets of a file and compare its last
            frame first (once per file and process), and read it with PyAV
            where the decoder would return other frames than asked (see
            :func:`is_exact`) or is not installed.
        accept_truncated (bool): As in :class:`PyAVReader`.
    """

    #: module that has to be imported, and the package that brings it
    module: str
    package: str

    def __init__(self, *, num_threads: int = 1, exact: bool = True,
                 accept_truncated: bool = False) -> None:
        super().__init__(
            num_threads=num_threads, accept_truncated=accept_truncated)
        self.exact = exact

    @abstractmethod
    def open_video(self, path: str) -> Any:
        """The decoder's own object for a file; its length is that of the
        video."""

    @abstractmethod
    def decode(self, video: Any, ids: np.ndarray) -> np.ndarray:
        """Frames (T, H, W, 3), uint8, RGB, of an opened video."""

    def _read(self, path: str, ids: np.ndarray) -> np.ndarray:
        if self.exact and not (has_package(self.module)
                               and self._is_exact(path)):
            return super()._read(path, ids)
        if not has_package(self.module):
            raise ImportError(
                f'{self.package} cannot be used here: `pip install '
                f'{self.package}`, or read with PyAV: LoadVideoFrames('
                "reader=dict(type='costa_mm.PyAVReader'))")
        try:
            video = self.open_video(path)
            if ids.max() < len(video):
                return self.decode(video, ids)
        except Exception as e:  # errors of decoders have no base class
            if not self.exact:
                raise unreadable(path, e) from None
            # FFmpeg's own error, or the frames if only the decoder stumbles
            return super()._read(path, ids)
        raise BehindEndError(path, int(ids.max()), len(video))

    @classmethod
    def _is_exact(cls, path: str) -> bool:
        stat = os.stat(path)
        return is_exact(cls, path, stat.st_size, stat.st_mtime_ns)
