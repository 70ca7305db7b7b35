# Copyright (c) costa_mm authors. All rights reserved.
"""What people hand to the inferencer, checked and made uniform."""
import numbers
import os
import re
from dataclasses import replace
from itertools import count, islice
from typing import (Dict, Iterable, Iterator, List, Optional, Sequence, Set,
                    Tuple, Union)
from urllib.parse import urlsplit
from urllib.request import url2pathname

import cv2
import numpy as np
from PIL import Image
from torch import Tensor

from costa_mm.datasets.annotation_files import VIDEO_SUFFIXES
from costa_mm.datasets.readers import BaseVideoReader
from costa_mm.utils.files import check_name
from .fetching import fetched_path, is_address
from .sources import VideoRequest, VideoSource, open_source

Picture = Union[np.ndarray, Tensor, Image.Image]
Video = Union[str, os.PathLike, np.ndarray, Tensor, Sequence[Picture]]
Videos = Union[Video, Sequence[Video]]
Sentences = Union[str, Sequence[str], Sequence[Sequence[str]]]


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


def list_videos(inputs: Videos) -> List[Union[str, np.ndarray]]:
    """Tell videos from frames and open folders.

    Args:
        inputs: A path, an address (``file://``, ``http://``, ``https://``), a
            folder, frames, or a list of paths, addresses, folders and frame
            arrays.  Frames are an array (T, H, W, 3), a tensor (T, 3, H, W)
            or (T, H, W, 3), or a list of arrays (H, W, 3) or of PIL images.

    Returns:
        list[str | np.ndarray]: Paths of files, http(s) addresses, of which
        nothing is fetched yet, and (T, H, W, 3) arrays.

    Raises:
        FileNotFoundError: If a file or folder is missing, or a folder holds
            no video.
        TypeError: If it is something else.
        ValueError: If frames are not RGB pictures of bytes, or there are no
            inputs.
    """
    if isinstance(inputs, (str, os.PathLike)):
        return _from_path(inputs)
    if isinstance(inputs, (np.ndarray, Tensor)):
        return [_check_frames(_to_array(inputs))]
    if not isinstance(inputs, Sequence) or isinstance(inputs, bytes):
        raise TypeError(
            'a video is a path (text or pathlib), an address, a folder, '
            'frames (T, H, W, 3) or a list of those, not '
            f'{type(inputs).__name__}; generators of frames and cameras go '
            'to live(...)')
    if not len(inputs):
        raise ValueError('the list of videos is empty')
    if all(_is_picture(i) for i in inputs):
        return [_stack([_to_array(i) for i in inputs])]
    return [video for item in inputs for video in list_videos(item)]


def _is_picture(item: object) -> bool:
    """Whether it is one frame, (H, W, 3) or a PIL image."""
    return isinstance(item, Image.Image) or (
        isinstance(item, (np.ndarray, Tensor)) and item.ndim == 3)


def _to_array(frames: Picture) -> np.ndarray:
    """Frames of other libraries as NumPy has them, channels last."""
    if isinstance(frames, Image.Image):
        return np.asarray(frames.convert('RGB'))
    if isinstance(frames, Tensor):
        frames = frames.detach().cpu().numpy()
        if frames.shape[-1:] != (3, ) and frames.shape[-3:-2] == (3, ):
            frames = np.ascontiguousarray(np.moveaxis(frames, -3, -1))
    return frames


def _from_path(path: Union[str, os.PathLike]) -> List[str]:
    path = text_path('a video', path)
    if is_address(path):
        return [path]
    if path.startswith('file://'):
        path = url2pathname(urlsplit(path).path)
    path = os.path.expanduser(path)
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


def make_requests(inputs: Videos,
                  sentences: Sentences,
                  taken: Iterable[str] = ()) -> List[VideoRequest]:
    """Give every video its sentences and a name of its own.

    The names depend on the list alone, so the same list gets the same names
    in every process and at every start.

    Args:
        inputs: See :func:`list_videos`.
        sentences: See :func:`match_sentences`.
        taken (Iterable[str]): Names that nothing may have.

    Raises:
        FileNotFoundError, TypeError, ValueError: See both.
    """
    videos = list_videos(inputs)
    return name_requests(
        zip(videos, match_sentences(sentences, len(videos))), taken)


