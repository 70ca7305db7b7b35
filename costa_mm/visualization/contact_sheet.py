# Copyright (c) costa_mm authors. All rights reserved.
"""A video with its tubes on one picture."""
from typing import Iterable, Optional, Sequence, Tuple

import cv2
import numpy as np

from costa_mm.utils.frames import FrameClock, seconds_at
from .attention import overlay_attention
from .caption import BACKGROUND, TEXT, blank_strip, caption_strip
from .painter import TubePainter
from .text import line_height, put_text
from .tracks import TubeTrack

FONT = 15
GAP = 6
TILE_WIDTH = 320  # in pixels
MAX_HEIGHT = 2.5  # of a tile, in its widths


def pick_frames(num_frames: int,
                tracks: Sequence[TubeTrack],
                num_tiles: int = 12) -> np.ndarray:
    """Frames worth showing: first and last of the video and of each span.

    What remains is spread over the largest gaps.

    Args:
        num_frames (int): Length of the video in frames.
        tracks (Sequence[:obj:`TubeTrack`]): Their spans' ends are included,
            as far as there is room.
        num_tiles (int): Number of frames wanted.

    Returns:
        np.ndarray: Increasing frame numbers, int64, at most ``num_tiles``.
    """
    ends = [
        f for t in tracks if t.tube.span is not None
        for f in (t.tube.span[0], t.tube.span[1] - 1)
    ]
    wanted = dict.fromkeys(f for f in (0, num_frames - 1, *ends)
                           if f < num_frames)
    picked = sorted(list(wanted)[:num_tiles])
    while len(picked) < min(num_tiles, num_frames):
        gap = int(np.diff(picked).argmax())
        picked.insert(gap + 1, (picked[gap] + picked[gap + 1]) // 2)
    return np.array(picked, dtype=np.int64)


def tile_painter(frame_shape: Tuple[int, int],
                 num_frames: int,
                 tracks: Sequence[TubeTrack],
                 tile_width: int = TILE_WIDTH) -> TubePainter:
    """Draws the tiles of a contact sheet; its ``fit`` makes them small.

    Args:
        frame_shape (tuple[int, int]): Height and width of the video.
        num_frames (int): Length of the video in frames.
        tracks (Sequence[:obj:`TubeTrack`]): What to draw.
        tile_width (int): Width of a tile in pixels.
    """
    height, width = frame_shape
    return TubePainter(
        frame_shape=frame_shape,
        num_frames=num_frames,
        tracks=tracks,
        scale=tile_width * min(1 / width, MAX_HEIGHT / height),
        caption=False)


def contact_sheet(frames: Sequence[np.ndarray],
                  frame_ids: Sequence[int],
                  tracks: Sequence[TubeTrack],
                  *,
                  num_frames: int,
                  fps: Optional[FrameClock] = None,
                  columns: int = 4,
                  tile_width: int = TILE_WIDTH,
                  painter: Optional[TubePainter] = None,
                  attention: Optional[np.ndarray] = None) -> np.ndarray:
    """Tiles of some frames with their boxes, under the sentences.

    A tile inside a span has a bar in the tube's colour below it, so that the
    span is seen at a glance.

    Args:
        frames (Sequence[np.ndarray]): RGB frames, (H, W, 3), uint8.
        frame_ids (Sequence[int]): Their numbers in the video.
        tracks (Sequence[:obj:`TubeTrack`]): What to draw.
        num_frames (int): Length of the video in frames.
        fps (float or np.ndarray, optional): Frames per second, or when
            each frame is shown (``FrameClock``), for the tiles' times.
        columns (int): Tiles in a row.
        tile_width (int): Width of a tile in pixels; a tall frame is shrunk
            to ``MAX_HEIGHT`` widths and stands in the middle.
        painter (:obj:`TubePainter`, optional): From :func:`tile_painter`,
            where it has fitted the frames already.
        attention (np.ndarray, optional): Weights that are laid over the
            frames, (T, h, w), all on one scale.

    Returns:
        np.ndarray: RGB picture, uint8.

    Raises:
        ValueError: If there are no frames or not one number per frame.
    """
    if not len(frames) or len(frames) != len(frame_ids):
        raise ValueError(f'{len(frames)} frames with {len(frame_ids)} numbers')
    pictures: Iterable[np.ndarray] = frames
    if painter is None:
        painter = tile_painter(frames[0].shape[:2], num_frames, tracks,
                               tile_width)
        pictures = map(painter.fit, frames)
    if attention is not None:
        top = float(np.max(attention))
        pictures = (
            overlay_attention(picture, weights, vmax=top)
            for picture, weights in zip(pictures, attention))
    tiles = [
        _tile(painter, picture, int(i), fps, tile_width)
        for picture, i in zip(pictures, frame_ids)
    ]
    blank = np.full_like(tiles[0], BACKGROUND)
    columns = min(columns, len(tiles))
    tiles += [blank] * (-len(tiles) % columns)
    rows = [
        _join(tiles[i:i + columns], axis=1)
        for i in range(0, len(tiles), columns)
    ]
    sheet = cv2.copyMakeBorder(
        _join(rows, axis=0), 0, GAP, 0, GAP, cv2.BORDER_CONSTANT,
        value=BACKGROUND)
    head = caption_strip(tracks, sheet.shape[1], FONT)
    return np.concatenate([head, sheet])


def _tile(painter: TubePainter, picture: np.ndarray, frame_id: int,
          fps: Optional[FrameClock], width: int) -> np.ndarray:
    picture = picture.copy()
    painter.paint(picture, frame_id)
    spare = max(0, width - picture.shape[1])
    picture = cv2.copyMakeBorder(
        picture, 0, 0, spare // 2, spare - spare // 2, cv2.BORDER_CONSTANT,
        value=BACKGROUND)
    height = line_height(FONT)
    foot = blank_strip(height, picture.shape[1])
    text = f'{frame_id}'
    if fps is not None:
        text += f'  {seconds_at(frame_id, fps):.2f} s'
    put_text(foot, text, (2, 0), FONT, TEXT)
    for i, track in enumerate(painter.tracks):
        if track.is_inside(frame_id):
            left = picture.shape[1] - (len(painter.tracks) - i) * 34
            cv2.rectangle(foot, (left, 4), (left + 28, height - 5),
                          track.color, -1)
    return np.concatenate([picture, foot])


def _join(pictures: Sequence[np.ndarray], axis: int) -> np.ndarray:
    """Put pictures side by side with a gap around each."""
    padded = [
        cv2.copyMakeBorder(
            p, *((GAP, 0, 0, 0) if axis == 0 else (0, 0, GAP, 0)),
            cv2.BORDER_CONSTANT, value=BACKGROUND) for p in pictures
    ]
    return np.concatenate(padded, axis=axis)
