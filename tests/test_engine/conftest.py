# Copyright (c) costa_mm authors. All rights reserved.
"""Processes that can be killed, started in a moment."""
import multiprocessing
import os
import os.path as osp
import time

import pytest

HERE = osp.dirname(osp.abspath(__file__))


@pytest.fixture(scope='session')
def context():
    """Starts processes that have torch imported already."""
    ctx = multiprocessing.get_context('forkserver')
    saved = {k: os.environ.get(k) for k in ('PYTHONPATH', 'OMP_NUM_THREADS')}
    root = osp.dirname(osp.dirname(HERE))
    os.environ.update(
        PYTHONPATH=os.pathsep.join([HERE, root]), OMP_NUM_THREADS='1')
    ctx.set_forkserver_preload(['engine_toy'])
    warm = ctx.Process(target=time.time)
    warm.start()
    warm.join()
    for key, value in saved.items():
        os.environ.pop(key)
        if value is not None:
            os.environ[key] = value
    return ctx


@pytest.fixture(scope='session')
def launch(context):
    """Start a function in a process of its own."""

    def start(target, *args, **kwargs):
        process = context.Process(target=target, args=args, kwargs=kwargs)
        process.start()
        return process

    return start


@pytest.fixture(scope='session')
def finish(launch):
    """Run a function in a process of its own; returns its exit code."""

    def run(target, *args, **kwargs):
        process = launch(target, *args, **kwargs)
        process.join(600)
        if process.is_alive():
            process.kill()
            process.join()
            raise AssertionError(f'{target.__name__} hangs')
        return process.exitcode

    return run
