# Copyright (c) costa_mm authors. All rights reserved.
"""Flipped bits end in frames or in one clear error, soon and in bounds.

``COSTA_FUZZ_HEADERS`` sets the number of files that are tried.
"""
import multiprocessing
import os
import resource
import sys
import time
from multiprocessing import SimpleQueue
from pathlib import Path

import numpy as np
import pytest
from test_datasets.conftest import write_video

from costa_mm.datasets import PyAVReader

SOURCES = [
    ('a.mp4', 'libx264', dict(g='12', bf='2')),
    ('b.mkv', 'libx264', dict(g='12', bf='2')),
    ('c.webm', 'libvpx-vp9', dict(g='12', cpu_used='8')),
    ('d.avi', 'mpeg4', dict(g='12', bf='2')),
    ('e.ts', 'libx264', dict(g='12', bf='2')),
    ('f.mpg', 'mpeg2video', dict(g='12', bf='2')),
    ('g.flv', 'libx264', dict(g='12', bf='0')),
    ('h.wmv', 'wmv2', dict(g='12')),
    ('i.mov', 'mpeg4', dict(g='12', bf='2')),
    ('j.nut', 'ffv1', dict(g='12')),
]
DEFAULT_CASES = 40
SECONDS, GIGABYTES = 20, 1


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """Up to eight flipped bits in the first or last kilobyte."""
    out = np.frombuffer(data, np.uint8).copy()
    for _ in range(int(rng.integers(1, 9))):
        place = int(rng.integers(min(1024, len(out))))
        place = place if rng.random() < 0.6 else len(out) - 1 - place
        out[place] ^= 1 << int(rng.integers(8))
    return out.tobytes()


def try_file(path: str) -> str:
    """Probe and read as the toolbox does; what came of it."""
    reader = PyAVReader(accept_truncated=bool(len(path) % 2))
    try:
        info = reader.probe(path)
        assert info.num_frames > 0 and info.fps > 0
        ids = [0, info.num_frames // 2, info.num_frames - 1]
        images = reader.read(path, ids)
        assert images.shape == (3, info.height, info.width, 3)
        seconds = reader.times(path)
        assert len(seconds) == info.num_frames + 1
        assert np.isfinite(seconds).all() and (np.diff(seconds) >= 0).all()
    except (ValueError, IndexError) as e:
        assert path in str(e) and '\n' not in str(e), e
        return 'error'
    return 'frames'


def peak_gigabytes() -> float:
    """Most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def run(folder: Path, cases: int, seed: int, seen: SimpleQueue) -> None:
    """Try damaged files, each seed and number always the same ones."""
    before = peak_gigabytes()
    data = [(folder / name).read_bytes() for name, _, _ in SOURCES]
    for case in range(cases):
        rng = np.random.default_rng((seed, case))
        at = case % len(SOURCES)
        path = folder / f'damaged_{case}_{SOURCES[at][0]}'
        path.write_bytes(damaged(data[at], rng))
        start = time.monotonic()
        outcome = try_file(str(path))
        assert time.monotonic() - start < SECONDS, path.name
        seen.put((path.name, outcome))
        path.unlink()
    assert peak_gigabytes() - before < GIGABYTES


@pytest.mark.skipif(sys.platform != 'linux', reason='ru_maxrss is in kB')
def test_damaged_headers(tmp_path):
    """In a process of its own: it must neither die nor take much memory."""
    for name, codec, options in SOURCES:
        write_video(tmp_path / name, 24, codec=codec, options=options)
    cases = int(os.environ.get('COSTA_FUZZ_HEADERS', DEFAULT_CASES))
    fork = multiprocessing.get_context('fork')
    seen = fork.SimpleQueue()
    child = fork.Process(target=run, args=(tmp_path, cases, 0, seen))
    child.start()
    outcomes = []
    while child.is_alive() or not seen.empty():
        if seen.empty():
            time.sleep(0.01)
        else:
            outcomes.append(seen.get())
    assert child.exitcode == 0 and len(outcomes) == cases, outcomes[-1:]
    assert {outcome for _, outcome in outcomes} == {'error', 'frames'}
