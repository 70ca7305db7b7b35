# Copyright (c) costa_mm authors. All rights reserved.
"""Helpers that turn what annotation files say into clean records."""
import gzip
import json
import logging
import math
import os
from collections import OrderedDict
from typing import (Any, Dict, Iterable, List, NoReturn, Optional, Sequence,
                    Tuple)

import numpy as np
from mmengine.logging import print_log

#: What counts as a video in a folder, lower case.
VIDEO_SUFFIXES = ('.mp4', '.mkv', '.avi', '.webm', '.mov', '.m4v', '.mpg',
                  '.mpeg', '.wmv', '.flv', '.ts', '.mts', '.m2ts', '.3gp',
                  '.ogv', '.gif')


class LeftOut:
    """Counts what a dataset leaves out, by reason, with examples.

    Args:
        num_examples (int): Examples to name per reason.
    """

    def __init__(self, num_examples: int = 3) -> None:
        self.num_examples = num_examples
        self.reasons: 'OrderedDict[str, List[str]]' = OrderedDict()

    def add(self, reason: str, sample_id: str) -> None:
        """Note that ``sample_id`` is not used because of ``reason``."""
        self.reasons.setdefault(reason, []).append(sample_id)

    def __len__(self) -> int:
        return sum(len(ids) for ids in self.reasons.values())

    def to_dict(self) -> dict:
        """Reasons with all sample ids, for a report file."""
        return {reason: list(ids) for reason, ids in self.reasons.items()}

    def summary(self) -> str:
        """One line per reason: the count and the first examples."""
        lines = []
        for reason, ids in self.reasons.items():
            shown = ', '.join(ids[:self.num_examples])
            more = ', ...' if len(ids) > self.num_examples else ''
            lines.append(f'  {len(ids)} x {reason}: {shown}{more}')
        return '\n'.join(lines)

    def log(self, name: str, kept: int) -> None:
        """Say how many samples are kept and what is left out."""
        text = f'{name}: {kept} samples'
        if self.reasons:
            text += f', {len(self)} notes on what is left out\n'
            text += self.summary()
        level = logging.WARNING if self.reasons else logging.INFO
        print_log(text, logger='current', level=level)


class SchemaError(ValueError):
    """An annotation file does not look as documented."""


def schema_error(file: str, entry: Any, what: str) -> NoReturn:
    """Raise an error that names the file, the entry and the mend."""
    raise SchemaError(f'{file}, entry {entry!r}: {what}')


def read_json(path: str) -> Any:
    """Read a ``.json`` or ``.json.gz`` file.

    Raises:
        FileNotFoundError: If there is no such file.
        SchemaError: If it is not JSON.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f'no annotation file at {path}')
    opener = gzip.open if str(path).endswith('.gz') else open
    try:
        with opener(path, 'rt', encoding='utf-8') as f:
            return json.load(f)
    except (ValueError, EOFError, gzip.BadGzipFile) as e:
        raise SchemaError(f'{path} is not a JSON file: {e}') from e
    except RecursionError as e:
        raise SchemaError(f'{path} is nested too deeply') from e


def is_number(value: Any) -> bool:
    """Whether ``value`` is a finite number (and no bool)."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an int too large for a float
        return False


def as_int(value: Any, low: int = 0) -> int:
    """An integral number not below ``low``.

    Raises:
        ValueError: If it is something else.
    """
    if not is_number(value) or value != int(value):
        raise ValueError(f'{value!r} is not a whole number')
    if not low <= value <= 2**31:
        raise ValueError(f'{value!r} is not between {low} and 2**31')
    return int(value)


def as_positive(value: Any) -> float:
    """A positive finite number.

    Raises:
        ValueError: If it is something else.
    """
    if not is_number(value) or value <= 0:
        raise ValueError(f'{value!r} is not a positive number')
    return float(value)


def as_object(value: Any, name: str) -> dict:
    """A JSON object.

    Args:
        value (Any): What should be one.
        name (str): Said in the message.

    Raises:
        ValueError: If it is something else.
    """
    if not isinstance(value, dict):
        raise ValueError(f'{name} is {str(value)[:80]!r}, not an object')
    return value


def as_text(value: Any) -> str:
    """A sentence with its outer blanks removed.

    Raises:
        ValueError: If it is not a string or holds no character.
    """
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f'{value!r} is not a sentence')
    return value.strip()


def as_boxes(values: Iterable) -> np.ndarray:
    """A list of four-number boxes, (N, 4), float64.

    Raises:
        ValueError: If one of them is not four finite numbers.
    """
    rows = []
    for i, box in enumerate(values):
        if (not isinstance(box, (list, tuple)) or len(box) != 4
                or not all(is_number(c) and abs(c) < 1e9 for c in box)):
            raise ValueError(f'box {i} is {str(box)[:80]}, not four numbers')
        rows.append([float(c) for c in box])
    return np.array(rows, dtype=np.float64).reshape(-1, 4)


def xywh_to_xyxy(boxes: np.ndarray) -> np.ndarray:
    """(x, y, w, h) to (x1, y1, x2, y2), (N, 4)."""
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)


def clean_boxes(boxes: np.ndarray, width: Optional[int],
                height: Optional[int]) -> Tuple[np.ndarray, np.ndarray]:
    """Clip boxes to the frame and find those that have an area.

    A box with negative width or height is not repaired: nobody knows what
    its author meant.

    Args:
        boxes (np.ndarray): (N, 4), (x1, y1, x2, y2) in pixels.
        width (int, optional): Width of the frame; None does not clip.
        height (int, optional): Height of the frame; None does not clip.

    Returns:
        tuple[np.ndarray, np.ndarray]: Clipped boxes, (N, 4), and which of
        them have an area, (N, ), bool.
    """
    usable = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    if width is not None and height is not None:
        limit = np.array([width, height, width, height], dtype=np.float64)
        boxes = np.clip(boxes, 0, limit)
        usable &= (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    return boxes, usable


class FileFolder:
    """Finds files by name in a folder and the folders below it.

    The distributed archives unpack into numbered folders; people also put
    all files into one.  The tree is walked only if a direct look fails.

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
        """Path of a file, or None.

        Args:
            name (str): File name, path below the folder, or stem.
        """
        path = os.path.join(self.root, name)
        if os.path.isfile(path):
            return path
        if self._by_stem is None:
            self._by_stem = self._walk()
        base = os.path.basename(name)
        stem, suffix = os.path.splitext(base)
        if suffix.lower() not in self.suffixes:
            stem = base
        found = self._by_stem.get(stem, [])
        same = [p for p in found if os.path.basename(p) == base] or found
        # two files of one name in two folders: no guessing
        return same[0] if len(same) == 1 else None

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
