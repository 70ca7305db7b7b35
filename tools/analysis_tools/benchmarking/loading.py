# Copyright (c) costa_mm authors. All rights reserved.
"""Where loading a sample spends its time."""
import os
import tempfile
import time
from typing import Dict

import av
import numpy as np
from mmengine.config import Config
from mmengine.registry import init_default_scope

from costa_mm.registry import TRANSFORMS
from costa_mm.structures import Tube
from costa_mm.synthetic import ENCODING
from costa_mm.visualization import write_video

SECONDS, FPS, SHAPE = 20, 30, (360, 640)


def loading_times(config: str, rounds: int) -> Dict[str, Dict[str, float]]:
    """Median seconds of each transform of a config's pipelines.

    The clip is 20 s long, 640 x 360 pixels at 30 frames/s, H.264.

    Returns:
        dict[str, dict[str, float]]: By split, 'train' and 'test', then by
        transform.
    """
    cfg = Config.fromfile(config)
    init_default_scope(cfg.get('default_scope', 'costa_mm'))
    out = {}
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'clip.mp4')
        write_clip(path)
        for split in ('train', 'test'):
            loader = cfg.get(f'{split}_dataloader')
            if loader is None or 'pipeline' not in loader.dataset:
                continue
            pipeline = [TRANSFORMS.build(t) for t in loader.dataset.pipeline]
            runs = [run_pipeline(pipeline, path, i) for i in range(rounds + 1)]
            out[split] = {
                name: float(np.median([run[name] for run in runs[1:]]))
                for name in runs[0]
            }
    return out


def write_clip(path: str) -> None:
    """FFmpeg's moving test picture."""
    source = (f'testsrc2=size={SHAPE[1]}x{SHAPE[0]}:rate={FPS}:'
              f'duration={SECONDS}')
    with av.open(source, format='lavfi') as container:
        frames = (frame.to_ndarray(format='rgb24')
                  for frame in container.decode(video=0))
        write_video(path, frames, FPS, crf=23, **ENCODING)


def run_pipeline(pipeline: list, path: str, seed: int) -> Dict[str, float]:
    """Seconds of each transform."""
    count = SECONDS * FPS
    ids = np.arange(count // 4, count // 2)
    boxes = np.tile([200., 100., 300., 300.], (len(ids), 1))
    results = dict(
        sample_id='clip', video_path=path, video_id='clip',
        sentence='the man on the left walks to the right', qtype=None,
        num_frames=count, fps=float(FPS), width=SHAPE[1], height=SHAPE[0],
        segment=(0, count), factors=None, rng=np.random.default_rng(seed),
        gt_tube=Tube((count // 4, count // 2), ids, boxes, num_frames=count))
    seconds = {}
    for transform in pipeline:
        began = time.perf_counter()
        results = transform(results)
        name = type(transform).__name__
        seconds[name] = seconds.get(name, 0.) + time.perf_counter() - began
    return seconds
