# Copyright (c) costa_mm authors. All rights reserved.
"""Changes of colour, the same in all frames of a clip."""
from typing import Tuple

import cv2
import numpy as np

from costa_mm.registry import TRANSFORMS
from .base import ClipTransform

GRAY = np.array([0.299, 0.587, 0.114], dtype=np.float32)


@TRANSFORMS.register_module()
class ClipColorJitter(ClipTransform):
    """Change brightness, contrast, saturation and hue of a whole clip.

    The factors are drawn once per clip, so colours do not flicker.  Off in
    the paper configs.  Sentences name colours: keep ``hue`` small.

    Required Keys:

    - rng
    - imgs

    Modified Keys:

    - imgs

    Args:
        brightness (float): Factor from [1 - b, 1 + b].
        contrast (float): Factor from [1 - c, 1 + c], around the mean grey
            value of the clip.
        saturation (float): Factor from [1 - s, 1 + s].
        hue (float): Shift from [-h, h], as a share of the colour circle, at
            most 0.5.
        prob (float): Probability of any change.
    """

    def __init__(self,
                 *,
                 brightness: float = 0.0,
                 contrast: float = 0.0,
                 saturation: float = 0.0,
                 hue: float = 0.0,
                 prob: float = 1.0) -> None:
        if min(brightness, contrast, saturation) < 0 or not 0 <= hue <= 0.5:
            raise ValueError('strengths are not negative, hue is at most 0.5')
        self.brightness = brightness
        self.contrast = contrast
        self.saturation = saturation
        self.hue = hue
        self.prob = prob

    def transform(self, results: dict) -> dict:
        """Change the colours, or leave the sample as it is."""
        rng = results['rng']
        if rng.random() >= self.prob:
            return results
        factors = [
            float(rng.uniform(max(0.0, 1 - s), 1 + s))
            for s in (self.brightness, self.contrast, self.saturation)
        ]
        shift = float(rng.uniform(-self.hue, self.hue))
        imgs = results['imgs']
        mean = imgs.mean(axis=(0, 1, 2), dtype=np.float64) @ GRAY
        out = np.empty(imgs.shape, dtype=np.uint8)
        for i, img in enumerate(imgs):
            out[i] = jitter(img, factors, shift, float(mean))
        results['imgs'] = out
        return results


def jitter(img: np.ndarray, factors: Tuple[float, float, float],
           shift: float, mean: float) -> np.ndarray:
    """Change one frame.

    Args:
        img (np.ndarray): (H, W, 3), uint8, RGB.
        factors (tuple[float, float, float]): Brightness, contrast and
            saturation.
        shift (float): Of the hue, in colour circles.
        mean (float): Mean grey value of the clip, before any change.

    Returns:
        np.ndarray: (H, W, 3), uint8.
    """
    brightness, contrast, saturation = factors
    new = img.astype(np.float32) * brightness
    new = (new - mean * brightness) * contrast + mean * brightness
    gray = (new @ GRAY)[..., None]
    new = np.clip((new - gray) * saturation + gray, 0, 255)
    if shift:
        hsv = cv2.cvtColor(new / 255, cv2.COLOR_RGB2HSV)
        hsv[..., 0] = (hsv[..., 0] + 360 * shift) % 360
        new = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB) * 255
    return np.clip(new + 0.5, 0, 255).astype(np.uint8)
