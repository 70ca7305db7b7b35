# Copyright (c) costa_mm authors. All rights reserved.
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path

import pytest

from costa_mm.utils.parallel import (WorkerDiedError, _last_words,
                                     iter_parallel, prefetch, run_parallel)

ROOT = Path(__file__).resolve().parents[2]


def test_prefetch():
    made = []

    def items():
        for i in range(5):
            made.append(i)
            yield i

    ahead = prefetch(items(), 2)
    assert next(ahead) == 0 and list(ahead) == [1, 2, 3, 4]
    ahead = prefetch(items(), 2)
    next(ahead)
    ahead.close()  # nothing more is made for nobody
    assert len(made) < 5 + 5

    def broken():
        yield 1
        raise ValueError('no')

    ahead = prefetch(broken())
    assert next(ahead) == 1
    with pytest.raises(ValueError, match='no'):
        next(ahead)


def double(x):
    return 2 * x


def at_work(x):
    """What goes wrong, and where, is in the task."""
    folder, number, what = x
    if number == 5:
        time.sleep(.5)  # the others have their second task by then
        if isinstance(what, int):
            os.kill(os.getpid(), what)
        elif what == 'exit':
            os._exit(3)
        elif what == 'error':
            raise ValueError('task 5')
        elif what == 'odd error':
            raise OddError(1, 2)
    (Path(folder) / f'{number}').touch()
    if number > 8:
        time.sleep(600)
    return number


class OddError(Exception):
    """Cannot be pickled."""

    def __init__(self, one, two):
        super().__init__('odd')


class BadStart:
    """Cannot be unpickled: a worker dies before it begins."""

    def __call__(self, task):
        return task

    def __reduce__(self):
        return os._exit, (7, )


def late(x):
    time.sleep(.02 * (x % 4 == 0))
    return x


def work_and_say(folder):
    """Parent of workers that work for ever."""
    run_parallel(forever, [folder] * 4, 2)


def forever(folder):
    (Path(folder) / str(os.getpid())).touch()
    time.sleep(600)


def lives(pid):
    try:
        with open(f'/proc/{pid}/stat') as f:
            return f.read().rsplit(')', 1)[1].split()[0] != 'Z'
    except FileNotFoundError:
        return False


def until(condition, seconds=60):
    end = time.time() + seconds
    while not condition():
        assert time.time() < end, 'waited in vain'
        time.sleep(.05)


@pytest.mark.parametrize('workers', [0, 1, 3])
def test_results_keep_the_order_of_tasks(workers, capsys):
    assert run_parallel(double, range(30), workers, 'numbers') == list(
        range(0, 60, 2))
    assert ('numbers: 30' in capsys.readouterr().out) == (workers > 0)
    assert run_parallel(double, [], workers) == []


def test_few_tasks_are_on_their_way(tmp_path):
    taken = []

    class Tasks(list):

        def __iter__(self):
            for i in range(len(self)):
                taken.append(i)
                yield i

    results = iter_parallel(late, Tasks(range(40)), 2)
    for number in range(40):
        next(results)
        assert len(taken) <= number + 5
    assert next(results, None) is None and len(taken) == 40


@pytest.mark.parametrize('what, words', [
    (signal.SIGKILL, 'ended by SIGKILL'), (signal.SIGSEGV, 'by SIGSEGV'),
    (signal.SIGTERM, 'was ended;'), ('exit', 'ended with status 3')])
def test_a_dead_worker_ends_the_work_with_a_message(what, words, tmp_path):
    tasks = [(str(tmp_path), i, what) for i in range(40)]
    began = time.time()
    with pytest.raises(WorkerDiedError) as caught:
        run_parallel(at_work, tasks, 2)
    assert time.time() - began < 60
    text = str(caught.value)
    assert words in text and 'fewer workers' in text and ', 5, ' in text
    # whose worker it was is known, unless it looks like the others
    assert (', 0, ' not in text) and (
        text.count(str(tmp_path)[:8]) == 1 or what == signal.SIGTERM)
    assert (tmp_path / '4').exists() and not multiprocessing.active_children()


@pytest.mark.parametrize('what, error, words', [
    ('error', ValueError, 'task 5'),
    ('odd error', WorkerDiedError, "'two'")])
def test_an_error_ends_the_work_at_once(what, error, words, tmp_path):
    began = time.time()
    with pytest.raises(error, match=words):
        run_parallel(at_work, [(str(tmp_path), i, what) for i in range(40)],
                     2)
    assert time.time() - began < 60
    assert not multiprocessing.active_children()


def test_workers_that_cannot_begin():
    with pytest.raises(WorkerDiedError, match='status 7 before it began'):
        run_parallel(BadStart(), range(9), 2)


def test_tasks_have_names():
    Task = namedtuple('Task', 'video_path ids')
    words = _last_words({1: -9, 2: -15, 3: -11}, {
        1: Task('a.mp4', 0), 2: Task('b.mp4', 0), 3: ('train', 0, 20)}, None)
    assert "in work: a.mp4, ('train', 0, 20)." in words
    assert 'SIGKILL and was ended by SIGSEGV' in words
    many = {i: f'{i}.mp4' for i in range(8)}
    assert '4.mp4 and 3 more.' in _last_words({}, many, None)
    assert 'signal 63' in _last_words({0: -63}, many, None)


def test_who_stops_listening_ends_the_workers(tmp_path):
    results = iter_parallel(at_work, [(str(tmp_path), i, '') for i in
                                      range(40)], 2)
    assert len({next(results)[0] for _ in range(3)}) == 3
    results.close()
    assert not multiprocessing.active_children()


@pytest.mark.skipif(not os.path.exists('/proc/self/stat'), reason='Linux')
@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGKILL])
def test_workers_end_with_their_parent(number, tmp_path):
    process = subprocess.Popen(
        [sys.executable, '-c', 'from test_utils.test_parallel import *\n'
         f'work_and_say({str(tmp_path)!r})'], stderr=subprocess.PIPE,
        env=dict(os.environ, PYTHONPATH=os.pathsep.join(
            [str(ROOT), str(ROOT / 'tests')])), start_new_session=True)
    until(lambda: len(os.listdir(tmp_path)) == 2)
    if number == signal.SIGINT:  # Ctrl-C reaches all of them
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    said = process.communicate(timeout=60)[1].decode()
    assert ('KeyboardInterrupt' in said) == (number == signal.SIGINT)
    assert said.count('Traceback') <= 1  # that of the parent
    until(lambda: not any(map(lives, os.listdir(tmp_path))))
