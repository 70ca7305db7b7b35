# Copyright (c) costa_mm authors. All rights reserved.
"""The one way in which files are written: whole or not at all."""
import gzip
import json
import os
import socket
import time
from contextlib import contextmanager
from typing import Any, Iterator, Union

PathLike = Union[str, os.PathLike]
TMP_SUFFIX = '.writing'


@contextmanager
def atomic_path(path: PathLike, durable: bool = False) -> Iterator[str]:
    """A temporary path beside ``path`` that becomes it when all went well.

    A reader sees the old file or the whole new one.  The temporary name is
    this process's own (two processes may write the same file) and keeps the
    suffix of ``path``, for writers that go by it.

    Args:
        path (str or PathLike): The file; its folder is made.
        durable (bool): Wait until file and name are on the disk, for what
            must survive a power cut (checkpoints).

    Yields:
        str: Where to write.

    Raises:
        OSError: If it cannot be written; a file that stood there before is
            untouched and nothing else is left behind.
    """
    path = os.path.abspath(os.fspath(path))
    folder, name = os.path.split(path)
    os.makedirs(folder, exist_ok=True)
    stem, suffix = os.path.splitext(name)
    part = os.path.join(folder, f'.{stem}.{socket.gethostname()}.'
                        f'{os.getpid()}{TMP_SUFFIX}{suffix}')
    try:
        yield part
        if durable:
            _sync(part)
        os.replace(part, path)
    except BaseException:
        if os.path.exists(part):
            os.remove(part)
        raise
    if durable:
        _sync(folder)


def _sync(path: str) -> None:
    """Wait until a file or a folder's list of names is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def is_leftover(name: str) -> bool:
    """Whether a file name is that of an unfinished :func:`atomic_path`."""
    return name.startswith('.') and TMP_SUFFIX in name


def remove_leftovers(folder: str, seconds: float = 0) -> None:
    """Remove unfinished files of processes that were killed.

    Args:
        folder (str): Where to look.
        seconds (float): Only files that were last written so long ago, where
            other processes may be writing now.
    """
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        if is_leftover(name) and time.time() - os.path.getmtime(
                path) >= seconds:
            os.remove(path)


def write_bytes(data: bytes, path: PathLike, durable: bool = False) -> None:
    """Write a small file whole or not at all."""
    with atomic_path(path, durable) as part:
        with open(part, 'wb') as f:
            f.write(data)


def write_text(text: str, path: PathLike, durable: bool = False) -> None:
    """Write a small text file (UTF-8) whole or not at all."""
    write_bytes(text.encode(), path, durable)


def write_json(data: Any, path: PathLike, **kwargs: Any) -> None:
    """Write JSON, gzipped where the name ends in ``.gz``.

    Args:
        data (Any): What to write.
        path (str or PathLike): Where; its folder is made.
        **kwargs: As of ``json.dumps``; ``ensure_ascii`` is False by default.
    """
    text = json.dumps(data, **{'ensure_ascii': False, **kwargs}).encode()
    if os.fspath(path).endswith('.gz'):
        text = gzip.compress(text, mtime=0)
    write_bytes(text, path)
