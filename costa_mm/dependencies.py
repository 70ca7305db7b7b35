# Copyright (c) costa_mm authors. All rights reserved.
"""The packages below us: which versions do.

:func:`check_dependencies` runs when ``costa_mm`` is imported.  Only told
there, since nothing of ours needs it: with setuptools >= 81 there is no
``pkg_resources``, so ``_base_ = 'mmdet::...'``,
``mmengine.utils.is_installed`` and ``mmengine.hub`` fail (mmengine 0.10.7).
"""
import importlib.util
import warnings
from importlib import metadata
from typing import List, Tuple

# distribution names, accepted range, pip line that fixes it
_RANGES: Tuple[Tuple[Tuple[str, ...], str, str, str], ...] = (
    (('torch', ), '2.1.0', '3.0.0', 'pip install torch==2.13.0'),
    (('mmengine', 'mmengine-lite'), '0.10.0', '1.0.0',
     'pip install mmengine==0.10.7'),
    # mmdet 3.3.0 and mmaction2 1.2.0 both refuse mmcv >= 2.2.0
    (('mmcv', 'mmcv-lite'), '2.0.0', '2.2.0',
     'pip install mmcv-lite==2.1.0'),
    (('mmdet', ), '3.1.0', '3.4.0', 'pip install mmdet==3.3.0'),
    (('mmaction2', ), '1.1.0', '1.3.0', 'pip install mmaction2==1.2.0'),
    (('transformers', ), '4.40.0', '6.0.0',
     'pip install transformers==5.23.0'),
)


def installed_version(names: Tuple[str, ...]) -> str:
    """Version of the first of ``names`` that is installed, or ''."""
    for name in names:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return ''


def release(version: str) -> Tuple[int, ...]:
    """'2.13.0+cpu' -> (2, 13, 0); anything after the numbers is dropped."""
    numbers = []
    for part in version.split('+')[0].split('.')[:3]:
        digits = ''
        for char in part:
            if not char.isdigit():
                break
            digits += char
        numbers.append(int(digits or 0))
    return tuple(numbers)


def dependency_faults() -> List[str]:
    """Missing packages and those out of range, each with its pip line."""
    wrong = []
    for names, low, high, fix in _RANGES:
        version = installed_version(names)
        label = ' or '.join(names)
        if not version:
            wrong.append(f'{label} is not installed; {fix}')
        elif not release(low) <= release(version) < release(high):
            wrong.append(f'{label} {version} is installed, but costa_mm needs '
                         f'>={low},<{high}; {fix}')
    return wrong


def check_dependencies() -> None:
    """Refuse to start with a missing package or one out of range.

    Raises:
        ImportError: Names every offender and the pip line that fixes it.
    """
    wrong = dependency_faults()
    if wrong:
        raise ImportError('costa_mm cannot run here:\n  ' +
                          '\n  '.join(wrong))
    if importlib.util.find_spec('pkg_resources') is None:
        warnings.warn(
            "configs with _base_ = 'mmdet::...' cannot be read here: MMEngine "
            'needs pkg_resources for it, which setuptools 81 and later lack; '
            'pip install "setuptools<81"', stacklevel=3)
