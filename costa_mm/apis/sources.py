# Copyright (c) costa_mm authors. All rights reserved.
"""A video with its sentences, before and after it is opened."""
from dataclasses import dataclass
from itertools import islice
from typing import Iterator, List, Optional, Sequence, Set, Tuple

import numpy as np

from costa_mm.datasets.readers import (BaseVideoReader, VideoInfo,
                                       VideoReadError)
from .fetching import fetch_video

TAIL_TOLERANCE = 3


class ArrayReader(BaseVideoReader):
    """Gives out frames that are in memory already.

    Args:
        frames (np.ndarray): RGB, (T, H, W, 3), uint8.
        fps (float, optional): Frames per second.
    """

    def __init__(self, frames: np.ndarray,
                 fps: Optional[float] = None) -> None:
        self.frames = frames
        self.fps = fps

    def probe(self, path: str) -> VideoInfo:
        """Size, length and rate; ``path`` is only a name."""
        return self._probe(path)

    def read(self, path: str, frame_ids: Sequence[int]) -> np.ndarray:
        """Some of the frames, (T, H, W, 3); ``path`` is only a name."""
        return self._read(path, np.asarray(frame_ids, dtype=np.int64))

    def times(self, path: str) -> np.ndarray:
        """When each frame is shown; ``path`` is only a name."""
        return self._times(path)

    def _probe(self, path: str) -> VideoInfo:
        count, height, width = self.frames.shape[:3]
        return VideoInfo(count, self.fps, width, height)

    def _read(self, path: str, ids: np.ndarray) -> np.ndarray:
        return self.frames[ids]

    def __repr__(self) -> str:
        return f'{type(self).__name__}({self.frames.shape}, fps={self.fps})'


@dataclass(frozen=True, eq=False)
class VideoRequest:
    """A video that nobody has opened yet, and its sentences.

    Args:
        name (str): Unique in a call, good as a file name.
        path (str): The file, or a name for frames in memory.  It is not
            there before an ``address`` has been opened.
        sentences (tuple[str]): One or more.
        frames (np.ndarray, optional): Frames in memory, (T, H, W, 3).
        address (str, optional): Where the file is fetched from when its turn
            comes.
        problem (OSError, optional): Why there is no such video, for a job
            that goes on without it; raised when it is to be opened.
    """

    name: str
    path: str
    sentences: tuple
    frames: Optional[np.ndarray] = None
    address: Optional[str] = None
    problem: Optional[OSError] = None

    @property
    def place(self) -> str:
        """Its address or path, as it was asked for."""
        return self.address or self.path

    def fetch(self) -> str:
        """Make sure that the file is there; what stands behind an address
        is fetched.

        Returns:
            str: Its path.

        Raises:
            OSError: If there is no such video.
        """
        if self.problem is not None:
            raise self.problem
        return fetch_video(self.address) if self.address else self.path

    def sample_id(self, index: int) -> str:
        """Id of a sentence, unique in a call, good as a file name."""
        return f'{self.name}_{index}' if len(self.sentences) > 1 else self.name

    def requests(self) -> List[Tuple[str, str]]:
        """Sample id and sentence of each of its sentences."""
        return [(self.sample_id(i), sentence)
                for i, sentence in enumerate(self.sentences)]

    def names(self) -> Set[str]:
        """Its name and the ids of its sentences."""
        return {self.name, *(name for name, _ in self.requests())}


@dataclass(frozen=True, eq=False)
class VideoSource(VideoRequest):
    """One video that can be read.

    Args:
        reader (:obj:`BaseVideoReader`): Reads its frames.
        info (:obj:`VideoInfo`): Length, rate (None if not known) and size.
        seconds (np.ndarray, optional): When each frame is shown and when the
            last one ends, (num_frames + 1, ); None if the rate is not known.
        **kwargs: See :class:`VideoRequest`.
    """

    reader: Optional[BaseVideoReader] = None
    info: Optional[VideoInfo] = None
    seconds: Optional[np.ndarray] = None

    def record(self) -> dict:
        """What a dataset would say of the video, without truth."""
        return dict(
            sample_id=self.name,
            video_path=self.path,
            video_id=self.name,
            sentence=self.sentences[0],
            sentences=self.sentences,
            qtype=None,
            num_frames=self.info.num_frames,
            fps=self.info.fps,
            width=self.info.width,
            height=self.info.height,
            segment=(0, self.info.num_frames),
            gt_tube=None,
            factors=None)

    def iter_frames(self) -> Iterator[np.ndarray]:
        """All frames, (H, W, 3), one after the other."""
        return islice(self.reader.stream(self.path), self.info.num_frames)


def open_source(request: VideoRequest,
                reader: BaseVideoReader,
                fps: Optional[float] = None) -> VideoSource:
    """Open a video, having fetched it if need be.

    Args:
        request (:obj:`VideoRequest`): The video.
        reader (:obj:`BaseVideoReader`): Reads video files.
        fps (float, optional): Frame rate of frames in memory.

    Raises:
        OSError, ValueError: If a file is no video that can be decoded.
    """
    request.fetch()
    if request.frames is not None:
        reader = ArrayReader(request.frames, fps)
    info = _probe(reader, request.path)
    seconds = reader.times(request.path)[:info.num_frames + 1] \
        if info.fps else None
    return VideoSource(
        **vars(request), reader=reader, info=info, seconds=seconds)


def _probe(reader: BaseVideoReader, path: str) -> VideoInfo:
    """What can be relied on: frames that decode, a rate or None."""
    info = reader.probe(path)
    known = bool(info.fps and np.isfinite(info.fps) and info.fps > 0)
    return info._replace(
        num_frames=_count_readable(reader, path, info.num_frames),
        fps=info.fps if known else None)


def _count_readable(reader: BaseVideoReader, path: str, count: int) -> int:
    """Some containers list a frame or two more than can be decoded."""
    error: Exception = VideoReadError('it lists no frame')
    for lost in range(min(TAIL_TOLERANCE + 1, count)):
        try:
            reader.read(path, [count - 1 - lost])
            return count - lost
        except (IndexError, VideoReadError) as e:
            error = e
    raise VideoReadError(f'{path} ends before its {count} frames: '
                         f'{error}') from error
