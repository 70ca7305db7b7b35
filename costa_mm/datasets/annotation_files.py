# Copyright (c) costa_mm authors. All rights reserved.
"""Annotation files and the files that they name."""
import gzip
import json
import os
import zlib
from enum import IntEnum
from typing import (Any, Dict, Iterable, Iterator, List, Optional, Sequence,
                    Tuple)

from .problems import SchemaError

#: What counts as a video in a folder, lower case.
VIDEO_SUFFIXES = ('.mp4', '.mkv', '.avi', '.webm', '.mov', '.m4v', '.mpg',
                  '.mpeg', '.wmv', '.flv', '.ts', '.mts', '.m2ts', '.3gp',
                  '.ogv', '.gif')


class RepeatedKeys(dict):
    """A JSON object that gives a key more than once; the last one counts.

    Args:
        pairs (list[tuple]): Its content in the order of the file.
    """

    def __init__(self, pairs: List[Tuple[str, Any]]) -> None:
        super().__init__(pairs)
        seen: set = set()
        self.repeated = [
            key for key, _ in pairs if key in seen or seen.add(key)
        ]


def read_json(path: str, repeats: Optional[List[RepeatedKeys]] = None) -> Any:
    """Read a ``.json`` or ``.json.gz`` file, with or without a BOM.

    Args:
        path (str): The file.
        repeats (list, optional): Takes the objects that give a key twice;
            None refuses such a file.

    Raises:
        FileNotFoundError: If there is no such file.
        SchemaError: If it is not JSON.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f'no annotation file at {path}')
    found: List[RepeatedKeys] = []

    def to_dict(pairs: List[Tuple[str, Any]]) -> dict:
        content = dict(pairs)
        if len(content) < len(pairs):
            content = RepeatedKeys(pairs)
            found.append(content)
        return content

    opener = gzip.open if str(path).endswith('.gz') else open
    try:
        with opener(path, 'rb') as f:
            data = json.loads(f.read(), object_pairs_hook=to_dict)
    except (ValueError, EOFError, gzip.BadGzipFile, zlib.error) as e:
        raise SchemaError(f'{path} is not a JSON file: {e}') from e
    except RecursionError as e:
        raise SchemaError(f'{path} is nested too deeply') from e
    if found and repeats is None:
        raise SchemaError(f'{path} gives the key {found[0].repeated[0]!r} '
                          'twice in one object')
    if repeats is not None:
        repeats.extend(found)
    return data


def repeated_keys(value: Any) -> Iterator[Tuple[str, str]]:
    """Places below a value and the keys given there more than once."""
    todo = [('', value)]
    while todo:
        place, value = todo.pop()
        if isinstance(value, RepeatedKeys):
            yield from ((place, key) for key in value.repeated)
        if isinstance(value, dict):
            todo += [(f'{place}.{k}' if place else k, v)
                     for k, v in reversed(list(value.items()))]
        elif isinstance(value, list):
            todo += [(f'{place}[{i}]', v)
                     for i, v in reversed(list(enumerate(value)))]


class Fit(IntEnum):
    """How well a file fits a name, best first."""
    #: where the name says; a name without a suffix says any
    EXACT = 0
    #: somewhere below the folder, and the name says no place
    BELOW = 1
    #: where the name says, with another suffix
    REPACKED = 2
    #: the last two together
    BELOW_REPACKED = 3
    #: in another folder than the name says
    ELSEWHERE = 4
    ELSEWHERE_REPACKED = 5


class FileFolder:
    """Finds files by name in a folder and the folders below it.

    The distributed archives unpack into numbered folders; people also put
    all files into one.  The tree is walked only if a direct look fails.
    Names of one file are looked up together (:meth:`locate`), so that none
    takes what another names.

    Args:
        root (str): The folder.
        suffixes (Sequence[str]): Suffixes of the files, lower case.  Where a
            name has another of them (``.mkv`` repacked as ``.mp4``), or none,
            the file with the same stem is taken.
    """

    def __init__(self, root: str,
                 suffixes: Sequence[str] = VIDEO_SUFFIXES) -> None:
        self.root = root
        self.suffixes = tuple(suffixes)
        self._by_stem: Optional[Dict[str, List[str]]] = None

    def find(self, name: str) -> Optional[str]:
        """Path of a file; None if there is none or more than one.

        Args:
            name (str): File name, path below the folder, or stem.
        """
        found = self.find_all(name)
        return found[0] if len(found) == 1 else None

    def find_all(self, name: str) -> List[str]:
        """Paths of all files that a name may mean (see :meth:`find`)."""
        if '\0' in name:
            return []
        path = os.path.join(self.root, name)
        if os.path.isfile(path):
            return [path]
        if self._by_stem is None:
            self._by_stem = self._walk()
        base = os.path.basename(name)
        found = self._by_stem.get(self._stem(base), [])
        fits = [self.fit(name, path) for path in found]
        return [p for p, fit in zip(found, fits) if fit == min(fits)]

    def locate(self, names: Iterable[str]) -> Dict[str, List[str]]:
        """Paths of the files that the names of one annotation file mean.

        A file belongs to the name that fits it best.  Another name that would
        be read from it means another file, which is not there.

        Args:
            names (Iterable[str]): See :meth:`find`.

        Returns:
            dict[str, list[str]]: For every name what :meth:`find_all` gives,
            or an empty list.
        """
        found = {name: self.find_all(name) for name in names}
        claims: Dict[str, Dict[str, Fit]] = {}
        for name, paths in found.items():
            if len(paths) == 1:
                claim = claims.setdefault(os.path.normpath(paths[0]), {})
                claim[name] = self.fit(name, paths[0])
        for claim in claims.values():
            best = min(claim.values())
            alike = list(claim.values()).count(best)
            for name, fit in claim.items():
                # of two guesses none is better than the other
                if fit > best or alike > 1 and fit > Fit.BELOW:
                    found[name] = []
        return found

    def fit(self, name: str, path: str) -> Fit:
        """How well a path that :meth:`find_all` gave fits its name."""
        folder, base = os.path.split(os.path.normpath(name))
        place = os.path.normpath(os.path.join(self.root, folder))
        file = os.path.basename(path)
        repacked = base not in (file, os.path.splitext(file)[0])
        if os.path.normpath(os.path.dirname(path)) == place:
            return Fit.REPACKED if repacked else Fit.EXACT
        if not folder:
            return Fit.BELOW_REPACKED if repacked else Fit.BELOW
        return Fit.ELSEWHERE_REPACKED if repacked else Fit.ELSEWHERE

    def _stem(self, base: str) -> str:
        stem, suffix = os.path.splitext(base)
        return stem if suffix.lower() in self.suffixes else base

    def _walk(self) -> Dict[str, List[str]]:
        by_stem: Dict[str, List[str]] = {}
        seen = set()  # links may form a circle
        for folder, dirs, files in os.walk(self.root, followlinks=True):
            real = os.path.realpath(folder)
            dirs[:] = [] if real in seen else sorted(dirs)
            if real in seen:
                continue
            seen.add(real)
            for file in sorted(files):
                stem, suffix = os.path.splitext(file)
                if suffix.lower() in self.suffixes:
                    by_stem.setdefault(stem, []).append(
                        os.path.join(folder, file))
        return by_stem