def listed_requests(entries: Iterable[Tuple[str, tuple]],
                    taken: Iterable[str] = ()) -> List[VideoRequest]:
    """Videos of a list, of which some may be missing.

    Args:
        entries: Path, address or folder, and its sentences, checked.
        taken (Iterable[str]): Names that nothing may have.

    Returns:
        list[:obj:`VideoRequest`]: What is missing has its ``problem``.
    """
    videos: List[Tuple[str, tuple]] = []
    problems: Dict[str, OSError] = {}
    for path, texts in entries:
        try:
            videos += [(video, texts) for video in list_videos(path)]
        except OSError as e:
            problems[path] = e
            videos.append((path, texts))
    return [replace(r, problem=problems.get(r.path))
            for r in name_requests(videos, taken)]


def name_requests(videos: Iterable[Tuple[Union[str, np.ndarray], tuple]],
                  taken: Iterable[str] = ()) -> List[VideoRequest]:
    """Give every video a name of its own.

    Args:
        videos: Path, address or frames (T, H, W, 3), and the sentences.
        taken (Iterable[str]): Names that nothing may have.
    """
    names = set(taken)
    requests = []
    for video, texts in videos:
        if isinstance(video, str):
            address = video if is_address(video) else None
            path = fetched_path(address) if address else video
            stem = os.path.splitext(os.path.basename(path))[0]
            request = VideoRequest(_safe(stem), path, texts, address=address)
        else:
            name = f'frames_{len(requests)}'
            request = VideoRequest(name, name, texts, video)
        requests.append(_unique(request, names))
        names |= requests[-1].names()
    return requests


def live_requests(
    source: Union[int, Iterable[np.ndarray]],
    sentences: Sentences,
    fps: Optional[float] = None,
    seconds: float = 20.
) -> Tuple[Iterator[VideoRequest], float]:
    """Cut frames that keep coming into videos.

    Args:
        source (int or Iterable[np.ndarray]): Number of a camera, or frames
            (H, W, 3), RGB, uint8.
        sentences: One sentence, or several.
        fps (float, optional): Frames per second; default: the camera's.
        seconds (float): Length of a video.

    Returns:
        tuple[Iterator[VideoRequest], float]: Videos as they fill, and the
        rate of their frames.

    Raises:
        OSError: If there is no such camera.
        ValueError: If the rate is not known.
    """
    if isinstance(source, int):
        source, fps = _open_camera(source, fps)
    if fps is None:
        raise ValueError('give the rate of the frames: fps=...')
    check_number('fps', fps)
    check_number('seconds', seconds)
    texts, = match_sentences(sentences, 1)
    return _cut(source, texts, max(1, round(fps * seconds))), fps


def _cut(frames: Iterable[np.ndarray], sentences: tuple,
         length: int) -> Iterator[VideoRequest]:
    frames = iter(frames)
    for number in count():
        piece = [_to_array(frame) for frame in islice(frames, length)]
        if not piece:
            return
        name = f'live_{number}'
        yield VideoRequest(name, name, sentences, _stack(piece))


def _open_camera(
        index: int,
        fps: Optional[float]) -> Tuple[Iterator[np.ndarray], float]:
    """Frames of a camera until it ends, and their rate."""
    camera = cv2.VideoCapture(index)
    if not camera.isOpened():
        raise OSError(f'there is no camera {index}, or it is in use')

    def frames() -> Iterator[np.ndarray]:
        try:
            while True:
                taken, frame = camera.read()
                if not taken:
                    return
                yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
        finally:
            camera.release()

    return frames(), fps or camera.get(cv2.CAP_PROP_FPS) or 25.


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
    return [
        open_source(request, reader, fps)
        for request in make_requests(inputs, sentences)
    ]


def _safe(name: str) -> str:
    """A file name of any script, without characters that break paths."""
    return re.sub(r'[^\w.-]+', '_', name)[:100] or 'video'


def _unique(request: VideoRequest, taken: Set[str]) -> VideoRequest:
    """The request under a name with which nothing of it is taken already."""
    number, candidate = 1, request
    while candidate.names() & taken:
        number += 1
        candidate = replace(request, name=f'{request.name}-{number}')
    return candidate
