# Copyright (c) costa_mm authors. All rights reserved.
"""Attention maps on frames."""
from typing import Optional

import cv2
import numpy as np


def overlay_attention(frame: np.ndarray,
                      attention: np.ndarray,
                      *,
                      alpha: float = 0.55,
                      vmax: Optional[float] = None) -> np.ndarray:
    """Lay an attention map over a frame.

    Cells without attention stay as they are; the more attention, the more
    the colour covers the picture.

    Args:
        frame (np.ndarray): RGB, (H, W, 3), uint8; not changed.
        attention (np.ndarray): Weights, (h, w), not negative.
        alpha (float): Opacity at the highest weight.
        vmax (float, optional): Weight that gets full colour, to compare the
            frames of a video; default: the highest of this map.

    Returns:
        np.ndarray: RGB, (H, W, 3), uint8.

    Raises:
        ValueError: If the map is not 2D, or holds negative or non-finite
            weights.
    """
    attention = np.asarray(attention, dtype=np.float32)
    if attention.ndim != 2 or not attention.size:
        raise ValueError(f'an attention map is (h, w), not {attention.shape}')
    if not np.isfinite(attention).all() or attention.min() < 0:
        raise ValueError('attention weights must be finite and not negative')
    top = float(attention.max()) if vmax is None else float(vmax)
    level = np.clip(attention / top, 0, 1) if top > 0 else attention * 0
    level = cv2.resize(level, frame.shape[1::-1],
                       interpolation=cv2.INTER_CUBIC)
    level = np.clip(level, 0, 1)
    colors = cv2.applyColorMap(
        np.rint(level * 255).astype(np.uint8), cv2.COLORMAP_TURBO)
    weight = alpha * np.sqrt(level)[..., None]
    mixed = frame * (1 - weight) + colors[..., ::-1] * weight
    return np.rint(mixed).astype(np.uint8)
