# Copyright (c) costa_mm authors. All rights reserved.
"""Store the frames that a config samples, small, for fast loading.

Can be stopped and started again: files with the same settings are checked
byte for byte and reused.  To read the cache, give ``LoadVideoFrames`` the two
options that this tool prints at its end.
"""
import argparse
import os
import sys
from collections import Counter

import numpy as np
from mmengine.config import DictAction

from costa_mm.cli.running import run_main
from costa_mm.datasets.caching import CacheTask, largest_size, plan, store
from costa_mm.engine.config import load_config
from costa_mm.utils.files import remove_leftovers
from costa_mm.utils.parallel import run_parallel

# seconds after which an unfinished file belongs to a run that was killed
STALE = 3600


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config whose loaders are served')
    parser.add_argument('--out', required=True, help='folder of the cache')
    parser.add_argument(
        '--short-side',
        type=int,
        help='pixels; by default the largest that the config resizes to')
    parser.add_argument('--max-size', type=int, help='of the long side')
    parser.add_argument(
        '--quality', type=int, default=95, help='of the JPEG pictures')
    parser.add_argument(
        '--dense',
        type=int,
        default=4,
        help='where segments are cropped before sampling: store so many '
        'times the sampled frames')
    parser.add_argument('--workers', type=int, default=os.cpu_count() or 1)
    parser.add_argument('--cfg-options', nargs='+', action=DictAction)
    return parser.parse_args()


def main() -> int:
    """Store all videos; the exit status is 1 if one could not be."""
    args = parse_args()
    cfg = load_config(args.config, args.cfg_options)
    side, max_size = largest_size(cfg)
    side = args.short_side or side
    max_size = args.max_size or max_size
    if side is None:
        raise ValueError(
            f'{args.config} has no ResizeClip: give --short-side')
    frames, tolerance = plan(cfg, args.dense)
    tasks = [
        CacheTask(args.out, path, ids, side, max_size, args.quality)
        for path, ids in frames.items()
    ]
    os.makedirs(args.out, exist_ok=True)
    remove_leftovers(args.out, STALE)
    results = run_parallel(store, tasks, args.workers, 'videos')
    return report(tasks, results, tolerance)


def report(tasks: list, results: list, tolerance: int) -> int:
    """Print what was stored and how to read it."""
    stored = [r for r in results if r.num_bytes]
    counts = Counter(
        r.status if r.num_bytes else 'failed' for r in results)
    print(', '.join(f'{n} {status}' for status, n in counts.items()))
    for task, result in zip(tasks, results):
        if not result.num_bytes:
            print(f'failed: {task.video_path}: {result.status}')
    if stored:
        cache = sum(r.num_bytes for r in stored) / 2**20
        videos = sum(
            os.path.getsize(t.video_path)
            for t, r in zip(tasks, results) if r.num_bytes) / 2**20
        mean = np.mean([r.psnr[0] for r in stored])
        least = min(r.psnr[1] for r in stored)
        print(f'{cache:.1f} MB of frames for {videos:.1f} MB of video, PSNR '
              f'{mean:.1f} dB in the mean, {least:.1f} dB in the worst frame')
    print(f'read it with: LoadVideoFrames(cache_root={tasks[0].root!r}, '
          f'cache_tolerance={tolerance})')
    return int(len(stored) < len(results))


if __name__ == '__main__':
    sys.exit(run_main(main))
