# Copyright (c) costa_mm authors. All rights reserved.
"""Contact sheets: sentences, frames and true boxes for people to look at."""
import os
from typing import Dict, Sequence, Union

import cv2
import numpy as np

from .video import read_video

_PAPER, _INK = (250, 250, 248), (30, 32, 38)
_EVENT, _REST = (46, 196, 120), (150, 152, 158)
_BOX = (255, 255, 255)


def draw_row(frames: Sequence[np.ndarray],
             entry: dict,
             *,
             title: str = '',
             num_columns: int = 10,
             tile: int = 128) -> np.ndarray:
    """One sample as a strip, RGB uint8.

    Frames of the event have a green frame and the true box; the bar below
    shows the event on the whole clip.

    Args:
        frames (Sequence[np.ndarray]): All frames of the video, RGB.
        entry (dict): Its annotation in the HC-STVG v1 schema.
        title (str): Goes before the sentence.
        num_columns (int): Frames shown, evenly spaced.
        tile (int): Width of a shown frame in pixels.
    """
    picks = np.linspace(0, len(frames) - 1, num_columns).round().astype(int)
    tiles = [_draw_tile(frames[i], i, entry, tile) for i in picks]
    strip = np.concatenate(tiles, 1)
    head = np.full((26, strip.shape[1], 3), _PAPER, np.uint8)
    cv2.putText(head, f'{title}{entry["caption"]}', (4, 19),
                cv2.FONT_HERSHEY_SIMPLEX, 0.5, _INK, 1, cv2.LINE_AA)
    bar = np.full((10, strip.shape[1], 3), _PAPER, np.uint8)
    scale = strip.shape[1] / entry['img_num']
    first = entry['st_frame'] - 1
    last = first + len(entry['bbox'])
    bar[3:7] = _REST
    bar[1:9, int(first * scale):int(last * scale)] = _EVENT
    return np.concatenate([head, strip, bar])


def _draw_tile(frame: np.ndarray, index: int, entry: dict,
               tile: int) -> np.ndarray:
    scale = tile / frame.shape[1]
    height = round(frame.shape[0] * scale)
    out = cv2.resize(frame, (tile, height), interpolation=cv2.INTER_CUBIC)
    k = index - entry['st_frame'] + 1
    inside = 0 <= k < len(entry['bbox'])
    if inside:
        x, y, w, h = (round(c * scale) for c in entry['bbox'][k])
        cv2.rectangle(out, (x, y), (x + w - 1, y + h - 1), _BOX, 1)
    edge = 3 if inside else 1
    cv2.rectangle(out, (0, 0), (tile - 1, height - 1),
                  _EVENT if inside else _REST, edge)
    cv2.putText(out, str(index), (6, height - 7), cv2.FONT_HERSHEY_SIMPLEX,
                0.36, (235, 235, 235), 1, cv2.LINE_AA)
    return out


def write_contact_sheet(path: Union[str, os.PathLike],
                        entries: Dict[str, dict],
                        video_dir: Union[str, os.PathLike],
                        *,
                        num_rows: int = 12) -> None:
    """Write a sheet with samples spread evenly over a split.

    Args:
        path (str | os.PathLike): Goal, a .png file.
        entries (dict): Annotations in the HC-STVG v1 schema.
        video_dir (str | os.PathLike): Folder of their videos.
        num_rows (int): Most samples shown.

    Raises:
        FileNotFoundError: If a video is missing.
        ValueError: If there is nothing to show.
    """
    names = list(entries)
    if not names:
        raise ValueError(f'no samples to draw on {path}')
    count = min(num_rows, len(names))
    picks = np.linspace(0, len(names) - 1, count).round().astype(int)
    rows = []
    for i in picks:
        video = os.path.join(os.fspath(video_dir), names[i])
        if not os.path.exists(video):
            raise FileNotFoundError(f'no video {video}')
        frames = list(read_video(video))
        rows.append(draw_row(frames, entries[names[i]], title=f'{i}: '))
    sheet = np.concatenate(rows)
    if not cv2.imwrite(os.fspath(path), sheet[..., ::-1]):
        raise OSError(f'cannot write {path}')
