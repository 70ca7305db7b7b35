# Copyright (c) costa_mm authors. All rights reserved.
"""The one way in which files are written: whole or not at all."""
import gzip
import hashlib
import json
import os
import re
import socket
import time
import zlib
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Any, Iterator, Union

PathLike = Union[str, os.PathLike]
TMP_SUFFIX = '.writing'
NAME_BYTES = 255  # of a file, on all usual file systems
# of both ends of a video that are looked at to tell it from others
END_BYTES = 65536


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
    own = f'.{socket.gethostname()}.{os.getpid()}{TMP_SUFFIX}{suffix}'
    if len(os.fsencode(f'.{stem}{own}')) > NAME_BYTES:
        stem = f'{zlib.crc32(os.fsencode(stem)):x}'
    part = os.path.join(folder, f'.{stem}{own}')
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
        if not is_leftover(name):
            continue
        with suppress(FileNotFoundError):  # another process has finished it
            if time.time() - os.path.getmtime(path) >= seconds:
                os.remove(path)


def video_hash(path: str) -> str:
    """SHA-1 of the size of a video, its first and its last 64 kB.

    Computed once per file and process; good for checkpoints as well, whose
    end lists checksums of the rest.
    """
    stat = os.stat(path)
    return _video_hash(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=65536)
def _video_hash(path: str, size: int, mtime: int) -> str:
    digest = hashlib.sha1(str(size).encode())
    with open(path, 'rb') as f:
        digest.update(f.read(END_BYTES))
        f.seek(max(size - END_BYTES, 0))
        digest.update(f.read())
    return digest.hexdigest()


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
    text = _encode(json.dumps(data, **{'ensure_ascii': False, **kwargs}))
    if os.fspath(path).endswith('.gz'):
        text = gzip.compress(text, mtime=0)
    write_bytes(text, path)


def _encode(text: str) -> bytes:
    """JSON as UTF-8; file names that are not UTF-8 are escaped."""
    return re.sub('[\ud800-\udfff]', lambda c: f'\\u{ord(c.group()):04x}',
                  text).encode()


def check_name(path: str) -> None:
    """Refuse a path that no file can have here.

    Raises:
        ValueError: If it is empty, too long, holds a zero byte or characters
            that this system cannot write in file names.
    """
    try:
        name = os.fsencode(path)
    except UnicodeEncodeError as e:
        raise ValueError(f'{path!r} cannot be the name of a file on this '
                         f'system ({e.encoding}): {e.reason}') from e
    if not name or b'\0' in name:
        raise ValueError(f'{path!r} is no name of a file')
    if max(map(len, name.split(os.fsencode(os.sep)))) > NAME_BYTES:
        raise ValueError(f'{path!r} is too long: a name may have '
                         f'{NAME_BYTES} bytes')


def check_folder(name: str, path: PathLike) -> None:
    """Make sure, before the work begins, that a folder can be written to.

    Nothing is made; a missing folder counts if it can be made.

    Args:
        name (str): What the folder is, for messages.
        path (str or PathLike): The folder.

    Raises:
        ValueError: If no folder can have this name.
        NotADirectoryError: If the folder, or one above it, is a file.
        PermissionError: If nothing can be written there.
    """
    path = os.fspath(path)
    check_name(path)
    above = os.path.abspath(path)
    while not os.path.lexists(above):
        above = os.path.dirname(above)
    if not os.path.isdir(above):
        raise NotADirectoryError(f'{name} {path}: {above} is a file')
    if not os.access(above, os.W_OK | os.X_OK):
        raise PermissionError(f'{name} {path}: {above} cannot be written to')


def check_output(name: str, path: PathLike) -> None:
    """Make sure, before the work begins, that a file can be written.

    Args:
        name (str): What the file is, for messages.
        path (str or PathLike): The file; it may exist.

    Raises:
        IsADirectoryError: If it is a folder.
        ValueError, NotADirectoryError, PermissionError: See
            :func:`check_folder`.
    """
    path = os.fspath(path)
    check_name(path)
    if os.path.isdir(path) or path.endswith(os.sep):
        raise IsADirectoryError(f'{name} {path} is a folder; give the name of '
                                'a file')
    check_folder(name, os.path.dirname(os.path.abspath(path)))
