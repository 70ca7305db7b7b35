# Copyright (c) costa_mm authors. All rights reserved.
"""The folder of fetched weights: found, filled once, checked."""
import errno
import hashlib
import os
import shutil
import zipfile
from contextlib import contextmanager
from typing import Iterator, List, Optional

from mmengine.logging import print_log

from costa_mm.utils.errors import first_line
from .sources import WeightSource
from .transfer import copy_from, copy_from_drive

HOME = 'COSTA_MM_HOME'
MIRROR = 'COSTA_MM_MIRROR'
PART = '.part'


class WeightsUnavailableError(FileNotFoundError):
    """Weights that are not here and could not be fetched."""


def home_folder() -> str:
    """What is fetched lies below it: ``$COSTA_MM_HOME``.

    The variable's default is ``costa_mm`` in the user's cache directory.
    """
    home = os.environ.get(HOME)
    if not home:
        home = os.path.join(
            os.environ.get('XDG_CACHE_HOME') or
            os.path.join('~', '.cache'), 'costa_mm')
    return os.path.abspath(os.path.expanduser(home))


def cache_folder() -> str:
    """Where fetched weights lie: ``$COSTA_MM_HOME/weights``."""
    return os.path.join(home_folder(), 'weights')


def cached_path(source: WeightSource) -> Optional[str]:
    """The file of a source if it is on this machine, else None.

    Besides the cache, a mirror that is a folder is looked into.
    """
    folders = [cache_folder()]
    mirror = os.environ.get(MIRROR)
    if mirror and '://' not in mirror:
        folders.append(os.path.expanduser(mirror))
    for folder in folders:
        path = os.path.join(folder, source.file)
        if os.path.isfile(path):
            return path
    return None


def fetch(source: WeightSource) -> str:
    """The file of a source, fetched if it is not here yet.

    One process fetches, others on this machine wait for it.  What was
    fetched before a cut is kept and continued.

    Args:
        source (:obj:`WeightSource`): What to fetch.

    Returns:
        str: Path of the file.

    Raises:
        WeightsUnavailableError: If it cannot be had; says what was tried and
            how to bring the file by hand.
    """
    path = cached_path(source)
    if path is not None:
        return path
    path = os.path.join(cache_folder(), source.file)
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with locked(path):
            if not os.path.isfile(path):
                _check_space(source, path)
                _fetch_part(source, path + PART)
                os.replace(path + PART, path)
    except OSError as e:
        if isinstance(e, WeightsUnavailableError):
            raise
        raise unavailable(source, _reason(e, path)) from e
    return path


@contextmanager
def locked(path: str) -> Iterator[None]:
    """Hold a file of the cache for this process; another one waits."""
    from filelock import FileLock, Timeout
    lock = FileLock(path + '.lock')
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print_log(f'waiting for another process that fetches {path}',
                  'current')
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _fetch_part(source: WeightSource, part: str) -> None:
    """Try the mirror, then the source's own address."""
    mirror = os.environ.get(MIRROR, '').rstrip('/')
    tried: List[str] = []
    urls = [f'{mirror}/{source.file}'] if '://' in mirror else []
    for url in (*urls, source.url):
        if url is None:
            tried.append('a program cannot fetch it from that page')
            continue
        print_log(f'fetching {source.file} from {url}', 'current')
        try:
            if source.drive_id and url == source.url:
                copy_from_drive(source.drive_id, url, part)
            else:
                copy_from(url, part)
            verify(source, part)
        except Exception as e:  # whatever a library for transfers raises
            if _is_ours(e):
                raise
            tried.append(f'{url}: {first_line(e)}')
        else:
            return
    raise unavailable(source, '; '.join(tried))


def verify(source: WeightSource, path: str) -> None:
    """Refuse a file that is not what was published; it is removed.

    By its SHA-256 where that is known; else by the checksums that a file of
    ``torch.save`` carries for each of its parts.

    Raises:
        ValueError: If it is another file or damaged.
    """
    try:
        if source.sha256:
            digest = file_digest(path)
            if not digest.startswith(source.sha256.lower()):
                raise ValueError(
                    f'its SHA-256 is {digest}, not {source.sha256}: damaged, '
                    'or another file')
            return
        with open(path, 'rb') as f:
            if f.read(512).lstrip()[:1] == b'<':
                raise ValueError('the answer is a web page, not the file')
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                damaged = archive.testzip()
            if damaged:
                raise ValueError(f'it is damaged (at {damaged})')
    except ValueError:
        os.remove(path)  # or it would be continued
        raise


def file_digest(path: str) -> str:
    """SHA-256 of a file, 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, 'rb') as f:
        for block in iter(lambda: f.read(1 << 22), b''):
            digest.update(block)
    return digest.hexdigest()


def _check_space(source: WeightSource, path: str) -> None:
    """Say at once, not after an hour, that the disk is too small."""
    if source.num_bytes is None:
        return
    part = path + PART
    done = os.path.getsize(part) if os.path.isfile(part) else 0
    free = shutil.disk_usage(os.path.dirname(path)).free
    # the published size is rounded
    if free < 0.95 * source.num_bytes - done:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)


def _is_ours(error: Exception) -> bool:
    """Whether the fault is this machine's disk, not the address's."""
    return isinstance(error, OSError) and error.errno in (
        errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES,
        errno.EPERM)


def _reason(error: OSError, path: str) -> str:
    """What is wrong with the cache folder."""
    folder = os.path.dirname(path)
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        try:
            free = f'{shutil.disk_usage(folder).free / 1e9:.1f} GB'
        except OSError:
            free = 'too little'
        return (f'{folder} has no room for it ({free} free, '
                f'{error.strerror}); what was fetched stays there and is '
                'continued')
    return (f'{folder} cannot be written ({error.strerror or error}); set '
            f'{HOME} to a folder of your own')


def unavailable(source: WeightSource, reason: str) -> WeightsUnavailableError:
    """The one error for weights that cannot be had."""
    by_hand = source.readable
    size = source.size or 'size not published'
    lines = [
        f'{source.file} is not on this machine and could not be fetched: '
        f'{reason}',
        f'  address:  {by_hand}',
        f'  expected: {source.file}, {size}' +
        (f', SHA-256 {source.sha256}' if source.sha256 else ''),
        f'  put it into {cache_folder()} under that name (fetched in a '
        'browser, or on another machine),',
        f'  or set {MIRROR} to the address of a folder, or to a folder, that '
        'holds it',
    ]
    if source.drive_id:
        lines.append('  (pip install gdown helps where Google Drive answers '
                     'with a page)')
    return WeightsUnavailableError('\n'.join(lines))
