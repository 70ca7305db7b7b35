# Copyright (c) costa_mm authors. All rights reserved.
"""Draws the frames of a sample.

Frames are drawn at twice their size with fixed-point corners and reduced, so
that shapes move by fractions of a pixel.
"""
from typing import Iterator

import cv2
import numpy as np

from .generator import Sample
from .levels import COLOURS
from .motion import compute_pose

_ZOOM, _BITS = 2, 6
_POST_RGB = (96, 98, 104)


def _to_fixed(corners: np.ndarray, size: int) -> np.ndarray:
    """Fractions of the side to OpenCV's fixed-point pixel centres."""
    pixels = corners * (size * _ZOOM) - 0.5
    return np.rint(pixels * (1 << _BITS)).astype(np.int32)


def _fill(canvas: np.ndarray, corners: np.ndarray, colour) -> None:
    cv2.fillPoly(canvas, [corners], colour, cv2.LINE_AA, _BITS)


def draw_background(sample: Sample, rng: np.random.Generator,
                    pad: int) -> np.ndarray:
    """A soft dark gradient with specks, uint8, zoomed, with a border.

    Args:
        sample (Sample): What is drawn.
        rng (np.random.Generator): Source of tint and specks.
        pad (int): Border for the camera shift, in zoomed pixels.
    """
    side = sample.settings.size * _ZOOM + 2 * pad
    base = rng.uniform(34, 58, 3) * 0.4 + rng.uniform(36, 56) * 0.6
    slope = rng.uniform(-9, 9, 2)
    ramp = np.linspace(-1, 1, side)
    tone = slope[0] * ramp[:, None] + slope[1] * ramp[None]
    canvas = (base + tone[..., None]).clip(0, 255).astype(np.uint8)
    low, high = sample.level.clutter
    names = list(sample.level.colours)
    for _ in range(int(rng.integers(low, high + 1))):
        centre = rng.uniform(0, side, 2)
        radius = rng.uniform(0.008, 0.022) * side
        colour = base + rng.uniform(18, 48)
        if sample.level.coloured_clutter:
            own = np.array(COLOURS[names[rng.integers(len(names))]])
            colour = 0.5 * colour + 0.5 * own
        cv2.circle(canvas, tuple(int(c) for c in centre * 64),
                   int(radius * 64), tuple(float(c) for c in colour), -1,
                   cv2.LINE_AA, 6)
    return canvas


def render_frames(sample: Sample) -> Iterator[np.ndarray]:
    """Frames of a sample, one at a time, (size, size, 3) uint8 RGB."""
    s, level = sample.settings, sample.level
    rng = np.random.default_rng(np.random.SeedSequence(sample.render_seed))
    pad = int(np.ceil(level.jitter * s.size * _ZOOM)) + 1
    ground = draw_background(sample, rng, pad)
    moves = np.rint(sample.camera * s.size * _ZOOM).astype(int)
    layers = [_layer(sample, i) for i in range(len(sample.objects))]
    posts = _post_corners(sample)
    side = s.size * _ZOOM
    grain = _draw_grain(s.size, level.noise, rng)
    for t in range(s.num_frames):
        x, y = pad - moves[t]
        canvas = ground[y:y + side, x:x + side].copy()
        for rims, cores, tints in layers:
            _fill(canvas, rims[t], (tints[t] * 0.55).tolist())
            _fill(canvas, cores[t], tints[t].tolist())
        for post in posts:
            _fill(canvas, post[t], _POST_RGB)
        frame = cv2.resize(
            canvas, (s.size, s.size), interpolation=cv2.INTER_AREA)
        if level.noise:
            frame = _add_noise(frame, grain, rng)
        yield frame


def _draw_grain(size: int, sigma: float,
                rng: np.random.Generator) -> np.ndarray:
    """Noise of twice the frame's side, of which frames take windows."""
    shape = (2 * size, 2 * size, 3)
    return np.rint(sigma * rng.standard_normal(shape, dtype=np.float32)
                   ).astype(np.int16) if sigma else np.zeros(shape, np.int16)


def _add_noise(frame: np.ndarray, grain: np.ndarray,
               rng: np.random.Generator) -> np.ndarray:
    size = frame.shape[0]
    y, x = rng.integers(0, size + 1, 2)
    return cv2.add(
        frame, grain[y:y + size, x:x + size], dtype=cv2.CV_8U)


def _layer(sample: Sample, index: int):
    """Rim, core and colour of an object in every frame."""
    obj, outline = sample.objects[index], sample.outlines[index]
    size = sample.settings.size
    pose = compute_pose(obj.script, sample.settings.num_frames)
    # the point that a shape turns about, where its core shrinks to
    middle = (pose.shift + np.asarray(obj.centre) + sample.camera)[:, None]
    core = middle + (outline - middle) * 0.86
    # dimming goes towards the background's tone, not towards black
    tint = np.array(COLOURS[obj.look.colour], dtype=float)
    tints = 52 + (tint - 52) * pose.light[:, None]
    return _to_fixed(outline, size), _to_fixed(core, size), tints


def _post_corners(sample: Sample) -> list:
    """Corners of every post in every frame, each (T, 4, 2)."""
    out = []
    for x1, y1, x2, y2 in sample.posts:
        corners = np.array([(x1, y1), (x2, y1), (x2, y2), (x1, y2)])
        moved = corners[None] + sample.camera[:, None]
        out.append(_to_fixed(moved, sample.settings.size))
    return out
