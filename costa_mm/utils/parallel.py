# Copyright (c) costa_mm authors. All rights reserved.
"""Work in other processes and threads."""
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from typing import Callable, Deque, Iterable, Iterator, Sequence, TypeVar

from mmengine.utils import track_iter_progress

Item = TypeVar('Item')


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


def prefetch(items: Iterable[Item], ahead: int = 2) -> Iterator[Item]:
    """Items that a thread makes while the caller works on earlier ones.

    Args:
        items (Iterable): Makes them; never used by two threads at once.
        ahead (int): Items that are made before they are asked for.
    """
    iterator, end = iter(items), object()
    pool = ThreadPoolExecutor(1, 'prefetch')
    try:
        waiting: Deque = deque(
            pool.submit(next, iterator, end) for _ in range(ahead))
        while True:
            item = waiting.popleft().result()
            if item is end:
                return
            waiting.append(pool.submit(next, iterator, end))
            yield item
    finally:
        pool.shutdown(cancel_futures=True)
