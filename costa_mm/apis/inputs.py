# Copyright (c) costa_mm authors. All rights reserved.
"""What people hand to the inferencer, checked and made uniform."""
import numbers
import os
import re
from dataclasses import dataclass, replace
from itertools import islice
from typing import Iterator, List, Optional, Sequence, Set, Tuple, Union

import numpy as np

from costa_mm.datasets.annotation_files import VIDEO_SUFFIXES
from costa_mm.datasets.readers import (BaseVideoReader, VideoInfo,
                                       VideoReadError)
from costa_mm.utils.files import check_name

Video = Union[str, os.PathLike, np.ndarray, Sequence[np.ndarray]]
Videos = Union[Video, Sequence[Video]]
Sentences = Union[str, Sequence[str], Sequence[Sequence[str]]]

TAIL_TOLERANCE = 3


def check_number(name: str,
                 value: object,
                 low: Optional[float] = None,
                 high: float = float('inf'),
                 whole: bool = False) -> None:
    """Refuse what is no number, or one out of range.

    Args:
        name (str): Name of the argument, for the message.
        value (object): What was given.
        low (float, optional): Lowest value; by default anything above 0.
        high (float): Highest value.
        whole (bool): Whether it must be a whole number.

    Raises:
        TypeError: If it is no number.
        ValueError: If it is out of range.
    """
    kind = numbers.Integral if whole else numbers.Real
    wanted = f"a {'whole ' if whole else ''}number"
    if not isinstance(value, kind) or isinstance(value, bool):
        raise TypeError(f'{name} is {wanted}, not {value!r} '
                        f'({type(value).__name__})')
    if low is None:
        limits, fits = 'positive', 0 < value < float('inf')
    else:
        limits, fits = f'at least {low:g}', low <= value <= high
        if high < float('inf'):
            limits += f' and at most {high:g}'
    if not fits:
        raise ValueError(f'{name} must be {limits}, not {value}')


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
class VideoSource:
    """One video, wherever it comes from, and its sentences.

    Args:
        name (str): Unique in a call, good as a file name.
        path (str): The file, or a name for frames in memory.
        reader (:obj:`BaseVideoReader`): Reads its frames.
        info (:obj:`VideoInfo`): Length, rate (None if not known) and size.
        sentences (tuple[str]): One or more.
        seconds (np.ndarray, optional): When each frame is shown and when the
            last one ends, (num_frames + 1, ); None if the rate is not known.
    """

    name: str
    path: str
    reader: BaseVideoReader
    info: VideoInfo
    sentences: tuple
    seconds: Optional[np.ndarray] = None

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

    def record(self) -> dict:
        """What a dataset would say of the video, without truth."""
        return dict(
            sample_id=self.name,
            video_path=self.path,
            video_id=self.name,
            sentence=self.sentences[0],
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


def list_videos(inputs: Videos) -> List[Union[str, np.ndarray]]:
    """Tell videos from frames and open folders.

    Args:
        inputs: A path, a folder, frames (T, H, W, 3), a list of frames
            (H, W, 3), or a list of paths, folders and frame arrays.

    Returns:
        list[str | np.ndarray]: Paths of files and (T, H, W, 3) arrays.

    Raises:
        FileNotFoundError: If a file or folder is missing, or a folder holds
            no video.
        TypeError: If it is something else.
        ValueError: If frames are not RGB pictures of bytes, or there are no
            inputs.
    """
    if isinstance(inputs, (str, os.PathLike)):
        return _from_path(inputs)
    if isinstance(inputs, np.ndarray):
        return [_check_frames(inputs)]
    if not isinstance(inputs, Sequence) or isinstance(inputs, bytes):
        raise TypeError(
            'a video is a path (text or pathlib), a folder, frames '
            f'(T, H, W, 3) or a list of those, not {type(inputs).__name__}')
    if not len(inputs):
        raise ValueError('the list of videos is empty')
    if all(isinstance(i, np.ndarray) and i.ndim == 3 for i in inputs):
        return [_stack(inputs)]
    return [video for item in inputs for video in list_videos(item)]


def _from_path(path: Union[str, os.PathLike]) -> List[str]:
    path = os.path.expanduser(text_path('a video', path))
    if os.path.isfile(path):
        return [path]
    if not os.path.isdir(path):
        raise FileNotFoundError(f'there is no video file or folder {path}')
    found = sorted(
        entry.path for entry in os.scandir(path)
        if entry.is_file() and not entry.name.startswith('.') and
        entry.name.lower().endswith(VIDEO_SUFFIXES))
    if not found:
        raise FileNotFoundError(f'the folder {path} holds no video '
                                f'({", ".join(VIDEO_SUFFIXES)})')
    return found


def text_path(name: str, path: Union[str, os.PathLike]) -> str:
    """A path as text.

    Args:
        name (str): Name of the argument, for the message.
        path (str | os.PathLike): What was given.

    Raises:
        TypeError: If it is no path, or one of bytes.
        ValueError: If no file can have this name.
    """
    text = os.fspath(path) if isinstance(path, os.PathLike) else path
    if not isinstance(text, str):
        hint = '; use os.fsdecode(path)' if isinstance(text, bytes) else ''
        raise TypeError(f'{name} is a path (text or pathlib), not '
                        f'{type(text).__name__}{hint}')
    check_name(text)
    return text


def _stack(frames: Sequence[np.ndarray]) -> np.ndarray:
    shapes = {frame.shape for frame in frames}
    if len(shapes) > 1:
        raise ValueError('the frames of a video must be of one size, not '
                         f'{sorted(shapes)}')
    return _check_frames(np.stack(frames))


def _check_frames(frames: np.ndarray) -> np.ndarray:
    if frames.ndim != 4 or frames.shape[-1] != 3 or 0 in frames.shape:
        raise ValueError('frames are an RGB array (T, H, W, 3), not of shape '
                         f'{frames.shape}')
    if frames.dtype != np.uint8:
        raise ValueError('frames are uint8 with values from 0 to 255, not '
                         f'{frames.dtype}')
    return frames


def match_sentences(sentences: Sentences, num_videos: int) -> List[tuple]:
    """The sentences of every video.

    Args:
        sentences: One sentence, or several, for every video; or one list of
            sentences per video.
        num_videos (int): Number of videos.

    Returns:
        list[tuple[str]]: One per video, none empty.

    Raises:
        TypeError: If a sentence is not text.
        ValueError: If a sentence is empty, or the lists do not fit the
            videos.
    """
    if isinstance(sentences, str):
        sentences = [sentences]
    if not isinstance(sentences, Sequence) or isinstance(sentences, bytes):
        raise TypeError('sentences are text or a list of texts, not a '
                        f'{type(sentences).__name__}')
    if not len(sentences):
        raise ValueError('no sentence given')
    if not any(_is_list(s) for s in sentences):
        return [_check_sentences(sentences)] * num_videos
    if len(sentences) != num_videos:
        raise ValueError(f'{len(sentences)} lists of sentences for '
                         f'{num_videos} videos')
    return [_check_sentences(s if _is_list(s) else [s]) for s in sentences]


def _is_list(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))


