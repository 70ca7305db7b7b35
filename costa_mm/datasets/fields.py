# Copyright (c) costa_mm authors. All rights reserved.
"""Values of annotation files, checked: each is right or a ValueError."""
import math
import reprlib
from typing import Any, Callable, Iterable, Optional, Sequence, Tuple

import numpy as np

from costa_mm.structures.tube import QUERY_TYPES

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80


def short(value: Any) -> str:
    """A value for a message, however long or deep it is."""
    return _SHORT.repr(value)


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
        raise ValueError(f'{short(value)} is not a whole number')
    if not low <= value <= 2**31:
        raise ValueError(f'{short(value)} is not between {low} and 2**31')
    return int(value)


def as_positive(value: Any) -> float:
    """A positive finite number.

    Raises:
        ValueError: If it is something else.
    """
    if not is_number(value) or value <= 0:
        raise ValueError(f'{short(value)} is not a positive number')
    return float(value)


def as_object(value: Any, name: str, keys: Sequence[str] = ()) -> dict:
    """A JSON object.

    Args:
        value (Any): What should be one.
        name (str): Said in the message.
        keys (Sequence[str]): The keys that it may have; empty is any.

    Raises:
        ValueError: If it is something else or has another key.
    """
    if not isinstance(value, dict):
        expected = f' with the keys {tuple(keys)}' if keys else ''
        raise ValueError(f'{name} is {short(value)}, not an object{expected}')
    unknown = [key for key in value if keys and key not in keys]
    if unknown:
        raise ValueError(f'unknown keys {short(unknown)}; known are '
                         f'{tuple(keys)}')
    return value


def as_list(value: Any, name: str) -> list:
    """A JSON list.

    Raises:
        ValueError: If it is something else; the message says ``name``.
    """
    if not isinstance(value, list):
        raise ValueError(f'{name} is {short(value)}, not a list')
    return value


def as_text(value: Any, what: str = 'a sentence') -> str:
    """A sentence or a name with its outer blanks removed.

    Raises:
        ValueError: If it is not a string, holds no character or half of one
            (a lone surrogate, which no tokenizer and no file takes); the
            message says ``what`` it should be.
    """
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f'{short(value)} is not {what}')
    try:
        value.encode()
    except UnicodeEncodeError as e:
        raise ValueError(
            f'{ascii(value[:60])} holds half a character (a lone surrogate, '
            f'{ascii(value[e.start])}) at place {e.start}') from e
    return value.strip()


def as_query_type(value: Any) -> Optional[str]:
    """The type of a sentence, None if unknown.

    Raises:
        ValueError: If it is something else.
    """
    if value is not None and value not in QUERY_TYPES:
        raise ValueError(f'"qtype" is one of {QUERY_TYPES} or null, not '
                         f'{short(value)}')
    return value


def as_span(value: Any) -> Tuple[int, int]:
    """A pair (start, end), end exclusive.

    Raises:
        ValueError: If it is not two whole numbers with start < end.
    """
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        raise ValueError(f'{short(value)} is not [start, end]')
    start, end = as_int(value[0]), as_int(value[1])
    if start >= end:
        raise ValueError(f'[{start}, {end}] is empty: the end is exclusive')
    return start, end


def maybe(convert: Callable, value: Any, *args: Any) -> Any:
    """The converted value; None stays None."""
    return None if value is None else convert(value, *args)


def as_boxes(values: Iterable, names: Optional[Sequence] = None) -> np.ndarray:
    """A list of four-number boxes, (N, 4), float64.

    Args:
        values (Iterable): The boxes.
        names (Sequence, optional): What messages call them; by default their
            numbers.

    Raises:
        ValueError: If one of them is not four finite numbers.
    """
    rows = []
    for i, box in enumerate(values):
        if (not isinstance(box, (list, tuple)) or len(box) != 4
                or not all(is_number(c) and abs(c) < 1e9 for c in box)):
            raise ValueError(f'box {i if names is None else names[i]} is '
                             f'{short(box)}, not four numbers')
        rows.append([float(c) for c in box])
    return np.array(rows, dtype=np.float64).reshape(-1, 4)


def xywh_to_xyxy(boxes: np.ndarray) -> np.ndarray:
    """(x, y, w, h) to (x1, y1, x2, y2), (N, 4)."""
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
