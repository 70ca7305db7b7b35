# Copyright (c) costa_mm authors. All rights reserved.
"""H.264 video files, written and read with PyAV."""
import os
from typing import Iterable, Iterator, Union

import av
import numpy as np

#: One thread makes the bits reproducible; the rest makes decoding cheap.
X264_OPTIONS = {
    'preset': 'veryfast',
    'tune': 'fastdecode',
    'g': '12',
    'bf': '0',
    'threads': '1'
}


def write_video(path: Union[str, os.PathLike], frames: Iterable[np.ndarray],
                fps: int, crf: int = 16) -> None:
    """Write RGB frames as H.264 (yuv420p); the file appears when complete.

    Args:
        path (str | os.PathLike): Goal, an .mp4 file.
        frames (Iterable[np.ndarray]): Frames, (H, W, 3) uint8 RGB, of one
            even size.
        fps (int): Frame rate.
        crf (int): Constant rate factor of x264: lower is better and larger.
    """
    part = f'{os.fspath(path)}.part'
    with av.open(part, 'w', format='mp4') as container:
        stream = container.add_stream(
            'libx264', rate=fps, options=dict(X264_OPTIONS, crf=str(crf)))
        stream.pix_fmt = 'yuv420p'
        for i, frame in enumerate(frames):
            if i == 0:
                stream.height, stream.width = frame.shape[:2]
            picture = av.VideoFrame.from_ndarray(frame, format='rgb24')
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    os.replace(part, path)


def read_video(path: Union[str, os.PathLike]) -> Iterator[np.ndarray]:
    """Frames of a video file, (H, W, 3) uint8 RGB."""
    with av.open(os.fspath(path)) as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format='rgb24')
