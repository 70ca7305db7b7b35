# Copyright (c) costa_mm authors. All rights reserved.
"""What a run says: a few lines, once, and the rest in files."""
import logging
import os
import warnings
from contextlib import contextmanager
from typing import Iterator

from mmengine.dist import is_main_process
from mmengine.utils.dl_utils import collect_env

#: MMEngine's own calls of what it deprecates; nobody here can change them.
_INNER = ('"FileClient" will be deprecated', '"HardDiskBackend" is the alias')


def environment_text(**settings) -> str:
    """Machine, libraries and settings of a run, a line each.

    Args:
        **settings: What else is told, behind the machine and the libraries.
    """
    told = {**collect_env(), **settings}
    return ''.join(f'{key}: {value}\n' for key, value in told.items())


def hide_inner_deprecations(logger: logging.Logger) -> None:
    """Leave out warnings about calls inside MMEngine."""
    if _is_outer not in logger.filters:
        logger.addFilter(_is_outer)


def _is_outer(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith(_INNER)


@contextmanager
def without_inner_warnings() -> Iterator[None]:
    """No warning of torch about MMEngine's ``broadcast_buffers``."""
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', '`broadcast_buffers` is deprecated')
        yield


def speak_once() -> None:
    """Of several processes only the first one warns.

    Threads per process are torchrun's or the user's; where nobody says, one,
    as MMEngine has it, which says so in every process.
    """
    for name in ('OMP_NUM_THREADS', 'MKL_NUM_THREADS'):
        os.environ.setdefault(name, '1')
    if not is_main_process():
        warnings.simplefilter('ignore')
