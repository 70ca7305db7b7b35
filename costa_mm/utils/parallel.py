# Copyright (c) costa_mm authors. All rights reserved.
"""Many tasks in several processes."""
from multiprocessing import get_context
from typing import Callable, Sequence

from mmengine.utils import track_iter_progress


def run_parallel(function: Callable,
                 tasks: Sequence,
                 num_workers: int,
                 title: str = '') -> list:
    """Apply a function to many tasks, with a progress bar.

    Args:
        function (Callable): Of one argument; it can be pickled.
        tasks (Sequence): Its arguments.
        num_workers (int): Processes; 1 stays in this one, 0 without a bar.
        title (str): Said before the bar.

    Returns:
        list: Results in the order of ``tasks``.
    """
    if num_workers < 1 or not tasks:
        return [function(task) for task in tasks]
    if title:
        print(f'{title}: {len(tasks)}')
    if num_workers == 1:
        results = map(function, tasks)
        return list(track_iter_progress((results, len(tasks))))
    # spawn: a decoder that was used before a fork may hang after it
    with get_context('spawn').Pool(num_workers) as pool:
        results = pool.imap(function, tasks, chunksize=4)
        return list(track_iter_progress((results, len(tasks))))
