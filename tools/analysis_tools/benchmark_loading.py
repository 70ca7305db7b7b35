# Copyright (c) costa_mm authors. All rights reserved.
"""Time to load sampled frames, against the way of the published loaders.

The published way: FFmpeg decodes the whole video into a pipe, the sampled
frames are picked and resized.  Ours decodes what is needed and resizes what
was sampled.  All of them decode with the same number of threads on as many
cores, and are run in turn, so that a busy machine slows all of them; the
fastest round of each counts.  CPU seconds (child processes included) say how
many such loaders a machine can feed.
"""
import argparse
import itertools
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from functools import partial
from typing import Callable, Dict, List, Optional, Tuple

import av
import cv2
import numpy as np
from benchmarking.machine import Table
from mmengine.registry import init_default_scope

from costa_mm.cli.running import run_main
from costa_mm.datasets import DecordReader, PyAVReader, TorchCodecReader
from costa_mm.datasets.caching import CacheTask, store
from costa_mm.datasets.frame_cache import cache_path, read_cache
from costa_mm.datasets.readers.borrowed_reader import has_package
from costa_mm.datasets.transforms.geometry import (resize_frames,
                                                   short_side_shape)
from costa_mm.datasets.transforms.sampling import uniform_ids
from costa_mm.engine.config import load_config
from costa_mm.registry import TRANSFORMS
from costa_mm.structures import Tube
from costa_mm.synthetic import ENCODING
from costa_mm.utils.files import write_json
from costa_mm.visualization import write_video

# the clips: H.264
FPS, SHAPE = 30, (360, 640)
# wall and CPU seconds of every round, by name
Times = Dict[str, List[Tuple[float, float]]]


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('--source',
        help='video that the test clips are made from (repeated to length); '
        "by default FFmpeg's moving test picture")
    add('--num-frames', type=int, default=64)
    add('--rounds', type=int, default=5)
    add('--threads', type=int, nargs='+', default=[1],
        help='decoding threads of every way, and cores that it may use '
        '(default: 1, as in the workers of a data loader)')
    add('--json', help='write the figures here as well')
    return parser.parse_args()


def make_clip(path: str, seconds: int, source: Optional[str] = None) -> str:
    """A clip of FFmpeg's moving test picture or of a video, repeated."""
    graph = f'testsrc2=size={SHAPE[1]}x{SHAPE[0]}:rate={FPS}'
    if source is not None:
        name = source.replace('\\', r'\\').replace("'", r"'\\\''")
        graph = (f"movie='{name}':loop=0,setpts=N/FRAME_RATE/TB,fps={FPS},"
                 f'scale={SHAPE[1]}:{SHAPE[0]}')
    with av.open(graph, format='lavfi') as container:
        frames = itertools.islice(container.decode(video=0), seconds * FPS)
        write_video(path, (f.to_ndarray(format='rgb24') for f in frames), FPS,
                    crf=23, **ENCODING)
    return path


def loading_times(config: str, rounds: int,
                  seconds: int = 20) -> Dict[str, Dict[str, float]]:
    """Median seconds of each transform of a config's pipelines.

    Returns:
        dict[str, dict[str, float]]: By split, 'train' and 'test', then by
        transform.
    """
    cfg = load_config(config)
    init_default_scope(cfg.get('default_scope', 'costa_mm'))
    out = {}
    with tempfile.TemporaryDirectory() as folder:
        path = make_clip(os.path.join(folder, 'clip.mp4'), seconds)
        for split in ('train', 'test'):
            loader = cfg.get(f'{split}_dataloader')
            if loader is None or 'pipeline' not in loader.dataset:
                continue
            pipeline = [TRANSFORMS.build(t) for t in loader.dataset.pipeline]
            runs = [run_pipeline(pipeline, path, seconds * FPS, i)
                    for i in range(rounds + 1)]  # the first one warms up
            out[split] = {
                name: float(np.median([run[name] for run in runs[1:]]))
                for name in runs[0]
            }
    return out


