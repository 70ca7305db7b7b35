# Copyright (c) costa_mm authors. All rights reserved.
"""Where the windows of a long video lie."""
from dataclasses import dataclass
from typing import Iterator, List, Optional, Tuple

import numpy as np

from costa_mm.structures import VideoBatch


@dataclass(frozen=True)
class WindowConfig:
    """Prediction by overlapping windows, ``test_cfg.window`` of a grounder.

    A video whose sampled frames do not fit into one window is cut into
    windows that overlap, each is grounded as a video of its own, and the
    answers are merged by :func:`merge_windows`.

    Args:
        num_frames (int): Frames of a window; with ``two_pass``, of each of
            its two passes.
        overlap (int, optional): Frames that neighbouring windows have in
            common, counted in the same way; half of a window by default.  An
            event that is not longer lies whole in one of the windows.
        fps (float, optional): Sampled frames per second (and pass) of videos
            that are longer than a window, the rate of training.  By default
            the test pipeline samples, as it does for every video.
        link_iou (float): Spans of neighbouring windows belong to one event
            if, inside the frames that both see, their IoU is at least this.

    Raises:
        ValueError: If a number is out of range.
    """

    num_frames: int
    overlap: Optional[int] = None
    fps: Optional[float] = None
    link_iou: float = 0.5

    def __post_init__(self) -> None:
        if self.num_frames < 2:
            raise ValueError('window: num_frames must be at least 2, not '
                             f'{self.num_frames}')
        if self.overlap is None:
            object.__setattr__(self, 'overlap', self.num_frames // 2)
        if not 1 <= self.overlap < self.num_frames:
            raise ValueError(
                f'window: overlap {self.overlap} is not between 1 and '
                f'num_frames - 1 = {self.num_frames - 1}')
        if self.fps is not None and not self.fps > 0:
            raise ValueError(f'window: fps must be positive, not {self.fps}')
        if not 0 < self.link_iou <= 1:
            raise ValueError('window: link_iou must lie in (0, 1], not '
                             f'{self.link_iou}')

    def split(self, total: int, passes: int = 1) -> List[slice]:
        """Windows over the sampled frames of a video.

        Args:
            total (int): Sampled frames.
            passes (int): 2 with ``two_pass``: windows are twice as long.

        Returns:
            list[slice]: All of one length, the last one moved back to end
            with the video; one slice where everything fits.
        """
        size = self.num_frames * passes
        if total <= size:
            return [slice(0, total)]
        step = (self.num_frames - self.overlap) * passes
        starts = [*range(0, total - size, step), total - size]
        return [slice(start, start + size) for start in starts]


def cut_video(inputs: VideoBatch, index: int, frame_ids: np.ndarray,
              parts: List[slice]) -> Iterator[Tuple[VideoBatch, np.ndarray]]:
    """Windows of a video that is in memory.

    Args:
        inputs (VideoBatch): Of B videos.
        index (int): Which of them.
        frame_ids (np.ndarray): Its sampled source frames, (T, ).
        parts (list[slice]): From :meth:`WindowConfig.split`.

    Yields:
        tuple[VideoBatch, np.ndarray]: A window as a batch of one video, a
        view, and its frames.
    """
    own = slice(index, index + 1)
    for part in parts:
        yield inputs._replace(
            frames=inputs.frames[own, part],
            durations=(part.stop - part.start, ),
            frame_mask=inputs.frame_mask[own, part],
            pixel_mask=inputs.pixel_mask[own],
            extras={k: v[own, part] for k, v in inputs.extras.items()}
        ), np.asarray(frame_ids)[part]
