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
import json
import os
import resource
import subprocess
import tempfile
import time
from typing import Callable, Dict, List, Optional, Tuple

import cv2
import numpy as np

from costa_mm.datasets import DecordReader, PyAVReader
from costa_mm.datasets.caching import CacheTask, store
from costa_mm.datasets.frame_cache import cache_path, read_cache
from costa_mm.datasets.transforms.geometry import (resize_frames,
                                                   short_side_shape)
from costa_mm.utils.frames import uniform_ids

# wall and CPU seconds of every round, by name
Times = Dict[str, List[Tuple[float, float]]]


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        '--source',
        help='video that the test clips are made from (repeated to length); '
        "by default FFmpeg's moving test picture")
    parser.add_argument('--num-frames', type=int, default=64)
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument(
        '--threads',
        type=int,
        nargs='+',
        default=[1],
        help='decoding threads of every way, and cores that it may use '
        '(default: 1, as in the workers of a data loader)')
    parser.add_argument('--json', help='write the figures here as well')
    return parser.parse_args()


def ffmpeg_exe() -> str:
    """FFmpeg's command line program."""
    import imageio_ffmpeg
    return imageio_ffmpeg.get_ffmpeg_exe()


def make_clip(path: str, seconds: int, source: Optional[str]) -> str:
    """A 640 x 360 H.264 clip of 30 frames/s."""
    given = ['-f', 'lavfi', '-i', 'testsrc2=size=640x360:rate=30']
    if source is not None:
        given = ['-stream_loop', '-1', '-i', source]
    subprocess.run([
        ffmpeg_exe(), '-v', 'error', '-y', *given, '-t',
        str(seconds), '-vf', 'scale=640:360', '-r', '30', '-an', '-c:v',
        'libx264', '-pix_fmt', 'yuv420p', path
    ], check=True)
    return path


def published(path: str, ids: np.ndarray, threads: int) -> np.ndarray:
    """The whole video through a pipe, then the sampled frames."""
    done = subprocess.run([
        ffmpeg_exe(), '-v', 'error', '-threads', str(threads), '-i', path,
        '-fps_mode', 'passthrough', '-f', 'rawvideo', '-pix_fmt', 'rgb24',
        'pipe:'
    ], check=True, stdout=subprocess.PIPE)
    frames = np.frombuffer(done.stdout, np.uint8).reshape(-1, 360, 640, 3)
    return frames[ids]


def resized(frames: np.ndarray, shape: Tuple[int, int]) -> np.ndarray:
    """Frames resized as the pipeline does it."""
    return resize_frames(np.ascontiguousarray(frames), *shape, 'bilinear')


def ways(path: str, ids: np.ndarray, shape: Tuple[int, int], cache: str,
         size: Tuple[int, int], threads: int) -> Dict[str, Callable]:
    """Every way to load the frames, by name."""
    store(CacheTask(cache, path, ids, *size, 95))
    stored = cache_path(cache, path)
    pyav, decord = (
        reader(num_threads=threads) for reader in (PyAVReader, DecordReader))
    return {
        'published (pipe)':
        lambda: resized(published(path, ids, threads), shape),
        'PyAV (default)':
        lambda: resized(pyav.read(path, ids), shape),
        'decord':
        lambda: resized(decord.read(path, ids), shape),
        'cache':
        lambda: resized(read_cache(stored, ids)[0], shape),
    }


def use_cores(count: int, cores: List[int]) -> None:
    """Keep this process and its children on some cores.

    FFmpeg's program converts and writes beside its decoding threads, and
    would have more cores than the others otherwise.
    """
    if hasattr(os, 'sched_setaffinity'):
        os.sched_setaffinity(0, cores[:count])


def measure(functions: Dict[str, Callable], rounds: int) -> Times:
    """Seconds of each function in each round, run in turn.

    Returns:
        dict[str, list[tuple[float, float]]]: Wall and CPU seconds by name.
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
    own, children, *_ = (
        resource.getrusage(who)
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return (own.ru_utime + own.ru_stime + children.ru_utime +
            children.ru_stime)


def main() -> None:
    """Make the clips, measure and print a table."""
    args = parse_args()
    cv2.setNumThreads(1)
    cores = sorted(os.sched_getaffinity(0)) if hasattr(
        os, 'sched_getaffinity') else []
    out = {}
    with tempfile.TemporaryDirectory() as folder:
        short = make_clip(
            os.path.join(folder, 'short.mp4'), 20, args.source)
        long = make_clip(os.path.join(folder, 'long.mp4'), 60, args.source)
        cases = itertools.product(
            args.threads, (('20 s clip', short, (0, 600)),
                           ('20 s of 60 s', long, (1200, 1800))),
            ((224, None), (448, 720)))
        for threads, (title, path, segment), size in cases:
            ids = uniform_ids(*segment, args.num_frames)
            shape = short_side_shape(360, 640, *size)
            cache = os.path.join(folder, f'cache{size[0]}')
            use_cores(threads, cores)
            times = measure(
                ways(path, ids, shape, cache, size, threads), args.rounds)
            name = (f'{title}, {args.num_frames} frames at {shape[0]} x '
                    f'{shape[1]}, threads: {threads}')
            out[name] = table(name, times)
    if args.json:
        with open(args.json, 'w') as f:
            json.dump(out, f, indent=1)


def table(title: str, times: Times) -> dict:
    """Print one table and return its figures."""
    print(title)
    print(f"  {'':18s} {'wall':>8s} {'':>8s} {'CPU':>10s}")
    best = {name: np.min(values, axis=0) for name, values in times.items()}
    base = best['published (pipe)']
    for name, (wall, cpu) in best.items():
        print(f'  {name:18s} {wall:6.3f} s {base[0] / wall:6.2f} x '
              f'{cpu:6.3f} s {base[1] / cpu:6.2f} x')
    return {name: values for name, values in times.items()}


if __name__ == '__main__':
    main()
