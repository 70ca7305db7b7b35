# Copyright (c) costa_mm authors. All rights reserved.
"""What a player makes of a stored picture: stream, orientation, shape."""
from typing import List, Optional, Tuple

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from costa_mm.compat import pixel_conversion_options

#: Aspect ratios of pixels nearer to 1 than this count as square.
SQUARE = 0.01
#: Those farther from it, either way, are mistakes of the file.
MAX_ASPECT = 10.0


def shown_stream(container: 'av.container.InputContainer'
                 ) -> 'av.VideoStream':
    """The video stream that a player chooses.

    Args:
        container (av.container.InputContainer): An open file.

    Raises:
        ValueError: If there is none; cover pictures and thumbnails are none.
    """
    streams = container.streams.video
    hidden = av.stream.Disposition.attached_pic
    hidden |= av.stream.Disposition.timed_thumbnails
    movies = [s for s in streams if not s.disposition & hidden]
    if not movies:
        raise ValueError('no video, only a cover picture' if streams else
                         'no video stream')
    best = container.streams.best('video')
    if best in movies:
        return best
    default = av.stream.Disposition.default
    return next((s for s in movies if s.disposition & default), movies[0])


def pixel_aspect(stream: 'av.VideoStream') -> float:
    """Width over height of a stored pixel; 1 where it is as good as that."""
    aspect = float(stream.sample_aspect_ratio or 1)
    usable = 1 / MAX_ASPECT <= aspect <= MAX_ASPECT
    return aspect if usable and abs(aspect - 1) >= SQUARE else 1.0


def square_shape(height: int, width: int, aspect: float) -> Tuple[int, int]:
    """Shape of a picture with square pixels; nothing shrinks.

    Args:
        height (int): Of the stored picture.
        width (int): Of the stored picture.
        aspect (float): Width over height of its pixels.

    Returns:
        tuple[int, int]: Height and width.
    """
    if aspect > 1:
        return height, round(width * aspect)
    return round(height / aspect), width


def display_matrix(frame: 'av.VideoFrame') -> Optional[np.ndarray]:
    """How a picture is to be turned and mirrored.

    Args:
        frame (av.VideoFrame): A decoded picture.

    Returns:
        np.ndarray or None: (2, 2): (x, y) of a stored pixel times it is its
        direction on the screen (FFmpeg's ``libavutil/display.h``).
    """
    try:
        data = frame.side_data.get('DISPLAYMATRIX')
    except ValueError:  # side data of a kind that PyAV has no name for
        angle = np.deg2rad(frame.rotation)
        return np.array([[np.cos(angle), -np.sin(angle)],
                         [np.sin(angle), np.cos(angle)]])
    if data is None:
        return None
    matrix = np.frombuffer(data, dtype=np.int32)[:9].reshape(3, 3)
    return matrix[:2, :2].astype(np.float64)


def upright(image: np.ndarray, matrix: Optional[np.ndarray]) -> np.ndarray:
    """Show a picture as its display matrix demands.

    Args:
        image (np.ndarray): (H, W, 3).
        matrix (np.ndarray, optional): See :func:`display_matrix`; other
            angles than multiples of 90 degrees go to the nearest one.

    Returns:
        np.ndarray: (H', W', 3), a view.
    """
    if matrix is None or not np.linalg.det(matrix):
        return image
    across = np.abs(matrix[0, 1]) + np.abs(matrix[1, 0])
    if across > np.abs(matrix[0, 0]) + np.abs(matrix[1, 1]):
        image, matrix = image.transpose(1, 0, 2), matrix[::-1]
    if matrix[0, 0] < 0:
        image = image[:, ::-1]
    if matrix[1, 1] < 0:
        image = image[::-1]
    return image


class Screen:
    """Shows pictures of one stream: RGB, upright, with square pixels.

    Args:
        stream (av.VideoStream): The stream.
        num_threads (int): Threads that convert; 0 for one per CPU.
    """

    def __init__(self, stream: 'av.VideoStream', num_threads: int) -> None:
        self.aspect = pixel_aspect(stream)
        self._reformatter = VideoReformatter()
        self._options = pixel_conversion_options(num_threads)
        self._matrix: List[Optional[np.ndarray]] = []

    def show(self, frame: 'av.VideoFrame') -> np.ndarray:
        """A decoded picture as (H, W, 3), uint8."""
        height, width = square_shape(frame.height, frame.width, self.aspect)
        image = self._reformatter.reformat(
            frame, width=width, height=height, format='rgb24',
            **self._options).to_ndarray()
        # once: a frame whose side data was read waits for garbage collection
        if not self._matrix:
            self._matrix.append(display_matrix(frame))
        return upright(image, self._matrix[0])
