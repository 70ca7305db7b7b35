# Copyright (c) costa_mm authors. All rights reserved.
"""From a name, an address or a path to a file of weights on this machine."""
import os
from typing import Union

from costa_mm.utils.packages import PACKAGE, package_path
from .cache import cached_path, fetch
from .layouts import LAYOUTS
from .parts import PARTS
from .reading import Location, converted_path, load_file, read_published
from .sources import WeightSource, is_address
from .zoo import find_model

SCHEME = 'costa_mm://'


def find_source(reference: str) -> Union[WeightSource, str]:
    """What a reference to weights means; nothing is fetched.

    Args:
        reference (str): Path of a file; name of a model with weights, or of
            a pretrained part (``costa_mm.weights.PARTS``); an address, see
            :class:`WeightSource`; or ``package://PACKAGE/PATH``, a file that
            an installed package carries.

    Returns:
        WeightSource or str: A source, or the path of a file that exists.

    Raises:
        FileNotFoundError: If there is nothing of that name.
        ModuleNotFoundError: If it is of a package that is not installed.
    """
    if reference.startswith(PACKAGE):
        path = package_path(reference, 'file of weights', 'another')
    else:
        path = os.path.expanduser(reference)
    if os.path.isfile(path):
        return path
    if reference in PARTS:
        return PARTS[reference]
    if is_address(reference):
        return WeightSource(reference)
    if os.path.basename(path) != path or os.path.splitext(path)[1]:
        raise FileNotFoundError(f'there is no checkpoint {reference}')
    try:
        entry = find_model(reference)
    except ValueError as e:
        raise FileNotFoundError(
            f'there is no checkpoint {reference}; as the name of a model: '
            f'{e}') from e
    if entry.source is not None:
        return entry.source
    if entry.present_weights is None:
        raise FileNotFoundError(
            f'there are no weights of {reference!r} to be had: give a file')
    return entry.present_weights


def resolve_weights(reference: str) -> str:
    """Path of a file of weights, fetched into the cache where need be.

    Args:
        reference (str): See :func:`find_source`.

    Returns:
        str: Path, for :func:`costa_mm.weights.read_published`.

    Raises:
        FileNotFoundError: If there is nothing of that name, or
            :class:`WeightsUnavailableError` if it cannot be fetched.
    """
    source = find_source(reference)
    if isinstance(source, str):
        return source
    return converted_only(source) or fetch(source)


def load_by_name(reference: str, map_location: Location = None) -> dict:
    """The checkpoint of ``init_cfg=dict(type='Pretrained', checkpoint=...)``.

    MMEngine calls it for ``package://PACKAGE/PATH`` and ``costa_mm://NAME``,
    where NAME is what ``load_from`` takes too; ``prefix='backbone.'`` of the
    same ``init_cfg`` picks a part of a whole model.

    Args:
        reference (str): As in ``checkpoint``.
        map_location (str or Callable, optional): As in ``torch.load``.

    Raises:
        FileNotFoundError: If there is nothing of that name.
        ValueError: If the file cannot be read.
    """
    name = reference.removeprefix(SCHEME)
    path = resolve_weights(name)
    whole = None if name in PARTS else read_published(path)
    return load_file(path, map_location or 'cpu') if whole is None else whole


def converted_only(source: WeightSource) -> str:
    """A converted file whose published one was deleted to save room.

    Returns:
        str: Path of the published file, which :func:`read_published` takes
        for its conversion; '' where that is not so.
    """
    from .cache import cache_folder
    path = os.path.join(cache_folder(), source.file)
    if cached_path(source) is None and any(
            os.path.isfile(converted_path(path, layout))
            for layout in LAYOUTS.values()):
        return path
    return ''
