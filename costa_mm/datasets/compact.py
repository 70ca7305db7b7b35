# Copyright (c) costa_mm authors. All rights reserved.
"""Writing the compact annotation format (read by every dataset class)."""
import gzip
import json
import os
from typing import Any, Callable, Dict, Iterable, List, Optional, Sequence

import numpy as np
from mmengine.utils import ProgressBar

from costa_mm.structures import Tube
from .records import LeftOut


def to_compact(records: Iterable[dict],
               video_root: str,
               tracks: Optional[Dict[str, str]] = None) -> dict:
    """Records as one object of the format of :class:`STVGDataset`.

    Args:
        records (Iterable[dict]): Of a dataset (see :class:`BaseSTVGDataset`).
        video_root (str): Video paths are written relative to it.
        tracks (dict[str, str], optional): Name of the object's track by
            sample id.  Sentences of a video with the same name share their
            boxes, which halves the files of VidSTG.

    Returns:
        dict: Ready for :func:`write_compact`.
    """
    groups: Dict[str, List[dict]] = {}
    for record in records:
        groups.setdefault(record['video_path'], []).append(record)
    return dict(videos=[
        _video_entry(path, group, video_root, tracks or {})
        for path, group in groups.items()
    ])


def write_compact(data: Any, path: str) -> None:
    """Write JSON, gzipped where the name ends in ``.gz``.

    The file appears under its name only when it is complete.

    Args:
        data (Any): What to write.
        path (str): Where; its folder is made.
    """
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    opener = gzip.open if path.endswith('.gz') else open
    partial = f'{path}.part'
    with opener(partial, 'wt', encoding='utf-8') as f:
        json.dump(data, f, ensure_ascii=False, separators=(',', ':'))
    os.replace(partial, path)


def run_parallel(function: Callable,
                 tasks: Sequence,
                 num_workers: int,
                 title: str = '') -> list:
    """Apply a function to many tasks, with a progress bar.

    Args:
        function (Callable): Of one argument, defined in a module.
        tasks (Sequence): Its arguments.
        num_workers (int): Processes; at most 1 stays in this one.
        title (str): Said before the bar.

    Returns:
        list: Results in the order of ``tasks``.
    """
    if title:
        print(f'{title}: {len(tasks)}')
    bar = ProgressBar(len(tasks)) if len(tasks) else None
    results = []
    if num_workers <= 1:
        for task in tasks:
            results.append(function(task))
            bar.update()
    else:
        # spawn: a decoder that was used before a fork may hang after it
        from multiprocessing import get_context
        with get_context('spawn').Pool(num_workers) as pool:
            for result in pool.imap(function, tasks, chunksize=4):
                results.append(result)
                bar.update()
    if bar is not None:
        print()
    return results


def finish_conversion(records: List[dict], left_out: LeftOut, out: str,
                      video_root: str,
                      tracks: Optional[Dict[str, str]] = None) -> None:
    """Write the annotation file and the report, and say what is in them.

    Args:
        records (list[dict]): What is kept.
        left_out (LeftOut): What is not, and notes.
        out (str): The annotation file; the report lies beside it.
        video_root (str): See :func:`to_compact`.
        tracks (dict[str, str], optional): See :func:`to_compact`.
    """
    write_compact(to_compact(records, video_root, tracks), out)
    report = f"{out.removesuffix('.gz').removesuffix('.json')}_report.json"
    write_compact(
        dict(kept=len(records), notes=left_out.to_dict()), report)
    print(f'{len(records)} sentences of '
          f"{len({r['video_path'] for r in records})} videos written to "
          f'{out}')
    if left_out:
        print(f'notes (all sample ids are in {report}):')
        print(left_out.summary())


def _video_entry(path: str, group: List[dict], video_root: str,
                 tracks: Dict[str, str]) -> dict:
    first = group[0]
    entry = dict(
        path=os.path.relpath(path, video_root or '.'),
        id=first['video_id'],
        num_frames=first['num_frames'],
        fps=first['fps'],
        width=first['width'],
        height=first['height'])
    shared: Dict[str, List[Tube]] = {}
    for record in group:
        name = tracks.get(record['sample_id'])
        if name is not None and record['gt_tube'] is not None:
            shared.setdefault(name, []).append(record['gt_tube'])
    if shared:
        entry['tracks'] = {k: _track(v) for k, v in shared.items()}
    entry['sentences'] = [
        _sentence_entry(record, tracks.get(record['sample_id']))
        for record in group
    ]
    return entry


def _sentence_entry(record: dict, track: Optional[str]) -> dict:
    entry = dict(id=record['sample_id'], text=record['sentence'])
    if record['qtype'] is not None:
        entry['qtype'] = record['qtype']
    if tuple(record['segment']) != (0, record['num_frames']):
        entry['segment'] = list(record['segment'])
    if record['factors'] is not None:
        entry['factors'] = record['factors']
    tube = record['gt_tube']
    if tube is not None:
        entry['span'] = list(tube.span)
        if track is not None:
            entry['track'] = track
        elif len(tube.boxes):
            entry['boxes'] = _box_list(
                dict(zip(tube.frame_ids.tolist(), tube.boxes)), tube.span[0])
    return entry


def _track(tubes: List[Tube]) -> dict:
    boxes: Dict[int, np.ndarray] = {}
    for tube in tubes:
        boxes.update(zip(tube.frame_ids.tolist(), tube.boxes))
    start = min(boxes, default=0)
    return dict(start=start, boxes=_box_list(boxes, start))


def _box_list(boxes: Dict[int, np.ndarray], start: int) -> list:
    """Boxes of consecutive frames from ``start`` on, None in gaps."""
    return [
        _numbers(boxes[i]) if i in boxes else None
        for i in range(start, max(boxes, default=start - 1) + 1)
    ]


def _numbers(box: np.ndarray) -> list:
    """Whole numbers without their useless decimals."""
    return [int(c) if c == int(c) else round(float(c), 3) for c in box]
