# Copyright (c) costa_mm authors. All rights reserved.
"""Reading with PyAV, which is everywhere."""
from typing import Any, Callable, Iterator, Sequence

import numpy as np

from costa_mm.registry import TRANSFORMS
from .base import BaseVideoReader, MappedClip, VideoInfo
from .pyav_video import PyAVVideo

#: Decode a video that is read from end to end, ahead of its reader.
STREAM_THREADS = 2


@TRANSFORMS.register_module()
class PyAVReader(BaseVideoReader):
    """Reads videos with PyAV (FFmpeg): the default.

    The packets are listed to know the time of every frame; then the decoder
    jumps to the key frame before each wanted frame, skips H.264 pictures that
    nobody wants or refers to, and stops after the last wanted frame.

    Every decoded picture is compared with what the packets promise.  Where
    they do not tell everything (AVI, MPEG streams, recordings that begin
    between key frames) or turn out to be wrong, the video is decoded from
    its start once, to know its frames, and if need be for every call.

    Args:
        num_threads (int): Decoding threads; 0 lets FFmpeg choose.
        accept_truncated (bool): Take what is there of a file whose header
            promises more (a download that broke off) instead of refusing it.
    """

    def __init__(self, *, num_threads: int = 1,
                 accept_truncated: bool = False) -> None:
        self.num_threads = num_threads
        self.accept_truncated = accept_truncated

    def _video(self, path: str) -> PyAVVideo:
        return PyAVVideo(path, self.num_threads, self.accept_truncated)

    def _probe(self, path: str) -> VideoInfo:
        with self._video(path) as video:
            return video.info()

    def _read(self, path: str, ids: np.ndarray) -> np.ndarray:
        with self._video(path) as video:
            return video.frames(ids)

    def map(self, path: str, frame_ids: Sequence[int],
            function: Callable[[np.ndarray], Any]) -> list:
        """See :meth:`BaseVideoReader.map`; each frame is decoded once."""
        clip = MappedClip(path, self._checked_ids(path, frame_ids), function)
        with self._video(path) as video:
            video.fill(clip)
        return clip.results()

    def stream(self, path: str, start: int = 0) -> Iterator[np.ndarray]:
        """See :meth:`BaseVideoReader.stream`; each frame is decoded once."""
        self._check_exists(path)
        self._check_start(path, start)
        threads = self.num_threads and max(self.num_threads, STREAM_THREADS)
        with PyAVVideo(path, threads, self.accept_truncated) as video:
            yield from video.frames_from(start)

    def _times(self, path: str) -> np.ndarray:
        with self._video(path) as video:
            return video.timeline().seconds

    def pixel_aspect(self, path: str) -> float:
        """Width over height of a stored pixel."""
        with self._video(path) as video:
            return video.screen.aspect
