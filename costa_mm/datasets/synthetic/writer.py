# Copyright (c) costa_mm authors. All rights reserved.
"""Writes a benchmark folder: videos, annotations, factors, records."""
import json
import multiprocessing
import os
import time
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Dict, List, Mapping, Tuple, Union

from mmengine.utils import ProgressBar

from .contact_sheet import write_contact_sheet
from .generator import (SPLITS, Settings, draw_sample, sample_entry,
                        sample_factors)
from .oracles import run_oracles
from .render import render_frames
from .video import write_video

Chunk = Tuple[str, int, int]


def write_benchmark(out_dir: Union[str, os.PathLike],
                    settings: Settings,
                    sizes: Mapping[str, int],
                    *,
                    num_workers: int = 1,
                    overwrite: bool = False) -> bool:
    """Write a benchmark, complete a half-written one or reuse a whole one.

    Args:
        out_dir (str | os.PathLike): The benchmark's folder.
        settings (Settings): Level, seed and video format.
        sizes (Mapping[str, int]): Number of samples of each split.
        num_workers (int): Processes; any number gives the same files.
        overwrite (bool): Replace a benchmark of other settings.

    Returns:
        bool: False if the folder was complete and has been reused.

    Raises:
        FileExistsError: If the folder holds something else.
        ValueError: If a number is out of range.
    """
    out_dir = Path(out_dir)
    sizes = {k: int(sizes.get(k, 0)) for k in SPLITS}
    if min(sizes.values()) < 0 or not any(sizes.values()):
        raise ValueError(f'sizes of splits are {sizes}: none may be negative '
                         'and one must be positive')
    if num_workers < 1:
        raise ValueError(f'num_workers is {num_workers}, must be positive')
    record = dict(settings.to_dict(), sizes=sizes)
    if not _prepare(out_dir, record, overwrite):
        return False
    began = time.time()
    results = _render_all(out_dir, settings, sizes, num_workers)
    for split, (entries, factors) in results.items():
        _write_json(out_dir / f'{split}.json', entries)
        _write_json(out_dir / f'{split}_factors.json', factors)
        write_contact_sheet(out_dir / f'contact_sheet_{split}.png', entries,
                            out_dir / 'videos' / split)
    report = run_oracles(settings, sizes)
    _write_json(out_dir / 'oracles.json', report, indent=1)
    _write_json(
        out_dir / 'meta.json', dict(record, complete=True), indent=1)
    print(f'written in {time.time() - began:.0f} s')
    return True


def _prepare(out_dir: Path, record: dict, overwrite: bool) -> bool:
    """Look at what is there; False if nothing is left to do."""
    meta = out_dir / 'meta.json'
    if meta.exists():
        old = json.loads(meta.read_text(encoding='utf-8'))
        complete = old.pop('complete', False)
        if old == record and complete and not overwrite:
            return False
        if old != record and not overwrite:
            raise FileExistsError(
                f'{out_dir} holds a benchmark of other settings ({old}): '
                'choose another folder or replace it with --overwrite')
        if overwrite:
            _remove_videos(out_dir)
    elif out_dir.exists() and any(out_dir.iterdir()):
        raise FileExistsError(f'{out_dir} is not empty and no synthetic '
                              'benchmark: choose another folder')
    for split in record['sizes']:
        (out_dir / 'videos' / split).mkdir(parents=True, exist_ok=True)
    _write_json(meta, dict(record, complete=False), indent=1)
    return True


def _remove_videos(out_dir: Path) -> None:
    """Remove what this module wrote, and nothing else."""
    for split in SPLITS:
        for video in (out_dir / 'videos' / split).glob(f'{split}_*.mp4'):
            video.unlink()


def _render_all(out_dir: Path, settings: Settings, sizes: Mapping[str, int],
                num_workers: int) -> Dict[str, Tuple[dict, dict]]:
    """Render what is missing; annotations and factors of every split."""
    chunks = list(
        chain.from_iterable(_split_chunks(s, n) for s, n in sizes.items()))
    work = partial(_render_chunk, str(out_dir), settings)
    done = {}
    bar = ProgressBar(sum(sizes.values()))
    if num_workers == 1:
        for chunk in chunks:
            done[chunk] = work(chunk)[1]
            bar.update(chunk[2] - chunk[1])
    else:
        with multiprocessing.get_context().Pool(num_workers) as pool:
            for chunk, rows in pool.imap_unordered(work, chunks):
                done[chunk] = rows
                bar.update(chunk[2] - chunk[1])
    print()
    out = {s: ({}, {}) for s, n in sizes.items() if n}
    for chunk in chunks:  # in this order, whichever worker was faster
        for name, entry, factors in done[chunk]:
            out[chunk[0]][0][name] = entry
            out[chunk[0]][1][name] = factors
    return out


def _split_chunks(split: str, num: int, length: int = 20) -> List[Chunk]:
    return [(split, i, min(i + length, num)) for i in range(0, num, length)]


def _render_chunk(out_dir: str, settings: Settings, chunk: Chunk):
    """Work of one process: videos and records of one stretch of a split."""
    split, start, end = chunk
    rows = []
    for index in range(start, end):
        sample = draw_sample(settings, split, index)
        path = os.path.join(out_dir, 'videos', split, sample.name)
        if not os.path.exists(path):
            write_video(path, render_frames(sample), settings.fps,
                        sample.level.crf)
        rows.append(
            (sample.name, sample_entry(sample), sample_factors(sample)))
    return chunk, rows


def _write_json(path: Path, data, indent=None) -> None:
    """Write so that a crash leaves the old file or the new one."""
    part = path.with_suffix('.part')
    part.write_text(
        json.dumps(data, indent=indent) + '\n', encoding='utf-8')
    os.replace(part, path)
