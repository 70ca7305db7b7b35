# Copyright (c) costa_mm authors. All rights reserved.
"""Fixtures that several test packages share."""
import multiprocessing
import os
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope='session')
def test_data() -> Path:
    """Folder with real clips and annotation files; skips where absent."""
    folder = Path(
        os.environ.get('COSTA_TEST_DATA', ROOT.parent / 'shared' / 'data'))
    if not folder.is_dir():
        pytest.skip(f'no test material at {folder}: set COSTA_TEST_DATA')
    return folder


@pytest.fixture(scope='session', autouse=True)
def quick_configs() -> None:
    """Texts of configs are laid out once."""
    from quick_config import keep_layouts
    keep_layouts()


@pytest.fixture(scope='session')
def context():
    """Starts processes that have torch imported already."""
    ctx = multiprocessing.get_context('forkserver')
    saved = {k: os.environ.get(k) for k in ('PYTHONPATH', 'OMP_NUM_THREADS')}
    toys = str(ROOT / 'tests' / 'test_engine')
    os.environ.update(
        PYTHONPATH=os.pathsep.join([toys, str(ROOT)]), OMP_NUM_THREADS='1')
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
