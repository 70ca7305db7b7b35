# Copyright (c) costa_mm authors. All rights reserved.
"""Text on pictures, in any script that an installed font covers.

OpenCV draws ASCII only, so text is rendered by Pillow.  DejaVu Sans, which
comes with matplotlib, is the default; where it lacks a character of the text,
the fonts of the machine are searched for one that has more of them.
Matplotlib is imported when the first text is drawn.
"""
import warnings
from functools import lru_cache
from typing import FrozenSet, List, Set, Tuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

MAX_CHARACTERS = 600
ELLIPSIS = '…'
_told: Set[int] = set()  # code points of which no font has been found


@lru_cache(maxsize=None)
def _default_font() -> str:
    from matplotlib import font_manager
    return font_manager.findfont('DejaVu Sans')


@lru_cache(maxsize=None)
def _coverage(path: str) -> FrozenSet[int]:
    """Code points that a font file has glyphs for."""
    from matplotlib.ft2font import FT2Font
    try:
        return frozenset(FT2Font(path).get_charmap())
    except (RuntimeError, OSError, ValueError):  # bitmap or broken font
        return frozenset()


@lru_cache(maxsize=256)
def find_font(text: str) -> str:
    """Path of the font that covers most characters of ``text``."""
    wanted = {ord(c) for c in text if not c.isspace()}
    best, missing = _default_font(), wanted - _coverage(_default_font())
    if not missing:
        return best
    from matplotlib import font_manager
    for path in sorted(font_manager.findSystemFonts()):
        lacks = wanted - _coverage(path)
        if len(lacks) < len(missing):
            best, missing = path, lacks
    _tell_missing(missing)
    return best


def _tell_missing(code_points: Set[int]) -> None:
    """Warn, once per character, of those that no font can draw."""
    new = sorted(code_points - _told)
    if new:
        _told.update(new)
        shown = ', '.join(f'{chr(c)!r} (U+{c:04X})' for c in new[:5])
        warnings.warn(
            f'no installed font has {len(new)} characters of a text on a '
            f'picture, empty boxes stand for them: {shown}'
            f'{", ..." if len(new) > 5 else ""}; install a font of that '
            'script, e.g. the package fonts-noto-cjk or fonts-noto-core',
            stacklevel=2)


@lru_cache(maxsize=64)
def _load(path: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, size)


def clean_text(text: str, limit: int = MAX_CHARACTERS) -> str:
    """``text`` on one line, without control characters, of bounded length."""
    text = ' '.join(text[:limit * 4].split())
    text = ''.join(c for c in text if c.isprintable())
    return text if len(text) <= limit else text[:limit - 1] + ELLIPSIS


def text_width(text: str, size: int) -> int:
    """Width of a line of text in pixels."""
    return int(np.ceil(_load(find_font(text), size).getlength(text)))


def line_height(size: int) -> int:
    """Distance between two lines of text in pixels."""
    return int(round(size * 1.35))


def wrap_text(text: str,
              size: int,
              width: int,
              max_lines: int = 3) -> List[str]:
    """Break a text into lines that fit into ``width`` pixels.

    Breaks at spaces; a word that is longer than a line is broken anywhere.

    Args:
        text (str): Any text.
        size (int): Font size in pixels.
        width (int): Room in pixels.
        max_lines (int): Lines to keep; the last ends in an ellipsis where
            something is left out.

    Returns:
        list[str]: At least one line (perhaps empty).
    """
    lines, rest = [], clean_text(text)
    while rest and len(lines) < max_lines:
        line, rest = _split_line(rest, size, width)
        lines.append(line)
    if rest:
        lines[-1] = shorten(lines[-1] + ELLIPSIS, size, width)
    return lines or ['']


def _split_line(text: str, size: int, width: int) -> Tuple[str, str]:
    """The longest beginning of ``text`` that fits, and what remains."""
    if text_width(text, size) <= width:
        return text, ''
    low, high = 1, len(text)  # `low` characters fit (one always may)
    while high - low > 1:
        middle = (low + high) // 2
        if text_width(text[:middle], size) <= width:
            low = middle
        else:
            high = middle
    cut = text.rfind(' ', 0, low + 1)
    cut = cut if cut > 0 else low
    return text[:cut].rstrip(), text[cut:].lstrip()


def shorten(text: str, size: int, width: int) -> str:
    """The text, or as much of it as fits before an ellipsis."""
    if text_width(text, size) <= width:
        return text
    text = text.rstrip(ELLIPSIS)
    while text and text_width(text + ELLIPSIS, size) > width:
        text = text[:-1].rstrip()
    return text + ELLIPSIS


@lru_cache(maxsize=1024)
def _mask(text: str, size: int) -> np.ndarray:
    """Coverage of every pixel by the text, (H, W), float32 in [0, 1]."""
    font = _load(find_font(text), size)
    image = Image.new('L', (max(1, text_width(text, size)),
                            line_height(size)))
    ImageDraw.Draw(image).text((0, line_height(size) // 2), text, 255, font,
                               anchor='lm')
    return np.asarray(image, dtype=np.float32) / 255


def put_text(image: np.ndarray,
             text: str,
             xy: Tuple[int, int],
             size: int,
             color: Tuple[int, int, int]) -> None:
    """Draw a line of text into ``image``, clipped to it.

    Args:
        image (np.ndarray): (H, W, 3), uint8; changed in place.
        text (str): One line.
        xy (tuple[int, int]): Left and top edge of the line in pixels.
        size (int): Font size in pixels.
        color (tuple[int, int, int]): Red, green, blue.
    """
    if not text:
        return
    mask = _mask(text, size)
    x, y = xy
    left, top = max(0, -x), max(0, -y)
    area = image[max(0, y):y + mask.shape[0], max(0, x):x + mask.shape[1]]
    mask = mask[top:top + area.shape[0], left:left + area.shape[1], None]
    area[:] = np.rint(area * (1 - mask) + np.asarray(color) * mask)
