# Copyright (c) costa_mm authors. All rights reserved.
"""One run at a time in a work folder."""
import errno
import json
import os
import os.path as osp
import socket
import time
from typing import Dict, Optional, TextIO, Tuple

from mmengine.logging import print_log

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

LOCK_FILE = '.running'
_NOT_SUPPORTED = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)
# folders that this process holds: process that took it, open file
_held: Dict[str, Tuple[int, TextIO]] = {}


class FolderInUseError(RuntimeError):
    """Another run works in the folder."""


def hold_folder(folder: str) -> None:
    """Keep other processes out of a folder until this one ends.

    It is a POSIX record lock on a file: the kernel drops it with the process,
    however that ends, data workers do not inherit it, and NFS carries it to
    other hosts.  Where a file system has no locks there is a warning.  A
    process that holds the folder already goes on.

    Args:
        folder (str): Work folder; it exists.

    Raises:
        FolderInUseError: Names the process and its host.
    """
    path = osp.join(osp.realpath(folder), LOCK_FILE)
    if fcntl is None or _held.get(path, (None, ))[0] == os.getpid():
        return
    while True:
        file = open(path, 'a+', encoding='utf-8')
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as e:
            with file:
                if e.errno in _NOT_SUPPORTED:
                    print_log(f'{folder}: this file system has no locks; '
                              'keep other runs out of the folder', 'current',
                              30)
                    return
                raise FolderInUseError(_who_holds(folder, file)) from e
        if _is_still(path, file):
            break
        file.close()  # it was removed by a run that ended
    file.truncate(0)
    file.write(json.dumps(dict(host=socket.gethostname(), pid=os.getpid(),
                               since=time.strftime('%Y-%m-%d %H:%M:%S'))))
    file.flush()
    _held[path] = os.getpid(), file


def _is_still(path: str, file: TextIO) -> bool:
    """Whether an open file is the one of this name."""
    try:
        return osp.samestat(os.stat(path), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def _who_holds(folder: str, file: TextIO) -> str:
    file.seek(0)
    try:
        holder = json.loads(file.read())
        who = 'process {pid} on {host} since {since}'.format(**holder)
    except (ValueError, KeyError):  # it has only just begun
        who = 'another process'
    return (f'the work folder {folder} is in use by {who}: wait for it, end '
            'it, or give another --work-dir')


def release_folder(folder: str) -> None:
    """Let other processes in again, if this one holds the folder."""
    path = osp.join(osp.realpath(folder), LOCK_FILE)
    held: Optional[Tuple[int, TextIO]] = _held.pop(path, None)
    if held is not None and held[0] == os.getpid():
        if osp.exists(path):
            os.remove(path)
        held[1].close()
