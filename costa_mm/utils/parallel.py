# Copyright (c) costa_mm authors. All rights reserved.
"""Work in other processes and threads."""
import os
import reprlib
import signal
from collections import deque
from concurrent.futures import (FIRST_COMPLETED, ProcessPoolExecutor,
                                ThreadPoolExecutor, wait)
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import get_context, parent_process
from threading import Thread
from typing import (Any, Callable, Deque, Dict, Iterable, Iterator, Optional,
                    Sequence, Tuple, TypeVar)

from mmengine.utils import ProgressBar, track_iter_progress

Item = TypeVar('Item')
_job: Optional[tuple] = None  # of a worker: function, where it notes tasks


class WorkerDiedError(ChildProcessError):
    """A worker process ended in the middle of its work."""


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

    Raises:
        WorkerDiedError: If a worker was killed; names what was in work.
    """
    if num_workers < 1 or not tasks:
        return [function(task) for task in tasks]
    if title:
        print(f'{title}: {len(tasks)}')
    if num_workers == 1:
        results = map(function, tasks)
        return list(track_iter_progress((results, len(tasks))))
    results, bar = [None] * len(tasks), ProgressBar(len(tasks))
    try:
        for number, result in iter_parallel(function, tasks, num_workers):
            results[number] = result
            bar.update()
    finally:
        print()
    return results


def iter_parallel(function: Callable,
                  tasks: Sequence,
                  num_workers: int,
                  setup: Optional[Callable] = None
                  ) -> Iterator[Tuple[int, Any]]:
    """Apply a function to many tasks in processes; results as they come.

    Few tasks are on their way at a time, however many there are.  When the
    caller stops, or a task fails, the processes are ended at once; they end
    themselves when this process is killed.

    Args:
        function (Callable): Of one argument; it can be pickled.
        tasks (Sequence): Its arguments.
        num_workers (int): Processes.
        setup (Callable, optional): Called once in each of them; it can be
            pickled.

    Yields:
        tuple[int, Any]: Place in ``tasks``, and the result.

    Raises:
        WorkerDiedError: If a worker was killed; names what was in work.
    """
    # spawn: a child that is forked may wait for ever for a lock that a thread
    # of this process (a decoder's, OpenCV's) holds at that moment
    spawn = get_context('spawn')
    begun = spawn.RawArray('i', len(tasks))  # worker's pid by task
    pool = ProcessPoolExecutor(num_workers, spawn, _enter,
                               (function, begun, setup))
    workers = pool._processes
    todo, waiting = enumerate(tasks), {}
    try:
        while True:
            for number, task in islice(todo, 2 * num_workers - len(waiting)):
                waiting[pool.submit(_work, number, task)] = number
            if not waiting:
                return
            for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                result = future.result()
                yield waiting.pop(future), result
    except BrokenProcessPool as e:
        pool.shutdown()  # their exit statuses are known then
        raise WorkerDiedError(_last_words(
            {w.pid: w.exitcode for w in workers.values()},
            {begun[i]: tasks[i] for i in waiting.values() if begun[i]},
            e.__cause__)) from e
    finally:
        if waiting:
            for worker in list(workers.values()):
                worker.terminate()
        pool.shutdown(cancel_futures=True)


def _enter(function: Callable, begun: Sequence[int],
           setup: Optional[Callable]) -> None:
    """Begin a worker's life."""
    global _job
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # this process ends it
    Thread(target=_follow_parent, daemon=True).start()
    _job = function, begun
    if setup is not None:
        setup()


def _follow_parent() -> None:
    parent_process().join()
    os._exit(1)


def _work(number: int, task: Any) -> Any:
    function, begun = _job
    begun[number] = os.getpid()
    return function(task)


def _last_words(statuses: Dict[int, Optional[int]], in_work: Dict[int, Any],
                cause: Optional[BaseException]) -> str:
    """What is known of the death of a worker.

    Args:
        statuses (dict[int, int]): Exit status of every worker by pid.
        in_work (dict[int, Any]): Last task of each that had begun one.
        cause (BaseException, optional): Why a result could not be read.
    """
    if cause is not None:
        why = str(cause).replace("'''", '').strip().splitlines()[-1]
        return f'the result or error of a worker cannot be sent back: {why}'
    # the others are ended by SIGTERM
    dead = {pid: status for pid, status in statuses.items()
            if status not in (None, 0, -signal.SIGTERM)}
    how = ' and '.join(sorted({_ending(status) for status in dead.values()}))
    blamed = {pid: in_work[pid] for pid in dead if pid in in_work} or in_work
    names = [_name(task) for task in blamed.values()]
    if not names:
        return (f'a worker process {how or "was ended"} before it began: what '
                'it wrote is above')
    more = f' and {len(names) - 5} more' if len(names) > 5 else ''
    return (f'a worker process {how or "was ended"}; in work: '
            f'{", ".join(names[:5])}{more}. Files that were finished stay. '
            'If memory ran out, use fewer workers; if it happens again in the '
            'same place, leave that one out')


def _ending(status: int) -> str:
    if status > 0:
        return f'ended with status {status}'
    try:
        return f'was ended by {signal.Signals(-status).name}'
    except ValueError:
        return f'was ended by signal {-status}'


def _name(task: Any) -> str:
    """What a person calls a task."""
    for key in ('video_path', 'path'):
        if isinstance(getattr(task, key, None), str):
            return getattr(task, key)
    return task if isinstance(task, str) else reprlib.repr(task)


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
