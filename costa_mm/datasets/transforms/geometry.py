# Copyright (c) costa_mm authors. All rights reserved.
"""Mirroring, resizing and cropping of all frames of a clip alike."""
from typing import Optional, Sequence, Tuple

import cv2
import numpy as np

from costa_mm.registry import TRANSFORMS
from .base import ClipTransform, move_boxes
from .text import mirror_words

#: Of a resized frame; 8K has half as many.
MAX_PIXELS = 2**26
INTERPOLATIONS = dict(
    nearest=cv2.INTER_NEAREST,
    bilinear=cv2.INTER_LINEAR,
    bicubic=cv2.INTER_CUBIC,
    area=cv2.INTER_AREA)


def short_side_shape(height: int, width: int, size: int,
                     max_size: Optional[int]) -> Tuple[int, int]:
    """Shape with a given short side and the same proportions.

    Where the long side would exceed ``max_size`` the short side is reduced
    to ``round(max_size * short / long)``; the long side is then the integer
    part of what the proportions give, as in DETR.  640 x 360 at 448 with
    at most 720 gives 720 x 405.  Of extreme proportions a side of one pixel
    is left, and the long side is still at most ``max_size``; without one, the
    frame has at most ``MAX_PIXELS``.

    Args:
        height (int): Pixels.
        width (int): Pixels.
        size (int): Short side wanted, pixels.
        max_size (int, optional): Long side allowed, pixels.

    Returns:
        tuple[int, int]: Height and width.
    """
    short, long = min(height, width), max(height, width)
    if max_size is not None and long / short * size > max_size:
        size = max(int(round(max_size * short / long)), 1)
    if short == size and (max_size is None or long <= max_size):
        return height, width
    other = min(
        int(size * long / short), max_size or max(MAX_PIXELS // size, size))
    return (size, other) if height <= width else (other, size)


def resize_frames(imgs: np.ndarray, height: int, width: int,
                  interpolation: str) -> np.ndarray:
    """Resize every frame.

    Args:
        imgs (np.ndarray): (T, H, W, 3), uint8.
        height (int): New height.
        width (int): New width.
        interpolation (str): A key of ``INTERPOLATIONS``.

    Returns:
        np.ndarray: (T, height, width, 3), uint8.
    """
    if imgs.shape[1:3] == (height, width):
        return imgs
    out = np.empty((len(imgs), height, width, 3), dtype=imgs.dtype)
    flag = INTERPOLATIONS[interpolation]
    for i, img in enumerate(imgs):
        cv2.resize(img, (width, height), dst=out[i], interpolation=flag)
    return out


@TRANSFORMS.register_module()
class FlipWithText(ClipTransform):
    """Mirror the clip left to right, and exchange the words that say so.

    Required Keys:

    - rng
    - imgs
    - img_shape
    - sentence
    - gt_boxes, gt_box_mask (optional)

    Modified Keys:

    - imgs
    - sentence
    - gt_boxes
    - flip

    Args:
        prob (float): Probability of a flip.
        exchange_words (bool): Whether words are mirrored too; the published
            loaders of STCAT and its successors leave them.
    """

    def __init__(self,
                 *,
                 prob: float = 0.5,
                 exchange_words: bool = True) -> None:
        self.prob = prob
        self.exchange_words = exchange_words

    def transform(self, results: dict) -> dict:
        """Mirror, or leave the sample as it is."""
        if results['rng'].random() < self.prob:
            self.flip(results, self.exchange_words)
        return results

    @staticmethod
    def flip(results: dict, exchange_words: bool = True) -> None:
        """Mirror frames, boxes and, where wished, words of ``results``."""
        imgs = results['imgs']
        out = np.empty_like(imgs)
        for i, img in enumerate(imgs):
            cv2.flip(img, 1, dst=out[i])
        results['imgs'] = out
        if exchange_words:
            results['sentence'] = mirror_words(results['sentence'])
        results['flip'] = not results.get('flip', False)
        width = results['img_shape'][1]

        def mirror(boxes: np.ndarray) -> np.ndarray:
            boxes = boxes.copy()
            boxes[..., [0, 2]] = width - boxes[..., [2, 0]]
            return boxes

        move_boxes(results, mirror)


@TRANSFORMS.register_module()
class ResizeClip(ClipTransform):
    """Resize all frames and boxes.

    Either to a short side (``short_side`` with ``max_size``, proportions
    kept; of several short sides one is drawn) or to a fixed
    ``scale=(width, height)``.

    Required Keys:

    - imgs
    - img_shape
    - gt_boxes (optional)
    - rng (several short sides only)

    Modified Keys:

    - imgs
    - img_shape
    - gt_boxes

    Args:
        short_side (int or Sequence[int], optional): Short side in pixels.
        max_size (int, optional): Longest long side in pixels.
        scale (tuple[int, int], optional): Width and height.
        keep_ratio (bool): With ``scale``: fit inside it with the proportions
            kept instead of stretching.
        interpolation (str): 'bilinear' as in the published loaders,
            'nearest', 'bicubic' or 'area' (smoother when shrinking more than
            twofold).
    """

    def __init__(self,
                 *,
                 short_side: Optional[Sequence[int]] = None,
                 max_size: Optional[int] = None,
                 scale: Optional[Tuple[int, int]] = None,
                 keep_ratio: bool = False,
                 interpolation: str = 'bilinear') -> None:
        if (short_side is None) == (scale is None):
            raise ValueError('give short_side (with max_size) or scale')
        if scale is not None and max_size is not None:
            raise ValueError('max_size belongs to short_side')
        if interpolation not in INTERPOLATIONS:
            raise ValueError(f'interpolation is one of '
                             f'{sorted(INTERPOLATIONS)}, not '
                             f'{interpolation!r}')
        if isinstance(short_side, int):
            short_side = (short_side, )
        self.short_side = None if short_side is None else tuple(short_side)
        self.max_size = max_size
        self.scale = None if scale is None else tuple(scale)
        self.keep_ratio = keep_ratio
        self.interpolation = interpolation

    def transform(self, results: dict) -> dict:
        """Resize frames and boxes."""
        height, width = self.new_shape(results)
        old_height, old_width = results['img_shape']
        results['imgs'] = self.resize(results['imgs'], height, width)
        results['img_shape'] = (height, width)
        factor = np.array(
            [width / old_width, height / old_height] * 2, dtype=np.float32)
        move_boxes(results, lambda boxes: boxes * factor)
        return results

    def resize(self, imgs: np.ndarray, height: int, width: int) -> np.ndarray:
        """Frames (T, H, W, 3), uint8, to (T, height, width, 3)."""
        return resize_frames(imgs, height, width, self.interpolation)

    def new_shape(self, results: dict) -> Tuple[int, int]:
        """Height and width to resize to; draws the short side."""
        height, width = results['img_shape']
        if self.short_side is not None:
            size = self.short_side[0]
            if len(self.short_side) > 1:
                at = results['rng'].integers(len(self.short_side))
                size = self.short_side[at]
            return short_side_shape(height, width, size, self.max_size)
        new_width, new_height = self.scale
        if self.keep_ratio:
            factor = min(new_width / width, new_height / height)
            new_width = max(int(width * factor + 0.5), 1)
            new_height = max(int(height * factor + 0.5), 1)
        return new_height, new_width
