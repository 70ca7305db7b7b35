# Copyright (c) costa_mm authors. All rights reserved.
"""Which frames of which videos a config reads, and storing them."""
from functools import partial
from typing import Dict, List, NamedTuple, Optional, Tuple

import numpy as np

from costa_mm.registry import DATASETS
from costa_mm.utils.configs import iter_datasets, iter_transforms
from costa_mm.utils.frames import uniform_ids
from .frame_cache import (Picture, cache_path, encode_frame, is_current,
                          read_header, write_cache)
from .readers import BehindEndError, PyAVReader, VideoReadError
from .transforms.geometry import resize_frames, short_side_shape
from .transforms.sampling import SampleFrames


class CacheTask(NamedTuple):
    """One video to store.

    Attributes:
        root (str): Folder of the cache.
        video_path (str): The video.
        frame_ids (np.ndarray): Source frames, increasing, (T, ).
        short_side (int): Of the stored frames, pixels.
        max_size (int, optional): Longest long side, pixels.
        quality (int): JPEG quality.
    """
    root: str
    video_path: str
    frame_ids: np.ndarray
    short_side: int
    max_size: Optional[int]
    quality: int


class CacheResult(NamedTuple):
    """Outcome of a :class:`CacheTask`.

    Attributes:
        status (str): 'written', 'reused' or what went wrong.
        num_bytes (int): Size of the cache file.
        psnr (list[float]): Mean and smallest PSNR in dB.
    """
    status: str
    num_bytes: int = 0
    psnr: List[float] = []


def _named(pipeline: list, name: str) -> List[dict]:
    return [
        t for t in iter_transforms(pipeline)
        if t['type'].rsplit('.', 1)[-1] == name
    ]


def largest_size(cfg: dict) -> Tuple[Optional[int], Optional[int]]:
    """Largest short side and its ``max_size`` that a config resizes to."""
    sides = []
    for dataset in iter_datasets(cfg):
        for resize in _named(dataset['pipeline'], 'ResizeClip'):
            side = resize.get('short_side', resize.get('scale'))
            side = side if isinstance(side, int) else max(side)
            sides.append((side, resize.get('max_size')))
    return max(sides, key=lambda s: s[0], default=(None, None))


def plan(cfg: dict, dense: int = 4) -> Tuple[Dict[str, np.ndarray], int]:
    """Frames that the loaders of a config can ask for.

    Where a segment is cropped before sampling, any frame can be asked for;
    ``dense`` times as many as are sampled are then stored, and sampled frames
    move to the nearest stored one.

    Args:
        cfg (dict): A whole config.
        dense (int): See above.

    Returns:
        tuple[dict[str, np.ndarray], int]: Frames by video path, and the
        ``cache_tolerance`` that reading needs.
    """
    wanted: Dict[str, List[np.ndarray]] = {}
    tolerance = 0
    for dataset_cfg in iter_datasets(cfg):
        pipeline = dataset_cfg['pipeline']
        options = dict(_named(pipeline, 'SampleFrames')[0])
        options.pop('type')
        sample = SampleFrames(**options)
        crops = any(
            t.get('level') == 'segment'
            for t in _named(pipeline, 'RandomTemporalCrop'))
        dataset = DATASETS.build(dict(dataset_cfg, pipeline=[]))
        for i in range(len(dataset)):
            info = dataset.get_data_info(i)
            ids = sample(info)['frame_ids']
            if crops:
                start, end = info['segment']
                more = uniform_ids(start, end, dense * len(ids))
                ids = np.union1d(ids, more)
                gap = int(np.diff(more).max()) if len(more) > 1 else 1
                tolerance = max(tolerance, gap // 2)
            wanted.setdefault(info['video_path'], []).append(ids)
    return {
        path: np.unique(np.concatenate(ids))
        for path, ids in wanted.items()
    }, tolerance


def store(task: CacheTask) -> CacheResult:
    """Store one video, or reuse what is there (for worker processes)."""
    path = cache_path(task.root, task.video_path)
    if is_current(path, task.frame_ids, None, task.quality):
        header, start = read_header(path)
        height, width = header.ori_shape
        if tuple(header.shape) == _shape(height, width, task):
            return CacheResult('reused', start + header.ends[-1], header.psnr)
    ids, stored = np.asarray(task.frame_ids), None
    while stored is None:
        try:
            # of a long video only the stored pictures are in memory
            stored = PyAVReader().map(task.video_path, ids,
                                      partial(_shrink, task=task))
        except BehindEndError as e:
            # annotated longer than it is, or shorter than it promises
            left = ids[ids < e.num_frames]
            if len(left) in (0, len(ids)):
                return CacheResult(str(e))
            ids = left
        except VideoReadError as e:
            return CacheResult(str(e))
    shapes, pictures = zip(*stored)
    write_cache(task.root, task.video_path, ids, pictures, shapes[0],
                task.quality, np.setdiff1d(task.frame_ids, ids))
    header, start = read_header(path)
    return CacheResult('written', start + header.ends[-1], header.psnr)


def _shrink(frame: np.ndarray,
            task: CacheTask) -> Tuple[Tuple[int, int], Picture]:
    """Height and width of a frame, and what is stored of it."""
    shape = frame.shape[:2]
    small = resize_frames(frame[None], *_shape(*shape, task), 'bilinear')[0]
    return shape, encode_frame(small, task.quality)


def _shape(height: int, width: int, task: CacheTask) -> Tuple[int, int]:
    """Size of the stored frames; nothing is enlarged."""
    shape = short_side_shape(height, width, task.short_side, task.max_size)
    return shape if shape[0] < height else (height, width)
