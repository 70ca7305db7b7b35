# Copyright (c) costa_mm authors. All rights reserved.
"""Frames from a video file, boxes from a tube."""
from typing import Optional, Tuple, Union

import numpy as np
from mmcv.transforms import BaseTransform

from costa_mm.registry import TRANSFORMS
from ..readers import BaseVideoReader, BehindEndError, VideoReadError


@TRANSFORMS.register_module()
class LoadVideoFrames(BaseTransform):
    """Decode the sampled frames, and only those, at their native size.

    Some containers list a frame or two more than they hold.  Sampled frames
    behind the last one that can be decoded are dropped, not replaced.

    Required Keys:

    - video_path
    - frame_ids
    - width, height (optional)

    Modified Keys:

    - imgs
    - frame_ids
    - ori_shape
    - img_shape
    - flip

    Args:
        reader (dict or :obj:`BaseVideoReader`, optional): The back end;
            decord by default.
        tail_tolerance (int): How many of the last frames of the video (by its
            annotated length) may be missing.
    """

    def __init__(self,
                 *,
                 reader: Optional[Union[dict, BaseVideoReader]] = None,
                 tail_tolerance: int = 5) -> None:
        reader = reader or dict(type='costa_mm.DecordReader')
        self.reader = TRANSFORMS.build(reader) if isinstance(
            reader, dict) else reader
        self.tail_tolerance = tail_tolerance

    def transform(self, results: dict) -> dict:
        """Add ``imgs``, (T, H, W, 3), uint8, RGB.

        Raises:
            FileNotFoundError: If the video is not there.
            VideoReadError: If it does not decode, ends too early or has
                another size than annotated.
        """
        imgs, ids = self._read(results)
        height, width = imgs.shape[1:3]
        self._check_size(results, height, width)
        results['imgs'] = imgs
        results['frame_ids'] = ids
        results['ori_shape'] = (height, width)
        results['img_shape'] = (height, width)
        results['flip'] = False
        return results

    def _read(self, results: dict) -> Tuple[np.ndarray, np.ndarray]:
        """Images and their frame numbers."""
        path, ids = results['video_path'], results['frame_ids']
        try:
            return self.reader.read(path, ids), ids
        except BehindEndError as e:
            first_missing, error = e.num_frames, e
        except VideoReadError as e:
            first_missing, error = int(ids[-1]), e
        total = results.get('num_frames') or int(ids[-1]) + 1
        # a broken last packet may take down some frames before it as well
        lowest = total - self.tail_tolerance
        for end in range(first_missing, lowest - 1, -1):
            kept = ids[ids < end]
            if not len(kept):
                break
            try:
                return self.reader.read(path, kept), kept
            except (BehindEndError, VideoReadError):
                continue
        if isinstance(error, VideoReadError):
            raise error
        raise VideoReadError(
            f'{error}: the annotation belongs to another version of the '
            'video, or the video is cut off') from error

    @staticmethod
    def _check_size(results: dict, height: int, width: int) -> None:
        known = (results.get('height'), results.get('width'))
        if None not in known and known != (height, width):
            raise VideoReadError(
                f"{results['video_path']} is {width} x {height}, its "
                f'annotation says {known[1]} x {known[0]}: boxes would be '
                'in the wrong place; use the annotated version of the video '
                'or correct the annotation')

    def __repr__(self) -> str:
        return (f'{type(self).__name__}(reader={self.reader}, '
                f'tail_tolerance={self.tail_tolerance})')


@TRANSFORMS.register_module()
class LoadTubeAnnotations(BaseTransform):
    """Put the true tube on the sampled frames.

    Without a ground truth (testing) nothing is added.

    Required Keys:

    - gt_tube
    - frame_ids
    - ori_shape
    - img_shape

    Modified Keys:

    - gt_boxes
    - gt_box_mask
    - gt_span (only if a sampled frame lies inside the event)
    """

    def transform(self, results: dict) -> dict:
        """Add boxes (T, 4), their mask (T, ) and the span (first, last)."""
        tube = results.get('gt_tube')
        if tube is None:
            return results
        ids = results['frame_ids']
        inside = np.flatnonzero((ids >= tube.span[0]) & (ids < tube.span[1]))
        if len(inside):
            results['gt_span'] = (int(inside[0]), int(inside[-1]))
        boxes = np.zeros((len(ids), 4), dtype=np.float32)
        mask = np.zeros(len(ids), dtype=bool)
        if len(tube.frame_ids):
            at = np.searchsorted(tube.frame_ids, ids)
            at = np.minimum(at, len(tube.frame_ids) - 1)
            mask[inside] = tube.frame_ids[at[inside]] == ids[inside]
            boxes[mask] = tube.boxes[at[mask]] * self._scale(results)
        results['gt_boxes'] = boxes
        results['gt_box_mask'] = mask
        return results

    @staticmethod
    def _scale(results: dict) -> np.ndarray:
        """Frames may come from a cache that is smaller than the source."""
        (h, w), (ori_h, ori_w) = results['img_shape'], results['ori_shape']
        return np.array([w / ori_w, h / ori_h] * 2, dtype=np.float64)

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'