def run_pipeline(pipeline: list, path: str, count: int,
                 seed: int) -> Dict[str, float]:
    """Seconds of each transform."""
    ids = np.arange(count // 4, count // 2)
    boxes = np.tile([200., 100., 300., 300.], (len(ids), 1))
    results = dict(
        sample_id='clip', video_path=path, video_id='clip',
        sentence='the man on the left walks to the right', qtype=None,
        num_frames=count, fps=float(FPS), width=SHAPE[1], height=SHAPE[0],
        segment=(0, count), factors=None, rng=np.random.default_rng(seed),
        gt_tube=Tube((count // 4, count // 2), ids, boxes, num_frames=count))
    seconds: Dict[str, float] = defaultdict(float)
    for transform in pipeline:
        began = time.perf_counter()
        results = transform(results)
        seconds[type(transform).__name__] += time.perf_counter() - began
    return seconds


def published(path: str, ids: np.ndarray, threads: int) -> np.ndarray:
    """The whole video through a pipe, then the sampled frames."""
    import imageio_ffmpeg
    done = subprocess.run([
        imageio_ffmpeg.get_ffmpeg_exe(), '-v', 'error', '-threads',
        str(threads), '-i', path, '-fps_mode', 'passthrough', '-f',
        'rawvideo', '-pix_fmt', 'rgb24', 'pipe:'
    ], check=True, stdout=subprocess.PIPE)
    return np.frombuffer(done.stdout, np.uint8).reshape(-1, *SHAPE, 3)[ids]


def ways(path: str, ids: np.ndarray, shape: Tuple[int, int], cache: str,
         size: Tuple[int, int], threads: int) -> Dict[str, Callable]:
    """Every way to load the frames, by name, resized as pipelines do it."""
    store(CacheTask(cache, path, ids, *size, 95))
    stored = cache_path(cache, path)
    load = {
        'published (pipe)': lambda: published(path, ids, threads),
        'PyAV (default)': partial(
            PyAVReader(num_threads=threads).read, path, ids),
        'decord': partial(DecordReader(num_threads=threads).read, path, ids),
        'cache': lambda: read_cache(stored, ids)[0],
    }
    if has_package(TorchCodecReader.module):
        load['torchcodec'] = partial(
            TorchCodecReader(num_threads=threads).read, path, ids)

    def resized(name: str) -> np.ndarray:
        frames = np.ascontiguousarray(load[name]())
        return resize_frames(frames, *shape, 'bilinear')

    return {name: partial(resized, name) for name in load}


def measure(functions: Dict[str, Callable], rounds: int) -> Times:
    """Wall and CPU seconds of each function in each round, run in turn.

    Raises:
        RuntimeError: If one gives other frames than the first.
    """
    reference = None
    for name, function in functions.items():  # warm-up, and equal frames
        frames = function()
        if reference is None:
            reference = frames
        error = np.abs(frames.astype(int) - reference).mean()
        if name != 'cache' and error > 0.5:
            raise RuntimeError(f'{name} gives other frames: {error:.2f}')
    times: Times = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            wall, cpu = time.perf_counter(), cpu_seconds()
            function()
            times[name].append(
                (time.perf_counter() - wall, cpu_seconds() - cpu))
    return times


def cpu_seconds() -> float:
    """CPU time of this process and its finished children."""
    usages = map(resource.getrusage,
                 (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def print_times(title: str, times: Times) -> None:
    """Print one table: seconds, and how many times faster than published."""
    print(f'\n{title}\n')
    table = Table(way=18, wall=6, faster=6, CPU=6, less=6)
    best = {name: np.min(values, axis=0) for name, values in times.items()}
    base = best['published (pipe)']
    for name, seconds in best.items():
        table.row(name, *(f'{value:.3f}' for pair in zip(
            seconds, base / seconds) for value in pair))


def main() -> None:
    """Make the clips, measure and print a table."""
    args = parse_args()
    cv2.setNumThreads(1)
    bound = hasattr(os, 'sched_setaffinity')
    cores = sorted(os.sched_getaffinity(0)) if bound else []
    out = {}
    with tempfile.TemporaryDirectory() as folder:
        short, long = (make_clip(os.path.join(folder, f'{s}.mp4'), s,
                                 args.source) for s in (20, 60))
        cases = itertools.product(
            args.threads, (('20 s clip', short, (0, 600)),
                           ('20 s of 60 s', long, (1200, 1800))),
            ((224, None), (448, 720)))
        for threads, (title, path, segment), size in cases:
            ids = uniform_ids(*segment, args.num_frames)
            shape = short_side_shape(*SHAPE, *size)
            cache = os.path.join(folder, f'cache{size[0]}')
            if bound:
                # FFmpeg's program converts and writes beside its decoding
                # threads, and would have more cores than the others otherwise
                os.sched_setaffinity(0, cores[:threads])
            times = measure(
                ways(path, ids, shape, cache, size, threads), args.rounds)
            name = (f'{title}, {args.num_frames} frames at {shape[0]} x '
                    f'{shape[1]}, threads: {threads}')
            print_times(name, times)
            out[name] = times
    if args.json:
        write_json(out, args.json, indent=1)


if __name__ == '__main__':
    sys.exit(run_main(main))
