# Copyright (c) costa_mm authors. All rights reserved.
"""Which frames of a video are used."""
from typing import Optional, Tuple

import numpy as np

from costa_mm.registry import TRANSFORMS
from costa_mm.utils.frames import subsample, uniform_ids
from .base import ClipTransform


@TRANSFORMS.register_module()
class SampleFrames(ClipTransform):
    """Choose frames inside the segment of a sample.

    ``mode='uniform'`` takes ``num_frames`` at equal distances from first to
    last frame (VidSTG as STCAT does it: 64 in training, 128 for its two test
    passes); ``mode='fps'`` takes them at a rate (HC-STVG: 3.2 frames/s in
    training, 6.4 in testing, ``keep_last=True, skip_final=True`` for STCAT's
    frames; 5 frames/s, ``max_frames=200, skip_final=True`` for TubeDETR's).

    Required Keys:

    - segment
    - fps (``mode='fps'`` only)

    Modified Keys:

    - frame_ids

    Args:
        mode (str): 'uniform' or 'fps'.
        num_frames (int, optional): Frames to take in mode 'uniform'.
        fps (float, optional): Rate in mode 'fps', frames per second.
        keep_last (bool): In mode 'fps', take the last candidate as well.
        skip_final (bool): Leave the final frame of the segment out of the
            candidates, as the published HC-STVG loaders do.
        max_frames (int, optional): In mode 'fps', thin longer samples out to
            this many.
    """

    def __init__(self,
                 *,
                 mode: str = 'uniform',
                 num_frames: Optional[int] = None,
                 fps: Optional[float] = None,
                 keep_last: bool = False,
                 skip_final: bool = False,
                 max_frames: Optional[int] = None) -> None:
        if mode not in ('uniform', 'fps'):
            raise ValueError(f"mode is 'uniform' or 'fps', not {mode!r}")
        wanted, other = (num_frames, fps) if mode == 'uniform' else (
            fps, num_frames)
        if wanted is None or wanted <= 0 or other is not None:
            raise ValueError("mode 'uniform' takes num_frames, mode 'fps' "
                             'takes fps; both positive')
        if mode == 'uniform' and (keep_last or max_frames is not None):
            raise ValueError("keep_last and max_frames belong to mode 'fps'")
        self.mode = mode
        self.num_frames = num_frames
        self.fps = fps
        self.keep_last = keep_last
        self.skip_final = skip_final
        self.max_frames = max_frames

    def transform(self, results: dict) -> dict:
        """Add ``frame_ids``, (T, ), int64, increasing."""
        start, end = results['segment']
        if self.skip_final and end - start > 1:
            end -= 1
        if self.mode == 'uniform':
            ids = uniform_ids(start, end, self.num_frames)
        else:
            ids = subsample(start, end, results['fps'], self.fps,
                            self.max_frames, self.keep_last)
        results['frame_ids'] = ids
        return results


@TRANSFORMS.register_module()
class RandomTemporalCrop(ClipTransform):
    """Drop frames before and behind the event; the event always stays whole.

    The new start is drawn evenly from the candidates before the event, the
    new end from those behind it; where there are none, that side stays.

    ``level='segment'`` crops the segment before :class:`SampleFrames`, so
    that the kept part is sampled more densely (VidSTG); ``level='frames'``
    crops the sampled frames and gives fewer of them (HC-STVG).  It belongs
    before :class:`LoadVideoFrames`: dropped frames are then never decoded.

    Required Keys:

    - rng
    - gt_tube
    - segment (``level='segment'``) or frame_ids (``level='frames'``)

    Modified Keys:

    - segment or frame_ids

    Args:
        prob (float): Probability of a crop.
        level (str): 'segment' or 'frames'.
    """

    def __init__(self, *, prob: float = 0.5, level: str) -> None:
        if level not in ('segment', 'frames'):
            raise ValueError(f"level is 'segment' or 'frames', not {level!r}")
        self.prob = prob
        self.level = level

    def transform(self, results: dict) -> dict:
        """Crop, or leave the sample as it is."""
        rng = results['rng']
        if rng.random() >= self.prob or results.get('gt_tube') is None:
            return results
        span = results['gt_tube'].span
        if self.level == 'segment':
            start, end = results['segment']
            first, last = max(span[0], start), min(span[1], end) - 1
            crop = self.draw(rng, first - start, last - start, end - start)
            results['segment'] = (start + crop[0], start + crop[1])
            return results
        ids = results['frame_ids']
        inside = np.flatnonzero((ids >= span[0]) & (ids < span[1]))
        if len(inside):
            crop = self.draw(rng, int(inside[0]), int(inside[-1]), len(ids))
            results['frame_ids'] = ids[crop[0]:crop[1]]
        return results

    @staticmethod
    def draw(rng: np.random.Generator, first: int, last: int,
             count: int) -> Tuple[int, int]:
        """Draw the crop.

        Args:
            rng (np.random.Generator): Source of the draws.
            first (int): First position of the event.
            last (int): Last position of the event, inclusive.
            count (int): Number of positions.

        Returns:
            tuple[int, int]: First position kept and the one after the last.
        """
        start = int(rng.integers(first)) if first > 0 else 0
        end = count - 1
        if last < count - 1:
            end = int(rng.integers(last + 1, count))
        return start, end + 1
