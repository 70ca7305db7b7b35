# Copyright (c) costa_mm authors. All rights reserved.
"""Videos that browsers play.

pip's OpenCV cannot write H.264, so PyAV does.
"""
import os
from fractions import Fraction
from typing import Callable, Iterable, Iterator, Mapping, Optional, Union

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

from costa_mm.utils import atomic_path
from costa_mm.utils.parallel import prefetch

MAX_DENOMINATOR = 10000
#: As good to the eye as x264's "superfast", two thirds of its time.
WEB_OPTIONS = dict(preset='ultrafast')
WEB_OPTIONS['x264-params'] = (
    'bframes=3:no-deblock=0:aq-mode=1:b-adapt=0:sync-lookahead=0')
#: Frames that x264 works on while the next is drawn; the same everywhere, or
#: the file would depend on the machine.
WEB_THREADS = 2


def write_video(path: Union[str, os.PathLike],
                frames: Iterable[np.ndarray],
                fps: float,
                *,
                crf: int = 22,
                preset: Optional[str] = None,
                options: Optional[Mapping[str, str]] = None,
                web: bool = True,
                progress: Optional[Callable[[int], object]] = None) -> int:
    """Write frames as H.264 in an MP4 file.

    The file appears under its name when it is complete: an interrupted run
    leaves no half video.

    Args:
        path (str | os.PathLike): File to write, ending in ``.mp4``.
        frames (Iterable[np.ndarray]): RGB, (H, W, 3), uint8, all of one size;
            an odd row or column at the edge is cut off.
        fps (float): Frames per second.
        crf (int): Quality, from 0 (lossless) to 51.
        preset (str, optional): Speed of x264; by default ``WEB_OPTIONS`` for
            people, else "superfast".
        options (Mapping[str, str], optional): Further options of x264.
        web (bool): For people: the index stands first, so that a browser
            plays the file while it loads, the file names its colours, and
            OpenCV converts them, which is twice as fast.  Otherwise the file
            is what FFmpeg makes of the frames without being told anything.
        progress (Callable, optional): Told before every frame how many are
            encoded.  ``frames`` are made ahead, by another thread.

    Returns:
        int: Number of frames written.

    Raises:
        ValueError: If there are no frames, they differ in size, the rate is
            not positive or the name does not end in ``.mp4``.
    """
    path = os.fspath(path)
    if not path.lower().endswith('.mp4'):
        raise ValueError(f'{path}: the name of a video must end in .mp4')
    if not fps > 0:
        raise ValueError(f'{path}: {fps} frames per second')
    speed = WEB_OPTIONS if web and preset is None else dict(
        preset=preset or 'superfast')
    codec = {**speed, **(options or {}), 'crf': str(crf)}
    with atomic_path(path) as part:
        return _encode(part, frames, fps, codec, web, progress)


def _encode(path: str, frames: Iterable[np.ndarray], fps: float,
            codec: dict, web: bool,
            progress: Optional[Callable[[int], object]]) -> int:
    rate = Fraction(fps).limit_denominator(MAX_DENOMINATOR)
    muxer = dict(movflags='+faststart') if web else {}
    stream, count = None, 0
    made = prefetch(_converted(frames, web))
    with av.open(path, 'w', format='mp4', options=muxer) as container:
        for count, frame in enumerate(made, 1):
            if progress is not None:
                progress(count - 1)
            if stream is None:
                stream = _add_stream(container, frame, rate, codec, web)
            container.mux(stream.encode(frame))
        if stream is None:
            raise ValueError(f'{path}: no frames to write')
        container.mux(stream.encode(None))
    return count


def _converted(frames: Iterable[np.ndarray],
               web: bool) -> Iterator[av.VideoFrame]:
    shape = None
    for i, frame in enumerate(frames):
        if shape is None:
            shape = frame.shape
            if len(shape) != 3 or shape[2] != 3 or min(shape[:2]) < 2:
                raise ValueError(f'a frame of shape {shape} is not (H, W, 3) '
                                 'with at least 2 x 2 pixels')
        if frame.shape != shape:
            raise ValueError(f'frame {i} is {frame.shape}, those before it '
                             f'are {shape}')
        even = np.ascontiguousarray(frame[:shape[0] // 2 * 2,
                                          :shape[1] // 2 * 2])
        yield _to_yuv(even) if web else _to_frame(even, 'rgb24')


def _to_frame(picture: np.ndarray, layout: str) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(picture, format=layout)


def _to_yuv(picture: np.ndarray) -> av.VideoFrame:
    frame = _to_frame(cv2.cvtColor(picture, cv2.COLOR_RGB2YUV_I420), 'yuv420p')
    frame.colorspace, frame.color_range = Colorspace.ITU601, ColorRange.MPEG
    return frame


def _add_stream(container, frame: av.VideoFrame, rate: Fraction,
                options: dict, web: bool):
    stream = container.add_stream('libx264', rate=rate, options=options)
    stream.height, stream.width = frame.height, frame.width
    stream.pix_fmt = 'yuv420p'  # the only layout that every browser plays
    if web:  # OpenCV's; for large pictures a player would guess others
        stream.codec_context.colorspace = Colorspace.ITU601
        stream.codec_context.color_range = ColorRange.MPEG
        # PyAV asks for slices, for which the caller has to wait
        stream.codec_context.thread_type = 'FRAME'
        stream.codec_context.thread_count = WEB_THREADS
    return stream
