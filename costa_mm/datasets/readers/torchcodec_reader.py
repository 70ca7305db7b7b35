# Copyright (c) costa_mm authors. All rights reserved.
"""Reading with torchcodec, where it can be trusted."""
from typing import Any

import numpy as np

from costa_mm.registry import TRANSFORMS
from .borrowed_reader import BorrowedReader


@TRANSFORMS.register_module()
class TorchCodecReader(BorrowedReader):
    """Reads videos with torchcodec, and with PyAV what it gets wrong.

    torchcodec is PyTorch's own decoder and is maintained.  Its version
    belongs to one version of PyTorch, and it loads the shared libraries of an
    FFmpeg that is installed; where either does not fit, PyAV reads.  It does
    not make pixels square.

    The arguments are those of :class:`BorrowedReader`.
    """

    module = 'torchcodec.decoders'
    package = 'torchcodec'

    def open_video(self, path: str) -> Any:
        """torchcodec's decoder, which lists the packets of the file."""
        from torchcodec.decoders import VideoDecoder
        return VideoDecoder(path, dimension_order='NHWC',
                            num_ffmpeg_threads=self.num_threads)

    def decode(self, video: Any, ids: np.ndarray) -> np.ndarray:
        """Frames, (T, H, W, 3)."""
        return video.get_frames_at(ids.tolist()).data.numpy()
