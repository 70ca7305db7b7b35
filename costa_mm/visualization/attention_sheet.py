# Copyright (c) costa_mm authors. All rights reserved.
"""Where a model looks, when, and what it answers, on one picture."""
from typing import Optional, Sequence

import cv2
import numpy as np

from costa_mm.utils.frames import FrameClock
from .contact_sheet import contact_sheet, pick_frames
from .tracks import TubeTrack


def pick_sampled(frame_ids: Sequence[int],
                 tracks: Sequence[TubeTrack],
                 num_frames: int,
                 num_tiles: int = 8) -> np.ndarray:
    """Sampled frames worth showing: see :func:`pick_frames`.

    Args:
        frame_ids (Sequence[int]): Frames that the model looked at, (T, ).
        tracks (Sequence[:obj:`TubeTrack`]): What will be drawn.
        num_frames (int): Length of the video in frames.
        num_tiles (int): Number of frames wanted.

    Returns:
        np.ndarray: Increasing indices into ``frame_ids``, int64.
    """
    wanted = pick_frames(num_frames, tracks, num_tiles)
    ids = np.asarray(frame_ids)
    return np.unique(np.abs(ids[:, None] - wanted).argmin(0))


def attention_sheet(frames: Sequence[np.ndarray],
                    frame_ids: Sequence[int],
                    attention: np.ndarray,
                    tracks: Sequence[TubeTrack],
                    *,
                    num_frames: int,
                    fps: Optional[FrameClock] = None,
                    timeline: Optional[np.ndarray] = None,
                    tile_width: int = 220) -> np.ndarray:
    """Frames with their tubes, the same with attention, and a timeline.

    The figure that the paper shows as its Fig. 6, for one sentence: a row of
    frames with boxes, below it the attention maps of the spatial decoder on
    the same frames, below that the span distributions. One scale of colours
    serves all frames, so that strong and weak attention can be compared.

    Args:
        frames (Sequence[np.ndarray]): RGB frames, (H, W, 3), uint8, K of
            them.
        frame_ids (Sequence[int]): Their numbers in the video.
        attention (np.ndarray): Weights of their cells, (K, h, w).
        tracks (Sequence[:obj:`TubeTrack`]): Truth, prediction or both.
        num_frames (int): Length of the video in frames.
        fps (float or np.ndarray, optional): Frames per second, or when
            each frame is shown (``FrameClock``), for the tiles' times.
        timeline (np.ndarray, optional): From :func:`plot_timeline`.
        tile_width (int): Width of a tile in pixels.

    Returns:
        np.ndarray: RGB picture, uint8.

    Raises:
        ValueError: If there is not one map per frame.
    """
    if len(attention) != len(frames):
        raise ValueError(f'{len(frames)} frames with {len(attention)} '
                         'attention maps')
    layout = dict(num_frames=num_frames, fps=fps, columns=len(frames),
                  tile_width=tile_width)
    unnamed = [TubeTrack(t.tube, '', '', t.color, t.dashed) for t in tracks]
    rows = [
        contact_sheet(frames, frame_ids, tracks, **layout),
        contact_sheet(frames, frame_ids, unnamed, attention=attention,
                      **layout)
    ]
    if timeline is not None:
        rows.append(_fit_width(timeline, rows[0].shape[1]))
    return np.concatenate(rows)


def _fit_width(picture: np.ndarray, width: int) -> np.ndarray:
    """Shrink a picture to a width, or centre it on it."""
    height, own = picture.shape[:2]
    if own > width:
        size = (width, max(1, round(height * width / own)))
        return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    left = (width - own) // 2
    return cv2.copyMakeBorder(
        picture, 0, 0, left, width - own - left, cv2.BORDER_CONSTANT,
        value=(255, 255, 255))
