# Copyright (c) costa_mm authors. All rights reserved.
"""The strip that holds the sentences, each with its tube's colour."""
from typing import List, Optional, Sequence, Tuple

import cv2
import numpy as np

from .text import line_height, put_text, wrap_text
from .tracks import Color, TubeTrack

BACKGROUND: Color = (24, 26, 30)
TEXT: Color = (232, 234, 238)
MAX_ROWS = 24


def blank_strip(height: int, width: int) -> np.ndarray:
    """An empty strip, (height, width, 3), uint8."""
    return np.full((height, width, 3), BACKGROUND, np.uint8)


def caption_strip(tracks: Sequence[TubeTrack], width: int,
                  font: int) -> np.ndarray:
    """Every sentence, wrapped, behind a square of its tube's colour.

    Args:
        tracks (Sequence[:obj:`TubeTrack`]): Those without a sentence are left
            out, and those for which ``MAX_ROWS`` lines have no room.
        width (int): Width of the strip in pixels.
        font (int): Font size in pixels.

    Returns:
        np.ndarray: RGB, (H, width, 3), uint8, H even; H is 0 where no track
        has a sentence.
    """
    step, margin = line_height(font), font // 2
    rows = _rows(tracks, width - 3 * margin - font, font)
    height = len(rows) * step + 2 * margin if rows else 0
    strip = blank_strip(height + height % 2, width)
    for i, (line, color) in enumerate(rows):
        y = margin + i * step
        if color is not None:
            top, side = y + (step - font) // 2 + 1, font - 3
            cv2.rectangle(strip, (margin, top), (margin + side, top + side),
                          color, -1)
        put_text(strip, line, (2 * margin + font, y), font, TEXT)
    return strip


def _rows(tracks: Sequence[TubeTrack], width: int,
          font: int) -> List[Tuple[str, Optional[Color]]]:
    """Lines of text; the first of every sentence has a colour."""
    told = [track for track in tracks if track.sentence]
    rows: List[Tuple[str, Optional[Color]]] = []
    for i, track in enumerate(told):
        if len(rows) >= MAX_ROWS:
            return rows + [(f'and {len(told) - i} more', None)]
        lines = wrap_text(track.sentence, font, width)
        rows += [(line, None if j else track.color)
                 for j, line in enumerate(lines)]
    return rows
