# Copyright (c) costa_mm authors. All rights reserved.
"""Reading with decord, where it can be trusted."""
import os
from functools import lru_cache

import numpy as np
from mmengine.logging import print_log

from costa_mm.registry import TRANSFORMS
from .base import BehindEndError, unreadable
from .pyav_reader import PyAVReader, PyAVVideo


@lru_cache(maxsize=1)
def has_decord() -> bool:
    """Whether decord can be imported; it has no wheel for arm64."""
    try:
        import decord
        decord.logging.set_level(decord.logging.FATAL)
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
    silently (tried with 0.6.0; see also dmlc/decord#54, #195 and #373).  It
    neither mirrors pictures nor makes their pixels square, and has other
    colours for interlaced ones.

    Args:
        path (str): The video.
        size (int): Its size; with ``mtime`` part of the cache's key.
        mtime (int): Its time of change.

    Returns:
        bool: False where PyAV has to read the file.
    """
    import decord
    with PyAVVideo(path, accept_truncated=True) as video:
        index = video.index()
        if not (index.plain
                and video.stream is video.container.streams.video[0]):
            return False
        last = np.array([len(index.pts) - 1])
        try:
            if next(video.decode_all()).interlaced_frame:
                return False
            # the last frame shows whether decord knows the key frames
            frame = video.frames(last)
            other = decord.VideoReader(path, num_threads=1)
            return (len(other) == len(index.pts) and np.array_equal(
                frame, other.get_batch(last).asnumpy()))
        except Exception:  # DECORDError has no base class of its own
            return False


@TRANSFORMS.register_module()
class DecordReader(PyAVReader):
    """Reads videos with decord, and with PyAV those that decord gets wrong.

    decord decodes from the key frame before a wanted frame onwards and
    converts only wanted frames to RGB.  Frames are decoded at their native
    size: decord's own resizing changes pixels and saves no time.

    Args:
        num_threads (int): Decoding threads; 0 lets the decoder choose.  One
            is right inside data loader workers.
        exact (bool): Look at the packets of a file and compare its last
            frame first (once per file and process), and read it with PyAV
            where decord would return other frames than asked (see
            :func:`decord_is_exact`) or is not installed.
        accept_truncated (bool): As in :class:`PyAVReader`.
    """

    def __init__(self, *, num_threads: int = 1, exact: bool = True,
                 accept_truncated: bool = False) -> None:
        super().__init__(
            num_threads=num_threads, accept_truncated=accept_truncated)
        self.exact = exact

    def _read(self, path: str, ids: np.ndarray) -> np.ndarray:
        if self.exact and not (has_decord() and self._decord_is_exact(path)):
            return super()._read(path, ids)
        try:
            import decord
        except ImportError as e:
            raise ImportError(
                'decord is not installed: `pip install decord`, or read with '
                'PyAV: LoadVideoFrames(reader=dict(type='
                "'costa_mm.PyAVReader'))") from e
        try:
            video = decord.VideoReader(path, num_threads=self.num_threads)
            if ids.max() < len(video):
                return video.get_batch(ids).asnumpy()
        except Exception as e:  # DECORDError has no base class of its own
            if not self.exact:
                raise unreadable(path, e) from None
            # FFmpeg's own error, or the frames if only decord stumbles
            return super()._read(path, ids)
        raise BehindEndError(path, int(ids.max()), len(video))

    @staticmethod
    def _decord_is_exact(path: str) -> bool:
        stat = os.stat(path)
        return decord_is_exact(path, stat.st_size, stat.st_mtime_ns)
