# Copyright (c) costa_mm authors. All rights reserved.
"""Which frames of a video are sampled, and when they are shown."""
from typing import Optional, Union

import numpy as np

#: Frames per second, or when each frame is shown and when the last one ends,
#: seconds, (N + 1, ).
FrameClock = Union[float, np.ndarray]


def seconds_at(frames: Union[float, np.ndarray],
               clock: FrameClock) -> Union[float, np.ndarray]:
    """When frames are shown, in seconds after the first one.

    Args:
        frames (float or np.ndarray): Numbers from 0, fractions allowed.
        clock (float or np.ndarray): See ``FrameClock``.
    """
    if np.ndim(clock) == 0:
        return frames / clock
    return np.interp(frames, np.arange(len(clock)), clock)


def frames_at(seconds: Union[float, np.ndarray],
              clock: FrameClock) -> Union[float, np.ndarray]:
    """The inverse of :func:`seconds_at`."""
    if np.ndim(clock) == 0:
        return seconds * clock
    return np.interp(seconds, clock, np.arange(len(clock)))


def keeps_rate(seconds: np.ndarray, fps: Optional[float],
               tolerance: float) -> bool:
    """Whether the frame rate alone says when frames are shown.

    Args:
        seconds (np.ndarray): When they are shown, (N + 1, ).
        fps (float, optional): Frames per second; None says nothing.
        tolerance (float): Seconds that a frame may be off.
    """
    if not fps:
        return False
    off = np.abs(seconds - np.arange(len(seconds)) / fps)
    return bool(off.max() <= tolerance)


def uniform_ids(start: int, end: int, num_frames: int) -> np.ndarray:
    """Frames at equal distances, first and last included.

    Args:
        start (int): First candidate.
        end (int): Candidate after the last one.
        num_frames (int): Frames wanted; fewer candidates are all taken.

    Returns:
        np.ndarray: Increasing frames, (T, ), int64.
    """
    count = end - start
    if count <= num_frames:
        return np.arange(start, end, dtype=np.int64)
    return start + np.linspace(0, count - 1, num_frames).astype(np.int64)


def subsample(start: int,
              end: int,
              source_fps: float,
              fps: float,
              max_frames: Optional[int] = None,
              keep_last: bool = False) -> np.ndarray:
    """Frames at a lower rate.

    A candidate f is kept when int(f * r) grows over that of the frame kept
    before it, r being ``fps / source_fps``: the rule of the published
    HC-STVG loaders, and of TubeDETR's evaluator (with ``max_frames``).

    Args:
        start (int): First candidate, always kept.
        end (int): Candidate after the last one; there may be none.
        source_fps (float): Frame rate of the video.
        fps (float): Rate wanted.
        max_frames (int, optional): Of more frames, so many are picked evenly.
        keep_last (bool): Also keep the last candidate, also among the
            ``max_frames`` (if these are two or more).

    Returns:
        np.ndarray: Increasing frames, (T, ), int64.
    """
    candidates = np.arange(start, end, dtype=np.int64)
    ticks = (candidates * (fps / source_fps)).astype(np.int64)
    keep = np.ones(len(candidates), dtype=bool)
    keep[1:] = ticks[1:] > ticks[:-1]
    if keep_last:
        keep[-1:] = True
    ids = candidates[keep]
    if max_frames is not None and len(ids) > max_frames:
        picks = np.arange(max_frames) * len(ids) // max_frames
        if keep_last:
            picks = uniform_ids(0, len(ids), max_frames)
        ids = ids[picks]
    return ids
