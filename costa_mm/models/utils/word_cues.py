# Copyright (c) costa_mm authors. All rights reserved.
"""What colours, places and sizes words name, and how well a box fits them."""
import re
from typing import List

import numpy as np

# hue in degrees, with half a width; the others go by lightness
HUES = dict(red=(0, 20), orange=(28, 14), yellow=(55, 18), green=(120, 45),
            blue=(225, 40), purple=(285, 25), pink=(330, 25))
GREYS = dict(black=(0., 0.28), grey=(0.28, 0.72), gray=(0.28, 0.72),
             silver=(0.45, 0.85), white=(0.72, 1.01))
BROWN = (25, 20)
MIN_SATURATION = 0.25
# words of a place: axis of (cx, cy), and the side
PLACES = dict(left=(0, 0.), right=(0, 1.), top=(1, 0.), bottom=(1, 1.))
SIZES = dict(big=1., large=1., huge=1., tall=1., small=-1., little=-1.,
             tiny=-1.)


def words_of(sentence: str) -> List[str]:
    """Its words, lower case."""
    return re.findall(r"[a-z']+", sentence.lower())


def color_share(pixels: np.ndarray, word: str) -> float:
    """Share of pixels that have the colour of a word.

    Args:
        pixels (np.ndarray): RGB, (N, 3), from 0 to 255.
        word (str): A colour's name.

    Returns:
        float: From 0 to 1; 0 for what is no colour.
    """
    rgb = pixels.astype(np.float64) / 255
    high, low = rgb.max(1), rgb.min(1)
    saturation = np.divide(high - low, high, out=np.zeros_like(high),
                           where=high > 0)
    coloured = saturation >= MIN_SATURATION
    if word in GREYS:
        lowest, highest = GREYS[word]
        return float((~coloured & (high >= lowest) & (high < highest)).mean())
    if word not in HUES and word != 'brown':
        return 0.
    centre, width = HUES.get(word, BROWN)
    hue = _hue(rgb, high, high - low)
    near = np.abs((hue - centre + 180) % 360 - 180) <= width
    dark = high < 0.6 if word == 'brown' else high > 0.2
    return float((coloured & near & dark).mean())


def _hue(rgb: np.ndarray, high: np.ndarray, span: np.ndarray) -> np.ndarray:
    """Hue in degrees, (N, )."""
    span = np.maximum(span, 1e-9)
    red, green, blue = rgb.T
    return 60 * np.select(
        [high == red, high == green],
        [(green - blue) / span % 6, (blue - red) / span + 2],
        (red - green) / span + 4)


def place_fit(boxes: np.ndarray, sentence: str) -> float:
    """How well boxes fit the words of places and sizes.

    Args:
        boxes (np.ndarray): Of one tube, (N, 4), normalised (x1, y1, x2, y2).
        sentence (str): The sentence.

    Returns:
        float: Mean over the words, from 0 to 1; 0 without such a word.
    """
    centre = (boxes[:, :2] + boxes[:, 2:]).mean(0) / 2
    area = float((boxes[:, 2:] - boxes[:, :2]).prod(1).mean()) ** 0.5
    fits = []
    for word in words_of(sentence):
        if word in PLACES:
            axis, side = PLACES[word]
            fits.append(1 - abs(float(centre[axis]) - side))
        elif word in SIZES:
            fits.append(area if SIZES[word] > 0 else 1 - area)
    return float(np.mean(fits)) if fits else 0.


def best_segment(values: np.ndarray, margin: float) -> tuple:
    """The contiguous segment with the largest sum above a threshold.

    The threshold is the mean less ``margin`` standard deviations, so that
    values that hardly change keep all frames.

    Args:
        values (np.ndarray): One per frame, (T, ).
        margin (float): In standard deviations.

    Returns:
        tuple[int, int]: First and last frame, inclusive.
    """
    gains = values - values.mean() + margin * values.std() + 1e-9
    best, first, start, total = -np.inf, 0, 0, 0.
    last = 0
    for i, gain in enumerate(gains):
        if total <= 0:
            start, total = i, 0.
        total += gain
        if total > best:
            best, first, last = total, start, i
    return first, last
