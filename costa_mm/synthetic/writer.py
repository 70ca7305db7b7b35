# Copyright (c) costa_mm authors. All rights reserved.
"""Writes a benchmark folder: videos, annotations, factors, records."""
import json
import os
import time
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Dict, List, Mapping, Tuple, Union

import cv2
import numpy as np
from mmengine.utils import ProgressBar

from costa_mm.datasets import BaseVideoReader, PyAVReader
from costa_mm.utils import write_text
from costa_mm.utils.parallel import iter_parallel
from costa_mm.visualization import (TubeTrack, contact_sheet, save_image,
                                    write_video)
from .annotations import sample_entry, sample_factors, sample_scene
from .generator import SPLITS, Sample, Settings, draw_sample
from .oracles import entry_tube, run_oracles
from .render import render_frames

#: Split, first index, index after the last.
Chunk = Tuple[str, int, int]

#: One thread makes the bits reproducible; the rest makes decoding cheap.
ENCODING = dict(
    preset='veryfast',
    options=dict(tune='fastdecode', g='12', bf='0', threads='1'),
    web=False)

#: Endings of the files per split and what each holds of a sample.
RECORDS = {
    '': sample_entry,
    '_factors': sample_factors,
    '_scenes': sample_scene
}


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
    for split, records in results.items():
        for ending, data in records.items():
            _write_json(out_dir / f'{split}{ending}.json', data)
        write_contact_sheet(out_dir / f'contact_sheet_{split}.png',
                            records[''], out_dir / 'videos' / split)
    report = run_oracles(
        settings, {k: records['']
                   for k, records in results.items()})
    _write_json(out_dir / 'oracles.json', report, indent=1)
    _write_json(
        out_dir / 'meta.json', dict(record, complete=True), indent=1)
    print(f'written in {time.time() - began:.0f} s')
    return True


def _prepare(out_dir: Path, record: dict, overwrite: bool) -> bool:
    """Look at what is there; False if nothing is left to do."""
    meta = out_dir / 'meta.json'
    if out_dir.exists() and not out_dir.is_dir():
        raise FileExistsError(f'{out_dir} is a file, not a folder')
    if meta.exists():
        if not _prepare_again(out_dir, record, overwrite):
            return False
    elif out_dir.exists() and any(out_dir.iterdir()):
        raise FileExistsError(f'{out_dir} is not empty and no synthetic '
                              'benchmark: choose another folder')
    for split, number in record['sizes'].items():
        if number:
            (out_dir / 'videos' / split).mkdir(parents=True, exist_ok=True)
    _write_json(meta, dict(record, complete=False), indent=1)
    return True


def _prepare_again(out_dir: Path, record: dict, overwrite: bool) -> bool:
    """The same for a folder that this module has written to before."""
    if overwrite:
        _remove_benchmark(out_dir)
        return True
    meta = out_dir / 'meta.json'
    old = json.loads(meta.read_text(encoding='utf-8'))
    complete = old.pop('complete', False)
    if old != record:
        raise FileExistsError(
            f'{out_dir} holds a benchmark of other settings ({old}): '
            'choose another folder or replace it with --overwrite')
    there, wanted = len(_list_videos(out_dir)), sum(record['sizes'].values())
    if complete and there == wanted:
        return False
    print(f'{out_dir} has {there} of {wanted} videos: completing it')
    return True


def _list_videos(out_dir: Path) -> List[Path]:
    return [
        p for s in SPLITS
        for p in (out_dir / 'videos' / s).glob(f'{s}_?????.mp4')
    ]


def _remove_benchmark(out_dir: Path) -> None:
    """Remove what this module wrote, and nothing else."""
    names = [f'{s}{ending}.json' for s in SPLITS for ending in RECORDS]
    names += [f'contact_sheet_{s}.png' for s in SPLITS] + ['oracles.json']
    for path in _list_videos(out_dir) + [out_dir / n for n in names]:
        path.unlink(missing_ok=True)


def _render_all(out_dir: Path, settings: Settings, sizes: Mapping[str, int],
                num_workers: int) -> Dict[str, Dict[str, dict]]:
    """Render what is missing; records of every split by file ending."""
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
        one_thread = partial(cv2.setNumThreads, 1)
        for _, (chunk, rows) in iter_parallel(work, chunks, num_workers,
                                              one_thread):
            done[chunk] = rows
            bar.update(chunk[2] - chunk[1])
    print()
    out = {s: {k: {} for k in RECORDS} for s, n in sizes.items() if n}
    for chunk in chunks:  # in this order, whichever worker was faster
        for name, *records in done[chunk]:
            for ending, record in zip(RECORDS, records):
                out[chunk[0]][ending][name] = record
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
            write_sample(path, sample)
        rows.append((sample.name, *(f(sample) for f in RECORDS.values())))
    return chunk, rows


def _write_json(path: Path, data, indent=None) -> None:
    write_text(json.dumps(data, indent=indent) + '\n', path)


def write_sample(path: Union[str, os.PathLike], sample: Sample) -> None:
    """Render one sample as a video, the same bytes wherever it is done."""
    write_video(
        path,
        render_frames(sample),
        sample.settings.fps,
        crf=sample.level.crf,
        **ENCODING)


def write_contact_sheet(path: Union[str, os.PathLike],
                        entries: Mapping[str, dict],
                        video_dir: Union[str, os.PathLike],
                        *,
                        num_rows: int = 12) -> None:
    """Write a picture with samples spread evenly over a split.

    Args:
        path (str | os.PathLike): The picture, a .png file.
        entries (Mapping[str, dict]): Annotations in the HC-STVG v1 schema.
        video_dir (str | os.PathLike): Folder of their videos.
        num_rows (int): Most samples shown.

    Raises:
        FileNotFoundError: If a video is missing.
        ValueError: If there is nothing to show.
    """
    if not entries:
        raise ValueError(f'no samples to draw on {path}')
    names, reader = list(entries), PyAVReader()
    picks = np.linspace(0, len(names) - 1, min(num_rows, len(names)))
    rows = [
        _draw_row(reader, os.path.join(video_dir, names[i]), entries[names[i]],
                  f'{i}: ') for i in picks.round().astype(int)
    ]
    save_image(path, np.concatenate(rows))


def _draw_row(reader: BaseVideoReader, video: str, entry: dict,
              title: str) -> np.ndarray:
    """Some frames of one sample with its sentence and true boxes."""
    num, tube = entry['img_num'], entry_tube(entry)
    ids = np.unique(np.linspace(0, num - 1, 10).round().astype(int))
    return contact_sheet(
        reader.read(video, ids),
        ids, [TubeTrack(tube, '', title + entry['caption'])],
        num_frames=num,
        columns=len(ids),
        tile_width=128)