def _check_sentences(sentences: Sequence[str]) -> tuple:
    if not sentences:
        raise ValueError('a video has no sentence')
    for i, sentence in enumerate(sentences):
        if not isinstance(sentence, str):
            raise TypeError(f'sentence {i} is a {type(sentence).__name__}, '
                            'not text')
        if any('\ud800' <= c <= '\udfff' for c in sentence):
            raise ValueError(
                f'sentence {i} is no text: {sentence!r} holds half of a '
                'surrogate pair; was it read with the right encoding?')
        if not sentence.strip():
            raise ValueError(f'sentence {i} is empty: say in words what to '
                             'look for, e.g. "the man in red opens the door"')
    return tuple(' '.join(s.split()) for s in sentences)


def make_sources(inputs: Videos,
                 sentences: Sentences,
                 reader: BaseVideoReader,
                 fps: Optional[float] = None) -> List[VideoSource]:
    """Check everything a person handed over, before anything is computed.

    Args:
        inputs: See :func:`list_videos`.
        sentences: See :func:`match_sentences`.
        reader (:obj:`BaseVideoReader`): Reads video files.
        fps (float, optional): Frame rate of frames in memory.

    Returns:
        list[:obj:`VideoSource`]: One per video.

    Raises:
        ValueError: Also if a file is no video that can be decoded.
    """
    if fps is not None:
        check_number('fps', fps)
    videos = list_videos(inputs)
    taken: Set[str] = set()
    sources = []
    for video, texts in zip(videos, match_sentences(sentences, len(videos))):
        if isinstance(video, str):
            path, use = video, reader
            name = os.path.splitext(os.path.basename(video))[0]
        else:
            path, use = f'frames_{len(sources)}', ArrayReader(video, fps)
            name = path
        info = _probe(use, path)
        seconds = use.times(path)[:info.num_frames + 1] if info.fps else None
        source = _unique(
            VideoSource(_safe(name), path, use, info, texts, seconds), taken)
        taken |= source.names()
        sources.append(source)
    return sources


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


def _safe(name: str) -> str:
    """A file name of any script, without characters that break paths."""
    return re.sub(r'[^\w.-]+', '_', name)[:100] or 'video'


def _unique(source: VideoSource, taken: Set[str]) -> VideoSource:
    """The source under a name with which nothing of it is taken already."""
    number, candidate = 1, source
    while candidate.names() & taken:
        number += 1
        candidate = replace(source, name=f'{source.name}-{number}')
    return candidate
