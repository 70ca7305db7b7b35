# Copyright (c) costa_mm authors. All rights reserved.
"""Frames from a video file, boxes from a tube."""
import os
from typing import Optional, Tuple, Union

import numpy as np

from costa_mm.registry import TRANSFORMS
from costa_mm.structures import Tube
from ..frame_cache import cache_path, nearest, read_cache, read_header
from ..readers import BaseVideoReader, BehindEndError, VideoReadError
from ..readers.display import square_shape
from .base import ClipTransform


@TRANSFORMS.register_module()
class LoadVideoFrames(ClipTransform):
    """Decode the sampled frames, and only those, at their native size.

    Some containers list a frame or two more than they hold.  Sampled frames
    behind the last one that can be decoded are dropped, not replaced.

    Frames have square pixels.  Where the annotation gives the size of a video
    with other pixels as it is stored, its boxes count stored pixels:
    ``ori_shape`` is then the stored size.

    With ``cache_root``, a video that ``cache_videos.py`` has stored there is
    read from the cache: already resized, with ``frame_ids`` set to the stored
    frames nearest to the sampled ones.  Numbers stay those of the source
    video.

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
            PyAV by default.
        cache_root (str, optional): Folder of the frame cache.
        cache_tolerance (int): How many source frames a stored frame may be
            away from a sampled one; where one is farther the video is
            decoded.
        tail_tolerance (int): How many of the last frames of the video (by its
            annotated length) may be missing.
    """

    def __init__(self,
                 *,
                 reader: Optional[Union[dict, BaseVideoReader]] = None,
                 cache_root: Optional[str] = None,
                 cache_tolerance: int = 0,
                 tail_tolerance: int = 5) -> None:
        reader = reader or dict(type='costa_mm.PyAVReader')
        self.reader = TRANSFORMS.build(reader) if isinstance(
            reader, dict) else reader
        self.cache_root = cache_root
        self.cache_tolerance = cache_tolerance
        self.tail_tolerance = tail_tolerance

    def transform(self, results: dict) -> dict:
        """Add ``imgs``, (T, H, W, 3), uint8, RGB.

        Raises:
            FileNotFoundError: If the video is not there.
            VideoReadError: If it does not decode, ends too early or has
                another size than annotated.
        """
        found = None
        if self.cache_root is not None:
            found = self._read_cache(results)
        if found is None:
            imgs, ids = self._read(results)
            found = imgs, ids, imgs.shape[1:3]
        imgs, ids, ori_shape = found
        results['imgs'] = imgs
        results['frame_ids'] = ids
        results['ori_shape'] = self._annotated_shape(results, *ori_shape)
        results['img_shape'] = imgs.shape[1:3]
        results['flip'] = False
        return results

    def _read_cache(self, results: dict) -> Optional[tuple]:
        """Images, frame numbers and source shape; None without a cache."""
        path = results['video_path']
        if not os.path.isfile(path):
            raise FileNotFoundError(f'no video file at {path}')
        cached = cache_path(self.cache_root, path)
        if not os.path.isfile(cached):
            return None
        wanted = results['frame_ids']
        try:
            header, _ = read_header(cached)
            stored = np.array(header.frame_ids, dtype=np.int64)
            away = np.abs(stored[nearest(stored, wanted)] - wanted)
            if away.max() > self.cache_tolerance:
                return None
            imgs, ids, _ = read_cache(cached, wanted)
        except ValueError as e:
            raise VideoReadError(str(e)) from e
        return imgs, ids, tuple(header.ori_shape)

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

    def _annotated_shape(self, results: dict, height: int,
                         width: int) -> Tuple[int, int]:
        """Height and width in whose pixels boxes are annotated."""
        known, path = (results.get('height'), results.get('width')), results[
            'video_path']
        if None in known or known == (height, width):
            return height, width
        if square_shape(*known,
                        self.reader.pixel_aspect(path)) == (height, width):
            return known
        raise VideoReadError(
            f'{path} is {width} x {height}, its annotation says {known[1]} x '
            f'{known[0]}: boxes would be in the wrong place; use the '
            'annotated version of the video or correct the annotation')


@TRANSFORMS.register_module()
class LoadTubeAnnotations(ClipTransform):
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

    Args:
        max_gap (int): Where boxes are annotated on key frames only: frames
            between two of them that are at most so far apart get the box in
            between (linear).  0 uses annotated boxes alone.
    """

    def __init__(self, *, max_gap: int = 0) -> None:
        self.max_gap = max_gap

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
            mask[inside], found = self._boxes_at(tube, ids[inside])
            boxes[mask] = found * self._scale(results)
        results['gt_boxes'] = boxes
        results['gt_box_mask'] = mask
        return results

    def _boxes_at(self, tube: Tube,
                  ids: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
        """Which frames have a box, (T, ), bool, and their boxes, (N, 4)."""
        known = tube.frame_ids
        right = np.minimum(np.searchsorted(known, ids), len(known) - 1)
        left = np.where(known[right] == ids, right, np.maximum(right - 1, 0))
        gap = known[right] - known[left]
        near = (known[left] == ids) | (
            (known[left] < ids) & (ids < known[right]) & (gap <= self.max_gap))
        left, right, gap = left[near], right[near], np.maximum(gap[near], 1)
        share = ((ids[near] - known[left]) / gap)[:, None]
        boxes = tube.boxes[left] * (1 - share) + tube.boxes[right] * share
        return near, boxes

    @staticmethod
    def _scale(results: dict) -> np.ndarray:
        """Frames may come from a cache that is smaller than the source."""
        (h, w), (ori_h, ori_w) = results['img_shape'], results['ori_shape']
        return np.array([w / ori_w, h / ori_h] * 2, dtype=np.float64)
