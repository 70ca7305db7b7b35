# Copyright (c) costa_mm authors. All rights reserved.
"""Options of programs that look at some videos of a config."""
import argparse
from typing import Optional

import numpy as np


def positive(text: str) -> int:
    """A number of things.

    Raises:
        argparse.ArgumentTypeError: If it is none, or not positive.
    """
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'{text} is no positive number')
    return int(text)


def add_videos(parser: argparse.ArgumentParser, split: str,
               number: Optional[int]) -> None:
    """Options that say which videos of a config: ``--split``, ``--number``.

    Args:
        parser (argparse.ArgumentParser): Gets them.
        split (str): Default split.
        number (int, optional): Default number; None for all.
    """
    parser.add_argument(
        '--split', default=split, choices=('train', 'val', 'test'),
        help='videos to look at; they go through its pipeline (default '
        f'{split})')
    parser.add_argument(
        '--number', type=positive, default=number,
        help=f'how many of them, evenly (default {number or "all"})')


def evenly(total: int, number: Optional[int]) -> np.ndarray:
    """Indices of ``number`` of ``total`` things, or of all, at one distance.
    """
    return np.linspace(
        0, total - 1, min(number or total, total)).astype(int)
