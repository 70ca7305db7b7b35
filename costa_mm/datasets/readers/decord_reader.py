# Copyright (c) costa_mm authors. All rights reserved.
"""Reading with decord, where it can be trusted."""
from typing import Any

import numpy as np

from costa_mm.registry import TRANSFORMS
from .borrowed_reader import BorrowedReader


@TRANSFORMS.register_module()
class DecordReader(BorrowedReader):
    """Reads videos with decord, and with PyAV those that decord gets wrong.

    decord decodes from the key frame before a wanted frame onwards and
    converts only wanted frames to RGB.  Frames are decoded at their native
    size: decord's own resizing changes pixels and saves no time.

    It takes frame i for packet i, every key frame for a clean start, and the
    last picture it has for one that cannot be decoded.  With open groups of
    pictures, edit lists, packets without time stamps or a container that
    promises more frames than it holds it returns other frames than asked,
    silently (tried with 0.6.0; see also dmlc/decord#54, #195 and #373).  It
    has no wheel for arm64.

    The arguments are those of :class:`BorrowedReader`.
    """

    module = package = 'decord'

    def open_video(self, path: str) -> Any:
        """decord's reader."""
        import decord
        decord.logging.set_level(decord.logging.FATAL)
        return decord.VideoReader(path, num_threads=self.num_threads)

    def decode(self, video: Any, ids: np.ndarray) -> np.ndarray:
        """Frames, (T, H, W, 3)."""
        return video.get_batch(ids).asnumpy()
